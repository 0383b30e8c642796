/* Places for buffers: the largest first, each at the lowest place that is free whenever it is
 * in use. */
#include "lay_out.h"

#include <stdlib.h>

int64_t store_bytes(const StoreInfo *info, const int64_t *lengths)
{
    int64_t bytes = info->unit;
    for (int i = 0; i < info->ndim; i++)
        bytes *= dim_value(info->dim[i], lengths);
    return (bytes + 63) & ~(int64_t)63;
}

static bool meet(const StoreInfo *a, const StoreInfo *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static bool is_of_worker(const StoreInfo *info)
{
    return info->kind == STORE_worker;
}

/* The lowest place for store i among those of its region that are in use at the
 * same time and laid out already. */
static int64_t lowest_gap(const Program *p, const LayOut *l, const bool *placed, int i)
{
    int64_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int j = 0; j < p->nstore; j++) {
            int64_t begin = l->offset[j], end = begin + l->room[j];
            if (placed[j] && is_of_worker(&p->store[i]) == is_of_worker(&p->store[j]) &&
                meet(&p->store[i], &p->store[j]) && at < end && begin < at + l->room[i]) {
                at = end;
                moved = true;
            }
        }
    }
    return at;
}

/* Offsets in a worker's region, or in the common one, the largest store first;
 * the region's extent. */
static int64_t lay_out_region(const Program *p, LayOut *l, bool *placed, bool worker)
{
    int64_t most = 0;
    for (;;) {
        int next = -1;
        for (int i = 0; i < p->nstore; i++)
            if (p->store[i].kind != STORE_port && is_of_worker(&p->store[i]) == worker &&
                !placed[i] && (next < 0 || l->room[i] > l->room[next]))
                next = i;
        if (next < 0)
            return most;
        int64_t at = lowest_gap(p, l, placed, next);
        l->offset[next] = at;
        placed[next] = true;
        most = at + l->room[next] > most ? at + l->room[next] : most;
    }
}

bool lay_out(const Program *p, int64_t rows, const int64_t *lengths, LayOut *l)
{
    bool *placed = calloc((size_t)p->nstore + 1, sizeof *placed);
    if (!placed)
        return false;
    for (int i = 0; i < p->nstore; i++) {
        StoreKind kind = p->store[i].kind;
        l->size[i] = store_bytes(&p->store[i], lengths);
        l->room[i] = l->size[i] * (kind == STORE_block   ? block_count_most(rows)
                                   : kind == STORE_shard ? shard_count_most(rows)
                                                         : 1);
    }
    l->worker = lay_out_region(p, l, placed, true);
    l->common = lay_out_region(p, l, placed, false);
    free(placed);
    return true;
}

/* Threads keep clear of each other's pages and cache sets. */
size_t lay_out_worker_bytes(const LayOut *l)
{
    return (size_t)((l->worker + 4095) & ~(int64_t)4095) + 4096 + 256;
}

size_t lay_out_bytes(const LayOut *l, int threads)
{
    return lay_out_worker_bytes(l) * (size_t)threads + (size_t)l->common + 64;
}
