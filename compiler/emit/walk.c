/* The executor's walk as code: phases, shards, blocks, levels and units of a program in a
 * workspace, as runtime/executor.c goes through them. Each phase, and each level of a
 * parameter phase, is a function of (workspace, worker): what a parallel_for calls. */
#include "emit/module.h"

#include <string.h>

/* ---- small arithmetic ---- */

V at_byte(Emit *e, V base, int64_t offset)
{
    V at = const_i64(e, offset);
    return offset ? LLVMBuildInBoundsGEP2(e->b, e->i8, base, &at, 1, "") : base;
}

V load_word(Emit *e, V base, int word, LLVMTypeRef t)
{
    return LLVMBuildLoad2(e->b, t, at_byte(e, base, 8 * (int64_t)word), "");
}

void store_word(Emit *e, V base, int word, V value)
{
    LLVMBuildStore(e->b, value, at_byte(e, base, 8 * (int64_t)word));
}

V widen(Emit *e, V v)
{
    return LLVMTypeOf(v) == e->index ? v : LLVMBuildZExt(e->b, v, e->index, "");
}

static V narrow(Emit *e, V v)
{
    return e->index == e->i32 ? v : LLVMBuildTrunc(e->b, v, e->i32, "");
}

V begin_function(Emit *e, const char *name, LLVMTypeRef type, bool exported)
{
    e->fn = LLVMAddFunction(e->m, name, type);
    LLVMSetLinkage(e->fn, exported ? LLVMExternalLinkage : LLVMInternalLinkage);
    function_attributes(e);
    e->lanes = 1;
    e->mode = MODE_scalar;
    LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->cx, e->fn, ""));
    return e->fn;
}

const char *entry_symbol(Arena *a, const ObjectSpec *o, const char *name, const char *version)
{
    return version ? arena_printf(a, "%s_%s_%s", o->name, name, version)
                   : arena_printf(a, "%s_%s", o->name, name);
}

V begin_entry(Emit *e, const ObjectSpec *o, const char *name, LLVMTypeRef type)
{
    const char *version = e->version ? e->version->name : NULL;
    return begin_function(e, entry_symbol(e->arena, o, name, version), type, !version);
}

static V least(Emit *e, V a, V b)
{
    return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, a, b, ""), a, b, "");
}

static V most(Emit *e, V a, V b)
{
    return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, a, b, ""), b, a, "");
}

/* total * worker / threads, neither negative. */
static V share(Emit *e, V total, V worker, V threads)
{
    return divide_emit(e, LLVMBuildMul(e->b, total, worker, ""), threads, NULL);
}

/* ---- sizes ---- */

V extent_emit(Emit *e, V ws, Dim d)
{
    if (d.sym == SYM_none)
        return const_i64(e, d.add);
    V v = load_word(e, ws, CONTROL_lengths + d.sym, e->index);
    v = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, v, const_i64(e, d.mul), ""), const_i64(e, d.add), "");
    if (d.div == 1)
        return v;
    V q = LLVMBuildSDiv(e->b, v, const_i64(e, d.div), "");
    V r = LLVMBuildSRem(e->b, v, const_i64(e, d.div), "");
    V low = LLVMBuildICmp(e->b, LLVMIntSLT, r, const_i64(e, 0), "");
    return LLVMBuildSub(e->b, q, LLVMBuildZExt(e->b, low, e->index, ""), "");
}

/* Bytes of a block or shard of a store, as store_bytes has them. */
static V bytes_emit(Emit *e, V ws, const StoreInfo *s)
{
    V bytes = const_i64(e, s->unit);
    for (int i = 0; i < s->ndim; i++)
        bytes = LLVMBuildMul(e->b, bytes, extent_emit(e, ws, s->dim[i]), "");
    bytes = LLVMBuildAdd(e->b, bytes, const_i64(e, 63), "");
    return LLVMBuildAnd(e->b, bytes, const_i64(e, -64), "");
}

static V quotient_up(Emit *e, V a, V b)
{
    V sum = LLVMBuildAdd(e->b, a, LLVMBuildSub(e->b, b, const_i64(e, 1), ""), "");
    return divide_emit(e, sum, b, NULL);
}

V block_rows_emit(Emit *e, V n)
{
    V few = LLVMBuildICmp(e->b, LLVMIntSLE, n, const_i64(e, BLOCK_ROWS), "");
    V many = LLVMBuildICmp(e->b, LLVMIntSGT, n, const_i64(e, ONE_BLOCK_MOST), "");
    V fewest = LLVMBuildICmp(e->b, LLVMIntSLE, n, const_i64(e, 2 * BLOCK_ROWS_LEAST), "");
    V room = LLVMBuildSelect(e->b, few, const_i64(e, BLOCK_ROWS_FEW), const_i64(e, BLOCK_ROWS), "");
    room = LLVMBuildSelect(e->b, fewest, const_i64(e, BLOCK_ROWS_LEAST), room, "");
    return LLVMBuildSelect(e->b, many, room, quotient_up(e, n, quotient_up(e, n, room)), "");
}

V shard_rows_emit(Emit *e, V n)
{
    V blocks = LLVMBuildUDiv(e->b, LLVMBuildAdd(e->b, n, const_i64(e, ONE_BLOCK_MOST - 1), ""),
                             const_i64(e, ONE_BLOCK_MOST), "");
    return LLVMBuildMul(e->b, block_rows_emit(e, n), blocks, "");
}

/* ---- frames ---- */

static V frame_of(Emit *e, const Walk *w, V ws, V worker)
{
    V at = LLVMBuildMul(e->b, worker, const_i64(e, w->worker), "");
    at = LLVMBuildAdd(e->b, at, const_i64(e, w->base), "");
    return LLVMBuildInBoundsGEP2(e->b, e->i8, ws, &at, 1, "");
}

static bool is_common(const StoreInfo *s)
{
    return s->kind == STORE_block || s->kind == STORE_shard || s->kind == STORE_shared;
}

static V port_pointer(Emit *e, V ws, const PortPlace *at)
{
    if (at->at == AT_constant)
        return at->constant;
    if (at->at == AT_workspace)
        return at_byte(e, ws, at->offset);
    V p = load_word(e, ws, at->word, e->ptr);
    return at->at == AT_blob ? at_byte(e, p, at->offset) : p;
}

/* The frame of each worker, as program_prepare and program_run leave it. */
static void frames_emit(Emit *e, const Walk *w, V ws, V n, V threads)
{
    Loop l;
    V worker = loop_begin(e, &l, const_i64(e, 0), threads, 1, NULL, 0);
    V f = frame_of(e, w, ws, worker);
    store_word(e, f, FRAME_n, n);
    store_word(e, f, FRAME_shards, load_word(e, ws, CONTROL_lengths + SYM_S, e->index));
    store_word(e, f, FRAME_order, LLVMConstNull(e->ptr));
    store_word(e, f, FRAME_lengths, at_byte(e, ws, 8 * CONTROL_lengths));
    for (int i = 0; i < w->program->nstore; i++) {
        const StoreInfo *s = &w->program->store[i];
        if (s->kind != STORE_port && !s->unit) /* a literal of the code's own */
            continue;
        V p = s->kind == STORE_port ? port_pointer(e, ws, &w->port[s->port])
              : is_common(s)        ? at_byte(e, ws, w->common + w->offset[i])
                                    : at_byte(e, f, w->frame + w->offset[i]);
        store_word(e, f, FRAME_buffer + i, p);
    }
    loop_end(e, &l, NULL);
}

/* ---- phases ---- */

static V task_function(Emit *e, const Task *t)
{
    V fn = LLVMGetNamedFunction(e->m, t->name);
    if (!fn)
        bug("the object has no function '%s'", t->name);
    return fn;
}

static V begin_body(Emit *e, const Walk *w, const char *what, int phase, int level)
{
    LLVMTypeRef in[] = {e->ptr, e->i32};
    const char *name = arena_printf(e->arena, "%s.%s%d_%d", w->name, what, phase, level);
    return begin_function(e, name, LLVMFunctionType(e->none, in, 2, 0), false);
}

/* The place of the index-th block or shard of a store. */
static void set_part(Emit *e, const Walk *w, V ws, V f, int store, V index)
{
    V at = LLVMBuildMul(e->b, bytes_emit(e, ws, &w->program->store[store]), index, "");
    at = LLVMBuildAdd(e->b, at, const_i64(e, w->common + w->offset[store]), "");
    store_word(e, f, FRAME_buffer + store, LLVMBuildInBoundsGEP2(e->b, e->i8, ws, &at, 1, ""));
}

/* A worker's shards, their blocks in order: run_shard of the executor. */
static V rows_body(Emit *e, const Walk *w, int phase)
{
    const Program *p = w->program;
    V fn = begin_body(e, w, "rows", phase, 0), ws = LLVMGetParam(fn, 0);
    V worker = widen(e, LLVMGetParam(fn, 1)), f = frame_of(e, w, ws, worker);
    V threads = load_word(e, ws, CONTROL_threads, e->index);
    V n = load_word(e, f, FRAME_n, e->index), shards = load_word(e, f, FRAME_shards, e->index);
    V block = block_rows_emit(e, n), per = shard_rows_emit(e, n), one = const_i64(e, 1);
    Loop outer, inner;
    V hi = share(e, shards, LLVMBuildAdd(e->b, worker, one, ""), threads);
    V shard = loop_begin(e, &outer, share(e, shards, worker, threads), hi, 1, NULL, 0);
    V begin = LLVMBuildMul(e->b, shard, per, "");
    V end = least(e, LLVMBuildAdd(e->b, begin, per, ""), n);
    V blocks = quotient_up(e, LLVMBuildSub(e->b, end, begin, ""), block);
    V i = loop_begin(e, &inner, const_i64(e, 0), blocks, 1, NULL, 0);
    V row = LLVMBuildAdd(e->b, begin, LLVMBuildMul(e->b, i, block, ""), "");
    store_word(e, f, FRAME_row0, row);
    store_word(e, f, FRAME_rows, least(e, LLVMBuildSub(e->b, end, row, ""), block));
    V first = LLVMBuildICmp(e->b, LLVMIntEQ, i, const_i64(e, 0), "");
    store_word(e, f, FRAME_first, LLVMBuildZExt(e->b, first, e->index, ""));
    for (int s = 0; s < p->nstore; s++) {
        if (p->store[s].kind == STORE_block)
            set_part(e, w, ws, f, s, divide_emit(e, row, block, NULL));
        else if (p->store[s].kind == STORE_shard)
            set_part(e, w, ws, f, s, shard);
    }
    LLVMBuildCall2(e->b, e->kernel_type, task_function(e, &p->phase[phase].task[0]), &f, 1, "");
    loop_end(e, &inner, NULL);
    loop_end(e, &outer, NULL);
    for (int s = 0; s < p->nstore; s++)
        if (p->store[s].kind == STORE_block || p->store[s].kind == STORE_shard)
            store_word(e, f, FRAME_buffer + s, at_byte(e, ws, w->common + w->offset[s]));
    LLVMBuildRetVoid(e->b);
    return fn;
}

/* A worker's units of one level: run_level of the executor. */
static V level_body(Emit *e, const Walk *w, int phase, int level)
{
    const ProgramPhase *from = &w->program->phase[phase];
    int64_t total = 0, at = 0;
    for (int i = 0; i < from->ntask; i++)
        total += from->task[i].level == level ? from->task[i].units : 0;
    V fn = begin_body(e, w, "level", phase, level), ws = LLVMGetParam(fn, 0);
    V worker = widen(e, LLVMGetParam(fn, 1)), f = frame_of(e, w, ws, worker);
    V threads = load_word(e, ws, CONTROL_threads, e->index), all = const_i64(e, total);
    V lo = share(e, all, worker, threads);
    V hi = share(e, all, LLVMBuildAdd(e->b, worker, const_i64(e, 1), ""), threads);
    for (int i = 0; i < from->ntask; i++) {
        const Task *t = &from->task[i];
        if (t->level != level)
            continue;
        V here = const_i64(e, at);
        V begin = most(e, LLVMBuildSub(e->b, lo, here, ""), const_i64(e, 0));
        V end = least(e, LLVMBuildSub(e->b, hi, here, ""), const_i64(e, t->units));
        Loop l;
        V unit = loop_begin(e, &l, begin, end, 1, NULL, 0);
        store_word(e, f, FRAME_unit, unit);
        LLVMBuildCall2(e->b, e->kernel_type, task_function(e, t), &f, 1, "");
        loop_end(e, &l, NULL);
        at += t->units;
    }
    LLVMBuildRetVoid(e->b);
    return fn;
}

/* ---- the whole ---- */

static void call_alone(Emit *e, V ws, V body)
{
    LLVMTypeRef in[] = {e->ptr, e->i32};
    V args[] = {ws, LLVMConstInt(e->i32, 0, 0)};
    LLVMBuildCall2(e->b, LLVMFunctionType(e->none, in, 2, 0), body, args, 2, "");
}

/* Calls body(workspace, 0), or the caller's parallel_for(context, threads, body, workspace). */
static void dispatch(Emit *e, V ws, V parallel, V context, V threads, V body)
{
    LLVMTypeRef for_in[] = {e->ptr, e->i32, e->ptr, e->ptr};
    LLVMBasicBlockRef alone = LLVMAppendBasicBlockInContext(e->cx, e->fn, "alone");
    LLVMBasicBlockRef many = LLVMAppendBasicBlockInContext(e->cx, e->fn, "many");
    LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(e->cx, e->fn, "next");
    V none = LLVMBuildICmp(e->b, LLVMIntEQ, parallel, LLVMConstNull(e->ptr), "");
    LLVMBuildCondBr(e->b, none, alone, many);
    LLVMPositionBuilderAtEnd(e->b, alone);
    call_alone(e, ws, body);
    LLVMBuildBr(e->b, next);
    LLVMPositionBuilderAtEnd(e->b, many);
    V args[] = {context, narrow(e, threads), body, ws};
    LLVMBuildCall2(e->b, LLVMFunctionType(e->none, for_in, 4, 0), parallel, args, 4, "");
    LLVMBuildBr(e->b, next);
    LLVMPositionBuilderAtEnd(e->b, next);
}

/* Returns false from the function where the loss is infinite or NaN: by its exponent, since
 * arithmetic has no place here. */
static void check_loss(Emit *e, const Walk *w, V ws)
{
    int port = w->program->loss_port;
    bool f64 = w->program->port[port].dtype == DT_f64;
    LLVMTypeRef t = f64 ? e->i64 : e->i32;
    V exponent = LLVMConstInt(t, f64 ? 0x7ff0000000000000u : 0x7f800000u, 0);
    V bits = LLVMBuildLoad2(e->b, t, port_pointer(e, ws, &w->port[port]), "");
    V bad = LLVMBuildICmp(e->b, LLVMIntEQ, LLVMBuildAnd(e->b, bits, exponent, ""), exponent, "");
    LLVMBasicBlockRef stop = LLVMAppendBasicBlockInContext(e->cx, e->fn, "stop");
    LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(e->cx, e->fn, "finite");
    LLVMBuildCondBr(e->b, bad, stop, next);
    LLVMPositionBuilderAtEnd(e->b, stop);
    LLVMBuildRet(e->b, LLVMConstInt(e->i1, 0, 0));
    LLVMPositionBuilderAtEnd(e->b, next);
}

/* Bodies first, in order; a phase without work has none. */
static V *bodies_emit(Emit *e, const Walk *w)
{
    const Program *p = w->program;
    int count = 0, at = 0;
    for (int i = 0; i < p->nphase; i++)
        count += p->phase[i].rows ? 1 : p->phase[i].nlevel;
    V *body = NEW_ARRAY(e->arena, V, count + 1);
    for (int i = 0; i < p->nphase; i++)
        for (int level = 0; level < (p->phase[i].rows ? 1 : p->phase[i].nlevel); level++)
            body[at++] = p->phase[i].rows ? rows_body(e, w, i) : level_body(e, w, i, level);
    return body;
}

V walk_emit(Emit *e, const Walk *w)
{
    const Program *p = w->program;
    V *body = bodies_emit(e, w);
    LLVMTypeRef in[] = {e->ptr, e->ptr, e->ptr};
    V fn = begin_function(e, arena_printf(e->arena, "%s.run", w->name),
                          LLVMFunctionType(e->i1, in, 3, 0), false);
    V ws = LLVMGetParam(fn, 0), parallel = LLVMGetParam(fn, 1), context = LLVMGetParam(fn, 2);
    V n = load_word(e, ws, CONTROL_lengths + SYM_N, e->index);
    V threads = load_word(e, ws, CONTROL_threads, e->index);
    store_word(e, ws, CONTROL_lengths + SYM_S, quotient_up(e, n, shard_rows_emit(e, n)));
    frames_emit(e, w, ws, n, threads);
    for (int i = 0, at = 0; i < p->nphase; i++)
        for (int level = 0; level < (p->phase[i].rows ? 1 : p->phase[i].nlevel); level++) {
            if (w->parallel)
                dispatch(e, ws, parallel, context, threads, body[at++]);
            else
                call_alone(e, ws, body[at++]);
            if (p->loss_port >= 0 && i == p->loss_phase && level == p->loss_level)
                check_loss(e, w, ws);
        }
    LLVMBuildRet(e->b, LLVMConstInt(e->i1, 1, 0));
    return fn;
}
