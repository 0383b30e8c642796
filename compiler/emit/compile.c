/* From a graph to objects: lower, emit, optimise, generate code. */
#include "emit/compile.h"

#include "emit/machine.h"
#include "emit/module.h"
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

/* ---- emission ---- */

Emit *module_emit(Arena *a, const Module *m)
{
    Emit *e = NEW(a, Emit);
    e->arena = a;
    e->prefix = "";
    e->workers = 1;
    e->target = m->target;
    e->version = m->version;
    e->registers = m->target->registers;
    e->cx = m->cx;
    e->m = m->m;
    e->b = m->b;
    e->index = m->index;
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

static void optimise(const Module *m)
{
    char *error = NULL;
    if (LLVMVerifyModule(m->m, LLVMReturnStatusAction, &error)) {
        LLVMDumpModule(m->m);
        bug("the code made is not sound: %s", error);
    }
    LLVMDisposeMessage(error);
    /* The IR is vectorised by hand: the heavier passes find nothing in it. */
    const char *passes = "function(early-cse,instcombine<no-verify-fixpoint>,simplifycfg,"
                         "loop-mssa(licm),gvn)";
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef failed = m->versions ? LLVMRunPasses(m->m, "constmerge", m->tm, options) : NULL;
    if (!failed)
        failed = LLVMRunPasses(m->m, passes, m->tm, options);
    if (failed)
        llvm_bug("the passes do not run", failed);
    LLVMDisposePassBuilderOptions(options);
}

static LLVMMemoryBufferRef generate(const Module *m, const JitOptions *o)
{
    LLVMMemoryBufferRef object;
    char *error = NULL;
    if (o->dump && !strcmp(o->dump, "llvm")) {
        char *text = LLVMPrintModuleToString(m->m);
        fputs(text, stderr);
        LLVMDisposeMessage(text);
    }
    if (o->dump && !strcmp(o->dump, "asm")) {
        LLVMModuleRef copy = LLVMCloneModule(m->m);
        if (!LLVMTargetMachineEmitToMemoryBuffer(m->tm, copy, LLVMAssemblyFile, &error, &object)) {
            fwrite(LLVMGetBufferStart(object), 1, LLVMGetBufferSize(object), stderr);
            LLVMDisposeMemoryBuffer(object);
        }
        LLVMDisposeModule(copy);
    }
    if (LLVMTargetMachineEmitToMemoryBuffer(m->tm, m->m, LLVMObjectFile, &error, &object))
        bug("no code for this program: %s", error);
    return object;
}

static Bytes take_buffer(Arena *a, LLVMMemoryBufferRef from)
{
    size_t size = LLVMGetBufferSize(from);
    char *bytes = arena_alloc(a, size);
    memcpy(bytes, LLVMGetBufferStart(from), size);
    LLVMDisposeMemoryBuffer(from);
    return (Bytes){bytes, size};
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

static void describe(Arena *keep, Emit *e, Program *p)
{
    p->nphase = e->k->phases.n;
    p->phase = NEW_ARRAY(keep, ProgramPhase, e->k->phases.n + 1);
    describe_ports(keep, e->k, p);
    p->nstore = e->k->buffers.n;
    p->store = kernel_stores(keep, e->k, e->width);
}

/* Emits the functions of all phases; names them in p, in arena `keep`, when p is not null. */
static void emit_phases(Arena *scratch, Emit *e, Arena *keep, Program *p)
{
    const Kernel *k = e->k;
    for (int i = 0; i < k->phases.n; i++) {
        const Phase *from = k->phases.at[i];
        int most = from->rows ? 1 : from->steps.n;
        const char **names = NEW_ARRAY(scratch, const char *, most + 1);
        int64_t *units = NEW_ARRAY(scratch, int64_t, most + 1);
        int *levels = NEW_ARRAY(scratch, int, most + 1);
        int n = phase_emit(e, from, i, names, units, levels);
        if (!p)
            continue;
        ProgramPhase *to = &p->phase[i];
        *to = (ProgramPhase){from->rows, n, from->nlevel, NEW_ARRAY(keep, Task, n + 1)};
        for (int j = 0; j < n; j++)
            to->task[j] = (Task){arena_strdup(keep, names[j]), NULL, units[j], levels[j], 0,
                                 from->rows ? -1 : from->steps.at[j]->number};
    }
}

/* ---- several programs in a module ---- */

void module_begin(Module *m, const Target *target)
{
    *m = (Module){.target = target, .parts = 1};
    m->cx = LLVMContextCreate();
    m->m = LLVMModuleCreateWithNameInContext("weft", m->cx);
    m->b = LLVMCreateBuilderInContext(m->cx);
    m->tm = machine_new(target);
    char *triple = LLVMGetTargetMachineTriple(m->tm);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(m->tm);
    LLVMSetTarget(m->m, triple);
    LLVMSetModuleDataLayout(m->m, layout);
    m->index = LLVMIntPtrTypeInContext(m->cx, layout);
    LLVMDisposeTargetData(layout);
    LLVMDisposeMessage(triple);
}

void module_end(Module *m)
{
    LLVMDisposeTargetMachine(m->tm);
    LLVMDisposeBuilder(m->b);
    LLVMDisposeModule(m->m);
    LLVMContextDispose(m->cx);
}

static Emit *emit_program(Arena *a, const Module *m, const Kernel *k, const JitOptions *o)
{
    Emit *e = module_emit(a, m);
    const Target *t = m->target;
    e->k = k;
    e->diag = o->diag;
    e->stamped = o->profile != NULL;
    e->fma = o->calls_fma ? REAL_both : t->fma | (target_softens(t) ? REAL_f64 : 0);
    e->width = t->vector ? t->vector / (int)dtype_size(k->real) : 1;
    e->parts = k->block / e->width;
    return e;
}

/* Where a value is one element, rows in the lanes would be a block's rows written out. */
static Kernel *lower(Arena *a, const Graph *g, const JitOptions *o)
{
    int block = o->rows ? (int)block_room(o->rows) : BLOCK_ROWS;
    Graph *copy = graph_copy(a, g);
    if (o->target && !o->target->vector && !copy->columns)
        copy->columns = block;
    if (o->single && copy->columns)
        copy->columns = block = 1;
    return kernel_lower(a, copy, block);
}

Program *module_add(Arena *keep, Module *m, const Graph *g, const JitOptions *o,
                    const char *prefix, const char **why)
{
    Kernel *k = lower(keep, g, o);
    if (k->why) {
        *why = k->why;
        return NULL;
    }
    Program *p = NEW(keep, Program);
    Emit *e = emit_program(keep, m, k, o);
    e->prefix = prefix;
    e->worker = m->part;
    e->workers = m->parts;
    memcpy(e->turn, m->turn, sizeof e->turn);
    describe(keep, e, p);
    emit_phases(keep, e, keep, p);
    memcpy(m->turn, e->turn, sizeof m->turn);
    return p;
}

void module_finish(Arena *a, Module *m, ObjectForm form, Bytes *bytes)
{
    LLVMMemoryBufferRef object;
    char *error = NULL;
    optimise(m);
    if (form == FORM_llvm) {
        char *text = LLVMPrintModuleToString(m->m);
        *bytes = (Bytes){arena_strdup(a, text), strlen(text)};
        LLVMDisposeMessage(text);
        return;
    }
    if (LLVMTargetMachineEmitToMemoryBuffer(m->tm, m->m, form == FORM_asm ? LLVMAssemblyFile
                                                                          : LLVMObjectFile,
                                            &error, &object))
        bug("no code for this program: %s", error);
    *bytes = take_buffer(a, object);
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
    Kernel *k = lower(w->scratch, w->g, w->o);
    if (k->why) {
        w->why = k->why;
        return NULL;
    }
    if (w->p && w->o->dump && !strcmp(w->o->dump, "kernel"))
        fputs(kernel_text(w->scratch, k), stderr);
    stage_end(w->o->stages, "lower to kernels", at);
    at = stage_begin(w->o->stages);
    Module m;
    module_begin(&m, w->target);
    Emit *e = emit_program(w->scratch, &m, k, w->o);
    e->worker = w->worker;
    e->workers = w->workers;
    if (w->p)
        describe(w->keep, e, w->p);
    if (w->o->debug && w->o->diag)
        debug_begin(e);
    emit_phases(w->scratch, e, w->keep, w->p);
    if (w->p && w->o->profile) {
        w->p->nkernel = k->nkernel;
        w->p->kernel = kernel_describe(w->keep, k, w->o->diag, w->o->profile);
    }
    debug_end(e);
    if (w->o->debug)
        keep_names(w, e);
    stage_end(w->o->stages, "emit", at);
    at = stage_begin(w->o->stages);
    optimise(&m);
    stage_end(w->o->stages, "optimise", at);
    at = stage_begin(w->o->stages);
    w->object = generate(&m, w->o);
    stage_end(w->o->stages, "generate code", at);
    module_end(&m);
    return NULL;
}

/* What the worker leaves, in arena a. */
static void collect(Arena *a, const Work *w, Compiled *out)
{
    out->object[out->nobject++] = take_buffer(a, w->object);
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
    machine_prepare(target);
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
