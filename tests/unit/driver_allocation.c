/* A run allocates nothing: training steps and predictions of a compiled model, on one thread and
 * on two, with every call of malloc's family by any part of the process counted. */
#include "driver/trial.h"
#include "system.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define COUNTS 0 /* the sanitizer's malloc is in the way */
#elif defined(__has_feature)
#define COUNTS (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define COUNTS 1
#endif

static atomic_long calls;

#if COUNTS
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

void *malloc(size_t size)
{
    atomic_fetch_add(&calls, 1);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    atomic_fetch_add(&calls, 1);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    atomic_fetch_add(&calls, 1);
    return __libc_realloc(p, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    atomic_fetch_add(&calls, 1);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **p, size_t alignment, size_t size)
{
    atomic_fetch_add(&calls, 1);
    *p = __libc_memalign(alignment, size);
    return *p ? 0 : 12;
}
#endif

static int failures;

static void expect(bool ok, const char *what, int threads, long found)
{
    if (!ok) {
        printf("failed: %s on %d threads: %ld\n", what, threads, found);
        failures++;
    }
}

/* Calls of malloc's family that 50 runs make; the first starts threads and may. */
static long counted(Job *j, Engine *e, int threads, const char *what)
{
    int64_t lengths[SYM_MOST] = {0};
    if (!trial_sizes(j, engine_graph(e), lengths) || !trial_bind(j, e, lengths, threads)) {
        expect(false, what, threads, -1);
        return 0;
    }
    bool finite = engine_run(e, lengths[SYM_N], NULL);
    long before = atomic_load(&calls);
    for (int i = 0; i < 50; i++)
        finite &= engine_run(e, lengths[SYM_N], NULL);
    expect(finite, "finite losses", threads, 0);
    return atomic_load(&calls) - before;
}

static void check(Pipeline which, const char *what, const char *batch_size)
{
    char *argv[] = {"weft",       "train",        "models/bench/lstm.model", "--set",
                    "samples=128", "--batch-size", (char *)batch_size};
    Arena *a = arena_new();
    Diag d = {.arena = a};
    Options options;
    Job j = {.arena = a, .diag = &d, .options = &options, .started = system_seconds()};
    bool stopped = false;
    Engine *e = NULL;
    if (options_parse(a, &d, 7, argv, &options) && job_begin(&j) &&
        job_open(&j, argv[2], DT_f32, false) && job_data(&j))
        e = job_engine(&j, which, &stopped);
    expect(e != NULL, what, 0, 0);
    for (int threads = 1; e && threads <= 2; threads++) {
        long n = counted(&j, e, threads, what);
        expect(n == 0, what, threads, n);
    }
    diag_print(&d, stderr);
    engine_free(e);
    job_end(&j);
    arena_free(a);
}

int main(void)
{
    void *volatile p = malloc(1);
    free(p);
    if (COUNTS)
        expect(atomic_load(&calls) > 0, "an allocation is counted", 1, atomic_load(&calls));
    check(PIPELINE_step, "allocations of training steps", "128");
    check(PIPELINE_serve, "allocations of predictions", "1");
    return failures > 0;
}
