/* Functions, loops, and values that are made once in a function's entry. */
#include "emit/emit.h"

#include <string.h>

static void set_attribute(Emit *e, const char *key, const char *value)
{
    LLVMAttributeRef a = LLVMCreateStringAttribute(e->cx, key, (unsigned)strlen(key), value,
                                                   (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(e->fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, a);
}

static void set_flag(Emit *e, const char *name)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(e->fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(e->cx, kind, 0));
}

void function_attributes(Emit *e)
{
    /* Vectors as wide as they are written; no calls made up from loops, none for
     * large frames (COFF); no unwind tables (they name symbols that objects must
     * not need). */
    set_attribute(e, "prefer-vector-width", "512");
    set_attribute(e, "min-legal-vector-width", "512");
    set_attribute(e, "no-builtins", "true");
    set_attribute(e, "no-stack-arg-probe", "");
    set_flag(e, "nounwind");
    if (e->version) {
        set_attribute(e, "target-cpu", e->target->cpu);
        set_attribute(e, "target-features", e->target->features);
        LLVMSetSection(e->fn, e->version->section);
    }
    if (e->target->small) {
        set_flag(e, "minsize");
        set_flag(e, "optsize");
    }
}

bool function_begin(Emit *e, const char *name, Mode mode, bool heavy)
{
    bool mine = e->turn[heavy]++ % e->workers == e->worker;
    name = arena_printf(e->arena, "%s%s", e->prefix, name);
    e->fn = LLVMAddFunction(e->m, name, e->kernel_type);
    LLVMSetVisibility(e->fn, LLVMHiddenVisibility);
    if (!mine)
        return false;
    debug_function(e, name);
    e->mode = mode;
    e->lanes = mode == MODE_scalar ? 1 : e->width;
    e->part = 0;
    e->part_offset = NULL;
    e->row = ix_const(0);
    e->valid = e->width;
    e->irregular = false;
    e->mask = NULL;
    e->nest = NULL;
    e->memo = NULL;
    e->points = e->point = 0;
    e->entry_cache.n = e->block_cache.n = 0;
    e->cached_block = NULL;
    function_attributes(e);
    e->frame = LLVMGetParam(e->fn, 0);
    if (e->is_entry) { /* a block of its own, so that no arithmetic is moved before it */
        LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->cx, e->fn, "flush"));
        control_set(e);
    }
    e->entry = LLVMAppendBasicBlockInContext(e->cx, e->fn, "entry");
    if (e->is_entry)
        LLVMBuildBr(e->b, e->entry);
    LLVMBasicBlockRef body = LLVMAppendBasicBlockInContext(e->cx, e->fn, "body");
    LLVMPositionBuilderAtEnd(e->b, e->entry);
    LLVMBuildBr(e->b, body);
    LLVMPositionBuilderAtEnd(e->b, body);
    return true;
}

void function_end(Emit *e)
{
    if (e->is_entry)
        control_restore(e);
    LLVMBuildRetVoid(e->b);
}

Elsewhere entry_enter(Emit *e, Mode mode)
{
    Elsewhere back = {LLVMGetInsertBlock(e->b), e->mode, e->lanes};
    LLVMPositionBuilderBefore(e->b, LLVMGetBasicBlockTerminator(e->entry));
    e->mode = mode;
    e->lanes = mode == MODE_scalar ? 1 : e->width;
    return back;
}

void entry_leave(Emit *e, Elsewhere back)
{
    LLVMPositionBuilderAtEnd(e->b, back.block);
    if (back.block == e->entry)
        LLVMPositionBuilderBefore(e->b, LLVMGetBasicBlockTerminator(e->entry));
    e->mode = back.mode;
    e->lanes = back.lanes;
}

/* ---- what has been made already ---- */

V entry_find(Emit *e, const void *a, const void *b, int64_t c, int op)
{
    for (int i = 0; i < e->entry_cache.n; i++) {
        const Cached *k = &e->entry_cache.at[i];
        if (k->a == a && k->b == b && k->c == c && k->op == op)
            return k->value;
    }
    return NULL;
}

V entry_keep(Emit *e, const void *a, const void *b, int64_t c, int op, V v)
{
    Cached k = {a, b, c, op, v};
    list_push(e->arena, &e->entry_cache, k);
    return v;
}

V block_find(Emit *e, const void *a, const void *b, int64_t c, int op)
{
    if (LLVMGetInsertBlock(e->b) != e->cached_block)
        return NULL;
    for (int i = e->block_cache.n - 1; i >= 0; i--) {
        const Cached *k = &e->block_cache.at[i];
        if (k->a == a && k->b == b && k->c == c && k->op == op)
            return k->value;
    }
    return NULL;
}

V block_keep(Emit *e, const void *a, const void *b, int64_t c, int op, V v)
{
    LLVMBasicBlockRef block = LLVMGetInsertBlock(e->b);
    if (block != e->cached_block) {
        e->block_cache.n = 0;
        e->cached_block = block;
    }
    Cached k = {a, b, c, op, v};
    list_push(e->arena, &e->block_cache, k);
    return v;
}

/* ---- the frame: words of 8 bytes, of which an index or a pointer of fewer is the
 * lower part (every target is little-endian) ---- */

enum { KEY_word = 1000, KEY_pointer, KEY_dim };

static V frame_load(Emit *e, int word, LLVMTypeRef type, int key)
{
    V v = entry_find(e, NULL, NULL, word, key);
    if (v)
        return v;
    Elsewhere back = entry_enter(e, MODE_scalar);
    V i = const_i64(e, word);
    V p = LLVMBuildGEP2(e->b, e->i64, e->frame, &i, 1, "");
    v = LLVMBuildLoad2(e->b, type, p, "");
    entry_leave(e, back);
    return entry_keep(e, NULL, NULL, word, key, v);
}

V frame_word(Emit *e, int word)
{
    return frame_load(e, word, e->index, KEY_word);
}

V frame_pointer(Emit *e, int word)
{
    return frame_load(e, word, e->ptr, KEY_pointer);
}

void frame_store(Emit *e, V word, V value)
{
    V p = LLVMBuildGEP2(e->b, e->i64, e->frame, &word, 1, "");
    LLVMBuildStore(e->b, value, p);
}

V dim_emit(Emit *e, Dim d)
{
    if (d.sym == SYM_none)
        return const_i64(e, d.add);
    const void *key = (const void *)(intptr_t)(d.sym * 4096 + d.div);
    V v = entry_find(e, key, (const void *)(intptr_t)d.mul, d.add, KEY_dim);
    if (v)
        return v;
    V sym = d.sym == SYM_N   ? frame_word(e, FRAME_n)
            : d.sym == SYM_S ? frame_word(e, FRAME_shards)
                             : NULL;
    V lengths = sym ? NULL : frame_pointer(e, FRAME_lengths);
    Elsewhere back = entry_enter(e, MODE_scalar);
    if (!sym) {
        V i = const_i64(e, d.sym);
        sym = LLVMBuildLoad2(e->b, e->index, LLVMBuildGEP2(e->b, e->i64, lengths, &i, 1, ""), "");
    }
    v = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, sym, const_i64(e, d.mul), ""), const_i64(e, d.add),
                     "");
    if (d.div != 1) { /* floor: extents are not negative, the numerator is */
        V q = LLVMBuildSDiv(e->b, v, const_i64(e, d.div), "");
        V r = LLVMBuildSRem(e->b, v, const_i64(e, d.div), "");
        V low = LLVMBuildICmp(e->b, LLVMIntSLT, r, const_i64(e, 0), "");
        v = LLVMBuildSub(e->b, q, LLVMBuildZExt(e->b, low, e->index, ""), "");
    }
    entry_leave(e, back);
    return entry_keep(e, key, (const void *)(intptr_t)d.mul, d.add, KEY_dim, v);
}

/* ---- loops ---- */

V loop_begin(Emit *e, Loop *l, V from, V to, int64_t by, V *acc, int nacc)
{
    LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b);
    l->head = LLVMAppendBasicBlockInContext(e->cx, e->fn, "loop");
    l->exit = LLVMAppendBasicBlockInContext(e->cx, e->fn, "done");
    l->to = to;
    l->by = by;
    l->nacc = nacc;
    LLVMBasicBlockRef skip = before;
    V enter = LLVMBuildICmp(e->b, LLVMIntSLT, from, to, "");
    bool always = LLVMIsConstant(enter) && LLVMConstIntGetZExtValue(enter);
    if (always)
        LLVMBuildBr(e->b, l->head);
    else
        LLVMBuildCondBr(e->b, enter, l->head, l->exit);
    LLVMPositionBuilderAtEnd(e->b, l->head);
    l->i = LLVMBuildPhi(e->b, e->index, "");
    LLVMAddIncoming(l->i, &from, &before, 1);
    for (int i = 0; i < nacc; i++) {
        l->acc_phi[i] = LLVMBuildPhi(e->b, LLVMTypeOf(acc[i]), "");
        LLVMAddIncoming(l->acc_phi[i], &acc[i], &before, 1);
    }
    if (!always) { /* the exit is reached without a round, too */
        LLVMPositionBuilderAtEnd(e->b, l->exit);
        for (int i = 0; i < nacc; i++) {
            V phi = LLVMBuildPhi(e->b, LLVMTypeOf(acc[i]), "");
            LLVMAddIncoming(phi, &acc[i], &skip, 1);
        }
        LLVMPositionBuilderAtEnd(e->b, l->head);
    }
    for (int i = 0; i < nacc; i++)
        acc[i] = l->acc_phi[i];
    return l->i;
}

void loop_end(Emit *e, Loop *l, V *acc)
{
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(e->b);
    V next = LLVMBuildNSWAdd(e->b, l->i, const_i64(e, l->by), "");
    V again = LLVMBuildICmp(e->b, LLVMIntSLT, next, l->to, "");
    LLVMAddIncoming(l->i, &next, &latch, 1);
    for (int i = 0; i < l->nacc; i++)
        LLVMAddIncoming(l->acc_phi[i], &acc[i], &latch, 1);
    LLVMBuildCondBr(e->b, again, l->head, l->exit);
    LLVMPositionBuilderAtEnd(e->b, l->exit);
    V phi = LLVMGetFirstInstruction(l->exit);
    for (int i = 0; i < l->nacc; i++) {
        if (phi) {
            LLVMAddIncoming(phi, &acc[i], &latch, 1);
            acc[i] = phi;
            phi = LLVMGetNextInstruction(phi);
        }
    }
}
