/* Elementwise operations: the formulas of op.def in builder calls. */
#include "emit/vector.h"
#include "emit/vmath.h"

#include <math.h>
#include <string.h>

V call_intrinsic(Emit *e, const char *name, LLVMTypeRef *types, int ntypes, V *args, int nargs)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    V fn = LLVMGetIntrinsicDeclaration(e->m, id, types, (size_t)ntypes);
    LLVMTypeRef type = LLVMIntrinsicGetType(e->cx, id, types, (size_t)ntypes);
    return LLVMBuildCall2(e->b, type, fn, args, (unsigned)nargs, "");
}

static bool is_double(V v)
{
    LLVMTypeRef t = LLVMTypeOf(v);
    if (LLVMGetTypeKind(t) == LLVMVectorTypeKind)
        t = LLVMGetElementType(t);
    return LLVMGetTypeKind(t) == LLVMDoubleTypeKind;
}

V fma_emit(Emit *e, V a, V b, V c)
{
    if (!(e->fma & (is_double(a) ? REAL_f64 : REAL_f32)))
        return LLVMBuildFAdd(e->b, LLVMBuildFMul(e->b, a, b, ""), c, "");
    LLVMTypeRef t = LLVMTypeOf(a);
    V args[] = {a, b, c};
    return call_intrinsic(e, "llvm.fma", &t, 1, args, 3);
}

/* Without the instruction a library would be called: Newton's iteration for
 * 1 / sqrt(x) from the halved exponent, then one for the root. Denormals are zero. */
static V sqrt_steps(Emit *e, V x, bool wide)
{
    Dtype dt = wide ? DT_f64 : DT_f32;
    LLVMTypeRef real = LLVMTypeOf(x), bits = type_lanes(e, wide ? e->i64 : e->i32);
    LLVMTypeRef element = wide ? e->i64 : e->i32;
    V one = int_constant(e, element, 1);
    V magic = int_constant(e, element, wide ? 0x5fe6eb50c7b537a9 : 0x5f3759df);
    V half = const_value(e, dt, 0.5), most = const_value(e, dt, 1.5), zero = const_value(e, dt, 0);
    V y = LLVMBuildLShr(e->b, LLVMBuildBitCast(e->b, x, bits, ""), one, "");
    y = LLVMBuildBitCast(e->b, LLVMBuildSub(e->b, magic, y, ""), real, "");
    V h = LLVMBuildFMul(e->b, x, half, "");
    for (int i = 0; i < (wide ? 4 : 3); i++) {
        V error = LLVMBuildFMul(e->b, LLVMBuildFMul(e->b, h, y, ""), y, "");
        y = LLVMBuildFMul(e->b, y, LLVMBuildFSub(e->b, most, error, ""), "");
    }
    V root = LLVMBuildFMul(e->b, x, y, "");
    V rest = LLVMBuildFSub(e->b, x, LLVMBuildFMul(e->b, root, root, ""), "");
    rest = LLVMBuildFMul(e->b, LLVMBuildFMul(e->b, rest, y, ""), half, "");
    root = LLVMBuildFAdd(e->b, root, rest, "");
    V least = const_value(e, dt, wide ? 0x1p-1022 : 0x1p-126), top = const_value(e, dt, INFINITY);
    V is_zero = LLVMBuildFCmp(e->b, LLVMRealOLT, x, least, "");
    V is_top = LLVMBuildFCmp(e->b, LLVMRealUEQ, x, top, ""); /* infinity, NaN */
    V negative = LLVMBuildFCmp(e->b, LLVMRealOLE, x, LLVMBuildFNeg(e->b, least, ""), "");
    root = LLVMBuildSelect(e->b, is_zero, zero, root, "");
    root = LLVMBuildSelect(e->b, is_top, x, root, "");
    return LLVMBuildSelect(e->b, negative, const_value(e, dt, NAN), root, "");
}

V sqrt_emit(Emit *e, V x)
{
    bool wide = is_double(x);
    bool there = wide && target_softens(e->target);
    there |= (e->target->floats & (wide ? REAL_f64 : REAL_f32)) != 0;
    return there ? unary_intrinsic(e, "llvm.sqrt", x) : sqrt_steps(e, x, wide);
}

static bool is_float(V v)
{
    LLVMTypeRef t = LLVMTypeOf(v);
    if (LLVMGetTypeKind(t) == LLVMVectorTypeKind)
        t = LLVMGetElementType(t);
    return LLVMGetTypeKind(t) != LLVMIntegerTypeKind;
}

V vmath_call(Emit *e, const char *name, V x, V y)
{
    const VmathEntry *table = is_double(x) ? vmath64 : vmath32;
    for (int i = 0; table[i].name; i++)
        if (!strcmp(table[i].name, name))
            return y ? table[i].two(e, x, y) : table[i].one(e, x);
    bug("no polynomial for %s", name);
}

/* ---- the scalar algebra of op.def, for floats and integers ---- */

static V a_add(Emit *e, V a, V b)
{
    return is_float(a) ? LLVMBuildFAdd(e->b, a, b, "") : LLVMBuildAdd(e->b, a, b, "");
}

static V a_sub(Emit *e, V a, V b)
{
    return is_float(a) ? LLVMBuildFSub(e->b, a, b, "") : LLVMBuildSub(e->b, a, b, "");
}

static V a_mul(Emit *e, V a, V b)
{
    return is_float(a) ? LLVMBuildFMul(e->b, a, b, "") : LLVMBuildMul(e->b, a, b, "");
}

static V a_neg(Emit *e, V a)
{
    return is_float(a) ? LLVMBuildFNeg(e->b, a, "") : LLVMBuildNeg(e->b, a, "");
}

typedef struct { LLVMRealPredicate real; LLVMIntPredicate integer; } Compare;
static const Compare LT_ = {LLVMRealOLT, LLVMIntSLT}, LE_ = {LLVMRealOLE, LLVMIntSLE},
                     GT_ = {LLVMRealOGT, LLVMIntSGT}, GE_ = {LLVMRealOGE, LLVMIntSGE},
                     EQ_ = {LLVMRealOEQ, LLVMIntEQ}, NE_ = {LLVMRealUNE, LLVMIntNE};

static V a_compare(Emit *e, Compare c, V a, V b)
{
    return is_float(a) ? LLVMBuildFCmp(e->b, c.real, a, b, "")
                       : LLVMBuildICmp(e->b, c.integer, a, b, "");
}

static V a_select(Emit *e, V c, V a, V b)
{
    return LLVMBuildSelect(e->b, c, a, b, "");
}

static V a_abs(Emit *e, V a)
{
    if (is_float(a))
        return unary_intrinsic(e, "llvm.fabs", a);
    return a_select(e, LLVMBuildICmp(e->b, LLVMIntSLT, a, LLVMConstNull(LLVMTypeOf(a)), ""),
                    LLVMBuildNeg(e->b, a, ""), a);
}

static V a_extreme(Emit *e, const char *name, Compare c, V a, V b)
{
    return is_float(a) ? vmath_call(e, name, a, b) : a_select(e, a_compare(e, c, a, b), a, b);
}

/* x - y * floor(x / y): the sign of y, as Python's. */
static V a_mod(Emit *e, V a, V b)
{
    if (is_float(a))
        return vmath_call(e, "mod", a, b);
    V zero = LLVMConstNull(LLVMTypeOf(a));
    V is_zero = LLVMBuildICmp(e->b, LLVMIntEQ, b, zero, "");
    V one = const_value(e, e->constant_type, 1);
    V minus = LLVMBuildICmp(e->b, LLVMIntEQ, b, LLVMConstAllOnes(LLVMTypeOf(b)), "");
    V divisor = a_select(e, LLVMBuildOr(e->b, is_zero, minus, ""), one, b); /* x mod -1 is 0 */
    V r = LLVMBuildSRem(e->b, a, divisor, "");
    V signs = LLVMBuildICmp(e->b, LLVMIntSLT, LLVMBuildXor(e->b, r, divisor, ""), zero, "");
    V off = LLVMBuildAnd(e->b, LLVMBuildICmp(e->b, LLVMIntNE, r, zero, ""), signs, "");
    return a_select(e, off, LLVMBuildAdd(e->b, r, divisor, ""), r);
}

#define K(c) const_value(e, e->constant_type, c)
#define ADD(a, b) a_add(e, a, b)
#define SUB(a, b) a_sub(e, a, b)
#define MUL(a, b) a_mul(e, a, b)
#define DIV(p, q) LLVMBuildFDiv(e->b, p, q, "")
#define NEG(a) a_neg(e, a)
#define ABS(a) a_abs(e, a)
#define SQRT(a) sqrt_emit(e, a)
#define EXP(a) vmath_call(e, "exp", a, NULL)
#define EXPM1(a) vmath_call(e, "expm1", a, NULL)
#define LOG(a) vmath_call(e, "log", a, NULL)
#define LOG1P(a) vmath_call(e, "log1p", a, NULL)
#define TANH(a) vmath_call(e, "tanh", a, NULL)
#define SIGMOID(a) vmath_call(e, "sigmoid", a, NULL)
#define SOFTPLUS(a) vmath_call(e, "softplus", a, NULL)
#define ERF(a) vmath_call(e, "erf", a, NULL)
#define SIN(a) vmath_call(e, "sin", a, NULL)
#define COS(a) vmath_call(e, "cos", a, NULL)
#define FLOOR(a) vmath_call(e, "floor", a, NULL)
#define BFLOAT16(a) vmath_call(e, "bfloat16", a, NULL)
#define PROBIT(a) vmath_call(e, "probit", a, NULL)
#define POW(a, b) vmath_call(e, "pow", a, b)
#define MOD(a, b) a_mod(e, a, b)
#define MAX(a, b) a_extreme(e, "max", GE_, a, b)
#define MIN(a, b) a_extreme(e, "min", LE_, a, b)
#define LT(a, b) a_compare(e, LT_, a, b)
#define LE(a, b) a_compare(e, LE_, a, b)
#define GT(a, b) a_compare(e, GT_, a, b)
#define GE(a, b) a_compare(e, GE_, a, b)
#define EQ(a, b) a_compare(e, EQ_, a, b)
#define NE(a, b) a_compare(e, NE_, a, b)
#define AND(p, q) LLVMBuildAnd(e->b, p, q, "")
#define OR(p, q) LLVMBuildOr(e->b, p, q, "")
#define NOT(a) LLVMBuildNot(e->b, a, "")
#define SEL(c, a, b) a_select(e, c, a, b)
#define X in[0]
#define Y in[1]
#define Z in[2]

V map_emit(Emit *e, const Node *n, const V *in)
{
    e->constant_type = n->nin && n->op != OP_select ? n->in[0]->dtype : n->dtype;
    switch (n->op) {
#define MAP1(name, forward, ...) case OP_##name: return forward;
#define MAP2(name, forward, ...) case OP_##name: return forward;
#define MAP3(name, forward, ...) case OP_##name: return forward;
#include "ir/op.def"
    case OP_cast:
        return cast_emit(e, n->in[0]->dtype, n->dtype, in[0]);
    default:
        bug("operation %s is not elementwise", op_info[n->op].name);
    }
}

/* An integer to one of fewer bits, or of as many without a sign or with one: the nearest that
 * it has. */
static V narrow_emit(Emit *e, Dtype from, Dtype to, V v)
{
    static const struct { int64_t least, most; } range[NDTYPE] = {
        [DT_u8] = {0, UINT8_MAX}, [DT_i8] = {INT8_MIN, INT8_MAX}, [DT_i16] = {INT16_MIN, INT16_MAX},
        [DT_i32] = {INT32_MIN, INT32_MAX}};
    LLVMTypeRef t = type_memory(e, from);
    bool is_unsigned = from == DT_u8;
    if (!is_unsigned) {
        V least = int_constant(e, t, range[to].least);
        v = a_select(e, LLVMBuildICmp(e->b, LLVMIntSLT, v, least, ""), least, v);
    }
    V most = int_constant(e, t, range[to].most);
    LLVMIntPredicate above = is_unsigned ? LLVMIntUGT : LLVMIntSGT;
    if (range[to].most < range[from].most)
        v = a_select(e, LLVMBuildICmp(e->b, above, v, most, ""), most, v);
    return dtype_size(to) < dtype_size(from) ? LLVMBuildTrunc(e->b, v, type_value(e, to), "") : v;
}

V cast_emit(Emit *e, Dtype from, Dtype to, V v)
{
    if (from == to)
        return v;
    LLVMTypeRef t = type_value(e, to);
    if (to == DT_bool) {
        V zero = LLVMConstNull(LLVMTypeOf(v));
        return dtype_is_float(from) ? LLVMBuildFCmp(e->b, LLVMRealUNE, v, zero, "")
                                    : LLVMBuildICmp(e->b, LLVMIntNE, v, zero, "");
    }
    bool is_unsigned = from == DT_bool || from == DT_u8;
    if (dtype_is_float(from)) {
        if (dtype_is_float(to))
            return to == DT_f64 ? LLVMBuildFPExt(e->b, v, t, "") : LLVMBuildFPTrunc(e->b, v, t, "");
        LLVMTypeRef types[] = {t, LLVMTypeOf(v)};
        return call_intrinsic(e, to == DT_u8 ? "llvm.fptoui.sat" : "llvm.fptosi.sat", types, 2, &v,
                              1);
    }
    if (dtype_is_float(to))
        return is_unsigned ? LLVMBuildUIToFP(e->b, v, t, "") : LLVMBuildSIToFP(e->b, v, t, "");
    if (dtype_size(to) <= dtype_size(from) && from != DT_bool)
        return narrow_emit(e, from, to, v);
    return is_unsigned ? LLVMBuildZExt(e->b, v, t, "") : LLVMBuildSExt(e->b, v, t, "");
}

/* Threefry-2x32, 20 rounds: the first word. The steps stand in ir/threefry.inc. */
static V rotate(Emit *e, V a, int by)
{
    V left = LLVMBuildShl(e->b, a, int_constant(e, e->i32, by), "");
    V right = LLVMBuildLShr(e->b, a, int_constant(e, e->i32, 32 - by), "");
    return LLVMBuildOr(e->b, left, right, "");
}

#undef X
#undef Y
#define VT V
#define T_ADD(p, q) LLVMBuildAdd(e->b, p, q, "")
#define T_XOR(p, q) LLVMBuildXor(e->b, p, q, "")
#define T_CONST(c) int_constant(e, e->i32, (int64_t)(c))
#define T_ROTL(a, c) rotate(e, a, c)
#define TF_FN(name, k0, k1, c0, c1, second) V name##_emit(Emit *e, V k0, V k1, V c0, V c1)
#define TF_STORE(second, v) (void)(v)
#include "ir/threefry.inc"
