/* The makers: one call each for what callers would spell with attribute lists. */
#include "ir/contract.h"
#include "ir/check.h"

#include <stdarg.h>
#include <string.h>

static const Span nowhere;

Node *make_const_of(Graph *g, Dtype dt, double v)
{
    Attr attr[] = {attr_of_float(ATTR_value, v), attr_of_int(ATTR_dtype, dt)};
    return node_new(g, OP_const, nowhere, NULL, 0, attr, 2);
}

Node *make_const(Graph *g, double v)
{
    return make_const_of(g, DT_f64, v);
}

Node *make_tensor(Graph *g, Dtype dt, Shape s, const double *v, int n, Span at)
{
    Attr attr[] = {attr_of_floats(ATTR_values, v, n), attr_of_int(ATTR_dtype, dt),
                   attr_of_shape(ATTR_shape, s)};
    return node_new(g, OP_tensor, at, NULL, 0, attr, 3);
}

Node *make_cast(Graph *g, Node *x, Dtype dt)
{
    Attr attr = attr_of_int(ATTR_dtype, dt);
    return x->dtype == dt ? x : node_new(g, OP_cast, x->span, &x, 1, &attr, 1);
}

Node *make_broadcast(Graph *g, Node *x, Shape s)
{
    Attr attr = attr_of_shape(ATTR_shape, s);
    return shape_equal(&x->shape, &s) ? x : node_new(g, OP_broadcast, x->span, &x, 1, &attr, 1);
}

Node *make_reshape(Graph *g, Node *x, Shape s)
{
    Attr attr = attr_of_shape(ATTR_shape, s);
    return shape_equal(&x->shape, &s) ? x : node_new(g, OP_reshape, x->span, &x, 1, &attr, 1);
}

Node *make_transpose(Graph *g, Node *x, const int *perm)
{
    int64_t p[RANK_MOST] = {0};
    bool moves = false;
    for (int i = 0; i < x->shape.rank; i++) {
        p[i] = perm[i];
        moves |= perm[i] != i;
    }
    Attr attr = attr_of_ints(ATTR_perm, p, x->shape.rank);
    return moves ? node_new(g, OP_transpose, x->span, &x, 1, &attr, 1) : x;
}

static Node *along(Graph *g, Op op, Node *x, int axis, Dim start, Dim size, int step)
{
    Attr attr[] = {attr_of_int(ATTR_axis, axis), attr_of_dim(ATTR_start, start),
                   attr_of_dim(ATTR_size, size), attr_of_int(ATTR_step, step)};
    return node_new(g, op, x->span, &x, 1, attr, 4);
}

Node *make_slice(Graph *g, Node *x, int axis, Dim start, Dim size, int step)
{
    return along(g, OP_slice, x, axis, start, size, step);
}

Node *make_pad(Graph *g, Node *x, int axis, Dim start, Dim size, int step)
{
    return along(g, OP_pad, x, axis, start, size, step);
}

static Span span_of(Node *const *in, int nin)
{
    Span at = {0};
    for (int i = 0; i < nin; i++)
        at = span_join(at, in[i]->span);
    return at;
}

Node *make_concat(Graph *g, Node *const *in, int nin, int axis)
{
    Attr attr = attr_of_int(ATTR_axis, axis);
    return nin == 1 ? in[0] : node_new(g, OP_concat, span_of(in, nin), in, nin, &attr, 1);
}

/* Axes may come in any order; argmax takes exactly one. No axes: x itself. */
Node *make_reduce(Graph *g, Op op, Node *x, const int *axes, int naxes)
{
    int64_t sorted[RANK_MOST] = {0};
    int n = 0;
    if (op == OP_argmax) {
        Attr attr = attr_of_int(ATTR_axis, axes[0]);
        return node_new(g, op, x->span, &x, 1, &attr, 1);
    }
    for (int axis = 0; axis < x->shape.rank; axis++)
        for (int i = 0; i < naxes; i++)
            if (axes[i] == axis) {
                sorted[n++] = axis;
                break;
            }
    Attr attr = attr_of_ints(ATTR_axes, sorted, n);
    return n ? node_new(g, op, x->span, &x, 1, &attr, 1) : x;
}

Node *make_contract(Graph *g, const char *spec, Node *const *in, int nin)
{
    Attr attr = attr_of_str(ATTR_spec, spec);
    return node_new(g, OP_contract, span_of(in, nin), in, nin, &attr, 1);
}

Node *make_batch_contract(Graph *g, const char *spec, Node *acc, Node *a, Node *b)
{
    Node *in[] = {acc, a, b};
    Attr attr[] = {attr_of_str(ATTR_spec, spec), attr_of_int(ATTR_acc, 1)};
    if (acc)
        return node_new(g, OP_batch_contract, span_of(in, 3), in, 3, attr, 2);
    return node_new(g, OP_batch_contract, span_of(in + 1, 2), in + 1, 2, attr, 1);
}

Node *make_batch_sum(Graph *g, Node *x)
{
    char spec[2 * RANK_MOST + 8], *p = spec;
    Node *one = make_broadcast(g, make_const_of(g, x->dtype, 1), shape_of(1, dim_sym(SYM_N)));
    int rest = x->shape.rank - 1;
    p += sprintf(p, "n,n");
    for (int i = 0; i < rest; i++)
        *p++ = (char)('a' + i);
    p += sprintf(p, "->s");
    for (int i = 0; i < rest; i++)
        *p++ = (char)('a' + i);
    *p = 0;
    Node *n = make_batch_contract(g, spec, NULL, one, x);
    n->span = x->span;
    return node1(g, OP_sum_shards, n);
}

Node *make_dim(Graph *g, Dim d)
{
    Attr attr = attr_of_dim(ATTR_dim, d);
    int64_t v;
    if (dim_const(d, &v))
        return make_const(g, (double)v);
    return node_new(g, OP_dim, nowhere, NULL, 0, &attr, 1);
}

Node *make_scan(Graph *g, Span at, Graph *body, Node *const *init, int ncarry, Node *const *seq,
                int nseq, Node *const *consts, int nconst, Dim length, bool reverse)
{
    int nin = ncarry + nseq + nconst;
    Node **in = NEW_ARRAY(g->arena, Node *, nin);
    Attr attr[] = {attr_of_int(ATTR_ncarry, ncarry), attr_of_int(ATTR_nseq, nseq),
                   attr_of_dim(ATTR_length, length), attr_of_int(ATTR_reverse, 1)};
    for (int i = 0; i < nin; i++)
        in[i] = i < ncarry          ? init[i]
                : i < ncarry + nseq ? seq[i - ncarry]
                                    : consts[i - ncarry - nseq];
    body->outer = g;
    const char *why = scan_check(g->arena, body, in, nin, attr, 3 + reverse);
    if (why)
        bug("scan: %s", why);
    Node *n = node_new(g, OP_scan, at, in, nin, attr, 3 + reverse);
    n->body = body;
    return n;
}

Node *make_result(Graph *g, Node *scan, int i)
{
    Attr attr = attr_of_int(ATTR_index, i);
    return node_new(g, OP_result, scan->span, &scan, 1, &attr, 1);
}
