/* Start and output on Windows: what kernel32 offers. */
#include "run.h"

#define IMPORT __attribute__((dllimport)) extern
IMPORT void *GetStdHandle(unsigned which);
IMPORT int WriteFile(void *file, const void *p, unsigned bytes, unsigned *done, void *overlapped);
IMPORT void ExitProcess(unsigned code);

enum { STDOUT = -11 };

int _fltused; /* for this file's sake; the object needs it not */

static void put(const void *p, unsigned bytes)
{
    unsigned done;
    for (; bytes; bytes -= done, p = (const char *)p + done)
        if (!WriteFile(GetStdHandle((unsigned)STDOUT), p, bytes, &done, 0) || !done)
            ExitProcess(1);
}

void start(void)
{
    target_run(put);
    ExitProcess(0);
}
