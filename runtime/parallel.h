/* Independent pieces of work on all cores: reading, drawing, initial values. */
#ifndef WEFT_PARALLEL_H
#define WEFT_PARALLEL_H

/* Calls fn(context, i) once for every i in [0, n), on at most as many threads as the process may
 * use, the caller's among them, and returns when all calls have. Which thread takes which i, and
 * in what order, is left open. Where no thread can be had the caller does it all. */
void parallel_each(int n, void (*fn)(void *context, int i), void *context);

#endif
