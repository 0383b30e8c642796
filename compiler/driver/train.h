/* Training: its state between the steps, shared by setting up (train.c), the
 * loop over epochs (loop.c) and what is said and written (report.c). */
#ifndef WEFT_TRAIN_H
#define WEFT_TRAIN_H

#include "driver/tally.h"

typedef struct {
    Job *job;
    Arena *arena;
    Unit *unit;
    const TrainInfo *info;
    /* what is trained on */
    int64_t samples, validation; /* of the training part; validation: the last of it, or test */
    bool validate_test;
    int64_t batch, epochs;
    int64_t lengths[SYM_MOST];
    /* programs and memory */
    Graph *init;
    Store *store;
    Engine *engine;
    Scalars scalars;
    Tally *tally;
    struct Watch *watch;         /* of --watch; null: nothing is watched */
    Evaluator *evaluator;        /* null until the first validation */
    int64_t *order;              /* of the samples in this epoch */
    /* where it stands */
    TrainState state;
    const Run *run;
    bool resumed;
    const char *monitor;         /* what best.safetensors follows */
    StopMode mode;
    /* for people */
    Progress *progress;
    double compile_seconds, first_step_seconds, epoch_seconds;
    int64_t epoch_steps;         /* made by this process */
    int64_t epoch_samples;
} Training;

typedef enum { LOOP_done, LOOP_early, LOOP_stopped, LOOP_failed } LoopEnd;

/* Runs the epochs that are left; everything is saved when it returns, unless
 * it failed (then a report was made and nothing was written). */
LoopEnd train_loop(Training *t);

/* Whether early stopping has ended the training after the epoch just done; to
 * resume it then changes nothing, as if it had never been cut. */
bool train_stopped_early(const Training *t);

/* Room for the batches of an engine; false after a report. */
bool train_prepare(const Training *t, Engine *e, const int64_t *lengths);

/* ---- watch.c: --watch ---- */

/* Looks the names up and makes what computes their tensors; all else is set up. False after a
 * report. */
bool watch_open(Training *t);
/* Before a step on these rows, and after it, whether or not it updated anything. */
void watch_before(Training *t, int64_t n, const int64_t *order);
void watch_after(const Training *t);
void watch_close(Training *t);

/* Rank of figures: loss, metrics, and the same with val_. */
enum { FIGURES_MOST = 128 };

void report_start(const Training *t);
void report_epoch(Training *t, const Figure *figures, int n);
void report_end(const Training *t, LoopEnd how);

/* With use_ema, what the training ends with: the averages, as Keras's fit leaves them in the
 * model, unless early stopping restores the best weights. False after a report. */
bool train_save_average(Training *t);

/* Writes weights, slots and the training's state to path; false after a report. */
bool train_save(Training *t, const char *path);

#endif
