/* Pieces of work on several threads: each is done once, whatever their number. */
#include "parallel.h"
#include "runtime_check.h"

#include <stdatomic.h>

enum { MOST = 1000 };
typedef struct { atomic_int times[MOST]; atomic_int sum; } Done;

static void mark(void *context, int i)
{
    Done *d = context;
    atomic_fetch_add(&d->times[i], 1);
    atomic_fetch_add(&d->sum, i);
}

int main(void)
{
    Check c = check_begin();
    static const int counts[] = {0, 1, 2, 3, 64, MOST};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        static Done d;
        memset(&d, 0, sizeof d);
        parallel_each(counts[k], mark, &d);
        for (int i = 0; i < MOST; i++)
            EXPECT(&c, d.times[i] == (i < counts[k]));
        EXPECT(&c, d.sum == counts[k] * (counts[k] - 1) / 2);
    }
    return check_end(&c);
}
