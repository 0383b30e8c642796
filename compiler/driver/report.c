/* What a training says while it runs, for people (stderr) and programs
 * (--json, stdout), and how it is saved. */
#include "driver/train.h"

#include "ir/flops.h"
#include "driver/memory.h"
#include "driver/text.h"
#include "system.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const Span nowhere;

bool train_save(Training *t, const char *path)
{
    Arena *a = arena_new();
    Weights w = {0};
    store_save(a, t->store, &w);
    train_state_save(a, &w, &t->state);
    bool ok = weights_write(t->job->diag, nowhere, path, &w);
    arena_free(a);
    return ok;
}

bool train_save_average(Training *t)
{
    if (!t->info->average || (t->info->stop.on && t->info->stop.restore_best))
        return true;
    Arena *a = arena_new();
    Weights w = {0};
    store_save_averages(a, t->store, &w);
    train_state_save(a, &w, &t->state);
    bool ok = weights_write(t->job->diag, nowhere, t->run->average, &w);
    arena_free(a);
    return ok;
}

static size_t all_bytes(const Training *t)
{
    return engine_bytes(t->engine) + t->store->bytes + dataset_bytes(t->job->data);
}

static int64_t parameters(const Unit *u, bool trainable)
{
    int64_t sum = 0, count;
    for (int i = 0; i < u->nparam; i++)
        if ((u->param[i].trainable || !trainable) && shape_count(&u->param[i].shape, 0, &count))
            sum += count;
    return sum;
}

static const char *target_of(const Training *t)
{
    return t->state.target;
}

static int threads_of(const Training *t)
{
    if (engine_interprets(t->engine))
        return 1;
    return t->job->threads ? t->job->threads : system_threads();
}

static void start_line(const Training *t)
{
    JsonField f[] = {
        json_field_text("model", t->unit->name),
        json_field_text("run", t->run->dir),
        json_field_bool("resumed", t->resumed),
        json_field_integer("parameters", parameters(t->unit, false)),
        json_field_integer("trainable", parameters(t->unit, true)),
        json_field_integer("bytes", (int64_t)all_bytes(t)),
        json_field_integer("arena_bytes", (int64_t)engine_bytes(t->engine)),
        json_field_integer("arena_bytes_per_thread", (int64_t)engine_worker_bytes(t->engine)),
        json_field_number("gflop_per_step",
                          1e-9 * graph_flops(engine_graph(t->engine), t->batch, t->lengths)),
        json_field_number("compile_seconds", t->compile_seconds),
        json_field_bool("from_cache", !engine_interprets(t->engine) && t->job->compiled == 0),
        json_field_bool("data_from_cache", dataset_from_cache(t->job->data)),
        json_field_number("start_seconds", system_seconds() - t->job->started),
        json_field_integer("peak_bytes", (int64_t)system_peak()),
        json_field_integer("threads", threads_of(t)),
        json_field_text("target", target_of(t)),
        json_field_text("dtype", dtype_name(t->job->session->real)),
        json_field_integer("samples", t->samples),
        json_field_integer("validation_samples", t->validation),
        json_field_integer("batch_size", t->batch),
        json_field_integer("epochs", t->epochs),
        json_field_integer("seed", t->state.seed),
    };
    json_line(stdout, "start", f, sizeof f / sizeof *f);
}

void report_start(const Training *t)
{
    if (t->job->json) {
        start_line(t);
        memory_report(t->job, stdout);
        return;
    }
    if (t->job->quiet)
        return;
    Arena *a = arena_new();
    fprintf(stderr, "%s: %s parameters, %s; %s training samples", t->unit->name,
            text_count(a, parameters(t->unit, false)), text_bytes(a, (double)all_bytes(t)),
            text_count(a, t->samples));
    if (t->validation)
        fprintf(stderr, ", %s for validation%s", text_count(a, t->validation),
                t->validate_test ? " (the test part)" : "");
    bool cached = !engine_interprets(t->engine) && t->job->compiled == 0;
    fprintf(stderr, "\n%s in %.0f ms for %s, %d thread%s; run folder %s\n",
            cached ? "code from the cache" : "compiled", 1e3 * t->compile_seconds, target_of(t),
            threads_of(t), threads_of(t) == 1 ? "" : "s", t->run->dir);
    memory_report(t->job, stderr);
    if (t->state.epoch >= t->epochs)
        fprintf(stderr, "nothing is left to train: %lld epochs are done and epochs is %lld\n",
                (long long)t->state.epoch, (long long)t->epochs);
    else if (t->resumed && train_stopped_early(t))
        fprintf(stderr, "nothing is left to train: early stopping ended it after epoch %lld\n",
                (long long)t->state.epoch);
    else if (t->resumed)
        fprintf(stderr, "resumed after epoch %lld, step %lld\n", (long long)t->state.epoch,
                (long long)t->state.step);
    arena_free(a);
}

void report_epoch(Training *t, const Figure *figures, int n)
{
    progress_end(t->progress, figures, n);
    if (!t->job->json)
        return;
    JsonField f[FIGURES_MOST + 8];
    int k = 0;
    double seconds = t->epoch_seconds;
    f[k++] = json_field_integer("epoch", t->state.epoch);
    f[k++] = json_field_integer("steps", t->epoch_steps);
    f[k++] = json_field_number("seconds", seconds);
    f[k++] = json_field_number("samples_per_second",
                               seconds > 0 ? (double)t->epoch_samples / seconds : 0);
    for (int i = 0; i < n; i++)
        f[k++] = json_field_number(figures[i].name, figures[i].value);
    if (t->info->plateau.on)
        f[k++] = json_field_number("learning_rate_factor", t->state.learning_rate);
    if (t->first_step_seconds > 0)
        f[k++] = json_field_number("first_step_seconds", t->first_step_seconds);
    json_line(stdout, "epoch", f, k);
    t->first_step_seconds = -1;
}

void report_end(const Training *t, LoopEnd how)
{
    static const char *const word[] = {
        [LOOP_done] = "done", [LOOP_early] = "early_stopping", [LOOP_stopped] = "interrupted"};
    const TrainState *s = &t->state;
    if (t->job->json) {
        JsonField f[] = {
            json_field_text("reason", word[how]),
            json_field_integer("epochs", s->epoch),
            json_field_integer("steps", s->step),
            json_field_integer("position", s->position),
            json_field_number("seconds", s->seconds),
            json_field_text("monitor", t->monitor),
            json_field_number("best", s->best),
            json_field_integer("best_epoch", s->best_epoch),
            json_field_text("run", t->run->dir),
            json_field_integer("peak_bytes", (int64_t)system_peak()),
        };
        json_line(stdout, "end", f, sizeof f / sizeof *f);
        return;
    }
    if (t->job->quiet)
        return;
    if (how == LOOP_stopped)
        fprintf(stderr,
                "stopped in epoch %lld after %lld of %lld samples; go on with: weft train "
                "--resume %s\n",
                (long long)s->epoch + 1, (long long)s->position, (long long)t->samples,
                t->run->dir);
    else if (how == LOOP_early)
        fprintf(stderr, "stopped early: no better %s than %.4g of epoch %lld\n", t->monitor,
                s->best, (long long)s->best_epoch);
    if (how != LOOP_stopped && s->has_best)
        fprintf(stderr, "best %s %.4g in epoch %lld; %s\n", t->monitor, s->best,
                (long long)s->best_epoch, t->run->best);
    if (how != LOOP_stopped && access(t->run->average, R_OK) == 0)
        fprintf(stderr, "the weights' moving averages: %s\n", t->run->average);
}
