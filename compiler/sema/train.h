/* What the files of the train block share: its attributes, its settings.
 *
 * The train block is a list of `key = expression`. train_open evaluates what is
 * a plain value into TrainInfo; what makes graph (loss, metrics, optimizer,
 * target) stays an expression until an expansion asks for it.
 */
#ifndef WEFT_SEMA_TRAIN_H
#define WEFT_SEMA_TRAIN_H

#include "sema/internal.h"

/* The keys of a train block. */
#define TRAIN_KEYS(KEY)                                                                 \
    KEY(data) KEY(model) KEY(target) KEY(loss) KEY(loss_weights) KEY(class_weight)      \
    KEY(optimizer) KEY(metrics) KEY(batch_size) KEY(epochs) KEY(validation_data)        \
    KEY(validation_split) KEY(shuffle) KEY(seed) KEY(early_stopping) KEY(reduce_lr)     \
    KEY(callbacks) KEY(dtype) KEY(compute)

typedef enum {
#define KEY(name) TRAIN_##name,
    TRAIN_KEYS(KEY)
#undef KEY
    NTRAIN
} TrainKey;

typedef struct {
    const char *path;
    const Expr *value;             /* null: it did not parse */
} ParsedSetting;

typedef struct { Span at; const char *text; } Edit; /* of the resolved file */

typedef struct TrainState {
    TrainInfo info;
    const Expr *attr[NTRAIN];      /* as written or set; null: absent */
    Span key_span[NTRAIN];
    LIST(ParsedSetting) parsed;
    LIST(Edit) edits;
    bool optimizer_checked;
} TrainState;

/* Made on first use. */
TrainState *train_state(UnitState *st);

/* The scope that the block's expressions see: the file's names. */
Scope *train_scope(Expander *x);

/* One option of a call such as EarlyStopping(patience=3). */
typedef enum { OPTION_int, OPTION_number, OPTION_bool, OPTION_name } OptionKind;
typedef struct {
    const char *name;
    OptionKind kind;
    void *out;                     /* int, double, bool or const char * */
    bool *given;                   /* set when written and not none; may be null */
} Option;

/* Binds a call's arguments, positional in the table's order, with --set under
 * `path`; reports unknown, doubled and mistyped ones. */
bool options_bind(Expander *x, Scope *s, const Expr *call, const char *path, const Option *option,
                  int n);

/* early_stopping, reduce_lr and callbacks. */
bool callbacks_open(Expander *x, TrainState *t);

/* The name that a metric's or loss's expression goes by: "accuracy",
 * "categorical_accuracy" for CategoricalAccuracy(); a call's name= wins. */
const char *spoken_name(Arena *a, const Expr *e);
/* The call without its argument name=, or e itself. */
const Expr *without_name(Arena *a, const Expr *e);

/* The first use of one of the names, in an expression or anywhere in a statement; or null. */
const Expr *expr_mentions(const Expr *e, const char *const *names, int n);
const Expr *stmt_mentions(const Stmt *s, const char *const *names, int n);

/* A dict entry's key where it is a word, else null. */
const char *dict_key(const Arg *arg);
/* The outputs' entry of a dict {output: e} or e for all; null where the dict has none. */
const Expr *for_output(const Expr *e, const char *output);
/* Reports keys of a dict attribute that name no output. */
bool check_output_keys(Expander *x, const Expr *e, const char *what, const char *const *names,
                       int n);

/* The target of output i as a value. Poison after reporting. */
Val target_of(Expander *x, Scope *fields, const Expr *target, const char *const *names, int n,
              int i);
/* The per-entry loss of a recipe, checked against the shapes of both. */
Val loss_values(Expander *x, const Recipe *r, Val y_true, Val y_pred, Span at);
/* What "accuracy" and "crossentropy" stand for by these shapes; e itself otherwise. */
Val resolve_by_shapes(Expander *x, Scope *s, const Expr *e, const Node *y_true,
                      const Node *y_pred, unsigned kinds);
/* [N] as [N, 1], so that what is computed over the last axis has one. */
Node *with_axis(Expander *x, Node *n);
/* values [N, ...] with masked entries as 0. */
Node *mask_values(Expander *x, Node *values, Node *mask);

/* What stands around an optimizer's body: its arguments, and the scale of global_clipnorm. */
typedef struct {
    Span span;
    double clipnorm, clipvalue, global_clipnorm, decay, momentum, overwrite, accumulate;
    bool average;
    Node *count;                   /* of updates with this one, weak: what t is */
    Node *due;                     /* does this step update? null: every step does */
    Node *rate;                    /* the learning rate, weak; null: it has none */
    Node *total, *scale;           /* global_clipnorm: sum of squares, factor */
} Wrap;

/* Reads and checks the arguments; scales the rate for ReduceLROnPlateau. */
bool wrap_open(Expander *x, Wrap *w, const Definition *def, Scope *formals, Span at);
/* With gradient_accumulation_steps: the mean gradient since the last update, summed in the slot
 * parameter/gradient_accumulator. */
Node *wrap_accumulate(Expander *x, const Wrap *w, const Param *p, Node *grad, bool init);
/* `next` where the step updates, else `before`. */
Node *wrap_due(Expander *x, const Wrap *w, Node *next, Node *before);
void wrap_collect(Expander *x, Wrap *w, Node *grad);
void wrap_norm(Expander *x, Wrap *w);
Node *wrap_clip(Expander *x, const Wrap *w, Node *grad);
Node *wrap_decay(Expander *x, const Wrap *w, Node *weight);
/* The moving average of the new weight as slot parameter/ema; the weight to go on with. */
Node *wrap_average(Expander *x, const Wrap *w, const Param *p, Node *weight, Node *next, bool init);

/* setting() for the formal `name`, the index-th, of a call: what is not written
 * there is put in when the file is resolved. Null where nothing is set. */
const Expr *setting_arg(Expander *x, const char *path, const Expr *call, const char *name,
                        int index);

/* Expands the optimizers: of the graph's parameters with gradients, or (init)
 * only the slots' initial values with weight[i] as the parameters. */
bool optimizer_expand(Expander *x, Node *const *weight, Node *const *grad, bool init);
/* Expands it once into a scratch graph, so that mistakes are reported early. */
bool optimizer_check(Expander *x);

/* Runs the data block's statements; `fields` gets the values that they give. */
bool data_run(Expander *x, Scope *fields);
/* Is the reader `generate`, whose block makes the fields? Then their graph; null after reporting.
 */
bool data_is_generated(const Stmt *block);
Graph *data_graph(Unit *u);

/* The names of a data schema, for messages: "image, label". */
char *field_names(Arena *a, const DataSchema *d);

#endif
