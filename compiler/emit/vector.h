/* Steps of the algebra of ir/vmath.inc as builder calls. */
#ifndef WEFT_EMIT_VECTOR_H
#define WEFT_EMIT_VECTOR_H

#include "emit/emit.h"

#define VF V
#define VI V
#define VB V
#define F_ADD(a_, b_) LLVMBuildFAdd(em->b, a_, b_, "")
#define F_SUB(a_, b_) LLVMBuildFSub(em->b, a_, b_, "")
#define F_MUL(a_, b_) LLVMBuildFMul(em->b, a_, b_, "")
#define F_DIV(a_, b_) LLVMBuildFDiv(em->b, a_, b_, "")
#define F_FMA(a_, b_, c_) fma_emit(em, a_, b_, c_)
#define F_NEG(a_) LLVMBuildFNeg(em->b, a_, "")
#define F_ABS(a_) unary_intrinsic(em, "llvm.fabs", a_)
#define F_SQRT(a_) sqrt_emit(em, a_)
#define F_LT(a_, b_) LLVMBuildFCmp(em->b, LLVMRealOLT, a_, b_, "")
#define F_LE(a_, b_) LLVMBuildFCmp(em->b, LLVMRealOLE, a_, b_, "")
#define F_GT(a_, b_) LLVMBuildFCmp(em->b, LLVMRealOGT, a_, b_, "")
#define F_GE(a_, b_) LLVMBuildFCmp(em->b, LLVMRealOGE, a_, b_, "")
#define F_EQ(a_, b_) LLVMBuildFCmp(em->b, LLVMRealOEQ, a_, b_, "")
#define F_UNO(a_) is_nan(em, a_)
#define B_AND(a_, b_) LLVMBuildAnd(em->b, a_, b_, "")
#define B_OR(a_, b_) LLVMBuildOr(em->b, a_, b_, "")
#define B_NOT(a_) LLVMBuildNot(em->b, a_, "")
#define F_SEL(c_, a_, b_) LLVMBuildSelect(em->b, c_, a_, b_, "")
#define I_SEL(c_, a_, b_) LLVMBuildSelect(em->b, c_, a_, b_, "")
#define I_ADD(a_, b_) LLVMBuildAdd(em->b, a_, b_, "")
#define I_SUB(a_, b_) LLVMBuildSub(em->b, a_, b_, "")
#define I_AND(a_, b_) LLVMBuildAnd(em->b, a_, b_, "")
#define I_OR(a_, b_) LLVMBuildOr(em->b, a_, b_, "")
#define I_XOR(a_, b_) LLVMBuildXor(em->b, a_, b_, "")
#define I_SHL(a_, c_) LLVMBuildShl(em->b, a_, CI(c_), "")
#define I_SHR(a_, c_) LLVMBuildLShr(em->b, a_, CI(c_), "")
#define I_SAR(a_, c_) LLVMBuildAShr(em->b, a_, CI(c_), "")
#define F_BITS(x_) LLVMBuildBitCast(em->b, x_, INT_TYPE, "")
#define I_FLOAT(i_) LLVMBuildBitCast(em->b, i_, FLOAT_TYPE, "")
#define I_CVT(i_) LLVMBuildSIToFP(em->b, i_, FLOAT_TYPE, "")
#define F_TRUNC_I(x_) LLVMBuildFPToSI(em->b, x_, INT_TYPE, "")

static inline V unary_intrinsic(Emit *e, const char *name, V x)
{
    LLVMTypeRef t = LLVMTypeOf(x);
    return call_intrinsic(e, name, &t, 1, &x, 1);
}

static inline V is_nan(Emit *e, V x)
{
    return LLVMBuildFCmp(e->b, LLVMRealUNO, x, x, "");
}

static inline V int_constant(Emit *e, LLVMTypeRef element, int64_t v)
{
    V all[64], one = LLVMConstInt(element, (unsigned long long)v, 1);
    if (e->lanes == 1)
        return one;
    for (int i = 0; i < e->lanes; i++)
        all[i] = one;
    return LLVMConstVector(all, (unsigned)e->lanes);
}

#endif
