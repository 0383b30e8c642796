/* Objects: programs, constants and entries in one module. */
#include "emit/object.h"

#include "emit/module.h"

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

/* The tensor's values as a constant, made once. */
static V tensor_constant(Emit *e, const ObjectTensor *t)
{
    const char *name = arena_printf(e->arena, "tensor.%s.%s", role_name(t->role), t->name);
    V g = LLVMGetNamedGlobal(e->m, name);
    if (!t->value)
        bug("%s '%s' has no value to embed", role_name(t->role), t->name);
    return g ? g : bytes_global(e, name, t->value, t->bytes, OBJECT_ALIGN);
}

static void info_emit(Emit *e, const ObjectSpec *o)
{
    V text = bytes_global(e, "info.text", o->info, (int64_t)strlen(o->info) + 1, 1);
    begin_function(e, arena_printf(e->arena, "%s_info", o->name),
                   LLVMFunctionType(e->ptr, NULL, 0, 0), true);
    LLVMBuildRet(e->b, text);
}

/* ---- the whole ---- */

/* Only what is called from outside keeps its name. */
static void hide(Arena *a, Module *m, ObjectSpec *o)
{
    size_t n;
    for (V f = LLVMGetFirstFunction(m->m); f; f = LLVMGetNextFunction(f)) {
        if (LLVMCountBasicBlocks(f) == 0)
            continue;
        if (LLVMGetVisibility(f) == LLVMHiddenVisibility) {
            LLVMSetVisibility(f, LLVMDefaultVisibility);
            LLVMSetLinkage(f, LLVMInternalLinkage);
        } else if (LLVMGetLinkage(f) == LLVMExternalLinkage) {
            list_push(a, &o->symbols, (const char *)arena_strdup(a, LLVMGetValueName2(f, &n)));
        }
    }
}

static bool entries_emit(Arena *a, Module *m, Emit *e, ObjectSpec *o, const char **why)
{
    for (int i = 0; i < o->nentry; i++) {
        ObjectEntry *en = &o->entry[i];
        Program *p[VARIANTS_MOST];
        for (int v = 0; v < en->nvariant; v++) {
            JitOptions options = o->options;
            options.rows = en->variant[v].most;
            options.single = options.rows == 1;
            options.profile = NULL;
            const char *prefix = arena_printf(a, "%s.%d.", en->name, v);
            p[v] = module_add(a, m, en->variant[v].graph, &options, prefix, why);
            if (!p[v])
                return false;
        }
        if (!entry_emit(a, e, o, en, p, tensor_constant)) {
            *why = "there is no memory for it";
            return false;
        }
    }
    return true;
}

bool object_compile(Arena *a, ObjectSpec *o, const char **why)
{
    Module m;
    const Target *target = o->options.target;
    if (!target)
        target = target_find(a, NULL, NULL, NULL, NULL);
    o->target = target_text(a, target);
    module_begin(&m, target);
    Emit *e = module_emit(a, &m);
    bool ok = entries_emit(a, &m, e, o, why);
    if (ok) {
        if (o->info)
            info_emit(e, o);
        access_emit(e, o);
        if (o->test)
            self_test_emit(e, o);
        hide(a, &m, o);
        StackSizes *stack = watch_stack(a, &m);
        module_finish(a, &m, o->form, &o->bytes);
        o->stack = stack_most(stack);
        if (o->form == FORM_object)
            measure_object(a, o);
    }
    module_end(&m);
    return ok;
}
