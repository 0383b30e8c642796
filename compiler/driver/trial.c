/* The set-up of a step that is measured, by weft profile and by the benchmark. */
#include "driver/trial.h"

#include "system.h"

bool trial_sizes(Job *j, const Graph *g, int64_t lengths[SYM_MOST])
{
    if (!job_lengths(j, g, lengths))
        return false;
    int64_t rows = j->unit->train->batch_size, all = j->data->count;
    lengths[SYM_N] = rows < all ? rows : all;
    lengths[SYM_S] = shard_count(lengths[SYM_N]);
    return true;
}

Store *trial_bind(Job *j, Engine *e, const int64_t *lengths, int threads)
{
    int64_t rows = lengths[SYM_N];
    Graph *init = unit_init(j->unit), *forward = unit_forward(j->unit, FORWARD_evaluate);
    if (!init || !forward || !job_check_labels(j, forward))
        return NULL;
    if (!engine_prepare(e, rows, lengths, threads)) {
        error_at(j->diag, j->unit->span,
                 "not enough memory for batches of %lld samples; %.2f GB are available",
                 (long long)rows, 1e-9 * (double)system_memory());
        return NULL;
    }
    Store *store = store_new(j->arena, init, true);
    store_init(store, init, 1);
    if (!job_fit(j, store, j->data->count))
        return NULL;
    store_add_states(store, e, rows, lengths);
    store_bind(store, store, e);
    job_bind_data(j, e, false);
    Scalars scalars = {0};
    scalars_bind(j->arena, &scalars, e);
    scalars_set(&scalars, "step", 1);
    scalars_set(&scalars, "learning_rate_scale", 0);
    for (int i = 0; i < engine_nport(e); i++) {
        const Port *p = engine_port(e, i);
        if (p->role == ROLE_loss || p->role == ROLE_metric || p->role == ROLE_result)
            engine_bind(e, i, aligned_memory(j->arena, port_bytes(p, lengths) * (size_t)rows + 64));
    }
    return store;
}
