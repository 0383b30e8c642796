/* The machine's limit of floating-point work, measured. */
#ifndef WEFT_PEAK_H
#define WEFT_PEAK_H

#include <stddef.h>

/* GFLOP/s of float32 fma (2 an fma) that `threads` threads reach together, on the widest
 * vectors there are; takes some tens of milliseconds. Other work on the machine can only
 * lower it: take the best of several. 0 where there is no way to measure it. */
double peak_gflops(int threads);

/* Bytes a second that `threads` threads read and write together while each copies within
 * `bytes` bytes of its own: the rate of the cache that holds them, or of memory. */
double peak_bandwidth(int threads, size_t bytes);

#endif
