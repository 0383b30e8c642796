/* Graph passes: each one file, one function, one row of driver/pass.def. */
#ifndef WEFT_OPT_H
#define WEFT_OPT_H

#include "opt/quantize.h"

/* Rewrites to simpler, equal-valued nodes and drops what is not used:
 * constants folded, x*1, x+0, views of views, common subexpressions, and
 * log(clip(softmax(z))), log(clip(sigmoid(z))) to their stable forms.
 * Reassociates nothing but what its head comment lists. */
void pass_simplify(Graph *g);
/* Sums of products become one product of several terms: x @ W + h @ U. */
void pass_concat(Graph *g);
/* Slices move towards the leaves: slice(a + b) = slice a + slice b, and a slice
 * of a product's output is the product with a slice of its operand. Exact. */
void pass_sink(Graph *g);
/* A batch_contract that continues a carry of a scan becomes one product over
 * the stacked operands after the scan. Exact. */
void pass_defer(Graph *g);
/* Products of rows with a parameter become products of bytes, or, with q->observe, give out the
 * ranges of their factors: see quantize.c. For graphs that are not differentiated. */
void pass_quantize(Graph *g, Quantize *q);
/* Decides whether rows or features lie in the vector lanes, for batches of about
 * `rows` rows (0: unknown, rows stay), and turns weights round where features do. Exact. */
typedef enum { LAYOUT_auto, LAYOUT_rows, LAYOUT_columns } Layout;
void pass_layout(Graph *g, int64_t rows, Layout asked);
/* The most rows up to which every batch is faster in columns; `most` when all are. */
int64_t layout_columns_most(const Graph *g, int64_t most);

/* Takes out of an inference graph what is computed from parameters and buffers alone: such
 * values become ROLE_param inputs NAME/0, NAME/1, ...; the graph returned has them as outputs.
 * Null, and g as it was, where there are none. Exact. */
Graph *graph_derive(Graph *g, const char *name);

#endif
