/* weft train --watch: statistics of named tensors, step by step.
 *
 * What a training keeps (parameters, optimizer state) is looked at in its memory after the step.
 * Gradients and tensors of the model are outputs of a graph of their own (PIPELINE_watch), run on
 * the step's batch before it: as outputs of the step's graph they would be more uses of its nodes,
 * which passes that join sums look at, and the training's bits would not be those without --watch.
 */
#include "driver/train.h"

#include "ir/eval.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const Span nowhere;

typedef struct {
    const char *name;
    Dtype dtype;
    const void *memory;
    int64_t elements;       /* of all, or of a row */
    bool rows;
} Watched;

typedef struct Watch {
    LIST(Watched) at;
    Engine *engine;         /* null: nothing is computed for it */
    Scalars scalars;
    int64_t n;              /* rows of the step */
    int width;              /* of the longest name */
} Watch;

/* ---- names ---- */

typedef LIST(const char *) Names;

static int find_name(const Names *names, const char *name)
{
    for (int i = 0; i < names->n; i++)
        if (strcmp(names->at[i], name) == 0)
            return i;
    return -1;
}

/* All that can be watched: what is kept, gradients, tensors of the model. */
static bool list_names(Training *t, Names *all)
{
    const Unit *u = t->unit;
    Arena *a = t->arena;
    Graph *g = unit_forward(t->unit, FORWARD_watch);
    if (!g)
        return false;
    for (int i = 0; i < g->outputs.n; i++)
        if (g->outputs.at[i].role == ROLE_result)
            list_push(a, all, g->outputs.at[i].name);
    for (int i = 0; i < t->store->at.n; i++)
        if (t->store->at.at[i].role != ROLE_state)
            list_push(a, all, t->store->at.at[i].file_name);
    for (int i = 0; i < u->nparam; i++)
        if (u->param[i].trainable)
            list_push(a, all,
                      (const char *)arena_printf(a, WATCH_gradient "%s", u->param[i].name));
    return true;
}

static void tell_names(Training *t, const Names *all)
{
    char *list = arena_strdup(t->arena, "");
    for (int i = 0; i < all->n; i++)
        list = arena_printf(t->arena, "%s%s%s", list, i ? ", " : "", all->at[i]);
    note_at(t->job->diag, nowhere, "what can be watched: %s", list);
}

static bool unknown_watched(Diag *d, const Names *all, const char *name)
{
    const char *near = nearest_name(name, all->at, all->n);
    return error_at(d, nowhere, "--watch: nothing is named '%s'%s%s%s", name,
                    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* The option's words, each of them a name. */
static bool read_names(Training *t, Names *wanted)
{
    Names all = {0};
    if (!list_names(t, &all))
        return false;
    bool ok = true;
    for (const char *s = t->job->options->value[OPT_watch]; *s;) {
        size_t n = strcspn(s, ",");
        const char *name = arena_strndup(t->arena, s, n);
        s += n + (s[n] == ',');
        if (find_name(&all, name) < 0)
            ok = unknown_watched(t->job->diag, &all, name);
        else if (find_name(wanted, name) < 0)
            list_push(t->arena, wanted, name);
    }
    if (!ok)
        tell_names(t, &all);
    return ok;
}

/* ---- where they lie ---- */

static const Kept *find_kept(const Store *s, const char *name)
{
    for (int i = 0; i < s->at.n; i++)
        if (strcmp(s->at.at[i].file_name, name) == 0)
            return &s->at.at[i];
    return NULL;
}

/* Binds memory for a tensor that the engine computes. */
static Watched computed(Training *t, Engine *e, const char *name)
{
    size_t n = strlen(WATCH_gradient);
    bool gradient = strncmp(name, WATCH_gradient, n) == 0;
    int port = engine_find(e, gradient ? ROLE_grad : ROLE_result, gradient ? name + n : name);
    if (port < 0)
        bug("the graph of what is watched has no '%s'", name);
    const Port *p = engine_port(e, port);
    bool rows = shape_has_batch(&p->shape);
    void *memory = aligned_memory(t->arena, port_bytes(p, t->lengths) *
                                                (size_t)(rows ? t->batch : 1));
    engine_bind(e, port, memory);
    return (Watched){name, p->dtype, memory, port_elements(p, t->lengths), rows};
}

static bool make_engine(Training *t, Watch *w, const Names *names)
{
    Job *j = t->job;
    int64_t lengths[SYM_MOST];
    j->passes.watch = names->at;
    j->passes.nwatch = names->n;
    w->engine = job_engine(j, PIPELINE_watch, NULL);
    if (!w->engine || !job_lengths(j, engine_graph(w->engine), lengths))
        return false;
    if (!train_prepare(t, w->engine, lengths))
        return false;
    store_bind(t->store, t->store, w->engine);
    job_bind_data(j, w->engine, false);
    scalars_bind(t->arena, &w->scalars, w->engine);
    return true;
}

bool watch_open(Training *t)
{
    Names names = {0}, made = {0};
    if (!option_on(t->job->options, OPT_watch))
        return true;
    Watch *w = t->watch = NEW(t->arena, Watch);
    if (!read_names(t, &names))
        return false;
    for (int i = 0; i < names.n; i++)
        if (!find_kept(t->store, names.at[i]))
            list_push(t->arena, &made, names.at[i]);
    if (made.n && !make_engine(t, w, &made))
        return false;
    for (int i = 0; i < names.n; i++) {
        const char *name = names.at[i];
        const Kept *k = find_kept(t->store, name);
        int64_t elements = k ? (int64_t)k->bytes / dtype_size(k->dtype) : 0;
        Watched x = k ? (Watched){name, k->dtype, k->memory, elements, false}
                      : computed(t, w->engine, name);
        list_push(t->arena, &w->at, x);
        w->width = (int)strlen(name) > w->width ? (int)strlen(name) : w->width;
    }
    return true;
}

void watch_close(Training *t)
{
    if (t->watch)
        engine_free(t->watch->engine);
}

/* ---- a step ---- */

typedef struct {
    double min, max, mean, deviation;   /* of the finite ones; NaN without any */
    double zeros;                       /* share of all */
    int64_t finite, all;
} Statistics;

/* Mean, then deviations from it, in double; min and max as they stand. */
static Statistics look(const Watched *x, int64_t n)
{
    Value v = {.dtype = x->dtype, .count = x->elements * (x->rows ? n : 1),
               .data = (void *)x->memory};
    Statistics s = {.min = NAN, .max = NAN, .all = v.count};
    double sum = 0, squares = 0;
    int64_t zeros = 0;
    for (int64_t i = 0; i < v.count; i++) {
        double e = value_get(&v, i);
        zeros += e == 0;
        if (!isfinite(e))
            continue;
        s.finite++;
        sum += e;
        s.min = s.min <= e ? s.min : e;
        s.max = s.max >= e ? s.max : e;
    }
    s.mean = sum / (double)s.finite;
    for (int64_t i = 0; i < v.count; i++) {
        double e = value_get(&v, i);
        squares += isfinite(e) ? (e - s.mean) * (e - s.mean) : 0;
    }
    s.deviation = sqrt(squares / (double)s.finite);
    s.zeros = (double)zeros / (double)(v.count ? v.count : 1);
    return s;
}

static void print_json(const Training *t, const Watched *x, const Statistics *s)
{
    JsonField f[] = {
        json_field_integer("epoch", t->state.epoch + 1),
        json_field_integer("step", t->state.step + 1),
        json_field_text("name", x->name),
        json_field_number("min", s->min),
        json_field_number("max", s->max),
        json_field_number("mean", s->mean),
        json_field_number("deviation", s->deviation),
        json_field_number("zeros", s->zeros),
        json_field_integer("not_finite", s->all - s->finite),
        json_field_integer("elements", s->all),
    };
    json_line(stdout, "watch", f, sizeof f / sizeof *f);
}

void watch_before(Training *t, int64_t n, const int64_t *order)
{
    Watch *w = t->watch;
    if (!w)
        return;
    w->n = n;
    if (!w->engine)
        return;
    scalars_set(&w->scalars, "step", (double)t->state.step + 1);
    scalars_set(&w->scalars, "epoch", (double)t->state.epoch);
    scalars_set(&w->scalars, "seed", (double)t->state.seed);
    scalars_set(&w->scalars, "learning_rate_scale", t->state.learning_rate);
    engine_run(w->engine, n, order);
}

void watch_after(const Training *t)
{
    const Watch *w = t->watch;
    if (!w)
        return;
    progress_break(t->progress);
    if (!t->job->json && t->epoch_steps == 0)
        printf("%5s %7s  %-*s %11s %11s %11s %11s %7s %10s\n", "epoch", "step", w->width, "tensor",
               "min", "max", "mean", "deviation", "zeros", "not finite");
    for (int i = 0; i < w->at.n; i++) {
        const Watched *x = &w->at.at[i];
        Statistics s = look(x, w->n);
        if (t->job->json)
            print_json(t, x, &s);
        else
            printf("%5lld %7lld  %-*s %11.4g %11.4g %11.4g %11.4g %5.1f %% %10lld\n",
                   (long long)t->state.epoch + 1, (long long)t->state.step + 1, w->width, x->name,
                   s.min, s.max, s.mean, s.deviation, 100 * s.zeros,
                   (long long)(s.all - s.finite));
    }
    fflush(stdout);
}
