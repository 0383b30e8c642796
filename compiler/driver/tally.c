/* Sums of loss and metrics, and the evaluation of a part of the data. */
#include "driver/tally.h"

#include "ir/eval.h"
#include "system.h"

#include <math.h>
#include <string.h>

Tally *tally_new(Arena *a, const Unit *u, Engine *e, int64_t rows, const int64_t *lengths)
{
    Tally *t = NEW(a, Tally);
    t->arena = a;
    t->unit = u;
    int nport = engine_nport(e);
    t->sum = NEW_ARRAY(a, TallySum, nport + 1);
    for (int i = 0; i < nport; i++) {
        const Port *p = engine_port(e, i);
        if (p->role == ROLE_loss) {
            t->loss_dtype = p->dtype;
            t->loss_memory = aligned_memory(a, 8);
            engine_bind(e, i, t->loss_memory);
        } else if (p->role == ROLE_metric) {
            TallySum *s = &t->sum[t->nsum++];
            *s = (TallySum){.name = p->name, .dtype = p->dtype};
            s->elements = port_elements(p, lengths);
            s->rank = p->shape.rank - 1;
            for (int k = 0; k < s->rank; k++)
                s->dim[k] = dim_value(p->shape.d[k + 1], lengths);
            s->memory = aligned_memory(a, port_bytes(p, lengths) * (size_t)rows);
            s->total = NEW_ARRAY(a, double, s->elements);
            engine_bind(e, i, s->memory);
        }
    }
    if (!t->loss_memory)
        bug("the program of %s has no loss", u->name);
    return t;
}

void tally_reset(Tally *t)
{
    t->loss = 0;
    t->rows = 0;
    for (int i = 0; i < t->nsum; i++)
        memset(t->sum[i].total, 0, sizeof(double) * (size_t)t->sum[i].elements);
}

void tally_expect(Tally *t)
{
    if (t->loss_dtype == DT_f64)
        *(double *)t->loss_memory = NAN;
    else
        *(float *)t->loss_memory = NAN;
}

double tally_last_loss(const Tally *t)
{
    return t->loss_dtype == DT_f64 ? *(double *)t->loss_memory : *(float *)t->loss_memory;
}

void tally_add(Tally *t, int64_t n)
{
    t->loss += tally_last_loss(t) * (double)n;
    t->rows += n;
    for (int i = 0; i < t->nsum; i++) {
        TallySum *s = &t->sum[i];
        Value v = {.dtype = s->dtype, .count = n * s->elements, .data = s->memory};
        for (int64_t r = 0; r < n; r++)
            for (int64_t e = 0; e < s->elements; e++)
                s->total[e] += value_get(&v, r * s->elements + e);
    }
}

static const TallySum *find_sum(const Tally *t, const char *name)
{
    for (int i = 0; i < t->nsum; i++)
        if (strcmp(t->sum[i].name, name) == 0)
            return &t->sum[i];
    return NULL;
}

/* A metric's value from its sums. */
static double finish(const Tally *t, Arena *a, const MetricInfo *m)
{
    const Graph *g = m->finish;
    Value *in = NEW_ARRAY(a, Value, g->inputs.n + 1);
    Value *out = NEW_ARRAY(a, Value, g->outputs.n + 1);
    for (int i = 0; i < g->inputs.n; i++) {
        const TallySum *s = find_sum(t, attr_str(g->inputs.at[i], ATTR_name));
        if (!s)
            bug("metric %s needs the sum '%s'", m->name, attr_str(g->inputs.at[i], ATTR_name));
        in[i] = (Value){DT_f64, s->rank, {0}, s->elements, s->total};
        memcpy(in[i].dim, s->dim, sizeof s->dim);
    }
    int64_t lengths[SYM_MOST] = {0};
    graph_eval(a, g, (EvalSizes){lengths, SYM_MOST}, in, out, false);
    return value_get(&out[0], 0);
}

int tally_figures(const Tally *t, Arena *a, const char *prefix, Figure *out)
{
    int n = 0;
    double rows = t->rows ? (double)t->rows : 1;
    out[n++] = (Figure){arena_printf(a, "%sloss", prefix), t->loss / rows};
    for (int i = 0; i < t->unit->nmetric; i++) {
        const MetricInfo *m = &t->unit->metric[i];
        Arena *scratch = arena_new();
        out[n++] = (Figure){arena_printf(a, "%s%s", prefix, m->name), finish(t, scratch, m)};
        arena_free(scratch);
    }
    return n;
}

/* ---- a stopped training's sums ---- */

int tally_save(const Tally *t, Arena *a, const RunningSum **sums)
{
    int n = 2, k = 0;
    for (int i = 0; i < t->nsum; i++)
        n += (int)t->sum[i].elements;
    RunningSum *s = NEW_ARRAY(a, RunningSum, n);
    s[k++] = (RunningSum){"loss", t->loss};
    s[k++] = (RunningSum){"rows", (double)t->rows};
    for (int i = 0; i < t->nsum; i++)
        for (int64_t e = 0; e < t->sum[i].elements; e++)
            s[k++] = (RunningSum){
                arena_printf(a, "%s[%lld]", t->sum[i].name, (long long)e), t->sum[i].total[e]};
    *sums = s;
    return n;
}

bool tally_load(Tally *t, int n, const RunningSum *sums)
{
    tally_reset(t);
    if (n == 0)
        return true;
    Arena *a = arena_new();
    const RunningSum *own;
    int want = tally_save(t, a, &own), k = 2;
    bool ok = n == want;
    for (int i = 0; ok && i < n; i++)
        ok = strcmp(own[i].name, sums[i].name) == 0;
    if (ok) {
        t->loss = sums[0].value;
        t->rows = (int64_t)sums[1].value;
        for (int i = 0; i < t->nsum; i++)
            for (int64_t e = 0; e < t->sum[i].elements; e++)
                t->sum[i].total[e] = sums[k++].value;
    }
    arena_free(a);
    return ok;
}

/* ---- a part of the data ---- */

int64_t validation_count(const Unit *u)
{
    if (!u->train || u->train->validation_split <= 0 || !u->data)
        return 0;
    double kept = floor((double)u->data->count * (1 - u->train->validation_split));
    return u->data->count - (int64_t)kept;
}

Evaluator *evaluator_new(Job *j, Arena *a, Store *weights, int64_t rows, bool *stopped)
{
    Evaluator *v = NEW(a, Evaluator);
    v->job = j;
    v->rows = rows;
    v->engine = job_engine(j, PIPELINE_evaluate, stopped);
    if (!v->engine || !job_lengths(j, engine_graph(v->engine), v->lengths))
        return NULL;
    if (!engine_prepare(v->engine, rows, v->lengths, j->threads)) {
        error_at(j->diag, j->unit->span, "not enough memory to evaluate batches of %lld samples",
                 (long long)rows);
        return NULL;
    }
    v->states = NEW(a, Store);
    v->states->arena = a;
    store_add_states(v->states, v->engine, rows, v->lengths);
    store_bind(weights, v->states, v->engine);
    scalars_bind(a, &v->scalars, v->engine);
    v->tally = tally_new(a, j->unit, v->engine, rows, v->lengths);
    return v;
}

void evaluator_free(Evaluator *v)
{
    if (v)
        engine_free(v->engine);
}

bool evaluator_run(Evaluator *v, bool test, int64_t first, int64_t count, Progress *progress)
{
    Tally *t = v->tally;
    job_bind_data(v->job, v->engine, test);
    tally_reset(t);
    store_reset_states(v->states);
    Arena *a = arena_new();
    int64_t *order = NEW_ARRAY(a, int64_t, v->rows), steps = (count + v->rows - 1) / v->rows;
    Figure *figures = NEW_ARRAY(a, Figure, v->job->unit->nmetric + 1);
    if (progress)
        progress_begin(progress, 1, 0, steps, count, 0, 0);
    bool ok = true;
    for (int64_t at = 0, step = 1; at < count && ok; at += v->rows, step++) {
        int64_t n = count - at < v->rows ? count - at : v->rows;
        for (int64_t i = 0; i < n; i++)
            order[i] = first + at + i;
        tally_expect(t);
        engine_run(v->engine, n, order);
        tally_add(t, n);
        if (progress && progress_wants(progress))
            progress_step(progress, step, at + n, figures, tally_figures(t, a, "", figures));
        ok = !system_stopping();
    }
    if (progress && ok)
        progress_end(progress, figures, tally_figures(t, a, "", figures));
    arena_free(a);
    return ok;
}
