/* From an optimised graph to a program in memory. */
#ifndef WEFT_JIT_H
#define WEFT_JIT_H

#include "code.h"
#include "emit/target.h"
#include "executor.h"
#include "ir/graph.h"
#include "stages.h"

typedef struct {
    const Diag *diag;      /* for lines in debug information and the profile; may be null */
    const Target *target;  /* null: the host */
    bool calls_fma;        /* what runs the code has fmaf and fma for a target without the
                              instruction: the bits stay. The JIT sets it itself */
    bool debug;            /* tell gdb and perf the kernels' names and lines */
    int64_t rows;          /* no batch will have more; 0: not known */
    bool single;           /* of an object: every batch has one row, buffers hold no more */
    const int64_t *profile; /* null, or the value of every symbol: each call of a kernel is
                               noted (see program_profile), the work described for these sizes */
    Stages *stages;        /* notes what the workers do; may be null */
    const char *dump;      /* "kernel", "llvm", "asm" or null: what to print to stderr */
} JitOptions;

/* Compiles to a description in arena a and an image: code_map makes them a
 * program, code_pack bytes for a file. Null with *why set (in a) when the graph
 * holds something that compiled code cannot do yet (exit 2 territory); bug() on
 * what should not happen. `debug` has no effect. */
Program *jit_image(Arena *a, const Graph *g, const JitOptions *o, CodeImage *image,
                   const char **why);

/* Compiles and maps; with `debug` through LLVM's own JIT, which gdb knows. Null
 * with *why set as above, or when the system denies executable memory. The
 * program is freed by program_free. */
Program *jit_compile(const Graph *g, const JitOptions *o, const char **why);

/* What the shared object that holds this folder and LLVM offers to the program,
 * which loads it when something must be compiled: its one symbol. */
struct ObjectSpec;
typedef struct {
    Program *(*image)(Arena *, const Graph *, const JitOptions *, CodeImage *, const char **);
    Program *(*compile)(const Graph *, const JitOptions *, const char **);
    const char *(*llvm)(Arena *); /* the file of LLVM's that is loaded */
    /* target_find */
    const Target *(*target)(Arena *, const char *name, const char *cpu, const char *features,
                            const char **why);
    const Target *(*small)(Arena *, const Target *); /* target_small */
    bool (*object)(Arena *, struct ObjectSpec *, const char **); /* object_compile */
} Emitter;
extern const Emitter weft_emitter;

#endif
