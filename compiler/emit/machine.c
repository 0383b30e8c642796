/* Code generators: made for a target, and asked what they know. */
#define _GNU_SOURCE
#include "emit/machine.h"

#include "base/diag.h"

#include <ctype.h>
#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- families of processors ---- */

/* How assembly shows what a processor has: the widest mark that is there counts. */
typedef struct {
    const char *prefix;                               /* of the triple */
    struct { const char *mark; int bytes; } vector[3];
    const char *many;                                 /* a register beyond `few` */
    int few, lots, scalars;                           /* vectors; registers of one element */
    struct { const char *mark; Dot dot; } dot[2];     /* the first that is there */
    ControlWord control;
    void (*initialise)(void);
} Family;

#define INITIALISE(Name)                \
    static void initialise_##Name(void) \
    {                                   \
        LLVMInitialize##Name##TargetInfo(); \
        LLVMInitialize##Name##Target();     \
        LLVMInitialize##Name##TargetMC();   \
        LLVMInitialize##Name##AsmParser();  \
        LLVMInitialize##Name##AsmPrinter(); \
    }
INITIALISE(X86)
INITIALISE(AArch64)
INITIALISE(ARM)
INITIALISE(RISCV)
INITIALISE(WebAssembly)

static const Family families[] = {
    {"x86_64", {{"zmm", 64}, {"vfmadd", 32}, {"xmm", 16}}, "mm17", 16, 32, 16,
     {{"vpdpbusd", DOT_mixed}, {"pmaddwd", DOT_pairs}}, CONTROL_mxcsr, initialise_X86},
    {"aarch64", {{".4s", 16}}, "", 32, 32, 32, {{"sdot", DOT_signed}}, CONTROL_fpcr,
     initialise_AArch64},
    {"arm64", {{".4s", 16}}, "", 32, 32, 32, {{"sdot", DOT_signed}}, CONTROL_fpcr,
     initialise_AArch64},
    {"arm", {{"vmul.f32\tq", 16}}, "", 16, 16, 32, {{NULL, DOT_none}}, CONTROL_fpscr,
     initialise_ARM},
    {"thumb", {{"vmul.f32\tq", 16}}, "", 8, 8, 32, {{"smlabb", DOT_halfwords}}, CONTROL_fpscr,
     initialise_ARM},
    {"riscv", {{"vfmul.v", 16}}, "", 32, 32, 32, {{NULL, DOT_none}}, CONTROL_none,
     initialise_RISCV},
    {"wasm", {{"f32x4.mul", 16}}, "", 16, 16, 16, {{"f32x4.mul", DOT_pairs}}, CONTROL_none,
     initialise_WebAssembly},
};

static const Family *family_of(const char *triple)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (!strncmp(triple, families[i].prefix, strlen(families[i].prefix)))
            return &families[i];
    bug("no code generator for %s", triple);
}

void machine_prepare(const Target *t)
{
    family_of(t->triple)->initialise();
}

LLVMTargetMachineRef machine_new(const Target *t)
{
    char *error = NULL, *triple = LLVMNormalizeTargetTriple(t->triple);
    LLVMTargetRef target;
    machine_prepare(t);
    if (LLVMGetTargetFromTriple(triple, &target, &error))
        bug("no code generator for %s: %s", triple, error);
    LLVMTargetMachineOptionsRef o = LLVMCreateTargetMachineOptions();
    LLVMTargetMachineOptionsSetCPU(o, t->cpu);
    LLVMTargetMachineOptionsSetFeatures(o, t->features);
    if (*t->abi)
        LLVMTargetMachineOptionsSetABI(o, t->abi);
    LLVMTargetMachineOptionsSetCodeGenOptLevel(o, LLVMCodeGenLevelLess);
    LLVMTargetMachineOptionsSetRelocMode(o, t->fixed ? LLVMRelocStatic : LLVMRelocPIC);
    LLVMTargetMachineRef tm = LLVMCreateTargetMachineWithOptions(target, triple, o);
    LLVMDisposeTargetMachineOptions(o);
    LLVMDisposeMessage(triple);
    return tm;
}

/* ---- what a processor has ---- */

typedef LLVMValueRef V;

static V fma_call(LLVMModuleRef m, LLVMBuilderRef b, LLVMTypeRef t, V x)
{
    unsigned id = LLVMLookupIntrinsicID("llvm.fma", 8);
    V fn = LLVMGetIntrinsicDeclaration(m, id, &t, 1), in[] = {x, x, x};
    LLVMTypeRef type = LLVMIntrinsicGetType(LLVMGetModuleContext(m), id, &t, 1);
    return LLVMBuildCall2(b, type, fn, in, 3, "");
}

static V sum_of_products(LLVMModuleRef m, LLVMBuilderRef b, V p, unsigned lanes, bool is_unsigned)
{
    LLVMContextRef cx = LLVMGetModuleContext(m);
    LLVMTypeRef bytes = LLVMVectorType(LLVMInt8TypeInContext(cx), lanes);
    LLVMTypeRef wide = LLVMVectorType(LLVMInt32TypeInContext(cx), lanes);
    V x = LLVMBuildLoad2(b, bytes, p, ""), y = LLVMBuildLoad2(b, bytes, p, "");
    LLVMSetVolatile(x, 1);
    LLVMSetVolatile(y, 1);
    x = is_unsigned ? LLVMBuildZExt(b, x, wide, "") : LLVMBuildSExt(b, x, wide, "");
    y = LLVMBuildMul(b, x, LLVMBuildSExt(b, y, wide, ""), "");
    unsigned id = LLVMLookupIntrinsicID("llvm.vector.reduce.add", 22);
    V fn = LLVMGetIntrinsicDeclaration(m, id, &wide, 1);
    return LLVMBuildCall2(b, LLVMIntrinsicGetType(cx, id, &wide, 1), fn, &y, 1, "");
}

/* Sums of products of bytes and of halves of words, as vpdpbusd, sdot and smlad are found. */
static void sample_dot(LLVMModuleRef m, LLVMBuilderRef b, V p)
{
    LLVMContextRef cx = LLVMGetModuleContext(m);
    LLVMTypeRef half = LLVMInt16TypeInContext(cx), word = LLVMInt32TypeInContext(cx);
    V sum = LLVMBuildAdd(b, sum_of_products(m, b, p, 64, true), sum_of_products(m, b, p, 16, false),
                         ""), x[2];
    for (int i = 0; i < 2; i++) {
        x[i] = LLVMBuildLoad2(b, half, p, "");
        LLVMSetVolatile(x[i], 1);
        x[i] = LLVMBuildSExt(b, x[i], word, "");
    }
    LLVMBuildStore(b, LLVMBuildAdd(b, sum, LLVMBuildMul(b, x[0], x[1], ""), ""), p);
}

/* Assembly that multiplies and adds vectors of a type, more than 16 registers hold, and
 * divides integers; LLVM's memory. */
static LLVMMemoryBufferRef sample_code(const Target *t, bool is_double)
{
    enum { VECTORS = 18, LANES = 16 };
    LLVMContextRef cx = LLVMContextCreate();
    LLVMModuleRef m = LLVMModuleCreateWithNameInContext("sample", cx);
    LLVMBuilderRef b = LLVMCreateBuilderInContext(cx);
    LLVMTypeRef real = is_double ? LLVMDoubleTypeInContext(cx) : LLVMFloatTypeInContext(cx);
    LLVMTypeRef type = LLVMVectorType(real, LANES), ptr = LLVMPointerTypeInContext(cx, 0);
    V fn = LLVMAddFunction(m, "f", LLVMFunctionType(LLVMVoidTypeInContext(cx), &ptr, 1, 0));
    V p = LLVMGetParam(fn, 0), v[VECTORS];
    LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(cx, fn, ""));
    for (int i = 0; i < VECTORS; i++) {
        v[i] = LLVMBuildLoad2(b, type, p, "");
        LLVMSetVolatile(v[i], 1);
    }
    v[0] = fma_call(m, b, type, v[0]);
    v[1] = LLVMBuildFMul(b, v[1], v[1], "");
    V part[2];
    for (int i = 0; i < 2; i++) {
        part[i] = LLVMBuildLoad2(b, LLVMInt32TypeInContext(cx), p, "");
        LLVMSetVolatile(part[i], 1);
    }
    LLVMBuildStore(b, LLVMBuildUDiv(b, part[0], part[1], ""), p);
    sample_dot(m, b, p);
    for (int i = 0; i < VECTORS; i++)
        LLVMSetVolatile(LLVMBuildStore(b, v[i], p), 1);
    LLVMBuildRetVoid(b);
    LLVMTargetMachineRef tm = machine_new(t);
    LLVMSetTarget(m, t->triple);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(tm);
    LLVMSetModuleDataLayout(m, layout);
    LLVMMemoryBufferRef out;
    char *error = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(tm, m, LLVMAssemblyFile, &error, &out))
        bug("no code for this processor: %s", error);
    LLVMDisposeTargetData(layout);
    LLVMDisposeTargetMachine(tm);
    LLVMDisposeBuilder(b);
    LLVMDisposeModule(m);
    LLVMContextDispose(cx);
    return out;
}

/* Does the text hold one of the words, not as a part of a longer one? */
static bool has_word(const char *text, const char *const *words)
{
    for (; *words; words++)
        for (const char *p = text; (p = strstr(p, *words)); p++) {
            char before = p == text ? ' ' : p[-1], after = p[strlen(*words)];
            if (!isalnum((unsigned char)before) && !strchr("_.", before) &&
                !isalnum((unsigned char)after) && (!after || !strchr("_.", after)))
                return true;
        }
    return false;
}

void machine_probe(Target *t)
{
    static const char *const fma[2][3] = {{"fmaf", "_fmaf"}, {"fma", "_fma"}};
    static const char *const soft[2][3] = {{"__aeabi_fmul", "__mulsf3"},
                                           {"__aeabi_dmul", "__muldf3"}};
    static const char *const divide[] = {"__aeabi_uidiv", "__udivsi3", NULL};
    const Family *f = family_of(t->triple);
    t->fma = t->floats = 0;
    for (int i = 0; i < 2; i++) {
        LLVMMemoryBufferRef code = sample_code(t, i);
        const char *text = LLVMGetBufferStart(code);
        unsigned real = i ? REAL_f64 : REAL_f32;
        t->floats |= has_word(text, soft[i]) ? 0 : real;
        t->fma |= has_word(text, fma[i]) ? 0 : real;
        if (i == 0) {
            t->divides = !has_word(text, divide);
            t->dot = DOT_none;
            for (int k = 1; k >= 0; k--)
                if (f->dot[k].mark && strstr(text, f->dot[k].mark))
                    t->dot = f->dot[k].dot;
            t->vector = 0;
            for (int k = 2; k >= 0; k--)
                if (f->vector[k].mark && strstr(text, f->vector[k].mark))
                    t->vector = f->vector[k].bytes;
            t->registers = !t->floats         ? 8
                           : t->vector == 0   ? f->scalars
                           : !*f->many        ? f->few
                           : strstr(text, f->many) ? f->lots
                                              : f->few;
        }
        LLVMDisposeMemoryBuffer(code);
    }
    t->control = t->floats ? f->control : CONTROL_none;
}

void machine_host(Arena *a, Target *t)
{
    char *triple = LLVMGetDefaultTargetTriple();
    char *cpu = LLVMGetHostCPUName(), *features = LLVMGetHostCPUFeatures();
    *t = (Target){.name = "host", .aliases = "native", .triple = arena_strdup(a, triple),
                  .cpu = arena_strdup(a, cpu), .features = arena_strdup(a, features), .abi = "",
                  .floats = REAL_both, .divides = true, .run = ""};
    LLVMDisposeMessage(triple);
    LLVMDisposeMessage(cpu);
    LLVMDisposeMessage(features);
    if (strncmp(t->triple, "x86_64", 6) != 0) {
        machine_probe(t);
        return;
    }
    bool wide = strstr(t->features, "+avx512vl"), fma = strstr(t->features, "+fma");
    t->vector = wide ? 64 : fma ? 32 : 16;
    t->registers = wide ? 32 : 16;
    t->fma = fma ? REAL_both : 0;
    bool mixed = (wide && strstr(t->features, "+avx512vnni")) || strstr(t->features, "+avxvnni");
    t->dot = mixed ? DOT_mixed : DOT_pairs;
    t->control = CONTROL_mxcsr;
}

/* ---- what LLVM knows ---- */

/* What LLVM writes to stderr when a machine is made for the target: it complains of
 * what it does not know there, and lists what it knows when asked for "help"; its C
 * interface has neither. "" where that cannot be heard. */
static const char *heard(Arena *a, const Target *t)
{
    fflush(stderr);
    int file = memfd_create("weft", MFD_CLOEXEC), saved = dup(STDERR_FILENO);
    if (file < 0 || saved < 0 || dup2(file, STDERR_FILENO) < 0)
        bug("the code generator cannot be heard");
    LLVMDisposeTargetMachine(machine_new(t));
    dup2(saved, STDERR_FILENO);
    close(saved);
    off_t size = lseek(file, 0, SEEK_END);
    char *text = arena_alloc(a, (size_t)size + 1);
    ssize_t got = pread(file, text, (size_t)size, 0);
    text[got > 0 ? got : 0] = 0;
    close(file);
    return text;
}

bool machine_knows(Arena *a, const Target *t, const char **unknown, bool *is_cpu)
{
    if (!strcmp(t->cpu, "help") || strstr(t->features, "+help")) { /* words that LLVM obeys */
        *is_cpu = !strcmp(t->cpu, "help");
        *unknown = "help";
        return false;
    }
    const char *text = heard(a, t), *at = strstr(text, "' is not a recognized ");
    if (!at)
        return true;
    const char *begin = at;
    while (begin > text && begin[-1] != '\'' && begin[-1] != '\n')
        begin--;
    begin += *begin == '+' || *begin == '-';
    *unknown = arena_strndup(a, begin, (size_t)(at - begin));
    *is_cpu = strncmp(at, "' is not a recognized processor", 31) == 0;
    return false;
}

Names machine_processors(Arena *a, const Target *t)
{
    Names all = {0};
    Target help = *t;
    help.cpu = "help";
    help.features = "";
    const char *p = strstr(heard(a, &help), "Available CPUs");
    while (p && (p = strchr(p, '\n')) && strncmp(p, "\n\nAvailable features", 20) != 0) {
        p += strspn(p, "\n ");
        size_t n = strcspn(p, " \n");
        if (n && strncmp(p, "Available", 9) != 0)
            list_push(a, &all, (const char *)arena_strndup(a, p, n));
        else
            break;
    }
    return all;
}
