/* Measures the fma peak: independent fma chains on the widest vectors there are. */
#include "peak.h"

#include "system.h"

#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHAINS = 12 };

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

double peak_gflops(int threads)
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

double peak_bandwidth(int threads, size_t bytes)
{
    enum { TOTAL = 256 << 20 };
    int64_t rounds = TOTAL / (int64_t)bytes + 1;
    double seconds = 0;
#pragma omp parallel num_threads(threads)
    {
        char *at = calloc(1, bytes);
        size_t half = bytes / 2;
        if (at)
            memset(at, 1, bytes);
#pragma omp barrier
        double start = system_seconds();
        for (int64_t i = 0; at && i < rounds; i++) {
            memcpy(at, at + half, half);
            __asm__ volatile("" : : "r"(at) : "memory");
        }
#pragma omp barrier
#pragma omp master
        seconds = system_seconds() - start;
        free(at);
    }
    return (double)bytes * (double)rounds * threads / seconds;
}
