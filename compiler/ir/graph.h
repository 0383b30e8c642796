/* Graph: the typed dataflow graph (SSA) of Weft.
 *
 * Forward, backward and optimizer are the same kind of graph. A node has an
 * operation (a row of op.def), inputs, attributes, a dtype, a shape and the
 * span of the source it came from. A loop over time is one `scan` node that
 * owns a body graph. Nodes are made by node_new alone, which checks arity and
 * attributes and infers dtype and shape by the operation's rule.
 *
 * The batch. A tensor that depends on the sample has the symbolic dimension N
 * as axis 0 ("row" tensors). Parameters and what is computed from them alone
 * have no N. A sum over the batch is made in two steps so that its order is a
 * property of the graph: `batch_contract` gives one partial per shard (axis 0
 * is the symbolic dimension S), `sum_shards` adds them in order. A shard is
 * shard_rows(n) consecutive rows (base/type.h).
 *
 * Elementwise operations broadcast: leading N (or S) aligns with N (or S), the
 * other axes are aligned on the right, extents equal or 1. float64 scalars
 * without N (hyperparameters, step, constants) adapt: combined with a tensor
 * of another float type they are rounded to it first ("weak").
 */
#ifndef WEFT_GRAPH_H
#define WEFT_GRAPH_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/type.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum {
#define OP(name, ...) OP_##name,
#define MAP1(name, ...) OP_##name,
#define MAP2(name, ...) OP_##name,
#define MAP3(name, ...) OP_##name,
#include "ir/op.def"
    NOP
} Op;

typedef enum {
    KIND_leaf,    /* input, const, ...: no computation over inputs */
    KIND_map,     /* elementwise */
    KIND_view,    /* index arithmetic only: slice, reshape, transpose, ... */
    KIND_reduce,  /* within a sample, or over a parameter */
    KIND_contract,
    KIND_batch,   /* across the batch's rows or shards */
    KIND_gather,
    KIND_scatter,
    KIND_scan,
    KIND_other
} OpKind;

/* Attributes: key and value; which keys an operation has is in its row. */
typedef enum { AT_none, AT_int, AT_float, AT_str, AT_ints, AT_floats, AT_dim, AT_shape } AttrType;
typedef enum {
#define ATTR(name, type, doc) ATTR_##name,
#include "ir/attr.def"
    NATTR
} AttrKey;

typedef struct {
    AttrKey key;
    AttrType type;
    int n;                 /* of ints, floats */
    union {
        int64_t i;
        double f;
        const char *s;
        const int64_t *ints;
        const double *floats;
        Dim dim;
        Shape shape;
    } u;
} Attr;

typedef struct Graph Graph;
typedef struct Node Node;

struct Node {
    Op op;
    Dtype dtype;
    Shape shape;
    int nin, nattr;
    Node **in;
    Attr *attr;
    Graph *graph;      /* the graph it lives in */
    Graph *body;       /* OP_scan: its body, owned */
    const char *name;  /* for people: may be null */
    Span span;
    int id;            /* index in graph->nodes; stable until graph_compact */
    void *aux;         /* scratch of the running pass */
};

/* A named result. Inputs are OP_input nodes with their role and name as attributes. */
typedef struct { Role role; const char *name; Node *node; } Output;

struct Graph {
    Arena *arena;
    const char *name;
    Graph *outer;              /* the graph that holds the scan, for a body */
    LIST(Node *) nodes;        /* in topological order: inputs before users */
    LIST(Node *) inputs;       /* OP_input nodes, in order (a body's: carries, sequences, consts) */
    LIST(Output) outputs;      /* (a body's: next carries, then stacked values) */
    LIST(const char *) lengths;/* names of SYM_length + i; bodies ask the outermost graph */
    LIST(int64_t) length_most; /* T<=200: 200, else 0 */
    int64_t columns;           /* compiled code has features in the vector lanes, and batches
                                  of about so many rows are expected; 0: rows in the lanes */
};

/* ---- building ---- */

Graph *graph_new(Arena *a, const char *name);
/* The symbol of a run-time length, made when new (in the outermost graph); -1
 * when there are too many (SYM_MOST). */
int graph_length(Graph *g, const char *name, int64_t most);

/* Makes a node, infers dtype and shape, appends it. Attributes are copied.
 * Operands must suit the operation: callers that face the user (sema) check
 * first with shape_check; here a mismatch is a bug. */
Node *node_new(Graph *g, Op op, Span at, Node *const *in, int nin, const Attr *attr, int nattr);
Node *node1(Graph *g, Op op, Node *x);            /* maps; the span is x's */
Node *node2(Graph *g, Op op, Node *x, Node *y);   /* the span is joined */
Node *node3(Graph *g, Op op, Node *x, Node *y, Node *z);

Node *graph_input(Graph *g, Role role, const char *name, Dtype dt, Shape shape, Span at);
void graph_output(Graph *g, Role role, const char *name, Node *n);
Node *graph_find_input(const Graph *g, Role role, const char *name);   /* null when absent */
Node *graph_find_output(const Graph *g, Role role, const char *name);

Node *make_const(Graph *g, double v);                                 /* weak f64 scalar */
Node *make_const_of(Graph *g, Dtype dt, double v);                    /* rank 0 of dt */
Node *make_tensor(Graph *g, Dtype dt, Shape s, const double *v, int n, Span at);
Node *make_cast(Graph *g, Node *x, Dtype dt);                         /* x itself when equal */
Node *make_broadcast(Graph *g, Node *x, Shape s);                     /* x itself when equal */
Node *make_reshape(Graph *g, Node *x, Shape s);
Node *make_transpose(Graph *g, Node *x, const int *perm);             /* perm of all axes */
/* out[i] = x[start + step * i] along axis, `size` of them. */
Node *make_slice(Graph *g, Node *x, int axis, Dim start, Dim size, int step);
/* The inverse: zeros of extent `size` along axis, with out[start + step * i] = x[i]. */
Node *make_pad(Graph *g, Node *x, int axis, Dim start, Dim size, int step);
Node *make_concat(Graph *g, Node *const *in, int nin, int axis);
/* Reduces the axes given (never N). Sum: 16 interleaved partials over the
 * flattened reduced axes, then the tree p[j] += p[j+8], +4, +2, +1. */
Node *make_reduce(Graph *g, Op op, Node *x, const int *axes, int naxes);
/* See contract.h for the notation: make_contract(g, "nk,km->nm", (Node *[]){x, w}, 2). */
Node *make_contract(Graph *g, const char *spec, Node *const *in, int nin);
/* The same with N contracted: [S, ...] partials; acc (or null) continues its chains. */
Node *make_batch_contract(Graph *g, const char *spec, Node *acc, Node *a, Node *b);
/* Sum over N alone, other axes kept: the two steps in one call. */
Node *make_batch_sum(Graph *g, Node *x);
Node *make_dim(Graph *g, Dim d);                                      /* its value, f64 scalar */

/* A scan over `body`, whose inputs must be ncarry + nseq + nconst OP_input
 * nodes of ROLE_body and whose outputs are ncarry next values, then stacks.
 * seq[i]: [N, T, ...] gives the body [N, ...]; without N: [T, ...] gives [...].
 * Stacked outputs come back as [N, T, ...] (or [T, ...]). `reverse` walks from
 * the last step to the first; stacks stay in the sequence's order. The body is
 * made with graph_new; set its `outer` at once where messages may name lengths
 * (make_scan sets it anyway). The scan node itself has no type: f32, rank 0. */
Node *make_scan(Graph *g, Span at, Graph *body, Node *const *init, int ncarry, Node *const *seq,
                int nseq, Node *const *consts, int nconst, Dim length, bool reverse);
Node *make_result(Graph *g, Node *scan, int i); /* final carries, then stacks */

/* ---- asking ---- */

typedef struct {
    const char *name, *doc, *formula;
    int arity;             /* -1: any number */
    OpKind kind;
    const char *attrs;     /* attribute names, separated by spaces */
    const char *domain;    /* of the generated tests: any, positive, unit, kink, int, ... */
} OpInfo;
extern const OpInfo op_info[NOP];
Op op_by_name(const char *name); /* NOP when none */
/* A map's formula for people: op_info's without the outer parentheses; null for other kinds. */
const char *op_formula(Arena *a, Op op);

const Attr *attr_get(const Node *n, AttrKey k);            /* null when absent */
int64_t attr_int(const Node *n, AttrKey k, int64_t other); /* `other` when absent */
const char *attr_str(const Node *n, AttrKey k);            /* null when absent */
Attr attr_of_int(AttrKey k, int64_t v);
Attr attr_of_float(AttrKey k, double v);
Attr attr_of_str(AttrKey k, const char *v);
Attr attr_of_ints(AttrKey k, const int64_t *v, int n);
Attr attr_of_floats(AttrKey k, const double *v, int n);
Attr attr_of_dim(AttrKey k, Dim d);
Attr attr_of_shape(AttrKey k, Shape s);
bool attr_equal(const Attr *a, const Attr *b);

Dim dim_int(int64_t v);
Dim dim_sym(int sym);
bool dim_equal(Dim a, Dim b);
bool dim_is(Dim a, int64_t v);
bool dim_const(Dim a, int64_t *v);
/* Arithmetic in normal form; false where the result has none.
 * dim_affine: floor((mul * a + add) / div). */
bool dim_affine(Dim a, int64_t mul, int64_t add, int64_t div, Dim *out);
bool dim_add(Dim a, Dim b, Dim *out);

Shape shape_of(int rank, ...);                     /* of Dim */
bool shape_equal(const Shape *a, const Shape *b);
bool shape_has_batch(const Shape *s);              /* axis 0 is N */
bool shape_has_shards(const Shape *s);             /* axis 0 is S */
/* Elements without symbolic axes (false when a length is among the others). */
bool shape_count(const Shape *s, int from, int64_t *count);
/* "[28, 28]", the batch left out as users see it; "f32[N, 28, 28]" with dtype. */
char *shape_text(Arena *a, const Graph *g, const Shape *s);
char *type_text(Arena *a, const Graph *g, const Node *n);
char *dim_text(Arena *a, const Graph *g, Dim d);

/* Broadcast of two shapes by the rule above; false when they clash. */
bool shape_broadcast(const Shape *a, const Shape *b, Shape *out);
/* Would node_new accept this? If not, *why gets a sentence for the user. */
bool shape_check(Graph *g, Op op, Node *const *in, int nin, const Attr *attr, int nattr,
                 Dtype *dt, Shape *s, const char **why);

/* ---- walking and changing ---- */

/* Drops nodes that no output reaches (inputs stay), renumbers, keeps the order
 * where it is topological and restores it where graph_replace broke it. Bodies too. */
void graph_compact(Graph *g);
/* Points every use of `from` (also as output) at `to`, except to's own. A user may
 * then stand before `to`: graph_compact puts the order right. */
void graph_replace(Graph *g, Node *from, Node *to);
/* Users of each node by id: a fresh array of lists in `a`. */
typedef struct { LIST(Node *) at; } Users;
Users *graph_users(Arena *a, const Graph *g);
/* A deep copy into the arena `a`. */
Graph *graph_copy(Arena *a, const Graph *g);

/* ---- text and checks ---- */

/* Text that graph_read parses back to an equal graph (nodes numbered depth
 * first from the outputs, so that it does not depend on making order). */
char *graph_text(Arena *a, const Graph *g);
Graph *graph_read(Arena *a, Diag *d, int32_t source);
/* Checks every invariant; null when sound, else a sentence naming node and rule. */
const char *graph_verify(Arena *a, const Graph *g);
/* Graphviz. */
char *graph_dot(Arena *a, const Graph *g);
/* Parts of it: text for a label, escaped and cut to a width; a node's shape and colour; its
 * operation. */
const char *dot_label(Arena *a, const char *s, int width);
const char *dot_style(const Node *n);
const char *dot_head(Arena *a, const Node *n);

#endif
