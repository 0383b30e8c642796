/* Reverse mode: the walk, and the adding up of what arrives.
 *
 * Order of a sum of gradients, which is part of the bits: users from the last
 * to the first in the graph's order (depth first from the outputs: order.c),
 * the operands of one user from the first to the last, ((g1 + g2) + g3). Slices
 * along one axis that do not overlap are first put together by one concat, at
 * the place of the first of them.
 */
#include "grad/grad.h"

#include "grad/diff.h"

#include <stdlib.h>
#include <string.h>

/* ---- what depends on what ---- */

static Active *active_new(Arena *a, const Graph *g)
{
    Active *act = NEW(a, Active);
    act->node = NEW_ARRAY(a, bool, g->nodes.n);
    act->body = NEW_ARRAY(a, Active *, g->nodes.n);
    return act;
}

static void active_sweep(Arena *a, const Graph *g, Active *act);

/* A carry is active when its start or its next value is: up to a fixed point. */
static bool active_scan(Arena *a, const Node *scan, Active *act)
{
    const Graph *body = scan->body;
    Active *in = act->body[scan->id] = active_new(a, body);
    bool any = false;
    for (int p = 0; p < scan->nin; p++)
        if (act->node[scan->in[p]->id] && dtype_is_float(scan->in[p]->dtype))
            in->node[body->inputs.at[p]->id] = any = true;
    int ncarry = (int)attr_int(scan, ATTR_ncarry, 0);
    for (bool changed = any; changed;) {
        changed = false;
        active_sweep(a, body, in);
        for (int i = 0; i < ncarry; i++) {
            bool *carry = &in->node[body->inputs.at[i]->id];
            if (in->node[body->outputs.at[i].node->id] && !*carry)
                *carry = changed = true;
        }
    }
    return any;
}

static bool active_node(Arena *a, const Node *n, Active *act)
{
    if (n->op == OP_scan)
        return active_scan(a, n, act);
    if (!dtype_is_float(n->dtype))
        return false;
    if (n->op == OP_result) {
        const Node *scan = n->in[0];
        const Active *in = act->body[scan->id];
        return in->node[scan->body->outputs.at[attr_int(n, ATTR_index, 0)].node->id];
    }
    for (int k = 0; k < n->nin; k++)
        if (act->node[n->in[k]->id] && grad_flows(n, k))
            return true;
    return false;
}

static void active_sweep(Arena *a, const Graph *g, Active *act)
{
    for (int i = 0; i < g->nodes.n; i++)
        if (!act->node[i] || g->nodes.at[i]->op == OP_scan)
            act->node[i] = active_node(a, g->nodes.at[i], act);
}

Active *active_find(Arena *a, const Graph *g, Node *const *roots, int nroots)
{
    Active *act = active_new(a, g);
    for (int i = 0; i < nroots; i++)
        act->node[roots[i]->id] = true;
    active_sweep(a, g, act);
    return act;
}

/* ---- arrivals ---- */

Diff *diff_new(Arena *a, Graph *from, Graph *to, Active *active)
{
    Diff *d = NEW(a, Diff);
    d->arena = a;
    d->from = from;
    d->to = to;
    d->active = active;
    d->n = from->nodes.n;
    d->arrived = NEW_ARRAY(a, Arrivals, d->n);
    d->total = NEW_ARRAY(a, Node *, d->n);
    d->results = NEW_ARRAY(a, Arrivals *, d->n);
    return d;
}

void arrive(Diff *d, Node *x, Arrival a)
{
    if (x->id < d->n && d->active->node[x->id])
        list_push(d->arena, &d->arrived[x->id], a);
}

void arrive_plain(Diff *d, Node *x, Node *grad)
{
    arrive(d, x, (Arrival){.kind = ARRIVE_plain, .grad = grad});
}

Node *zeros_of(Graph *g, Dtype dt, Shape s)
{
    return make_broadcast(g, make_const_of(g, dt, 0), s);
}

/* ---- slices ---- */

typedef struct { int64_t start, size; Node *grad; } Piece;

static int piece_order(const void *a, const void *b)
{
    int64_t x = ((const Piece *)a)->start, y = ((const Piece *)b)->start;
    return x < y ? -1 : x > y;
}

static int slice_axis(const Node *s)
{
    return (int)attr_int(s, ATTR_axis, 0);
}

static Node *pad_slice(Diff *d, const Node *x, const Arrival *a)
{
    int axis = slice_axis(a->slice), step = (int)attr_int(a->slice, ATTR_step, 1);
    Dim extent = x->shape.d[axis], start = attr_get(a->slice, ATTR_start)->u.dim;
    bool whole = dim_equal(a->slice->shape.d[axis], extent);
    if (whole && (step == 1 || step == -1)) /* the reversal is its own inverse */
        return step == 1 ? a->grad : make_slice(d->to, a->grad, axis, start, extent, step);
    return make_pad(d->to, a->grad, axis, start, extent, step);
}

static void push_gap(Diff *d, const Node *x, int axis, int64_t size, Node **part, int *n)
{
    if (size == 0)
        return;
    Shape s = x->shape;
    s.d[axis] = dim_int(size);
    part[(*n)++] = zeros_of(d->to, x->dtype, s);
}

/* The slices along `axis` in list as one concat, zeros in the gaps; null when
 * they overlap, are not known when compiling, or are fewer than two. */
static Node *join_slices(Diff *d, const Node *x, const Arrivals *list, int axis)
{
    Piece *p = NEW_ARRAY(d->arena, Piece, list->n);
    int n = 0;
    int64_t extent, at = 0;
    if (!dim_const(x->shape.d[axis], &extent))
        return NULL;
    for (int i = 0; i < list->n; i++) {
        const Arrival *a = &list->at[i];
        if (a->kind != ARRIVE_slice || slice_axis(a->slice) != axis)
            continue;
        if (attr_int(a->slice, ATTR_step, 1) != 1 ||
            !dim_const(attr_get(a->slice, ATTR_start)->u.dim, &p[n].start) ||
            !dim_const(a->slice->shape.d[axis], &p[n].size))
            return NULL;
        p[n++].grad = a->grad;
    }
    if (n < 2)
        return NULL;
    qsort(p, (size_t)n, sizeof *p, piece_order);
    for (int i = 0; i < n; i++) {
        if (p[i].start < at)
            return NULL;
        at = p[i].start + p[i].size;
    }
    Node **part = NEW_ARRAY(d->arena, Node *, 2 * n + 1);
    int nparts = 0;
    at = 0;
    for (int i = 0; i < n; i++) {
        push_gap(d, x, axis, p[i].start - at, part, &nparts);
        part[nparts++] = p[i].grad;
        at = p[i].start + p[i].size;
    }
    push_gap(d, x, axis, extent - at, part, &nparts);
    return make_concat(d->to, part, nparts, axis);
}

/* ---- adding up ---- */

static Node *arrival_node(Diff *d, const Node *x, const Arrival *a)
{
    Node *g = a->grad;
    if (a->kind == ARRIVE_slice)
        return pad_slice(d, x, a);
    if (a->kind == ARRIVE_plain)
        return g;
    if (a->kind == ARRIVE_batch)
        g = make_batch_contract(d->to, a->spec, NULL, a->a, a->b);
    g = node1(d->to, OP_sum_shards, g);
    return make_broadcast(d->to, make_reshape(d->to, g, a->keep), x->shape);
}

static void check_shape(const Node *x, const Node *g)
{
    Shape want = x->shape;
    if (shape_has_shards(&want)) {
        want.rank--;
        memmove(want.d, want.d + 1, sizeof(Dim) * (size_t)want.rank);
    }
    if (!shape_equal(&want, &g->shape) || x->dtype != g->dtype)
        bug("the gradient of node %d (%s) has another shape or dtype", x->id, op_info[x->op].name);
}

Node *arrivals_total(Diff *d, const Node *x, const Arrivals *list)
{
    Node *sum = NULL;
    bool joined[RANK_MOST] = {false}, tried[RANK_MOST] = {false};
    for (int i = 0; i < list->n; i++) {
        const Arrival *a = &list->at[i];
        Node *g = NULL;
        if (a->kind == ARRIVE_slice) {
            int axis = slice_axis(a->slice);
            if (joined[axis])
                continue;
            if (!tried[axis])
                g = join_slices(d, x, list, axis);
            tried[axis] = true;
            joined[axis] = g != NULL;
        }
        if (!g)
            g = arrival_node(d, x, a);
        check_shape(x, g);
        sum = sum ? node2(d->to, OP_add, sum, g) : g;
    }
    return sum;
}

Node *diff_total(Diff *d, const Node *x)
{
    if (!d->total[x->id])
        d->total[x->id] = arrivals_total(d, x, &d->arrived[x->id]);
    return d->total[x->id];
}

/* ---- the walk ---- */

static void pass_to_scan(Diff *d, Node *result, Node *g)
{
    Node *scan = result->in[0];
    Arrivals **r = &d->results[scan->id];
    if (!*r)
        *r = NEW_ARRAY(d->arena, Arrivals, scan->body->outputs.n);
    Arrival a = {.kind = ARRIVE_plain, .grad = g};
    list_push(d->arena, &(*r)[attr_int(result, ATTR_index, 0)], a);
}

void diff_run(Diff *d)
{
    for (int i = d->n - 1; i >= 0; i--) {
        Node *n = d->from->nodes.at[i];
        if (!d->active->node[i] || n->op == OP_input)
            continue;
        int made = d->to->nodes.n;
        if (n->op == OP_scan) {
            if (d->results[i])
                scan_rule(d, n);
        } else {
            Node *g = diff_total(d, n);
            if (g && n->op == OP_result)
                pass_to_scan(d, n, g);
            else if (g)
                grad_rule(d, n, g);
        }
        for (int k = made; k < d->to->nodes.n; k++)
            d->to->nodes.at[k]->span = n->span;
    }
}

void grad_append(Graph *g, Node *loss, Node *const *wrt, int nwrt, Node **grad)
{
    order_depth_first(g);
    hoist_constants(g);
    Diff *d = diff_new(g->arena, g, g, active_find(g->arena, g, wrt, nwrt));
    if (d->active->node[loss->id])
        arrive_plain(d, loss, make_const_of(g, loss->dtype, 1));
    diff_run(d);
    for (int i = 0; i < nwrt; i++) {
        int made = g->nodes.n;
        grad[i] = diff_total(d, wrt[i]);
        if (!grad[i])
            grad[i] = zeros_of(g, wrt[i]->dtype, wrt[i]->shape);
        for (int k = made; k < g->nodes.n; k++)
            g->nodes.at[k]->span = wrt[i]->span;
    }
    drop_own_gradients(g);
}
