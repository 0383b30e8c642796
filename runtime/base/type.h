/* The types that compiler and runtime share: dtypes, extents, roles. */
#ifndef WEFT_TYPE_H
#define WEFT_TYPE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum { DT_f32, DT_f64, DT_i32, DT_u8, DT_i8, DT_i16, DT_bool, NDTYPE } Dtype;

const char *dtype_name(Dtype dt);      /* "f32" ... */
/* NDTYPE when none; also float, float32, float64, int, ... */
Dtype dtype_by_name(const char *name);
int dtype_size(Dtype dt);              /* bytes of an element; bool is one byte, 0 or 1 */
bool dtype_is_float(Dtype dt);

/* An extent in normal form: floor((mul * sym + add) / div); a plain number has
 * sym == SYM_none and is `add`. N: rows of the batch; S: shards of the batch;
 * from SYM_length on: run-time lengths, named in the graph's `lengths`. */
enum { SYM_none, SYM_N, SYM_S, SYM_length, SYM_MOST = 16 };
typedef struct { int32_t sym; int32_t div; int64_t mul, add; } Dim;

enum { RANK_MOST = 8 };
typedef struct { int rank; Dim d[RANK_MOST]; } Shape;

/* Its value with the run-time extents: lengths[SYM_N] is n, lengths[SYM_S] the shards, ... */
int64_t dim_value(Dim d, const int64_t *lengths);

/* What an input or output of a program is, and so who binds it. */
typedef enum {
    ROLE_data,    /* [N, ...] a field of the data set, or a model's input */
    ROLE_param,   /* trainable or not; an output of this role is its new value */
    ROLE_slot,    /* optimizer state, named parameter/slot */
    ROLE_buffer,  /* persistent non-parameters: moving averages, fitted statistics */
    ROLE_state,   /* [N, ...] carried from batch to batch (stateful recurrent layers) */
    ROLE_scalar,  /* host values, rank 0: step, epoch (f64), seed (i32) */
    ROLE_loss,    /* rank 0 */
    ROLE_metric,  /* [N, ...] per sample; added in double, in row order, by the runtime */
    ROLE_result,  /* [N, ...] a model's output */
    ROLE_grad,    /* gradient of the parameter of the same name (gradcheck, oracle) */
    ROLE_body,    /* inputs and outputs of a scan's body */
    NROLE
} Role;
const char *role_name(Role r);

/* Shards of a batch of n rows (at most 64), and rows in each, consecutive ones; the
 * last shard may have fewer. The unit of every sum over the batch. Up to 2048 rows a
 * shard is a block: as few as 32 rows at most, 16 where n is 32 or less and 4 where it
 * is 8 or less (so that two threads find work), allow, and as equal as whole rows allow:
 * ceil(n / ceil(n / 32)).
 * Beyond that a shard is ceil(n / 2048) blocks of 32 rows. */
enum {
    SHARDS_MOST = 64,
    BLOCK_ROWS = 32,
    BLOCK_ROWS_FEW = 16,
    BLOCK_ROWS_LEAST = 4,
    ONE_BLOCK_MOST = SHARDS_MOST * BLOCK_ROWS
};
int64_t block_room(int64_t n); /* that a block's buffers hold: 32, or 16 */
int64_t block_rows(int64_t n);
int64_t shard_count(int64_t n);
int64_t shard_rows(int64_t n);
/* The most blocks, the most shards, of any batch of up to n rows: a smaller one may have more. */
int64_t block_count_most(int64_t n);
int64_t shard_count_most(int64_t n);

#endif
