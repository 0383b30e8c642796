/* Doubles for processors that have instructions for floats alone: what is done to them becomes
 * calls of functions of the module's own, on their bits as integers, so that no library is
 * called and the bits are those of a processor with doubles. Rounding is to the nearest, ties to
 * even; denormals are zero, as operands and as results.
 *
 * One function serves a product, a sum and both at once: a * b is fma(a, b, -0), a + b is
 * fma(a, 1, b). Between operation and rounding a number is (sign, exponent, r), r an integer of
 * 128 bits: r / 2^POINT * 2^(exponent - BIAS).
 */
#include "emit/module.h"

#include <string.h>

enum { MANTISSA = 52, BIAS = 1023, TOP = 2047, POINT = 124 };
static const uint64_t SIGN = 1ull << 63, ONE = 1ull << MANTISSA,
                      INFINITE = (uint64_t)TOP << MANTISSA,
                      NOT_A_NUMBER = INFINITE | 1ull << (MANTISSA - 1);

/* ---- integers, as short as formulas want them ---- */

static V constant(V like, uint64_t c)
{
    return LLVMConstInt(LLVMTypeOf(like), c, 0);
}

static V with(Emit *e, LLVMOpcode op, V a, uint64_t c)
{
    return LLVMBuildBinOp(e->b, op, a, constant(a, c), "");
}

static V is_than(Emit *e, LLVMIntPredicate how, V a, uint64_t c)
{
    return LLVMBuildICmp(e->b, how, a, constant(a, c), "");
}

#define ADD(a_, b_) LLVMBuildAdd(e->b, a_, b_, "")
#define SUB(a_, b_) LLVMBuildSub(e->b, a_, b_, "")
#define MUL(a_, b_) LLVMBuildMul(e->b, a_, b_, "")
#define NEG(a_) LLVMBuildNeg(e->b, a_, "")
#define AND(a_, b_) LLVMBuildAnd(e->b, a_, b_, "")
#define OR(a_, b_) LLVMBuildOr(e->b, a_, b_, "")
#define XOR(a_, b_) LLVMBuildXor(e->b, a_, b_, "")
#define SHL(a_, by_) LLVMBuildShl(e->b, a_, by_, "")
#define SHR(a_, by_) LLVMBuildLShr(e->b, a_, by_, "")
#define SEL(c_, a_, b_) LLVMBuildSelect(e->b, c_, a_, b_, "")
#define WIDE(a_, t_) LLVMBuildZExt(e->b, a_, t_, "")
#define LOW(a_, t_) LLVMBuildTrunc(e->b, a_, t_, "")
#define IS(a_, how_, b_) LLVMBuildICmp(e->b, LLVMInt##how_, a_, b_, "")
/* the same with a constant */
#define ADD_C(a_, c_) with(e, LLVMAdd, a_, (uint64_t)(c_))
#define AND_C(a_, c_) with(e, LLVMAnd, a_, c_)
#define OR_C(a_, c_) with(e, LLVMOr, a_, c_)
#define SHL_C(a_, c_) with(e, LLVMShl, a_, c_)
#define SHR_C(a_, c_) with(e, LLVMLShr, a_, c_)
#define SAR_C(a_, c_) with(e, LLVMAShr, a_, c_)
#define IS_C(a_, how_, c_) is_than(e, LLVMInt##how_, a_, (uint64_t)(c_))

/* ---- parts of a double ---- */

/* Its exponent, i32. */
static V exponent_of(Emit *e, V x)
{
    return AND_C(LOW(SHR_C(x, MANTISSA), e->i32), TOP);
}

/* Its mantissa with the leading one; 0 of zeros and denormals. */
static V mantissa_of(Emit *e, V x)
{
    V m = OR_C(AND_C(x, ONE - 1), ONE);
    return SEL(IS_C(exponent_of(e, x), EQ, 0), constant(x, 0), m);
}

static V sign_of(Emit *e, V x)
{
    return AND_C(x, SIGN);
}

static V is_nan_bits(Emit *e, V x)
{
    return IS_C(AND_C(x, ~SIGN), UGT, INFINITE);
}

static V is_infinite(Emit *e, V x)
{
    return IS_C(AND_C(x, ~SIGN), EQ, INFINITE);
}

static V is_zero(Emit *e, V x)
{
    return IS_C(exponent_of(e, x), EQ, 0);
}

/* ---- functions of the module ---- */

typedef struct {
    Emit *e;
    LLVMTypeRef i128;
    V at;      /* the instruction that is replaced */
} Soft;

/* The function of that name, made by `body` when it is first asked for. */
static V function(Soft *s, const char *name, LLVMTypeRef result, LLVMTypeRef *in, unsigned n,
                  V (*body)(Soft *, V fn))
{
    Emit *e = s->e;
    V fn = LLVMGetNamedFunction(e->m, name);
    if (fn)
        return fn;
    LLVMBasicBlockRef back = LLVMGetInsertBlock(e->b);
    V before = e->fn;
    fn = begin_function(e, name, LLVMFunctionType(result, in, n, 0), false);
    LLVMBuildRet(e->b, body(s, fn));
    e->fn = before;
    if (back == LLVMGetInstructionParent(s->at))
        LLVMPositionBuilderBefore(e->b, s->at);
    else
        LLVMPositionBuilderAtEnd(e->b, back); /* another function asked for it */
    return fn;
}

static V call(Emit *e, V fn, V *args, unsigned n)
{
    return LLVMBuildCall2(e->b, LLVMGlobalGetValueType(fn), fn, args, n, "");
}

/* (sign, exponent, r) to the nearest double. */
static V round_body(Soft *s, V fn)
{
    Emit *e = s->e;
    V sign = LLVMGetParam(fn, 0), exponent = LLVMGetParam(fn, 1), r = LLVMGetParam(fn, 2);
    LLVMTypeRef t = s->i128;
    V args[] = {OR_C(r, 1), LLVMConstInt(e->i1, 0, 0)}; /* r = 0 is told apart below */
    V zeros = call_intrinsic(e, "llvm.ctlz", &t, 1, args, 2);
    r = SHL(r, zeros); /* its leading one is bit 127 */
    V high = LOW(SHR_C(r, 64), e->i64), low = LOW(r, e->i64);
    V m = SHR_C(high, 63 - MANTISSA);
    V rest = OR(SHL_C(high, MANTISSA + 1), WIDE(IS_C(low, NE, 0), e->i64));
    V odd = IS_C(AND_C(m, 1), NE, 0);
    V up = OR(IS_C(rest, UGT, SIGN), AND(IS_C(rest, EQ, SIGN), odd));
    exponent = SUB(ADD_C(exponent, 127 - POINT), LOW(zeros, e->i32));
    /* The leading one of m counts as an exponent. */
    V all = SHL_C(LLVMBuildSExt(e->b, ADD_C(exponent, -1), e->i64, ""), MANTISSA);
    all = ADD(ADD(all, m), WIDE(up, e->i64));
    all = SEL(OR(IS_C(exponent, SLT, 0), IS_C(all, SLT, ONE)), constant(all, 0), all);
    all = SEL(IS_C(exponent, SGE, TOP), constant(all, INFINITE), all);
    return OR(sign, SEL(IS_C(high, EQ, 0), constant(all, 0), all));
}

static V round_to_double(Soft *s, V sign, V exponent, V r)
{
    Emit *e = s->e;
    LLVMTypeRef in[] = {e->i64, e->i32, s->i128};
    V args[] = {sign, exponent, r};
    return call(e, function(s, "soft.round", e->i64, in, 3, round_body), args, 3);
}

/* The product of two mantissas, by halves: there is one instruction for 32 bits. */
static V product(Soft *s, V a, V b)
{
    Emit *e = s->e;
    V half = constant(a, UINT32_MAX);
    V al = AND(a, half), ah = SHR_C(a, 32), bl = AND(b, half), bh = SHR_C(b, 32);
    V middle = ADD(MUL(al, bh), MUL(ah, bl));
    V sum = ADD(WIDE(MUL(al, bl), s->i128), SHL_C(WIDE(middle, s->i128), 32));
    return ADD(sum, SHL_C(WIDE(MUL(ah, bh), s->i128), 64));
}

/* y / 2^by; what is lost leaves a bit. */
static V shift_down(Emit *e, V y, V by)
{
    by = SEL(IS_C(by, UGT, 127), constant(by, 127), by);
    by = WIDE(by, LLVMTypeOf(y));
    V moved = SHR(y, by);
    return OR(moved, WIDE(IS(SHL(moved, by), NE, y), LLVMTypeOf(y)));
}

static V fma_special(Emit *e, V a, V b, V c, V sign, V finite)
{
    V large = OR(is_infinite(e, a), is_infinite(e, b));
    V nan = OR(OR(is_nan_bits(e, a), is_nan_bits(e, b)), is_nan_bits(e, c));
    nan = OR(nan, AND(large, OR(is_zero(e, a), is_zero(e, b))));
    V against = IS(sign, NE, sign_of(e, c));
    nan = OR(nan, AND(AND(large, is_infinite(e, c)), against));
    V result = SEL(is_infinite(e, c), c, finite);
    result = SEL(large, OR_C(sign, INFINITE), result);
    return SEL(nan, constant(a, NOT_A_NUMBER), result);
}

static V fma_body(Soft *s, V fn)
{
    enum { SPARE = POINT - 2 * MANTISSA, ZERO = -4096 }; /* an exponent below all others */
    Emit *e = s->e;
    V a = LLVMGetParam(fn, 0), b = LLVMGetParam(fn, 1), c = LLVMGetParam(fn, 2);
    V sign = sign_of(e, XOR(a, b)), sign_c = sign_of(e, c);
    V p = SHL_C(product(s, mantissa_of(e, a), mantissa_of(e, b)), SPARE);
    V q = SHL_C(WIDE(mantissa_of(e, c), s->i128), POINT - MANTISSA);
    V at_p = ADD_C(ADD(exponent_of(e, a), exponent_of(e, b)), -BIAS), at_q = exponent_of(e, c);
    at_p = SEL(IS_C(p, EQ, 0), constant(at_p, (uint64_t)ZERO), at_p);
    V first = IS(at_p, SGE, at_q); /* the product has the larger exponent */
    V x = SEL(first, p, q), y = SEL(first, q, p), at = SEL(first, at_p, at_q);
    y = shift_down(e, y, SUB(at, SEL(first, at_q, at_p)));
    V differ = IS(sign, NE, sign_c), less = AND(differ, IS(x, ULT, y));
    V r = SEL(differ, SEL(less, SUB(y, x), SUB(x, y)), ADD(x, y));
    V of_x = SEL(first, sign, sign_c), of_r = XOR(of_x, SHL_C(WIDE(less, e->i64), 63));
    of_r = SEL(IS_C(r, EQ, 0), AND(sign, sign_c), of_r);
    return fma_special(e, a, b, c, sign, round_to_double(s, of_r, at, r));
}

/* Digit by digit, as on paper. */
static V divide_body(Soft *s, V fn)
{
    enum { DIGITS = MANTISSA + 5 };
    Emit *e = s->e;
    V a = LLVMGetParam(fn, 0), b = LLVMGetParam(fn, 1), sign = sign_of(e, XOR(a, b));
    V acc[] = {mantissa_of(e, a), constant(a, 0)}, by = mantissa_of(e, b); /* rest, quotient */
    Loop l;
    loop_begin(e, &l, const_i64(e, 0), const_i64(e, DIGITS), 1, acc, 2);
    V fits = IS(acc[0], UGE, by);
    acc[0] = SHL_C(SEL(fits, SUB(acc[0], by), acc[0]), 1);
    acc[1] = OR(SHL_C(acc[1], 1), WIDE(fits, e->i64));
    loop_end(e, &l, acc);
    V r = SHL_C(WIDE(acc[1], s->i128), POINT - (DIGITS - 1));
    r = OR(r, WIDE(IS_C(acc[0], NE, 0), s->i128));
    V at = ADD_C(SUB(exponent_of(e, a), exponent_of(e, b)), BIAS);
    V result = round_to_double(s, sign, at, r);
    V large = OR(is_infinite(e, a), is_zero(e, b)), none = OR(is_zero(e, a), is_infinite(e, b));
    result = SEL(none, sign, SEL(large, OR_C(sign, INFINITE), result));
    V nan = OR(is_nan_bits(e, a), is_nan_bits(e, b));
    nan = OR(nan, AND(is_infinite(e, a), is_infinite(e, b)));
    nan = OR(nan, AND(is_zero(e, a), is_zero(e, b)));
    return SEL(nan, constant(a, NOT_A_NUMBER), result);
}

/* Digit by digit; `put`: the digit at hand. */
static V sqrt_body(Soft *s, V fn)
{
    Emit *e = s->e;
    V a = LLVMGetParam(fn, 0), at = ADD_C(exponent_of(e, a), -BIAS), odd = AND_C(at, 1);
    V rest = SHL_C(SHL(mantissa_of(e, a), WIDE(odd, e->i64)), 1), zero = constant(a, 0);
    V acc[] = {rest, zero, zero, constant(a, 2 * ONE)}; /* rest, twice the root, root, put */
    Loop l;
    loop_begin(e, &l, const_i64(e, 0), const_i64(e, MANTISSA + 2), 1, acc, 4);
    V t = ADD(acc[1], acc[3]), fits = IS(t, ULE, acc[0]);
    acc[0] = SHL_C(SEL(fits, SUB(acc[0], t), acc[0]), 1);
    acc[1] = SEL(fits, ADD(t, acc[3]), acc[1]);
    acc[2] = SEL(fits, ADD(acc[2], acc[3]), acc[2]);
    acc[3] = SHR_C(acc[3], 1);
    loop_end(e, &l, acc);
    V r = SHL_C(WIDE(acc[2], s->i128), POINT - MANTISSA - 1);
    r = OR(r, WIDE(IS_C(acc[0], NE, 0), s->i128));
    at = ADD_C(SAR_C(at, 1), BIAS);
    V result = round_to_double(s, zero, at, r), sign = sign_of(e, a);
    result = SEL(IS_C(sign, NE, 0), constant(a, NOT_A_NUMBER), result);
    result = SEL(is_zero(e, a), sign, result);
    V same = OR(is_nan_bits(e, a), IS_C(a, EQ, INFINITE));
    return SEL(same, a, result);
}

/* LLVM's predicates are sets of these. */
enum { EQUAL = 1, GREATER = 2, LESS = 4, UNORDERED = 8 };

static V key_of(Emit *e, V x)
{
    V size = SEL(is_zero(e, x), constant(x, 0), AND_C(x, ~SIGN));
    return SEL(IS_C(x, SLT, 0), NEG(size), size);
}

static V compare_body(Soft *s, V fn)
{
    Emit *e = s->e;
    V a = LLVMGetParam(fn, 0), b = LLVMGetParam(fn, 1), p = key_of(e, a), q = key_of(e, b);
    V how = SEL(IS(p, SLT, q), LLVMConstInt(e->i32, LESS, 0), LLVMConstInt(e->i32, GREATER, 0));
    how = SEL(IS(p, EQ, q), constant(how, EQUAL), how);
    return SEL(OR(is_nan_bits(e, a), is_nan_bits(e, b)), constant(how, UNORDERED), how);
}

/* ---- conversions ---- */

enum { MANTISSA_32 = 23, BIAS_32 = 127, TOP_32 = 255, LESS_BITS = MANTISSA - MANTISSA_32 };

/* From the bits of a float, i32. */
static V extend_body(Soft *s, V fn)
{
    Emit *e = s->e;
    V x = LLVMGetParam(fn, 0), at = AND_C(SHR_C(x, MANTISSA_32), TOP_32);
    V sign = SHL_C(WIDE(SHR_C(x, 31), e->i64), 63);
    V m = SHL_C(WIDE(AND_C(x, (1u << MANTISSA_32) - 1), e->i64), LESS_BITS);
    V to = SEL(IS_C(at, EQ, TOP_32), constant(at, TOP), ADD_C(at, BIAS - BIAS_32));
    V all = OR(SHL_C(WIDE(to, e->i64), MANTISSA), m);
    return OR(sign, SEL(IS_C(at, EQ, 0), constant(all, 0), all));
}

static V truncate_body(Soft *s, V fn)
{
    const uint64_t least = 1u << MANTISSA_32, infinite = (uint64_t)TOP_32 << MANTISSA_32;
    Emit *e = s->e;
    V x = LLVMGetParam(fn, 0), sign = LOW(SHR_C(sign_of(e, x), 32), e->i32), m = mantissa_of(e, x);
    V at = ADD_C(exponent_of(e, x), BIAS_32 - BIAS), to = LOW(SHR_C(m, LESS_BITS), e->i32);
    V rest = SHL_C(m, 64 - LESS_BITS), odd = IS_C(AND_C(to, 1), NE, 0);
    V up = OR(IS_C(rest, UGT, SIGN), AND(IS_C(rest, EQ, SIGN), odd));
    V all = ADD(ADD(SHL_C(ADD_C(at, -1), MANTISSA_32), to), WIDE(up, e->i32));
    all = SEL(OR(IS_C(at, SLT, 0), IS_C(all, SLT, least)), constant(all, 0), all);
    all = SEL(IS_C(at, SGE, TOP_32), constant(all, infinite), all);
    V nan = OR_C(constant(all, infinite), least >> 1);
    return OR(sign, SEL(is_nan_bits(e, x), nan, all));
}

/* From an integer with a sign. */
static V from_integer_body(Soft *s, V fn)
{
    enum { UP = 60 };
    Emit *e = s->e;
    V i = LLVMGetParam(fn, 0), size = SEL(IS_C(i, SLT, 0), NEG(i), i);
    V at = LLVMConstInt(e->i32, BIAS + POINT - UP, 0);
    return round_to_double(s, sign_of(e, i), at, SHL_C(WIDE(size, s->i128), UP));
}

/* Toward zero, to the nearest that there is beyond; NaN is 0. */
static V to_integer_body(Soft *s, V fn)
{
    enum { UP = 62 - MANTISSA };
    Emit *e = s->e;
    V x = LLVMGetParam(fn, 0), at = ADD_C(exponent_of(e, x), -BIAS);
    V below = OR(IS_C(at, SLT, 0), is_nan_bits(e, x)), minus = IS_C(x, SLT, 0);
    V by = SEL(IS_C(at, SGT, 62), constant(at, 0), SUB(constant(at, 62), at));
    by = SEL(below, constant(at, 0), by);
    V size = SHR(SHL_C(mantissa_of(e, x), UP), WIDE(by, e->i64));
    V most = SEL(minus, constant(x, SIGN), constant(x, ~SIGN));
    V all = SEL(IS_C(at, SGT, 62), most, SEL(minus, NEG(size), size));
    return SEL(below, constant(x, 0), all);
}

/* ---- what takes an instruction's place ---- */

static V bits_of(Emit *e, V v)
{
    return LLVMBuildBitCast(e->b, v, LLVMTypeOf(v) == e->f32 ? e->i32 : e->i64, "");
}

/* A call of functions of bits that gives bits. */
static V bits_call(Soft *s, const char *name, LLVMTypeRef result, V *args, unsigned n,
                   V (*body)(Soft *, V))
{
    LLVMTypeRef in[3];
    for (unsigned i = 0; i < n; i++)
        in[i] = LLVMTypeOf(args[i]);
    return call(s->e, function(s, name, result, in, n, body), args, n);
}

static V fma_call(Soft *s, V a, V b, V c)
{
    V args[] = {a, b, c};
    return bits_call(s, "soft.fma", s->e->i64, args, 3, fma_body);
}

static V add_body(Soft *s, V fn)
{
    V a = LLVMGetParam(fn, 0);
    return fma_call(s, a, constant(a, (uint64_t)BIAS << MANTISSA), LLVMGetParam(fn, 1));
}

static V multiply_body(Soft *s, V fn)
{
    V a = LLVMGetParam(fn, 0);
    return fma_call(s, a, LLVMGetParam(fn, 1), constant(a, SIGN));
}

/* (double, double) -> double */
static V double_call(Soft *s, const char *name, V a, V b, V (*body)(Soft *, V))
{
    Emit *e = s->e;
    V args[] = {bits_of(e, a), bits_of(e, b)};
    return LLVMBuildBitCast(e->b, bits_call(s, name, e->i64, args, 2, body), e->f64, "");
}

static V sqrt_call(Soft *s, V a)
{
    Emit *e = s->e;
    V bits = bits_of(e, a);
    bits = bits_call(s, "soft.sqrt", e->i64, &bits, 1, sqrt_body);
    return LLVMBuildBitCast(e->b, bits, e->f64, "");
}

static V compare_call(Soft *s, LLVMRealPredicate p, V a, V b)
{
    Emit *e = s->e;
    V args[] = {bits_of(e, a), bits_of(e, b)};
    V how = bits_call(s, "soft.compare", e->i32, args, 2, compare_body);
    return IS_C(AND_C(how, (uint64_t)p), NE, 0);
}

static V extend_call(Soft *s, V a)
{
    Emit *e = s->e;
    V bits = bits_of(e, a);
    bits = bits_call(s, "soft.extend", e->i64, &bits, 1, extend_body);
    return LLVMBuildBitCast(e->b, bits, e->f64, "");
}

static V truncate_call(Soft *s, V a)
{
    Emit *e = s->e;
    V bits = bits_of(e, a);
    bits = bits_call(s, "soft.truncate", e->i32, &bits, 1, truncate_body);
    return LLVMBuildBitCast(e->b, bits, e->f32, "");
}

/* i, shorter than 64 bits where it has no sign. */
static V from_integer_call(Soft *s, V i, bool has_sign)
{
    Emit *e = s->e;
    V wide = LLVMTypeOf(i) == e->i64 ? i
             : has_sign              ? LLVMBuildSExt(e->b, i, e->i64, "")
                                     : WIDE(i, e->i64);
    V bits = bits_call(s, "soft.from_integer", e->i64, &wide, 1, from_integer_body);
    return LLVMBuildBitCast(e->b, bits, e->f64, "");
}

static V to_integer_call(Soft *s, V a, LLVMTypeRef to, bool has_sign)
{
    Emit *e = s->e;
    unsigned width = LLVMGetIntTypeWidth(to);
    V v = bits_of(e, a);
    v = bits_call(s, "soft.to_integer", e->i64, &v, 1, to_integer_body);
    if (width == 64)
        return v;
    int64_t most = has_sign ? INT64_MAX >> (64 - width) : (int64_t)(UINT64_MAX >> (64 - width));
    int64_t least = has_sign ? -most - 1 : 0;
    v = SEL(IS_C(v, SGT, most), constant(v, (uint64_t)most), v);
    v = SEL(IS_C(v, SLT, least), constant(v, (uint64_t)least), v);
    return LOW(v, to);
}

static bool is_call_of(V i, const char *name)
{
    size_t n;
    const char *called = LLVMGetValueName2(LLVMGetCalledValue(i), &n);
    return called && strncmp(called, name, strlen(name)) == 0;
}

static V triple_call(Soft *s, V i)
{
    Emit *e = s->e;
    V bits[3];
    for (unsigned k = 0; k < 3; k++)
        bits[k] = bits_of(e, LLVMGetOperand(i, k));
    return LLVMBuildBitCast(e->b, fma_call(s, bits[0], bits[1], bits[2]), e->f64, "");
}

static V call_instead(Soft *s, V i)
{
    V a = LLVMGetOperand(i, 0);
    if (is_call_of(i, "llvm.fma."))
        return triple_call(s, i);
    if (is_call_of(i, "llvm.sqrt."))
        return sqrt_call(s, a);
    if (is_call_of(i, "llvm.fptosi.sat.") || is_call_of(i, "llvm.fptoui.sat."))
        return to_integer_call(s, a, LLVMTypeOf(i), is_call_of(i, "llvm.fptosi"));
    return NULL; /* of no library: fabs, the object's own */
}

/* What gives the value of an instruction on doubles; null where it may stay. */
static V instead_of(Soft *s, V i)
{
    Emit *e = s->e;
    LLVMOpcode op = LLVMGetInstructionOpcode(i);
    V a = LLVMGetOperand(i, 0), b = LLVMGetNumOperands(i) > 1 ? LLVMGetOperand(i, 1) : NULL;
    switch (op) {
    case LLVMFAdd: return double_call(s, "soft.add", a, b, add_body);
    case LLVMFSub: return double_call(s, "soft.add", a, LLVMBuildFNeg(e->b, b, ""), add_body);
    case LLVMFMul: return double_call(s, "soft.multiply", a, b, multiply_body);
    case LLVMFDiv: return double_call(s, "soft.divide", a, b, divide_body);
    case LLVMFCmp: return compare_call(s, LLVMGetFCmpPredicate(i), a, b);
    case LLVMFPExt: return extend_call(s, a);
    case LLVMFPTrunc: return truncate_call(s, a);
    case LLVMSIToFP: case LLVMUIToFP: return from_integer_call(s, a, op == LLVMSIToFP);
    case LLVMFPToSI: case LLVMFPToUI:
        return to_integer_call(s, a, LLVMTypeOf(i), op == LLVMFPToSI);
    case LLVMCall: return call_instead(s, i);
    case LLVMLoad: case LLVMStore: case LLVMSelect: case LLVMPHI: case LLVMBitCast: case LLVMFNeg:
    case LLVMRet: return NULL;
    default: bug("no soft form of an operation on doubles (%d)", (int)op);
    }
}

static bool meets_double(const Emit *e, V i)
{
    bool meets = LLVMTypeOf(i) == e->f64;
    for (int k = 0; k < LLVMGetNumOperands(i) && !meets; k++)
        meets = LLVMTypeOf(LLVMGetOperand(i, (unsigned)k)) == e->f64;
    return meets;
}

static void soften_block(Soft *s, LLVMBasicBlockRef block)
{
    for (V i = LLVMGetFirstInstruction(block), next; i; i = next) {
        next = LLVMGetNextInstruction(i);
        if (!meets_double(s->e, i))
            continue;
        s->at = i;
        LLVMPositionBuilderBefore(s->e->b, i);
        V instead = instead_of(s, i);
        if (!instead)
            continue;
        LLVMReplaceAllUsesWith(i, instead);
        LLVMInstructionEraseFromParent(i);
    }
}

void soft_doubles(Arena *a, Module *m)
{
    if (!target_softens(m->target))
        return;
    Soft s = {module_emit(a, m), LLVMIntTypeInContext(m->cx, 128), NULL};
    for (V f = LLVMGetFirstFunction(m->m); f; f = LLVMGetNextFunction(f))
        for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
            soften_block(&s, b);
}
