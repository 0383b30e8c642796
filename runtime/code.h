/* Code: what a compiler hands to the executor, in memory and as bytes for a file.
 *
 * An image is position-independent machine code and its constants, whose
 * references among each other are resolved: it runs wherever it is mapped, and
 * mapping it takes no more than this file.
 */
#ifndef WEFT_CODE_H
#define WEFT_CODE_H

#include "base/arena.h"
#include "program.h"
#include "system.h"

enum { CODE_PAGE = 4096 }; /* x86-64 */
/* The constants begin with the addresses of fmaf and fma, which code for processors
 * without these instructions calls; code_map puts them there. */
enum { CODE_FMAF, CODE_FMA, CODE_IMPORTS };

typedef struct {
    char *at;
    size_t text;   /* bytes of code, a multiple of CODE_PAGE; constants follow */
    size_t size;
} CodeImage;

/* Maps the image, the code executable and nothing of it writable any more, and
 * completes p, a description in arena a, whose tasks name places in the image:
 * from here on program_free frees p, its arena and the mapping. Returns false
 * when the system denies it, errno set; then the caller still owns the arena. */
bool code_map(Arena *a, Program *p, const CodeImage *image);

/* A program's description and image as bytes in arena a. */
Bytes code_pack(Arena *a, const Program *p, const CodeImage *image);
/* The inverse. The description is in arena a, the image points into the bytes.
 * Null when they are not sound: then nothing may be taken from them. */
Program *code_unpack(Arena *a, Bytes bytes, CodeImage *image);

#endif
