/* From an optimised graph to objects and their description: what the JIT maps,
 * the cache keeps and a linker could take. */
#ifndef WEFT_COMPILE_H
#define WEFT_COMPILE_H

#include "emit/jit.h"

enum { WORKERS_MOST = 4 };

typedef struct {
    Program *program;            /* described; its tasks name functions of the objects */
    Bytes object[WORKERS_MOST];  /* position independent, for the target */
    int nobject;
    LIST(const char *) names;    /* with `debug`: all functions */
} Compiled;

/* Compiles in arena a. False with *why set when the graph holds something that
 * compiled code cannot do yet; bug() on what should not happen. */
bool compile_graph(Arena *a, const Graph *g, const JitOptions *o, Compiled *out, const char **why);

#endif
