/* The entries of an object: arguments are checked and put into the workspace's control words,
 * the walk runs, sums and counters are brought up to date. */
#include "emit/module.h"

#include "lay_out.h"

#include <string.h>

enum { SLOT = 8, ENTRY_ARGS_MOST = 64 };

/* An argument of the C function. */
typedef struct { ArgKind kind; int index; } Formal;

typedef struct {
    Arena *a;
    Emit *e;
    const ObjectSpec *o;
    ObjectEntry *entry;
    Program *const *program;
    V (*constant)(Emit *, const ObjectTensor *);
    Formal formal[ENTRY_ARGS_MOST];
    int nformal;
    PortPlace *port[VARIANTS_MOST];
    Walk walk[VARIANTS_MOST];
    V run[VARIANTS_MOST];
} Making;

static int64_t align(int64_t bytes)
{
    return (bytes + OBJECT_ALIGN - 1) / OBJECT_ALIGN * OBJECT_ALIGN;
}

/* ---- arguments ---- */

static void add_formal(Making *k, ArgKind kind, int index)
{
    if (k->nformal == ENTRY_ARGS_MOST)
        bug("entry %s has more than %d arguments", k->entry->name, ENTRY_ARGS_MOST);
    k->formal[k->nformal++] = (Formal){kind, index};
}

static void list_formals(Making *k)
{
    const ObjectEntry *en = k->entry;
    for (int i = 0; en->arg[i] != ARG_none; i++) {
        ArgKind kind = en->arg[i];
        if ((kind == ARG_params && k->o->embed) || (kind == ARG_state && !k->o->blob[BLOB_state].n))
            continue;
        int count = kind == ARG_in ? en->nin : kind == ARG_out ? en->nout : 1;
        if (kind == ARG_lengths) {
            for (int s = SYM_length; s < SYM_MOST; s++)
                if (k->o->lengths[s])
                    add_formal(k, kind, s);
            continue;
        }
        for (int j = 0; j < count; j++)
            add_formal(k, kind, j);
    }
}

static LLVMTypeRef formal_type(const Emit *e, ArgKind kind)
{
    return kind == ARG_n || kind == ARG_lengths || kind == ARG_seed || kind == ARG_steps ? e->i32
           : kind == ARG_rate                                                            ? e->f64
                                                                                         : e->ptr;
}

/* Where the walk finds it; -1: elsewhere. */
static int control_word(const ObjectEntry *en, Formal f)
{
    switch (f.kind) {
    case ARG_params: return CONTROL_blob + BLOB_params;
    case ARG_optimizer: return CONTROL_blob + BLOB_optimizer;
    case ARG_state: return CONTROL_blob + BLOB_state;
    case ARG_stream: return CONTROL_blob + BLOB_stream;
    case ARG_metrics: return CONTROL_metrics;
    case ARG_in: return CONTROL_ports + f.index;
    case ARG_out: return CONTROL_ports + en->nin + f.index;
    default: return -1;
    }
}

/* ---- where ports are ---- */

static const ObjectTensor *find_tensor(const ObjectBlob *b, Role role, const char *name)
{
    for (int i = 0; i < b->n; i++)
        if (b->at[i].role == role && !strcmp(b->at[i].name, name))
            return &b->at[i];
    bug("the object has no %s '%s'", role_name(role), name);
}

static int find_port(const Port *port, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(port[i].name, name))
            return i;
    bug("the entry has no argument '%s'", name);
}

static int64_t row_bytes(const Making *k, const Port *p)
{
    int64_t n = dtype_size(p->dtype);
    for (int i = 1; i < p->shape.rank; i++)
        n *= dim_value(p->shape.d[i], k->o->lengths);
    return n;
}

/* Which of the program's figures a port is. */
static int64_t figure_index(const Making *k, const Port *p)
{
    const Program *from = k->program[0];
    int64_t n = 0;
    for (int i = 0; i < from->nport && &from->port[i] != p; i++)
        n += from->port[i].role == ROLE_metric;
    return n;
}


/* The place of a port; *head: bytes at the workspace's beginning that are taken. */
static PortPlace place_port(const Making *k, const Port *p, int64_t rows, int64_t *head)
{
    static const BlobKind blob_of[NROLE] = {[ROLE_param] = BLOB_params,
                                            [ROLE_buffer] = BLOB_params,
                                            [ROLE_slot] = BLOB_optimizer,
                                            [ROLE_state] = BLOB_state};
    const ObjectEntry *en = k->entry;
    PortPlace at = {.at = AT_workspace, .offset = *head};
    if (en->figures && p->role == ROLE_scalar)
        return (PortPlace){AT_blob, CONTROL_metrics,
                           find_tensor(&k->o->sums, ROLE_metric, p->name)->offset, NULL};
    if (en->figures) /* in the order of the array, the loss before them */
        return (PortPlace){AT_blob, CONTROL_ports + en->nin, SLOT * (1 + figure_index(k, p)), NULL};
    switch (p->role) {
    case ROLE_data:
        return (PortPlace){AT_argument, CONTROL_ports + find_port(en->in, en->nin, p->name), 0,
                           NULL};
    case ROLE_result:
        return (PortPlace){AT_argument,
                           CONTROL_ports + en->nin + find_port(en->out, en->nout, p->name), 0,
                           NULL};
    case ROLE_scalar:
    case ROLE_loss:
        *head += SLOT;
        return at;
    case ROLE_metric:
        at.offset = align(*head);
        *head = at.offset + rows * row_bytes(k, p);
        return at;
    default: break;
    }
    BlobKind kind = p->role == ROLE_state && entry_streams(en) ? BLOB_stream : blob_of[p->role];
    const ObjectTensor *t = find_tensor(&k->o->blob[kind], p->role, p->name);
    if (kind == BLOB_params && k->o->embed)
        return (PortPlace){AT_constant, 0, 0, k->constant(k->e, t)};
    return (PortPlace){AT_blob, CONTROL_blob + (int)kind, t->offset, NULL};
}

/* Places of ports and buffers of each variant; the entry's workspace. */
static bool lay_out_variants(Making *k)
{
    ObjectEntry *en = k->entry;
    int64_t head[VARIANTS_MOST], common = 0;
    for (int i = 0; i < en->nvariant; i++) {
        const Program *p = k->program[i];
        int64_t rows = variant_rows(&en->variant[i]);
        head[i] = SLOT * (CONTROL_ports + en->nin + en->nout);
        k->port[i] = NEW_ARRAY(k->a, PortPlace, p->nport + 1);
        for (int j = 0; j < p->nport; j++)
            k->port[i][j] = place_port(k, &p->port[j], rows, &head[i]);
        size_t nstore = (size_t)p->nstore + 1;
        LayOut l = {NEW_ARRAY(k->a, int64_t, nstore), NEW_ARRAY(k->a, int64_t, nstore),
                    NEW_ARRAY(k->a, int64_t, nstore), 0, 0};
        int64_t *lengths = NEW_ARRAY(k->a, int64_t, SYM_MOST);
        memcpy(lengths, k->o->lengths, sizeof k->o->lengths);
        lengths[SYM_N] = rows;
        lengths[SYM_S] = shard_count(rows);
        if (!lay_out(p, rows, lengths, &l))
            return false;
        int64_t frame = align((int64_t)sizeof(Frame) + SLOT * (int64_t)p->nstore);
        k->walk[i] = (Walk){.name = arena_printf(k->a, "%s_%s.%d", k->o->name, en->name, i),
                            .program = p, .port = k->port[i], .offset = l.offset,
                            .common = align(head[i]), .frame = frame,
                            .worker = align(frame + l.worker), .parallel = en->parallel};
        common = k->walk[i].common + l.common;
        en->base = align(common) > en->base ? align(common) : en->base;
        en->worker = k->walk[i].worker > en->worker ? k->walk[i].worker : en->worker;
    }
    for (int i = 0; i < en->nvariant; i++) {
        k->walk[i].base = en->base;
        k->walk[i].worker = en->worker;
    }
    return true;
}

/* ---- checks ---- */

void refuse(Emit *e, V bad, int status)
{
    LLVMBasicBlockRef stop = LLVMAppendBasicBlockInContext(e->cx, e->fn, "refuse");
    LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(e->cx, e->fn, "good");
    LLVMBuildCondBr(e->b, bad, stop, next);
    LLVMPositionBuilderAtEnd(e->b, stop);
    LLVMBuildRet(e->b, LLVMConstInt(e->i32, (unsigned)status, 0));
    LLVMPositionBuilderAtEnd(e->b, next);
}

static void check_range(Emit *e, V v, int64_t most)
{
    V low = LLVMBuildICmp(e->b, LLVMIntSLT, v, LLVMConstInt(e->i32, 1, 0), "");
    V high = LLVMBuildICmp(e->b, LLVMIntSGT, v, LLVMConstInt(e->i32, (uint64_t)most, 0), "");
    refuse(e, LLVMBuildOr(e->b, low, high, ""), STATUS_range);
}

static int64_t alignment(const Making *k, Formal f)
{
    const ObjectEntry *en = k->entry;
    if (f.kind == ARG_in)
        return dtype_size(en->in[f.index].dtype);
    if (f.kind == ARG_out)
        return dtype_size(en->out[f.index].dtype);
    return f.kind == ARG_metrics ? (int64_t)sizeof(double) : OBJECT_ALIGN;
}

static void check_arguments(Making *k)
{
    Emit *e = k->e;
    for (int i = 0; i < k->nformal; i++) {
        V v = LLVMGetParam(e->fn, (unsigned)i);
        ArgKind kind = k->formal[i].kind;
        if (kind == ARG_n)
            check_range(e, v, k->entry->variant[k->entry->nvariant - 1].most);
        else if (kind == ARG_lengths)
            check_range(e, v, k->o->lengths[k->formal[i].index]);
        else if (kind == ARG_steps)
            check_range(e, v, INT32_MAX);
        else if (formal_type(e, kind) == e->ptr)
            refuse(e, LLVMBuildICmp(e->b, LLVMIntEQ, v, LLVMConstNull(e->ptr), ""), STATUS_null);
    }
    for (int i = 0; i < k->nformal; i++) {
        int64_t to = alignment(k, k->formal[i]);
        if (formal_type(e, k->formal[i].kind) != e->ptr || to == 1)
            continue;
        V at = LLVMBuildPtrToInt(e->b, LLVMGetParam(e->fn, (unsigned)i), e->index, "");
        V off = LLVMBuildAnd(e->b, at, const_i64(e, to - 1), "");
        refuse(e, LLVMBuildICmp(e->b, LLVMIntNE, off, const_i64(e, 0), ""), STATUS_misaligned);
    }
}

static V find_formal(const Making *k, ArgKind kind)
{
    for (int i = 0; i < k->nformal; i++)
        if (k->formal[i].kind == kind)
            return LLVMGetParam(k->e->fn, (unsigned)i);
    return NULL;
}

/* ---- control words, scalars ---- */

static void store_control(Making *k, V ws)
{
    Emit *e = k->e;
    V n = find_formal(k, ARG_n);
    n = n ? widen(e, n) : const_i64(e, 1);
    store_word(e, ws, CONTROL_lengths + SYM_N, n);
    V threads = LLVMGetParam(e->fn, (unsigned)k->nformal);
    store_word(e, ws, CONTROL_threads, widen(e, threads));
    for (int i = 0; i < k->nformal; i++) {
        V v = LLVMGetParam(e->fn, (unsigned)i);
        int word = control_word(k->entry, k->formal[i]);
        if (k->formal[i].kind == ARG_lengths)
            store_word(e, ws, CONTROL_lengths + k->formal[i].index,
                       widen(e, v));
        else if (word >= 0)
            store_word(e, ws, word, v);
    }
}

/* A host scalar of the program; what no argument tells is 0. */
static V scalar_value(const Making *k, const char *name)
{
    Emit *e = k->e;
    V state = find_formal(k, ARG_optimizer), rate = find_formal(k, ARG_rate);
    V seed = find_formal(k, ARG_seed);
    if (!strcmp(name, "learning_rate_scale") && rate)
        return LLVMBuildFDiv(e->b, rate, LLVMConstReal(e->f64, k->entry->rate), "");
    if (!strcmp(name, "seed") && (seed || state))
        return seed ? seed : LLVMBuildLoad2(e->b, e->i32, at_byte(e, state, OPTIMIZER_seed), "");
    if (!strcmp(name, "epoch") && state)
        return LLVMBuildLoad2(e->b, e->f64, at_byte(e, state, OPTIMIZER_epoch), "");
    if (!strcmp(name, "step") && state) {
        V before = LLVMBuildLoad2(e->b, e->f64, at_byte(e, state, OPTIMIZER_step), "");
        return LLVMBuildFAdd(e->b, before, LLVMConstReal(e->f64, 1), "");
    }
    return LLVMConstNull(e->f64);
}

static V convert(Emit *e, V v, Dtype to)
{
    bool is_f64 = LLVMTypeOf(v) == e->f64;
    if (to == DT_f64)
        return is_f64 ? v : LLVMBuildSIToFP(e->b, v, e->f64, "");
    if (to == DT_f32 && is_f64)
        return LLVMBuildFPTrunc(e->b, v, e->f32, "");
    if (to == DT_f32)
        return LLVMBuildSIToFP(e->b, v, e->f32, "");
    return is_f64 ? LLVMBuildFPToSI(e->b, v, e->i32, "") : v;
}

static void store_scalars(Making *k, V ws, int variant)
{
    const Program *p = k->program[variant];
    for (int i = 0; i < p->nport && !k->entry->figures; i++)
        if (p->port[i].role == ROLE_scalar)
            LLVMBuildStore(k->e->b,
                           convert(k->e, scalar_value(k, p->port[i].name), p->port[i].dtype),
                           at_byte(k->e, ws, k->port[variant][i].offset));
}

/* ---- after the walk ---- */

static void add_to(Emit *e, V base, int64_t offset, V value)
{
    V at = at_byte(e, base, offset);
    LLVMBuildStore(e->b, LLVMBuildFAdd(e->b, LLVMBuildLoad2(e->b, e->f64, at, ""), value, ""), at);
}

static V load_double(Emit *e, V at, Dtype dt)
{
    V v = LLVMBuildLoad2(e->b, dt == DT_f64 ? e->f64 : dt == DT_f32 ? e->f32 : e->i32, at, "");
    return dt == DT_f64   ? v
           : dt == DT_f32 ? LLVMBuildFPExt(e->b, v, e->f64, "")
                          : LLVMBuildSIToFP(e->b, v, e->f64, "");
}

/* Row by row in double, as the driver's tally_add. */
static void add_metric(Making *k, V ws, V sums, V n, const Port *p, int64_t from, int64_t to)
{
    Emit *e = k->e;
    int64_t elements = row_bytes(k, p) / dtype_size(p->dtype);
    if (p->dtype != DT_f32 && p->dtype != DT_f64 && p->dtype != DT_i32)
        bug("metric %s is %s", p->name, dtype_name(p->dtype));
    Loop rows, each;
    V r = loop_begin(e, &rows, const_i64(e, 0), n, 1, NULL, 0);
    V i = loop_begin(e, &each, const_i64(e, 0), const_i64(e, elements), 1, NULL, 0);
    V at = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, r, const_i64(e, elements), ""), i, "");
    at = LLVMBuildMul(e->b, at, const_i64(e, dtype_size(p->dtype)), "");
    V value = LLVMBuildInBoundsGEP2(e->b, e->i8, at_byte(e, ws, from), &at, 1, "");
    V sum = LLVMBuildInBoundsGEP2(e->b, e->f64, at_byte(e, sums, to), &i, 1, "");
    V added = LLVMBuildFAdd(e->b, LLVMBuildLoad2(e->b, e->f64, sum, ""),
                            load_double(e, value, p->dtype), "");
    LLVMBuildStore(e->b, added, sum);
    loop_end(e, &each, NULL);
    loop_end(e, &rows, NULL);
}

static void add_metrics(Making *k, V ws, int variant)
{
    Emit *e = k->e;
    V sums = find_formal(k, ARG_metrics), n = load_word(e, ws, CONTROL_lengths + SYM_N, e->index);
    const Program *p = k->program[variant];
    if (k->entry->figures) {
        V loss = LLVMBuildLoad2(e->b, e->f64, at_byte(e, sums, SUMS_loss), "");
        V count = LLVMBuildLoad2(e->b, e->f64, at_byte(e, sums, SUMS_rows), "");
        LLVMBuildStore(e->b, LLVMBuildFDiv(e->b, loss, count, ""), find_formal(k, ARG_out));
    }
    if (!sums || k->entry->figures)
        return;
    V rows = LLVMBuildSIToFP(e->b, n, e->f64, "");
    for (int i = 0; i < p->nport; i++) {
        const Port *port = &p->port[i];
        int64_t from = k->port[variant][i].offset;
        if (port->role == ROLE_loss) {
            V loss = load_double(e, at_byte(e, ws, from), port->dtype);
            add_to(e, sums, SUMS_loss, LLVMBuildFMul(e->b, loss, rows, ""));
        } else if (port->role == ROLE_metric)
            add_metric(k, ws, sums, n, port, from,
                       find_tensor(&k->o->sums, ROLE_metric, port->name)->offset);
    }
    add_to(e, sums, SUMS_rows, rows);
}

/* The optimizer state's head: a step more, or as it is before the first. */
static void count_step(Making *k)
{
    Emit *e = k->e;
    V state = find_formal(k, ARG_optimizer), seed = find_formal(k, ARG_seed);
    if (k->entry->trains && state)
        add_to(e, state, OPTIMIZER_step, LLVMConstReal(e->f64, 1));
    for (int i = 0; seed && state && i < OPTIMIZER_HEAD; i += SLOT)
        LLVMBuildStore(e->b, LLVMConstNull(e->f64), at_byte(e, state, i));
    if (seed && state)
        LLVMBuildStore(e->b, seed, at_byte(e, state, OPTIMIZER_seed));
}

/* Arrays that hold a part for each step, or for each row, go on by one. */
static void next_part(Making *k, V ws)
{
    Emit *e = k->e;
    const ObjectEntry *en = k->entry;
    for (int i = 0; i < en->nin + en->nout; i++) {
        if (i < en->nin && en->axis && en->axis[i] < 0)
            continue;
        const Port *p = i < en->nin ? &en->in[i] : &en->out[i - en->nin];
        V bytes = const_i64(e, dtype_size(p->dtype)); /* of a row as long as it is in this call */
        for (int a = 1; a < p->shape.rank; a++)
            bytes = LLVMBuildMul(e->b, bytes, extent_emit(e, ws, p->shape.d[a]), "");
        V at = load_word(e, ws, CONTROL_ports + i, e->ptr);
        store_word(e, ws, CONTROL_ports + i, at_index(e, at, bytes));
    }
}

/* ---- functions ---- */

static void run_variant(Making *k, V ws, int variant)
{
    Emit *e = k->e;
    LLVMTypeRef in[] = {e->ptr, e->ptr, e->ptr};
    V args[] = {ws, LLVMGetParam(e->fn, (unsigned)k->nformal + 1),
                LLVMGetParam(e->fn, (unsigned)k->nformal + 2)};
    store_scalars(k, ws, variant);
    bool each = k->entry->variant[variant].each;
    V count = each ? find_formal(k, ARG_n) : find_formal(k, ARG_steps);
    Loop l;
    if (each)
        store_word(e, ws, CONTROL_lengths + SYM_N, const_i64(e, 1));
    if (count)
        loop_begin(e, &l, const_i64(e, 0), widen(e, count), 1, NULL, 0);
    V ok = LLVMBuildCall2(e->b, LLVMFunctionType(e->i1, in, 3, 0), k->run[variant], args, 3, "");
    if (count) {
        next_part(k, ws);
        loop_end(e, &l, NULL);
    }
    if (k->entry->trains)
        refuse(e, LLVMBuildNot(e->b, ok, ""), STATUS_loss);
    add_metrics(k, ws, variant);
    count_step(k);
    LLVMBuildRet(e->b, LLVMConstInt(e->i32, STATUS_ok, 0));
}

/* (the entry's arguments, threads, parallel_for, context) */
static V implementation(Making *k, LLVMTypeRef *types)
{
    Emit *e = k->e;
    const ObjectEntry *en = k->entry;
    const char *name = arena_printf(k->a, "%s_%s.all", k->o->name, en->name);
    LLVMTypeRef type = LLVMFunctionType(e->i32, types, (unsigned)k->nformal + 3, 0);
    V fn = begin_function(e, name, type, false);
    check_arguments(k);
    V ws = find_formal(k, ARG_workspace);
    if (!ws)
        ws = at_byte(e, find_formal(k, ARG_stream), k->o->blob[BLOB_stream].bytes);
    store_control(k, ws);
    for (int i = 0; i + 1 < en->nvariant; i++) {
        LLVMBasicBlockRef few = LLVMAppendBasicBlockInContext(e->cx, fn, "few");
        LLVMBasicBlockRef many = LLVMAppendBasicBlockInContext(e->cx, fn, "many");
        V n = load_word(e, ws, CONTROL_lengths + SYM_N, e->index);
        V less = LLVMBuildICmp(e->b, LLVMIntSLE, n, const_i64(e, en->variant[i].most), "");
        LLVMBuildCondBr(e->b, less, few, many);
        LLVMPositionBuilderAtEnd(e->b, few);
        run_variant(k, ws, i);
        LLVMPositionBuilderAtEnd(e->b, many);
    }
    run_variant(k, ws, en->nvariant - 1);
    return fn;
}

/* The function that the caller calls. */
static void exported(Making *k, V all, LLVMTypeRef *types, EntryForm form)
{
    Emit *e = k->e;
    unsigned n = (unsigned)k->nformal, most = n + 3;
    unsigned given = form == FORM_parallel ? most : form == FORM_once ? n - 1 : n;
    LLVMTypeRef type = LLVMFunctionType(e->i32, types, given, 0);
    V fn = begin_entry(e, k->o, entry_function(k->a, k->entry, form), type);
    V args[ENTRY_ARGS_MOST + 3];
    for (unsigned i = 0; i < given; i++)
        args[i] = LLVMGetParam(fn, i);
    if (form == FORM_once)
        args[n - 1] = LLVMConstInt(e->i32, 1, 0);
    if (form == FORM_parallel) {
        refuse(e, LLVMBuildICmp(e->b, LLVMIntEQ, args[n + 1], LLVMConstNull(e->ptr), ""),
               STATUS_null);
        refuse(e, LLVMBuildICmp(e->b, LLVMIntSLT, args[n], LLVMConstInt(e->i32, 1, 0), ""),
               STATUS_range);
    } else {
        args[n] = LLVMConstInt(e->i32, 1, 0);
        args[n + 1] = args[n + 2] = LLVMConstNull(e->ptr);
    }
    V status = LLVMBuildCall2(e->b, LLVMFunctionType(e->i32, types, most, 0), all, args, most, "");
    LLVMBuildRet(e->b, status);
}

bool entry_emit(Arena *a, Emit *e, const ObjectSpec *o, ObjectEntry *entry, Program *const *p,
                V (*constant)(Emit *, const ObjectTensor *))
{
    Making k = {.a = a, .e = e, .o = o, .entry = entry, .program = p, .constant = constant};
    LLVMTypeRef types[ENTRY_ARGS_MOST + 3];
    list_formals(&k);
    if (!lay_out_variants(&k))
        return false;
    for (int i = 0; i < entry->nvariant; i++)
        k.run[i] = walk_emit(e, &k.walk[i]);
    for (int i = 0; i < k.nformal; i++)
        types[i] = formal_type(e, k.formal[i].kind);
    types[k.nformal] = e->i32;
    types[k.nformal + 1] = types[k.nformal + 2] = e->ptr;
    V all = implementation(&k, types);
    for (int form = 0; form < NENTRYFORM; form++)
        if (entry_function(a, entry, (EntryForm)form))
            exported(&k, all, types, (EntryForm)form);
    return true;
}
