/* The proof that a pass is exact: the interpreter before and after it. */
#ifndef WEFT_BITS_H
#define WEFT_BITS_H

#include "ir/graph.h"

/* Evaluates both graphs on the same made-up inputs (a small batch, short
 * lengths) and compares every output of `before` with its namesake in `after`
 * bit by bit; NaN equals NaN. Null when equal, else a sentence. `seed` varies
 * the inputs. */
const char *bits_compare(Arena *a, const Graph *before, const Graph *after, int64_t seed);

#endif
