/* Index arithmetic: variable part and constant part kept apart, equal sums made
 * once in a block. */
#include "emit/emit.h"

#include <string.h>

enum { KEY_add = 1, KEY_mul };

Ix ix_const(int64_t c)
{
    return (Ix){NULL, c, 0};
}

Ix ix_of(V v)
{
    if (LLVMIsAConstantInt(v))
        return ix_const(LLVMConstIntGetSExtValue(v));
    return (Ix){v, 0, 0};
}

static V add(Emit *e, V a, V b)
{
    if (!a || !b)
        return a ? a : b;
    V v = block_find(e, a, b, 0, KEY_add);
    return v ? v : block_keep(e, a, b, 0, KEY_add, LLVMBuildNSWAdd(e->b, a, b, ""));
}

static V mul(Emit *e, V a, V b)
{
    V v = block_find(e, a, b, 0, KEY_mul);
    return v ? v : block_keep(e, a, b, 0, KEY_mul, LLVMBuildNSWMul(e->b, a, b, ""));
}

static V mul_const(Emit *e, V a, int64_t c)
{
    if (!a || c == 0)
        return NULL;
    if (c == 1)
        return a;
    V v = block_find(e, a, NULL, c, KEY_mul);
    return v ? v
             : block_keep(e, a, NULL, c, KEY_mul, LLVMBuildNSWMul(e->b, a, const_i64(e, c), ""));
}

Ix ix_add(Emit *e, Ix a, Ix b)
{
    return (Ix){add(e, a.v, b.v), a.c + b.c, a.step + b.step};
}

Ix ix_scale(Emit *e, Ix a, Ix by)
{
    int64_t step = a.step * by.c + by.step * a.c;
    e->irregular |= (a.step && by.v) || (by.step && a.v); /* a step known at run time */
    if (!by.v)
        return (Ix){mul_const(e, a.v, by.c), a.c * by.c, step};
    if (!a.v)
        return (Ix){mul_const(e, by.v, a.c), a.c * by.c, step};
    Ix product = {mul(e, a.v, by.v), a.c * by.c, step};
    product.v = add(e, product.v, mul_const(e, a.v, by.c));
    product.v = add(e, product.v, mul_const(e, by.v, a.c));
    return product;
}

Ix ix_dim(Emit *e, Dim d)
{
    return d.sym == SYM_none ? ix_const(d.add) : (Ix){dim_emit(e, d), 0, 0};
}

V ix_value(Emit *e, Ix a)
{
    e->irregular |= a.step != 0;
    if (!a.v)
        return const_i64(e, a.c);
    return a.c ? LLVMBuildNSWAdd(e->b, a.v, const_i64(e, a.c), "") : a.v;
}

Ix ix_linear(Emit *e, const Shape *s, const Ix *index, int64_t last)
{
    Ix at = ix_const(0), stride = ix_const(1);
    for (int i = s->rank - 1; i >= 0; i--) {
        at = ix_add(e, at, ix_scale(e, index[i], stride));
        stride =
            ix_scale(e, stride, i == s->rank - 1 && last ? ix_const(last) : ix_dim(e, s->d[i]));
    }
    return at;
}

/* Bit by bit, where a library would be called. */
static V divide_bits(Emit *e, V a, V b, V *rest)
{
    unsigned bits = LLVMGetIntTypeWidth(e->index);
    V acc[] = {const_i64(e, 0), const_i64(e, 0)}; /* quotient, remainder */
    Loop l;
    V i = loop_begin(e, &l, const_i64(e, 0), const_i64(e, bits), 1, acc, 2);
    V one = const_i64(e, 1), at = LLVMBuildSub(e->b, const_i64(e, bits - 1), i, "");
    V bit = LLVMBuildAnd(e->b, LLVMBuildLShr(e->b, a, at, ""), one, "");
    V r = LLVMBuildOr(e->b, LLVMBuildShl(e->b, acc[1], one, ""), bit, "");
    V fits = LLVMBuildICmp(e->b, LLVMIntUGE, r, b, "");
    acc[1] = LLVMBuildSelect(e->b, fits, LLVMBuildSub(e->b, r, b, ""), r, "");
    acc[0] = LLVMBuildOr(e->b, LLVMBuildShl(e->b, acc[0], one, ""),
                         LLVMBuildZExt(e->b, fits, e->index, ""), "");
    loop_end(e, &l, acc);
    if (rest)
        *rest = acc[1];
    return acc[0];
}

/* Would it be a call? A constant's reciprocal needs a wide product, which the smallest
 * processors, without floats, do not have either; a shift is always there. */
static bool divides_by_call(const Target *t, V by)
{
    if (t->divides || !LLVMIsConstant(by))
        return !t->divides;
    uint64_t c = LLVMConstIntGetZExtValue(by);
    return !t->floats && (c & (c - 1));
}

V divide_emit(Emit *e, V a, V b, V *rest)
{
    if (divides_by_call(e->target, b))
        return divide_bits(e, a, b, rest);
    if (rest)
        *rest = LLVMBuildURem(e->b, a, b, "");
    return LLVMBuildUDiv(e->b, a, b, "");
}

void ix_unravel(Emit *e, const Shape *s, Ix linear, Ix *index)
{
    if (s->rank == 1) {
        index[0] = linear;
        return;
    }
    e->irregular |= linear.step != 0;
    linear.step = 0;
    V rest = linear.v ? ix_value(e, linear) : NULL;
    int64_t c = linear.c;
    for (int i = s->rank - 1; i >= 0; i--) {
        int64_t extent;
        if (!rest && dim_const(s->d[i], &extent)) {
            index[i] = ix_const(extent ? c % extent : 0);
            c = extent ? c / extent : 0;
            continue;
        }
        if (!rest)
            rest = const_i64(e, c);
        if (i == 0) {
            index[0] = ix_of(rest);
            return;
        }
        V d = dim_emit(e, s->d[i]);
        V left;
        rest = divide_emit(e, rest, d, &left);
        index[i] = ix_of(left);
    }
}
