/* Builtin functions over tensors: reductions, rearrangement, random draws. */
#include "sema/builtin.h"

#include <math.h>
#include <string.h>

enum { ONE_HOT_MOST = 1 << 24 };

/* ---- arguments ---- */

bool sizes_of(Args *a, const Val *v, Span at, Shape *out)
{
    bool list = v->kind == VAL_list || v->kind == VAL_tuple;
    int n = list ? v->u.list.n : 1;
    *out = (Shape){0};
    if (n >= RANK_MOST) {
        fail(a->x, at, "more than %d dimensions", RANK_MOST - 1);
        return false;
    }
    for (int i = 0; i < n; i++) {
        const Val *d = list ? &v->u.list.at[i] : v;
        int64_t k;
        if (d->kind == VAL_extent) {
            out->d[out->rank++] = d->u.dim;
            continue;
        }
        if (!val_as_int(a->x, d, at, "a size", &k))
            return false;
        if (k < 1 || k > INT32_MAX) {
            fail(a->x, at, "a size must be positive, found %lld", (long long)k);
            return false;
        }
        out->d[out->rank++] = dim_int(k);
    }
    return true;
}

bool rest_sizes(Args *a, Shape *out)
{
    Val v = a->nrest == 1 ? a->rest[0] : val_list(a->x->a, VAL_list, a->rest, a->nrest, a->at);
    if (!a->nrest && a->x->in_initial) {
        *out = a->x->given_shape;
        return true;
    }
    if (!a->nrest) {
        fail(a->x, a->at, "%s needs sizes here, as in %s(10)", builtin_name(a->self),
             builtin_name(a->self));
        return false;
    }
    return sizes_of(a, &v, a->at, out);
}

static bool flag(Args *a, int i, bool other, bool *out)
{
    *out = other;
    return !a->given[i] || val_as_bool(a->x, &a->arg[i], a->span[i], "this argument", out);
}

/* The argument as a tensor value in the current graph. */
static bool tensor_arg(Args *a, int i, Val *out)
{
    Node *n = val_to_tensor(a->x, &a->arg[i], a->at);
    if (!n)
        return false;
    *out = a->arg[i];
    if (out->kind != VAL_tensor)
        *out = val_tensor(n, a->arg[i].span);
    out->u.t.node = n;
    return true;
}

/* ---- reductions ---- */

static bool all_numbers(const Val *v, int n)
{
    for (int i = 0; i < n; i++)
        if (v[i].kind != VAL_int && v[i].kind != VAL_number)
            return false;
    return n > 0;
}

/* sum([1, 2]), max(3, 4): on numbers at once. */
static Val fold_numbers(Args *a, const Val *v, int n, AstOp op, int pick)
{
    Val acc = v[0];
    for (int i = 1; i < n; i++) {
        if (pick) {
            Val c = binary_values(a->x, pick > 0 ? BIN_gt : BIN_lt, v[i], acc, a->at);
            acc = c.kind == VAL_bool && c.u.b ? v[i] : acc;
        } else {
            acc = binary_values(a->x, op, acc, v[i], a->at);
        }
    }
    acc.span = a->at;
    return acc;
}

static Val reduce(Args *a, Op op, bool mean)
{
    Val v;
    bool keep;
    bool list = a->arg[0].kind == VAL_list || a->arg[0].kind == VAL_tuple;
    if (list && !mean && op == OP_reduce_sum &&
        all_numbers(a->arg[0].u.list.at, a->arg[0].u.list.n))
        return fold_numbers(a, a->arg[0].u.list.at, a->arg[0].u.list.n, BIN_add, 0);
    if (!tensor_arg(a, 0, &v) || !flag(a, 2, false, &keep))
        return val_poison();
    return make_reduction(a->x, op, v, a->given[1] ? &a->arg[1] : NULL, keep, mean, a->at);
}

static Val run_sum(Args *a)
{
    return reduce(a, OP_reduce_sum, false);
}

static Val run_mean(Args *a)
{
    return reduce(a, OP_reduce_sum, true);
}

/* max(x, axis=) reduces; max(a, b, ...) picks elementwise. */
static Val extreme(Args *a, Op two, Op all, int pick)
{
    bool keep;
    if (!a->nrest)
        return fail(a->x, a->at, "%s needs a tensor or two values", builtin_name(a->self));
    const Val *v = &a->rest[0];
    bool list = a->nrest == 1 && (v->kind == VAL_list || v->kind == VAL_tuple);
    if (list && all_numbers(v->u.list.at, v->u.list.n))
        return fold_numbers(a, v->u.list.at, v->u.list.n, BIN_add, pick);
    if (a->nrest > 1 && all_numbers(a->rest, a->nrest))
        return fold_numbers(a, a->rest, a->nrest, BIN_add, pick);
    if (a->nrest > 1) {
        if (a->given[1] || a->given[2])
            return fail(a->x, a->at, "%s of several values has no axis", builtin_name(a->self));
        Val acc = a->rest[0];
        for (int i = 1; i < a->nrest && acc.kind != VAL_poison; i++)
            acc = make_op2(a->x, two, acc, a->rest[i], a->at);
        return acc;
    }
    Node *n = val_to_tensor(a->x, v, a->at);
    if (!n || !flag(a, 2, false, &keep))
        return val_poison();
    Val t = *v;
    if (t.kind != VAL_tensor)
        t = val_tensor(n, a->at);
    t.u.t.node = n;
    return make_reduction(a->x, all, t, a->given[1] ? &a->arg[1] : NULL, keep, false, a->at);
}

static Val run_max(Args *a)
{
    return extreme(a, OP_max, OP_reduce_max, 1);
}

static Val run_min(Args *a)
{
    return extreme(a, OP_min, OP_reduce_min, -1);
}

static Val truth(Args *a, Op op)
{
    Val v;
    bool keep;
    if (!tensor_arg(a, 0, &v) || !flag(a, 2, false, &keep))
        return val_poison();
    if (v.u.t.node->dtype != DT_bool)
        v = make_op2(a->x, OP_ne, v, val_int(0, a->at), a->at);
    v = v.kind == VAL_poison
            ? v
            : make_reduction(a->x, op, v, a->given[1] ? &a->arg[1] : NULL, keep, false, a->at);
    return v.kind == VAL_poison ? v : make_op2(a->x, OP_ne, v, val_int(0, a->at), a->at);
}

static Val run_any(Args *a)
{
    return truth(a, OP_reduce_max);
}

static Val run_all(Args *a)
{
    return truth(a, OP_reduce_min);
}

static Val run_argmax(Args *a)
{
    Val v, last = val_int(-1, a->at);
    if (!tensor_arg(a, 0, &v))
        return val_poison();
    int k = axis_of(a->x, a->given[1] ? &a->arg[1] : &last, v.u.t.node, a->at, NULL);
    if (k < 0)
        return val_poison();
    v.u.t.node = to_real(a->x, v.u.t.node);
    Attr attr = attr_of_int(ATTR_axis, k);
    return make_op(a->x, OP_argmax, &v, 1, &attr, 1, a->at);
}

static Val run_norm(Args *a)
{
    Val v;
    bool keep;
    if (!tensor_arg(a, 0, &v) || !flag(a, 2, false, &keep))
        return val_poison();
    v = make_op2(a->x, OP_mul, v, v, a->at);
    v = v.kind == VAL_poison ? v
                             : make_reduction(a->x, OP_reduce_sum, v,
                                              a->given[1] ? &a->arg[1] : NULL, keep, false, a->at);
    return v.kind == VAL_poison ? v : make_op1(a->x, OP_sqrt, v, a->at);
}

static Val run_dot(Args *a)
{
    return make_product(a->x, a->arg[0], a->arg[1], a->at);
}

/* ---- shapes ---- */

Val shape_list(Expander *x, const Node *n, Span at)
{
    Val d[RANK_MOST];
    int lead = shape_has_batch(&n->shape);
    for (int i = lead; i < n->shape.rank; i++)
        d[i - lead] = val_dim(n->shape.d[i], at);
    return val_list(x->a, VAL_list, d, n->shape.rank - lead, at);
}

/* The node itself, not imported: a shape is known outside of its loop too. */
static Node *peek(Args *a, int i)
{
    return a->arg[i].kind == VAL_tensor ? a->arg[i].u.t.node
                                        : val_to_tensor(a->x, &a->arg[i], a->at);
}

static Val run_shape(Args *a)
{
    Node *n = peek(a, 0);
    return n ? shape_list(a->x, n, a->at) : val_poison();
}

static Val run_dim(Args *a)
{
    Node *n = peek(a, 0);
    Val last = val_int(-1, a->at);
    int k = n ? axis_of(a->x, a->given[1] ? &a->arg[1] : &last, n, a->at, NULL) : -1;
    return k < 0 ? val_poison() : val_dim(n->shape.d[k], a->at);
}

static Val run_rank(Args *a)
{
    Node *n = peek(a, 0);
    return n ? val_int(n->shape.rank - shape_has_batch(&n->shape), a->at) : val_poison();
}

/* Are its values whole numbers, such as the bytes of a picture? */
static Val run_is_whole(Args *a)
{
    Node *n = peek(a, 0);
    return n ? val_bool(n->dtype != DT_bool && !dtype_is_float(n->dtype), a->at) : val_poison();
}

static Val run_reshape(Args *a)
{
    Val v, dims = a->arg[1];
    if (!tensor_arg(a, 0, &v))
        return val_poison();
    if (dims.kind != VAL_list && dims.kind != VAL_tuple)
        dims = val_list(a->x->a, VAL_list, &dims, 1, a->at);
    return reshape_tensor(a->x, v, &dims, a->at);
}

static Val run_flatten(Args *a)
{
    Val v, minus = val_int(-1, a->at);
    int64_t count;
    if (!tensor_arg(a, 0, &v))
        return val_poison();
    Node *n = v.u.t.node;
    if (!shape_count(&n->shape, shape_has_batch(&n->shape), &count))
        return fail(a->x, a->at, "cannot flatten %s: its length is known only at run time",
                    shape_words(a->x, n));
    Val dims = val_list(a->x->a, VAL_list, &minus, 1, a->at);
    return reshape_tensor(a->x, v, &dims, a->at);
}

static Val run_transpose(Args *a)
{
    Val v;
    if (!tensor_arg(a, 0, &v))
        return val_poison();
    Node *n = v.u.t.node;
    int lead = shape_has_batch(&n->shape), rank = n->shape.rank, perm[RANK_MOST];
    bool used[RANK_MOST] = {false};
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    if (!a->given[1]) {
        if (rank - lead < 2)
            return fail(a->x, a->at, "%s has no two dimensions to exchange", shape_words(a->x, n));
        perm[rank - 1] = rank - 2;
        perm[rank - 2] = rank - 1;
    } else {
        const Val *p = &a->arg[1];
        if ((p->kind != VAL_list && p->kind != VAL_tuple) || p->u.list.n != rank - lead)
            return fail(a->x, a->span[1], "a permutation of %s names its %d axes",
                        shape_words(a->x, n), rank - lead);
        for (int i = 0; i < rank - lead; i++) {
            int k = axis_of(a->x, &p->u.list.at[i], n, a->span[1], NULL);
            if (k < 0)
                return val_poison();
            if (used[k])
                return fail(a->x, a->span[1], "a permutation names each axis once");
            used[k] = true;
            perm[lead + i] = k;
        }
    }
    Node *t = make_transpose(a->x->g, n, perm);
    if (t != n)
        t->span = blame(a->x, a->at);
    return val_tensor(t, a->at);
}

/* A new axis of size 1 before the written axis `axis` (default: the last, new). */
static Val run_expand(Args *a)
{
    Val v;
    int64_t axis = -1;
    if (!tensor_arg(a, 0, &v) ||
        (a->given[1] && !val_as_int(a->x, &a->arg[1], a->span[1], "axis", &axis)))
        return val_poison();
    Node *n = v.u.t.node;
    Shape s = n->shape;
    int lead = shape_has_batch(&s);
    int64_t k = axis < 0 ? axis + s.rank + 1 : axis;
    if (k < lead || k > s.rank || s.rank >= RANK_MOST)
        return fail(a->x, a->at, "axis %lld is out of range for a new axis of %s", (long long)axis,
                    shape_words(a->x, n));
    for (int i = s.rank; i > k; i--)
        s.d[i] = s.d[i - 1];
    s.d[k] = dim_int(1);
    s.rank++;
    return val_tensor(make_reshape(a->x->g, n, s), a->at);
}

static Val run_broadcast(Args *a)
{
    Val v;
    Shape s;
    if (!tensor_arg(a, 0, &v) || !sizes_of(a, &a->arg[1], a->span[1], &s))
        return val_poison();
    if (shape_has_batch(&v.u.t.node->shape)) {
        memmove(s.d + 1, s.d, sizeof(Dim) * (size_t)s.rank);
        s.d[0] = dim_sym(SYM_N);
        s.rank++;
    }
    Node *n = broadcast_to(a->x, v.u.t.node, s, a->at, "the tensor");
    return n ? val_tensor(n, a->at) : val_poison();
}

static Val run_concat(Args *a)
{
    int64_t axis = -1;
    const Val *in = a->rest;
    int n = a->nrest;
    if (n == 1 && (in[0].kind == VAL_list || in[0].kind == VAL_tuple)) {
        n = in[0].u.list.n;
        in = in[0].u.list.at;
    }
    if (!n)
        return fail(a->x, a->at, "concat needs tensors");
    if (a->given[1]) {
        Node *first = val_to_tensor(a->x, &in[0], a->at);
        int k = first ? axis_of(a->x, &a->arg[1], first, a->span[1], NULL) : -1;
        if (k < 0)
            return val_poison();
        axis = k - shape_has_batch(&first->shape);
    }
    return concat_values(a->x, in, n, (int)axis, a->at);
}

static Val run_split(Args *a)
{
    Val v, last = val_int(-1, a->at);
    int64_t parts;
    if (!tensor_arg(a, 0, &v) ||
        !val_as_int(a->x, &a->arg[1], a->span[1], "the number of parts", &parts))
        return val_poison();
    int k = axis_of(a->x, a->given[2] ? &a->arg[2] : &last, v.u.t.node, a->at, NULL);
    return k < 0 ? val_poison() : split_tensor(a->x, v, parts, k, a->at);
}

static Val run_reverse(Args *a)
{
    Val v, first = val_string("time", a->at);
    Dim last;
    if (!tensor_arg(a, 0, &v))
        return val_poison();
    Node *n = v.u.t.node;
    int k = axis_of(a->x, a->given[1] ? &a->arg[1] : &first, n, a->at, NULL);
    if (k < 0)
        return val_poison();
    if (!dim_affine(n->shape.d[k], 1, -1, 1, &last))
        return unsupported(a->x, a->at, "reversing this run-time length");
    Val out = val_tensor(make_slice(a->x->g, n, k, last, n->shape.d[k], -1), a->at);
    out.u.t.node->span = blame(a->x, a->at);
    if (v.u.t.mask)
        out.u.t.mask =
            k == 1 ? make_slice(a->x->g, v.u.t.mask, 1, last, n->shape.d[1], -1) : v.u.t.mask;
    return out;
}

/* ---- elementwise ---- */

static Val run_clip(Args *a)
{
    Val low = a->arg[1], high = a->arg[2];
    if (all_numbers(a->arg, 3)) {
        Val v[2] = {a->arg[0], low};
        v[0] = fold_numbers(a, v, 2, BIN_add, 1);
        v[1] = high;
        return fold_numbers(a, v, 2, BIN_add, -1);
    }
    Val v = make_op2(a->x, OP_max, a->arg[0], low, a->at);
    return v.kind == VAL_poison ? v : make_op2(a->x, OP_min, v, high, a->at);
}

static Val run_where(Args *a)
{
    if (a->arg[0].kind == VAL_bool)
        return a->arg[a->arg[0].u.b ? 1 : 2];
    return select_values(a->x, a->arg[0], a->arg[1], a->arg[2], a->at);
}

static Val run_float(Args *a)
{
    Val v;
    if (a->arg[0].kind == VAL_int)
        return val_number((double)a->arg[0].u.i, a->at);
    if (a->arg[0].kind == VAL_number)
        return a->arg[0];
    if (!tensor_arg(a, 0, &v))
        return val_poison();
    v.u.t.node = to_real(a->x, v.u.t.node);
    return v;
}

static Val run_int(Args *a)
{
    Val v;
    if (a->arg[0].kind == VAL_number && fabs(a->arg[0].u.f) < 9e15)
        return val_int((int64_t)a->arg[0].u.f, a->at);
    if (a->arg[0].kind == VAL_int || a->arg[0].kind == VAL_extent)
        return a->arg[0];
    if (!tensor_arg(a, 0, &v))
        return val_poison();
    v.u.t.node = make_cast(a->x->g, v.u.t.node, DT_i32);
    return v;
}

static Val run_one_hot(Args *a)
{
    Expander *x = a->x;
    Val v;
    int64_t n;
    if (!tensor_arg(a, 0, &v) ||
        !val_as_int(x, &a->arg[1], a->span[1], "the number of classes", &n))
        return val_poison();
    if (n < 1)
        return fail(x, a->span[1], "one_hot needs a positive number of classes, found %lld",
                    (long long)n);
    if (n > ONE_HOT_MOST)
        return fail(x, a->span[1], "one_hot of %lld classes; the most is %d", (long long)n,
                    ONE_HOT_MOST);
    Node *i = make_cast(x->g, v.u.t.node, DT_i32);
    Shape s = i->shape;
    if (s.rank >= RANK_MOST)
        return fail(x, a->at, "more than %d dimensions", RANK_MOST - 1);
    s.d[s.rank++] = dim_int(1);
    Attr attr[3] = {attr_of_shape(ATTR_shape, shape_of(1, dim_int(n))), attr_of_int(ATTR_axis, 0),
                    attr_of_int(ATTR_dtype, DT_i32)};
    Node *classes = node_new(x->g, OP_iota, blame(x, a->at), NULL, 0, attr, 3);
    Val hot = make_op2(x, OP_eq, val_tensor(make_reshape(x->g, i, s), a->at),
                       val_tensor(classes, a->at), a->at);
    if (hot.kind == VAL_tensor)
        hot.u.t.node = to_real(x, hot.u.t.node);
    return hot;
}

static Val run_gather(Args *a)
{
    Val table, index;
    if (!tensor_arg(a, 0, &table) || !tensor_arg(a, 1, &index))
        return val_poison();
    if (shape_has_batch(&table.u.t.node->shape))
        return unsupported(a->x, a->at,
                           "gather from a sample's own values; the table is a parameter");
    index.u.t.node = make_cast(a->x->g, index.u.t.node, DT_i32);
    Val out = make_op2(a->x, OP_gather, table, index, a->at);
    if (out.kind == VAL_tensor)
        out.u.t.mask = index.u.t.mask;
    return out;
}

static Val run_mask(Args *a)
{
    if (a->arg[0].kind != VAL_tensor || !a->arg[0].u.t.mask)
        return val_none(a->at);
    return val_tensor(a->arg[0].u.t.mask, a->at);
}

static Val run_orthogonalize(Args *a)
{
    Val v;
    if (!tensor_arg(a, 0, &v))
        return val_poison();
    return make_op(a->x, OP_orthogonal, &v, 1, NULL, 0, a->at);
}

const Builtin tensor_builtins[] = {
    {"sum", "x; axis?, keepdims?", run_sum, NOP},
    {"mean", "x; axis?, keepdims?", run_mean, NOP},
    {"max", "*x; axis?, keepdims?", run_max, NOP},
    {"min", "*x; axis?, keepdims?", run_min, NOP},
    {"any", "x; axis?, keepdims?", run_any, NOP},
    {"all", "x; axis?, keepdims?", run_all, NOP},
    {"argmax", "x; axis?", run_argmax, NOP},
    {"norm", "x; axis?, keepdims?", run_norm, NOP},
    {"dot", "x, y", run_dot, NOP},
    {"shape", "x", run_shape, NOP},
    {"dim", "x, axis?", run_dim, NOP},
    {"rank", "x", run_rank, NOP},
    {"is_whole", "x", run_is_whole, NOP},
    {"reshape", "x, shape", run_reshape, NOP},
    {"flatten", "x", run_flatten, NOP},
    {"transpose", "x, axes?", run_transpose, NOP},
    {"permute", "x, axes", run_transpose, NOP},
    {"expand", "x; axis?", run_expand, NOP},
    {"broadcast", "x, shape", run_broadcast, NOP},
    {"concat", "*x; axis?", run_concat, NOP},
    {"split", "x, parts; axis?", run_split, NOP},
    {"reverse", "x; axis?", run_reverse, NOP},
    {"clip", "x, low, high", run_clip, NOP},
    {"where", "condition, x, y", run_where, NOP},
    {"float", "x", run_float, NOP},
    {"int", "x", run_int, NOP},
    {"one_hot", "x, classes", run_one_hot, NOP},
    {"gather", "table, index", run_gather, NOP},
    {"mask", "x", run_mask, NOP},
    {"orthogonalize", "x", run_orthogonalize, NOP},
    {NULL, NULL, NULL, NOP},
};
