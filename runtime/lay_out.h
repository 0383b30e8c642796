/* Where the buffers of a program lie in its workspace: what the executor does when it prepares
 * a batch, and what an object's header says. */
#ifndef WEFT_LAY_OUT_H
#define WEFT_LAY_OUT_H

#include "program.h"

#include <stdbool.h>
#include <stdint.h>

/* By store; STORE_port has neither room nor offset. */
typedef struct {
    int64_t *size;         /* bytes; of one block, one shard */
    int64_t *room;         /* bytes of all its blocks, shards */
    int64_t *offset;       /* in its region: a worker's, or the common one */
    int64_t worker, common; /* bytes of the two regions */
} LayOut;

/* Lays p out for batches of up to `rows` rows; lengths: the value of every symbol, N and S
 * among them. The arrays have p->nstore elements and are the caller's. Stores whose times of
 * use do not meet share their place. Returns false when memory is short. */
bool lay_out(const Program *p, int64_t rows, const int64_t *lengths, LayOut *l);

/* Bytes from one worker's region to the next; of all regions of so many workers. */
size_t lay_out_worker_bytes(const LayOut *l);
size_t lay_out_bytes(const LayOut *l, int threads);

/* Bytes of one block or shard of a store when symbols have these values. */
int64_t store_bytes(const StoreInfo *info, const int64_t *lengths);

#endif
