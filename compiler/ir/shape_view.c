/* Shape rules of leaves, random numbers, casts and views. */
#include "ir/check.h"

#include <inttypes.h>

static int lead_of(const Shape *s)
{
    return shape_has_batch(s) ? SYM_N : shape_has_shards(s) ? SYM_S : SYM_none;
}

static const Shape *attr_shape(const Check *c)
{
    return &attr_find(c->attr, c->nattr, ATTR_shape)->u.shape;
}

static Dim attr_dim(const Check *c, AttrKey k)
{
    return attr_find(c->attr, c->nattr, k)->u.dim;
}

static const char *text_of(Check *c, const Shape *s)
{
    return shape_text(c->g->arena, c->g, s);
}

/* ---- leaves ---- */

/* Is v a number of the dtype (after rounding, for floats)? */
static bool check_number(Check *c, double v)
{
    static const struct { double least, most; } range[NDTYPE] = {
        [DT_i32] = {INT32_MIN, INT32_MAX},
        [DT_u8] = {0, UINT8_MAX},
        [DT_i8] = {INT8_MIN, INT8_MAX},
        [DT_i16] = {INT16_MIN, INT16_MAX},
        [DT_bool] = {0, 1},
    };
    if (dtype_is_float(c->dt))
        return true;
    if (!(v >= range[c->dt].least && v <= range[c->dt].most) || v != (double)(int64_t)v)
        return check_fail(c, "%g is no number of %s", v, dtype_name(c->dt));
    return true;
}

static bool check_tensor(Check *c)
{
    const Attr *values = attr_find(c->attr, c->nattr, ATTR_values);
    int64_t count = 1, v;
    for (int i = 0; i < c->s.rank; i++)
        if (!dim_const(c->s.d[i], &v) || __builtin_mul_overflow(count, v, &count))
            return check_fail(c, "a literal tensor cannot be %s", text_of(c, &c->s));
    if (count != values->n)
        return check_fail(c, "%d values for a tensor %s", values->n, text_of(c, &c->s));
    for (int i = 0; i < values->n; i++)
        if (!check_number(c, values->u.floats[i]))
            return false;
    return true;
}

static bool check_iota(Check *c)
{
    int64_t axis = check_int(c, ATTR_axis);
    if (axis < 0 || axis >= c->s.rank)
        return check_fail(c, "%s has no axis %" PRId64, text_of(c, &c->s), axis);
    if (c->dt == DT_bool)
        return check_fail(c, "an index is a number, not bool");
    return true;
}

bool check_leaf(Check *c)
{
    const Attr *shape = attr_find(c->attr, c->nattr, ATTR_shape);
    const Attr *dt = attr_find(c->attr, c->nattr, ATTR_dtype);
    if (shape)
        c->s = shape->u.shape;
    c->dt = dt ? (Dtype)dt->u.i : DT_f64;
    switch (c->op) {
    case OP_const:
        return check_number(c, attr_find(c->attr, c->nattr, ATTR_value)->u.f);
    case OP_tensor:
        return check_tensor(c);
    case OP_iota:
        return check_iota(c);
    case OP_row:
        c->dt = DT_i32;
        c->s = shape_of(1, dim_sym(SYM_N));
        return true;
    default:
        return true;
    }
}

bool check_random(Check *c)
{
    if (c->nin != 2 && c->nin != 3)
        return check_fail(c, "random takes seed, step and perhaps t, found %d operands", c->nin);
    for (int i = 0; i < c->nin; i++)
        if (c->in[i]->dtype != DT_i32 || c->in[i]->shape.rank)
            return check_fail(c, "operand %d of random is not an i32 scalar", i);
    c->dt = (Dtype)check_int(c, ATTR_dtype);
    c->s = *attr_shape(c);
    if (!dtype_is_float(c->dt))
        return check_fail(c, "random numbers are floats, not %s", dtype_name(c->dt));
    if (shape_has_shards(&c->s))
        return check_fail(c, "random numbers have no shards");
    return true;
}

bool check_orthogonal(Check *c)
{
    const Node *x = c->in[0];
    int64_t v;
    if (!dtype_is_float(x->dtype))
        return check_fail(c, "orthogonal needs a float, found %s", dtype_name(x->dtype));
    if (x->shape.rank != 2 || !dim_const(x->shape.d[0], &v) || !dim_const(x->shape.d[1], &v))
        return check_fail(c, "orthogonal needs a matrix, found %s", check_shape(c, 0));
    c->dt = x->dtype;
    c->s = x->shape;
    return true;
}

bool check_cast(Check *c)
{
    Dtype from = c->in[0]->dtype;
    c->dt = (Dtype)check_int(c, ATTR_dtype);
    c->s = c->in[0]->shape;
    if (c->dt == DT_bool && from != DT_bool)
        return check_fail(c, "%s does not convert to bool: write x != 0", dtype_name(from));
    return true;
}

/* ---- views ---- */

bool check_broadcast(Check *c)
{
    const Node *x = c->in[0];
    Shape s;
    c->dt = x->dtype;
    c->s = *attr_shape(c);
    if (!shape_broadcast(&x->shape, &c->s, &s) || !shape_equal(&s, &c->s))
        return check_fail(c, "cannot broadcast %s to %s", check_shape(c, 0), text_of(c, &c->s));
    return true;
}

/* The product of the constant extents from *i up to the next run-time length
 * (or the end), where *i is left. */
static int64_t segment(const Shape *s, int *i)
{
    int64_t count = 1, v;
    for (; *i < s->rank && dim_const(s->d[*i], &v); ++*i)
        if (__builtin_mul_overflow(count, v, &count))
            return -1;
    return count;
}

bool check_reshape(Check *c)
{
    const Shape *x = &c->in[0]->shape, *y = attr_shape(c);
    int lead = lead_of(x), i = !!lead, k = i;
    c->dt = c->in[0]->dtype;
    c->s = *y;
    if (lead != lead_of(y))
        return check_fail(c, "cannot reshape %s to %s: the batch stays the first axis",
                          check_shape(c, 0), text_of(c, y));
    for (;; i++, k++) {
        int64_t a = segment(x, &i), b = segment(y, &k);
        bool more = i < x->rank && k < y->rank;
        if (a != b || (more && !dim_equal(x->d[i], y->d[k])) ||
            (!more && (i < x->rank || k < y->rank)))
            break;
        if (!more)
            return true;
    }
    int64_t a, b;
    if (shape_count(x, 0, &a) && shape_count(y, 0, &b))
        return check_fail(c, "cannot reshape %s to %s: %" PRId64 " elements and %" PRId64,
                          check_shape(c, 0), text_of(c, y), a, b);
    return check_fail(c, "cannot reshape %s to %s: a run-time length stays an axis of its own",
                      check_shape(c, 0), text_of(c, y));
}

bool check_transpose(Check *c)
{
    const Shape *x = &c->in[0]->shape;
    const Attr *perm = attr_find(c->attr, c->nattr, ATTR_perm);
    unsigned seen = 0;
    if (perm->n != x->rank)
        return check_fail(c, "%d axes for %s", perm->n, check_shape(c, 0));
    c->dt = c->in[0]->dtype;
    c->s.rank = x->rank;
    for (int i = 0; i < x->rank; i++) {
        int64_t p = perm->u.ints[i];
        if (p < 0 || p >= x->rank || (seen & 1u << p))
            return check_fail(c, "the axes given are no permutation of those of %s",
                              check_shape(c, 0));
        seen |= 1u << p;
        c->s.d[i] = x->d[p];
    }
    if (lead_of(x) && perm->u.ints[0] != 0)
        return check_fail(c, "cannot transpose %s: the batch stays the first axis",
                          check_shape(c, 0));
    return true;
}

/* hi - lo, when that is a number. */
static bool distance(Dim lo, Dim hi, int64_t *v)
{
    Dim d;
    if (lo.sym && lo.sym == hi.sym && lo.div == hi.div && lo.mul == hi.mul) {
        int64_t apart;
        if (__builtin_sub_overflow(hi.add, lo.add, &apart))
            return false;
        *v = apart / lo.div;
        return apart % lo.div == 0;
    }
    return dim_affine(lo, -1, 0, 1, &d) && dim_add(hi, d, &d) && dim_const(d, v);
}

/* Are start + step * i, i in [0, count), within [0, extent)? What depends on a
 * run-time length in a way that no number settles is left to the run. */
static bool within(Check *c, Dim start, Dim count, int64_t step, Dim extent, const char *what)
{
    Dim last = start;
    int64_t v;
    if (step == 0 || step > INT32_MAX || step < -INT32_MAX)
        return check_fail(c, "a step of %" PRId64 " is not possible", step);
    bool known = dim_affine(count, step, -step, 1, &last) && dim_add(last, start, &last);
    const Dim ends[] = {start, last};
    for (int i = 0; i < 1 + known; i++)
        if ((dim_const(ends[i], &v) && v < 0) || (distance(ends[i], extent, &v) && v < 1))
            return check_fail(c, "%s %s is outside of an axis of %s", what,
                              dim_text(c->g->arena, c->g, ends[i]),
                              dim_text(c->g->arena, c->g, extent));
    return true;
}

static bool inner_axis(Check *c, int64_t axis)
{
    const Shape *x = &c->in[0]->shape;
    if (axis < 0 || axis >= x->rank)
        return check_fail(c, "%s has no axis %" PRId64, check_shape(c, 0), axis);
    if (axis == 0 && lead_of(x))
        return check_fail(c, "%s does not act on the batch", op_info[c->op].name);
    return true;
}

bool check_slice(Check *c)
{
    const Shape *x = &c->in[0]->shape;
    int64_t axis = check_int(c, ATTR_axis), v;
    Dim size = attr_dim(c, ATTR_size);
    if (!inner_axis(c, axis))
        return false;
    if (dim_const(size, &v) && v < 1)
        return check_fail(c, "a slice of %" PRId64 " elements", v);
    if (!within(c, attr_dim(c, ATTR_start), size, check_int(c, ATTR_step), x->d[axis], "index"))
        return false;
    c->dt = c->in[0]->dtype;
    c->s = *x;
    c->s.d[axis] = size;
    return true;
}

bool check_pad(Check *c)
{
    const Shape *x = &c->in[0]->shape;
    int64_t axis = check_int(c, ATTR_axis);
    Dim size = attr_dim(c, ATTR_size);
    if (!inner_axis(c, axis) ||
        !within(c, attr_dim(c, ATTR_start), x->d[axis], check_int(c, ATTR_step), size, "place"))
        return false;
    c->dt = c->in[0]->dtype;
    c->s = *x;
    c->s.d[axis] = size;
    return true;
}

bool check_concat(Check *c)
{
    int64_t axis = check_int(c, ATTR_axis);
    if (c->nin < 1)
        return check_fail(c, "concat needs an operand");
    if (!inner_axis(c, axis))
        return false;
    c->dt = c->in[0]->dtype;
    c->s = c->in[0]->shape;
    for (int i = 1; i < c->nin; i++) {
        const Node *x = c->in[i];
        if (x->dtype != c->dt)
            return check_fail(c, "cannot join %s and %s: write float(x)", dtype_name(c->dt),
                              dtype_name(x->dtype));
        bool fits = x->shape.rank == c->s.rank;
        for (int k = 0; fits && k < c->s.rank; k++)
            fits = k == axis || dim_equal(x->shape.d[k], c->s.d[k]);
        if (!fits)
            return check_fail(c, "cannot join %s and %s: only the axis joined may differ",
                              check_shape(c, 0), check_shape(c, i));
        if (!dim_add(c->s.d[axis], x->shape.d[axis], &c->s.d[axis]))
            return check_fail(c, "cannot join %s and %s: the sum of their lengths has no form",
                              check_shape(c, 0), check_shape(c, i));
    }
    return true;
}
