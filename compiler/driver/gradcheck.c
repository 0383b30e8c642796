/* weft gradcheck: gradients against central differences, in float64.
 *
 * For every parameter element looked at, (f(x + h) - f(x - h)) / 2h is compared
 * with the gradient that grad/ appends. The error is relative to the tensor's
 * largest gradient. Where it is large the step is halved a few times: the error
 * of a wrong gradient stays, that of a kink nearby (relu, max) goes.
 *
 * Where a function states its own gradient a difference may be meant (a
 * straight-through estimator): it is shown, and is no mistake.
 */
#include "driver/job.h"

#include "grad/grad.h"
#include "ir/eval.h"
#include "shuffle.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const Span nowhere;

enum { ELEMENTS_MOST = 40, ROWS = 3 };
static const double tolerance = 1e-6;

/* A scalar function of parameters: a graph with its gradient. */
typedef struct {
    Job *job;
    Arena *arena;
    const char *name;
    const Graph *graph;
    int64_t lengths[SYM_MOST];
    Value *in, *out;
    int loss;                   /* index of the loss among the outputs */
    int64_t seed;
    bool stated;                /* a function in it states its own gradient */
} Check;

static bool states_gradient(const Graph *g)
{
    for (int i = 0; i < g->nodes.n; i++)
        if (g->nodes.at[i]->op == OP_own_gradient ||
            (g->nodes.at[i]->body && states_gradient(g->nodes.at[i]->body)))
            return true;
    return false;
}

/* Random numbers in (-1, 1), the same for a seed, tensor and element. */
static double random_at(int64_t seed, int tensor, int64_t e)
{
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)tensor}, out[2];
    uint32_t counter[2] = {(uint32_t)e, (uint32_t)(e >> 32)};
    threefry2x32(key, counter, out);
    return ((double)(out[0] >> 8) + 0.5) / (1 << 23) - 1;
}

static double loss_of(Check *c)
{
    graph_eval(c->arena, c->graph, (EvalSizes){c->lengths, SYM_MOST}, c->in, c->out, false);
    return value_get(&c->out[c->loss], 0);
}

static Value input_of(Check *c, int i)
{
    const Node *n = c->graph->inputs.at[i];
    int64_t dim[RANK_MOST];
    for (int k = 0; k < n->shape.rank; k++)
        dim[k] = dim_value(n->shape.d[k], c->lengths);
    return value_new(c->arena, n->dtype, n->shape.rank, dim);
}

/* The value at two steps' difference; smaller steps while they help. */
static double difference(Check *c, Value *x, int64_t e, double expected, double scale)
{
    double was = value_get(x, e), best = NAN;
    double step = 1e-4 * fmax(1, fabs(was));
    for (int i = 0; i < 4; i++, step /= 10) {
        value_set(x, e, was + step);
        double above = loss_of(c);
        value_set(x, e, was - step);
        double below = loss_of(c);
        double slope = (above - below) / (2 * step);
        if (i == 0 || fabs(slope - expected) < fabs(best - expected))
            best = slope;
        if (fabs(best - expected) <= tolerance * scale)
            break;
    }
    value_set(x, e, was);
    return best;
}

/* Checks one parameter; returns its largest error relative to `scale`. */
static double check_tensor(Check *c, Value *x, const Value *grad, double scale, int64_t *checked)
{
    double worst = 0;
    int64_t stride = (x->count + ELEMENTS_MOST - 1) / ELEMENTS_MOST;
    *checked = 0;
    for (int64_t e = 0; e < x->count; e += stride ? stride : 1) {
        Arena *keep = c->arena;
        c->arena = arena_new();
        double expected = value_get(grad, e), error;
        error = fabs(difference(c, x, e, expected, scale) - expected) / scale;
        arena_free(c->arena);
        c->arena = keep;
        worst = isnan(error) || error > worst ? error : worst;
        ++*checked;
        if (isnan(worst))
            break;
    }
    return worst;
}

static void print_line(const Check *c, const char *tensor, int64_t checked, int64_t count,
                       double scale, double error)
{
    bool ok = error <= tolerance;
    if (c->job->json) {
        JsonField f[] = {
            json_field_text("of", c->name),          json_field_text("tensor", tensor),
            json_field_integer("checked", checked),  json_field_integer("elements", count),
            json_field_number("largest", scale),     json_field_number("error", error),
            json_field_bool("ok", ok),               json_field_bool("stated", c->stated),
        };
        json_line(stdout, "gradcheck", f, sizeof f / sizeof *f);
    } else {
        printf("  %-46s %6lld of %-8lld %10.3g %10.2g  %s\n", tensor, (long long)checked,
               (long long)count, scale, error,
               ok ? "ok" : c->stated ? "differs, as stated" : "WRONG");
    }
}

/* Compares all gradients of c->graph, whose ROLE_grad outputs are there.
 * Returns how many tensors are wrong. */
static int check_graph(Check *c)
{
    const Graph *g = c->graph;
    int wrong = 0, tensors = 0;
    loss_of(c);
    Value *grad = NEW_ARRAY(c->arena, Value, g->outputs.n + 1);
    memcpy(grad, c->out, sizeof *grad * (size_t)g->outputs.n);
    if (!c->job->json)
        printf("%s\n", c->name);
    double all = 0;
    for (int i = 0; i < g->outputs.n; i++)
        for (int64_t e = 0; g->outputs.at[i].role == ROLE_grad && e < grad[i].count; e++)
            all = fmax(all, fabs(value_get(&grad[i], e)));
    for (int i = 0; i < g->outputs.n; i++) {
        if (g->outputs.at[i].role != ROLE_grad)
            continue;
        int input = -1;
        for (int k = 0; k < g->inputs.n; k++)
            if (attr_int(g->inputs.at[k], ATTR_role, -1) == ROLE_param &&
                strcmp(attr_str(g->inputs.at[k], ATTR_name), g->outputs.at[i].name) == 0)
                input = k;
        if (input < 0)
            continue;
        double scale = 0;
        for (int64_t e = 0; e < grad[i].count; e++)
            scale = fmax(scale, fabs(value_get(&grad[i], e)));
        /* A tensor without influence is judged by the others' size. */
        double by = fmax(scale, 1e-3 * all);
        int64_t checked;
        double error = check_tensor(c, &c->in[input], &grad[i], by > 0 ? by : 1, &checked);
        print_line(c, g->outputs.at[i].name, checked, grad[i].count, scale, error);
        wrong += !(error <= tolerance) && !c->stated;
        tensors++;
    }
    if (!tensors && !c->job->json)
        printf("  no parameters\n");
    return wrong;
}

static int find_loss(const Graph *g)
{
    for (int i = 0; i < g->outputs.n; i++)
        if (g->outputs.at[i].role == ROLE_loss)
            return i;
    bug("a graph to be checked has no loss");
}

/* Room for inputs and outputs; sizes are small numbers. */
static void begin(Check *c, const Graph *g)
{
    c->graph = g;
    c->in = NEW_ARRAY(c->arena, Value, g->inputs.n + 1);
    c->out = NEW_ARRAY(c->arena, Value, g->outputs.n + 1);
    c->loss = find_loss(g);
    c->lengths[SYM_N] = ROWS;
    c->lengths[SYM_S] = shard_count(ROWS);
    for (int i = SYM_length; i < SYM_MOST; i++)
        if (!c->lengths[i])
            c->lengths[i] = 4;
}

/* ---- a definition of the user's ---- */

static int check_definition(Job *j, Graph *g, int64_t seed)
{
    Arena *a = arena_new();
    Check c = {.job = j, .arena = a, .name = g->name ? g->name : "?", .seed = seed};
    Node **wrt = NEW_ARRAY(a, Node *, g->inputs.n + 1), **grad;
    const char **name = NEW_ARRAY(a, const char *, g->inputs.n + 1);
    int n = 0;
    for (int i = 0; i < g->inputs.n; i++)
        if (attr_int(g->inputs.at[i], ATTR_role, -1) == ROLE_param &&
            dtype_is_float(g->inputs.at[i]->dtype)) {
            name[n] = attr_str(g->inputs.at[i], ATTR_name);
            wrt[n++] = g->inputs.at[i];
        }
    grad = NEW_ARRAY(a, Node *, n + 1);
    c.stated = states_gradient(g);
    grad_append(g, g->outputs.at[find_loss(g)].node, wrt, n, grad);
    for (int i = 0; i < n; i++)
        graph_output(g, ROLE_grad, name[i], grad[i]);
    begin(&c, g);
    for (int i = 0; i < g->inputs.n; i++) {
        c.in[i] = input_of(&c, i);
        int64_t role = attr_int(g->inputs.at[i], ATTR_role, -1);
        for (int64_t e = 0; e < c.in[i].count && role != ROLE_scalar; e++) {
            double v = random_at(seed, i, e);
            if (dtype_is_float(c.in[i].dtype)) /* a buffer may be a variance */
                value_set(&c.in[i], e, role == ROLE_buffer ? fabs(v) : v);
        }
    }
    int wrong = check_graph(&c);
    arena_free(a);
    return wrong;
}

/* ---- the whole model ---- */

/* Parameters and buffers as the model begins, each moved a little, so that
 * zeros (biases) do not hide anything. */
static bool set_weights(Check *c, Job *j)
{
    Graph *init = unit_init(j->unit);
    if (!init)
        return false;
    Store *s = store_new(c->arena, init, false);
    store_init(s, init, (int32_t)c->seed);
    for (int i = 0; i < c->graph->inputs.n; i++) {
        const Node *n = c->graph->inputs.at[i];
        Role role = (Role)attr_int(n, ATTR_role, ROLE_data);
        const Kept *k = store_find(s, role, attr_str(n, ATTR_name));
        if (!k)
            continue;
        memcpy(c->in[i].data, k->memory, k->bytes);
        for (int64_t e = 0; role == ROLE_param && e < c->in[i].count; e++)
            value_set(&c->in[i], e, value_get(&c->in[i], e) + 0.05 * random_at(c->seed, i, e));
    }
    return true;
}

static int check_model(Job *j, int64_t seed)
{
    Arena *a = arena_new();
    Check c = {.job = j, .arena = a, .name = j->unit->name, .seed = seed};
    const PassOptions none = {.dump = -1, .stop = -1};
    Graph *g = pipeline_run(j->unit, PIPELINE_gradient, &none, NULL);
    int wrong = -1;
    if (!g || !job_data(j) || !job_lengths(j, g, c.lengths))
        goto done;
    if (j->data->count < ROWS) {
        error_at(j->diag, nowhere, "gradcheck needs %d samples, the data have %lld", ROWS,
                 (long long)j->data->count);
        goto done;
    }
    c.stated = states_gradient(g);
    begin(&c, g);
    for (int i = 0; i < g->inputs.n; i++) {
        c.in[i] = input_of(&c, i);
        if (attr_int(g->inputs.at[i], ATTR_role, -1) != ROLE_data)
            continue;
        const DataArray *f = &j->data->field[dataset_field(j->data, attr_str(g->inputs.at[i],
                                                                             ATTR_name))];
        memcpy(c.in[i].data, f->train, ROWS * f->sample_bytes);
    }
    if (set_weights(&c, j))
        wrong = check_graph(&c);
done:
    arena_free(a);
    return wrong;
}

int command_gradcheck(Job *j)
{
    const Options *o = j->options;
    int64_t seed = 1;
    if (o->args.n != 1) {
        error_at(j->diag, nowhere, "weft gradcheck takes one FILE.model, found %d arguments",
                 o->args.n);
        return 1;
    }
    if (!option_integer(o, j->diag, OPT_seed, 0, INT32_MAX, &seed) ||
        !job_open(j, o->args.at[0], DT_f64, false))
        return 1;
    Graph **graphs;
    int n = unit_gradchecks(j->unit, &graphs), wrong = 0;
    if (!diag_ok(j->diag))
        return 1;
    bool model = j->unit->train && j->data;
    if (!j->json && (n || model))
        printf("%-48s %-18s %10s %10s\n", "gradients in float64", "elements checked", "largest",
               "error");
    for (int i = 0; i < n; i++)
        wrong += check_definition(j, graphs[i], seed);
    if (model) {
        int more = check_model(j, seed);
        if (more < 0)
            return 1;
        wrong += more;
    } else if (!n) {
        error_at(j->diag, j->unit->span, "there is nothing to check: no definitions and no train "
                 "block with data");
        return 1;
    }
    if (wrong)
        error_at(j->diag, nowhere, "%d tensor%s with a gradient that differs by more than %g of "
                 "the largest", wrong, wrong == 1 ? "" : "s", tolerance);
    return wrong ? 1 : 0;
}
