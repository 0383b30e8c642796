/* The interpreter's maps, reductions and products on integers and truth values.
 * i32 wraps (two's complement). x mod 0 is 0. What moves without being looked
 * at (select, stop_gradient) goes by the size of an element. */
#include "ir/eval_in.h"

#include <string.h>

#define KERNEL(name, R, TX, T, formula)                                                  \
    static void name(void *restrict out, const void *restrict px, const void *restrict py, \
                     const void *restrict pz)                                            \
    {                                                                                    \
        R *r = out;                                                                      \
        const TX *x = px;                                                                \
        const T *y = py, *z = pz;                                                        \
        (void)x;                                                                         \
        (void)y;                                                                         \
        (void)z;                                                                         \
        for (int i = 0; i < LANES; i++)                                                  \
            r[i] = (formula);                                                            \
    }

/* ---- i32 ---- */

static int32_t wrap(uint32_t v)
{
    return (int32_t)v;
}

static int32_t floored(int32_t x, int32_t y)
{
    if (y == 0 || y == -1)
        return 0;
    int32_t r = x % y;
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

#define INT(name, formula) KERNEL(name##_i32, int32_t, int32_t, int32_t, formula)
#define COMPARE(name, op) KERNEL(name##_i32, bool, int32_t, int32_t, x[i] op y[i])
INT(neg, wrap(0u - (uint32_t)x[i]))
INT(abs, x[i] < 0 ? wrap(0u - (uint32_t)x[i]) : x[i])
INT(add, wrap((uint32_t)x[i] + (uint32_t)y[i]))
INT(sub, wrap((uint32_t)x[i] - (uint32_t)y[i]))
INT(mul, wrap((uint32_t)x[i] * (uint32_t)y[i]))
INT(max, x[i] > y[i] ? x[i] : y[i])
INT(min, x[i] < y[i] ? x[i] : y[i])
INT(floored, floored(x[i], y[i]))
COMPARE(lt, <)
COMPARE(le, <=)
COMPARE(gt, >)
COMPARE(ge, >=)
COMPARE(eq, ==)
COMPARE(ne, !=)

const MapKernel eval_map_i32[NOP] = {
    [OP_neg] = neg_i32, [OP_abs] = abs_i32, [OP_add] = add_i32, [OP_sub] = sub_i32,
    [OP_mul] = mul_i32, [OP_max] = max_i32, [OP_min] = min_i32, [OP_mod] = floored_i32,
    [OP_lt] = lt_i32,   [OP_le] = le_i32,   [OP_gt] = gt_i32,   [OP_ge] = ge_i32,
    [OP_eq] = eq_i32,   [OP_ne] = ne_i32,
};

#define T int32_t
#define R_ADD(a, b) wrap((uint32_t)(a) + (uint32_t)(b))
#define R_MAX(a, b) ((a) >= (b) ? (a) : (b))
#define R_MIN(a, b) ((a) <= (b) ? (a) : (b))
#define R_ABOVE(a, b) ((a) > (b))
#define FUSED(a, b, c) wrap((uint32_t)(a) * (uint32_t)(b) + (uint32_t)(c))
#include "ir/eval_reduce.inc"
#include "ir/eval_product.inc"
#undef T

void eval_reduce_i32(const Reduction *r)
{
    reduce(r);
}

void eval_product_i32(const Product *p)
{
    product(p);
}

/* ---- bool, and what moves by its size ---- */

KERNEL(not_bool, bool, bool, bool, !x[i])
KERNEL(and_bool, bool, bool, bool, x[i] & y[i])
KERNEL(or_bool, bool, bool, bool, x[i] | y[i])
KERNEL(select_1, uint8_t, bool, uint8_t, x[i] ? y[i] : z[i])
KERNEL(select_2, uint16_t, bool, uint16_t, x[i] ? y[i] : z[i])
KERNEL(select_4, uint32_t, bool, uint32_t, x[i] ? y[i] : z[i])
KERNEL(copy_1, uint8_t, uint8_t, uint8_t, x[i])
KERNEL(copy_2, uint16_t, uint16_t, uint16_t, x[i])
KERNEL(copy_4, uint32_t, uint32_t, uint32_t, x[i])

MapKernel eval_map_bool(Op op)
{
    return op == OP_not ? not_bool : op == OP_and ? and_bool : op == OP_or ? or_bool : NULL;
}

MapKernel eval_map_select(int size)
{
    return size == 1 ? select_1 : size == 2 ? select_2 : select_4;
}

MapKernel eval_map_copy(int size)
{
    return size == 1 ? copy_1 : size == 2 ? copy_2 : copy_4;
}
