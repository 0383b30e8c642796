/* Runs a graph in the interpreter and compiled, and compares every bit. */
#ifndef WEFT_EMIT_CHECK_H
#define WEFT_EMIT_CHECK_H

#include "emit/jit.h"
#include "ir/eval.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { uint64_t state; } Draw;

static inline double draw(Draw *d) /* [0, 1) by splitmix64 */
{
    uint64_t z = (d->state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static inline double draw_in(Draw *d, const char *domain)
{
    double u = draw(d);
    if (!strcmp(domain, "positive"))
        return 0.1 + 3 * u;
    if (!strcmp(domain, "unit"))
        return 0.001 + 0.998 * u;
    if (!strcmp(domain, "nonzero"))
        return u < 0.5 ? 0.3 + 2 * u : -2.3 + 2 * u;
    if (!strcmp(domain, "int"))
        return floor(7 * u) - 2;
    if (!strcmp(domain, "bool"))
        return u < 0.5;
    return 6 * u - 3;
}

static inline void fill(Value *v, Draw *d, const char *domain)
{
    for (int64_t i = 0; i < v->count; i++) {
        double x = draw_in(d, domain);
        value_set(v, i, dtype_is_float(v->dtype) ? x
                        : v->dtype == DT_u8      ? floor(200 * draw(d))
                                                 : floor(x));
    }
}

static inline Value value_for(Arena *a, Dtype dt, const Shape *s, const int64_t *lengths)
{
    int64_t dim[RANK_MOST];
    for (int i = 0; i < s->rank; i++)
        dim[i] = dim_value(s->d[i], lengths);
    return value_new(a, dt, s->rank, dim);
}

/* Differing elements of two tensors; NaN equals NaN. */
static inline int64_t differing(const Value *x, const Value *y)
{
    int64_t n = 0;
    size_t size = (size_t)dtype_size(x->dtype);
    for (int64_t i = 0; i < x->count; i++) {
        const char *p = (const char *)x->data + (size_t)i * size;
        const char *q = (const char *)y->data + (size_t)i * size;
        n += memcmp(p, q, size) != 0 && !(isnan(value_get(x, i)) && isnan(value_get(y, i)));
    }
    return n;
}

static const Target *check_target; /* code is made for it; null: for the host */
static int64_t check_columns; /* expected rows, features in the lanes; 0: rows in the lanes */

/* Returns the number of outputs that differ, reported under `label`. */
static inline int check_compiled(Graph *g, const char *label, const char *domain, int64_t n,
                                 int64_t length, int threads, const Value *given)
{
    Arena *a = arena_new();
    int64_t lengths[SYM_MOST] = {0};
    lengths[SYM_N] = n;
    lengths[SYM_S] = shard_count(n);
    for (int i = SYM_length; i < SYM_MOST; i++)
        lengths[i] = length;
    Draw d = {(uint64_t)n * 77 + 5};
    Value *in = NEW_ARRAY(a, Value, g->inputs.n + 1), *out = NEW_ARRAY(a, Value, g->outputs.n + 1);
    for (int i = 0; i < g->inputs.n; i++) {
        in[i] = value_for(a, g->inputs.at[i]->dtype, &g->inputs.at[i]->shape, lengths);
        if (given && given[i].data)
            in[i] = given[i];
        else
            fill(&in[i], &d, domain);
    }
    graph_eval(a, g, (EvalSizes){lengths, SYM_MOST}, in, out, false);

    g->columns = check_columns;
    const char *why = NULL;
    JitOptions options = {.target = check_target,
                          .rows = threads > 1 ? n : 0, /* in blocks of its size, of the usual */
                          .dump = getenv("WEFT_TEST_DUMP")};
    Program *p = jit_compile(g, &options, &why);
    if (!p) {
        printf("%s: not compiled: %s\n", label, why);
        arena_free(a);
        return 1;
    }
    Value *mine = NEW_ARRAY(a, Value, g->outputs.n + 1);
    for (int i = 0; i < g->inputs.n; i++) {
        int port = program_find(p, (Role)attr_int(g->inputs.at[i], ATTR_role, 0),
                                attr_str(g->inputs.at[i], ATTR_name));
        if (port < 0)
            continue;
        Value copy = value_new(a, in[i].dtype, in[i].rank, in[i].dim);
        memcpy(copy.data, in[i].data, (size_t)(in[i].count * dtype_size(in[i].dtype)));
        for (int j = 0; j < g->outputs.n; j++)
            if (program_find(p, g->outputs.at[j].role, g->outputs.at[j].name) == port)
                mine[j] = copy;
        program_bind(p, port, copy.data);
    }
    for (int i = 0; i < g->outputs.n; i++) {
        const Output *o = &g->outputs.at[i];
        if (!mine[i].data)
            mine[i] = value_for(a, o->node->dtype, &o->node->shape, lengths);
        program_bind(p, program_find(p, o->role, o->name), mine[i].data);
    }
    int wrong = 0;
    int64_t room = threads > 1 ? n : n + 8; /* a smaller batch than it is prepared for */
    if (!program_prepare(p, room, lengths, threads)) {
        printf("%s: no memory\n", label);
        wrong++;
    } else {
        program_run(p, n, NULL);
        for (int i = 0; i < g->outputs.n; i++) {
            int64_t bad = differing(&out[i], &mine[i]);
            if (!bad)
                continue;
            wrong++;
            printf("%s: n %lld, %d threads: output %s: %lld of %lld differ\n", label, (long long)n,
                   threads, g->outputs.at[i].name, (long long)bad, (long long)out[i].count);
            for (int64_t j = 0, shown = 0; j < out[i].count && shown < 4; j++)
                if (value_get(&out[i], j) != value_get(&mine[i], j) && ++shown)
                    printf("    [%lld] interpreter %.9g, compiled %.9g\n", (long long)j,
                           value_get(&out[i], j), value_get(&mine[i], j));
        }
    }
    program_free(p);
    arena_free(a);
    return wrong;
}

#endif
