/* The buffers of a kernel as the executor knows them. */
#include "kernel/kernel.h"

#include <string.h>

int64_t kernel_buffer_last(const Kernel *k, const Buffer *b, int width)
{
    int64_t extent, line = 64 / dtype_size(b->dtype);
    if (b->packed && !k->columns && dim_const(b->shape.d[b->shape.rank - 1], &extent))
        return ((extent + line - 1) / line | 1) * line; /* no two rows share a cache's sets */
    if (!(b->pad_last || b->packed) || !dim_const(b->shape.d[b->shape.rank - 1], &extent))
        return 0;
    return (extent + width - 1) / width * width;
}

StoreInfo *kernel_stores(Arena *a, const Kernel *k, int width)
{
    static const StoreKind kinds[] = {[MEM_port] = STORE_port,     [MEM_worker] = STORE_worker,
                                      [MEM_block] = STORE_block,   [MEM_shard] = STORE_shard,
                                      [MEM_shared] = STORE_shared};
    StoreInfo *store = NEW_ARRAY(a, StoreInfo, k->buffers.n + 1);
    for (int i = 0; i < k->buffers.n; i++) {
        const Buffer *b = k->buffers.at[i];
        StoreInfo *s = &store[i];
        s->kind = kinds[b->mem];
        s->port = b->port;
        s->first = b->first;
        s->last = b->last;
        s->unit = (int64_t)dtype_size(b->dtype) * (b->lanes ? k->rows : 1) * b->slots;
        s->ndim = b->shape.rank;
        memcpy(s->dim, b->shape.d, sizeof s->dim);
        int64_t last = kernel_buffer_last(k, b, width);
        if (last)
            s->dim[s->ndim - 1] = dim_int(last);
        if (b->literal)
            s->unit = 0;
    }
    return store;
}
