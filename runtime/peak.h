/* The machine's limit of floating-point work, measured. */
#ifndef WEFT_PEAK_H
#define WEFT_PEAK_H

/* GFLOP/s of float32 fma (2 an fma) that `threads` threads reach together, on the widest
 * vectors there are; takes some tens of milliseconds. Other work on the machine can only
 * lower it: take the best of several. 0 where there is no way to measure it. */
double peak_gflops(int threads);

#endif
