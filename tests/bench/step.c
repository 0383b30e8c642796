/* The time of NAME_step of an object, hot, on one core: the median of 200 loops of 2,000 calls.
 *   weft compile RUN --stream -o net.o
 *   cc -O2 -I. -DIN=NET_STEP_IN_image -DOUT=NET_STEP_OUT_output tests/bench/step.c net.o && ./a.out
 * for a model `net` with the input `image`. */
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LOOPS = 200, CALLS = 2000, STEPS = 28 };

static _Alignas(WEFT_ALIGN) unsigned char state[NET_STATE_BYTES];
static float x[STEPS][IN], y[OUT];
static double microseconds[LOOPS];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

int main(void)
{
    for (int i = 0; i < STEPS * IN; i++)
        x[i / IN][i % IN] = (float)(((unsigned)i * 2654435761u >> 7) % 1000) / 999;
    net_reset(state);
    for (int l = 0; l < LOOPS; l++) {
        double begin = now();
        for (int k = 0; k < CALLS; k++)
            if (net_step(state, x[k % STEPS], y) != WEFT_OK)
                return 1;
        microseconds[l] = (now() - begin) / CALLS;
    }
    qsort(microseconds, LOOPS, sizeof *microseconds, by_size);
    printf("%.3f us median, %.3f us at best\n", microseconds[LOOPS / 2], microseconds[0]);
    return 0;
}
