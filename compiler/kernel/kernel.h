/* Kernel IR: the loop trees between the Graph and machine code.
 *
 * A training step is a sequence of phases with a barrier after each. A row
 * phase runs once per block of Kernel.block rows of the batch: its code is
 * written for one sample, and the rows of the block lie in the vector lanes,
 * feature-major ([feature][row]), so that every operation is whole vectors
 * whatever its extent. Where a batch would leave many lanes idle (a few rows
 * over a multiple of the block, a single one), pass_layout asks for columns:
 * row-major ([row][feature]), with the last axis in the lanes. A parameter
 * phase works on tensors without N.
 *
 * A phase is a tree of steps: loops over time, and nests: loops over one index
 * domain at each point of which several graph nodes are computed in registers
 * (products with all that follows them at the same index). A node is stored
 * only when something outside of its nest reads it. Nodes are computed from
 * the graph itself: a nest names them, the emitter evaluates them at an index.
 */
#ifndef WEFT_KERNEL_H
#define WEFT_KERNEL_H

#include "ir/contract.h"
#include "ir/graph.h"
#include "program.h"

typedef enum {
    CLASS_host,  /* rank 0, from scalars alone: computed where it is used */
    CLASS_param, /* no rows: parameters and what comes from them */
    CLASS_row,   /* one value a row of the batch */
    CLASS_shard  /* partial sums of the batch */
} Class;

typedef enum {
    MEM_port,    /* the caller's, row-major */
    MEM_worker,  /* a worker's, for the block at hand */
    MEM_block,   /* one for each block of the batch */
    MEM_shard,   /* one for each shard of the batch */
    MEM_shared   /* one for all */
} MemKind;

typedef struct {
    int id;
    MemKind mem;
    Dtype dtype;
    bool lanes;       /* an element is Kernel.rows values, one for each row */
    int outer;        /* columns: axes (0 or 1) that stand before the row: [t][row][feature] */
    Shape shape;      /* without N and S */
    int slots;        /* copies one after the other: a carry has two */
    int port;         /* MEM_port: which, else -1 */
    bool pad_last;    /* the last axis is stored in whole vectors */
    bool strips;      /* an operand across the lanes: [.. last / PANEL_WIDTH][row][PANEL_WIDTH] */
    bool packed;      /* as products read it (STEP_pack): rows an odd number of cache lines
                         apart; columns: the last axis in vectors, each with all that
                         stands before it: [last / width][...][width] */
    const Node *literal;
    int first, last;  /* between which it is in use: steps of a worker's, barriers of
                         the others */
    const char *name; /* for people */
} Buffer;

typedef enum { SLOT_only, SLOT_first, SLOT_now, SLOT_next, SLOT_final } Slot;

/* Where a value lies: a buffer, in a slot, at step t of an enclosing loop. */
typedef struct {
    Buffer *buffer;
    Slot slot;     /* now, next: by the parity of `loop`'s count; final: of its extent */
    int loop;      /* -1: none */
    bool stacked;  /* the first axis is `loop`'s t */
    Dim extent;    /* SLOT_final: the loop's extent */
} Place;

/* The index along an axis becomes start + step * i, i < size (concat, pad). */
typedef struct { int axis, step; Dim start, size; } Cut;
enum { CUTS_MOST = RANK_MOST + 1 };

typedef struct {
    Node *value;   /* computed at the nest's index */
    Place to;
    int ncut;
    Cut cut[CUTS_MOST]; /* one after the other */
} Store;

typedef struct {
    int id;                /* its kernel's number */
    Shape domain;          /* without N */
    LIST(Node *) nodes;    /* computed at each point, in order */
    LIST(Node *) again;    /* what these and the stores read that is computed where it is read */
    LIST(Store) stores;
    bool flat;             /* parameter phase: every access is at the same index */
    int level;             /* parameter phase: barriers before it within the phase */
    Span span;
    const char *name;
} Nest;

typedef enum {
    STEP_nest, STEP_loop, STEP_batch, STEP_transpose, STEP_load, STEP_store, STEP_zero,
    STEP_scatter, STEP_pack, STEP_orthogonal
} StepKind;

extern const char *const step_kinds[]; /* for people */

typedef struct Step Step;
struct Step {
    StepKind kind;
    Nest *nest;
    int loop;              /* STEP_loop: its number in the frame, by how deep it lies */
    Dim extent;
    bool reverse;
    Node *node;            /* STEP_batch: the product; STEP_transpose: the operand;
                              STEP_scatter: the sum; STEP_pack: the copy;
                              STEP_orthogonal: the factor */
    Place across[2];       /* STEP_batch: an operand transposed; no buffer: as it is.
                              STEP_orthogonal: room to work in; the matrix */
    int vector;            /* STEP_batch: the operand with the axis across the lanes, or -1 */
    bool fresh;            /* STEP_batch: in a shard's first block the sums begin at 0, whatever
                              lies there; else they go on from what does */
    Buffer *panel;         /* STEP_batch: for a part of that operand; null: read as it lies */
    Buffer *total;         /* STEP_batch: where a thread adds up the shards' sums, for UNIT_ROWS
                              rows of the result; null: each shard keeps its own. `place` then
                              holds a shard's sums between two blocks */
    Place place;           /* what is read, written or zeroed */
    int port;              /* STEP_load, STEP_store */
    Buffer *outside;       /* the same: the caller's memory */
    int ncut;              /* STEP_zero: what these reach is left alone; axes ascend */
    Cut cut[CUTS_MOST];
    int level;             /* parameter phase */
    int time;              /* a row phase: as first and last of a worker's buffers count */
    int number;            /* of its kernel, in order of the walk; a loop has none: -1 */
    LIST(Step *) body;
    const char *name;
};

typedef struct {
    bool rows;
    LIST(Step *) steps;
    int nlevel;            /* parameter phase: levels, each ended by a barrier */
} Phase;

typedef struct {
    Role role;
    const char *name;
    Dtype dtype;
    Shape shape;
    bool is_input, is_output;
} KernelPort;

typedef struct {
    Arena *arena;
    const Graph *graph;
    Dtype real;
    bool columns;          /* [row][feature], features in the lanes; else [feature][row] */
    int block;             /* rows of a block */
    int rows;              /* of a block as buffers hold it: columns have room for a whole tile */
    LIST(Buffer *) buffers;
    LIST(KernelPort) ports;
    LIST(Phase *) phases;
    bool *apart;           /* by node: products over the batch that are made shard by shard */
    int nkernel;
    int loss_port;         /* -1: none */
    int loss_phase, loss_level; /* behind which the loss is known */
    const char *why;       /* set when something cannot be compiled */
} Kernel;

/* What lowering knows of a node (Node.aux while a Kernel is used). */
typedef struct {
    Class cls;
    int phase;
    Node *outer;     /* a body's sequence or constant: the value outside */
    int loop;        /* a sequence: the loop whose t leads the index */
    Nest *nest;
    bool again;      /* computed wherever it is read: in no nest, nowhere stored */
    int step;        /* index of the step that makes it, in its sequence of steps */
    const void *seq; /* that sequence */
    Place place;
    int local;       /* its number in its nest */
    Step *whole;     /* a product over the batch that the nest of its sum makes: how */
    void *memo;      /* a scan's stacks */
} NodeInfo;

#define INFO(node) ((NodeInfo *)(node)->aux)

/* Lowers a graph for blocks of `block` rows: BLOCK_ROWS, or BLOCK_ROWS_FEW where no
 * batch has more than BLOCK_ROWS; or 1, in columns, where every batch has one row. On a
 * limit, kernel->why is set. The graph's aux fields belong to the kernel from here on. */
Kernel *kernel_lower(Arena *a, Graph *g, int block);
/* Operation i of a nest: its nodes, then what is computed again; their number. */
Node *nest_operation(const Nest *nest, int i);
int nest_operations(const Nest *nest);
/* The node whose storage a read of n ends at: through views and loop edges. */
Node *kernel_base(Node *n);
/* Does the nest make products over the batch itself (NodeInfo.whole)? */
bool kernel_has_whole(const Nest *nest);
/* Fills in first and last of the buffers (a part of kernel_lower). */
void kernel_lifetimes(Kernel *k);
/* The name of a kernel: "k3_h_t_", of its kind, number and result. */
char *step_name(Arena *a, const Step *s);
/* Its place in the model: of its first product, else of the operation that it began with. */
Span step_span(const Step *s);
/* The kernels by number, in the arena, when the symbols (N, S, lengths) have the values `at`;
 * diag (may be null) knows files and lines. */
ProfileKernel *kernel_describe(Arena *a, const Kernel *k, const Diag *diag, const int64_t *at);
/* The buffers as the executor lays them out, for code whose vectors have `width` elements. */
StoreInfo *kernel_stores(Arena *a, const Kernel *k, int width);
/* Elements of a buffer's last axis as it is stored; 0: as many as the shape says. */
int64_t kernel_buffer_last(const Kernel *k, const Buffer *b, int width);
/* The tree as text. */
char *kernel_text(Arena *a, const Kernel *k);
/* Is it index arithmetic only? */
bool kernel_is_view(const Node *n);
enum { PANEL_ROWS = 128, PANEL_WIDTH = 64 }; /* of Step.panel */
enum { UNIT_ROWS = 12 }; /* of Step.total */
enum { COLUMN_TILE = 8 }; /* columns: rows of a register tile at most */
/* Leading axes that no index counts: 1 where axis 0 is N or S, else 0. */
int kernel_lead(const Node *n);
/* The shape without leading N or S. */
Shape shape_inner(const Shape *s);

#endif
