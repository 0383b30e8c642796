/* What a training step keeps in memory, and how to make do with less. */
#ifndef WEFT_MEMORY_H
#define WEFT_MEMORY_H

#include "driver/job.h"

#include <stdio.h>

/* Bytes. The arena is a region for each thread, and a common one. */
typedef struct {
    size_t data, parameters, slots; /* slots: the optimizer's; parameters: with buffers, states */
    size_t worker, common, arena;   /* arena: of all threads */
    size_t saved;                   /* of a region: kept from the forward to the backward pass */
    int threads;
    const char *largest;            /* names and sizes of the arena's largest buffers */
} Memory;

/* Of a training step's graph for batches of `rows` rows, without compiling it. lengths: by
 * symbol. A sum of all is memory_total. False when the graph cannot be compiled. */
bool memory_find(Job *j, const Graph *g, int64_t rows, const int64_t *lengths, Memory *m);
size_t memory_total(const Memory *m);

/* The graph of a training step, within --memory-limit where that is given: loops over time go
 * in segments, and values of the forward pass are made again, as little as will do; the job's
 * passes do so from then on. Null after a report, and where *stopped is set. */
Graph *memory_step(Job *j, bool *stopped);
/* Prints what memory_step decided, nothing without a limit: for people, or as an object. */
void memory_report(const Job *j, FILE *f);

#endif
