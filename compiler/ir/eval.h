/* The reference interpreter: the definition of every operation's value.
 *
 * Plain loops over row-major tensors, the same polynomials and the same order
 * of every sum as compiled code, so that float32 results agree to the bit.
 *
 * What the table of operations leaves open:
 *   denormals    count as zero, as operands and as results
 *   max, min     ties take x; reductions run ascending, so the first of equals
 *                (-0 or +0) stays; NaN if any is; argmax: a NaN is the greatest
 *   cast         to an integer truncates and saturates, NaN gives 0
 *   i32          wraps; x mod 0 is 0
 *   gather, scatter_add   an index out of range takes the nearest row;
 *                scatter_add adds in the order of the indices, row-major
 *   sum_shards   begins with the first shard's partial
 *   orthogonal   its steps are in eval_orthogonal.inc
 *   scan         rows go through the loop together, but block by block where a
 *                carry of shards has several blocks (see contract.h)
 */
#ifndef WEFT_EVAL_H
#define WEFT_EVAL_H

#include "ir/graph.h"

/* A tensor value: row-major, extents all known. Elements are stored as their
 * dtype (bool as uint8 0/1). */
typedef struct {
    Dtype dtype;
    int rank;
    int64_t dim[RANK_MOST];
    int64_t count;
    void *data;
} Value;

typedef struct {
    const int64_t *lengths;  /* by symbol: [SYM_N], then SYM_length.. ; [SYM_S] is filled in */
    int nlengths;
} EvalSizes;

/* Evaluates the graph. in[i] is bound to g->inputs.at[i]; out[i] is filled for
 * g->outputs.at[i], allocated in a. With `check`, stops at the first operation
 * whose finite inputs give NaN or infinity and returns it, else null. */
const Node *graph_eval(Arena *a, const Graph *g, EvalSizes sizes, const Value *in, Value *out,
                       bool check);

Value value_new(Arena *a, Dtype dt, int rank, const int64_t *dim);
double value_get(const Value *v, int64_t i);
void value_set(Value *v, int64_t i, double x);

#endif
