/* Profiling: stamps around the calls of kernels. */
#include "emit/emit.h"

static V cycles_emit(Emit *e)
{
    return call_intrinsic(e, "llvm.readcyclecounter", NULL, 0, NULL, 0);
}

static V frame_at(Emit *e, int word)
{
    V i = const_i64(e, word);
    return LLVMBuildGEP2(e->b, e->i64, e->frame, &i, 1, "");
}

/* Notes {number, start, end}; a full log's last place takes what has none. */
static void note_emit(Emit *e, int number, V start, V end)
{
    V at = frame_at(e, FRAME_log_count);
    V count = LLVMBuildLoad2(e->b, e->i64, at, "");
    V most = LLVMBuildLoad2(e->b, e->i64, frame_at(e, FRAME_log_most), "");
    V log = LLVMBuildLoad2(e->b, e->ptr, frame_at(e, FRAME_log), "");
    V fits = LLVMBuildICmp(e->b, LLVMIntSLT, count, most, "");
    V place = LLVMBuildSelect(e->b, fits, count, most, "");
    V word[] = {const_i64(e, number), start, end};
    for (int i = 0; i < 3; i++) {
        V index = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, place, const_i64(e, 3), ""),
                               const_i64(e, i), "");
        LLVMBuildStore(e->b, word[i], LLVMBuildGEP2(e->b, e->i64, log, &index, 1, ""));
    }
    LLVMBuildStore(e->b, LLVMBuildAdd(e->b, count, const_i64(e, 1), ""), at);
}

void profile_call(Emit *e, V fn, int number)
{
    V start = e->stamped ? cycles_emit(e) : NULL;
    LLVMBuildCall2(e->b, e->kernel_type, fn, &e->frame, 1, "");
    if (e->stamped)
        note_emit(e, number, start, cycles_emit(e));
}
