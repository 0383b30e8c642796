/* The training part of an object: first values, a step, the loss, the figures. */
#include "driver/deploy.h"

#include "driver/tally.h"

#include <string.h>

/* ---- metrics ---- */

/* The sums that a step adds to, one after the other behind loss and rows. */
static void take_sums(Deploy *d, const Graph *g)
{
    const Port *p;
    int n = deploy_ports(d->arena, g, ROLE_metric, &p);
    int64_t at = SUMS_HEAD;
    for (int i = 0; i < n; i++) {
        ObjectTensor t = {.role = ROLE_metric, .name = p[i].name, .dtype = DT_f64,
                          .rank = p[i].shape.rank - 1, .offset = at, .bytes = sizeof(double)};
        for (int k = 0; k < t.rank; k++)
            t.bytes *= t.dim[k] = dim_value(p[i].shape.d[k + 1], d->spec.lengths);
        at += t.bytes;
        list_push(d->arena, &d->sums, t);
    }
    d->spec.sums = (ObjectBlob){d->sums.at, d->sums.n, at};
}

/* Copies from's nodes into g; equal inputs are one. Returns what its output becomes. */
static Node *merge(Arena *a, Graph *g, const Graph *from)
{
    Node **map = NEW_ARRAY(a, Node *, from->nodes.n + 1);
    for (int i = 0; i < from->nodes.n; i++) {
        const Node *n = from->nodes.at[i];
        Node **in = NEW_ARRAY(a, Node *, n->nin + 1);
        for (int k = 0; k < n->nin; k++)
            in[k] = map[n->in[k]->id];
        if (n->op == OP_input) {
            const char *name = attr_str(n, ATTR_name);
            map[i] = graph_find_input(g, ROLE_scalar, name);
            if (!map[i])
                map[i] = graph_input(g, ROLE_scalar, name, n->dtype, n->shape, n->span);
        } else {
            map[i] = node_new(g, n->op, n->span, in, n->nin, n->attr, n->nattr);
        }
    }
    return map[from->outputs.at[0].node->id];
}

/* All metrics' finishing graphs as one. */
static void add_figures(Deploy *d)
{
    const Unit *u = d->unit;
    Graph *g = graph_new(d->arena, "figures");
    const char **names = NEW_ARRAY(d->arena, const char *, u->nmetric + 1);
    names[0] = "loss";
    for (int i = 0; i < u->nmetric; i++) {
        names[i + 1] = u->metric[i].name;
        graph_compact(u->metric[i].finish);
        graph_output(g, ROLE_metric, arena_printf(d->arena, "%d/%s", i, u->metric[i].name),
                     merge(d->arena, g, u->metric[i].finish));
    }
    d->figure = names;
    d->nfigure = u->nmetric + 1;
    Port *out = NEW(d->arena, Port);
    *out = (Port){ROLE_result, "values", DT_f64, {0}, true, false};
    ObjectEntry e = {.name = "figures", .arg = {ARG_metrics, ARG_out, ARG_workspace},
                     .variant = {{g, 1}}, .nvariant = 1, .nout = 1, .out = out, .figures = true};
    list_push(d->arena, &d->entries, e);
}

/* ---- the learning rate ---- */

/* The rate that every optimizer's scale is multiplied with, when it is one number. */
static bool find_rate(const Graph *g, double *rate)
{
    int found = 0;
    for (int i = 0; i < g->nodes.n; i++) {
        const Node *n = g->nodes.at[i];
        for (int k = 0; k < n->nin; k++) {
            const Node *x = n->in[k];
            if (x->op != OP_input || attr_int(x, ATTR_role, -1) != ROLE_scalar ||
                strcmp(attr_str(x, ATTR_name), "learning_rate_scale") != 0)
                continue;
            const Node *other = n->nin == 2 ? n->in[1 - k] : NULL;
            const Attr *v = other && other->op == OP_const ? attr_get(other, ATTR_value) : NULL;
            if (n->op != OP_mul || !v || v->u.f <= 0 || (found && v->u.f != *rate))
                return false;
            *rate = v->u.f;
            found++;
        }
    }
    return found > 0;
}

/* ---- first values ---- */

/* The statistics of standardize come from the data or the weights, not from the seed. */
static bool fix_statistics(Deploy *d, Graph *init)
{
    Job *j = d->job;
    FitInfo fit;
    if (!unit_fit(d->unit, 0, &fit))
        return diag_ok(j->diag);
    Store *s = d->store;
    if (!s) {
        s = store_new(d->arena, d->init, false);
        store_init(s, d->init, 0);
        if (!job_data(j) || !job_fit(j, s, j->data->count - validation_count(d->unit)))
            return false;
    }
    for (int i = 0; unit_fit(d->unit, i, &fit); i++)
        for (int k = 0; k < init->outputs.n; k++) {
            Output *o = &init->outputs.at[k];
            if (strcmp(o->name, fit.mean) != 0 && strcmp(o->name, fit.deviation) != 0)
                continue;
            const Kept *from = store_find(s, ROLE_buffer, o->name);
            int64_t n = 1;
            shape_count(&o->node->shape, 0, &n);
            double *v = NEW_ARRAY(d->arena, double, n + 1);
            for (int64_t e = 0; e < n; e++)
                v[e] = from->dtype == DT_f64 ? ((const double *)from->memory)[e]
                                             : ((const float *)from->memory)[e];
            o->node = make_tensor(init, o->node->dtype, o->node->shape, v, (int)n, fit.span);
        }
    graph_compact(init);
    return true;
}

static bool add_init(Deploy *d)
{
    Graph *g = graph_copy(d->arena, d->init);
    if (!fix_statistics(d, g))
        return false;
    ObjectEntry e = {.name = "init", .arg = {ARG_params, ARG_optimizer, ARG_seed, ARG_workspace},
                     .variant = {{g, 1}}, .nvariant = 1, .writes = true};
    list_push(d->arena, &d->entries, e);
    return true;
}

/* ---- steps ---- */

static Graph *make(Deploy *d, Pipeline which)
{
    PassOptions o = d->job->passes;
    o.streaming = STREAM_no;
    o.rows = d->batch;
    return pipeline_run(d->unit, which, &o, NULL);
}

static bool add_step(Deploy *d)
{
    Graph *g = make(d, PIPELINE_step);
    if (!g)
        return false;
    ObjectEntry e = {.name = "train_step",
                     .arg = {ARG_params, ARG_optimizer, ARG_state, ARG_in, ARG_n, ARG_rate,
                             ARG_workspace, ARG_metrics},
                     .variant = {{g, d->batch}}, .nvariant = 1, .rate = 1, .trains = true,
                     .writes = true, .parallel = true};
    d->scales_rate = !find_rate(g, &e.rate);
    if (d->scales_rate)
        e.rate = 1;
    e.nin = deploy_ports(d->arena, g, ROLE_data, &e.in);
    deploy_states(d, g);
    take_sums(d, g);
    list_push(d->arena, &d->entries, e);
    return true;
}

static bool add_loss(Deploy *d)
{
    Graph *g = make(d, PIPELINE_evaluate);
    if (!g)
        return false;
    ObjectEntry e = {.name = "loss",
                     .arg = {ARG_params, ARG_state, ARG_in, ARG_n, ARG_workspace, ARG_metrics},
                     .variant = {{g, d->batch}}, .nvariant = 1, .parallel = true};
    e.nin = deploy_ports(d->arena, g, ROLE_data, &e.in);
    list_push(d->arena, &d->entries, e);
    return true;
}

bool deploy_training(Deploy *d)
{
    Job *j = d->job;
    if (!d->unit->train)
        return error_at(j->diag, d->unit->span, "--train: %s has no train block", j->path);
    if (!d->unit->data)
        return error_at(j->diag, d->unit->train->span, "--train: the training has no data");
    if (!add_init(d) || !add_step(d) || !add_loss(d))
        return false;
    add_figures(d);
    return true;
}
