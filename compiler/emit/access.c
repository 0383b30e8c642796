/* Functions of an object that only move bytes: parameters by name, their first values, the state
 * before the first call. */
#include "emit/module.h"

#include <string.h>

V at_index(Emit *e, V base, V index)
{
    return LLVMBuildInBoundsGEP2(e->b, e->i8, base, &index, 1, "");
}

void copy_bytes(Emit *e, V to, V from, V count)
{
    Loop l;
    V i = loop_begin(e, &l, const_i64(e, 0), count, 1, NULL, 0);
    LLVMBuildStore(e->b, LLVMBuildLoad2(e->b, e->i8, at_index(e, from, i), ""), at_index(e, to, i));
    loop_end(e, &l, NULL);
}

void check_pointer(Emit *e, V p, int64_t to)
{
    refuse(e, LLVMBuildICmp(e->b, LLVMIntEQ, p, LLVMConstNull(e->ptr), ""), STATUS_null);
    if (to == 1)
        return;
    V off = LLVMBuildAnd(e->b, LLVMBuildPtrToInt(e->b, p, e->index, ""), const_i64(e, to - 1), "");
    refuse(e, LLVMBuildICmp(e->b, LLVMIntNE, off, const_i64(e, 0), ""), STATUS_misaligned);
}

static void return_ok(Emit *e)
{
    LLVMBuildRet(e->b, LLVMConstInt(e->i32, STATUS_ok, 0));
}

/* ---- the whole ---- */

static void load_emit(Emit *e, const ObjectSpec *o)
{
    const ObjectBlob *b = &o->blob[BLOB_params];
    char *bytes = NEW_ARRAY(e->arena, char, b->bytes + 1);
    for (int i = 0; i < b->n; i++)
        if (b->at[i].value)
            memcpy(bytes + b->at[i].offset, b->at[i].value, (size_t)b->at[i].bytes);
    V from = bytes_global(e, "params.given", bytes, b->bytes, OBJECT_ALIGN);
    begin_function(e, arena_printf(e->arena, "%s_load", o->name),
                   LLVMFunctionType(e->i32, &e->ptr, 1, 0), true);
    V to = LLVMGetParam(e->fn, 0);
    check_pointer(e, to, OBJECT_ALIGN);
    copy_bytes(e, to, from, const_i64(e, b->bytes));
    return_ok(e);
}

static void reset_emit(Emit *e, const ObjectSpec *o)
{
    begin_function(e, arena_printf(e->arena, "%s_reset", o->name),
                   LLVMFunctionType(e->i32, &e->ptr, 1, 0), true);
    V state = LLVMGetParam(e->fn, 0);
    check_pointer(e, state, OBJECT_ALIGN);
    Loop l;
    V i = loop_begin(e, &l, const_i64(e, 0), const_i64(e, o->blob[BLOB_state].bytes), 8, NULL, 0);
    LLVMBuildStore(e->b, LLVMConstInt(e->i64, 0, 0), at_index(e, state, i));
    loop_end(e, &l, NULL);
    return_ok(e);
}

/* ---- by name ---- */

/* The tensors' names one after the other, ends included; where each begins, where its bytes
 * are in the blob, how many. */
typedef struct { V names, start, offset, bytes; int n; } Table;

static V index_table(Emit *e, const char *name, const int64_t *at, int n)
{
    V *v = NEW_ARRAY(e->arena, V, n + 1);
    for (int i = 0; i < n; i++)
        v[i] = const_i64(e, at[i]);
    V all = LLVMConstArray2(e->index, v, (uint64_t)n);
    V g = LLVMAddGlobal(e->m, LLVMTypeOf(all), name);
    LLVMSetInitializer(g, all);
    LLVMSetGlobalConstant(g, 1);
    LLVMSetLinkage(g, LLVMPrivateLinkage);
    return g;
}

static Table table_emit(Emit *e, const ObjectBlob *b)
{
    int64_t *at = NEW_ARRAY(e->arena, int64_t, 3 * b->n + 1), total = 0;
    for (int i = 0; i < b->n; i++) {
        at[i] = total;
        at[b->n + i] = b->at[i].offset;
        at[2 * b->n + i] = b->at[i].bytes;
        total += (int64_t)strlen(b->at[i].name) + 1;
    }
    char *names = NEW_ARRAY(e->arena, char, total + 1);
    for (int i = 0; i < b->n; i++)
        strcpy(names + at[i], b->at[i].name);
    return (Table){bytes_global(e, "tensor.names", names, total, 1),
                   index_table(e, "tensor.start", at, b->n),
                   index_table(e, "tensor.offset", at + b->n, b->n),
                   index_table(e, "tensor.bytes", at + 2 * b->n, b->n), b->n};
}

static V entry_of(Emit *e, V table, V i)
{
    return LLVMBuildLoad2(e->b, e->index,
                          LLVMBuildInBoundsGEP2(e->b, e->index, table, &i, 1, ""), "");
}

/* index find(name): the table's length when there is none of that name. */
static V find_emit(Emit *e, const Table *t)
{
    LLVMTypeRef type = LLVMFunctionType(e->index, &e->ptr, 1, 0);
    V fn = begin_function(e, "find", type, false), name = LLVMGetParam(fn, 0);
    LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(e->cx, fn, "letter");
    LLVMBasicBlockRef same = LLVMAppendBasicBlockInContext(e->cx, fn, "same");
    LLVMBasicBlockRef more = LLVMAppendBasicBlockInContext(e->cx, fn, "more");
    LLVMBasicBlockRef found = LLVMAppendBasicBlockInContext(e->cx, fn, "found");
    LLVMBasicBlockRef other = LLVMAppendBasicBlockInContext(e->cx, fn, "other");
    Loop l;
    V i = loop_begin(e, &l, const_i64(e, 0), const_i64(e, t->n), 1, NULL, 0);
    V its = at_index(e, t->names, entry_of(e, t->start, i)), zero = const_i64(e, 0);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b);
    LLVMBuildBr(e->b, next);
    LLVMPositionBuilderAtEnd(e->b, next);
    V at = LLVMBuildPhi(e->b, e->index, "");
    LLVMAddIncoming(at, &zero, &before, 1);
    V a = LLVMBuildLoad2(e->b, e->i8, at_index(e, name, at), "");
    V b = LLVMBuildLoad2(e->b, e->i8, at_index(e, its, at), "");
    LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntEQ, a, b, ""), same, other);
    LLVMPositionBuilderAtEnd(e->b, same);
    V end = LLVMBuildICmp(e->b, LLVMIntEQ, a, LLVMConstInt(e->i8, 0, 0), "");
    LLVMBuildCondBr(e->b, end, found, more);
    LLVMPositionBuilderAtEnd(e->b, more);
    V up = LLVMBuildAdd(e->b, at, const_i64(e, 1), "");
    LLVMAddIncoming(at, &up, &more, 1);
    LLVMBuildBr(e->b, next);
    LLVMPositionBuilderAtEnd(e->b, found);
    LLVMBuildRet(e->b, i);
    LLVMPositionBuilderAtEnd(e->b, other);
    loop_end(e, &l, NULL);
    LLVMBuildRet(e->b, const_i64(e, t->n));
    return fn;
}

/* NAME_get(params, name, values), NAME_set(params, name, values). */
static void by_name(Emit *e, const ObjectSpec *o, const Table *t, V find, bool set)
{
    LLVMTypeRef in[] = {e->ptr, e->ptr, e->ptr};
    begin_function(e, arena_printf(e->arena, "%s_%s", o->name, set ? "set" : "get"),
                   LLVMFunctionType(e->i32, in, 3, 0), true);
    V params = LLVMGetParam(e->fn, 0), name = LLVMGetParam(e->fn, 1);
    V values = LLVMGetParam(e->fn, 2);
    check_pointer(e, params, OBJECT_ALIGN);
    check_pointer(e, name, 1);
    check_pointer(e, values, 1);
    V i = LLVMBuildCall2(e->b, LLVMFunctionType(e->index, &e->ptr, 1, 0), find, &name, 1, "");
    refuse(e, LLVMBuildICmp(e->b, LLVMIntEQ, i, const_i64(e, t->n), ""), STATUS_name);
    V inside = at_index(e, params, entry_of(e, t->offset, i)), bytes = entry_of(e, t->bytes, i);
    copy_bytes(e, set ? inside : values, set ? values : inside, bytes);
    return_ok(e);
}

void access_emit(Emit *e, const ObjectSpec *o)
{
    if (o->load)
        load_emit(e, o);
    if (o->reset)
        reset_emit(e, o);
    if (!o->access)
        return;
    Table t = table_emit(e, &o->blob[BLOB_params]);
    V find = find_emit(e, &t);
    by_name(e, o, &t, find, false);
    by_name(e, o, &t, find, true);
    packed_emit(e, o);
}
