/* What a random graph must satisfy: it is sound, its text reads back, compiled
 * code gives the interpreter's bits, passes leave the values alone. */
#ifndef WEFT_FUZZ_GRAPH_CHECK_H
#define WEFT_FUZZ_GRAPH_CHECK_H

#include "emit/jit.h"
#include "grad/grad.h"
#include "graph_make.h"
#include "ir/eval.h"
#include "opt/opt.h"

#include <math.h>
#include <stdio.h>

enum { LIMITS_MOST = 64 };

/* Shared by the process that watches and the one that checks. */
typedef struct {
    uint64_t seed;
    long graphs, compiled, limited;
    struct { char why[120]; long count; } limit[LIMITS_MOST];
} Tally;

/* A case: what is generated, and which part of it is run. */
typedef struct {
    uint64_t seed;
    int steps;
    int output;            /* this one alone; -1: all */
    int run;               /* this one alone; -1: all */
    bool forward;          /* no gradient */
    bool verbose;          /* prints what is compiled beforehand */
    const char *cpu;       /* null: the host */
} Case;

typedef struct { int64_t n, length; int threads; bool ordered, exotic; } Run;

enum { NRUN = 3 };

typedef struct {
    Arena *arena;
    const Case *what;
    Tally *tally;
    Run run[NRUN];
    bool tame;
    const char *stage;
} Checker;

static inline bool wrong(const Checker *c, const Graph *g, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    printf("%s: ", c->stage);
    vprintf(format, ap);
    va_end(ap);
    printf("\n%s\n", graph_text(c->arena, g));
    fflush(stdout);
    return false;
}

static inline bool is_run(const Checker *c, int i)
{
    return c->what->run < 0 || c->what->run == i;
}

/* Rows that memory is made for: sometimes more than the batch has. */
static inline int64_t run_rows(const Run *r)
{
    return r->n + r->n % 3;
}

/* ---- values ---- */

static inline void run_lengths(const Run *r, int64_t *lengths)
{
    memset(lengths, 0, SYM_MOST * sizeof *lengths);
    for (int i = SYM_length; i < SYM_MOST; i++)
        lengths[i] = r->length;
    lengths[SYM_N] = r->n;
    lengths[SYM_S] = shard_count(r->n);
}

static inline Value value_of(Arena *a, const Node *n, const int64_t *lengths)
{
    int64_t dim[RANK_MOST];
    for (int i = 0; i < n->shape.rank; i++)
        dim[i] = dim_value(n->shape.d[i], lengths);
    return value_new(a, n->dtype, n->shape.rank, dim);
}

static inline double draw_value(uint64_t *state, Dtype dt, bool exotic)
{
    /* Small enough for denormal results; a denormal input itself may pass through x * 1. */
    static const double rare[] = {0, -0.0, NAN, INFINITY, -INFINITY, 1e-37, -3e-38, 1e30};
    uint64_t z = splitmix(state);
    double u = (double)(z >> 11) * 0x1p-53;
    if (!dtype_is_float(dt))
        return dt == DT_bool  ? (double)(z & 1)
               : dt == DT_i32 ? floor(u * 7) - 1
                              : floor(u * 100);
    if (exotic && (z & 63) == 0)
        return rare[(z >> 6) & 7];
    return 4 * u - 2;
}

static inline Value *draw_inputs(Arena *a, const Graph *g, const Run *r, uint64_t seed)
{
    int64_t lengths[SYM_MOST];
    run_lengths(r, lengths);
    Value *in = NEW_ARRAY(a, Value, g->inputs.n + 1);
    for (int i = 0; i < g->inputs.n; i++) {
        in[i] = value_of(a, g->inputs.at[i], lengths);
        for (int64_t k = 0; k < in[i].count; k++)
            value_set(&in[i], k, draw_value(&seed, in[i].dtype, r->exotic));
    }
    return in;
}

static inline Value *interpret(Arena *a, const Graph *g, const Run *r, const Value *in)
{
    int64_t lengths[SYM_MOST];
    run_lengths(r, lengths);
    Value *out = NEW_ARRAY(a, Value, g->outputs.n + 1);
    graph_eval(a, g, (EvalSizes){lengths, SYM_MOST}, in, out, false);
    return out;
}

/* The first element whose bits differ, -1: none. NaN equals NaN. */
static inline int64_t first_difference(const Value *x, const Value *y)
{
    size_t size = (size_t)dtype_size(x->dtype);
    for (int64_t i = 0; i < x->count; i++)
        if (memcmp((const char *)x->data + (size_t)i * size,
                   (const char *)y->data + (size_t)i * size, size) &&
            !(isnan(value_get(x, i)) && isnan(value_get(y, i))))
            return i;
    return -1;
}

/* ---- compiled against interpreted ---- */

static inline void count_limit(Tally *t, const char *why)
{
    t->limited++;
    for (int i = 0; i < LIMITS_MOST; i++) {
        if (!t->limit[i].why[0])
            snprintf(t->limit[i].why, sizeof t->limit[i].why, "%s", why);
        if (strncmp(t->limit[i].why, why, sizeof t->limit[i].why - 1) == 0) {
            t->limit[i].count++;
            return;
        }
    }
}

/* The caller's memory of an input: samples shuffled where the batch has an order. */
static inline void *memory_of(Arena *a, const Node *n, const Value *v, const int64_t *order,
                              int64_t rows)
{
    size_t bytes = (size_t)(v->count * dtype_size(v->dtype));
    char *copy = arena_alloc(a, bytes + 1);
    memcpy(copy, v->data, bytes);
    if (!order || attr_int(n, ATTR_role, 0) != ROLE_data || !shape_has_batch(&n->shape))
        return copy;
    size_t row = bytes / (size_t)rows;
    for (int64_t i = 0; i < rows; i++)
        memcpy(copy + (size_t)order[i] * row, (const char *)v->data + (size_t)i * row, row);
    return copy;
}

/* Binds inputs and outputs; memory[] gets the inputs' memory, then the outputs',
 * which is an input's where both have a name. */
static inline void bind_all(const Checker *c, const Graph *g, Program *p, const Run *r,
                            const Value *in, const int64_t *order, void **memory)
{
    int64_t lengths[SYM_MOST];
    run_lengths(r, lengths);
    for (int i = 0; i < g->inputs.n; i++) {
        const Node *x = g->inputs.at[i];
        int port = program_find(p, (Role)attr_int(x, ATTR_role, 0), attr_str(x, ATTR_name));
        memory[i] = memory_of(c->arena, x, &in[i], order, r->n);
        if (port >= 0)
            program_bind(p, port, memory[i]);
    }
    for (int i = 0; i < g->outputs.n; i++) {
        const Output *o = &g->outputs.at[i];
        void **at = &memory[g->inputs.n + i];
        for (int k = 0; k < g->inputs.n; k++)
            if ((Role)attr_int(g->inputs.at[k], ATTR_role, 0) == o->role &&
                !strcmp(attr_str(g->inputs.at[k], ATTR_name), o->name))
                *at = memory[k];
        if (!*at)
            *at = value_of(c->arena, o->node, lengths).data;
        program_bind(p, program_find(p, o->role, o->name), *at);
    }
}

static inline bool run_compiled(const Checker *c, const Graph *g, Program *p, int number)
{
    const Run *r = &c->run[number];
    Arena *a = arena_new();
    int64_t lengths[SYM_MOST], *order = r->ordered ? NEW_ARRAY(a, int64_t, r->n) : NULL;
    run_lengths(r, lengths);
    for (int64_t i = 0; order && i < r->n; i++) /* 7 has no factor in common with most n */
        order[i] = r->n % 7 ? i * 7 % r->n : r->n - 1 - i;
    Value *in = draw_inputs(a, g, r, c->what->seed + (uint64_t)number);
    Value *out = interpret(a, g, r, in), mine;
    void **memory = NEW_ARRAY(a, void *, g->inputs.n + g->outputs.n + 1);
    bind_all(c, g, p, r, in, order, memory);
    if (!program_prepare(p, run_rows(r), lengths, r->threads))
        return wrong(c, g, "no memory");
    bool finite = program_run(p, r->n, order), ok = true;
    for (int i = 0; ok && i < g->outputs.n; i++) {
        const Output *o = &g->outputs.at[i];
        if (!finite && o->role != ROLE_loss)
            continue; /* the step ends there, nothing is updated */
        mine = out[i];
        mine.data = memory[g->inputs.n + i];
        int64_t at = first_difference(&out[i], &mine);
        if (at >= 0)
            ok = wrong(c, g,
                       "run %d (n %lld, T %lld, %d threads%s): output %d (%s) [%lld]: "
                       "interpreter %.9g, compiled %.9g",
                       number, (long long)r->n, (long long)r->length, r->threads,
                       r->ordered ? ", ordered" : "", i, o->name, (long long)at,
                       value_get(&out[i], at), value_get(&mine, at));
    }
    arena_free(a);
    return ok;
}

static inline bool check_compiled(Checker *c, const Graph *g)
{
    const char *why = NULL;
    if (c->what->verbose) {
        printf("%s compiles\n%s\n", c->stage, graph_text(c->arena, g));
        fflush(stdout);
    }
    bool few = g->nodes.n & 1; /* half of the graphs: in blocks for small batches */
    JitOptions options = {.target = target_find(c->arena, NULL, c->what->cpu, NULL, &why),
                          .rows = few ? BLOCK_ROWS : 0,
                          .dump = getenv("WEFT_TEST_DUMP")};
    Program *p = jit_compile(g, &options, &why);
    if (!p) {
        count_limit(c->tally, why);
        return true;
    }
    c->tally->compiled++;
    bool ok = true;
    for (int i = 0; ok && i < NRUN; i++)
        ok = !is_run(c, i) || (few && run_rows(&c->run[i]) > BLOCK_ROWS) ||
             run_compiled(c, g, p, i);
    program_free(p);
    return ok;
}

/* ---- text ---- */

static inline bool check_sound(const Checker *c, const Graph *g)
{
    const char *why = graph_verify(c->arena, g);
    if (why)
        return wrong(c, g, "not sound: %s", why);
    Diag d = {.arena = c->arena};
    const char *text = graph_text(c->arena, g);
    Graph *back = graph_read(c->arena, &d, diag_source(&d, "graph", text, strlen(text), false));
    if (!back) {
        diag_print(&d, stdout);
        return wrong(c, g, "its text does not read back");
    }
    if (strcmp(graph_text(c->arena, back), text))
        return wrong(c, back, "its text reads back to this:");
    if (strcmp(graph_text(c->arena, graph_copy(c->arena, g)), text))
        return wrong(c, g, "its copy has another text");
    return true;
}

/* ---- passes ---- */

typedef struct { const char *name; void (*run)(Graph *); bool exact; } PassRow;

/* Loops in segments that divide them (steps at the end: tests/unit/opt_segment.c), every other
 * one with its values made again. */
static inline void segments(Graph *g)
{
    Segment plan[SEGMENT_LOOPS] = {{0}};
    SegmentLoop loop[SEGMENT_LOOPS];
    int n = segment_loops(g->arena, g, loop, SEGMENT_LOOPS);
    for (int i = 0; i < n; i++) {
        int64_t steps = loop[i].length / 2;
        while (steps > 1 && loop[i].length % steps)
            steps--;
        plan[i] = (Segment){steps, i % 2 == 0};
    }
    pass_segment(g, plan, n);
}

static const PassRow pipeline[] = {
    {"simplify", pass_simplify, false}, {"concat", pass_concat, false}, {"sink", pass_sink, true},
    {"simplify.2", pass_simplify, false}, {"recompute", pass_recompute, true},
    {"segment", segments, true}, {"defer", pass_defer, true}, {"simplify.3", pass_simplify, false},
};
enum { NPIPELINE = sizeof pipeline / sizeof *pipeline };

/* Equal to the bit, or, where a pass may round differently, near enough. */
static inline bool same_values(const Checker *c, const Graph *g, const PassRow *pass, int number,
                               const Value *before, const Value *after)
{
    for (int i = 0; i < g->outputs.n; i++) {
        const char *name = g->outputs.at[i].name;
        int64_t at = first_difference(&before[i], &after[i]);
        if (at >= 0 && pass->exact)
            return wrong(c, g, "run %d: output %s [%lld] was %.17g, is %.17g", number, name,
                         (long long)at, value_get(&before[i], at), value_get(&after[i], at));
        if (at < 0 || !c->tame)
            continue;
        double most = 1, tolerance = before[i].dtype == DT_f32 ? 1e-3 : 1e-8;
        for (int64_t k = 0; k < before[i].count; k++)
            most = fmax(most, fabs(value_get(&before[i], k)));
        for (int64_t k = 0; k < before[i].count; k++)
            if (!(fabs(value_get(&before[i], k) - value_get(&after[i], k)) <= tolerance * most) &&
                most < 1e12)
                return wrong(c, g, "run %d: output %s [%lld] was %.17g, is %.17g (not exact)",
                             number, name, (long long)k, value_get(&before[i], k),
                             value_get(&after[i], k));
    }
    return true;
}

static inline bool check_passes(Checker *c, Graph *g)
{
    Value *before[NRUN] = {NULL};
    Arena *a = arena_new();
    bool ok = true;
    for (int i = 0; i < NRUN; i++)
        if (is_run(c, i))
            before[i] = interpret(a, g, &c->run[i], draw_inputs(a, g, &c->run[i], c->what->seed));
    for (int p = 0; ok && p < NPIPELINE; p++) {
        c->stage = pipeline[p].name;
        char *was = graph_text(c->arena, g);
        if (c->what->verbose) {
            printf("%s changes\n%s\n", pipeline[p].name, was);
            fflush(stdout);
        }
        pipeline[p].run(g);
        ok = check_sound(c, g);
        for (int i = 0; ok && i < NRUN; i++) {
            if (!is_run(c, i))
                continue;
            const Run *r = &c->run[i];
            Value *after = interpret(a, g, r, draw_inputs(a, g, r, c->what->seed));
            ok = same_values(c, g, &pipeline[p], i, before[i], after);
            before[i] = after;
        }
        if (!ok)
            printf("before %s:\n%s\n", pipeline[p].name, was);
    }
    arena_free(a);
    return ok;
}

#endif
