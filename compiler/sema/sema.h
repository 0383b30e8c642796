/* Sema: from syntax trees to graphs.
 *
 * A Session holds what every model shares: sources, the parsed prelude, the
 * options. A Unit is one .model file with one model and one train block chosen.
 * unit_forward expands definitions into a graph for a purpose; the driver then
 * appends the gradient (grad/grad.h) and unit_optimizer appends the update.
 * Errors are collected in the session's Diag; functions return null or false
 * when something was reported.
 */
#ifndef WEFT_SEMA_H
#define WEFT_SEMA_H

#include "ast.h"
#include "ir/graph.h"

/* ---- data readers, as sema sees them ---- */

typedef enum { RA_number, RA_text, RA_bool, RA_list_text, RA_list_number } ReaderArgKind;
typedef struct {
    const char *name; /* null when positional */
    Span span;
    ReaderArgKind kind;
    double number;
    const char *text;
    int n;
    const double *numbers;
    const char *const *texts;
} ReaderArg;

typedef struct {
    const char *name;
    Dtype dtype;            /* as stored; the transforms see it as a number */
    int rank;               /* of one sample */
    int64_t dim[RANK_MOST];
} DataField;

typedef struct {
    int nfield;
    const DataField *field;
    int64_t count;          /* training samples */
    int64_t test_count;     /* samples of `.test`; 0: there is none */
    int nclass;             /* 0: unknown */
    const char *const *classes;
    void *dataset;          /* the reader's own: handed on to the runtime */
} DataSchema;

/* Opens a reader and tells its fields; reports and returns null on failure.
 * With `facts_only` nothing but headers need be read. */
typedef const DataSchema *(*SchemaFn)(void *context, Diag *d, Span at, const char *reader,
                                      const ReaderArg *args, int nargs);

/* The same for data d = generate(count, ...) { ... }: the outputs of g (ROLE_result, [N, ...])
 * are the fields, its inputs ROLE_scalar seed, step and epoch. */
typedef const DataSchema *(*GenerateFn)(void *context, Diag *d, Span at, const Graph *g,
                                        const ReaderArg *args, int nargs);

/* The name of a reader's positional argument, counted from 0; null when it has none. */
typedef const char *(*ReaderParamFn)(const char *reader, int index);

/* ---- session and unit ---- */

typedef struct { const char *path, *value; Span span; } Setting; /* --set path=value */

typedef struct Session {
    Arena *arena;
    Diag *diag;
    Dtype real;                   /* DT_f32 or DT_f64: the float type of the graphs */
    LIST(Setting) settings;
    SchemaFn schema;
    GenerateFn generate;
    void *schema_context;
    bool scales_rate;             /* every learning rate is multiplied by the scalar
                                     learning_rate_scale, whatever the train block says */
    ReaderParamFn reader_param;   /* may be null: then --set reaches no positional argument */
    const char *train_name, *model_name;  /* --train, --model; may be null */
    struct Definitions *prelude;  /* found on first use */
} Session;

typedef struct {
    const char *name;      /* "lstm/kernel" */
    Shape shape;
    bool trainable;
    Span span;             /* of the layer that the user wrote */
} ParamInfo;

typedef struct {
    const char *name, *type;   /* "lstm", "LSTM" */
    const char *output;        /* "[28, 50]" in the user's notation */
    int depth;                 /* layers in layers */
    int64_t nparam, ntrainable;
    Span span;
    const char *inputs;        /* "image", "lstm, dense_1": what it is connected to */
} LayerInfo;

typedef struct {
    const char *name;          /* "accuracy" */
    int nsum;
    const char *const *sum;    /* names of the ROLE_metric outputs that feed it */
    Graph *finish;             /* inputs: ROLE_scalar f64 tensors of those names; output: rank 0 */
} MetricInfo;

typedef struct { const char *name; Dtype dtype; Shape shape; Span span; } PortInfo;

typedef enum { STOP_min, STOP_max } StopMode;
typedef struct {
    bool on;
    const char *monitor;       /* "val_loss" */
    StopMode mode;
    double min_delta, baseline;
    bool has_baseline, restore_best, has_restore_best; /* has: it was written */
    int patience, start_from_epoch;
} EarlyStopping;

typedef struct {
    bool on;
    const char *monitor;
    StopMode mode;
    double factor, min_delta, min_lr;
    int patience, cooldown;
} ReduceOnPlateau;

typedef struct {
    const char *name;          /* null when the block has none */
    Span span;
    int64_t batch_size, epochs;
    bool shuffle;
    bool has_seed;
    int64_t seed;
    double validation_split;   /* 0: none */
    bool validation_test;      /* validation_data = digits.test */
    EarlyStopping stop;
    ReduceOnPlateau plateau;
    bool bfloat16;             /* compute = bfloat16: the factors of products are rounded */
    bool average;              /* use_ema: slots PARAMETER/ema hold what the training ends with */
    const char *optimizer, *loss;   /* as text, for people */
} TrainInfo;

typedef struct Unit {
    Session *session;
    const char *name;          /* the model's name */
    Span span;
    int nparam;
    ParamInfo *param;          /* in order of creation */
    int nlayer;
    LayerInfo *layer;
    int ninput, noutput;
    PortInfo *input, *output;
    int nmetric;
    MetricInfo *metric;
    const TrainInfo *train;    /* null: the file trains nothing */
    const char *data_name;     /* null: no data block */
    const DataSchema *data;    /* null: none, or not opened */
    uint64_t definitions_hash; /* of the model's expanded definitions */
    struct UnitState *state;   /* sema's own */
} Unit;

Session *session_new(Arena *a, Diag *d, Dtype real);

/* Reads, parses and checks a file; expands the model once (inference), so that
 * every mistake in it is reported. Null when there was one. */
Unit *unit_open(Session *s, const char *path);

typedef enum {
    FORWARD_train,    /* data fields -> transforms -> model (training) -> loss, metrics */
    FORWARD_evaluate, /* data fields -> transforms -> model (inference) -> loss, metrics */
    FORWARD_predict,  /* model inputs -> results (inference) */
    FORWARD_watch,    /* as train, and every tensor of the model that has a name as a result */
    FORWARD_serve,    /* raw data fields of the inputs -> transforms -> model -> results */
    FORWARD_prepare   /* raw data fields -> transforms -> results named as the model's inputs */
} Purpose;

/* A fresh graph. Inputs: ROLE_data (fields or model inputs), ROLE_param,
 * ROLE_buffer, ROLE_state, ROLE_scalar (step, counting from 1; epoch, from 0;
 * seed; learning_rate_scale, 1 at first). Outputs: ROLE_loss "loss" (rank 0, of
 * the session's real type), ROLE_metric, ROLE_result (the model's outputs; in
 * predict, serve and evaluate; in watch inputs, layers' outputs and named tensors),
 * ROLE_buffer updates, ROLE_state. Parameters appear in the order of unit->param. */
Graph *unit_forward(Unit *u, Purpose purpose);

/* Appends the optimizer: grad[i] belongs to unit->param[i] (null where not
 * trainable). Adds ROLE_slot inputs, ROLE_param and ROLE_slot outputs. */
bool unit_optimizer(Unit *u, Graph *g, Node *const *grad);

/* Initial values: input ROLE_scalar "seed"; outputs ROLE_param, ROLE_slot,
 * ROLE_buffer, each in full. Run by the interpreter or compiled. */
Graph *unit_init(Unit *u);

/* The data block's transforms as the user wrote them, a line each; "" without any. */
char *unit_transforms(const Unit *u, Arena *a);

/* The i-th use of standardize() in the data block: its mean and deviation are
 * fitted to the training samples, one use after the other, since the value may
 * depend on the statistics of earlier ones. False when there are no more. */
typedef struct {
    Graph *graph;                 /* inputs: ROLE_data, ROLE_buffer; output: ROLE_result "value" */
    const char *mean, *deviation; /* the buffers, of the value's rank with 1 where axes share one */
    Span span;
} FitInfo;
bool unit_fit(Unit *u, int i, FitInfo *fit);

/* The file with imports, settings and overrides resolved: what a run keeps. */
char *unit_resolved(Unit *u, Arena *a);

/* For each definition that the user's file makes (cell, layer, loss, function,
 * activation, optimizer): a graph whose ROLE_loss output is a scalar function
 * of its ROLE_param inputs, for gradcheck. Returns the number. */
int unit_gradchecks(Unit *u, Graph ***graphs);

/* Text of a definition (signature, doc, equations) for `weft help NAME`; null
 * when there is none, with *nearest set when a name is near. */
char *definition_help(Session *s, Arena *a, const char *name, const char **nearest);
/* All names of a kind ("layer", "cell", "loss", ... or null for all), sorted. */
int definition_names(Session *s, const char *kind, const char *const **names);

#endif
