/* Tally: loss and metrics added up over batches; Part: a range of the data on
 * which a program computes them.
 */
#ifndef WEFT_TALLY_H
#define WEFT_TALLY_H

#include "driver/job.h"
#include "progress.h"

/* A ROLE_metric output: `elements` numbers a sample, added in double, row by row. */
typedef struct {
    const char *name;
    Dtype dtype;
    int64_t elements;
    int rank;
    int64_t dim[RANK_MOST];
    void *memory;
    double *total;
} TallySum;

typedef struct {
    Arena *arena;
    const Unit *unit;
    Dtype loss_dtype;
    void *loss_memory;
    double loss;       /* of the batches so far, each weighted by its rows */
    int64_t rows;
    int nsum;
    TallySum *sum;
} Tally;

/* Binds the engine's loss and metric ports, for batches of up to `rows` rows. */
Tally *tally_new(Arena *a, const Unit *u, Engine *e, int64_t rows, const int64_t *lengths);
void tally_reset(Tally *t);
/* Before a run: makes the loss NaN, so that a loss not written is not an old one. */
void tally_expect(Tally *t);
/* The loss of the last run. */
double tally_last_loss(const Tally *t);
/* Adds the last run's n rows. */
void tally_add(Tally *t, int64_t n);
/* loss and the metrics so far into out (room for 1 + nmetric), names with a
 * prefix ("val_"). Returns their number. */
int tally_figures(const Tally *t, Arena *a, const char *prefix, Figure *out);

/* The sums as named numbers, for a training that stops in mid-epoch, and back. */
int tally_save(const Tally *t, Arena *a, const RunningSum **sums);
bool tally_load(Tally *t, int n, const RunningSum *sums);

/* A program that computes loss and metrics, with parameters in a store. */
typedef struct {
    Job *job;
    Engine *engine;
    Tally *tally;
    Scalars scalars;
    Store *states;
    int64_t rows;        /* of a batch */
    int64_t lengths[SYM_MOST];
} Evaluator;

/* Null after a report, or with *stopped. */
Evaluator *evaluator_new(Job *j, Arena *a, Store *weights, int64_t rows, bool *stopped);
void evaluator_free(Evaluator *v);
/* Samples [first, first + count) of a part of the data. progress may be null.
 * False when a signal asked to stop. */
bool evaluator_run(Evaluator *v, bool test, int64_t first, int64_t count, Progress *progress);

/* Training samples that are kept for validation by validation_split: the last ones. */
int64_t validation_count(const Unit *u);

#endif
