/* Measures training steps against the machine's fma peak, taken in the same run.
 *
 *   bench THREADS FILE.model [OPTION of weft train ...]
 *
 * Peak and step are measured in turn, several rounds of each, on THREADS
 * threads; the best of each round's medians are compared, since other work on
 * the machine can only slow either. One line a call: the step's floating-point
 * work (2 x multiply-adds of all products), time, rate and share of the peak.
 */
#include "driver/trial.h"
#include "ir/flops.h"
#include "peak.h"
#include "system.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 7, STEPS = 31, FEWEST = 3 };

/* ---- the step ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Slow steps are measured fewer times, so that a round takes no longer than a few seconds. */
static double median_step(Engine *e, int64_t rows, const int64_t *order)
{
    double t[STEPS], begun = system_seconds();
    int n = 0;
    while (n < STEPS && (n < FEWEST || system_seconds() - begun < 1)) {
        double start = system_seconds();
        engine_run(e, rows, order);
        t[n++] = system_seconds() - start;
    }
    qsort(t, (size_t)n, sizeof *t, by_value);
    return t[n / 2];
}

typedef struct {
    double gflop, best, median, peak; /* seconds; GFLOP/s */
} Figures;

static void print_figures(const Job *j, int threads, int64_t rows, Figures f)
{
    double share = f.peak > 0 ? 100 * f.gflop / f.best / f.peak : 0;
    if (j->json)
        printf("{\"model\": \"%s\", \"threads\": %d, \"batch\": %lld, \"gflop\": %.6f, "
               "\"ms\": %.4f, \"median_ms\": %.4f, \"peak_gflops\": %.1f, \"percent\": %.1f}\n",
               j->unit->name, threads, (long long)rows, f.gflop, 1e3 * f.best, 1e3 * f.median,
               f.peak, share);
    else
        printf("%-12s threads %d  batch %5lld  %8.4f GFLOP  %9.3f ms  %7.1f GFLOP/s  peak %7.1f  "
               "%5.1f %%\n",
               j->unit->name, threads, (long long)rows, f.gflop, 1e3 * f.best, f.gflop / f.best,
               f.peak, share);
}

static int measure(Job *j, const char *path, int threads)
{
    bool stopped = false;
    int64_t lengths[SYM_MOST] = {0};
    if (!job_begin(j) || !job_open(j, path, DT_f32, false) || !job_data(j))
        return 1;
    Engine *e = job_engine(j, PIPELINE_step, &stopped);
    if (!e || !trial_sizes(j, engine_graph(e), lengths) || !trial_bind(j, e, lengths, threads))
        return 1;
    int64_t rows = lengths[SYM_N];
    Figures f = {.gflop = 1e-9 * graph_flops(engine_graph(e), rows, lengths)};
    double t[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        double p = peak_gflops(threads);
        f.peak = p > f.peak ? p : f.peak;
        t[i] = median_step(e, rows, NULL);
    }
    qsort(t, ROUNDS, sizeof *t, by_value);
    f.best = t[0];
    f.median = t[ROUNDS / 2];
    print_figures(j, threads, rows, f);
    engine_free(e);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3 || atoi(argv[1]) < 1) {
        fprintf(stderr, "usage: %s THREADS FILE.model [OPTION of weft train ...]\n", argv[0]);
        return 1;
    }
    int threads = atoi(argv[1]);
    argv[1] = "train";
    Arena *arena = arena_new();
    Diag diag = {.arena = arena};
    Options options;
    Job job = {.arena = arena, .diag = &diag, .options = &options, .started = system_seconds()};
    int code = 1;
    if (options_parse(arena, &diag, argc, argv, &options))
        code = measure(&job, argv[2], threads);
    diag_print(&diag, stderr);
    return code;
}
