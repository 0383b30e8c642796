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
/* What the gradient of a loop reads of the loop's values is saved or computed again from what
 * is saved, as costs less (ir/cost.h). Exact. */
void pass_recompute(Graph *g);
/* The loops of gradients, in order, go through time in segments of plan[i].steps steps (0, or
 * beyond the plan's n: as many as pay; the loop's length or more: it stays whole); with `again`
 * the values that the forward loop saves are made again, segment by segment, in place of being
 * kept. Exact. */
typedef struct { int64_t steps; bool again; } Segment;
void pass_segment(Graph *g, const Segment *plan, int n);
/* What pass_segment finds in g, as the plan counts them: how many. */
enum { SEGMENT_LOOPS = 64 };
typedef struct {
    Node *backward, *forward; /* forward: whose values it reads and can make again, or null */
    int64_t length;           /* in steps; 0: known at run time only */
    double again;             /* what all of forward costs once more (ir/cost.h); 0: no forward */
    bool may;                 /* be cut into segments */
} SegmentLoop;
/* A number of steps near `about`, one that divides the length where there is one. */
int64_t segment_near(int64_t length, double about);
int segment_loops(Arena *a, Graph *g, SegmentLoop *loop, int most);
/* A batch_contract that continues a carry of a scan becomes one product over
 * the stacked operands after the scan. Exact. */
void pass_defer(Graph *g);
/* Products of rows with a parameter become products of bytes, or, with q->observe, give out the
 * ranges of their factors: see quantize.c. For graphs that are not differentiated. */
void pass_quantize(Graph *g, Quantize *q);
/* The factors of every float32 product are rounded to bfloat16: see bfloat16.c. */
void pass_bfloat16(Graph *g);
/* Decides whether rows or features lie in the vector lanes, for batches of about
 * `rows` rows (0: unknown, rows stay), and turns weights round where features do. Exact. */
typedef enum { LAYOUT_auto, LAYOUT_rows, LAYOUT_columns } Layout;
void pass_layout(Graph *g, int64_t rows, Layout asked);
/* The most rows up to which every batch is faster in columns; `most` when all are. */
int64_t layout_columns_most(const Graph *g, int64_t most);

/* Drops the inputs of a role (NROLE: of any) that no output needs, which graph_compact keeps:
 * nobody must bind them. */
void graph_drop_unused_inputs(Graph *g, Role role);

/* Takes out of an inference graph what is computed from parameters and buffers alone: such
 * values become ROLE_param inputs NAME/0, NAME/1, ...; the graph returned has them as outputs.
 * Null, and g as it was, where there are none. Exact. */
Graph *graph_derive(Graph *g, const char *name);

#endif
