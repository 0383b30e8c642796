/* Measures training steps, or inference, against the machine's fma peak, taken in the same run.
 *
 *   bench [--inference] THREADS FILE.model [OPTION of weft train ...]
 *
 * Peak and step are measured in turn, several rounds of each, on THREADS threads; the best of
 * each round's medians are compared, since other work on the machine can only slow either. One
 * line a call: the step's floating-point work (2 x multiply-adds of all products; then with all
 * other arithmetic, see ir/flops.h), time, rate of the products and its share of the peak.
 * --inference takes the forward graph alone, compiled for batches of the train block's size.
 */
#include "driver/trial.h"
#include "ir/flops.h"
#include "peak.h"
#include "system.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 7, STEPS = 31, STEPS_MOST = 4001, FEWEST = 3 };

/* ---- the step ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Slow steps are measured fewer times, so that a round takes no longer than a few seconds, and
 * fast ones more often. */
static double median_step(Engine *e, int64_t rows, const int64_t *order)
{
    double t[STEPS_MOST], begun = system_seconds(), passed = 0;
    int n = 0;
    while (n < STEPS_MOST && (n < FEWEST || passed < (n < STEPS ? 1 : 0.1))) {
        double start = system_seconds();
        engine_run(e, rows, order);
        double end = system_seconds();
        t[n++] = end - start;
        passed = end - begun;
    }
    qsort(t, (size_t)n, sizeof *t, by_value);
    return t[n / 2];
}

typedef struct {
    double gflop, all, best, median, peak; /* seconds; GFLOP/s */
} Figures;

static void print_figures(const Job *j, bool inference, int threads, int64_t rows, Figures f)
{
    double share = f.peak > 0 ? 100 * f.gflop / f.best / f.peak : 0;
    const char *what = inference ? "inference" : "step";
    if (j->json)
        printf("{\"model\": \"%s\", \"what\": \"%s\", \"threads\": %d, \"batch\": %lld, "
               "\"gflop\": %.6f, \"all_gflop\": %.6f, \"ms\": %.4f, \"median_ms\": %.4f, "
               "\"peak_gflops\": %.1f, \"percent\": %.1f}\n",
               j->unit->name, what, threads, (long long)rows, f.gflop, f.all, 1e3 * f.best,
               1e3 * f.median, f.peak, share);
    else
        printf("%-11s %-9s threads %d  batch %5lld %9.5f GFLOP, all %9.5f  %9.4f ms  %6.1f GFLOP/s"
               "  peak %6.1f  %5.1f %%\n",
               j->unit->name, what, threads, (long long)rows, f.gflop, f.all, 1e3 * f.best,
               f.gflop / f.best, f.peak, share);
}

static int measure(Job *j, const char *path, bool inference, int threads)
{
    bool stopped = false;
    int64_t lengths[SYM_MOST] = {0};
    if (!job_begin(j) || !job_open(j, path, DT_f32, false) || !job_data(j))
        return 1;
    if (!j->unit->train) {
        error_at(j->diag, j->unit->span, "%s has no train block", path);
        return 1;
    }
    j->passes.rows = j->unit->train->batch_size;
    Engine *e = job_engine(j, inference ? PIPELINE_serve : PIPELINE_step, &stopped);
    if (!e || !trial_sizes(j, engine_graph(e), lengths) || !trial_bind(j, e, lengths, threads))
        return 1;
    int64_t rows = lengths[SYM_N];
    Work work = graph_work(engine_graph(e), rows, lengths);
    Figures f = {.gflop = 1e-9 * work.products, .all = 1e-9 * (work.products + work.arithmetic)};
    double t[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        double p = peak_gflops(threads);
        f.peak = p > f.peak ? p : f.peak;
        t[i] = median_step(e, rows, NULL);
    }
    qsort(t, ROUNDS, sizeof *t, by_value);
    f.best = t[0];
    f.median = t[ROUNDS / 2];
    print_figures(j, inference, threads, rows, f);
    engine_free(e);
    return 0;
}

int main(int argc, char **argv)
{
    bool inference = argc > 1 && strcmp(argv[1], "--inference") == 0;
    int first = inference ? 2 : 1;
    if (argc < first + 2 || atoi(argv[first]) < 1) {
        fprintf(stderr, "usage: %s [--inference] THREADS FILE.model [OPTION of weft train ...]\n",
                argv[0]);
        return 1;
    }
    int threads = atoi(argv[first]);
    argv[first] = "train";
    argv += first - 1;
    argc -= first - 1;
    Arena *arena = arena_new();
    Diag diag = {.arena = arena};
    Options options;
    Job job = {.arena = arena, .diag = &diag, .options = &options, .started = system_seconds()};
    int code = 1;
    if (options_parse(arena, &diag, argc, argv, &options))
        code = measure(&job, argv[2], inference, threads);
    diag_print(&diag, stderr);
    return code;
}
