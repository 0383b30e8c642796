/* weft predict: a trained model applied to files. */
#include "driver/predict.h"

#include <stdio.h>
#include <string.h>

static const Span nowhere;

/* The data inputs that a graph needs, as feeds. */
static int feeds_of(Arena *a, Graph *g, Feed **out)
{
    graph_drop_unused_inputs(g, ROLE_data);
    Feed *feed = NEW_ARRAY(a, Feed, g->inputs.n + 1);
    int n = 0;
    for (int i = 0; i < g->inputs.n; i++) {
        const Node *in = g->inputs.at[i];
        if (attr_int(in, ATTR_role, -1) == ROLE_data)
            feed[n++] = (Feed){.name = attr_str(in, ATTR_name), .dtype = in->dtype,
                               .shape = in->shape};
    }
    *out = feed;
    return n;
}

typedef struct {
    Pipeline which;
    Feed *feed;
    int nfeed;
    int64_t lengths[SYM_MOST];
} Plan;

/* Raw files go through the data block's transforms, others to the model as
 * they are. */
static bool choose_pipeline(Job *j, Plan *p)
{
    p->which = PIPELINE_serve;
    Graph *g = j->unit->data ? unit_forward(j->unit, FORWARD_serve) : NULL;
    if (g) {
        p->nfeed = feeds_of(j->arena, g, &p->feed);
        if (!feeds_open(j, p->feed, p->nfeed))
            return false;
    }
    if (!g || !feeds_are_raw(p->feed, p->nfeed)) {
        if (!diag_ok(j->diag))
            return false;
        p->which = PIPELINE_predict;
        g = unit_forward(j->unit, FORWARD_predict);
        if (!g)
            return false;
        p->nfeed = feeds_of(j->arena, g, &p->feed);
        if (!feeds_open(j, p->feed, p->nfeed))
            return false;
    }
    if (j->unit->data && !j->quiet && !j->json)
        fprintf(stderr, p->which == PIPELINE_serve
                            ? "raw data: the transforms of data %s are applied\n"
                            : "prepared data: the transforms of data %s are not applied\n",
                j->unit->data_name ? j->unit->data_name : "");
    return feeds_gather(j, g, p->feed, p->nfeed, p->lengths);
}

/* Memory for all answers; `batch` gets that of the answers of one batch, bound to the engine. */
static int answers_new(Job *j, const Plan *p, Engine *e, int64_t rows, Answer **out, void ***batch)
{
    Answer *x = NEW_ARRAY(j->arena, Answer, engine_nport(e) + 1);
    void **part = NEW_ARRAY(j->arena, void *, engine_nport(e) + 1);
    int64_t count = p->feed[0].count;
    int n = 0;
    for (int i = 0; i < engine_nport(e); i++) {
        const Port *port = engine_port(e, i);
        if (port->role != ROLE_result)
            continue;
        Answer *a = &x[n];
        *a = (Answer){.name = port->name, .dtype = port->dtype, .rank = port->shape.rank - 1};
        for (int k = 0; k < a->rank; k++)
            a->dim[k] = dim_value(port->shape.d[k + 1], p->lengths);
        a->elements = port_elements(port, p->lengths);
        a->memory = aligned_memory(j->arena, port_bytes(port, p->lengths) * (size_t)count);
        part[n] = aligned_memory(j->arena, port_bytes(port, p->lengths) * (size_t)rows);
        engine_bind(e, i, part[n++]);
    }
    *out = x;
    *batch = part;
    return n;
}

/* Runs all samples, batch by batch, and gathers the answers. */
static bool run(Job *j, const Plan *p, Engine *e, Store *store, int64_t rows)
{
    int64_t count = p->feed[0].count;
    Scalars scalars = {0};
    Store *states = NEW(j->arena, Store);
    states->arena = j->arena;
    store_add_states(states, e, rows, p->lengths);
    store_bind(store, states, e);
    store_reset_states(states);
    scalars_bind(j->arena, &scalars, e);
    for (int i = 0; i < p->nfeed; i++) {
        int port = engine_find(e, ROLE_data, p->feed[i].name);
        if (port >= 0)
            engine_bind(e, port, p->feed[i].memory);
    }
    Answer *answer;
    void **batch;
    int n = answers_new(j, p, e, rows, &answer, &batch);
    int64_t *order = NEW_ARRAY(j->arena, int64_t, rows);
    for (int64_t at = 0; at < count; at += rows) {
        int64_t now = count - at < rows ? count - at : rows;
        for (int64_t i = 0; i < now; i++)
            order[i] = at + i;
        engine_run(e, now, order);
        for (int k = 0; k < n; k++) {
            size_t bytes = (size_t)answer[k].elements * (size_t)dtype_size(answer[k].dtype);
            memcpy(answer[k].memory + bytes * (size_t)at, batch[k], bytes * (size_t)now);
        }
    }
    return answers_write(j, answer, n, count);
}

static bool predict(Job *j, bool *stopped)
{
    enum { ROWS_MOST = 256 };
    Plan p = {.which = PIPELINE_predict};
    const char *path = job_weights_path(j);
    Graph *init = path ? unit_init(j->unit) : NULL;
    if (!init)
        return false;
    Store *store = store_new(j->arena, init, false);
    if (!job_read_weights(j, store, path))
        return false;
    if (j->passes.streaming)
        return predict_stream(j, store, stopped);
    if (!choose_pipeline(j, &p))
        return false;
    if (p.nfeed == 0)
        return unsupported_at(j->diag, j->unit->span, "a model without inputs predicts nothing");
    Engine *e = job_engine(j, p.which, stopped);
    if (!e)
        return false;
    int64_t rows = p.feed[0].count < ROWS_MOST ? p.feed[0].count : ROWS_MOST;
    bool ok = engine_prepare(e, rows, p.lengths, j->threads)
                  ? run(j, &p, e, store, rows)
                  : error_at(j->diag, j->unit->span, "not enough memory to predict");
    engine_free(e);
    return ok;
}

int command_predict(Job *j)
{
    const Options *o = j->options;
    Dtype real;
    bool stopped = false;
    if (j->passes.streaming && o->args.n != 1) {
        error_at(j->diag, nowhere, "weft predict --stream takes one FILE.model or run folder and "
                 "reads the steps from stdin, found %d arguments", o->args.n);
        return 1;
    }
    if (o->args.n < 2 && !j->passes.streaming) {
        error_at(j->diag, nowhere, "weft predict takes a FILE.model or run folder and then one or "
                 "more files of samples");
        return 1;
    }
    if (!job_dtype(j, o->args.at[0], &real) || !job_open(j, o->args.at[0], real, true))
        return 1;
    return predict(j, &stopped) || stopped ? 0 : 1;
}
