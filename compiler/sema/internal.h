/* Sema's own contract: values, scopes, definitions and the expander.
 *
 * Sema runs the syntax tree like a program whose values are known when
 * compiling, except tensors, which are nodes of the graph being built. A `Val`
 * is such a value; a `Scope` names them; a `Definition` is something that can
 * be called (a layer, a cell, a loss, ...); a `Recipe` is a definition with
 * its constructor arguments; an `Instance` is a recipe with a place for its
 * parameters. The `Expander` holds one expansion: the graph, the purpose, the
 * current path of layers, what to blame.
 *
 * VAL_poison stands for what was reported already: every function here takes
 * it and gives it back silently. After a failed call the message is in the Diag.
 */
#ifndef WEFT_SEMA_INTERNAL_H
#define WEFT_SEMA_INTERNAL_H

#include "sema/sema.h"

typedef struct Val Val;
typedef struct Scope Scope;
typedef struct Definition Definition;
typedef struct Definitions Definitions;
typedef struct Recipe Recipe;
typedef struct Instance Instance;
typedef struct Frame Frame;
typedef struct Loop Loop;
typedef struct Expander Expander;
typedef struct Param Param;
typedef struct UnitState UnitState;
typedef struct Builtin Builtin;
typedef struct Call Call;

/* ---- values ---- */

typedef enum {
    VAL_poison,     /* already reported */
    VAL_none,
    VAL_bool,
    VAL_int,        /* exact */
    VAL_number,     /* double */
    VAL_string,     /* "same"; also a bare name that means nothing else (then `bare`) */
    VAL_dtype,
    VAL_extent,     /* a size known at run time: Dim */
    VAL_step,       /* t, t-1 in a cell or optimizer: `back` steps behind t */
    VAL_list,
    VAL_tuple,      /* also what a layer with several outputs gives */
    VAL_dict,
    VAL_tensor,
    VAL_state,      /* a state, slot or input in a cell: only x[t-k] or, for inputs, x itself */
    VAL_definition,
    VAL_recipe,
    VAL_instance,
    VAL_builtin,    /* exp, concat, ... */
    VAL_later,      /* an initialiser's expression, evaluated for each parameter's shape */
    VAL_data,       /* a data block: digits, digits.test */
    NVAL
} ValKind;

typedef struct { const char *key; Span span; Val *value; } DictItem;

struct Val {
    ValKind kind;
    Span span;                      /* where it was written or declared: for notes */
    union {
        bool b;
        int64_t i;
        double f;
        struct { const char *s; const char *near; bool bare; } text;
        Dtype dtype;
        Dim dim;
        int back;
        struct { Val *at; int n; } list;       /* list, tuple */
        struct { DictItem *at; int n; } dict;
        struct {
            Node *node;                        /* batch: shape_has_batch(&node->shape) */
            Node *mask;                        /* bool [N, T], or null */
            const Instance *from;              /* the layer that made it, or null */
        } t;
        struct { Frame *frame; int index; } state;
        const Definition *def;
        Recipe *recipe;
        Instance *instance;
        const Builtin *builtin;
        struct { const Expr *value; Scope *scope; } later;
        struct { const Stmt *block; bool test; } data;
    } u;
};

Val val_poison(void);
Val val_none(Span at);
Val val_bool(bool b, Span at);
Val val_int(int64_t i, Span at);
Val val_number(double f, Span at);
Val val_string(const char *s, Span at);
Val val_tensor(Node *n, Span at);
Val val_dim(Dim d, Span at);                   /* int when constant, else extent */
Val val_list(Arena *a, ValKind list_or_tuple, const Val *at, int n, Span span);
bool val_is(const Val *v, ValKind k);
/* The text of a string, the name of a definition, recipe or builtin; or null. */
const char *val_name(const Val *v);
const char *builtin_name(const Builtin *b);
bool val_is_string(const Val *v, const char *s); /* a string or bare name with this text */
/* "an integer", "a tensor [28, 28]", "the layer LSTM": for messages. */
char *val_text(Expander *x, const Val *v);

/* ---- scopes ---- */

typedef struct { const char *name; Val val; } Binding;
struct Scope {
    Scope *parent;                  /* null: the definitions of `defs` are asked next */
    Definitions *defs;
    LIST(Binding) names;
};

Scope *scope_new(Arena *a, Scope *parent, Definitions *defs);
Binding *scope_find(const Scope *s, const char *name); /* null when absent; asks parents */
void scope_set(Arena *a, Scope *s, const char *name, Val v);

/* ---- definitions ---- */

typedef enum {
    DEF_function, DEF_layer, DEF_cell, DEF_loss, DEF_optimizer, DEF_metric, DEF_model, NDEF
} DefKind;

/* What a name is looked up for. Activations, initialisers, regularisers and
 * constraints are functions; regularisers and constraints take the weight as
 * `input`; initialisers see the given names shape, fan_in, fan_out. */
struct Definition {
    const char *name;
    DefKind kind;
    const Stmt *stmt;               /* formals, body; the prelude's: null until looked up */
    Span text;                      /* the prelude's: where it stands */
    Definitions *defs;              /* what its body sees */
    bool is_prelude, has_inputs;    /* has_inputs: `input` in its body */
    const char *category;           /* prelude: its file's name ("activations"), else "" */
    Val (*native)(Expander *x, Instance *self, Call *c, Span at); /* C body, or null */
};

struct Definitions {
    Session *session;
    Definitions *outer;             /* the prelude, behind a file */
    LIST(Definition *) at;
    LIST(const Stmt *) lets;        /* top-level, in order */
    LIST(const Stmt *) blocks;      /* model, train, data */
};

/* Names, kinds and places of the prelude's definitions; each is parsed when it is looked up. */
Definitions *prelude_definitions(Session *s);
/* Collects a parsed file and its imports; reports names defined twice. */
Definitions *definitions_new(Session *s, Definitions *outer, const File *f, const char *path);
/* Kinds is a bit set of 1 << DEF_...; 0: any. Tries the name, then its alias
 * (swish, MSE) and its snake case (GlorotUniform). Null when absent. */
const Definition *definition_find(const Definitions *d, const char *name, unsigned kinds);
/* Nearest name of those kinds, or null. */
const char *definition_nearest(const Definitions *d, const char *name, unsigned kinds);
const char *def_kind_name(DefKind k);
char *snake_case(Arena *a, const char *name); /* GlorotUniform -> glorot_uniform, LSTM -> lstm */
/* The text of a Keras spelling in Weft's ("swish" -> "silu"), or null. */
const char *alias_of(const char *name);

/* A definition with constructor arguments: one Val a formal, defaults filled in
 * (evaluated when the body is entered, since a default may name a formal). */
struct Recipe {
    const Definition *def;
    Val *arg;                       /* by formal */
    bool *given;
    struct {
        bool return_sequences, return_state, go_backwards, stateful, zero_output_for_mask;
    } rnn;
    unsigned rnn_given;             /* bit i: the i-th of the five was written */
    const char *name;               /* name=, or null */
    bool frozen;                    /* freeze(layer), trainable=false */
    Span span;
};

struct Instance {
    const Recipe *recipe;
    const char *parent;             /* the path of the body that made it */
    const char *path;               /* "bidirectional/forward_lstm"; null until it is applied */
    const char *name;               /* its last part */
    bool listed;                    /* in the layer table already */
    bool read;                      /* its name was used */
    Scope *scope;                   /* formals */
};

/* ---- parameters and buffers ---- */

struct Param {
    Role role;                      /* ROLE_param, ROLE_buffer, ROLE_state */
    const char *name;
    Shape shape;
    Dtype dtype;
    bool trainable;
    Span span, decl;                /* the user's layer; the declaration */
    const Expr *init;               /* evaluated by param_initial */
    Val init_val;                   /* instead of init, when its kind is not poison */
    Scope *scope;
    Val regularizer, constraint;    /* none, or callable on the weight */
    int index;                      /* among those of its role */
    bool fresh;                     /* just made: init and the block are not set yet */
};

/* The initial value in x->g: of p's dtype and shape. Null after an error. */
Node *param_initial(Expander *x, const Param *p);

/* Finds or makes one in the unit's table; null when the shape differs. */
Param *param_make(Expander *x, Role role, const char *name, Shape shape, Dtype dt, Span decl);
/* Its input of x->top. */
Node *param_node(Expander *x, const Param *p);
/* An initialiser (zeros, glorot_uniform, a number, a tensor) for this shape. */
Node *initial_value(Expander *x, Val v, Shape shape, Dtype dt, Span at);

/* ---- expansion ---- */

/* What a Frame leaves to its kind: optimizers and metrics (train) give their
 * own meaning to slot, sum and update, and to name[t], name[t-1]. Null members
 * mean that the statement is an error there. */
typedef struct {
    bool (*declare)(Expander *x, Frame *f, const Stmt *s);              /* slot, sum */
    bool (*update)(Expander *x, Frame *f, const Stmt *s);
    /* Is `name` a state here? Its index, or -1. */
    int (*find)(Expander *x, Frame *f, const char *name);
    Val (*read)(Expander *x, Frame *f, int index, int back, Span at);   /* back 0: name[t] */
    bool (*define)(Expander *x, Frame *f, int index, Val v, Span at);   /* name[t] = v */
} FrameHooks;

/* `gradient x = dx` in a function; x and dx null where the argument is no tensor. */
typedef struct { const char *name; Span span; Node *arriving, *x, *dx; } Own;
enum { OWN_MOST = 64 }; /* arguments of a function */

/* One body being expanded. Statements of repeat, for and if share its scope. */
struct Frame {
    Frame *outer;
    const Definition *def;          /* null: a block (model, data, train) */
    const Stmt *stmt;               /* the definition or block */
    DefKind kind;
    Scope *scope;
    Instance *self;                 /* layers, cells, models; else null */
    const FrameHooks *hooks;
    void *data;                     /* of the hooks */
    Node *t;                        /* what t is as a tensor, or null: not known here */
    Val *in; int nin;               /* inputs, bound by `input` statements in order */
    const Declarator *const *in_decl; /* their declarators */
    /* results */
    LIST(Val) outputs;
    LIST(const char *) output_names;/* null entries: unnamed */
    LIST(Span) output_spans;
    Val current;                    /* sequential bodies: the tensor so far */
    Span first_bare, first_named;   /* to report mixing */
    LIST(const Declarator *) declared; /* params, buffers, states */
    bool failed, mixed;
    LIST(Own) own;                  /* gradients that the function states: own.c */
    struct CellState *cell;         /* cells: rnn.c */
};

typedef struct { const char *name; Node *node; Span span; } AddedLoss; /* weak or real scalar */
typedef struct { const char *name; Node *node; const Instance *layer; } NamedTensor;
typedef struct { const Param *buffer; Node *value; } BufferUpdate;
typedef struct { const char *path; int count; } NameCount;
typedef struct { Node *value; const Param *mean, *deviation; Span span; } Fitted; /* standardize */
typedef struct { const Stmt *let; Val val; bool busy; } Global;

/* A scan being built: its body takes what it needs from around as constants.
 * A carry has its initial value, the body's input and its next value. */
typedef struct { Node *around, *in, *next; } Carry;
typedef struct { Node *around, *in; } Taken;
struct Loop {
    Loop *outer;
    Graph *body, *around;
    LIST(Carry) carries;
    LIST(Taken) seqs, consts;
    Dim length;
    Node *t;                        /* i32 scalar counting from 1, made on demand */
    Node *mask;                     /* in the body, bool [N]; or null */
};

struct Expander {
    Session *session;
    Unit *unit;                     /* may be null: gradchecks of prelude, tests */
    UnitState *state;
    Arena *a;
    Diag *d;
    Graph *g;                       /* being built; a body while in a cell */
    Graph *top;                     /* the outermost */
    bool training;
    bool differentiated;            /* what is built here goes through grad/ */
    Purpose purpose;
    Dtype real;
    Frame *frame;
    Loop *loop;                     /* the scan being built, or null */
    const char *path;               /* of layers, "" at the top */
    Span user;                      /* innermost call written by the user */
    Span call;                      /* the call of the user's definition being expanded */
    Node *seed, *step, *epoch;      /* ROLE_scalar inputs of top, made on demand */
    int64_t key;                    /* next random key */
    unsigned prefer;                /* kinds of definitions that names mean first */
    int depth, expr_depth, layer_depth;
    bool too_deep, too_much;        /* reported */
    bool muted;                     /* the last fail said nothing */
    int64_t work;                   /* statements and nodes so far: the limit's count */
    bool in_initial;                /* given names shape, fan_in, fan_out are known */
    bool no_batch;                  /* the init graph */
    Shape given_shape;
    LIST(NameCount) counts;         /* layer names handed out */
    LIST(LayerInfo) layers;
    LIST(PortInfo) inputs;          /* of the model */
    LIST(NamedTensor) named;        /* outputs of layers by their paths, the model's names */
    Scope *fields;                  /* data by name, or null: inputs come from outside */
    LIST(AddedLoss) losses;         /* add_loss, activity regularisers */
    LIST(BufferUpdate) updates;
    LIST(Fitted) fitted;            /* uses of standardize in the data block, in order */
    LIST(Global) globals;           /* top-level lets evaluated so far */
    bool frozen;                    /* inside freeze(...) */
    bool in_data;                   /* in a data block: there are no weights */
};

/* A fresh expansion into g. */
Expander *expander_new(Unit *u, Graph *g, Purpose purpose, bool training);

/* The place to blame: `at`, or the user's call while `at` is in the prelude. */
Span blame(const Expander *x, Span at);

/* Reports (with the shapes in the user's notation where %s text is wanted) and
 * gives poison. The note tells of the call when inside a user's definition. */
Val fail(Expander *x, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A note to the last fail; silent where that one was (the same place twice). */
void note(Expander *x, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));
Val unsupported(Expander *x, Span at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Reports a bare name that means nothing ("unknown name"); false for all else. */
bool unknown_name(Expander *x, const Val *v, Span at);

/* -- expressions -- */
Val eval_expr(Expander *x, Scope *s, const Expr *e);
/* The same, and what is not of the kind asked is reported; `what` names it. */
bool eval_int(Expander *x, Scope *s, const Expr *e, const char *what, int64_t *out);
bool eval_number(Expander *x, Scope *s, const Expr *e, const char *what, double *out);
bool eval_bool(Expander *x, Scope *s, const Expr *e, const char *what, bool *out);
bool val_as_int(Expander *x, const Val *v, Span at, const char *what, int64_t *out);
bool val_as_number(Expander *x, const Val *v, Span at, const char *what, double *out);
bool val_as_bool(Expander *x, const Val *v, Span at, const char *what, bool *out);

/* Parts of eval_expr: call.c and rnn.c. */
Val eval_attr(Expander *x, Scope *s, const Expr *e);
Val eval_call(Expander *x, Scope *s, const Expr *e);
Val eval_arrow(Expander *x, Scope *s, const Expr *e);
/* name[index] where index is a time (t-1) and name a state, slot or input:
 * true with *out filled; false: an ordinary index. */
bool read_in_time(Expander *x, Scope *s, const Expr *name, const Expr *index, Span at, Val *out);
/* What a name bound to v means: a recipe of a layer becomes an instance, a
 * tensor's node takes the name. */
Val named_value(Expander *x, Val v, const char *name, Span at);

/* Data blocks by name, and digits.test, digits.count: data.c. */
bool data_name(const Expander *x, const char *name, Span at, Val *out);
Val data_fact(Expander *x, const Val *data, const char *name, Span at);

/* Functions that are no definitions: exp, concat, dim, require. */
const Builtin *builtin_find(Arena *a, const char *name); /* null when there is none */
const char *const *builtin_names(Arena *a, int *n);

/* -- tensors -- */
/* The value as a node of x->g: numbers become weak constants, bools constants,
 * lists of numbers tensors, nodes of an outer graph inputs of the body. Null
 * after reporting (a layer used as a tensor, none, ...). */
Node *val_to_tensor(Expander *x, const Val *v, Span at);
/* n seen from x->g (a scan's body takes it as a constant). */
Node *import_node(Expander *x, Node *n, Span at);
/* An operation with its operands checked by shape_check: poison and a message
 * with the shapes when they clash. Numeric operands are converted: bool and
 * integers to the real type where a float is wanted or the other is one. */
Val make_op(Expander *x, Op op, const Val *in, int nin, const Attr *attr, int nattr, Span at);
Val make_op1(Expander *x, Op op, Val a, Span at);
Val make_op2(Expander *x, Op op, Val a, Val b, Span at);
Val make_product(Expander *x, Val a, Val b, Span at);          /* a @ b */
/* Reductions: op is OP_reduce_sum, _max, _min; axis none: all written axes. */
Val make_reduction(Expander *x, Op op, Val v, const Val *axis, bool keepdims, bool mean, Span at);
/* The value in the real type (integers and bools converted, weak f64 too). */
Node *to_real(Expander *x, Node *n);
/* An axis argument of a tensor as a graph axis; -1 after reporting. `batch` is
 * allowed when is_batch is not null (then *is_batch and -1 without a message). */
int axis_of(Expander *x, const Val *axis, const Node *n, Span at, bool *is_batch);
/* The shape as the user writes it, without the batch: "[28, 28]". */
char *shape_words(Expander *x, const Node *n);
/* A row tensor [N, shape] or a plain one; n must broadcast to it. */
Node *broadcast_to(Expander *x, Node *n, Shape s, Span at, const char *what);
/* Adds a loss to the training's: a number, or one a sample (then their mean). */
bool add_loss(Expander *x, Val v, const char *name, Span at);
/* Uniform numbers in [0, 1) of this shape, a new key. */
Node *random_uniform(Expander *x, Shape s, Span at);
/* The same with a key of the caller's (a `seed=` argument). */
Node *random_keyed(Expander *x, Shape s, int64_t key, Span at);
/* Joined along the written axis counted from 0 (negative: from the end). */
/* x[0, 1:3]; e is the EX_index, v the value of its first kid. */
Val index_tensor(Expander *x, Scope *s, Val v, const Expr *e);
Val split_tensor(Expander *x, Val v, int64_t parts, int graph_axis, Span at);
Val reshape_tensor(Expander *x, Val v, const Val *dims, Span at); /* dims: a list */
/* a op b on any values: numbers at once, tensors as a node. */
Val binary_values(Expander *x, AstOp op, Val a, Val b, Span at);
Val unary_value(Expander *x, AstOp op, Val a, Span at);
/* c ? a : b where c is a tensor (a select). */
Val select_values(Expander *x, Val c, Val a, Val b, Span at);
Val concat_values(Expander *x, const Val *in, int n, int written_axis, Span at);
/* Counts work; false, reported once, when a model expands without end. */
bool work_left(Expander *x, Span at);
/* Notes where an operand (printed as `words`) comes from, unless it is `at`. */
void note_operand(Expander *x, const Val *v, Span at, const char *words);
/* t - back as a tensor of x->g. */
Node *step_tensor(Expander *x, int back, Span at);
Node *loop_time(Expander *x);  /* the i32 step of x->loop, counting from 1 */
const char *state_name(const Val *v);
/* "step", "epoch" (f64) or "seed" (i32), as a node of x->g. */
Node *scalar_input(Expander *x, const char *name);

/* -- calls -- */
/* The name may be null. */
typedef struct { const char *name; Span name_span; Val value; Span span; } CallArg;

/* Binds arguments to the formals of `def` and fills defaults; layers and cells
 * also take name= and trainable=, cells return_sequences= and its like. Null
 * after reporting. */
Recipe *recipe_bind(Expander *x, const Definition *def, const CallArg *args, int nargs, Span at);
/* The recipe with some arguments replaced: copy(recipe, go_backwards=true). */
Recipe *recipe_copy(Expander *x, const Recipe *r, const CallArg *args, int nargs, Span at);
/* r.name: a formal's value or a cell's option; false when there is none. */
bool recipe_attr(const Recipe *r, const char *name, Span at, Val *out);
/* The prelude's definition being expanded ("Bidirectional"), whom the user called, or `other`. */
const char *prelude_caller(const Expander *x, const char *other);
char *path_join(Arena *a, const char *path, const char *name);
/* f(args): functions give their value; definitions with inputs (layers, cells,
 * losses, regularisers) a recipe; recipes and instances are applied to tensors;
 * none is the identity. */
struct Call {                       /* tensors bound to the inputs of a body */
    const Declarator *const *decl;
    const bool *is_static;
    Val *in;                        /* by declarator; poison where not given */
    bool *given;
    int n;
    Val initial_state, mask;        /* poison where not given */
};
typedef struct { Span user, call; const char *path; bool frozen; } Called;

/* as_layer: a cell runs over time even inside a cell (RNN(Cell)(x)). */
Val apply_instance(Expander *x, Instance *self, const CallArg *args, int nargs, Span at,
                   bool as_layer);
/* Does the body have an input of that name (or is it mask, initial_state)? */
bool takes_input(Expander *x, const Definition *d, const char *name);
bool definition_takes(const Definition *d, const char *name); /* a formal of that name */
Val builtin_call(Expander *x, const Builtin *b, const CallArg *args, int nargs, Span at);
/* Cells: over a sequence, and one step inside another cell. */
Val run_cell(Expander *x, Instance *self, Call *c, Span at);
Val step_cell(Expander *x, Instance *self, Call *c, Span at);
bool param_of_instance(Expander *x, const Instance *in, const char *name, Span at, Val *out);
Val shape_list(Expander *x, const Node *n, Span at); /* written sizes */
Val call_value(Expander *x, const Val *callee, const CallArg *args, int nargs, Span at);
/* Applies a layer, function, loss, activation, regulariser, ... (also a string
 * or bare name of one of `kinds`, or none: the identity) to its inputs. */
Val apply(Expander *x, const Val *callee, unsigned kinds, const CallArg *in, int nin, Span at);
Val apply1(Expander *x, const Val *callee, unsigned kinds, Val in, Span at);
Val apply2(Expander *x, const Val *callee, unsigned kinds, Val in0, Val in1, Span at);
/* `gradient x = e` in a function's body. */
bool run_gradient(Expander *x, Frame *f, const Stmt *s);
/* The value `out` of a function with the gradients that its body states. */
Val own_gradient(Expander *x, const Frame *f, Val out);
/* A definition, recipe, string or bare name as a recipe of one of `kinds`; null
 * after reporting ("unknown loss 'mze'; did you mean mse"). `what`: "loss". */
Recipe *recipe_of(Expander *x, const Val *v, unsigned kinds, const char *what, Span at);
/* eval_expr where names are first looked up among definitions of `kinds`
 * (mse is a loss and a metric). */
Val eval_expr_as(Expander *x, Scope *s, const Expr *e, unsigned kinds);
/* A scope with the recipe's formals bound (defaults evaluated); null after an error. */
Scope *recipe_scope(Expander *x, const Recipe *r, Span at);
/* The value of formal `name` ("learning_rate"), or null when it has none. */
const Val *recipe_arg(const Recipe *r, const char *name);
/* An instance of a recipe at the current path; it gets its name (numbered
 * unless name= is given) when it is first applied, by instance_place. */
Instance *instance_new(Expander *x, const Recipe *r, Span at);
bool instance_place(Expander *x, Instance *in, Span at);

/* -- bodies -- */
/* Enters a body: pushes a frame (nesting and work are limited: null after
 * reporting). Set hooks, data, in, nin before frame_run. */
Frame *frame_enter(Expander *x, const Definition *def, const Stmt *stmt, DefKind kind, Scope *scope,
                   Instance *self, Span at);
void frame_leave(Expander *x, Frame *f);
/* Runs statements; false when one was reported (the rest was run as well). */
bool frame_run(Expander *x, Frame *f, const Stmt *const *body, int n);
/* The declarator's dims as a shape without batch; false after reporting. */
/* Checks a value against input x[time, n], binding names that are not known. */
bool match_input(Expander *x, Scope *s, const Declarator *d, const Val *v, Span at);
bool name_is_bound(Expander *x, const Scope *s, const char *name);
bool declared_shape(Expander *x, Scope *s, const Declarator *d, Shape *out);

/* Statements whose meaning is elsewhere: declare.c, rnn.c. */
bool run_declarator(Expander *x, Frame *f, const Stmt *s, const Declarator *d);
bool run_buffer_update(Expander *x, Frame *f, const Stmt *s);
bool run_once(Expander *x, Frame *f, const Stmt *s);
bool declare_state(Expander *x, Frame *f, const Declarator *d);
bool define_in_time(Expander *x, Frame *f, const Expr *target, Val v, Span at); /* h[t] = v */
void poison_targets(Expander *x, Frame *f, const Stmt *s); /* h[t] = something reported */
bool assign_value(Expander *x, Frame *f, const Stmt *s, Val v); /* s's targets = v */
void hash_stmt(uint64_t *h, const Stmt *s);
void note_used(Expander *x, const Definition *d); /* goes into the unit's definitions_hash */

/* The parameter `self->path/name`, made when new, as a node of x->g. */
Val param_use(Expander *x, Frame *f, const Declarator *d, Role role);

/* The text of a file, NUL-terminated; null with *why. */
char *read_text(Arena *a, const char *path, size_t *size, const char **why);

/* -- settings: --set path=value -- */
/* The expression of --set path=..., parsed once, or `other`. */
const Expr *setting(Expander *x, const char *path, const Expr *other);

/* ---- the unit ---- */

struct UnitState {
    Arena *a;
    const char *path;               /* of the file */
    const File *file;
    Definitions *defs;
    const Stmt *model, *train, *data;  /* chosen; train, data may be null */
    LIST(Param *) params;           /* ROLE_param, then as made; in order of creation */
    LIST(Param *) buffers, states;
    LIST(const char *) settings_used;
    LIST(const char *) setting_paths;   /* known ones, for suggestions */
    int32_t source;                 /* the file's Span.file */
    uint64_t hash;                  /* of the definitions used so far */
    LIST(const Definition *) used;
    bool published;                 /* layers, inputs and outputs stand in the Unit */
    struct TrainState *training;    /* train's own, made by train_open */
};

/* ---- what train*.c, data*.c, optimizer.c, metric.c and init.c give ---- */

/* Adds the arguments that every optimizer takes (clipnorm, weight_decay, ...) to the formals
 * of one that was read. */
void optimizer_prepare(Session *s, Definition *d);
/* Checks the train block and fills u->train; picks u->state->data from its
 * `data` attribute. Called once by unit_open, before the model is expanded. */
bool train_open(Unit *u, Expander *x);
/* Opens the data block's reader through the schema callback; fills u->data,
 * u->data_name. Called by unit_open after train_open, when there is a block. */
bool data_open(Unit *u, Expander *x);
/* Makes ROLE_data inputs for the fields and runs the transforms: fields as
 * tensors by name in *fields. `names`: only what these need (null: all). */
bool data_expand(Expander *x, Scope *fields);
/* The field that feeds the model's input `input` (by name; by shape or order
 * where no name fits); the caller checks its shape. Poison after reporting. */
Val data_bind(Expander *x, Scope *fields, const Declarator *input);
/* False after reporting a field that is made, used nowhere and nearly another's name. */
bool fields_used(const Unit *u);
/* Appends loss (with x->losses and regularisers of the parameters) as
 * ROLE_loss "loss"; `fields` holds the targets, `outputs` the model's. */
bool loss_expand(Expander *x, Scope *fields, const Val *outputs, const char *const *names, int n);
/* Appends ROLE_metric outputs; fills u->metric on the first call. */
bool metrics_expand(Expander *x, Scope *fields, const Val *outputs, const char *const *names,
                    int n);

#endif
