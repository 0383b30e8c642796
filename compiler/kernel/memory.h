/* The memory of a graph's compiled code, known without compiling it. */
#ifndef WEFT_KERNEL_MEMORY_H
#define WEFT_KERNEL_MEMORY_H

#include "ir/graph.h"

enum { MEMORY_LARGEST = 4 };

/* Bytes. The arena is a region for each thread, and a common one. */
typedef struct {
    size_t worker, common, arena; /* arena: of all threads together */
    size_t saved;                 /* of a region: in use while the loss is made, so kept from the
                                     forward pass for the backward pass */
    int nlargest;                 /* its largest buffers, the largest first */
    struct { const char *name; size_t bytes; bool of_worker; } largest[MEMORY_LARGEST];
} KernelMemory;

/* For batches of up to `rows` rows; lengths: by symbol. What is made on the way, and the names,
 * are in `a`. False when g cannot be compiled. */
bool kernel_memory(Arena *a, const Graph *g, int64_t rows, const int64_t *lengths, int threads,
                   KernelMemory *m);

#endif
