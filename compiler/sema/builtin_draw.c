/* Builtin functions that make tensors: constants and random draws. */
#include "sema/builtin.h"

#include <string.h>

static Val filled(Args *a, double value)
{
    Shape s;
    if (!rest_sizes(a, &s))
        return val_poison();
    Node *n = make_broadcast(a->x->g, make_const_of(a->x->g, a->x->real, value), s);
    n->span = blame(a->x, a->at);
    return val_tensor(n, a->at);
}

static Val run_zeros(Args *a)
{
    return filled(a, 0);
}

static Val run_ones(Args *a)
{
    return filled(a, 1);
}

/* The square matrix of ones on the diagonal, of the given sizes. */
static Val run_eye(Args *a)
{
    Expander *x = a->x;
    Shape s;
    if (!rest_sizes(a, &s))
        return val_poison();
    if (s.rank != 2)
        return fail(x, a->at, "eye makes a matrix, found %d dimensions", s.rank);
    Node *axis[2];
    for (int i = 0; i < 2; i++) {
        Attr attr[3] = {attr_of_shape(ATTR_shape, s), attr_of_int(ATTR_axis, i),
                        attr_of_int(ATTR_dtype, DT_i32)};
        axis[i] = node_new(x->g, OP_iota, blame(x, a->at), NULL, 0, attr, 3);
    }
    Val v = make_op2(x, OP_eq, val_tensor(axis[0], a->at), val_tensor(axis[1], a->at), a->at);
    if (v.kind == VAL_tensor)
        v.u.t.node = to_real(x, v.u.t.node);
    return v;
}

/* Uniform numbers for a draw: arguments 2 and 3 are shape and seed. A draw is a
 * sample's own, except in an initialiser. */
static Node *draw(Args *a, int shape, int seed)
{
    Expander *x = a->x;
    Shape s = {0};
    bool plain = x->in_initial || x->no_batch;
    if (a->given[shape] && a->arg[shape].kind != VAL_none) {
        if (!sizes_of(a, &a->arg[shape], a->span[shape], &s))
            return NULL;
    } else if (x->in_initial) {
        s = x->given_shape;
    }
    if (!plain) {
        memmove(s.d + 1, s.d, sizeof(Dim) * (size_t)s.rank);
        s.d[0] = dim_sym(SYM_N);
        s.rank++;
    }
    if (a->given[seed] && a->arg[seed].kind != VAL_none) {
        int64_t k;
        if (!val_as_int(x, &a->arg[seed], a->span[seed], "seed", &k))
            return NULL;
        /* Keys of this half of the range are no counter's. */
        return random_keyed(x, s, (k & 0x3FFFFFFF) | 0x40000000, a->at);
    }
    return random_uniform(x, s, a->at);
}

/* low + (high - low) * u */
static Val run_uniform(Args *a)
{
    Expander *x = a->x;
    Val low = a->given[0] ? a->arg[0] : val_int(0, a->at);
    Val high = a->given[1] ? a->arg[1] : val_int(1, a->at);
    Node *u = draw(a, 2, 3);
    if (!u)
        return val_poison();
    Val width = binary_values(x, BIN_sub, high, low, a->at);
    Val v = binary_values(x, BIN_mul, val_tensor(u, a->at), width, a->at);
    return binary_values(x, BIN_add, v, low, a->at);
}

/* mean + stddev * probit(u), u kept off 0. */
static Val run_normal(Args *a)
{
    Expander *x = a->x;
    Val mean = a->given[0] ? a->arg[0] : val_int(0, a->at);
    Val stddev = a->given[1] ? a->arg[1] : val_int(1, a->at);
    Node *u = draw(a, 2, 3);
    if (!u)
        return val_poison();
    Val v = make_op2(x, OP_max, val_tensor(u, a->at), val_number(0x1p-25, a->at), a->at);
    v = v.kind == VAL_poison ? v : make_op1(x, OP_probit, v, a->at);
    v = binary_values(x, BIN_mul, v, stddev, a->at);
    return binary_values(x, BIN_add, v, mean, a->at);
}

/* 1 with probability p, else 0. */
static Val run_bernoulli(Args *a)
{
    Expander *x = a->x;
    Node *u = draw(a, 1, 2);
    if (!u)
        return val_poison();
    Val v = make_op2(x, OP_lt, val_tensor(u, a->at), a->arg[0], a->at);
    if (v.kind == VAL_tensor)
        v.u.t.node = to_real(x, v.u.t.node);
    return v;
}

const Builtin draw_builtins[] = {
    {"zeros", "*sizes", run_zeros, NOP},
    {"ones", "*sizes", run_ones, NOP},
    {"eye", "*sizes", run_eye, NOP},
    {"uniform", "low?, high?, shape?; seed?", run_uniform, NOP},
    {"normal", "mean?, stddev?, shape?; seed?", run_normal, NOP},
    {"bernoulli", "p, shape?; seed?", run_bernoulli, NOP},
    {NULL, NULL, NULL, NOP},
};
