/* Nests that make products over the batch themselves (NodeInfo.whole): each call owns some rows
 * of the result, goes through all shards of the batch in their order with the sums in its
 * thread's memory, and then through what follows, at the same elements, while they are in the
 * cache. No gradient and no partial sum of a shard is ever in memory as a whole. */
#include "emit/emit.h"

/* What a product reads block by block: at most one of each operand. */
static int block_buffers(const Step *s, const Buffer **b)
{
    int n = 0;
    for (int o = 0; o < 2; o++) {
        const Buffer *from = s->across[o].buffer;
        if (!from)
            from = INFO(kernel_base(s->node->in[o]))->place.buffer;
        if (from && from->mem == MEM_block)
            b[n++] = from;
    }
    return n;
}

static V smaller(Emit *e, V a, V b)
{
    return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, a, b, ""), a, b, "");
}

/* Calls a product's function for every block of the batch, shard after shard. */
static void blocks_emit(Emit *e, const Step *s, V fn)
{
    const Buffer *buffer[2];
    V base[2], stride[2], n = frame_word(e, FRAME_n), one = const_i64(e, 1);
    int count = block_buffers(s, buffer);
    for (int i = 0; i < count; i++) {
        base[i] = frame_pointer(e, FRAME_buffer + buffer[i]->id);
        stride[i] = store_bytes_emit(e, buffer[i]);
    }
    V block = block_rows_emit(e, n), per = shard_rows_emit(e, n);
    V each = divide_emit(e, per, block, NULL);
    Loop outer, inner;
    V shard = loop_begin(e, &outer, const_i64(e, 0), frame_word(e, FRAME_shards), 1, NULL, 0);
    V begin = LLVMBuildMul(e->b, shard, per, "");
    V end = smaller(e, LLVMBuildAdd(e->b, begin, per, ""), n);
    V first = LLVMBuildICmp(e->b, LLVMIntEQ, shard, const_i64(e, 0), "");
    V ends = LLVMBuildSelect(e->b, first, const_i64(e, ENDS_first), const_i64(e, ENDS_later), "");
    V up = LLVMBuildAdd(e->b, LLVMBuildSub(e->b, end, begin, ""),
                        LLVMBuildSub(e->b, block, one, ""), "");
    V blocks = divide_emit(e, up, block, NULL);
    V i = loop_begin(e, &inner, const_i64(e, 0), blocks, 1, NULL, 0);
    V row = LLVMBuildAdd(e->b, begin, LLVMBuildMul(e->b, i, block, ""), "");
    V at = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, shard, each, ""), i, "");
    V is_first = LLVMBuildICmp(e->b, LLVMIntEQ, i, const_i64(e, 0), "");
    V is_last = LLVMBuildICmp(e->b, LLVMIntEQ, LLVMBuildAdd(e->b, i, one, ""), blocks, "");
    frame_store(e, const_i64(e, FRAME_row0), row);
    frame_store(e, const_i64(e, FRAME_rows), smaller(e, LLVMBuildSub(e->b, end, row, ""), block));
    frame_store(e, const_i64(e, FRAME_first), LLVMBuildZExt(e->b, is_first, e->index, ""));
    frame_store(e, const_i64(e, FRAME_ends),
                LLVMBuildSelect(e->b, is_last, ends, const_i64(e, ENDS_none), ""));
    for (int j = 0; j < count; j++) {
        V offset = LLVMBuildMul(e->b, at, stride[j], "");
        frame_store(e, const_i64(e, FRAME_buffer + buffer[j]->id),
                    LLVMBuildInBoundsGEP2(e->b, e->i8, base[j], &offset, 1, ""));
    }
    LLVMBuildCall2(e->b, e->kernel_type, fn, &e->frame, 1, "");
    loop_end(e, &inner, NULL);
    loop_end(e, &outer, NULL);
    for (int j = 0; j < count; j++)
        frame_store(e, const_i64(e, FRAME_buffer + buffer[j]->id), base[j]);
}

static int64_t unit_rows(const Emit *e, const Nest *nest)
{
    for (int i = 0; i < nest->nodes.n; i++)
        if (INFO(nest->nodes.at[i])->whole)
            return batch_unit_rows(e, INFO(nest->nodes.at[i])->whole);
    bug("a nest without products has no units of rows");
}

int64_t whole_units(const Emit *e, const Nest *nest)
{
    int64_t rows = 1, each = unit_rows(e, nest);
    dim_const(nest->domain.d[0], &rows);
    return (rows + each - 1) / each;
}

V whole_emit(Emit *e, const Step *s)
{
    const Nest *nest = s->nest;
    V *fn = NEW_ARRAY(e->arena, V, nest->nodes.n + 1);
    int64_t last = 1;
    e->is_entry = false;
    for (int i = 0; i < nest->nodes.n; i++)
        if (INFO(nest->nodes.at[i])->whole) {
            e->span = nest->nodes.at[i]->span;
            fn[i] = batch_emit(e, INFO(nest->nodes.at[i])->whole);
        }
    e->is_entry = true;
    e->span = nest->span;
    if (!function_begin(e, step_name(e->arena, s), MODE_flat, true))
        return e->fn;
    e->nest = nest;
    for (int i = 0; i < nest->nodes.n; i++)
        if (fn[i])
            blocks_emit(e, INFO(nest->nodes.at[i])->whole, fn[i]);
    dim_const(nest->domain.d[1], &last);
    flat_emit(e, nest, unit_rows(e, nest) * last);
    function_end(e);
    return e->fn;
}
