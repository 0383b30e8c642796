/* The choice between versions of an object's code (x86-64): NAME_select asks the processor, by
 * cpuid, and the system, by xgetbv, and fills the caller's table with a version's functions. */
#include "emit/module.h"

#include <string.h>

/* ---- instructions ---- */

static V assembly(Emit *e, LLVMTypeRef type, const char *text, const char *constraints, V *arg,
                  unsigned n)
{
    V code = LLVMGetInlineAsm(type, text, strlen(text), constraints, strlen(constraints), 1, 0,
                              LLVMInlineAsmDialectATT, 0);
    return LLVMBuildCall2(e->b, type, code, arg, n, "");
}

typedef enum { EAX, EBX, ECX, EDX } Register;

static V cpuid(Emit *e, uint32_t leaf, Register which)
{
    LLVMTypeRef out[] = {e->i32, e->i32, e->i32, e->i32}, in[] = {e->i32, e->i32};
    V arg[] = {LLVMConstInt(e->i32, leaf, 0), LLVMConstInt(e->i32, 0, 0)};
    LLVMTypeRef type = LLVMFunctionType(LLVMStructTypeInContext(e->cx, out, 4, 0), in, 2, 0);
    V all = assembly(e, type, "cpuid", "={ax},={bx},={cx},={dx},{ax},{cx},~{dirflag},~{fpsr},"
                     "~{flags}", arg, 2);
    return LLVMBuildExtractValue(e->b, all, which, "");
}

/* The registers whose state the system keeps for each thread. */
static V xgetbv(Emit *e)
{
    LLVMTypeRef out[] = {e->i32, e->i32};
    LLVMTypeRef type = LLVMFunctionType(LLVMStructTypeInContext(e->cx, out, 2, 0), &e->i32, 1, 0);
    V zero = LLVMConstInt(e->i32, 0, 0);
    V all = assembly(e, type, "xgetbv", "={ax},={dx},{cx},~{dirflag},~{fpsr},~{flags}", &zero, 1);
    return LLVMBuildExtractValue(e->b, all, 0, "");
}

/* ---- what the versions need ----
 * Every feature of the levels x86-64-v3 and x86-64-v4 (the psABI's), since LLVM may use any. */

#define BIT(n) (1u << (n))

enum { FACT_basic, FACT_extended, FACT_leaf1, FACT_leaf7, FACT_leaf8, FACT_state, NFACT };

static const uint32_t needs[NVERSION][NFACT] = {
    [VERSION_avx2] = {
        [FACT_leaf1] = BIT(0) | BIT(9) | BIT(12) | BIT(13) | BIT(19) | BIT(20) | BIT(22) |
                       BIT(23) | BIT(27) | BIT(28) | BIT(29), /* sse3 ssse3 fma cx16 sse4.1 sse4.2
                                                       movbe popcnt osxsave avx f16c, in ecx */
        [FACT_leaf7] = BIT(3) | BIT(5) | BIT(8),   /* bmi avx2 bmi2, in ebx */
        [FACT_leaf8] = BIT(0) | BIT(5),            /* lahf lzcnt, in ecx of 0x80000001 */
        [FACT_state] = BIT(1) | BIT(2)},           /* xmm ymm */
    [VERSION_avx512] = {
        [FACT_leaf7] = BIT(16) | BIT(17) | BIT(28) | BIT(30) | BIT(31), /* f dq cd bw vl */
        [FACT_state] = BIT(5) | BIT(6) | BIT(7)}}; /* masks, zmm0-15, zmm16-31 */

enum { EXTENDED = 0x80000000u, XGETBV = 27 /* the system lets programs ask */ };

/* 0 where the leaf is beyond the last one. */
static V leaf_if(Emit *e, V last, uint32_t leaf, Register which)
{
    V there = LLVMBuildICmp(e->b, LLVMIntUGE, last, LLVMConstInt(e->i32, leaf, 0), "");
    return LLVMBuildSelect(e->b, there, cpuid(e, leaf, which), LLVMConstInt(e->i32, 0, 0), "");
}

static V state_if(Emit *e, V leaf1)
{
    LLVMBasicBlockRef ask = LLVMAppendBasicBlockInContext(e->cx, e->fn, "ask");
    LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(e->cx, e->fn, "next");
    LLVMBasicBlockRef from[] = {LLVMGetInsertBlock(e->b), ask};
    V zero = LLVMConstInt(e->i32, 0, 0);
    V bit = LLVMBuildAnd(e->b, leaf1, LLVMConstInt(e->i32, BIT(XGETBV), 0), "");
    LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntNE, bit, zero, ""), ask, next);
    LLVMPositionBuilderAtEnd(e->b, ask);
    V in[] = {zero, xgetbv(e)};
    LLVMBuildBr(e->b, next);
    LLVMPositionBuilderAtEnd(e->b, next);
    V state = LLVMBuildPhi(e->b, e->i32, "");
    LLVMAddIncoming(state, in, from, 2);
    return state;
}

/* i32 best(): the last version whose needs, and those of all before it, are met. */
static V best_emit(Emit *e)
{
    V fn = begin_function(e, "select.best", LLVMFunctionType(e->i32, NULL, 0, 0), false);
    V fact[NFACT], met = LLVMConstInt(e->i1, 1, 0), best = LLVMConstInt(e->i32, 0, 0);
    fact[FACT_basic] = cpuid(e, 0, EAX);
    fact[FACT_extended] = cpuid(e, EXTENDED, EAX);
    fact[FACT_leaf1] = leaf_if(e, fact[FACT_basic], 1, ECX);
    fact[FACT_leaf7] = leaf_if(e, fact[FACT_basic], 7, EBX);
    fact[FACT_leaf8] = leaf_if(e, fact[FACT_extended], EXTENDED + 1, ECX);
    fact[FACT_state] = state_if(e, fact[FACT_leaf1]);
    for (int v = 1; v < NVERSION; v++) {
        for (int i = 0; i < NFACT; i++) {
            V bits = LLVMConstInt(e->i32, needs[v][i], 0);
            V has = LLVMBuildAnd(e->b, fact[i], bits, "");
            met = LLVMBuildAnd(e->b, met, LLVMBuildICmp(e->b, LLVMIntEQ, has, bits, ""), "");
        }
        best = LLVMBuildAdd(e->b, best, LLVMBuildZExt(e->b, met, e->i32, ""), "");
    }
    LLVMBuildRet(e->b, best);
    return fn;
}

/* ---- the caller's table: the version's number, then its functions, 8 bytes each ---- */

static void store_function(Emit *e, const ObjectSpec *o, V table, int slot, int version,
                           const char *name)
{
    name = entry_symbol(e->arena, o, name, version_names[version]);
    V fn = LLVMGetNamedFunction(e->m, name);
    if (!fn)
        bug("the object has no %s", name);
    LLVMBuildStore(e->b, fn, at_byte(e, table, 8 * (int64_t)slot));
}

static void fill(Emit *e, const ObjectSpec *o, V table, int version)
{
    int slot = 1;
    LLVMBuildStore(e->b, LLVMConstInt(e->i64, (unsigned)version, 0), table);
    for (int i = 0; i < o->nentry; i++)
        for (int form = 0; form < NENTRYFORM; form++) {
            const char *name = entry_function(e->arena, &o->entry[i], (EntryForm)form);
            if (name)
                store_function(e, o, table, slot++, version, name);
        }
    if (o->test)
        store_function(e, o, table, slot, version, "self_test");
}

/* Fills the table, the builder being behind its checks, and returns. */
static void fill_chosen(Emit *e, const ObjectSpec *o, V table, V version)
{
    LLVMBasicBlockRef block[NVERSION];
    for (int v = 0; v < NVERSION; v++)
        block[v] = LLVMAppendBasicBlockInContext(e->cx, e->fn, version_names[v]);
    V choice = LLVMBuildSwitch(e->b, version, block[0], NVERSION - 1);
    for (int v = 0; v < NVERSION; v++) {
        if (v)
            LLVMAddCase(choice, LLVMConstInt(e->i32, (unsigned)v, 0), block[v]);
        LLVMPositionBuilderAtEnd(e->b, block[v]);
        fill(e, o, table, v);
        LLVMBuildRet(e->b, LLVMConstInt(e->i32, STATUS_ok, 0));
    }
}

static V begin(Emit *e, const ObjectSpec *o, const char *what, unsigned n)
{
    LLVMTypeRef in[] = {e->ptr, e->i32};
    return begin_function(e, arena_printf(e->arena, "%s_%s", o->name, what),
                          LLVMFunctionType(e->i32, in, n, 0), true);
}

void select_emit(Emit *e, const ObjectSpec *o)
{
    V best = best_emit(e), use = begin(e, o, "select_version", 2);
    V table = LLVMGetParam(use, 0), version = LLVMGetParam(use, 1);
    check_pointer(e, table, 8);
    V most = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(best), best, NULL, 0, "");
    refuse(e, LLVMBuildICmp(e->b, LLVMIntUGT, version, most, ""), STATUS_range);
    fill_chosen(e, o, table, version);
    table = LLVMGetParam(begin(e, o, "select", 1), 0);
    check_pointer(e, table, 8);
    V arg[] = {table, LLVMBuildCall2(e->b, LLVMGlobalGetValueType(best), best, NULL, 0, "")};
    LLVMBuildRet(e->b, LLVMBuildCall2(e->b, LLVMGlobalGetValueType(use), use, arg, 2, ""));
}
