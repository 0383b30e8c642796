/* Targets: names and spellings, processors and features, the table against the code
 * generator, and the messages about what is not known. */
#include "emit/machine.h"

#include <stdio.h>
#include <string.h>

static Arena *arena;
static int wrong;

static void expect(bool ok, const char *what)
{
    if (!ok)
        printf("not so: %s\n", what);
    wrong += !ok;
}

/* A row says what code made for it shows. */
static void check_row(const Target *t)
{
    Target probed = *t;
    const char *word = "", *why = "";
    bool is_cpu;
    if (!machine_knows(arena, t, &word, &is_cpu)) {
        printf("%s: LLVM does not know '%s'\n", t->name, word);
        wrong++;
        return;
    }
    machine_probe(&probed);
    if (probed.vector != t->vector || probed.registers != t->registers || probed.fma != t->fma ||
        probed.floats != t->floats || probed.control != t->control || probed.dot != t->dot) {
        printf("%s: vector %d, registers %d, fma %u, floats %u, control %d, dot %d; its code: %d, "
               "%d, %u, %u, %d, %d\n", t->name, t->vector, t->registers, t->fma, t->floats,
               (int)t->control, (int)t->dot, probed.vector, probed.registers, probed.fma,
               probed.floats, (int)probed.control, (int)probed.dot);
        wrong++;
    }
    const Target *found = target_find(arena, t->name, NULL, NULL, &why);
    expect(found && !strcmp(found->triple, t->triple) && !strcmp(found->name, t->name), t->name);
    expect(!strcmp(target_text(arena, t), t->name), "a row's text is its name");
}

static void check_message(const char *name, const char *cpu, const char *features,
                          const char *begin, const char *lists)
{
    const char *why = "";
    if (target_find(arena, name, cpu, features, &why))
        why = "(found)";
    if (strncmp(why, begin, strlen(begin)) != 0 || !strstr(why, lists)) {
        printf("%s %s %s: %s\n", name, cpu ? cpu : "", features ? features : "", why);
        wrong++;
    }
}

static const Target *find(const char *name, const char *cpu, const char *features)
{
    const char *why = "";
    const Target *t = target_find(arena, name, cpu, features, &why);
    static const Target none;
    if (!t)
        printf("%s\n", why);
    wrong += !t;
    return t ? t : &none;
}

static void check_choices(void)
{
    const Target *t = find("arm64", NULL, NULL);
    expect(!strcmp(t->name, "aarch64"), "arm64 is aarch64");
    expect(!strcmp(find("m0+", NULL, NULL)->name, "cortex-m0plus"), "m0+ is cortex-m0plus");
    t = find("x86_64-windows", "haswell", NULL);
    expect(t->vector == 32 && t->fma == REAL_both && t->format == OBJECT_coff, "haswell, Windows");
    expect(!strcmp(target_text(arena, t), "x86_64-windows haswell"), "its text");
    t = find("armv7", NULL, "vfp4");
    expect(t->fma && t->vector == 16, "features are added, + may be left out");
    t = find("cortex-m7", NULL, "-fp64");
    expect(t->floats == REAL_f32 && t->fma == REAL_f32, "and taken away");
    t = find("riscv64", NULL, "+v");
    expect(t->vector == 16, "riscv64 with V has vectors");
    t = find("aarch64", "cortex-a53", NULL);
    expect(t->vector == 16 && t->registers == 32 && t->control == CONTROL_fpcr, "cortex-a53");
    t = find("aarch64", "neoverse-n1", NULL);
    expect(t->dot == DOT_signed, "neoverse-n1 has sdot");
    t = find("x86-64", "icelake-server", NULL);
    expect(t->dot == DOT_mixed, "icelake-server has vpdpbusd");
    expect(find("x86-64", "haswell", "+avxvnni")->dot == DOT_mixed, "and what has avxvnni");
    t = find(NULL, NULL, NULL);
    expect(!strcmp(t->name, "host") && t->registers, "no name: the host");
}

int main(void)
{
    arena = arena_new();
    for (int i = 0; i < target_count(); i++)
        check_row(target_at(i));
    check_choices();
    check_message("aarch46", NULL, NULL, "unknown target 'aarch46'; did you mean 'aarch64';",
                  "there are: host, x86-64,");
    check_message("vax", NULL, NULL, "unknown target 'vax'; there are: host", "cortex-m7");
    check_message("cortex-m4", "cortex-m9", NULL,
                  "unknown processor 'cortex-m9'; did you mean 'cortex-", "cortex-m33");
    check_message("host", NULL, "flying", "the target host has no feature 'flying'", "");
    check_message("aarch64", "help", NULL, "unknown processor 'help'", "");
    arena_free(arena);
    return wrong != 0;
}
