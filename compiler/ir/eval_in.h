/* What the files of the interpreter share.
 *
 * eval.c walks graphs and loops over time; each operation's value is one
 * function in the table there. What touches real numbers is compiled from
 * eval_real.inc, once a type and once more for processors with a fused
 * multiply-add instruction (the bits are the same, libm's is only slower).
 * Everything else moves elements or counts.
 */
#ifndef WEFT_EVAL_IN_H
#define WEFT_EVAL_IN_H

#include "ir/eval.h"

/* ---- what the compiled loops are given ---- */

/* Elements that a kernel of a map computes: always all of them. */
enum { LANES = 64 };
typedef void (*MapKernel)(void *out, const void *x, const void *y, const void *z);

/* A nest of loops over elements: extents, outermost first, and strides in elements. */
typedef struct { int rank; int64_t extent[RANK_MOST], stride[RANK_MOST]; } Nest;

/* The k-th kept element's result is that of the reduced nest at its offset. */
typedef struct {
    Op op;
    Nest keep, reduce;
    const void *x;
    void *out;
} Reduction;

/* One chain acc = fma(a, b, acc) per element of `out`, over the terms in order
 * and each term's sums in order. A stride may be negative or 0. */
typedef struct {
    int nout;
    int64_t extent[RANK_MOST], out_stride[RANK_MOST];
    void *out;
    const void *acc; /* like out, may be out itself; null: the chains start at +0 */
    int nterm;
    struct {
        const void *x[2];
        int64_t stride[2][RANK_MOST];  /* along the output's axes */
        int nsum;
        int64_t sum_extent[2 * RANK_MOST], sum_stride[2][2 * RANK_MOST];
    } term[16];
} Product;

typedef struct {
    MapKernel map[NOP];
    void (*reduce)(const Reduction *);
    void (*product)(const Product *);
    /* out[i] = x[0][i] + x[1][i] + ... over `shards` of `count` elements. */
    void (*sum_shards)(void *out, const void *x, int64_t shards, int64_t count);
    /* out[index[i]][...] += x[i][...]: `count` rows of `width`, indices clamped to `rows`. */
    void (*scatter_add)(void *out, const int32_t *index, const void *x, int64_t count,
                        int64_t width, int64_t rows);
    /* out[i]: the uniform number in [0, 1) of counter (first + i, key) under (seed, step). */
    void (*uniform)(void *out, int64_t count, uint32_t seed, uint32_t step, uint32_t first,
                    uint32_t key);
    void (*orthogonal)(Arena *a, void *out, const void *x, int64_t m, int64_t n);
    bool (*finite)(const void *x, int64_t count);
} RealOps;

extern const RealOps eval_f32, eval_f64;
extern const RealOps eval_f32_fma, eval_f64_fma; /* the same for processors with FMA */
const RealOps *eval_real(Dtype dt);              /* what suits this processor */

/* Integers: eval_int.c. */
extern const MapKernel eval_map_i32[NOP];
MapKernel eval_map_bool(Op op);                  /* not, and, or; null when none */
MapKernel eval_map_select(int size);             /* select and stop_gradient move bytes */
MapKernel eval_map_copy(int size);
void eval_reduce_i32(const Reduction *r);
void eval_product_i32(const Product *p);
/* A product's factor of bytes, or of words of them, as 32 bits each in the arena; *each: how many
 * a stride of the factor's goes over. */
const int32_t *eval_widened(Arena *a, const Value *x, bool is_unsigned, int *each);

/* ---- evaluation ---- */

typedef struct {
    int64_t lengths[SYM_MOST], whole[SYM_MOST]; /* of the rows at hand; of all rows */
    int64_t row;   /* the first row at hand */
    bool check;
    const Node *bad;
    Arena *arena;  /* of the frames: lives as long as the evaluation */
} Eval;

/* An operation's function: fills `out`, whose shape is known and whose memory
 * is there; in[i] are the operands' values. */
typedef void (*EvalFn)(Eval *e, const Node *n, const Value *const *in, Value *out);

void eval_map(Eval *e, const Node *n, const Value *const *in, Value *out);        /* eval_map.c */
void eval_cast(Eval *e, const Node *n, const Value *const *in, Value *out);
void eval_reduce(Eval *e, const Node *n, const Value *const *in, Value *out);     /* eval_sum.c */
void eval_contract(Eval *e, const Node *n, const Value *const *in, Value *out);
void eval_words(Eval *e, const Node *n, const Value *const *in, Value *out);      /* eval_words.c */
void eval_batch_contract(Eval *e, const Node *n, const Value *const *in, Value *out);
void eval_sum_shards(Eval *e, const Node *n, const Value *const *in, Value *out);
void eval_scatter_add(Eval *e, const Node *n, const Value *const *in, Value *out);
void eval_orthogonal(Eval *e, const Node *n, const Value *const *in, Value *out);
void eval_const(Eval *e, const Node *n, const Value *const *in, Value *out);      /* eval_move.c */
void eval_tensor(Eval *e, const Node *n, const Value *const *in, Value *out);
void eval_iota(Eval *e, const Node *n, const Value *const *in, Value *out);
void eval_dim(Eval *e, const Node *n, const Value *const *in, Value *out);
void eval_row(Eval *e, const Node *n, const Value *const *in, Value *out);
void eval_random(Eval *e, const Node *n, const Value *const *in, Value *out);
void eval_broadcast(Eval *e, const Node *n, const Value *const *in, Value *out);
void eval_transpose(Eval *e, const Node *n, const Value *const *in, Value *out);
void eval_slice(Eval *e, const Node *n, const Value *const *in, Value *out);
void eval_pad(Eval *e, const Node *n, const Value *const *in, Value *out);
void eval_concat(Eval *e, const Node *n, const Value *const *in, Value *out);
void eval_gather(Eval *e, const Node *n, const Value *const *in, Value *out);

/* Strides of row-major extents. */
void eval_strides(int rank, const int64_t *extent, int64_t *stride);
/* Strides of an operand, by axis of the result, under the broadcasting rule: 0 where repeated. */
void eval_align(const Node *operand, const Value *x, const Node *result, const Value *out,
                int64_t *stride);
/* `count` elements of `size` bytes (1, 2, 4 or 8) from stride fs to stride ts. */
void eval_copy(void *to, int64_t ts, const void *from, int64_t fs, int size, int64_t count);
/* Drops axes of extent 1 and joins those that one stride walks. */
void nest_merge(Nest *n);
/* The next index of the nest's axes [0, rank), last fastest; false after the last. */
bool nest_next(const Nest *n, int rank, int64_t *index, int64_t *offset);

#endif
