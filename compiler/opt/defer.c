/* pass_defer: a product summed over time becomes one product after the loop.
 *
 * In the scan of a gradient, dW is a carry [S, ...] whose next value is
 * batch_contract(dW, a[t], b[t]) with acc. Such a carry leaves the loop: a and b
 * are stacked (a sequence is its own stack, a constant has none), and
 * batch_contract over the stacks, with a label for time, gives the sum, on from
 * where the carry started. A part of a concat that is stacked is a slice of that
 * stack. In a loop over segments (segment.c) the product of a segment is over
 * stacks already, and stays: to stack these would be to keep all of time.
 *
 * Exact: the loop runs from the last step to the first, and batch_contract runs
 * through a label of run-time length in the same direction. A length known when
 * compiling would run upwards, so there the stacks are turned round by a view.
 * In a loop that runs forwards the carry stays. (Shards of more than one block,
 * in batches above 2048 rows: compiled code takes a block through the whole loop,
 * as batch_contract does; the interpreter takes all blocks through each step, so
 * that there its bits before and after differ.)
 */
#include "opt/opt.h"

#include "ir/contract.h"
#include "opt/rewrite.h"

#include <string.h>

typedef struct { Node *node; bool has_time; } Stacked;

/* ---- what may be deferred ---- */

static bool is_carry_sum(const Node *scan, int i)
{
    const Graph *body = scan->body;
    const Node *in = body->inputs.at[i], *next = body->outputs.at[i].node;
    if (next->op != OP_batch_contract || !attr_int(next, ATTR_acc, 0) || next->in[0] != in)
        return false;
    if (!shape_has_shards(&in->shape))
        return false;
    int reads = 0, uses = 0;
    for (int k = 0; k < body->nodes.n; k++)
        for (int m = 0; m < body->nodes.at[k]->nin; m++) {
            reads += body->nodes.at[k]->in[m] == in;
            uses += body->nodes.at[k]->in[m] == next;
        }
    for (int k = 0; k < body->outputs.n; k++) {
        reads += body->outputs.at[k].node == in;
        uses += body->outputs.at[k].node == next;
    }
    return reads == 1 && uses == 1;
}

/* A node computed from numbers and indices alone, such as the 1 of a bias's sum. */
static bool is_literal(const Node *n, int depth)
{
    if (n->op == OP_input || n->op == OP_random || n->op == OP_scan || depth == 0)
        return false;
    for (int k = 0; k < n->nin; k++)
        if (!is_literal(n->in[k], depth - 1))
            return false;
    return true;
}

static Node *copy_literal(Graph *g, const Node *n)
{
    Node **in = NEW_ARRAY(g->arena, Node *, n->nin);
    for (int k = 0; k < n->nin; k++)
        in[k] = copy_literal(g, n->in[k]);
    return node_on(g, n, in);
}

/* Does the value move with time? */
static bool has_time(const Node *scan, const Node *n)
{
    int moving = (int)(attr_int(scan, ATTR_ncarry, 0) + attr_int(scan, ATTR_nseq, 0));
    for (int p = moving; p < scan->nin; p++)
        if (scan->body->inputs.at[p] == n)
            return false;
    return !is_literal(n, 4);
}

/* A node that is a part of a stacked concat: a slice of that stack, else null. */
static Node *part_of_stack(Node *scan, const Node *n)
{
    const Graph *body = scan->body;
    for (int i = (int)attr_int(scan, ATTR_ncarry, 0); i < body->outputs.n; i++) {
        const Node *all = body->outputs.at[i].node;
        int axis = (int)attr_int(all, ATTR_axis, 0);
        Dim start = dim_int(0);
        for (int k = 0; all->op == OP_concat && k < all->nin; k++) {
            if (all->in[k] == n)
                return make_slice(scan->graph, make_result(scan->graph, scan, i), axis + 1, start,
                                  n->shape.d[axis], 1);
            if (!dim_add(start, all->in[k]->shape.d[axis], &start))
                break;
        }
    }
    return NULL;
}

static Stacked stacked(Node *scan, Node *n);

/* A reshaped value is stacked as it was made, where it needs no copy, and reshaped after the
 * loop. */
static Node *stacked_reshape(Node *scan, Node *n)
{
    Shape s = n->shape;
    int lead = shape_has_batch(&s);
    Node *x = stacked(scan, n->in[0]).node;
    memmove(s.d + lead + 1, s.d + lead, sizeof(Dim) * (size_t)(s.rank - lead));
    s.d[lead] = x->shape.d[lead];
    s.rank++;
    return make_reshape(scan->graph, x, s);
}

/* All steps of a node of the body, in the graph around the scan. */
static Stacked stacked(Node *scan, Node *n)
{
    int ncarry = (int)attr_int(scan, ATTR_ncarry, 0);
    for (int p = ncarry; p < scan->nin; p++)
        if (scan->body->inputs.at[p] == n)
            return (Stacked){scan->in[p], has_time(scan, n)};
    if (!has_time(scan, n))
        return (Stacked){copy_literal(scan->graph, n), false};
    if (n->op == OP_reshape && has_time(scan, n->in[0]) && n->in[0]->shape.rank < RANK_MOST &&
        shape_has_batch(&n->shape) == shape_has_batch(&n->in[0]->shape))
        return (Stacked){stacked_reshape(scan, n), true};
    Node *part = part_of_stack(scan, n);
    return (Stacked){part ? part : make_result(scan->graph, scan, scan_stack(scan, n)), true};
}

/* ---- the product after the loop ---- */

/* Time must run downwards. */
static Node *downwards(Graph *g, Node *x)
{
    int axis = shape_has_batch(&x->shape);
    int64_t steps;
    Dim length = x->shape.d[axis];
    return dim_const(length, &steps) ? make_slice(g, x, axis, dim_int(steps - 1), length, -1) : x;
}

static char free_letter(const char *spec)
{
    for (const char *c = "tabcdefghijklmopqruvwxyz"; *c; c++)
        if (!strchr(spec, *c))
            return *c;
    return 0;
}

/* The operand's labels with time after the batch. */
static char *with_time(Arena *a, const char *labels, size_t n, char time)
{
    size_t lead = n > 0 && labels[0] == 'n';
    return arena_printf(a, "%.*s%c%.*s", (int)lead, labels, time, (int)(n - lead), labels + lead);
}

static Node *product_after(Node *scan, const Node *next, Node *start)
{
    Graph *g = scan->graph;
    const char *spec = attr_str(next, ATTR_spec), *comma = strchr(spec, ',');
    const char *labels[2] = {spec, comma + 1}, *arrow = strstr(spec, "->");
    size_t count[2] = {(size_t)(comma - spec), (size_t)(arrow - comma - 1)};
    char time = free_letter(spec);
    Node *x[2];
    const char *l[2];
    for (int o = 0; o < 2; o++) {
        Stacked s = stacked(scan, next->in[1 + o]);
        x[o] = s.has_time ? downwards(g, s.node) : s.node;
        l[o] = s.has_time ? with_time(g->arena, labels[o], count[o], time)
                          : arena_strndup(g->arena, labels[o], count[o]);
    }
    spec = arena_printf(g->arena, "%s,%s%s", l[0], l[1], arrow);
    Node *n = make_batch_contract(g, spec, start, x[0], x[1]);
    n->span = next->span;
    return n;
}

/* Time must be the outermost of the summed labels, as it is in the loop: the
 * first to appear, and not of fixed length beside one of run-time length. */
static bool time_is_outermost(const Node *scan, const Node *next, bool first_has_time)
{
    Contract c;
    Dim extent[LABELS_MOST];
    int64_t v;
    bool fixed = dim_const(attr_get(scan, ATTR_length)->u.dim, &v);
    contract_of(next, &c);
    contract_extents(next, &c, extent);
    for (int l = c.nout; l < c.nlabel; l++) {
        if (c.label[l] == 'n')
            continue;
        if (fixed && !dim_const(extent[l], &v))
            return false;
        if (!first_has_time && contract_has(&c, 0, 0, l))
            return false;
    }
    return true;
}

/* Of a loop in this loop. */
static bool is_stack(const Node *n)
{
    while (op_info[n->op].kind == KIND_view)
        n = n->in[0];
    return n->op == OP_result &&
           attr_int(n, ATTR_index, 0) >= attr_int(n->in[0], ATTR_ncarry, 0);
}

static bool may_defer(const Node *scan, const Node *next)
{
    bool time[2];
    for (int o = 0; o < 2; o++) {
        if (is_stack(next->in[1 + o]))
            return false;
        time[o] = has_time(scan, next->in[1 + o]);
        if (time[o] && next->in[1 + o]->shape.rank == RANK_MOST)
            return false;
    }
    return (time[0] || time[1]) && time_is_outermost(scan, next, time[0]) &&
           free_letter(attr_str(next, ATTR_spec));
}

static bool defer_carry(Node *scan, int i, const Users *users)
{
    const Node *next = scan->body->outputs.at[i].node;
    Node *sum = NULL;
    if (!is_carry_sum(scan, i) || !may_defer(scan, next))
        return false;
    for (int k = 0; k < users->at.n; k++) {
        if (attr_int(users->at.at[k], ATTR_index, 0) != i)
            continue;
        if (!sum)
            sum = product_after(scan, next, is_number_of(scan->in[i], 0) ? NULL : scan->in[i]);
        graph_replace(scan->graph, users->at.at[k], sum);
    }
    return sum;
}

void pass_defer(Graph *g)
{
    graph_compact(g);
    for_bodies(g, pass_defer);
    Arena *scratch = arena_new();
    Users *users = graph_users(scratch, g);
    bool changed = false;
    for (int i = 0, n = g->nodes.n; i < n; i++) {
        Node *scan = g->nodes.at[i];
        if (scan->op != OP_scan || !attr_int(scan, ATTR_reverse, 0))
            continue;
        for (int c = 0; c < attr_int(scan, ATTR_ncarry, 0); c++)
            changed |= defer_carry(scan, c, &users[scan->id]);
    }
    arena_free(scratch);
    if (changed) {
        graph_compact(g);
        prune_scans(g);
        graph_compact(g);
    }
}
