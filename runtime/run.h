/* Run folders: what a training leaves behind.
 *
 *   runs/mnist_lstm-3/
 *     model.model          the resolved text
 *     run.json             facts of the run: see run_describe
 *     history.csv          a line per epoch
 *     last.safetensors     weights, optimizer slots and buffers; in its metadata the TrainState
 *     best.safetensors     the same at the best epoch
 *     average.safetensors  with use_ema, once training is done: the weights' moving averages
 *   runs/last -> mnist_lstm-3
 */
#ifndef WEFT_RUN_H
#define WEFT_RUN_H

#include "base/diag.h"
#include "progress.h"
#include "weights.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *dir;               /* "runs/mnist_lstm-3" */
    const char *model, *json, *history, *last, *best, *average; /* paths of its files */
} Run;

/* Makes the next free folder `root`/<model>-<n> (root null: "runs") and points <root>/last to it;
 * or makes exactly `dir`, when given, without a link. Writes the resolved text into it. Reports
 * and returns null; then nothing of it is left. */
Run *run_create(Arena *a, Diag *d, const char *root, const char *dir, const char *model_name,
                const char *resolved);

/* Removes a run that never came to save weights: its text files, its folder if nothing else is in
 * it, the link to it. A run with weights is left alone. */
void run_discard(const Run *r);

/* An existing run: dir is its folder, or a link to it. Reports what is missing. */
Run *run_open(Arena *a, Diag *d, Span at, const char *dir);
/* True when path is a folder that holds a model.model. */
bool run_is(const char *path);
/* The text of model.model; null after a report. */
char *run_model_text(Arena *a, Diag *d, const Run *r);

/* Appends a line to history.csv, with a header line first when the file is new:
 * epoch, then the figures' names. A resumed run that has the epoch already loses it and what
 * follows. Not-a-number stays an empty cell. Reports and returns false. */
bool run_history(Diag *d, const Run *r, int64_t epoch, const Figure *figures, int n);
/* Writes run.json: one object of the given members, in order. */
bool run_describe(Diag *d, const Run *r, const JsonField *fields, int n);

/* ---- the state of a training between two steps ---- */

typedef struct { const char *name; double value; } RunningSum;

typedef struct {
    int64_t epoch;         /* epochs finished */
    int64_t step;          /* updates made, over all epochs */
    int64_t position;      /* samples of the current epoch already used */
    int64_t seed;
    const char *target;    /* the target string whose bits these are; may be null */
    const char *model_hash; /* hash of the expanded definitions, hexadecimal; may be null */
    double learning_rate;  /* factor that ReduceOnPlateau reached; 1 at first */
    /* early stopping: best value so far, its epoch, epochs without a better one */
    bool has_best;
    double best;
    int64_t best_epoch, wait;
    /* reduce on plateau */
    bool has_plateau_best;
    double plateau_best;
    int64_t plateau_wait, cooldown;
    double seconds;        /* spent on training so far */
    /* sums of loss and metrics over the samples of the unfinished epoch, exact to the bit */
    int nsum;
    const RunningSum *sums;
} TrainState;

/* Into and out of the metadata; doubles keep their bits. The second reports (with the file's
 * name) what is missing or malformed and returns false. */
void train_state_save(Arena *a, Weights *w, const TrainState *s);
bool train_state_load(Arena *a, Diag *d, Span at, const char *path, const Weights *w,
                      TrainState *s);

#endif
