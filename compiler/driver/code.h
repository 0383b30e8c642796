/* From a graph to a program: from the cache or, where that has none, from the
 * compiler, which is loaded for it. */
#ifndef WEFT_DRIVER_CODE_H
#define WEFT_DRIVER_CODE_H

#include "cache.h"
#include "emit/jit.h"

typedef struct {
    JitOptions jit;
    const Cache *cache;    /* null: none. `debug`, `dump`, `profile` compile anyway */
    int *compiled;         /* counts what did not come from the cache; may be null */
} CodeOptions;

/* The program of a graph, freed by program_free; reports at `at` and returns null. */
Program *code_program(Diag *d, Span at, const Graph *g, const CodeOptions *o);

/* Loads the compiler on a thread of its own, for who will need it; null where that is not to be
 * had, which code_emitter tells. The end waits for it: before that the process must not exit. */
typedef struct CodeLoad CodeLoad;
CodeLoad *code_load_begin(Arena *a);
void code_load_end(CodeLoad *l);

/* The compiler, loaded; reports at `at` and returns null. */
const Emitter *code_emitter(Arena *a, Diag *d, Span at);

#endif
