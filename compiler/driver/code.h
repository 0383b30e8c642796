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

/* The compiler, loaded; reports at `at` and returns null. */
const Emitter *code_emitter(Arena *a, Diag *d, Span at);

#endif
