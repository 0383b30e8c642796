/* The table of targets, and finding one by name. */
#include "emit/target.h"

#include "base/diag.h"
#include "emit/machine.h"

#include <string.h>

/* Columns as in Target. Widths and the rest are those of cpu and features, which
 * tests/unit/emit_target.c checks against the code generator. */
static const Target targets[] = {
    {"x86-64", "x86_64 amd64 x86-64-v1 x86_64-linux-gnu", "x86_64-unknown-linux-gnu", "x86-64", "",
     "", 16, 16, 0, REAL_both, true, DOT_pairs, CONTROL_mxcsr, OBJECT_elf, false, false, ""},
    {"x86-64-v2", "x86_64-v2", "x86_64-unknown-linux-gnu", "x86-64-v2", "", "", 16, 16, 0,
     REAL_both, true, DOT_pairs, CONTROL_mxcsr, OBJECT_elf, false, false, ""},
    {"x86-64-v3", "x86_64-v3 avx2", "x86_64-unknown-linux-gnu", "x86-64-v3", "", "", 32, 16,
     REAL_both, REAL_both, true, DOT_pairs, CONTROL_mxcsr, OBJECT_elf, false, false, ""},
    {"x86-64-v4", "x86_64-v4 avx512", "x86_64-unknown-linux-gnu", "x86-64-v4", "", "", 64, 32,
     REAL_both, REAL_both, true, DOT_pairs, CONTROL_mxcsr, OBJECT_elf, false, false, ""},
    {"aarch64", "arm64 aarch64-linux aarch64-linux-gnu aarch64-linux-android",
     "aarch64-unknown-linux-gnu", "generic", "", "", 16, 32, REAL_both, REAL_both, true, DOT_none,
     CONTROL_fpcr, OBJECT_elf, false, false, "qemu-aarch64"},
    {"armv7", "arm armhf armv7a armv7l armv7-linux-gnueabihf", "armv7-unknown-linux-gnueabihf",
     "generic", "+neon,+vfp3", "", 16, 16, 0, REAL_both, false, DOT_none, CONTROL_fpscr, OBJECT_elf,
     false, false, "qemu-arm -cpu cortex-a8"},
    {"armv7-vfpv4", "armv7-neon-vfpv4", "armv7-unknown-linux-gnueabihf", "cortex-a7", "+neon", "",
     16, 16, REAL_both, REAL_both, true, DOT_none, CONTROL_fpscr, OBJECT_elf, false, false,
     "qemu-arm -cpu cortex-a7"},
    {"riscv64", "riscv64gc rv64 rv64gc riscv64-linux-gnu", "riscv64-unknown-linux-gnu",
     "generic-rv64", "+m,+a,+f,+d,+c", "lp64d", 0, 32, REAL_both, REAL_both, true, DOT_none,
     CONTROL_none, OBJECT_elf, false, false, "qemu-riscv64 -cpu rv64"},
    {"riscv64-v", "riscv64gcv rv64gcv", "riscv64-unknown-linux-gnu", "generic-rv64",
     "+m,+a,+f,+d,+c,+v", "lp64d", 16, 32, REAL_both, REAL_both, true, DOT_none, CONTROL_none,
     OBJECT_elf, false, false, "qemu-riscv64 -cpu rv64,v=true,vlen=128"},
    {"riscv32", "riscv32gc rv32 rv32gc", "riscv32-unknown-linux-gnu", "generic-rv32",
     "+m,+a,+f,+d,+c", "ilp32d", 0, 32, REAL_both, REAL_both, true, DOT_none, CONTROL_none,
     OBJECT_elf, false, false, "qemu-riscv32 -cpu rv32"},
    {"cortex-m0plus", "cortex-m0+ m0+ m0plus cortex-m0 m0 armv6m", "thumbv6m-unknown-none-eabi",
     "cortex-m0plus", "", "", 0, 8, 0, 0, false, DOT_none, CONTROL_none, OBJECT_elf, true, false,
     "qemu-system-arm -M mps2-an385"},
    {"cortex-m3", "m3 armv7m", "thumbv7m-unknown-none-eabi", "cortex-m3", "", "", 0, 8, 0, 0, true,
     DOT_none, CONTROL_none, OBJECT_elf, true, false, "qemu-system-arm -M mps2-an385"},
    {"cortex-m4", "m4 cortex-m4f armv7em", "thumbv7em-unknown-none-eabihf", "cortex-m4", "", "", 0,
     32, REAL_f32, REAL_f32, true, DOT_halfwords, CONTROL_fpscr, OBJECT_elf, true, false,
     "qemu-system-arm -M mps2-an386"},
    {"cortex-m7", "m7", "thumbv7em-unknown-none-eabihf", "cortex-m7", "", "", 0, 32, REAL_both,
     REAL_both, true, DOT_halfwords, CONTROL_fpscr, OBJECT_elf, true, false,
     "qemu-system-arm -M mps2-an500"},
    {"cortex-m33", "m33 armv8m", "thumbv8m.main-unknown-none-eabihf", "cortex-m33", "", "", 0, 32,
     REAL_f32, REAL_f32, true, DOT_halfwords, CONTROL_fpscr, OBJECT_elf, true, false,
     "qemu-system-arm -M mps2-an505"},
    {"wasm32", "wasm", "wasm32-unknown-unknown", "generic", "", "", 0, 16, 0, REAL_both, true,
     DOT_none, CONTROL_none, OBJECT_wasm, true, false, "node"},
    {"wasm32-simd", "wasm-simd wasm32-simd128", "wasm32-unknown-unknown", "generic", "+simd128", "",
     16, 16, 0, REAL_both, true, DOT_pairs, CONTROL_none, OBJECT_wasm, true, false, "node"},
    {"x86_64-windows", "x86-64-windows windows win64 x86_64-windows-gnu x86_64-windows-msvc",
     "x86_64-pc-windows-gnu", "x86-64", "", "", 16, 16, 0, REAL_both, true, DOT_pairs,
     CONTROL_mxcsr, OBJECT_coff, false, false, "wine"},
    {"arm64-macos", "aarch64-macos arm64-apple-macos macos-arm64 macos", "arm64-apple-macosx11.0.0",
     "apple-m1", "", "", 16, 32, REAL_both, REAL_both, true, DOT_signed, CONTROL_fpcr, OBJECT_macho,
     false, false, NULL},
    {"x86_64-macos", "x86-64-macos x86_64-apple-macos macos-x86_64", "x86_64-apple-macosx10.15.0",
     "x86-64-v2", "", "", 16, 16, 0, REAL_both, true, DOT_pairs, CONTROL_mxcsr, OBJECT_macho, false,
     false, NULL},
};
enum { TARGETS = sizeof targets / sizeof *targets };

int target_count(void)
{
    return TARGETS;
}

const Target *target_at(int i)
{
    return &targets[i];
}

static bool is_alias(const char *aliases, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = aliases; n && (p = strstr(p, name)); p += n)
        if ((p == aliases || p[-1] == ' ') && (p[n] == ' ' || !p[n]))
            return true;
    return false;
}

static const Target *by_name(const char *name)
{
    for (int i = 0; i < TARGETS; i++)
        if (!strcmp(targets[i].name, name) || is_alias(targets[i].aliases, name))
            return &targets[i];
    return NULL;
}

static const char *joined(Arena *a, const char *const *name, int n)
{
    const char *text = "";
    for (int i = 0; i < n; i++)
        text = arena_printf(a, "%s%s%s", text, i ? ", " : "", name[i]);
    return text;
}

/* What is unknown, what may have been meant, what there is. */
static const char *unknown(Arena *a, const char *what, const char *word, const char *const *name,
                           int n)
{
    const char *near = nearest_name(word, name, n);
    return arena_printf(a, "unknown %s '%s'%s%s%s; there are: %s", what, word,
                        near ? "; did you mean '" : "", near ? near : "", near ? "'" : "",
                        joined(a, name, n));
}

static const char *unknown_target(Arena *a, const char *name)
{
    Names all = {0};
    list_push(a, &all, "host");
    for (int i = 0; i < TARGETS; i++)
        list_push(a, &all, targets[i].name);
    return unknown(a, "target", name, all.at, all.n);
}

/* "fma,-avx2" -> "+fma,-avx2" */
static const char *signed_features(Arena *a, const char *features)
{
    const char *all = "";
    while (*features) {
        size_t n = strcspn(features, ", ");
        if (n)
            all = arena_printf(a, "%s%s%s%.*s", all, *all ? "," : "",
                               *features == '+' || *features == '-' ? "" : "+", (int)n, features);
        features += n;
        features += strspn(features, ", ");
    }
    return all;
}

const Target *target_find(Arena *a, const char *name, const char *cpu, const char *features,
                          const char **why)
{
    Target *t = NEW(a, Target);
    bool is_host = !name || !strcmp(name, "host") || !strcmp(name, "native");
    const Target *known = is_host ? NULL : by_name(name);
    if (!is_host && !known) {
        *why = unknown_target(a, name);
        return NULL;
    }
    if (is_host)
        machine_host(a, t);
    else
        *t = *known;
    if (!cpu && !features)
        return t;
    if (cpu)
        t->cpu = arena_strdup(a, cpu);
    if (cpu && is_host)
        t->features = "";
    if (features)
        t->features = arena_printf(a, "%s%s%s", t->features, *t->features ? "," : "",
                                   signed_features(a, features));
    const char *word;
    bool is_cpu;
    if (!machine_knows(a, t, &word, &is_cpu)) {
        Names cpus = machine_processors(a, t);
        *why = is_cpu ? unknown(a, "processor", word, cpus.at, cpus.n)
                      : arena_printf(a, "the target %s has no feature '%s'", t->name, word);
        return NULL;
    }
    machine_probe(t);
    return t;
}

const Target *target_small(Arena *a, const Target *t)
{
    Target *small = NEW(a, Target);
    *small = *t;
    small->small = true;
    small->vector = 0; /* a vector's loops have tails */
    if (small->dot != DOT_halfwords)
        small->dot = DOT_none;
    return small;
}

void target_versions(Arena *a, const Target *base, Version out[NVERSION])
{
    static const char *const rows[NVERSION] = {NULL, "x86-64-v3", "x86-64-v4"};
    static const char *const sections[] = {
        [OBJECT_elf] = ".text.%s",
        [OBJECT_macho] = "__TEXT,__text_%s,regular,pure_instructions",
        [OBJECT_coff] = ".text$%s"};
    for (int i = 0; i < NVERSION; i++) {
        Target *t = NEW(a, Target);
        const Target *row = rows[i] ? by_name(rows[i]) : base;
        *t = *base;
        t->cpu = row->cpu;
        t->features = row->features;
        t->vector = row->vector;
        t->registers = row->registers;
        t->fma = row->fma;
        const char *s = sections[base->format], *at = strstr(s, "%s");
        out[i] = (Version){version_names[i], t,
                           arena_printf(a, "%.*s%s%s", (int)(at - s), s, version_names[i], at + 2)};
    }
}

const char *target_text(Arena *a, const Target *t)
{
    if (!strcmp(t->name, "host")) {
        const char *level = t->vector == 64 ? " avx512" : t->vector == 32 ? " avx2" : " sse2";
        const char *family = strncmp(t->triple, "x86_64", 6) == 0 ? "x86-64" : t->triple;
        return arena_printf(a, "%s %s%s", family, t->cpu, level);
    }
    const Target *known = by_name(t->name);
    const char *cpu = strcmp(t->cpu, known->cpu) == 0 ? "" : t->cpu;
    const char *features = strcmp(t->features, known->features) == 0 ? "" : t->features;
    return arena_printf(a, "%s%s%s%s%s", t->name, *cpu ? " " : "", cpu, *features ? " " : "",
                        features);
}

bool target_has_pairs(const Target *t)
{
    return t->vector == 64 && strstr(t->features, "+avx512bf16");
}
