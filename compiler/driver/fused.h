/* The kernels that a graph becomes, for people. */
#ifndef WEFT_FUSED_H
#define WEFT_FUSED_H

#include "base/diag.h"
#include "ir/graph.h"

/* Lowers a copy of g for batches of `rows` rows (0: any), without making code, and tells of each
 * kernel where it comes from, what it computes, and what it reads and stores; as text, or in
 * Graphviz's language. Null after a report at `at`: what cannot be lowered yet. */
const char *fused_text(Arena *a, Diag *d, Span at, const Graph *g, int64_t rows, bool dot);

#endif
