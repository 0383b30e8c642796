/* pass_sink: slices, and reshapes by axes of one element, move towards the leaves.
 *
 *   slice(f(a, b))           ->  f(slice a, slice b)       f elementwise
 *   slice(contract(x, W))    ->  contract(x, slice W)      along an output label; along
 *                                                          one that windows slide over, the
 *                                                          part of x that they meet
 *   slice(pad(x))            ->  pad(slice x), pad(x)      along another axis; a pad cut down
 *   slice(concat(a, b))      ->  the parts of a and b that it covers
 *   slice(broadcast(x))      ->  broadcast(slice x)
 *   reshape(f(a, b))         ->  f(reshape a, reshape b)   [1, n] to [n] and the like
 *
 * so that the gates of a cell, cut from one product, are products of their own
 * and fuse with what follows them. Only where nothing is computed twice: all
 * users of the node are slices along one axis that do not overlap, or one reshape. Each element
 * keeps its operations and their order: exact.
 */
#include "opt/opt.h"

#include "ir/contract.h"
#include "opt/rewrite.h"

enum { ROUNDS_MOST = 256 };

typedef struct { int axis, step; Dim start, size; } Range;

static Range range_of(const Node *n)
{
    return (Range){(int)attr_int(n, ATTR_axis, 0), (int)attr_int(n, ATTR_step, 1),
                   attr_get(n, ATTR_start)->u.dim, attr_get(n, ATTR_size)->u.dim};
}

static Node *cut(Graph *g, Node *x, int axis, Range r)
{
    return make_slice(g, x, axis, r.start, r.size, r.step);
}

/* ---- may it sink? ---- */

/* The elements [lo, hi] that a slice lies between. */
static bool bounds(Range r, int64_t *lo, int64_t *hi)
{
    int64_t start, size;
    if (!dim_const(r.start, &start) || !dim_const(r.size, &size))
        return false;
    int64_t last = start + (size - 1) * r.step;
    *lo = start < last ? start : last;
    *hi = start < last ? last : start;
    return true;
}

static bool is_whole(const Node *n)
{
    return dim_equal(n->shape.d[range_of(n).axis], n->in[0]->shape.d[range_of(n).axis]);
}

static bool are_disjoint(const Node *a, const Node *b)
{
    int64_t lo[2], hi[2];
    if (range_of(a).axis != range_of(b).axis || !bounds(range_of(a), &lo[0], &hi[0]) ||
        !bounds(range_of(b), &lo[1], &hi[1]))
        return false;
    return hi[0] < lo[1] || hi[1] < lo[0];
}

/* All uses of x are slices, together covering each element at most once. */
static bool is_cut_apart(const Users *users, int nuses)
{
    if (users->at.n == 0 || nuses != users->at.n)
        return false;
    for (int i = 0; i < users->at.n; i++) {
        const Node *s = users->at.at[i];
        if (s->op != OP_slice || (users->at.n == 1 && is_whole(s) && range_of(s).step == 1))
            return false;
        for (int k = 0; k < i; k++)
            if (!are_disjoint(users->at.at[k], s))
                return false;
    }
    return true;
}

/* ---- one step down ---- */

static Node *through_map(Graph *g, Node *x, Range r)
{
    Node *in[3];
    for (int k = 0; k < x->nin; k++) {
        int axis = operand_axis(&x->in[k]->shape, &x->shape, r.axis);
        bool has = axis >= 0 && !dim_is(x->in[k]->shape.d[axis], 1);
        in[k] = has ? cut(g, x->in[k], axis, r) : x->in[k];
    }
    return node_on(g, x, in);
}

/* The part of axis i of operand x that windows meet when label l runs through r;
 * false where a length is not known. */
static bool window_range(const ContractAxis *axis, const Dim *extent, int l, Range r, Range *part)
{
    int64_t start, size, other, reach = 0, from = 0;
    if (r.step != 1 || !dim_const(r.start, &start) || !dim_const(r.size, &size) || size < 1)
        return false;
    for (int k = 0; k < axis->n; k++) {
        if (!dim_const(extent[axis->label[k]], &other))
            return false;
        if (axis->label[k] == l)
            from = axis->coef[k] * start;
        reach += axis->coef[k] * ((axis->label[k] == l ? size : other) - 1);
    }
    *part = (Range){.step = 1, .start = dim_int(from), .size = dim_int(reach + 1)};
    return true;
}

static Node *through_contract(Graph *g, Node *x, Range r)
{
    Contract c;
    Dim extent[LABELS_MOST];
    Node *in[2 * TERMS_MOST + 1];
    int acc = (int)attr_int(x, ATTR_acc, 0);
    contract_of(x, &c);
    contract_extents(x, &c, extent);
    if (acc)
        in[0] = cut(g, x->in[0], r.axis, r);
    for (int t = 0; t < c.nterm; t++)
        for (int o = 0; o < 2; o++) {
            int k = acc + 2 * t + o;
            in[k] = x->in[k];
            for (int i = 0; i < c.term[t].rank[o]; i++) {
                const ContractAxis *axis = &c.term[t].axis[o][i];
                Range part = r;
                bool sum = axis_label(axis) < 0, has = axis_label(axis) == r.axis;
                for (int m = 0; sum && m < axis->n; m++)
                    has |= axis->label[m] == r.axis;
                if (sum && has && !window_range(axis, extent, r.axis, r, &part))
                    return NULL;
                if (has)
                    in[k] = cut(g, in[k], i, part);
            }
        }
    if (c.written[r.axis])
        return NULL;
    return node_on(g, x, in);
}

/* Along another axis the slice goes first; along the padded one the pad is cut
 * down where x stays whole. */
static Node *through_pad(Graph *g, Node *x, Range r)
{
    Range p = range_of(x);
    int64_t lo, hi, start, size;
    if (p.axis != r.axis)
        return make_pad(g, cut(g, x->in[0], r.axis, r), p.axis, p.start, p.size, p.step);
    if (r.step != 1 || p.step < 1 || !bounds(r, &lo, &hi) || !dim_const(p.start, &start) ||
        !dim_const(x->in[0]->shape.d[p.axis], &size) || start < lo ||
        start + (size - 1) * p.step > hi)
        return NULL;
    return make_pad(g, x->in[0], p.axis, dim_int(start - lo), r.size, p.step);
}

/* Along the joined axis: the parts covered, in the slice's order. */
static Node *across_parts(Graph *g, Node *x, Range r)
{
    int64_t lo, hi, from = 0, extent;
    Node **part = NEW_ARRAY(g->arena, Node *, x->nin);
    int n = 0;
    if (r.step != 1 || !bounds(r, &lo, &hi))
        return NULL;
    for (int k = 0; k < x->nin; k++, from += extent) {
        if (!dim_const(x->in[k]->shape.d[r.axis], &extent))
            return NULL;
        int64_t a = lo > from ? lo : from, b = hi < from + extent - 1 ? hi : from + extent - 1;
        if (a > b)
            continue;
        part[n++] = b - a + 1 == extent ? x->in[k]
                                        : make_slice(g, x->in[k], r.axis, dim_int(a - from),
                                                     dim_int(b - a + 1), 1);
    }
    return make_concat(g, part, n, r.axis);
}

static Node *through_concat(Graph *g, Node *x, Range r)
{
    int axis = (int)attr_int(x, ATTR_axis, 0);
    if (axis == r.axis)
        return across_parts(g, x, r);
    Node **part = NEW_ARRAY(g->arena, Node *, x->nin);
    for (int k = 0; k < x->nin; k++)
        part[k] = cut(g, x->in[k], r.axis, r);
    return make_concat(g, part, x->nin, axis);
}

static Node *through_broadcast(Graph *g, Node *x, Node *slice, Range r)
{
    Node *y = x->in[0];
    int axis = operand_axis(&y->shape, &x->shape, r.axis);
    bool has = axis >= 0 && !dim_is(y->shape.d[axis], 1);
    return make_broadcast(g, has ? cut(g, y, axis, r) : y, slice->shape);
}

/* What takes the place of slice(x), or null where x lets none through. */
static Node *sunk(Graph *g, Node *x, Node *slice)
{
    Range r = range_of(slice);
    if (op_info[x->op].kind == KIND_map)
        return through_map(g, x, r);
    switch (x->op) {
    case OP_contract:
        return through_contract(g, x, r);
    case OP_concat:
        return through_concat(g, x, r);
    case OP_broadcast:
        return through_broadcast(g, x, slice, r);
    case OP_pad:
        return through_pad(g, x, r);
    default:
        return NULL;
    }
}

/* ---- reshapes ---- */

/* An operand's shape `s` when an elementwise result of shape `from` becomes `to`, which has the
 * same axes but for those of one element. */
static Shape operand_reshaped(const Shape *s, const Shape *from, const Shape *to)
{
    Shape out = {.rank = 0};
    bool begun = false; /* the operand has one of the axes so far */
    if (s->rank == 0)
        return out;
    for (int i = 0, j = 0; j < to->rank; j++) {
        Dim d = dim_int(1);
        if (!dim_is(to->d[j], 1)) {
            while (dim_is(from->d[i], 1))
                i++;
            int axis = operand_axis(s, from, i++);
            if (axis < 0 && !begun) { /* it begins behind this axis */
                out.rank = 0;
                continue;
            }
            begun = true;
            if (axis >= 0)
                d = s->d[axis];
        }
        out.d[out.rank++] = d;
    }
    return out;
}

/* Do two shapes differ by axes of one element alone? */
static bool differ_by_units(const Shape *a, const Shape *b)
{
    int i = 0, j = 0;
    for (;; i++, j++) {
        while (i < a->rank && dim_is(a->d[i], 1))
            i++;
        while (j < b->rank && dim_is(b->d[j], 1))
            j++;
        if (i == a->rank || j == b->rank)
            return i == a->rank && j == b->rank;
        if (!dim_equal(a->d[i], b->d[j]))
            return false;
    }
}

/* The one use of elementwise x is a reshape that only adds or drops axes of one element. */
static bool is_reshaped(const Node *x, const Users *users, int nuses)
{
    return nuses == 1 && users->at.n == 1 && users->at.at[0]->op == OP_reshape &&
           op_info[x->op].kind == KIND_map && x->shape.rank > 0 &&
           differ_by_units(&x->shape, &users->at.at[0]->shape);
}

static Node *through_reshape(Graph *g, Node *x, const Node *reshape)
{
    Node *in[3];
    for (int k = 0; k < x->nin; k++) {
        Shape s = operand_reshaped(&x->in[k]->shape, &x->shape, &reshape->shape);
        in[k] = shape_equal(&s, &x->in[k]->shape) ? x->in[k] : make_reshape(g, x->in[k], s);
    }
    Node *y = node_on(g, x, in);
    return shape_equal(&y->shape, &reshape->shape) ? y : NULL;
}

/* ---- the pass ---- */

static bool sink_once(Graph *g)
{
    Arena *scratch = arena_new();
    Users *users = graph_users(scratch, g);
    int *uses = count_uses(scratch, g), n = g->nodes.n;
    Node **to = NEW_ARRAY(scratch, Node *, n);
    bool changed = false;
    for (int i = 0; i < n; i++) {
        Node *x = g->nodes.at[i];
        if (is_reshaped(x, &users[i], uses[i])) {
            Node *reshape = users[i].at.at[0], *y = through_reshape(g, x, reshape);
            to[reshape->id] = y;
            changed |= y != NULL;
            continue;
        }
        if (!is_cut_apart(&users[i], uses[i]))
            continue;
        for (int k = 0; k < users[i].at.n; k++) {
            Node *slice = users[i].at.at[k];
            int made = g->nodes.n;
            Node *y = sunk(g, x, slice);
            if (!y)
                break;
            for (int m = made; m < g->nodes.n; m++)
                if (g->nodes.at[m]->op == OP_slice)
                    g->nodes.at[m]->span = slice->span;
            if (y->id >= made && !y->name)
                y->name = slice->name;
            to[slice->id] = y;
            changed = true;
        }
    }
    replace_all(g, to, n);
    arena_free(scratch);
    if (changed)
        graph_compact(g);
    return changed;
}

void pass_sink(Graph *g)
{
    graph_compact(g);
    for_bodies(g, pass_sink);
    for (int round = 0; round < ROUNDS_MOST && sink_once(g); round++)
        ;
}
