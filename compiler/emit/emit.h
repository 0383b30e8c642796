/* The emitter's own contract: from loop trees to LLVM IR.
 *
 * A function is emitted in one of three modes. MODE_lanes: a value is a vector
 * of `width` rows of the block, one of `parts` that make it up. MODE_flat: a
 * vector of consecutive elements of a parameter. MODE_columns: a vector of
 * consecutive elements of one row, along the nest's last axis, or, where that
 * does not suit, one element. MODE_scalar: one element.
 * Everything else (index arithmetic, formulas, polynomials) is the same code.
 */
#ifndef WEFT_EMIT_H
#define WEFT_EMIT_H

#include "emit/target.h"
#include "kernel/kernel.h"
#include "program.h"

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>

typedef LLVMValueRef V;

/* An index: v + c + step * (number of the lane); v null is 0. Constants apart,
 * so that they end up in the addressing mode. Only columns have a step. */
typedef struct { V v; int64_t c, step; } Ix;

typedef enum { MODE_scalar, MODE_lanes, MODE_flat, MODE_columns } Mode;

typedef struct { const void *a; const void *b; int64_t c; int op; V value; } Cached;

typedef struct {
    Arena *arena;
    const Kernel *k;
    const Diag *diag;
    struct DebugInfo *debug; /* null: none */
    Span span;               /* of the next function */
    const char *prefix;      /* of functions' names and literals': several programs may share a
                                module */
    LLVMContextRef cx;
    LLVMModuleRef m;
    LLVMBuilderRef b;
    LLVMTypeRef i1, i8, i16, i32, i64, f32, f64, ptr, none, kernel_type;
    LLVMTypeRef index;     /* integers of a pointer's size: lengths, positions, loops */
    const Target *target;
    const Version *version; /* of several in an object; null: the functions are for all */
    unsigned fma;          /* REAL_: llvm.fma is an instruction or may call; else mul and add */
    int width;             /* lanes of a vector */
    int parts;             /* vectors that make up a block's rows */
    int registers;
    int worker, workers;   /* this emitter makes every function of its turn */
    int turn[2];           /* light and heavy functions met so far */
    bool stamped;          /* profiled: calls are noted */
    bool is_entry;         /* functions are called from outside: they flush denormals */

    /* the function being emitted */
    Mode mode;
    int lanes;             /* of a value: width, or 1 */
    int part;
    V part_offset;         /* instead of part: the first row, known at run time */
    Ix row;                /* columns: the row of the block */
    int valid;             /* columns: lanes that exist, the first ones */
    bool irregular;        /* columns: an index met on the way that no step can express */
    V tile_row;            /* columns: the first row of the tile at hand */
    int tail;              /* columns: lanes of its last vector */
    V control;             /* is_entry: the caller's control word, or where it is kept */
    V fn, frame, mask;     /* mask: lanes that exist, null for all */
    LLVMBasicBlockRef entry;
    const Nest *nest;
    V unit_begin;          /* flat: the first element of the unit */
    V *memo;               /* [local * points + point]; a point: an index and a part */
    int points, point;
    int first_part, nparts;/* the parts of the tile at hand */
    LIST(Cached) entry_cache; /* values made in the entry block */
    LIST(Cached) block_cache; /* index arithmetic and loads of the current block */
    LLVMBasicBlockRef cached_block;
    Dtype constant_type;   /* of K() in a formula */
} Emit;

/* ---- types and constants (types.c) ---- */
LLVMTypeRef type_memory(Emit *e, Dtype dt);  /* as stored */
LLVMTypeRef type_value(Emit *e, Dtype dt);   /* as computed with, in the current mode */
LLVMTypeRef type_lanes(Emit *e, LLVMTypeRef t);
V const_i64(Emit *e, int64_t v);             /* of type e->index */
V const_value(Emit *e, Dtype dt, double v);
V splat(Emit *e, V scalar);
bool is_vector(V v);

/* ---- functions and loops (function.c) ---- */
/* False when another worker makes this function: it is declared only. */
bool function_begin(Emit *e, const char *name, Mode mode, bool heavy);
void function_end(Emit *e);
void function_attributes(Emit *e);           /* of e->fn: what every function has */
/* The processor's control word at an entry's beginning and end (control.c). */
void control_set(Emit *e);
void control_restore(Emit *e);
/* Moves the builder to the entry block's end and back. */
typedef struct { LLVMBasicBlockRef block; Mode mode; int lanes; } Elsewhere;
Elsewhere entry_enter(Emit *e, Mode mode);
void entry_leave(Emit *e, Elsewhere back);
V block_rows_emit(Emit *e, V n);             /* block_rows of n, which is 1 at least */
V shard_rows_emit(Emit *e, V n);             /* shard_rows */
V frame_word(Emit *e, int word);             /* an index, in the entry block, cached */
V frame_pointer(Emit *e, int word);
void frame_store(Emit *e, V word, V value);  /* here */
V dim_emit(Emit *e, Dim d);                  /* an index, in the entry block, cached */
V entry_find(Emit *e, const void *a, const void *b, int64_t c, int op);
V entry_keep(Emit *e, const void *a, const void *b, int64_t c, int op, V v);
V block_find(Emit *e, const void *a, const void *b, int64_t c, int op);
V block_keep(Emit *e, const void *a, const void *b, int64_t c, int op, V v);

/* for i in from..to step `by`, with nacc values carried round. Between the two
 * calls the builder is in the body and acc[] holds this round's values; set
 * them to the next round's before loop_end; after it they are the final ones. */
typedef struct { LLVMBasicBlockRef head, exit; V i, to, acc_phi[64]; int64_t by; int nacc; } Loop;
V loop_begin(Emit *e, Loop *l, V from, V to, int64_t by, V *acc, int nacc);
void loop_end(Emit *e, Loop *l, V *acc);

/* ---- debug information (debug.c) ---- */
void debug_begin(Emit *e);
void debug_end(Emit *e);
void debug_function(Emit *e, const char *name);
void debug_line(Emit *e, Span span);
typedef struct { uint64_t address; const char *name; } CodeName;
void debug_perf_map(CodeName *name, int n);

/* ---- index arithmetic (index.c) ---- */
Ix ix_const(int64_t c);
Ix ix_of(V v);
Ix ix_add(Emit *e, Ix a, Ix b);
Ix ix_scale(Emit *e, Ix a, Ix by);
Ix ix_dim(Emit *e, Dim d);
V ix_value(Emit *e, Ix a);
/* a / b, neither negative; *rest, where not null: a % b. */
V divide_emit(Emit *e, V a, V b, V *rest);
/* Row-major position of an index in a shape; last: extent stored for the last axis. */
Ix ix_linear(Emit *e, const Shape *s, const Ix *index, int64_t last);
/* The index of a row-major position. */
void ix_unravel(Emit *e, const Shape *s, Ix linear, Ix *index);

/* ---- memory (memory.c) ---- */
/* Stored extent of the last axis, 0: its own. */
int64_t buffer_last(const Emit *e, const Buffer *b);
V store_bytes_emit(Emit *e, const Buffer *b);        /* of one block or shard, as laid out */
V place_base(Emit *e, const Place *p);       /* pointer to the slot and step, entry block */
/* Position of an index of place_shape (or of a position in it) behind place_base;
 * columns: of the row at hand. */
Ix place_linear(Emit *e, const Place *p, const Ix *index, bool is_linear);
/* Pointer to the element at `linear` (of the part at hand when lanes). */
V place_at(Emit *e, const Place *p, Ix linear);
V load_element(Emit *e, const Place *p, Ix linear);  /* a value of the current mode */
void store_element(Emit *e, const Place *p, Ix linear, V value);
V memory_to_value(Emit *e, Dtype dt, V v);
V value_to_memory(Emit *e, Dtype dt, V v);
V load_plain(Emit *e, LLVMTypeRef t, V p);
void store_plain(Emit *e, V value, V p);
V at_offset(Emit *e, LLVMTypeRef t, V base, Ix at);
V masked_load(Emit *e, LLVMTypeRef t, V p, V mask);
void masked_store(Emit *e, V value, V p, V mask);
V lanes_below(Emit *e, V limit);             /* <width x i1>: lane < limit */
V lanes_first(Emit *e, int n);               /* the same for a constant; null for all */

/* ---- values (value.c, map.c) ---- */
/* The value of a node at an index of its inner shape, in the current mode. */
V value_at(Emit *e, Node *n, const Ix *index);
V value_host(Emit *e, Node *n);              /* scalar, entry block */
V lanes_insert(Emit *e, V vector, V scalar, int lane);
V value_compute(Emit *e, Node *n, const Ix *index); /* by its operation, no storage looked at */
V map_emit(Emit *e, const Node *n, const V *in);
V cast_emit(Emit *e, Dtype from, Dtype to, V v);
V row_number(Emit *e);                       /* i32 lanes: position in the batch */
bool is_row_number(const Node *n);            /* is it that, in a type of its own? */
void index_of_operand(Emit *e, const Node *n, int i, const Ix *index, Ix *out);
/* Walks views and loop edges: the storage node and the index there. *linear is
 * set instead of index when the position is known row-major. */
Node *value_base(Emit *e, Node *n, Ix *index, bool *is_linear);

/* ---- arithmetic (vector.c: the algebra; vmath.c: polynomials) ---- */
V fma_emit(Emit *e, V a, V b, V c);
V sqrt_emit(Emit *e, V x);
V call_intrinsic(Emit *e, const char *name, LLVMTypeRef *types, int ntypes, V *args, int nargs);
V vmath_call(Emit *e, const char *name, V x, V y);
V threefry_emit(Emit *e, V key0, V key1, V counter0, V counter1);

/* ---- products (contract.c, batch.c), rows (rows.c) ---- */
/* Computes the products group[0..n) of a nest at the points of a tile; results go
 * to the memo. */
void contract_emit(Emit *e, Node *const *group, int n, Ix (*index)[RANK_MOST], int points);
/* words.c: operation words, and a step of a product of words; bit o of is_unsigned: the bytes
 * of the o-th factor have no sign. */
V words_emit(Emit *e, Node *n, const Ix *index);
/* Do the words along the last axis end within the last one of a whole vector? Those cannot lie
 * across the lanes. */
bool words_end_in_vector(const Emit *e, const Node *n);
V words_step(Emit *e, V x, V y, V acc, unsigned is_unsigned);
/* May the two share their loops? */
bool contract_joins(const Node *a, const Node *b);
/* ---- pairs of bfloat16 (pair.c) ---- */
/* May two steps of a chain over this factor be one instruction? */
bool pair_suits(const Emit *e, Node *factor);
/* Words with the factor of one step in the high half and that of the next in the low one;
 * vectors or scalars. */
V pair_words(Emit *e, V k, V next);
/* Both steps: acc, a vector, goes on. */
V pair_emit(Emit *e, V x, V y, V acc);
/* Each emits a function and returns it. */
V batch_emit(Emit *e, const Step *s);
/* Rows of the result that a call makes, of a step with a total. */
int64_t batch_unit_rows(const Emit *e, const Step *s);
V transpose_emit(Emit *e, const Step *s);
V pack_emit(Emit *e, const Step *s);
/* Transposes width x width values in place. */
void exchange_emit(Emit *e, V *row);
V rows_load_emit(Emit *e, const Step *s);
V rows_store_emit(Emit *e, const Step *s);
V zero_emit(Emit *e, const Step *s);
V scatter_emit(Emit *e, const Step *s);
enum { PACK_PARTS = 16 }; /* of a packed copy, a call each */
V orthogonal_emit(Emit *e, const Step *s);
enum { SCATTER_PARTS = 16 }; /* ranges of the table's rows, a call each */

/* ---- nests (nest.c), phases (phase.c) ---- */
V nest_emit(Emit *e, const Step *s, bool rows);
/* Sets part, or row and mask, to those of a point of the tile at hand. */
void point_enter(Emit *e, int point);
/* columns.c: the loops of a nest over the block's rows and the last axis. */
void columns_emit(Emit *e, const Nest *nest, int group);
/* Products, the rest and stores at the points of a tile (index: of each point). */
void points_emit(Emit *e, const Nest *nest, Ix (*index)[RANK_MOST], int points);
/* The sum along the last axis of what is stored: the 16 partials are lanes; null
 * where that does not fit. */
V columns_sum(Emit *e, Node *n, const Ix *index, Ix count, V (*at)(Emit *, Node *, const Ix *, Ix));
/* Chunks of a parameter nest: each is one call. */
int64_t nest_units(const Emit *e, const Nest *nest);
enum { CHUNK = 8192 };
/* A flat nest at the elements of its unit, `each` in every one. */
void flat_emit(Emit *e, const Nest *nest, int64_t each);
/* whole.c: a flat nest that makes products over the batch itself. */
V whole_emit(Emit *e, const Step *s);
int64_t whole_units(const Emit *e, const Nest *nest);
/* The function of a row phase, or, for a parameter phase, one for each step;
 * names[i] and units[i] belong to it. Returns their number. */
int phase_emit(Emit *e, const Phase *p, int number, const char **names, int64_t *units,
               int *levels);
/* ---- profiling (profile.c) ---- */
/* Calls a kernel's function; the call is noted when profiled. */
void profile_call(Emit *e, V fn, int number);
/* The shape that a place is indexed by. */
Shape place_shape(const Place *p);

#endif
