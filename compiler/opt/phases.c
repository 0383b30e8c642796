/* Rule of pass_simplify: no products with the zeros between a tensor's elements.
 *
 * The gradient of windows that go in strides, and a transposed convolution, slide
 * over a tensor with s - 1 zeros between its elements along an axis:
 *
 *   out[u] = sum over r of F[u + r] K[r],  F[j] = x[(j - start) / s] where that is
 *   an element, else 0.
 *
 * At u = s v + phase only r = r0 + s m counts, r0 = (start - phase) mod s, and meets
 * x[v + m + (phase + r0 - start) / s]: an ordinary product of x with every s-th tap.
 * The s phases, joined, are the output (the transform of Shi et al. 2016, section 3).
 */
#include "opt/rewrite.h"

#include "ir/contract.h"

#include <string.h>

enum { STRIDE_MOST = 16 };

typedef struct {
    const Node *product;
    Contract c;
    int o, axis;           /* the operand's axis along which zeros stand */
    int u, r, tap;         /* its labels: output's, summed; the other operand's axis r */
    Node *pad;             /* what puts them there, perhaps below other pads */
    int64_t start, step, size, out, taps; /* of the pad; elements of x; extents of u and r */
} Spread;

static bool is_const_dim(Dim d, int64_t *v)
{
    return dim_const(d, v) && *v > 0;
}

/* The pad with a step along the axis, below pads along others; null: none. */
static Node *spreading_pad(Node *x, int axis)
{
    while (x->op == OP_pad && attr_int(x, ATTR_axis, 0) != axis)
        x = x->in[0];
    return x->op == OP_pad && attr_int(x, ATTR_step, 1) > 1 ? x : NULL;
}

static bool find_axis(Spread *s, const Dim *extent)
{
    const ContractAxis *a = &s->c.term[0].axis[s->o][s->axis];
    if (a->n != 2 || a->coef[0] != 1 || a->coef[1] != 1)
        return false;
    bool first = a->label[0] < s->c.nout;
    s->u = a->label[!first];
    s->r = a->label[first];
    if (s->u >= s->c.nout || s->r < s->c.nout || contract_has(&s->c, 0, !s->o, s->u))
        return false;
    s->tap = -1;
    for (int i = 0; i < s->c.term[0].rank[!s->o]; i++)
        if (axis_label(&s->c.term[0].axis[!s->o][i]) == s->r)
            s->tap = i;
    s->pad = spreading_pad(s->product->in[s->o], s->axis);
    if (s->tap < 0 || !s->pad)
        return false;
    s->step = attr_int(s->pad, ATTR_step, 1);
    Dim start = attr_get(s->pad, ATTR_start)->u.dim;
    return s->step <= STRIDE_MOST && dim_const(start, &s->start) &&
           is_const_dim(s->pad->in[0]->shape.d[s->axis], &s->size) &&
           is_const_dim(extent[s->u], &s->out) && is_const_dim(extent[s->r], &s->taps);
}

/* x with another tensor in the place of the pad below it. */
static Node *on_other(Graph *g, Node *x, const Node *pad, Node *by)
{
    if (x == pad)
        return by;
    Node *in = on_other(g, x->in[0], pad, by);
    return node_on(g, x, &in);
}

/* x's elements [first, first + count) along the axis, 0 beyond its ends; null: all 0. */
static Node *reach(Graph *g, const Spread *s, int64_t first, int64_t count)
{
    int64_t lo = first > 0 ? first : 0, hi = first + count < s->size ? first + count : s->size;
    if (lo >= hi)
        return NULL;
    Node *x = s->pad->in[0];
    if (hi - lo < s->size)
        x = make_slice(g, x, s->axis, dim_int(lo), dim_int(hi - lo), 1);
    if (hi - lo < count)
        x = make_pad(g, x, s->axis, dim_int(lo - first), dim_int(count), 1);
    return x;
}

/* The outputs of a phase, `count` of them. */
static Node *phase_of(Graph *g, const Spread *s, int64_t phase, int64_t count)
{
    const Node *n = s->product;
    Shape shape = n->shape;
    shape.d[s->u] = dim_int(count);
    int64_t r0 = ((s->start - phase) % s->step + s->step) % s->step;
    int64_t taps = r0 < s->taps ? (s->taps - r0 + s->step - 1) / s->step : 0;
    Node *x = taps ? reach(g, s, (phase + r0 - s->start) / s->step, count + taps - 1) : NULL;
    if (!x)
        return make_broadcast(g, make_const_of(g, n->dtype, 0), shape);
    Node *in[2];
    in[s->o] = on_other(g, n->in[s->o], s->pad, x);
    in[!s->o] = make_slice(g, n->in[!s->o], s->tap, dim_int(r0), dim_int(taps), (int)s->step);
    Contract c = s->c;
    c.written[s->u] = c.written[s->r] = 0;
    Node *y = make_contract(g, contract_text(g->arena, &c), in, 2);
    y->span = n->span;
    return y;
}

/* Element i of the result is element i / s of part i mod s. */
static Node *interleave(Graph *g, Node **part, int64_t s, int axis, int64_t size)
{
    Shape shape = part[0]->shape, apart = shape;
    int64_t count = 0;
    dim_const(shape.d[axis], &count);
    apart.rank++;
    memmove(apart.d + axis + 2, shape.d + axis + 1,
            sizeof(Dim) * (size_t)(shape.rank - axis - 1));
    apart.d[axis + 1] = dim_int(1);
    for (int64_t i = 0; i < s; i++)
        part[i] = make_reshape(g, part[i], apart);
    shape.d[axis] = dim_int(count * s);
    Node *all = make_reshape(g, make_concat(g, part, (int)s, axis + 1), shape);
    return count * s == size ? all : make_slice(g, all, axis, dim_int(0), dim_int(size), 1);
}

Node *simplify_window(Rewrite *r, Node *n)
{
    Spread s = {.product = n};
    Dim extent[LABELS_MOST];
    Node *part[STRIDE_MOST];
    if (n->op != OP_contract || attr_int(n, ATTR_acc, 0) || n->shape.rank == RANK_MOST)
        return n;
    contract_of(n, &s.c);
    if (s.c.nterm != 1 || !contract_is_affine(&s.c))
        return n;
    contract_extents(n, &s.c, extent);
    for (s.o = 0; s.o < 2; s.o++)
        for (s.axis = 0; s.axis < s.c.term[0].rank[s.o]; s.axis++) {
            if (!find_axis(&s, extent))
                continue;
            int64_t count = (s.out + s.step - 1) / s.step;
            for (int64_t i = 0; i < s.step; i++)
                part[i] = phase_of(r->g, &s, i, count);
            return interleave(r->g, part, s.step, s.u, s.out);
        }
    return n;
}
