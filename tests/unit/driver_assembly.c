/* The hot loops as they are emitted, for processors with AVX-512 and with AVX2: in the kernels of
 * products an innermost loop of fused multiply-adds must not touch the stack. */
#include "driver/job.h"
#include "system.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FUSED_LEAST = 4 }; /* so many make a register tile */

static int failures;

typedef struct { int loops, bad; } Found;

static bool begins(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

/* A loop is a label and the jump back to it without another label between. Counts those with
 * fused multiply-adds. */
static Found read_assembly(FILE *f, const char *what)
{
    static char line[4096], label[256] = "", function[256] = "";
    int fused = 0, stack = 0;
    bool frame = false;
    Found found = {0};
    while (fgets(line, sizeof line, f)) {
        char *comment = strchr(line, '#'), *word = line + strspn(line, " \t");
        char *colon = strchr(line, ':');
        if (comment)
            *comment = 0;
        if (begins(line, ".LBB") && colon) {
            snprintf(label, sizeof label, "%.*s", (int)(colon - line), line);
            fused = stack = 0;
        } else if (word == line && colon && line[0] != '.') {
            snprintf(function, sizeof function, "%.*s", (int)(colon - line), line);
            frame = false;
        }
        frame |= strstr(word, "%rsp, %rbp") != NULL; /* else it is a register like others */
        fused += begins(word, "vfmadd") || begins(word, "vfnmadd");
        stack += strstr(word, "(%rsp") != NULL || (frame && strstr(word, "(%rbp") != NULL);
        char *to = strstr(word, label);
        if (word[0] != 'j' || !*label || !to || to[strlen(label)] > ' ')
            continue;
        if (fused >= FUSED_LEAST && strstr(function, "contract")) {
            found.loops++;
            found.bad += stack > 0;
            if (stack)
                printf("failed: %s: %s %s: %d fma and %d times the stack\n", what, function, label,
                       fused, stack);
        }
        *label = 0;
    }
    return found;
}

static const Emitter *emitter(Arena *a)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    while (n > 0 && self[n - 1] != '/')
        n--;
    void *object = dlopen(arena_printf(a, "%.*s../lib/weft/emit.so", (int)n, self), RTLD_NOW);
    return object ? dlsym(object, "weft_emitter") : NULL;
}

static Graph *step_of(Job *j, char *model, char *batch_size)
{
    char *argv[] = {"weft", "train", model, "--batch-size", batch_size};
    bool stopped = false;
    if (!options_parse(j->arena, j->diag, 5, argv, (Options *)j->options) || !job_begin(j) ||
        !job_open(j, model, DT_f32, true))
        return NULL;
    j->passes.rows = j->unit->train->batch_size;
    return pipeline_run(j->unit, PIPELINE_step, &j->passes, &stopped);
}

/* The assembly of a graph, printed to stderr by the compiler, comes back as a file. */
static FILE *compile(Arena *a, const Emitter *e, const Graph *g, const Target *target, int64_t rows)
{
    FILE *f = tmpfile();
    CodeImage image;
    const char *why = NULL;
    JitOptions o = {.target = target, .dump = "asm", .rows = rows, .calls_fma = true};
    if (!f)
        return NULL;
    fflush(stderr);
    int old = dup(2);
    dup2(fileno(f), 2);
    Program *p = e->image(a, g, &o, &image, &why);
    fflush(stderr);
    dup2(old, 2);
    close(old);
    rewind(f);
    if (!p)
        printf("failed: %s\n", why);
    return f;
}

static void check(const Emitter *e, char *model, char *batch_size, const char *name, int least)
{
    Arena *a = arena_new();
    Diag d = {.arena = a};
    Options options;
    Job j = {.arena = a, .diag = &d, .options = &options, .started = system_seconds()};
    const char *why = NULL;
    const Target *target = e->target(a, name, NULL, NULL, &why);
    Graph *g = step_of(&j, model, batch_size);
    FILE *f = g && target ? compile(a, e, g, target, atoi(batch_size)) : NULL;
    const char *what = arena_printf(a, "%s, batch %s, %s", model, batch_size, name);
    Found found = {0};
    if (f) {
        found = read_assembly(f, what);
        fclose(f);
    }
    if (found.loops < least)
        printf("failed: %s: %d loops of products, expected %d or more\n", what, found.loops, least);
    printf("%s: %d loops\n", what, found.loops);
    failures += found.bad + (found.loops < least);
    diag_print(&d, stderr);
    job_end(&j);
    arena_free(a);
}

int main(void)
{
    static char *const models[] = {"models/bench/lstm.model", "models/bench/mlp.model",
                                   "models/bench/cnn.model", "models/bench/characters.model"};
    static const char *const targets[] = {"x86-64-v4", "x86-64-v3"};
    Arena *a = arena_new();
    const Emitter *e = emitter(a);
    if (!e) {
        printf("failed: no emitter: %s\n", dlerror());
        return 1;
    }
    for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
        for (size_t m = 0; m < sizeof models / sizeof *models; m++)
            check(e, models[m], "128", targets[t], 4);
        check(e, models[0], "1", targets[t], 2); /* features in the lanes */
    }
    arena_free(a);
    return failures > 0;
}
