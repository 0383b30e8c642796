/* From a graph to objects: lower, emit, optimise, generate code. */
#include "emit/compile.h"

#include "emit/emit.h"
#include "emit/machine.h"
#include "emit/pages.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <pthread.h>
#include <string.h>

static _Noreturn void llvm_bug(const char *what, LLVMErrorRef error)
{
    char *text = LLVMGetErrorMessage(error);
    bug("%s: %s", what, text);
}

/* ---- the target ---- */

static const Target *target_of(Arena *a, const JitOptions *o)
{
    return o->target ? o->target : target_find(a, NULL, NULL, NULL, NULL);
}

static void set_target(Emit *e, LLVMTargetMachineRef tm, const Target *t, bool calls_fma)
{
    e->target = t;
    e->fma = calls_fma ? REAL_both : t->fma;
    e->registers = t->registers;
    e->width = t->vector ? t->vector / (int)dtype_size(e->k->real) : 1;
    e->parts = e->k->block / e->width;
    char *triple = LLVMGetTargetMachineTriple(tm);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(tm);
    LLVMSetTarget(e->m, triple);
    LLVMSetModuleDataLayout(e->m, layout);
    e->index = LLVMIntPtrTypeInContext(e->cx, layout);
    LLVMDisposeTargetData(layout);
    LLVMDisposeMessage(triple);
}

/* ---- emission ---- */

static Emit *emit_new(Arena *a, const Kernel *k, const JitOptions *o)
{
    Emit *e = NEW(a, Emit);
    e->arena = a;
    e->k = k;
    e->diag = o->diag;
    e->called = o->profile ? NEW_ARRAY(a, const char *, k->nkernel + 1) : NULL;
    e->cx = LLVMContextCreate();
    e->m = LLVMModuleCreateWithNameInContext("weft", e->cx);
    e->b = LLVMCreateBuilderInContext(e->cx);
    e->i1 = LLVMInt1TypeInContext(e->cx);
    e->i8 = LLVMInt8TypeInContext(e->cx);
    e->i16 = LLVMInt16TypeInContext(e->cx);
    e->i32 = LLVMInt32TypeInContext(e->cx);
    e->i64 = LLVMInt64TypeInContext(e->cx);
    e->f32 = LLVMFloatTypeInContext(e->cx);
    e->f64 = LLVMDoubleTypeInContext(e->cx);
    e->ptr = LLVMPointerTypeInContext(e->cx, 0);
    e->none = LLVMVoidTypeInContext(e->cx);
    e->kernel_type = LLVMFunctionType(e->none, &e->ptr, 1, 0);
    return e;
}

static void optimise(Emit *e, LLVMTargetMachineRef tm)
{
    char *error = NULL;
    if (LLVMVerifyModule(e->m, LLVMReturnStatusAction, &error)) {
        LLVMDumpModule(e->m);
        bug("the code made is not sound: %s", error);
    }
    LLVMDisposeMessage(error);
    /* The IR is vectorised by hand: the heavier passes find nothing in it. */
    const char *passes = "function(early-cse,instcombine<no-verify-fixpoint>,simplifycfg,"
                         "loop-mssa(licm),gvn)";
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef failed = LLVMRunPasses(e->m, passes, tm, options);
    if (failed)
        llvm_bug("the passes do not run", failed);
    LLVMDisposePassBuilderOptions(options);
}

static LLVMMemoryBufferRef generate(Emit *e, LLVMTargetMachineRef tm, const JitOptions *o)
{
    LLVMMemoryBufferRef object;
    char *error = NULL;
    if (o->dump && !strcmp(o->dump, "llvm")) {
        char *text = LLVMPrintModuleToString(e->m);
        fputs(text, stderr);
        LLVMDisposeMessage(text);
    }
    if (o->dump && !strcmp(o->dump, "asm")) {
        LLVMModuleRef copy = LLVMCloneModule(e->m);
        if (!LLVMTargetMachineEmitToMemoryBuffer(tm, copy, LLVMAssemblyFile, &error, &object)) {
            fwrite(LLVMGetBufferStart(object), 1, LLVMGetBufferSize(object), stderr);
            LLVMDisposeMemoryBuffer(object);
        }
        LLVMDisposeModule(copy);
    }
    if (LLVMTargetMachineEmitToMemoryBuffer(tm, e->m, LLVMObjectFile, &error, &object))
        bug("no code for this program: %s", error);
    return object;
}

/* ---- the program ---- */

static void describe_ports(Arena *a, const Kernel *k, Program *p)
{
    p->nport = k->ports.n;
    p->block = k->block;
    p->loss_port = k->loss_port;
    p->loss_phase = k->loss_phase;
    p->loss_level = k->loss_level;
    p->port = NEW_ARRAY(a, Port, k->ports.n + 1);
    for (int i = 0; i < k->ports.n; i++) {
        const KernelPort *from = &k->ports.at[i];
        p->port[i] = (Port){from->role,  arena_strdup(a, from->name), from->dtype,
                            from->shape, from->is_output,             from->is_input};
    }
}

static void describe_stores(Arena *a, Emit *e, Program *p)
{
    static const StoreKind kinds[] = {[MEM_port] = STORE_port,     [MEM_worker] = STORE_worker,
                                      [MEM_block] = STORE_block,   [MEM_shard] = STORE_shard,
                                      [MEM_shared] = STORE_shared};
    const Kernel *k = e->k;
    p->nstore = k->buffers.n;
    p->store = NEW_ARRAY(a, StoreInfo, k->buffers.n + 1);
    for (int i = 0; i < k->buffers.n; i++) {
        const Buffer *b = k->buffers.at[i];
        StoreInfo *s = &p->store[i];
        s->kind = kinds[b->mem];
        s->port = b->port;
        s->first = b->first;
        s->last = b->last;
        s->unit = (int64_t)dtype_size(b->dtype) * (b->lanes ? k->rows : 1) * b->slots;
        s->ndim = b->shape.rank;
        memcpy(s->dim, b->shape.d, sizeof s->dim);
        int64_t last = buffer_last(e, b);
        if (last)
            s->dim[s->ndim - 1] = dim_int(last);
        if (b->literal)
            s->unit = 0;
    }
}

/* ---- workers: each lowers and emits the same program in a context of its own,
 * and generates code for the functions that fall to it ---- */

typedef struct {
    Arena *scratch;
    const Graph *g;
    const JitOptions *o;
    const Target *target;
    int worker, workers;
    Program *p;            /* worker 0: described here, in `keep` */
    Arena *keep;
    const char *why;
    LLVMMemoryBufferRef object;
    LIST(const char *) names; /* with `debug`: its functions */
    pthread_t thread;
} Work;

static void emit_phases(Work *w, Emit *e)
{
    const Kernel *k = e->k;
    for (int i = 0; i < k->phases.n; i++) {
        const Phase *from = k->phases.at[i];
        int most = from->rows ? 1 : from->steps.n;
        const char **names = NEW_ARRAY(w->scratch, const char *, most + 1);
        int64_t *units = NEW_ARRAY(w->scratch, int64_t, most + 1);
        int *levels = NEW_ARRAY(w->scratch, int, most + 1);
        int n = phase_emit(e, from, i, names, units, levels);
        if (!w->p)
            continue;
        ProgramPhase *to = &w->p->phase[i];
        *to = (ProgramPhase){from->rows, n, from->nlevel, NEW_ARRAY(w->keep, Task, n + 1)};
        for (int j = 0; j < n; j++)
            to->task[j] = (Task){arena_strdup(w->keep, names[j]), NULL, units[j], levels[j], 0,
                                 from->rows ? -1 : from->steps.at[j]->number};
    }
}

static void keep_names(Work *w, Emit *e)
{
    size_t length;
    for (V f = LLVMGetFirstFunction(e->m); f; f = LLVMGetNextFunction(f))
        if (LLVMCountBasicBlocks(f) > 0)
            list_push(w->scratch, &w->names,
                      arena_strdup(w->scratch, LLVMGetValueName2(f, &length)));
}

static void *work(void *arg)
{
    Work *w = arg;
    double at = stage_begin(w->o->stages);
    int block = w->o->rows ? (int)block_rows(w->o->rows) : BLOCK_ROWS;
    Kernel *k = kernel_lower(w->scratch, graph_copy(w->scratch, w->g), block);
    if (k->why) {
        w->why = k->why;
        return NULL;
    }
    if (w->p && w->o->dump && !strcmp(w->o->dump, "kernel"))
        fputs(kernel_text(w->scratch, k), stderr);
    stage_end(w->o->stages, "lower to kernels", at);
    at = stage_begin(w->o->stages);
    Emit *e = emit_new(w->scratch, k, w->o);
    e->worker = w->worker;
    e->workers = w->workers;
    LLVMTargetMachineRef tm = machine_new(w->target);
    set_target(e, tm, w->target, w->o->calls_fma);
    if (w->p) {
        w->p->nphase = k->phases.n;
        w->p->phase = NEW_ARRAY(w->keep, ProgramPhase, k->phases.n + 1);
        describe_ports(w->keep, k, w->p);
        describe_stores(w->keep, e, w->p);
    }
    if (w->o->debug && w->o->diag)
        debug_begin(e);
    emit_phases(w, e);
    if (w->p && w->o->profile) {
        w->p->nkernel = k->nkernel;
        w->p->kernel = profile_describe(w->keep, e, w->o->profile);
    }
    debug_end(e);
    if (w->o->debug)
        keep_names(w, e);
    stage_end(w->o->stages, "emit", at);
    at = stage_begin(w->o->stages);
    optimise(e, tm);
    stage_end(w->o->stages, "optimise", at);
    at = stage_begin(w->o->stages);
    w->object = generate(e, tm, w->o);
    stage_end(w->o->stages, "generate code", at);
    LLVMDisposeTargetMachine(tm);
    LLVMDisposeBuilder(e->b);
    LLVMDisposeModule(e->m);
    LLVMContextDispose(e->cx);
    return NULL;
}

/* What the worker leaves, in arena a. */
static void collect(Arena *a, const Work *w, Compiled *out)
{
    size_t size = LLVMGetBufferSize(w->object);
    char *bytes = arena_alloc(a, size);
    memcpy(bytes, LLVMGetBufferStart(w->object), size);
    LLVMDisposeMemoryBuffer(w->object);
    out->object[out->nobject++] = (Bytes){bytes, size};
    for (int j = 0; j < w->names.n; j++)
        list_push(a, &out->names, (const char *)arena_strdup(a, w->names.at[j]));
}

bool compile_graph(Arena *a, const Graph *g, const JitOptions *o, Compiled *out, const char **why)
{
    Work w[WORKERS_MOST];
    int n = system_threads() < WORKERS_MOST ? system_threads() : WORKERS_MOST, started = 1;
    pages_give_back(); /* what loading the library touched, and code generation will not */
    const Target *target = target_of(a, o);
    *out = (Compiled){.program = NEW(a, Program)};
    out->program->target = target_text(a, target);
    if (o->dump)
        n = 1;
    for (int i = 0; i < n; i++)
        w[i] = (Work){.scratch = arena_new(), .g = g, .o = o, .target = target, .worker = i,
                        .workers = n};
    w[0].p = out->program;
    w[0].keep = a;
    while (started < n && !pthread_create(&w[started].thread, NULL, work, &w[started]))
        started++;
    for (int i = 0; i < n; i++)
        if (i == 0 || i >= started)
            work(&w[i]);
    for (int i = 1; i < started; i++)
        pthread_join(w[i].thread, NULL);
    bool ok = w[0].why == NULL;
    if (!ok)
        *why = arena_strdup(a, w[0].why);
    for (int i = 0; i < n; i++) {
        if (ok)
            collect(a, &w[i], out);
        arena_free(w[i].scratch);
    }
    pages_give_back();
    return ok;
}
