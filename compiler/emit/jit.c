/* Programs in memory: an image that is mapped or, for gdb, LLVM's own JIT. */
#define _GNU_SOURCE
#include "emit/jit.h"

#include "emit/compile.h"
#include "emit/emit.h"
#include "emit/link.h"
#include "emit/object.h"

#include <dlfcn.h>
#include <errno.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/LLJITUtils.h>
#include <llvm-c/Orc.h>
#include <string.h>

Program *jit_image(Arena *a, const Graph *g, const JitOptions *o, CodeImage *image,
                   const char **why)
{
    Compiled c;
    JitOptions here = *o;
    here.calls_fma = true;
    if (!compile_graph(a, g, &here, &c, why))
        return NULL;
    image_link(a, c.object, c.nobject, c.program, image);
    return c.program;
}

/* ---- LLVM's JIT ---- */

typedef struct {
    Arena *arena;
    LLVMOrcLLJITRef jit;
} Owner;

static void release(void *p)
{
    Owner *o = p;
    LLVMConsumeError(LLVMOrcDisposeLLJIT(o->jit));
    arena_free(o->arena);
}

static void check(const char *what, LLVMErrorRef error)
{
    if (error)
        bug("%s: %s", what, LLVMGetErrorMessage(error));
}

static uint64_t look_up(LLVMOrcLLJITRef jit, const char *name)
{
    LLVMOrcExecutorAddress at = 0;
    check(name, LLVMOrcLLJITLookup(jit, &at, name));
    return at;
}

static LLVMOrcLLJITRef link_objects(const Compiled *c)
{
    LLVMOrcLLJITRef jit;
    check("no JIT", LLVMOrcCreateLLJIT(&jit, NULL));
    LLVMErrorRef error = LLVMOrcLLJITEnableDebugSupport(jit);
    if (error)
        LLVMConsumeError(error); /* code without names is still code */
    for (int i = 0; i < c->nobject; i++) {
        LLVMMemoryBufferRef copy = LLVMCreateMemoryBufferWithMemoryRangeCopy(
            c->object[i].at, c->object[i].size, "weft");
        LLVMOrcJITDylibRef to = LLVMOrcLLJITGetMainJITDylib(jit);
        check("the code does not link", LLVMOrcLLJITAddObjectFile(jit, to, copy));
    }
    return jit;
}

/* Tells perf where each kernel lies. */
static void name_code(Arena *a, LLVMOrcLLJITRef jit, const Compiled *c)
{
    LIST(CodeName) all = {0};
    for (int i = 0; i < c->names.n; i++) {
        CodeName name = {look_up(jit, c->names.at[i]), c->names.at[i]};
        list_push(a, &all, name);
    }
    debug_perf_map(all.at, all.n);
}

static Program *debug_compile(Arena *a, const Graph *g, const JitOptions *o, const char **why)
{
    Compiled c;
    JitOptions here = *o;
    here.calls_fma = true;
    if (!compile_graph(a, g, &here, &c, why))
        return NULL;
    Owner *owner = NEW(a, Owner);
    *owner = (Owner){a, link_objects(&c)};
    name_code(a, owner->jit, &c);
    for (int i = 0; i < c.program->nphase; i++)
        for (int j = 0; j < c.program->phase[i].ntask; j++) {
            Task *t = &c.program->phase[i].task[j];
            t->run = (KernelFn)(uintptr_t)look_up(owner->jit, t->name);
        }
    c.program->owner = owner;
    c.program->release = release;
    return c.program;
}

Program *jit_compile(const Graph *g, const JitOptions *o, const char **why)
{
    Arena *a = arena_new(); /* what the program needs as long as it lives */
    CodeImage image;
    Program *p = o->debug ? debug_compile(a, g, o, why) : jit_image(a, g, o, &image, why);
    if (p && !o->debug && !code_map(a, p, &image)) {
        *why = strerror(errno);
        p = NULL;
    }
    if (!p) {
        *why = arena_strdup(g->arena, *why);
        arena_free(a);
    }
    return p;
}

/* ---- the shared object ---- */

static const char *llvm_file(Arena *a)
{
    Dl_info info;
    void *function = (void *)(uintptr_t)LLVMContextCreate;
    return dladdr(function, &info) && info.dli_fname ? arena_strdup(a, info.dli_fname) : "";
}

const Emitter weft_emitter = {jit_image, jit_compile, llvm_file, target_find, target_small,
                              object_compile};
