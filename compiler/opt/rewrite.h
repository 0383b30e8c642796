/* What the passes of this folder share.
 *
 * Two ways to change a graph. `rewrite` goes through it from the inputs to the
 * outputs and puts in a node's place what a rule makes of it, its operands
 * already replaced; good for many small rules. Or a pass makes new nodes at the
 * end and points users at them by graph_replace; graph_compact then restores
 * the order. Either way a body belongs to its scan and is changed in place.
 */
#ifndef WEFT_REWRITE_H
#define WEFT_REWRITE_H

#include "ir/graph.h"

typedef struct Rewrite {
    Graph *g;
    Arena *scratch;
    void *context;
} Rewrite;

/* Returns n, or the node that takes its place. */
typedef Node *(*RewriteRule)(Rewrite *r, Node *n);

/* One walk over g (not into bodies). True when something changed; the graph is
 * then compact again. */
bool rewrite(Graph *g, RewriteRule rule, void *context);

/* Does pass on the bodies of g's scans. */
void for_bodies(Graph *g, void (*pass)(Graph *));

/* Points every use of node i, i < n, at to[i] where that is not null; one sweep. */
void replace_all(Graph *g, Node *const *to, int n);

/* How often each node is used, by id: operands and outputs. */
int *count_uses(Arena *a, const Graph *g);

/* n's operation and attributes on other operands. */
Node *node_on(Graph *g, const Node *n, Node *const *in);

/* A number, seen through casts, broadcasts and reshapes. */
bool is_number(const Node *n, double *v);
bool is_number_of(const Node *n, double v);

/* The axis of operand x that axis `axis` of an elementwise result is, or -1. */
int operand_axis(const Shape *x, const Shape *out, int axis);

/* A scan's operands: carries first, then sequences; from `moving` on they are constants. */
static inline int carries(const Node *scan)
{
    return (int)attr_int(scan, ATTR_ncarry, 0);
}

static inline int moving(const Node *scan)
{
    return carries(scan) + (int)attr_int(scan, ATTR_nseq, 0);
}

/* simplify_map.c, simplify_view.c, phases.c, stable.c: one rule each, n or its better. */
Node *simplify_map(Rewrite *r, Node *n);
Node *simplify_view(Rewrite *r, Node *n);
Node *simplify_window(Rewrite *r, Node *n);
Node *stable_log(Rewrite *r, Node *n);

/* scan.c: drops what a scan computes for nobody: stacks, carries, sequences and
 * constants; merges equal ones. Leaves g to be compacted. True when it changed
 * something. */
bool prune_scans(Graph *g);
/* The index of the scan's result that stacks `n`, a node of its body: an
 * existing one, or one added. */
int scan_stack(Node *scan, Node *n);
/* All steps of a value, [N, T, ...] or [T, ...], of the graph around a scan: what its body has
 * of them in each step, an input that is there or one added. */
Node *scan_sequence(Node *scan, Node *value);

/* A constant seen from a scan's body, or a view of one, made in the graph
 * around it; null where it is neither. */
Node *node_outside(Node *scan, Node *x);
/* A value of the graph around a scan, as a constant of its body. */
Node *scan_constant(Node *scan, Node *value);

#endif
