/* Tiles of products over the batch: how their sums begin and end, and the units of products that
 * nests make themselves (whole.c), whose shards are added up as they end. */
#include "emit/batch.h"

V tile_load(Emit *e, const OutTile *t, int i, LLVMTypeRef vector, V at, V mask)
{
    return mask && (i + 1) % t->vectors == 0 ? masked_load(e, vector, at, mask)
                                             : load_plain(e, vector, at);
}

void tile_store(Emit *e, const OutTile *t, int i, V value, V at, V mask)
{
    if (mask && (i + 1) % t->vectors == 0)
        masked_store(e, value, at, mask);
    else
        store_plain(e, value, at);
}

void tile_begin(Emit *e, OutTile *t, const V *at, V mask, LLVMTypeRef vector)
{
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
    LLVMBasicBlockRef more = LLVMAppendBasicBlockInContext(e->cx, e->fn, "more");
    LLVMBasicBlockRef sums = LLVMAppendBasicBlockInContext(e->cx, e->fn, "sums");
    V first = LLVMBuildICmp(e->b, LLVMIntNE, frame_word(e, FRAME_first), const_i64(e, 0), "");
    int n = t->rows * t->vectors;
    V old[64], zero = LLVMConstNull(vector);
    LLVMBuildCondBr(e->b, first, sums, more);
    LLVMPositionBuilderAtEnd(e->b, more);
    for (int i = 0; i < n; i++)
        old[i] = tile_load(e, t, i, vector, at[i], mask);
    LLVMBuildBr(e->b, sums);
    LLVMPositionBuilderAtEnd(e->b, sums);
    for (int i = 0; i < n; i++) {
        t->acc[i] = LLVMBuildPhi(e->b, vector, "");
        LLVMAddIncoming(t->acc[i], &zero, &here, 1);
        LLVMAddIncoming(t->acc[i], &old[i], &more, 1);
    }
}

void tile_end(Emit *e, const Batch *b, const OutTile *t, const V *at, V mask, LLVMTypeRef vector)
{
    LLVMBasicBlockRef on = LLVMAppendBasicBlockInContext(e->cx, e->fn, "on");
    LLVMBasicBlockRef add = LLVMAppendBasicBlockInContext(e->cx, e->fn, "add");
    LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(e->cx, e->fn, "next");
    V ends = frame_word(e, FRAME_ends);
    V goes_on = LLVMBuildICmp(e->b, LLVMIntEQ, ends, const_i64(e, ENDS_none), "");
    V first = LLVMBuildICmp(e->b, LLVMIntEQ, ends, const_i64(e, ENDS_first), "");
    V part = frame_pointer(e, FRAME_buffer + b->s->place.buffer->id);
    V total = frame_pointer(e, FRAME_buffer + b->s->total->id);
    V apart = LLVMBuildSub(e->b, LLVMBuildPtrToInt(e->b, total, e->index, ""),
                           LLVMBuildPtrToInt(e->b, part, e->index, ""), "");
    int n = t->rows * t->vectors;
    LLVMBuildCondBr(e->b, goes_on, on, add);
    LLVMPositionBuilderAtEnd(e->b, on);
    for (int i = 0; i < n; i++)
        tile_store(e, t, i, t->acc[i], at[i], mask);
    LLVMBuildBr(e->b, next);
    LLVMPositionBuilderAtEnd(e->b, add);
    for (int i = 0; i < n; i++) {
        V to = LLVMBuildInBoundsGEP2(e->b, e->i8, at[i], &apart, 1, "");
        V old = tile_load(e, t, i, vector, to, mask);
        V sum = LLVMBuildFAdd(e->b, old, t->acc[i], "");
        tile_store(e, t, i, LLVMBuildSelect(e->b, first, t->acc[i], sum, ""), to, mask);
    }
    LLVMBuildBr(e->b, next);
    LLVMPositionBuilderAtEnd(e->b, next);
}

void tile_fetch(Emit *e, Batch *b, const OutTile *t)
{
    enum { WRITE = 1, NEAR = 3, DATA = 1 };
    LLVMTypeRef element = type_memory(e, b->n->dtype);
    V back = b->back;
    b->back = NULL;
    for (int a = 0; a < b->nahead; a++) {
        Loop once;
        V base = frame_pointer(e, FRAME_buffer + b->ahead[a]->id);
        loop_begin(e, &once, const_i64(e, 0), b->turn[a], 1, NULL, 0);
        for (int r = 0; r < t->rows; r++)
            for (int v = 0; v < t->vectors; v++) {
                batch_set_row(b, t, r);
                b->label[b->vector] = (Ix){t->m.v, t->m.c + (int64_t)v * e->width, 0};
                V args[] = {at_offset(e, element, base, batch_out_linear(e, b)),
                            LLVMConstInt(e->i32, WRITE, 0), LLVMConstInt(e->i32, NEAR, 0),
                            LLVMConstInt(e->i32, DATA, 0)};
                call_intrinsic(e, "llvm.prefetch", &e->ptr, 1, args, 4);
            }
        loop_end(e, &once, NULL);
    }
    b->back = back;
}

/* The shards take turns at fetching what the nest updates; its first product does. */
static void plan_ahead(Emit *e, Batch *b)
{
    const Nest *nest = INFO(b->n)->nest;
    V shards = frame_word(e, FRAME_shards), per = shard_rows_emit(e, frame_word(e, FRAME_n));
    V shard = divide_emit(e, frame_word(e, FRAME_row0), per, NULL);
    for (int i = 0; i < nest->nodes.n && nest->nodes.at[i] != b->n; i++)
        if (INFO(nest->nodes.at[i])->whole)
            return;
    for (int i = 0; i < nest->stores.n && b->nahead < AHEAD_MOST; i++) {
        const Buffer *to = nest->stores.at[i].to.buffer;
        V rest;
        if (to->mem != MEM_port || to->dtype != b->n->dtype)
            continue;
        divide_emit(e, const_i64(e, b->nahead), shards, &rest);
        rest = LLVMBuildICmp(e->b, LLVMIntEQ, rest, shard, "");
        b->turn[b->nahead] = LLVMBuildZExt(e->b, rest, e->index, "");
        b->ahead[b->nahead++] = to;
    }
}

void batch_enter_unit(Emit *e, Batch *b)
{
    int64_t each = batch_unit_rows(e, b->s);
    V extent = dim_emit(e, b->extent[b->keep[0]]), row = const_i64(e, -b->m);
    b->low = LLVMBuildMul(e->b, frame_word(e, FRAME_unit), const_i64(e, each), "");
    b->high = LLVMBuildAdd(e->b, b->low, const_i64(e, each), "");
    V less = LLVMBuildICmp(e->b, LLVMIntSLT, b->high, extent, "");
    b->high = LLVMBuildSelect(e->b, less, b->high, extent, "");
    b->back = LLVMBuildMul(e->b, b->low, row, "");
    if (!e->target->small && b->vector >= 0)
        plan_ahead(e, b);
}
