/* Rules of pass_simplify for numbers and elementwise operations. */
#include "opt/rewrite.h"

#include <math.h>

/* x in the place of n: broadcast to n's shape. */
static Node *as(Rewrite *r, const Node *n, Node *x)
{
    return x->dtype == n->dtype ? make_broadcast(r->g, x, n->shape) : NULL;
}

/* ---- numbers ---- */

static bool fold_floats(Op op, double x, double y, double *v)
{
    switch (op) {
    case OP_add:
        *v = x + y;
        return true;
    case OP_sub:
        *v = x - y;
        return true;
    case OP_mul:
        *v = x * y;
        return true;
    case OP_div:
        *v = x / y;
        return true;
    case OP_neg:
        *v = -x;
        return true;
    default:
        return false;
    }
}

/* One operation of IEEE arithmetic, in double or rounded once to float: a double
 * holds the sum, difference, product and quotient of floats well enough that
 * rounding it again gives the float result. */
static Node *fold(Rewrite *r, Node *n)
{
    double v, x[2] = {0, 0};
    if (!dtype_is_float(n->dtype) || n->nin > 2)
        return NULL;
    for (int k = 0; k < n->nin; k++) {
        if (n->in[k]->op != OP_const)
            return NULL;
        x[k] = attr_get(n->in[k], ATTR_value)->u.f;
    }
    if (!fold_floats(n->op, x[0], x[1], &v))
        return NULL;
    return make_const_of(r->g, n->dtype, n->dtype == DT_f32 ? (float)v : v);
}

static Node *fold_cast(Rewrite *r, Node *n)
{
    double v = attr_get(n->in[0], ATTR_value)->u.f;
    if (n->dtype == DT_f64)
        return make_const_of(r->g, DT_f64, v);
    if (n->dtype == DT_f32)
        return make_const_of(r->g, DT_f32, (float)v);
    if (n->dtype == DT_i32 && fabs(v) < 2147483648.0)
        return make_const_of(r->g, DT_i32, trunc(v));
    return NULL;
}

/* Every value of `from` is one of `to`. */
static bool is_lossless(Dtype from, Dtype to)
{
    switch (from) {
    case DT_bool:
    case DT_u8:
        return to != DT_bool && to != DT_u8 && to != DT_i8;
    case DT_i8:
        return to == DT_i16 || to == DT_i32 || dtype_is_float(to);
    case DT_i16:
        return to == DT_i32 || dtype_is_float(to);
    case DT_i32:
    case DT_f32:
        return to == DT_f64;
    default:
        return false;
    }
}

static Node *simplify_cast(Rewrite *r, Node *n)
{
    Node *x = n->in[0];
    if (x->dtype == n->dtype)
        return x;
    if (x->op == OP_const)
        return fold_cast(r, n);
    if (x->op == OP_cast && is_lossless(x->in[0]->dtype, x->dtype))
        return make_cast(r->g, x->in[0], n->dtype);
    return NULL;
}

/* ---- one and two operands ---- */

static Node *simplify_pow(Rewrite *r, Node *n)
{
    Graph *g = r->g;
    Node *x = n->in[0], *square, *result = NULL;
    double e;
    if (!is_number(n->in[1], &e))
        return NULL;
    if (e == 1)
        return as(r, n, x);
    if (e == 0.5)
        result = node1(g, OP_sqrt, x);
    if (e == -1)
        result = node2(g, OP_div, make_const_of(g, x->dtype, 1), x);
    if (e == 2 || e == 3 || e == 4) {
        square = node2(g, OP_mul, x, x);
        result = e == 2 ? square : node2(g, OP_mul, square, e == 3 ? x : square);
    }
    return result ? as(r, n, result) : NULL;
}

static Node *simplify_add(Rewrite *r, Node *n)
{
    Node *x = n->in[0], *y = n->in[1];
    if (is_number_of(y, 0))
        return as(r, n, x);
    if (is_number_of(x, 0))
        return as(r, n, y);
    if (y->op == OP_neg)
        return node2(r->g, OP_sub, x, y->in[0]);
    if (x->op == OP_neg)
        return node2(r->g, OP_sub, y, x->in[0]);
    return NULL;
}

static Node *simplify_two(Rewrite *r, Node *n)
{
    Node *x = n->in[0], *y = n->in[1];
    switch (n->op) {
    case OP_add:
        return simplify_add(r, n);
    case OP_sub:
        if (is_number_of(y, 0))
            return as(r, n, x);
        return y->op == OP_neg ? node2(r->g, OP_add, x, y->in[0]) : NULL;
    case OP_mul:
        if (is_number_of(y, 1))
            return as(r, n, x);
        return is_number_of(x, 1) ? as(r, n, y) : NULL;
    case OP_div:
        return is_number_of(y, 1) ? as(r, n, x) : NULL;
    case OP_pow:
        return simplify_pow(r, n);
    case OP_and:
        if (is_number_of(x, 1) || x == y)
            return as(r, n, y);
        return is_number_of(y, 1) ? as(r, n, x) : NULL;
    case OP_or:
        if (is_number_of(x, 0) || x == y)
            return as(r, n, y);
        return is_number_of(y, 0) ? as(r, n, x) : NULL;
    default:
        return NULL;
    }
}

static Node *simplify_select(Rewrite *r, Node *n)
{
    double c;
    if (is_number(n->in[0], &c))
        return as(r, n, n->in[c != 0 ? 1 : 2]);
    if (n->in[1] == n->in[2])
        return as(r, n, n->in[1]);
    if (n->in[0]->op == OP_not)
        return node3(r->g, OP_select, n->in[0]->in[0], n->in[2], n->in[1]);
    return NULL;
}

/* Operands that the operation broadcasts by itself need no broadcast. */
static Node *drop_broadcasts(Rewrite *r, Node *n)
{
    Node *in[3];
    bool changed = false;
    for (int k = 0; k < n->nin; k++)
        in[k] = n->in[k];
    for (int k = 0; k < n->nin && n->nin > 1; k++) {
        if (in[k]->op != OP_broadcast)
            continue;
        Node *kept = in[k];
        in[k] = kept->in[0];
        Shape s = in[0]->shape;
        bool fits = true;
        for (int i = 1; fits && i < n->nin; i++)
            fits = shape_broadcast(&s, &in[i]->shape, &s);
        if (fits && shape_equal(&s, &n->shape))
            changed = true;
        else
            in[k] = kept;
    }
    return changed ? node_on(r->g, n, in) : NULL;
}

/* The rank 0 value that n repeats, or null. */
static Node *repeated_scalar(Node *n)
{
    while (n->shape.rank && (n->op == OP_broadcast || n->op == OP_reshape))
        n = n->in[0];
    return n->shape.rank ? NULL : n;
}

/* f of a repeated scalar is f of the scalar, repeated. */
static Node *sink_scalars(Rewrite *r, Node *n)
{
    Node *in[3];
    if (n->shape.rank == 0)
        return NULL;
    for (int k = 0; k < n->nin; k++)
        if (!(in[k] = repeated_scalar(n->in[k])))
            return NULL;
    return as(r, n, node_on(r->g, n, in));
}

Node *simplify_map(Rewrite *r, Node *n)
{
    Node *s = n->op == OP_cast ? simplify_cast(r, n) : fold(r, n);
    if (!s)
        s = sink_scalars(r, n);
    if (!s && (n->op == OP_neg || n->op == OP_not) && n->in[0]->op == n->op)
        s = n->in[0]->in[0];
    if (!s && n->nin == 2)
        s = simplify_two(r, n);
    if (!s && n->op == OP_select)
        s = simplify_select(r, n);
    if (!s)
        s = drop_broadcasts(r, n);
    return s ? s : n;
}
