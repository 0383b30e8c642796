/* The loop of a training: steps, epochs, validation, what follows an epoch.
 *
 * Everything that decides what comes next is in TrainState, parameters, slots
 * and states; all of it is saved, so that a training that was stopped between
 * any two steps goes on to the bit.
 */
#include "driver/train.h"

#include "shuffle.h"
#include "system.h"

#include <math.h>
#include <string.h>

static const Span nowhere;

/* ---- a step ---- */

/* "0.5 * x" has no name: what a node is, for a message. */
static const char *node_words(Arena *a, const Node *n)
{
    const Graph *top = n->graph;
    while (top->outer)
        top = top->outer;
    return arena_printf(a, "%s%s%s%s, %s", op_info[n->op].name, n->name ? " '" : "",
                        n->name ? n->name : "", n->name ? "'" : "", type_text(a, top, n));
}

/* The loss was not finite: says where that began. Nothing was updated. */
static bool report_trouble(Training *t, int64_t n, const int64_t *order)
{
    Diag *d = t->job->diag;
    progress_break(t->progress);
    double loss = tally_last_loss(t->tally);
    const char *what = isnan(loss) ? "NaN" : "infinite";
    long long epoch = t->state.epoch + 1, step = t->state.step + 1;
    const Kept *bad = store_find_trouble(t->store);
    if (bad) {
        error_at(d, nowhere,
                 "the loss is %s in epoch %lld, step %lld, because '%s' is no longer finite: the "
                 "update before made it so; a smaller learning rate or clipnorm may help",
                 what, epoch, step, bad->file_name);
    } else {
        const Node *node = engine_find_trouble(t->engine, n, order);
        if (node) {
            Arena *a = arena_new();
            error_at(d, node->span,
                     "the loss is %s in epoch %lld, step %lld; the first operation that gave NaN "
                     "or infinity from finite numbers is %s",
                     what, epoch, step, node_words(a, node));
            arena_free(a);
        } else {
            error_at(d, t->info->span, "the loss is %s in epoch %lld, step %lld", what, epoch,
                     step);
        }
    }
    if (t->state.epoch > 0)
        note_at(d, nowhere, "the weights of epoch %lld are in %s", (long long)t->state.epoch,
                t->run->last);
    return false;
}

static bool train_step(Training *t)
{
    TrainState *s = &t->state;
    int64_t left = t->samples - s->position, n = left < t->batch ? left : t->batch;
    const int64_t *order = t->order + s->position;
    scalars_set(&t->scalars, "step", (double)s->step + 1); /* counts from 1 */
    scalars_set(&t->scalars, "epoch", (double)s->epoch);
    tally_expect(t->tally);
    watch_before(t, n, order);
    bool finite = engine_run(t->engine, n, order) && isfinite(tally_last_loss(t->tally));
    watch_after(t);
    if (!finite)
        return report_trouble(t, n, order);
    tally_add(t->tally, n);
    s->step++;
    s->position += n;
    t->epoch_steps++;
    t->epoch_samples += n;
    if (t->first_step_seconds == 0)
        t->first_step_seconds = system_seconds() - t->job->started;
    return true;
}

/* ---- an epoch ---- */

static void begin_epoch(Training *t)
{
    TrainState *s = &t->state;
    if (t->info->shuffle)
        shuffle_epoch(s->seed, s->epoch, t->samples, t->order);
    else
        for (int64_t i = 0; i < t->samples; i++)
            t->order[i] = i;
    if (s->position == 0) {
        tally_reset(t->tally);
        store_reset_states(t->store);
    }
    t->epoch_steps = t->epoch_samples = 0;
    int64_t steps = (t->samples + t->batch - 1) / t->batch;
    progress_begin(t->progress, s->epoch + 1, t->epochs, steps, t->samples,
                   s->position / t->batch, s->position);
}

/* The samples of the epoch that are left; false when one failed. Stops early,
 * with true, at a signal. */
static bool run_samples(Training *t)
{
    Arena *a = arena_new();
    Figure figures[FIGURES_MOST];
    bool ok = true;
    while (ok && t->state.position < t->samples && !system_stopping()) {
        ok = train_step(t);
        if (ok && progress_wants(t->progress)) {
            int n = tally_figures(t->tally, a, "", figures);
            int64_t done = t->state.position;
            progress_step(t->progress, (done + t->batch - 1) / t->batch, done, figures, n);
        }
    }
    arena_free(a);
    return ok;
}

/* Appends the validation's figures; false after a report or a signal. */
static bool validate(Training *t, Figure *figures, int *n)
{
    if (t->validation == 0)
        return true;
    if (!t->evaluator) {
        int64_t rows = t->batch < t->validation ? t->batch : t->validation;
        t->evaluator = evaluator_new(t->job, t->arena, t->store, rows, NULL);
        if (!t->evaluator)
            return false;
    }
    int64_t first = t->validate_test ? 0 : t->samples;
    if (!evaluator_run(t->evaluator, t->validate_test, first, t->validation, NULL))
        return false;
    *n += tally_figures(t->evaluator->tally, t->arena, "val_", figures + *n);
    return true;
}

/* ---- after an epoch ---- */

static double figure_of(const Figure *figures, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(figures[i].name, name) == 0)
            return figures[i].value;
    return NAN;
}

/* Keras's test: better by more than min_delta; the first value is better than none. */
static bool is_better(StopMode mode, double now, bool has_best, double best, double min_delta)
{
    if (isnan(now))
        return false;
    if (!has_best)
        return true;
    return mode == STOP_min ? now < best - min_delta : now > best + min_delta;
}

/* Early stopping and the best weights, as Keras's EarlyStopping counts. Sets
 * *is_best where this epoch's weights are the best so far; returns true to stop. */
static bool watch_best(Training *t, const Figure *figures, int n, bool *is_best)
{
    const EarlyStopping *e = &t->info->stop;
    TrainState *s = &t->state;
    double now = figure_of(figures, n, t->monitor);
    int64_t epoch = s->epoch - 1; /* the one just done, from 0 */
    if (e->on && epoch < e->start_from_epoch)
        return false;
    double min_delta = e->on ? e->min_delta : 0;
    s->wait++;
    if (is_better(t->mode, now, s->has_best, s->best, min_delta)) {
        *is_best = true;
        s->has_best = true;
        s->best = now;
        s->best_epoch = s->epoch;
        if (!e->has_baseline || is_better(t->mode, now, true, e->baseline, min_delta))
            s->wait = 0;
        return false;
    }
    return e->on && s->wait >= e->patience && epoch > 0;
}

/* ReduceLROnPlateau, as Keras counts. */
static void watch_plateau(Training *t, const Figure *figures, int n)
{
    const ReduceOnPlateau *p = &t->info->plateau;
    TrainState *s = &t->state;
    double now = figure_of(figures, n, p->monitor);
    if (s->cooldown > 0) {
        s->cooldown--;
        s->plateau_wait = 0;
    }
    if (is_better(p->mode, now, s->has_plateau_best, s->plateau_best, p->min_delta)) {
        s->has_plateau_best = true;
        s->plateau_best = now;
        s->plateau_wait = 0;
    } else if (s->cooldown == 0 && ++s->plateau_wait >= p->patience) {
        s->learning_rate *= p->factor;
        scalars_set(&t->scalars, "learning_rate_scale", s->learning_rate);
        s->cooldown = p->cooldown;
        s->plateau_wait = 0;
    }
}

/* Closes the epoch: figures, history, best and last weights. */
static LoopEnd end_epoch(Training *t, double since)
{
    Arena *a = arena_new();
    Figure figures[FIGURES_MOST];
    TrainState *s = &t->state;
    int n = tally_figures(t->tally, t->arena, "", figures);
    if (!validate(t, figures, &n)) {
        arena_free(a);
        return system_stopping() ? LOOP_stopped : LOOP_failed;
    }
    t->epoch_seconds = system_seconds() - since;
    s->seconds += t->epoch_seconds;
    s->epoch++;
    s->position = 0;
    s->nsum = 0;
    bool is_best = false, stop = watch_best(t, figures, n, &is_best);
    if (t->info->plateau.on)
        watch_plateau(t, figures, n);
    report_epoch(t, figures, n);
    const Kept *bad = store_find_trouble(t->store);
    bool ok = !bad;
    if (bad)
        error_at(t->job->diag, nowhere,
                 "'%s' is no longer finite at the end of epoch %lld; nothing was saved over the "
                 "weights before",
                 bad->file_name, (long long)s->epoch);
    ok = ok && run_history(t->job->diag, t->run, s->epoch, figures, n) &&
         train_save(t, t->run->last) && (!is_best || train_save(t, t->run->best));
    arena_free(a);
    return !ok ? LOOP_failed : stop ? LOOP_early : LOOP_done;
}

bool train_stopped_early(const Training *t)
{
    const EarlyStopping *e = &t->info->stop;
    const TrainState *s = &t->state;
    return e->on && s->epoch > 1 && s->wait > 0 && s->wait >= e->patience &&
           s->best_epoch != s->epoch && s->position == 0;
}

LoopEnd train_loop(Training *t)
{
    TrainState *s = &t->state;
    if (t->resumed && train_stopped_early(t))
        return LOOP_early;
    while (s->epoch < t->epochs) {
        double since = system_seconds();
        begin_epoch(t);
        if (!run_samples(t))
            return LOOP_failed;
        LoopEnd how = LOOP_stopped;
        if (s->position >= t->samples)
            how = end_epoch(t, since);
        if (how == LOOP_failed || how == LOOP_early)
            return how;
        if (how == LOOP_stopped || (system_stopping() && s->epoch < t->epochs)) {
            if (how == LOOP_stopped) {
                s->seconds += system_seconds() - since;
                s->nsum = tally_save(t->tally, t->arena, &s->sums);
            }
            progress_break(t->progress);
            return train_save(t, t->run->last) ? LOOP_stopped : LOOP_failed;
        }
    }
    return LOOP_done;
}
