/* From an optimised graph to a program in memory. */
#ifndef WEFT_JIT_H
#define WEFT_JIT_H

#include "executor.h"
#include "ir/graph.h"

typedef struct {
    const Diag *diag;      /* for lines in debug information and the profile; may be null */
    const char *cpu;       /* null: the host */
    const char *features;  /* null: the cpu's own */
    bool debug;            /* tell gdb and perf the kernels' names and lines */
    const char *dump;      /* "kernel", "llvm", "asm" or null: what to print to stderr */
} JitOptions;

/* Compiles; bug() on what should not happen. Null with *why set when the graph
 * holds something that compiled code cannot do yet (exit 2 territory). The
 * program is freed by program_free. */
Program *jit_compile(const Graph *g, const JitOptions *o, const char **why);

/* "x86-64 znver4 avx512": the target string that bits are promised for. */
const char *jit_target(void);

#endif
