/* Objects: compiled programs with entry points that any C program calls.
 *
 * An object holds one or more programs (Program: phases and buffers) and, for each entry, the
 * executor's walk over them as code, with every size and offset a constant. All memory is the
 * caller's: parameters, optimizer state, recurrent state, workspace. Nothing is written but
 * that, nothing is called but what is inside.
 *
 * A workspace: [control words][scalars, loss, metrics][common buffers][worker][worker]...; a
 * worker is a Frame and the buffers of one block. The serial entries have one worker.
 */
#ifndef WEFT_OBJECT_H
#define WEFT_OBJECT_H

#include "emit/jit.h"

/* ---- memory of the caller's ---- */

typedef struct {
    Role role;
    const char *name;
    Dtype dtype;
    int rank;
    int64_t dim[RANK_MOST];
    int64_t offset;        /* in its blob; a multiple of OBJECT_ALIGN */
    int64_t bytes;
    const void *value;     /* its constant where it is embedded, else null */
} ObjectTensor;

/* Parameters and buffers; optimizer slots behind OPTIMIZER_HEAD bytes; states from call to call;
 * the states of one stream, with the workspace of its entries behind them. */
typedef enum { BLOB_params, BLOB_optimizer, BLOB_state, BLOB_stream, NBLOB } BlobKind;
typedef struct { ObjectTensor *at; int n; int64_t bytes; } ObjectBlob;

/* The optimizer state's first bytes: f64 step (updates made), f64 epoch, i32 seed. */
enum { OPTIMIZER_step = 0, OPTIMIZER_epoch = 8, OPTIMIZER_seed = 16, OPTIMIZER_HEAD = 64 };
/* Sums over samples: f64 of loss * rows, f64 of rows, then the metrics'. */
enum { SUMS_loss = 0, SUMS_rows = 8, SUMS_HEAD = 16 };
enum { OBJECT_ALIGN = 64 };

/* ---- entries ---- */

/* What an entry takes, in the order of its arguments. */
typedef enum {
    ARG_none,      /* ends a list */
    ARG_params, ARG_optimizer, ARG_state,
    ARG_in,        /* one pointer for each of `in` */
    ARG_out,       /* one for each of `out` */
    ARG_n,         /* rows; without it there is one */
    ARG_lengths,   /* one for each run-time length */
    ARG_rate, ARG_seed, ARG_workspace, ARG_metrics,
    ARG_stream,    /* BLOB_stream; the workspace of an entry that has no other is in it */
    ARG_steps      /* the last: so many times, arrays one after the other */
} ArgKind;
enum { ARGS_MOST = 12 };

/* A program for batches of up to `most` rows; smaller ones go to the variant before it. With
 * `each` it is made for one row and runs once for each: nothing in it may depend on the batch. */
typedef struct { const Graph *graph; int64_t most; bool each; } ObjectVariant;
enum { VARIANTS_MOST = 4 };
/* The most rows that the variant's program is given at a time. */
static inline int64_t variant_rows(const ObjectVariant *v)
{
    return v->each ? 1 : v->most;
}

typedef struct {
    const char *name;                 /* behind the object's name: "predict" */
    ArgKind arg[ARGS_MOST];
    int nvariant;
    ObjectVariant variant[VARIANTS_MOST];
    int nin, nout;
    const Port *in, *out;             /* ROLE_data and ROLE_result, in the order of arguments */
    const int *axis;                  /* with ARG_steps: by `in`, then `out`, that of time, of
                                         extent 1; -1: the same for all steps, or of the newest */
    const char *once;                 /* with ARG_steps: the name without, of one step */
    double rate;                      /* what the argument is divided by */
    bool trains;                      /* steps are counted; a loss that is not finite changes
                                         nothing */
    bool figures;                     /* from sums (ROLE_scalar) to the loss's mean and the metrics'
                                         values (ROLE_metric) in one array, the sole output */
    bool writes;                      /* parameters */
    bool parallel;                    /* there is a form for several threads */
    int64_t base, worker;             /* made: workspace bytes, base + worker * threads */
} ObjectEntry;

/* The functions of an entry that can be called: for one step, itself, on threads. */
typedef enum { FORM_once, FORM_serial, FORM_parallel, NENTRYFORM } EntryForm;

/* The function's name behind the object's; null: the entry has none of the form. */
static inline const char *entry_function(Arena *a, const ObjectEntry *e, EntryForm form)
{
    if (form == FORM_serial)
        return e->name;
    if (form == FORM_parallel)
        return e->parallel ? arena_printf(a, "%s_parallel", e->name) : NULL;
    return e->once;
}

/* Does the entry serve a stream, with its workspace in the state? */
static inline bool entry_streams(const ObjectEntry *e)
{
    for (int i = 0; e->arg[i] != ARG_none; i++)
        if (e->arg[i] == ARG_stream)
            return true;
    return false;
}

enum { STATUS_ok, STATUS_null, STATUS_misaligned, STATUS_range, STATUS_loss, STATUS_name,
       STATUS_self_test, STATUS_form, STATUS_model, STATUS_size, STATUS_damaged, NSTATUS };

/* A row for the entry `predict`, and what it gives: by its in and out ports. With a state of
 * zeros, and `lengths` as run-time lengths. */
typedef struct {
    const void *const *in, *const *out;
    const double *tolerance;          /* by out: the most that a value may be off */
    int64_t lengths[SYM_MOST];
    int64_t bytes;                    /* made: of its workspace */
} SelfTest;

/* ---- the object ---- */

typedef enum { FORM_object, FORM_llvm, FORM_asm } ObjectForm;

typedef struct ObjectSpec {
    const char *name;                 /* of every symbol's beginning */
    ObjectForm form;
    JitOptions options;               /* the target; rows and profile have no effect */
    int64_t lengths[SYM_MOST];        /* the most of every run-time length; 0: there is none */
    ObjectBlob blob[NBLOB];
    ObjectBlob sums;                  /* of metrics, as f64 behind SUMS_HEAD; what each is of one
                                         sample */
    bool versions;                    /* the code in versions, and NAME_select: a table of the
                                         functions of entries, by EntryForm, and self_test */
    bool embed;                       /* parameters are constants, their arguments left out */
    int nentry;
    ObjectEntry *entry;
    const char *info;                 /* JSON text that NAME_info() returns */
    bool access;                      /* NAME_get and NAME_set: parameters by name; NAME_weights_*:
                                         files of them */
    const uint8_t *head;              /* with access: of such a file (packed.h) */
    bool load;                        /* NAME_load: the parameters' values, which are given */
    SelfTest *test;             /* NAME_self_test; null: none */
    bool reset;                       /* NAME_reset: the state before the first call */
    /* made */
    Bytes bytes;
    int64_t code, constants;          /* bytes of the object's sections; 0 for other forms */
    int64_t version_code[NVERSION];   /* of the code, what is in versions */
    int64_t stack;                    /* the most bytes that a call takes of it */
    LIST(const char *) symbols;       /* that can be called */
    LIST(const char *) helpers;       /* that it calls: of the compiler that links it, where the
                                         target has no instructions */
    const char *target;
} ObjectSpec;

/* Compiles everything into one module and fills in what is made, in arena a. False with *why
 * set when a graph holds what compiled code cannot do. */
bool object_compile(Arena *a, ObjectSpec *o, const char **why);

#endif
