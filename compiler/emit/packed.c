/* Functions of an object on files of weft pack (packed.h): NAME_weights_check, _load, _head. */
#include "emit/module.h"

#include "packed.h"

static V word32(Emit *e, uint32_t v)
{
    return LLVMConstInt(e->i32, v, 0);
}

static V load_bytes(Emit *e, LLVMTypeRef t, V at)
{
    V v = LLVMBuildLoad2(e->b, t, at, "");
    LLVMSetAlignment(v, 1);
    return v;
}

static V rotated(Emit *e, V v, uint32_t by)
{
    V high = LLVMBuildShl(e->b, v, word32(e, by), "");
    return LLVMBuildOr(e->b, high, LLVMBuildLShr(e->b, v, word32(e, 32 - by), ""), "");
}

static V times(Emit *e, V v, uint32_t by)
{
    return LLVMBuildMul(e->b, v, word32(e, by), "");
}

/* v ^ v >> by */
static V folded(Emit *e, V v, uint32_t by)
{
    return LLVMBuildXor(e->b, v, LLVMBuildLShr(e->b, v, word32(e, by), ""), "");
}

/* i32 sum(params): packed_sum. */
static V sum_emit(Emit *e, int64_t bytes)
{
    V fn = begin_function(e, "weights.sum", LLVMFunctionType(e->i32, &e->ptr, 1, 0), false);
    V h = word32(e, 0);
    Loop l;
    V at = loop_begin(e, &l, const_i64(e, 0), const_i64(e, bytes), 4, &h, 1);
    V k = load_bytes(e, e->i32, at_index(e, LLVMGetParam(fn, 0), at));
    h = LLVMBuildXor(e->b, h, times(e, rotated(e, times(e, k, 0xcc9e2d51u), 15), 0x1b873593u), "");
    h = LLVMBuildAdd(e->b, times(e, rotated(e, h, 13), 5), word32(e, 0xe6546b64u), "");
    loop_end(e, &l, &h);
    h = LLVMBuildXor(e->b, h, word32(e, (uint32_t)bytes), "");
    h = times(e, folded(e, h, 16), 0x85ebca6bu);
    h = times(e, folded(e, h, 13), 0xc2b2ae35u);
    LLVMBuildRet(e->b, folded(e, h, 16));
    return fn;
}

/* i1 differ(a, b, from, to): in one of these bytes. */
static V differ_emit(Emit *e)
{
    LLVMTypeRef in[] = {e->ptr, e->ptr, e->index, e->index};
    V fn = begin_function(e, "weights.differ", LLVMFunctionType(e->i1, in, 4, 0), false);
    V any = LLVMConstInt(e->i8, 0, 0);
    Loop l;
    V at = loop_begin(e, &l, LLVMGetParam(fn, 2), LLVMGetParam(fn, 3), 1, &any, 1);
    V a = LLVMBuildLoad2(e->b, e->i8, at_index(e, LLVMGetParam(fn, 0), at), "");
    V b = LLVMBuildLoad2(e->b, e->i8, at_index(e, LLVMGetParam(fn, 1), at), "");
    any = LLVMBuildOr(e->b, any, LLVMBuildXor(e->b, a, b, ""), "");
    loop_end(e, &l, &any);
    LLVMBuildRet(e->b, LLVMBuildICmp(e->b, LLVMIntNE, any, LLVMConstInt(e->i8, 0, 0), ""));
    return fn;
}

typedef struct { V head, sum, differ, check; int64_t bytes; } Packed;

static V call_sum(Emit *e, const Packed *p, V params)
{
    return LLVMBuildCall2(e->b, LLVMGlobalGetValueType(p->sum), p->sum, &params, 1, "");
}

static V begin(Emit *e, const ObjectSpec *o, const char *what, LLVMTypeRef *in, unsigned n)
{
    return begin_function(e, arena_printf(e->arena, "%s_weights_%s", o->name, what),
                          LLVMFunctionType(e->i32, in, n, 0), true);
}

/* NAME_weights_check(file, size). The length comes after what tells whose file it is. */
static V check_emit(Emit *e, const ObjectSpec *o, const Packed *p)
{
    static const struct { int from, to, status; } parts[] = {
        {0, PACKED_model, STATUS_form},
        {PACKED_model, PACKED_bytes, STATUS_model},
        {PACKED_bytes, PACKED_zero, STATUS_size},
        {PACKED_zero, PACKED_sum, STATUS_damaged}};
    LLVMTypeRef in[] = {e->ptr, e->index};
    V fn = begin(e, o, "check", in, 2), file = LLVMGetParam(fn, 0), size = LLVMGetParam(fn, 1);
    check_pointer(e, file, 1);
    refuse(e, LLVMBuildICmp(e->b, LLVMIntULT, size, const_i64(e, PACKED_HEAD), ""), STATUS_size);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        V arg[] = {file, p->head, const_i64(e, parts[i].from), const_i64(e, parts[i].to)};
        refuse(e, LLVMBuildCall2(e->b, LLVMGlobalGetValueType(p->differ), p->differ, arg, 4, ""),
               parts[i].status);
    }
    V whole = const_i64(e, PACKED_HEAD + p->bytes);
    refuse(e, LLVMBuildICmp(e->b, LLVMIntNE, size, whole, ""), STATUS_size);
    V said = load_bytes(e, e->i32, at_byte(e, file, PACKED_sum));
    V is = call_sum(e, p, at_byte(e, file, PACKED_HEAD));
    refuse(e, LLVMBuildICmp(e->b, LLVMIntNE, said, is, ""), STATUS_damaged);
    LLVMBuildRet(e->b, LLVMConstInt(e->i32, STATUS_ok, 0));
    return fn;
}

/* NAME_weights_load(params, file, size). */
static void load_emit(Emit *e, const ObjectSpec *o, const Packed *p)
{
    LLVMTypeRef in[] = {e->ptr, e->ptr, e->index};
    V fn = begin(e, o, "load", in, 3), params = LLVMGetParam(fn, 0);
    V file[] = {LLVMGetParam(fn, 1), LLVMGetParam(fn, 2)};
    check_pointer(e, params, OBJECT_ALIGN);
    V status = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(p->check), p->check, file, 2, "");
    LLVMBasicBlockRef good = LLVMAppendBasicBlockInContext(e->cx, fn, "good");
    LLVMBasicBlockRef end = LLVMAppendBasicBlockInContext(e->cx, fn, "end");
    V ok = LLVMBuildICmp(e->b, LLVMIntEQ, status, LLVMConstInt(e->i32, STATUS_ok, 0), "");
    LLVMBuildCondBr(e->b, ok, good, end);
    LLVMPositionBuilderAtEnd(e->b, good);
    copy_bytes(e, params, at_byte(e, file[0], PACKED_HEAD), const_i64(e, p->bytes));
    LLVMBuildBr(e->b, end);
    LLVMPositionBuilderAtEnd(e->b, end);
    LLVMBuildRet(e->b, status);
}

/* NAME_weights_head(params, head). */
static void head_emit(Emit *e, const ObjectSpec *o, const Packed *p)
{
    LLVMTypeRef in[] = {e->ptr, e->ptr};
    V fn = begin(e, o, "head", in, 2), params = LLVMGetParam(fn, 0), head = LLVMGetParam(fn, 1);
    check_pointer(e, params, OBJECT_ALIGN);
    check_pointer(e, head, 1);
    copy_bytes(e, head, p->head, const_i64(e, PACKED_sum));
    V sum = LLVMBuildStore(e->b, call_sum(e, p, params), at_byte(e, head, PACKED_sum));
    LLVMSetAlignment(sum, 1);
    LLVMBuildRet(e->b, LLVMConstInt(e->i32, STATUS_ok, 0));
}

void packed_emit(Emit *e, const ObjectSpec *o)
{
    Packed p = {.bytes = o->blob[BLOB_params].bytes};
    p.head = bytes_global(e, "weights.form", o->head, PACKED_HEAD, 8);
    p.sum = sum_emit(e, p.bytes);
    p.differ = differ_emit(e);
    p.check = check_emit(e, o, &p);
    load_emit(e, o, &p);
    head_emit(e, o, &p);
}
