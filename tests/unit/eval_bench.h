/* What the interpreter's tests share: a graph, values for its inputs, one run. */
#ifndef WEFT_EVAL_BENCH_H
#define WEFT_EVAL_BENCH_H

#include "ir/eval.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    Arena *a;
    Graph *g;
    int64_t lengths[SYM_MOST];
    LIST(Value) in;
    uint64_t seed;
    int failures;
} Bench;

static const Span nowhere;

/* A fresh graph for n rows. */
static inline void bench_begin(Bench *b, int64_t n)
{
    if (!b->a)
        b->a = arena_new();
    b->g = graph_new(b->a, "bench");
    memset(b->lengths, 0, sizeof b->lengths);
    b->lengths[SYM_N] = n;
    b->in.n = 0;
}

/* Numbers in [lo, hi), the same on every machine. */
static inline double bench_number(Bench *b, double lo, double hi)
{
    b->seed = b->seed * 6364136223846793005u + 1442695040888963407u;
    return lo + (hi - lo) * (double)(b->seed >> 11) * 0x1p-53;
}

static inline Value bench_value(Bench *b, Dtype dt, const Shape *s)
{
    int64_t dim[RANK_MOST];
    for (int i = 0; i < s->rank; i++)
        dim[i] = dim_value(s->d[i], b->lengths);
    return value_new(b->a, dt, s->rank, dim);
}

static inline Node *bench_bind(Bench *b, Dtype dt, Shape s, Value v)
{
    list_push(b->a, &b->in, v);
    return graph_input(b->g, ROLE_data, arena_printf(b->a, "in%d", b->in.n), dt, s, nowhere);
}

static inline Node *bench_input(Bench *b, Dtype dt, Shape s, double lo, double hi)
{
    Value v = bench_value(b, dt, &s);
    for (int64_t i = 0; i < v.count; i++)
        value_set(&v, i, bench_number(b, lo, hi));
    return bench_bind(b, dt, s, v);
}

/* A float input with every element given. */
static inline Node *bench_given(Bench *b, Dtype dt, Shape s, const double *x)
{
    Value v = bench_value(b, dt, &s);
    for (int64_t i = 0; i < v.count; i++)
        value_set(&v, i, x[i]);
    return bench_bind(b, dt, s, v);
}

static inline Value *bench_of(Bench *b, const Node *input)
{
    for (int i = 0; i < b->g->inputs.n; i++)
        if (b->g->inputs.at[i] == input)
            return &b->in.at[i];
    return NULL;
}

/* The value of `n`, the only output. */
static inline Value bench_run(Bench *b, Node *n)
{
    Value out;
    b->g->outputs.n = 0;
    graph_output(b->g, ROLE_result, "out", n);
    graph_eval(b->a, b->g, (EvalSizes){b->lengths, SYM_MOST}, b->in.at, &out, false);
    return out;
}

static inline void bench_expect(Bench *b, bool ok, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static inline void bench_expect(Bench *b, bool ok, const char *format, ...)
{
    va_list ap;
    if (ok || b->failures++ > 20)
        return;
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    printf("\n");
}

/* Equal to the bit, all NaNs alike. */
static inline bool same_number(double x, double y)
{
    return (x != x && y != y) || (x == y && signbit(x) == signbit(y));
}

static inline void bench_same(Bench *b, const char *what, const Value *got, const double *want,
                              int64_t count)
{
    bench_expect(b, got->count == count, "%s: %lld elements, not %lld", what,
                 (long long)got->count, (long long)count);
    for (int64_t i = 0; i < got->count && i < count; i++)
        bench_expect(b, same_number(value_get(got, i), want[i]), "%s[%lld] is %.17g, not %.17g",
                     what, (long long)i, value_get(got, i), want[i]);
}

static inline int bench_end(Bench *b)
{
    if (b->failures)
        printf("%d failures\n", b->failures);
    arena_free(b->a);
    return b->failures != 0;
}

#endif
