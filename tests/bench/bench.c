/* Measures training steps against the machine's fma peak, taken in the same run.
 *
 *   bench THREADS FILE.model [OPTION of weft train ...]
 *
 * Peak and step are measured in turn, several rounds of each, on THREADS
 * threads; the best of each round's medians are compared, since other work on
 * the machine can only slow either. One line a call: the step's floating-point
 * work (2 x multiply-adds of all products), time, rate and share of the peak.
 */
#include "driver/flops.h"
#include "driver/job.h"
#include "system.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 7, STEPS = 31, CHAINS = 12 };

/* ---- the peak: independent fma chains on the widest vectors there are ---- */

#if defined(__x86_64__)
typedef float V16 __attribute__((vector_size(64)));
typedef float V8 __attribute__((vector_size(32)));

/* One asm statement a round, so that no compiler vectorises or folds it. */
#define FMA_CHAINS(V, REG, OPERATION)                                                        \
    V a[CHAINS], x, y;                                                                       \
    memset(a, 0, sizeof a);                                                                  \
    memset(&x, 0, sizeof x);                                                                 \
    memset(&y, 0, sizeof y);                                                                 \
    for (int64_t i = 0; i < rounds; i++) {                                                   \
        __asm__ volatile(OPERATION(0) OPERATION(1) OPERATION(2) OPERATION(3) OPERATION(4)    \
                         OPERATION(5) OPERATION(6) OPERATION(7) OPERATION(8) OPERATION(9)    \
                         OPERATION(10) OPERATION(11)                                         \
                         : "+" REG(a[0]), "+" REG(a[1]), "+" REG(a[2]), "+" REG(a[3]),       \
                           "+" REG(a[4]), "+" REG(a[5]), "+" REG(a[6]), "+" REG(a[7]),       \
                           "+" REG(a[8]), "+" REG(a[9]), "+" REG(a[10]), "+" REG(a[11])      \
                         : REG(x), REG(y));                                                  \
    }
#define FMA_LINE(i) "vfmadd231ps %13, %12, %" #i "\n\t"

__attribute__((target("avx512f"))) static void chains_512(int64_t rounds)
{
    FMA_CHAINS(V16, "v", FMA_LINE)
}

__attribute__((target("avx2,fma"))) static void chains_256(int64_t rounds)
{
    FMA_CHAINS(V8, "x", FMA_LINE)
}

static int vector_lanes(void)
{
    return __builtin_cpu_supports("avx512f") ? 16 : __builtin_cpu_supports("fma") ? 8 : 0;
}

static void chains(int64_t rounds)
{
    if (vector_lanes() == 16)
        chains_512(rounds);
    else if (vector_lanes() == 8)
        chains_256(rounds);
}
#else
static int vector_lanes(void)
{
    return 0;
}

static void chains(int64_t rounds)
{
    (void)rounds;
}
#endif

static double peak_gflops(int threads)
{
    enum { ROUNDS_OF_CHAINS = 400000 };
    if (!vector_lanes())
        return 0;
    double start = system_seconds();
#pragma omp parallel num_threads(threads)
    chains(ROUNDS_OF_CHAINS);
    double seconds = system_seconds() - start;
    return 2e-9 * ROUNDS_OF_CHAINS * CHAINS * vector_lanes() * threads / seconds;
}

/* ---- the step ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_step(Engine *e, int64_t rows, const int64_t *order)
{
    double t[STEPS];
    for (int i = 0; i < STEPS; i++) {
        double start = system_seconds();
        engine_run(e, rows, order);
        t[i] = system_seconds() - start;
    }
    qsort(t, STEPS, sizeof *t, by_value);
    return t[STEPS / 2];
}

static int measure(Job *j, const char *path, int threads)
{
    bool stopped = false;
    int64_t lengths[SYM_MOST] = {0};
    if (!job_begin(j) || !job_open(j, path, DT_f32, false) || !job_data(j))
        return 1;
    Engine *e = job_engine(j, PIPELINE_step, &stopped);
    Graph *init = unit_init(j->unit);
    if (!e || !init || !job_lengths(j, engine_graph(e), lengths))
        return 1;
    int64_t rows = j->unit->train->batch_size;
    if (!engine_prepare(e, rows, lengths, threads))
        return 1;
    Store *store = store_new(j->arena, init, true);
    store_init(store, init, 1);
    store_add_states(store, e, rows, lengths);
    store_bind(store, store, e);
    job_bind_data(j, e, false);
    Scalars scalars = {0};
    scalars_bind(j->arena, &scalars, e);
    scalars_set(&scalars, "step", 1);
    scalars_set(&scalars, "learning_rate_scale", 0); /* weights stay where they are */
    for (int i = 0; i < engine_nport(e); i++) {
        const Port *p = engine_port(e, i);
        if (p->role == ROLE_loss || p->role == ROLE_metric || p->role == ROLE_result)
            engine_bind(e, i, aligned_memory(j->arena, port_bytes(p, lengths) * (size_t)rows + 64));
    }
    double best = 1e30, peak = 0, flops = graph_flops(engine_graph(e), rows, lengths);
    for (int i = 0; i < ROUNDS; i++) {
        double p = peak_gflops(threads), t = median_step(e, rows, NULL);
        peak = p > peak ? p : peak;
        best = t < best ? t : best;
    }
    printf("%-28s threads %d  batch %5lld  %8.4f GFLOP  %9.3f ms  %7.1f GFLOP/s  peak %7.1f  %5.1f "
           "%%\n",
           j->unit->name, threads, (long long)rows, 1e-9 * flops, 1e3 * best, 1e-9 * flops / best,
           peak, peak > 0 ? 1e-7 * flops / best / peak : 0);
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
