/* The processor's control word: denormals as zero while code of ours runs, and the
 * caller's setting back at the end. LSTMs run twenty times slower without. */
#include "emit/emit.h"

/* MXCSR: DAZ and FTZ; FPCR and FPSCR: FZ, which flushes both ways. */
enum { MXCSR_ZERO = 0x8040, FZ = 1 << 24 };

typedef struct { const char *get, *set; bool wide; } Intrinsics;

static const Intrinsics *intrinsics_of(const Emit *e)
{
    static const Intrinsics fpcr = {"llvm.aarch64.get.fpcr", "llvm.aarch64.set.fpcr", true},
                            fpscr = {"llvm.arm.get.fpscr", "llvm.arm.set.fpscr", false};
    return e->target->control == CONTROL_fpcr ? &fpcr : &fpscr;
}

void control_set(Emit *e)
{
    if (e->target->control == CONTROL_none)
        return;
    if (e->target->control == CONTROL_mxcsr) { /* through memory */
        e->control = LLVMBuildAlloca(e->b, e->i32, "");
        V set = LLVMBuildAlloca(e->b, e->i32, "");
        call_intrinsic(e, "llvm.x86.sse.stmxcsr", NULL, 0, &e->control, 1);
        V old = LLVMBuildLoad2(e->b, e->i32, e->control, "");
        V zero = LLVMConstInt(e->i32, MXCSR_ZERO, 0);
        LLVMBuildStore(e->b, LLVMBuildOr(e->b, old, zero, ""), set);
        call_intrinsic(e, "llvm.x86.sse.ldmxcsr", NULL, 0, &set, 1);
        return;
    }
    const Intrinsics *of = intrinsics_of(e);
    e->control = call_intrinsic(e, of->get, NULL, 0, NULL, 0);
    V flag = LLVMConstInt(of->wide ? e->i64 : e->i32, FZ, 0);
    V set = LLVMBuildOr(e->b, e->control, flag, "");
    call_intrinsic(e, of->set, NULL, 0, &set, 1);
}

void control_restore(Emit *e)
{
    if (e->target->control == CONTROL_mxcsr)
        call_intrinsic(e, "llvm.x86.sse.ldmxcsr", NULL, 0, &e->control, 1);
    else if (e->target->control != CONTROL_none)
        call_intrinsic(e, intrinsics_of(e)->set, NULL, 0, &e->control, 1);
}
