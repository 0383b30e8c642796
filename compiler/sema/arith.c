/* Operators on values: exact integers, doubles and lengths at once, tensors as nodes. */
#include "sema/internal.h"

#include <math.h>
#include <string.h>

static bool is_plain(const Val *v)
{
    return v->kind == VAL_int || v->kind == VAL_number;
}

static double plain(const Val *v)
{
    return v->kind == VAL_int ? (double)v->u.i : v->u.f;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return a % b && (a < 0) != (b < 0) ? q - 1 : q;
}

/* Exact where it can be; false on overflow. */
static bool int_arithmetic(AstOp op, int64_t a, int64_t b, Val *out, Span at)
{
    int64_t r = 0;
    switch (op) {
    case BIN_add:
        if (__builtin_add_overflow(a, b, &r))
            return false;
        break;
    case BIN_sub:
        if (__builtin_sub_overflow(a, b, &r))
            return false;
        break;
    case BIN_mul:
        if (__builtin_mul_overflow(a, b, &r))
            return false;
        break;
    case BIN_div:
        if (b == 0 || (a == INT64_MIN && b == -1) || a % b) {
            *out = val_number((double)a / (double)b, at);
            return true;
        }
        r = a / b;
        break;
    case BIN_floordiv:
        if (b == 0 || (a == INT64_MIN && b == -1))
            return false;
        r = floor_div(a, b);
        break;
    case BIN_mod:
        if (b == 0 || b == -1) {
            if (b == 0)
                return false;
            break;
        }
        r = a - b * floor_div(a, b);
        break;
    case BIN_pow:
        if (b < 0) {
            *out = val_number(pow((double)a, (double)b), at);
            return true;
        }
        r = 1;
        if (a == 0 || a == 1 || a == -1)
            r = b == 0 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : a;
        else
            for (int64_t i = 0; i < b; i++)
                if (__builtin_mul_overflow(r, a, &r))
                    return false;
        break;
    default:
        return false;
    }
    *out = val_int(r, at);
    return true;
}

static double number_arithmetic(AstOp op, double a, double b)
{
    switch (op) {
    case BIN_add:
        return a + b;
    case BIN_sub:
        return a - b;
    case BIN_mul:
        return a * b;
    case BIN_div:
        return a / b;
    case BIN_floordiv:
        return floor(a / b);
    case BIN_mod:
        return a - b * floor(a / b);
    default:
        return pow(a, b);
    }
}

static bool compare(AstOp op, double a, double b)
{
    switch (op) {
    case BIN_lt:
        return a < b;
    case BIN_le:
        return a <= b;
    case BIN_gt:
        return a > b;
    case BIN_ge:
        return a >= b;
    case BIN_eq:
        return a == b;
    default:
        return a != b;
    }
}

/* a op b with a run-time length, where the result is one again. */
static bool extent_arithmetic(AstOp op, const Val *a, const Val *b, Val *out, Span at)
{
    Dim d;
    bool ok = false;
    if (a->kind == VAL_extent && b->kind == VAL_int) {
        int64_t k = b->u.i;
        switch (op) {
        case BIN_add:
            ok = dim_affine(a->u.dim, 1, k, 1, &d);
            break;
        case BIN_sub:
            ok = dim_affine(a->u.dim, 1, -k, 1, &d);
            break;
        case BIN_mul:
            ok = dim_affine(a->u.dim, k, 0, 1, &d);
            break;
        case BIN_floordiv:
            ok = k > 0 && dim_affine(a->u.dim, 1, 0, k, &d);
            break;
        case BIN_div:
            ok = k > 0 && a->u.dim.div == 1 && a->u.dim.mul % k == 0 && a->u.dim.add % k == 0 &&
                 dim_affine(a->u.dim, 1, 0, k, &d);
            break;
        default:
            break;
        }
    } else if (a->kind == VAL_int && b->kind == VAL_extent) {
        if (op == BIN_add || op == BIN_mul)
            return extent_arithmetic(op, b, a, out, at);
        ok = op == BIN_sub && dim_affine(b->u.dim, -1, a->u.i, 1, &d);
    } else if (a->kind == VAL_extent && b->kind == VAL_extent && (op == BIN_add || op == BIN_sub)) {
        Dim p = a->u.dim, q = b->u.dim;
        ok = p.sym == q.sym && p.div == 1 && q.div == 1;
        int64_t sign = op == BIN_add ? 1 : -1;
        if (ok && p.mul + sign * q.mul == 0)
            d = dim_int(p.add + sign * q.add);
        else if (ok)
            ok = dim_affine(dim_sym(p.sym), p.mul + sign * q.mul, p.add + sign * q.add, 1, &d);
    }
    if (ok)
        *out = val_dim(d, at);
    return ok;
}

static const Op tensor_op[] = {
    [BIN_add] = OP_add, [BIN_sub] = OP_sub, [BIN_mul] = OP_mul, [BIN_div] = OP_div,
    [BIN_mod] = OP_mod, [BIN_pow] = OP_pow, [BIN_lt] = OP_lt,   [BIN_le] = OP_le,
    [BIN_gt] = OP_gt,   [BIN_ge] = OP_ge,   [BIN_eq] = OP_eq,   [BIN_ne] = OP_ne,
    [BIN_and] = OP_and, [BIN_or] = OP_or,
};

/* ==, != on what are not numbers: none, strings, definitions, lists. */
static bool equal_values(const Val *a, const Val *b)
{
    if (is_plain(a) && is_plain(b))
        return plain(a) == plain(b);
    const char *p = val_name(a), *q = val_name(b);
    if (p && q && a->kind != VAL_recipe && b->kind != VAL_recipe)
        return !strcmp(p, q);
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case VAL_none:
        return true;
    case VAL_bool:
        return a->u.b == b->u.b;
    case VAL_dtype:
        return a->u.dtype == b->u.dtype;
    case VAL_extent:
        return dim_equal(a->u.dim, b->u.dim);
    case VAL_recipe:
        return a->u.recipe == b->u.recipe;
    case VAL_instance:
        return a->u.instance == b->u.instance;
    case VAL_list:
    case VAL_tuple:
        if (a->u.list.n != b->u.list.n)
            return false;
        for (int i = 0; i < a->u.list.n; i++)
            if (!equal_values(&a->u.list.at[i], &b->u.list.at[i]))
                return false;
        return true;
    default:
        return false;
    }
}

static bool is_tensor_like(const Val *v)
{
    return v->kind == VAL_tensor || v->kind == VAL_step || v->kind == VAL_extent;
}

static Val tensor_binary(Expander *x, AstOp op, Val a, Val b, Span at)
{
    if (op == BIN_matmul)
        return make_product(x, a, b, at);
    if (op == BIN_floordiv) {
        Val q = make_op2(x, OP_div, a, b, at);
        return q.kind == VAL_poison ? q : make_op1(x, OP_floor, q, at);
    }
    if (op == BIN_pow && a.kind == VAL_tensor && b.kind == VAL_int && b.u.i >= 2 && b.u.i <= 8) {
        Val p = a; /* x * x * x: exact, for negative x as well */
        for (int64_t i = 1; i < b.u.i && p.kind != VAL_poison; i++)
            p = make_op2(x, OP_mul, p, a, at);
        return p;
    }
    return make_op2(x, tensor_op[op], a, b, at);
}

static Val plain_binary(Expander *x, AstOp op, const Val *a, const Val *b, Span at)
{
    Val out;
    if (op >= BIN_lt && op <= BIN_ne)
        return val_bool(compare(op, plain(a), plain(b)), at);
    if (a->kind == VAL_number || b->kind == VAL_number)
        return val_number(number_arithmetic(op, plain(a), plain(b)), at);
    if (int_arithmetic(op, a->u.i, b->u.i, &out, at))
        return out;
    if (b->u.i == 0 && (op == BIN_floordiv || op == BIN_mod))
        return fail(x, at, "division by zero");
    return fail(x, at, "this integer is too large");
}

Val binary_values(Expander *x, AstOp op, Val a, Val b, Span at)
{
    Val out;
    if (a.kind == VAL_poison || b.kind == VAL_poison) {
        unknown_name(x, a.kind == VAL_poison ? &b : &a, at);
        return val_poison();
    }
    if (op == BIN_and || op == BIN_or) {
        if (a.kind == VAL_bool && b.kind == VAL_bool)
            return val_bool(op == BIN_and ? a.u.b && b.u.b : a.u.b || b.u.b, at);
        return make_op2(x, tensor_op[op], a, b, at);
    }
    if (is_plain(&a) && is_plain(&b) && op != BIN_matmul)
        return plain_binary(x, op, &a, &b, at);
    if (a.kind == VAL_step && b.kind == VAL_int && (op == BIN_add || op == BIN_sub) &&
        b.u.i > -1000000 && b.u.i < 1000000) {
        a.u.back += (int)(op == BIN_sub ? b.u.i : -b.u.i);
        a.span = at;
        return a;
    }
    bool equality = op == BIN_eq || op == BIN_ne;
    if (a.kind == VAL_extent && b.kind == VAL_extent && equality && dim_equal(a.u.dim, b.u.dim))
        return val_bool(op == BIN_eq, at);
    if (equality &&
        (a.kind == VAL_none || b.kind == VAL_none || (!is_tensor_like(&a) && !is_tensor_like(&b))))
        return val_bool(equal_values(&a, &b) == (op == BIN_eq), at);
    if (extent_arithmetic(op, &a, &b, &out, at))
        return out;
    bool lists = a.kind == b.kind && (a.kind == VAL_list || a.kind == VAL_tuple);
    if (op == BIN_add && lists && a.u.list.n + b.u.list.n < 4096) {
        Val *at_ = NEW_ARRAY(x->a, Val, a.u.list.n + b.u.list.n + 1);
        memcpy(at_, a.u.list.at, sizeof(Val) * (size_t)a.u.list.n);
        memcpy(at_ + a.u.list.n, b.u.list.at, sizeof(Val) * (size_t)b.u.list.n);
        return val_list(x->a, a.kind, at_, a.u.list.n + b.u.list.n, at);
    }
    if (op == BIN_add && a.kind == VAL_string && b.kind == VAL_string)
        return val_string(arena_printf(x->a, "%.200s%.200s", a.u.text.s, b.u.text.s), at);
    return tensor_binary(x, op, a, b, at);
}

Val unary_value(Expander *x, AstOp op, Val a, Span at)
{
    if (a.kind == VAL_poison)
        return a;
    if (op == UN_not)
        return a.kind == VAL_bool ? val_bool(!a.u.b, at) : make_op1(x, OP_not, a, at);
    if (a.kind == VAL_int && a.u.i != INT64_MIN)
        return val_int(-a.u.i, at);
    if (a.kind == VAL_number)
        return val_number(-a.u.f, at);
    return make_op1(x, OP_neg, a, at);
}

Val select_values(Expander *x, Val c, Val a, Val b, Span at)
{
    if (a.kind == VAL_poison || b.kind == VAL_poison)
        return val_poison();
    return make_op(x, OP_select, (Val[]){c, a, b}, 3, NULL, 0, at);
}
