/* Pairs of bfloat16: two steps of a chain of multiply-adds in one instruction.
 *
 * vdpbf16ps computes fma(low, low, fma(high, high, acc)) for the two halves of each
 * word, denormals zero in and out. With step k in the high half and k + 1 in the low
 * one these are the chain's bits (ir/contract.h), of factors that operation bfloat16
 * has rounded, so that a half holds all of them. In a product over the batch the
 * steps are rows. */
#include "emit/emit.h"

static bool is_rounded(Node *n)
{
    n = kernel_base(n);
    return n->op == OP_bfloat16 || (n->op == OP_stop_gradient && is_rounded(n->in[0]));
}

bool pair_suits(const Emit *e, Node *factor)
{
    return target_has_pairs(e->target) && e->lanes == 16 && e->width == 16 &&
           factor->dtype == DT_f32 && is_rounded(factor);
}

V pair_words(Emit *e, V k, V next)
{
    enum { KEY_pair = 5000, HALF = 16 };
    V found = block_find(e, k, next, 0, KEY_pair);
    if (found)
        return found;
    LLVMTypeRef t = is_vector(k) ? type_lanes(e, e->i32) : e->i32;
    V high = LLVMBuildBitCast(e->b, k, t, ""), low = LLVMBuildBitCast(e->b, next, t, "");
    V half = LLVMConstInt(e->i32, HALF, 0);
    low = LLVMBuildLShr(e->b, low, is_vector(k) ? splat(e, half) : half, "");
    return block_keep(e, k, next, 0, KEY_pair, LLVMBuildOr(e->b, high, low, ""));
}

V pair_emit(Emit *e, V x, V y, V acc)
{
    LLVMTypeRef t = LLVMVectorType(LLVMBFloatTypeInContext(e->cx), 2 * (unsigned)e->width);
    V in[] = {acc, LLVMBuildBitCast(e->b, x, t, ""), LLVMBuildBitCast(e->b, y, t, "")};
    return call_intrinsic(e, "llvm.x86.avx512bf16.dpbf16ps.512", NULL, 0, in, 3);
}
