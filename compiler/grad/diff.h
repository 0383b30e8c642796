/* One differentiation under way: what the files of this folder share.
 *
 * A Diff goes through the nodes of `from` from the last to the first and makes
 * gradient nodes in `to`. For a whole graph both are the same; for a scan,
 * `from` is its body and `to` the body of the backward scan, where a forward
 * value must first be fetched or computed again: rules ask diff_value.
 *
 * A gradient on its way to an operand is an Arrival. Arrivals are kept as they
 * come and added when the operand's turn comes, since some are better off not
 * being made at once: slices that tile their operand become one concat, and a
 * sum over the batch that reaches a constant of a scan becomes a carry of the
 * backward scan that its product continues.
 */
#ifndef WEFT_DIFF_H
#define WEFT_DIFF_H

#include "ir/graph.h"

typedef enum {
    ARRIVE_plain, /* grad: of the operand's shape */
    ARRIVE_slice, /* grad: the gradient of `slice`, a slice of the operand */
    ARRIVE_shard, /* grad: [S, ...], yet to be added up and shaped */
    ARRIVE_batch  /* batch_contract of spec, a, b: yet to be made, added up and shaped */
} ArriveKind;

typedef struct {
    ArriveKind kind;
    Node *grad;
    const Node *slice;
    const char *spec;
    Node *a, *b;
    Shape keep; /* shard, batch: the sum's shape, extent 1 where the operand repeats it */
} Arrival;
typedef LIST(Arrival) Arrivals;

/* Which nodes of a graph depend on what we differentiate by. */
typedef struct Active {
    bool *node;            /* by id */
    struct Active **body;  /* by id of a scan */
} Active;

typedef struct Diff {
    Arena *arena;
    Graph *from, *to;
    Active *active;
    int n;                 /* nodes of `from` when it began */
    Arrivals *arrived;     /* by id */
    Node **total;          /* by id: the sum, once made */
    Arrivals **results;    /* by id of a scan: for each of its results */
    struct Saved *saved;   /* null when `to` is `from` */
} Diff;

/* grad.c */
Diff *diff_new(Arena *a, Graph *from, Graph *to, Active *active);
void diff_run(Diff *d);
void arrive(Diff *d, Node *x, Arrival a);
void arrive_plain(Diff *d, Node *x, Node *grad);
/* The sum of what arrived at x, in the order of arrival; null when nothing did.
 * The gradient of a node [S, ...] is the same for all shards and is kept as [...]. */
Node *diff_total(Diff *d, const Node *x);
/* The same for a list of arrivals. */
Node *arrivals_total(Diff *d, const Node *x, const Arrivals *list);
Active *active_find(Arena *a, const Graph *g, Node *const *roots, int nroots);
Node *zeros_of(Graph *g, Dtype dt, Shape s);

/* rules.c */
/* Does a gradient flow from n to its operand k? */
bool grad_flows(const Node *n, int k);
void grad_rule(Diff *d, Node *n, Node *g);

/* sums.c */
/* g has the shape that x was broadcast to: sums it down to x's. is_own: g was made
 * for x alone, so that a product need not be computed to be summed. */
void arrive_broadcast(Diff *d, Node *x, Node *g, bool is_own);
/* g [N, ...] is to be added up over the batch; keep: see Arrival. */
void arrive_rows(Diff *d, Node *x, Node *g, Shape keep);
/* x's gradient is the product of a and b in index notation, labels that are not
 * in lx summed; lx, la, lb: the axes in index notation, lx without sums. */
void arrive_product(Diff *d, Node *x, const char *lx, Node *a, const char *la, Node *b,
                    const char *lb);
/* The shape of a batch_contract without acc. */
Shape product_shape(const char *spec, Node *a, Node *b);

/* scan.c */
/* The forward value of a node of `from`, in `to`. */
Node *diff_value(Diff *d, Node *n);
void scan_rule(Diff *d, Node *scan);

/* own.c */
/* Gradients that a function states. */
void rule_own_gradient(Diff *d, Node *n, Node *g);
/* Puts y in the place of every own_gradient, once nothing more is differentiated. */
void drop_own_gradients(Graph *g);

/* order.c */
void order_depth_first(Graph *g);

/* hoist.c */
void hoist_constants(Graph *g);

#endif
