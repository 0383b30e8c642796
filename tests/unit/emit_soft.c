/* Doubles without instructions (emit/soft.c) against the processor's: the same operations are
 * compiled twice, once for this machine and once for one like it whose doubles are soft, and
 * give the same bits. */
#include "emit/module.h"
#include "ir/flush.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 1000000, OUTS = 32 };

static Arena *arena;

/* ---- the operations: void f(const uint64_t in[3], uint64_t out[OUTS]) ---- */

typedef struct { Emit *e; V out; int n; bool is_double[OUTS], is_float[OUTS]; } Maker;

static V word_at(Emit *e, V base, int i)
{
    V at = LLVMConstInt(e->i32, (unsigned)i, 0);
    return LLVMBuildGEP2(e->b, e->i64, base, &at, 1, "");
}

static void put(Maker *k, V v)
{
    Emit *e = k->e;
    LLVMTypeRef t = LLVMTypeOf(v);
    k->is_double[k->n] = t == e->f64;
    k->is_float[k->n] = t == e->f32;
    if (t == e->f64 || t == e->f32)
        v = LLVMBuildBitCast(e->b, v, t == e->f64 ? e->i64 : e->i32, "");
    if (LLVMTypeOf(v) != e->i64)
        v = LLVMBuildZExt(e->b, v, e->i64, "");
    LLVMBuildStore(e->b, v, word_at(e, k->out, k->n++));
}

static V intrinsic(Emit *e, const char *name, LLVMTypeRef to, V x)
{
    LLVMTypeRef t[] = {to, e->f64};
    return call_intrinsic(e, name, to ? t : t + 1, to ? 2 : 1, &x, 1);
}

static void put_conversions(Maker *k, V x, V bits)
{
    static const char *const to[] = {"llvm.fptosi.sat", "llvm.fptoui.sat"};
    Emit *e = k->e;
    V low = LLVMBuildTrunc(e->b, bits, e->i32, "");
    put(k, LLVMBuildFPExt(e->b, LLVMBuildBitCast(e->b, low, e->f32, ""), e->f64, ""));
    put(k, LLVMBuildFPTrunc(e->b, x, e->f32, ""));
    put(k, LLVMBuildSIToFP(e->b, bits, e->f64, ""));
    put(k, LLVMBuildSIToFP(e->b, low, e->f64, ""));
    put(k, LLVMBuildUIToFP(e->b, low, e->f64, ""));
    for (int i = 0; i < 2; i++) {
        put(k, intrinsic(e, to[i], e->i8, x));
        put(k, intrinsic(e, to[i], e->i32, x));
    }
    put(k, intrinsic(e, to[0], e->i64, x));
}

static void make(Maker *k)
{
    Emit *e = k->e;
    LLVMTypeRef in[] = {e->ptr, e->ptr};
    V fn = begin_function(e, "operations", LLVMFunctionType(e->none, in, 2, 0), true);
    V bits[3], x[3];
    k->out = LLVMGetParam(fn, 1);
    for (int i = 0; i < 3; i++) {
        bits[i] = LLVMBuildLoad2(e->b, e->i64, word_at(e, LLVMGetParam(fn, 0), i), "");
        x[i] = LLVMBuildBitCast(e->b, bits[i], e->f64, "");
    }
    put(k, LLVMBuildFAdd(e->b, x[0], x[1], ""));
    put(k, LLVMBuildFSub(e->b, x[0], x[1], ""));
    put(k, LLVMBuildFMul(e->b, x[0], x[1], ""));
    put(k, LLVMBuildFDiv(e->b, x[0], x[1], ""));
    put(k, call_intrinsic(e, "llvm.fma", &e->f64, 1, x, 3));
    put(k, intrinsic(e, "llvm.sqrt", NULL, x[0]));
    for (int p = LLVMRealOEQ; p <= LLVMRealUNE; p++)
        put(k, LLVMBuildFCmp(e->b, (LLVMRealPredicate)p, x[0], x[1], ""));
    put_conversions(k, x[0], bits[0]);
    LLVMBuildRetVoid(e->b);
    if (k->n > OUTS)
        bug("%d results", k->n);
}

typedef void (*Operations)(const uint64_t *in, uint64_t *out);

/* The object's function, by the linker and the loader of this machine. */
static Operations load(const Bytes *object)
{
    char dir[] = "/tmp/weft-soft-XXXXXX";
    if (!mkdtemp(dir))
        bug("no folder in /tmp");
    const char *path = arena_printf(arena, "%s/soft", dir);
    FILE *f = fopen(arena_printf(arena, "%s.o", path), "wb");
    if (!f || fwrite(object->at, 1, object->size, f) != object->size || fclose(f) ||
        system(arena_printf(arena, "cc -shared -o %s.so %s.o", path, path)))
        bug("%s.o is not linked", path);
    void *library = dlopen(arena_printf(arena, "%s.so", path), RTLD_NOW);
    unlink(arena_printf(arena, "%s.o", path));
    unlink(arena_printf(arena, "%s.so", path));
    rmdir(dir);
    void *at = library ? dlsym(library, "operations") : NULL;
    if (!at)
        bug("%s", dlerror());
    return (Operations)(uintptr_t)at;
}

static Operations compile(const Target *t, Maker *k)
{
    Module m;
    Bytes object;
    module_begin(&m, t);
    *k = (Maker){.e = module_emit(arena, &m)};
    make(k);
    soft_doubles(arena, &m);
    int functions = 0;
    for (V f = LLVMGetFirstFunction(m.m); f; f = LLVMGetNextFunction(f))
        functions += LLVMCountBasicBlocks(f) > 0;
    if ((functions > 1) != target_softens(t))
        bug("%d functions", functions);
    module_finish(arena, &m, FORM_object, &object);
    module_end(&m);
    return load(&object);
}

/* ---- operands ---- */

static uint64_t state = 1;

static uint64_t next(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 32 | state << 32;
}

/* Any bits; short mantissas, for ties; exponents near each other; integers; special numbers. */
static uint64_t operand(int round)
{
    static const uint64_t special[] = {
        0, 1ull << 63, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000,
        0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001, 0x0010000000000000,
        0x000fffffffffffff, 0x8000000000000001, 0x7fefffffffffffff, 0xffefffffffffffff,
        0x41dfffffffc00000, 0xc1e0000000000000, 0x43e0000000000000, 0xc3e0000000000000,
        0x3810000000000000, 0x380fffffffffffff, 0x47efffffe0000000, 0x47effffff0000000};
    uint64_t v = next(), sign = v & 1ull << 63;
    int kind = (int)(next() % 6);
    if (kind == 0)
        return special[next() % (sizeof special / sizeof *special)];
    if (kind == 1)
        v &= ~0ull << next() % 53;
    if (kind == 2 || round % 3 == 0) /* sums cancel, products round */
        v = sign | (v & ((1ull << 52) - 1)) | (1019 + next() % 8) << 52;
    if (kind == 3) { /* results at the ends of what there is */
        static const unsigned end[] = {1, 480, 512, 540, 890, 897, 1150, 1151, 1500, 1534, 2040};
        v = sign | (v & ((1ull << 52) - 1)) | (end[next() % 11] + next() % 6) << 52;
    }
    if (kind == 4) {
        double d = (double)((int64_t)next() >> next() % 63) / (double)(1 << next() % 3);
        memcpy(&v, &d, sizeof v);
    }
    return v;
}

static bool is_equal(const Maker *k, int i, uint64_t a, uint64_t b)
{
    if (a == b)
        return true;
    uint64_t infinite = k->is_double[i] ? 0x7ffull << 52 : 0xffu << 23;
    uint64_t rest = k->is_double[i] ? ~0ull >> 1 : ~0u >> 1;
    return (k->is_double[i] || k->is_float[i]) && (a & rest) > infinite && (b & rest) > infinite;
}

int main(void)
{
    const char *why;
    Maker here, there;
    arena = arena_new();
    const Target *host = target_find(arena, NULL, NULL, NULL, &why);
    Target soft = *host;
    soft.floats = REAL_f32;
    soft.vector = 0;
    Operations want = compile(host, &here), got = compile(&soft, &there);
    int wrong = 0;
    for (int i = 0; i < ROUNDS && wrong < 20; i++) {
        uint64_t in[3] = {operand(i), operand(i), operand(i)}, a[OUTS], b[OUTS];
        if (i % 8 == 1) /* a * b - about a * b */
            in[1] = 0x3ff0000000000001 + next() % 4, in[2] = in[0] ^ 1ull << 63;
        FlushMode mode = flush_begin();
        want(in, a);
        got(in, b);
        flush_end(mode);
        for (int k = 0; k < here.n; k++)
            if (!is_equal(&here, k, a[k], b[k])) {
                printf("result %d of %016llx %016llx %016llx: %016llx, should be %016llx\n", k,
                       (unsigned long long)in[0], (unsigned long long)in[1],
                       (unsigned long long)in[2], (unsigned long long)b[k],
                       (unsigned long long)a[k]);
                wrong++;
            }
    }
    arena_free(arena);
    return wrong != 0;
}
