/* Store: the memory of what a model keeps: parameters, buffers, optimizer
 * slots and, while it runs, states from batch to batch.
 *
 * In a safetensors file parameters and buffers have their own names
 * ("lstm/kernel"), slots are "optimizer/lstm/kernel/m", states "state/...".
 */
#ifndef WEFT_STORE_H
#define WEFT_STORE_H

#include "driver/engine.h"
#include "sema/sema.h"
#include "weights.h"

typedef struct {
    Role role;
    const char *name, *file_name;
    Dtype dtype;
    int rank;
    int64_t dim[RANK_MOST];
    size_t bytes;
    void *memory;
} Kept;

typedef struct {
    Arena *arena;
    LIST(Kept) at;
    size_t bytes;
} Store;

/* Memory for every output of the unit's init graph, not yet filled; without
 * slots when `with_slots` is false. `init` is the graph of unit_init. */
Store *store_new(Arena *a, const Graph *init, bool with_slots);
/* Memory for one more of a name that is not there; to be filled by the caller. */
void *store_add(Store *s, Role role, const char *name, Dtype dtype, int rank, const int64_t *dim);
/* Adds the ROLE_state ports of an engine, zero, for `rows` rows. */
void store_add_states(Store *s, const Engine *e, int64_t rows, const int64_t *lengths);
/* Zeroes the states. */
void store_reset_states(Store *s);
/* Sets the states of `rows` streams to what a stream begins with: the outputs of `reset`
 * (opt/stream.h), whose parameters and buffers are those of `from`. */
void store_begin_streams(Store *s, const Store *from, const Graph *reset, int64_t rows);

/* Fills it with initial values. */
void store_init(Store *s, const Graph *init, int32_t seed);

/* Binds parameters, buffers and slots to an engine's ports, and states from
 * `states`, which may be s itself. */
void store_bind(Store *s, Store *states, Engine *e);

/* Adds all tensors to w (not copied). */
void store_save(Arena *a, const Store *s, Weights *w);
/* Adds parameters and buffers, a parameter that has a moving average (slot NAME/ema) with that. */
void store_save_averages(Arena *a, const Store *s, Weights *w);
/* The first parameter, slot or buffer that holds NaN or infinity; null: none. */
const Kept *store_find_trouble(const Store *s);

/* Fills parameters and buffers (and with `everything` slots and states) from a
 * file's tensors. Reports, at no place but with the file's name, every tensor
 * that is missing, has another shape, or is in the file but not in the model.
 * f32 and f64 are converted into each other unless `everything`. */
bool store_load(Store *s, Diag *d, const char *path, const Weights *w, bool everything);

const Kept *store_find(const Store *s, Role role, const char *name);

#endif
