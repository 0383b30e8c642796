/* Several programs in one LLVM module: what an object is made of. */
#ifndef WEFT_MODULE_H
#define WEFT_MODULE_H

#include "emit/emit.h"
#include "emit/object.h"

typedef struct {
    LLVMContextRef cx;
    LLVMModuleRef m;
    LLVMBuilderRef b;
    LLVMTargetMachineRef tm;
    LLVMTypeRef index;     /* see Emit */
    const Target *target;
    const Version *version; /* that is being emitted; null: the code is for all */
    bool versions;         /* there are several: equal literals are one */
    int part, parts;       /* it holds every parts-th function of its programs; part -1: none */
    int turn[2];           /* light and heavy functions met so far, of all programs */
} Module;

/* A module that holds every function of its programs, until `part` and `parts` say otherwise. */
void module_begin(Module *m, const Target *target);
void module_end(Module *m);
/* An emitter of functions that belong to no program. */
Emit *module_emit(Arena *a, const Module *m);
/* Emits g's functions that fall to the module, declares the others, and describes its program in
 * `keep`; null with *why set. Names of functions and literals begin with `prefix`. */
Program *module_add(Arena *keep, Module *m, const Graph *g, const JitOptions *o,
                    const char *prefix, const char **why);
/* Optimises; then the bytes of a form. */
void module_finish(Arena *a, Module *m, ObjectForm form, Bytes *bytes);

/* ---- entry.c, walk.c ---- */

/* Words (8 bytes) at a workspace's beginning. */
enum { CONTROL_lengths, CONTROL_threads = CONTROL_lengths + SYM_MOST, CONTROL_blob,
       CONTROL_metrics = CONTROL_blob + NBLOB, CONTROL_ports };

/* Where a program finds the memory of a port. */
typedef enum { AT_blob, AT_constant, AT_argument, AT_workspace } PortAt;
typedef struct {
    PortAt at;
    int word;              /* AT_blob, AT_argument: the control word that holds the pointer */
    int64_t offset;        /* AT_blob, AT_workspace */
    V constant;            /* AT_constant */
} PortPlace;

typedef struct {
    const char *name;      /* of its functions */
    const Program *program;
    const PortPlace *port; /* of the program's ports */
    const int64_t *offset; /* of its stores, as lay_out has them */
    int64_t common;        /* where the common buffers begin in the workspace */
    int64_t base, worker;  /* where workers begin; bytes of one */
    int64_t frame;         /* bytes of a Frame, the worker's first */
    bool parallel;         /* it may be given a parallel_for */
} Walk;

/* Emits the walk over a program's phases; returns the function
 * i1 (ptr workspace, ptr parallel_for, ptr context), false when the loss is not finite. */
V walk_emit(Emit *e, const Walk *w);
/* An extent as an index, its symbols from a workspace's control words. */
V extent_emit(Emit *e, V ws, Dim d);

/* Emits the entry and its walks; `constant` gives an embedded tensor. False: no memory. */
bool entry_emit(Arena *a, Emit *e, const ObjectSpec *o, ObjectEntry *entry, Program *const *p,
                V (*constant)(Emit *, const ObjectTensor *));

/* access.c: functions on the caller's memory that run no program. */
void access_emit(Emit *e, const ObjectSpec *o);
V at_index(Emit *e, V base, V index); /* a byte's place */
void copy_bytes(Emit *e, V to, V from, V count);
/* Refuses null, and what is no multiple of `to`. */
void check_pointer(Emit *e, V p, int64_t to);
/* packed.c: the functions on files of weft pack. */
void packed_emit(Emit *e, const ObjectSpec *o);
/* soft.c: replaces what a target_softens has no instructions for in all that was emitted. */
void soft_doubles(Arena *a, Module *m);
/* self_test.c: of the entry `predict`, which is there. */
void self_test_emit(Emit *e, ObjectSpec *o);
/* select.c: the choice between versions, whose functions are there. */
void select_emit(Emit *e, const ObjectSpec *o);
/* measure.c: sizes of the sections of the object file, and what it calls outside; the stack
 * that a context's functions take, noted from watch_stack on. */
void measure_object(Arena *a, ObjectSpec *o);
typedef struct StackSizes StackSizes;
StackSizes *watch_stack(Arena *a, Module *m);
int64_t stack_most(const StackSizes *s);
void stack_join(StackSizes *all, const StackSizes *s);
/* A constant of bytes. */
V bytes_global(Emit *e, const char *name, const void *at, int64_t bytes, unsigned align);
/* The same where there is none of that name yet. */
V bytes_once(Emit *e, const char *name, const void *at, int64_t bytes, unsigned align);
/* Returns `status` from the function at hand where `bad`. */
void refuse(Emit *e, V bad, int status);

/* Small arithmetic for all. */
V load_word(Emit *e, V base, int word, LLVMTypeRef t);
void store_word(Emit *e, V base, int word, V value);
V widen(Emit *e, V v);        /* an i32 that is not negative, as e->index */
V at_byte(Emit *e, V base, int64_t offset);
V begin_function(Emit *e, const char *name, LLVMTypeRef type, bool exported);
/* NAME_name, or NAME_name_version; version null: there is one. */
const char *entry_symbol(Arena *a, const ObjectSpec *o, const char *name, const char *version);
/* begin_function for one that is called from outside, or through the table of a version. */
V begin_entry(Emit *e, const ObjectSpec *o, const char *name, LLVMTypeRef type);

#endif
