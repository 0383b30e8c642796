/* Objects: programs, constants and entries, as modules whose code becomes one file. */
#include "emit/object.h"

#include "emit/machine.h"
#include "emit/merge.h"
#include "emit/module.h"
#include "parallel.h"

#include <string.h>

/* ---- constants ---- */

static LLVMTypeRef bytes_type(Emit *e, int64_t bytes)
{
    return LLVMArrayType2(e->i8, (uint64_t)bytes);
}

V bytes_global(Emit *e, const char *name, const void *at, int64_t bytes, unsigned align)
{
    V g = LLVMAddGlobal(e->m, bytes_type(e, bytes), name);
    LLVMSetInitializer(g, LLVMConstStringInContext2(e->cx, at, (size_t)bytes, 1));
    LLVMSetGlobalConstant(g, 1);
    LLVMSetLinkage(g, LLVMPrivateLinkage);
    LLVMSetAlignment(g, align);
    return g;
}

V bytes_once(Emit *e, const char *name, const void *at, int64_t bytes, unsigned align)
{
    V g = LLVMGetNamedGlobal(e->m, name);
    return g ? g : bytes_global(e, name, at, bytes, align);
}

/* The tensor's values as a constant, made once. */
static V tensor_constant(Emit *e, const ObjectTensor *t)
{
    const char *name = arena_printf(e->arena, "tensor.%s.%s", role_name(t->role), t->name);
    if (!t->value)
        bug("%s '%s' has no value to embed", role_name(t->role), t->name);
    return bytes_once(e, name, t->value, t->bytes, OBJECT_ALIGN);
}

static void info_emit(Emit *e, const ObjectSpec *o)
{
    V text = bytes_global(e, "info.text", o->info, (int64_t)strlen(o->info) + 1, 1);
    begin_function(e, arena_printf(e->arena, "%s_info", o->name),
                   LLVMFunctionType(e->ptr, NULL, 0, 0), true);
    LLVMBuildRet(e->b, text);
}

/* ---- parts: a module of what calls the programs, others that share the programs' functions,
 * so that code is generated on all cores. What they are depends on the object alone. ---- */

enum { PARTS = 8 };

typedef struct {
    Arena *arena;          /* what the part alone needs */
    Module m;
    bool ok;
    const char *why;
    int64_t work;          /* instructions */
    StackSizes *stack;
    Bytes bytes;
} Part;

typedef struct {
    Arena *arena;
    ObjectSpec *o;
    const Target *target;
    int n;
    Part part[PARTS];
    int order[PARTS];      /* the most work first */
} Parts;

/* Only what is called from outside keeps its name; what other parts call is hidden. */
static void hide(Parts *all, Part *p)
{
    size_t n;
    for (V f = LLVMGetFirstFunction(p->m.m); f; f = LLVMGetNextFunction(f)) {
        if (LLVMCountBasicBlocks(f) == 0)
            continue;
        if (LLVMGetVisibility(f) != LLVMHiddenVisibility) {
            if (LLVMGetLinkage(f) == LLVMExternalLinkage)
                list_push(all->arena, &all->o->symbols,
                          (const char *)arena_strdup(all->arena, LLVMGetValueName2(f, &n)));
        } else if (all->n == 1) {
            LLVMSetVisibility(f, LLVMDefaultVisibility);
            LLVMSetLinkage(f, LLVMInternalLinkage);
        }
    }
}

/* The programs' functions of a part, and with the first part what calls them: where there are
 * several it has no functions of its own, but every program's description. Of the emitter's
 * version. */
static bool entries_emit(Parts *all, Part *part, Emit *e)
{
    ObjectSpec *o = all->o;
    Arena *a = part->arena;
    const char *version = e->version ? arena_printf(a, "%s.", e->version->name) : "";
    for (int i = 0; i < o->nentry; i++) {
        ObjectEntry *en = &o->entry[i];
        Program *p[VARIANTS_MOST];
        for (int v = 0; v < en->nvariant; v++) {
            JitOptions options = o->options;
            options.rows = variant_rows(&en->variant[v]);
            options.single = options.rows == 1;
            options.profile = NULL;
            options.target = e->target;
            const char *prefix = arena_printf(a, "%s%s.%d.", version, en->name, v);
            p[v] = module_add(a, &part->m, en->variant[v].graph, &options, prefix, &part->why);
            if (!p[v])
                return false;
        }
        if (part == all->part && !entry_emit(a, e, o, en, p, tensor_constant)) {
            part->why = "there is no memory for it";
            return false;
        }
    }
    return true;
}

static int64_t instructions(LLVMModuleRef m)
{
    int64_t n = 0;
    for (V f = LLVMGetFirstFunction(m); f; f = LLVMGetNextFunction(f))
        for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
            for (V i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
                n++;
    return n;
}

/* For the target, or in versions; their self tests come when all workspaces are known. */
static bool code_emit(Parts *all, Part *p)
{
    ObjectSpec *o = all->o;
    int n = o->versions ? NVERSION : 1;
    Version version[NVERSION];
    Emit *e[NVERSION];
    if (o->versions)
        target_versions(p->arena, all->target, version);
    p->m.versions = o->versions;
    for (int v = 0; v < n; v++) {
        p->m.version = o->versions ? &version[v] : NULL;
        p->m.target = o->versions ? version[v].target : all->target;
        e[v] = module_emit(p->arena, &p->m);
        if (!entries_emit(all, p, e[v]))
            return false;
    }
    for (int v = 0; p == all->part && o->test && v < n; v++)
        self_test_emit(e[v], o);
    p->m.version = NULL;
    p->m.target = all->target;
    return true;
}

static void part_emit(void *context, int i)
{
    Parts *all = context;
    Part *p = &all->part[i];
    ObjectSpec *o = all->o;
    p->arena = arena_new();
    module_begin(&p->m, all->target);
    if (all->n > 1) {
        p->m.part = i - 1;
        p->m.parts = all->n - 1;
    }
    p->ok = code_emit(all, p);
    if (p->ok && i == 0) {
        Emit *e = module_emit(p->arena, &p->m);
        if (o->info)
            info_emit(e, o);
        access_emit(e, o);
        if (o->versions)
            select_emit(e, o);
    }
    if (p->ok) {
        soft_doubles(p->arena, &p->m);
        hide(all, p);
    }
    p->work = instructions(p->m.m);
}

static void part_generate(void *context, int i)
{
    Parts *all = context;
    Part *p = &all->part[all->order[i]];
    p->stack = watch_stack(p->arena, &p->m);
    module_finish(p->arena, &p->m, all->o->form, &p->bytes);
    module_end(&p->m);
}

static void sort_by_work(Parts *all)
{
    for (int i = 0; i < all->n; i++) {
        int at = i;
        for (; at > 0 && all->part[all->order[at - 1]].work < all->part[i].work; at--)
            all->order[at] = all->order[at - 1];
        all->order[at] = i;
    }
}

/* ---- the whole ---- */

static void join(Parts *all)
{
    ObjectSpec *o = all->o;
    Bytes bytes[PARTS];
    for (int i = 0; i < all->n; i++) {
        bytes[i] = all->part[i].bytes;
        stack_join(all->part[0].stack, all->part[i].stack);
    }
    o->bytes = objects_merge(all->arena, bytes, all->n);
    o->stack = stack_most(all->part[0].stack);
    if (o->form == FORM_object)
        measure_object(all->arena, o);
}

bool object_compile(Arena *a, ObjectSpec *o, const char **why)
{
    Parts all = {.arena = a, .o = o, .target = o->options.target};
    if (!all.target)
        all.target = target_find(a, NULL, NULL, NULL, NULL);
    o->target = o->versions ? arena_printf(a, "%s (sse2, avx2, avx512)", all.target->name)
                            : target_text(a, all.target);
    /* Each part would have functions for doubles of its own; calls between parts take more code. */
    bool parts = all.target->format == OBJECT_elf && !target_softens(all.target) &&
                 !all.target->small;
    all.n = o->form == FORM_object && parts ? PARTS : 1;
    machine_prepare(all.target);
    parallel_each(all.n, part_emit, &all);
    bool ok = true;
    for (int i = 0; i < all.n; i++)
        if (ok && !all.part[i].ok) {
            ok = false;
            *why = arena_strdup(a, all.part[i].why);
        }
    if (ok) {
        sort_by_work(&all);
        parallel_each(all.n, part_generate, &all);
        join(&all);
    }
    for (int i = 0; i < all.n; i++) {
        if (!ok)
            module_end(&all.part[i].m);
        arena_free(all.part[i].arena);
    }
    return ok;
}
