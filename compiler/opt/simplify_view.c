/* Rules of pass_simplify for index arithmetic: views of views, slices of what
 * was put together, sums over single elements. */
#include "opt/rewrite.h"

#include <string.h>

typedef struct { int axis, step; Dim start, size; } Range;

static Range range_of(const Node *n)
{
    return (Range){(int)attr_int(n, ATTR_axis, 0), (int)attr_int(n, ATTR_step, 1),
                   attr_get(n, ATTR_start)->u.dim, attr_get(n, ATTR_size)->u.dim};
}

/* ---- slices ---- */

/* x[a][b] = x[a.start + a.step * b.start + a.step * b.step * i] */
static Node *slice_of_slice(Graph *g, Node *x, Range b)
{
    Range a = range_of(x);
    Dim start;
    if (a.axis != b.axis || !dim_affine(b.start, a.step, 0, 1, &start) ||
        !dim_add(start, a.start, &start))
        return NULL;
    return make_slice(g, x->in[0], b.axis, start, b.size, a.step * b.step);
}

/* The part of the concat that holds the whole range. */
static Node *slice_of_concat(Graph *g, Node *x, Range b)
{
    int64_t start, size, from = 0, extent;
    if (attr_int(x, ATTR_axis, 0) != b.axis || !dim_const(b.start, &start) ||
        !dim_const(b.size, &size))
        return NULL;
    int64_t last = start + (size - 1) * b.step;
    int64_t lo = start < last ? start : last, hi = start < last ? last : start;
    for (int k = 0; k < x->nin && dim_const(x->in[k]->shape.d[b.axis], &extent); k++) {
        if (lo >= from && hi < from + extent)
            return make_slice(g, x->in[k], b.axis, dim_int(start - from), b.size, b.step);
        from += extent;
    }
    return NULL;
}

static Node *slice_of_broadcast(Graph *g, Node *n, Node *x, Range b)
{
    const Shape *s = &x->in[0]->shape;
    int axis = operand_axis(s, &x->shape, b.axis);
    if (axis >= 0 && !dim_is(s->d[axis], 1))
        return NULL;
    return make_broadcast(g, x->in[0], n->shape);
}

static Node *simplify_slice(Graph *g, Node *n)
{
    Node *x = n->in[0];
    Range b = range_of(n);
    if (b.step == 1 && dim_is(b.start, 0) && dim_equal(b.size, x->shape.d[b.axis]))
        return x;
    if (dim_is(b.size, 1) && b.step != 1) /* one spelling for one element */
        return make_slice(g, x, b.axis, b.start, b.size, 1);
    switch (x->op) {
    case OP_slice:
        return slice_of_slice(g, x, b);
    case OP_concat:
        return slice_of_concat(g, x, b);
    case OP_broadcast:
        return slice_of_broadcast(g, n, x, b);
    default:
        return NULL;
    }
}

/* ---- concat ---- */

/* Parts that are neighbouring slices of one tensor become one slice. */
static bool join_parts(Graph *g, Node *a, Node *b, int axis, Node **out)
{
    Range ra, rb;
    Dim next;
    if (a->op != OP_slice || b->op != OP_slice || a->in[0] != b->in[0])
        return false;
    ra = range_of(a);
    rb = range_of(b);
    if (ra.axis != axis || rb.axis != axis || ra.step != 1 || rb.step != 1 ||
        !dim_add(ra.start, ra.size, &next) || !dim_equal(next, rb.start) ||
        !dim_add(ra.size, rb.size, &next))
        return false;
    *out = make_slice(g, a->in[0], axis, ra.start, next, 1);
    return true;
}

/* Does a reshape insert one axis of a single element, `axis`? */
static bool inserts_axis(const Node *n, int axis)
{
    if (n->op != OP_reshape || n->in[0]->shape.rank != n->shape.rank - 1)
        return false;
    for (int i = 0; i < n->shape.rank; i++)
        if (i == axis ? !dim_is(n->shape.d[i], 1)
                      : !dim_equal(n->shape.d[i], n->in[0]->shape.d[i - (i > axis)]))
            return false;
    return true;
}

/* concat(x as [1, n], y as [1, n]) -> concat(x, y) as [2, n]: what makes x and y can store
 * them where they belong. */
static Node *concat_of_inserted(Rewrite *r, Node *n, int axis)
{
    Node **part = NEW_ARRAY(r->scratch, Node *, n->nin);
    if (axis + 1 >= n->shape.rank)
        return NULL;
    for (int k = 0; k < n->nin; k++) {
        if (!inserts_axis(n->in[k], axis))
            return NULL;
        part[k] = n->in[k]->in[0];
    }
    return make_reshape(r->g, make_concat(r->g, part, n->nin, axis), n->shape);
}

static Node *simplify_concat(Rewrite *r, Node *n)
{
    int axis = (int)attr_int(n, ATTR_axis, 0);
    LIST(Node *) part = {0};
    bool changed = n->nin == 1;
    for (int k = 0; k < n->nin; k++) {
        Node *x = n->in[k];
        if (x->op == OP_concat && attr_int(x, ATTR_axis, 0) == axis) {
            for (int i = 0; i < x->nin; i++)
                list_push(r->scratch, &part, x->in[i]);
            changed = true;
        } else if (part.n && join_parts(r->g, part.at[part.n - 1], x, axis, &x)) {
            part.at[part.n - 1] = x;
            changed = true;
        } else {
            list_push(r->scratch, &part, x);
        }
    }
    return changed ? make_concat(r->g, part.at, part.n, axis) : concat_of_inserted(r, n, axis);
}

/* ---- the others ---- */

static Node *simplify_transpose(Graph *g, Node *n)
{
    Node *x = n->in[0];
    const int64_t *outer = attr_get(n, ATTR_perm)->u.ints;
    int perm[RANK_MOST];
    bool moves = false;
    for (int i = 0; i < n->shape.rank; i++)
        moves |= outer[i] != i;
    if (!moves)
        return x;
    if (x->op != OP_transpose)
        return NULL;
    for (int i = 0; i < n->shape.rank; i++)
        perm[i] = (int)attr_get(x, ATTR_perm)->u.ints[outer[i]];
    return make_transpose(g, x->in[0], perm);
}

static Node *simplify_reshape(Graph *g, Node *n)
{
    Node *x = n->in[0];
    if (shape_equal(&x->shape, &n->shape))
        return x;
    if (x->op == OP_reshape)
        return make_reshape(g, x->in[0], n->shape);
    if (x->op == OP_broadcast && x->in[0]->shape.rank == 0)
        return make_broadcast(g, x->in[0], n->shape);
    return NULL;
}

static Node *simplify_broadcast(Graph *g, Node *n)
{
    Node *x = n->in[0];
    if (shape_equal(&x->shape, &n->shape))
        return x;
    return x->op == OP_broadcast ? make_broadcast(g, x->in[0], n->shape) : NULL;
}

static Node *simplify_pad(Node *n)
{
    Range b = range_of(n);
    Node *x = n->in[0];
    return b.step == 1 && dim_is(b.start, 0) && dim_equal(b.size, x->shape.d[b.axis]) ? x : NULL;
}

/* Over axes of one element there is nothing to reduce. */
static Node *simplify_reduce(Graph *g, Node *n)
{
    const Attr *axes = attr_get(n, ATTR_axes);
    for (int i = 0; i < axes->n; i++)
        if (!dim_is(n->in[0]->shape.d[axes->u.ints[i]], 1))
            return NULL;
    return make_reshape(g, n->in[0], n->shape);
}

Node *simplify_view(Rewrite *r, Node *n)
{
    Node *s = NULL;
    int64_t v;
    switch (n->op) {
    case OP_slice:
        s = simplify_slice(r->g, n);
        break;
    case OP_concat:
        s = simplify_concat(r, n);
        break;
    case OP_transpose:
        s = simplify_transpose(r->g, n);
        break;
    case OP_reshape:
        s = simplify_reshape(r->g, n);
        break;
    case OP_broadcast:
        s = simplify_broadcast(r->g, n);
        break;
    case OP_pad:
        s = simplify_pad(n);
        break;
    case OP_reduce_sum:
    case OP_reduce_max:
    case OP_reduce_min:
        s = simplify_reduce(r->g, n);
        break;
    case OP_dim:
        if (dim_const(attr_get(n, ATTR_dim)->u.dim, &v))
            s = make_const(r->g, (double)v);
        break;
    default:
        break;
    }
    return s ? s : n;
}
