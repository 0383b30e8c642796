/* What an object holds: the memory of its model, and a graph for each entry. */
#include "driver/deploy.h"

#include "ir/eval.h"
#include "opt/opt.h"

#include <string.h>

/* ---- blobs ---- */

ObjectTensor *deploy_tensor(Deploy *d, BlobKind kind, Role role, const char *name, Dtype dtype,
                            int rank, const int64_t *dim)
{
    ObjectTensor t = {.role = role, .name = name, .dtype = dtype, .rank = rank,
                      .bytes = dtype_size(dtype)};
    ObjectBlob *b = &d->spec.blob[kind];
    for (int i = 0; i < rank; i++)
        t.bytes *= t.dim[i] = dim[i];
    t.offset = b->bytes;
    b->bytes += (t.bytes + OBJECT_ALIGN - 1) / OBJECT_ALIGN * OBJECT_ALIGN;
    list_push(d->arena, &d->tensors[kind], t);
    b->at = d->tensors[kind].at;
    b->n = d->tensors[kind].n;
    return &b->at[b->n - 1];
}

/* Bytes take the place of parameters that nothing else reads. */
static bool quantized_blobs(Deploy *d)
{
    const Graph *g = pipeline_run(d->unit, PIPELINE_predict, &d->job->passes, NULL);
    for (int i = 0; g && i < d->store->at.n; i++) {
        const Kept *k = &d->store->at.at[i];
        if (k->role != ROLE_param || graph_find_input(g, ROLE_param, k->name))
            deploy_tensor(d, BLOB_params, k->role, k->name, k->dtype, k->rank, k->dim)->value =
                k->memory;
    }
    return g;
}

bool deploy_blobs(Deploy *d)
{
    Store *shapes = store_new(d->arena, d->init, true);
    if (d->job->passes.quantize)
        return quantized_blobs(d);
    d->spec.blob[BLOB_optimizer].bytes = OPTIMIZER_HEAD;
    for (int i = 0; i < shapes->at.n; i++) {
        const Kept *k = &shapes->at.at[i];
        const Kept *from = d->store ? store_find(d->store, k->role, k->name) : NULL;
        BlobKind kind = k->role == ROLE_slot ? BLOB_optimizer : BLOB_params;
        ObjectTensor *t = deploy_tensor(d, kind, k->role, k->name, k->dtype, k->rank, k->dim);
        t->value = from ? from->memory : NULL;
    }
    return true;
}

/* ---- parameters' own computations ---- */

/* A parameter that is embedded already with the same shape and values; null: none. */
static const ObjectTensor *same_tensor(const Deploy *d, const Value *v)
{
    size_t bytes = (size_t)v->count * (size_t)dtype_size(v->dtype);
    for (int i = 0; i < d->tensors[BLOB_params].n; i++) {
        const ObjectTensor *t = &d->tensors[BLOB_params].at[i];
        if (t->value && t->dtype == v->dtype && t->rank == v->rank &&
            !memcmp(t->dim, v->dim, sizeof *v->dim * (size_t)v->rank) &&
            !memcmp(t->value, v->data, bytes))
            return t;
    }
    return NULL;
}

/* The input of that name is the tensor instead. */
static void take_tensor(Graph *g, const char *name, const ObjectTensor *t)
{
    Node *in = graph_find_input(g, t->role, name), *same = graph_find_input(g, t->role, t->name);
    if (!same)
        same = graph_input(g, t->role, t->name, in->dtype, in->shape, in->span);
    graph_replace(g, in, same);
    graph_compact(g);
    graph_drop_unused_inputs(g, NROLE);
}

/* Their values, by the interpreter, whose bits are those of the code; entries share those that
 * are alike. */
static void add_derived(Deploy *d, Graph *g, const Graph *derived)
{
    Value *in = NEW_ARRAY(d->arena, Value, derived->inputs.n + 1);
    Value *out = NEW_ARRAY(d->arena, Value, derived->outputs.n + 1);
    int64_t lengths[SYM_MOST] = {0};
    for (int i = 0; i < derived->inputs.n; i++) {
        const Node *n = derived->inputs.at[i];
        const Kept *k = store_find(d->store, (Role)attr_int(n, ATTR_role, 0),
                                   attr_str(n, ATTR_name));
        in[i] = value_new(d->arena, k->dtype, k->rank, k->dim);
        memcpy(in[i].data, k->memory, k->bytes);
    }
    graph_eval(d->arena, derived, (EvalSizes){lengths, SYM_MOST}, in, out, false);
    for (int i = 0; i < derived->outputs.n; i++) {
        const char *name = derived->outputs.at[i].name;
        const ObjectTensor *same = same_tensor(d, &out[i]);
        if (same)
            take_tensor(g, name, same);
        else
            deploy_tensor(d, BLOB_params, ROLE_param, name, out[i].dtype, out[i].rank,
                          out[i].dim)->value = out[i].data;
    }
}

void deploy_derive(Deploy *d, Graph *g, const char *name)
{
    Graph *derived = d->spec.embed ? graph_derive(g, name) : NULL;
    if (derived)
        add_derived(d, g, derived);
}

/* ---- entries ---- */

int deploy_ports(Arena *a, const Graph *g, Role role, const Port **out)
{
    Port *p = NEW_ARRAY(a, Port, g->inputs.n + g->outputs.n + 1);
    int n = 0;
    for (int i = 0; i < g->inputs.n; i++) {
        const Node *in = g->inputs.at[i];
        if (attr_int(in, ATTR_role, -1) == (int64_t)role)
            p[n++] = (Port){role, attr_str(in, ATTR_name), in->dtype, in->shape, false, true};
    }
    for (int i = 0; i < g->outputs.n; i++) {
        const Output *o = &g->outputs.at[i];
        if (o->role == role)
            p[n++] = (Port){role, o->name, o->node->dtype, o->node->shape, true, false};
    }
    *out = p;
    return n;
}

/* A graph in a layout, with what comes from embedded parameters alone taken out. */
static Graph *make_graph(Deploy *d, Pipeline which, Layout layout, int64_t rows, const char *name)
{
    PassOptions o = d->job->passes;
    o.streaming = STREAM_no;
    o.layout = layout;
    o.rows = rows;
    Graph *g = pipeline_run(d->unit, which, &o, NULL);
    if (g)
        deploy_derive(d, g, name);
    return g;
}

static void add_variant(Deploy *d, ObjectEntry *e, Pipeline which, Layout layout, int64_t rows,
                        int64_t most, const char *name)
{
    name = arena_printf(d->arena, "derived/%s/%s", e->name, name);
    Graph *g = make_graph(d, which, layout, rows, name);
    e->variant[e->nvariant++] = (ObjectVariant){g, most, rows == 1 && most > 1};
}

/* Is every row computed from itself alone, whichever place it has in its batch? */
static bool rows_stand_alone(const Graph *g)
{
    for (int i = 0; i < g->nodes.n; i++) {
        const Node *n = g->nodes.at[i];
        bool batch = shape_has_batch(&n->shape);
        if ((n->op == OP_random && batch) || n->op == OP_batch_contract || n->op == OP_sum_shards ||
            (n->op == OP_dim && attr_get(n, ATTR_dim)->u.dim.sym == SYM_N) ||
            (n->op == OP_input && attr_int(n, ATTR_role, -1) == ROLE_state) ||
            (n->body && !rows_stand_alone(n->body)))
            return false;
    }
    return true;
}

/* The most rows that go through the code of a single one, row by row: a register tile of four
 * takes as long as 2.6 single rows (the tutorial's network), unless weights that no cache of a
 * core holds would be read for each. */
static int64_t single_most(const Deploy *d, const Graph *g)
{
    enum { ALONE = 2, CACHE_BYTES = 1 << 19 };
    bool twice = rows_stand_alone(g) && d->spec.blob[BLOB_params].bytes <= CACHE_BYTES;
    return twice && d->batch >= ALONE ? ALONE : 1;
}

/* Small batches in columns, where they are faster, the others in rows: up to 32 in vectors half
 * as many as larger ones. One variant where there are no vectors to lay them in. A single row
 * has code of its own, unless little code is wanted: that of more rows computes a register tile
 * of them, which is chosen for the least block. */
static bool add_variants(Deploy *d, ObjectEntry *e, Pipeline which)
{
    PassOptions o = d->job->passes;
    o.streaming = STREAM_no;
    o.layout = LAYOUT_rows;
    Graph *g = pipeline_run(d->unit, which, &o, NULL);
    if (!g)
        return false;
    bool small = d->spec.options.target->small;
    int64_t few = d->spec.options.target->vector ? layout_columns_most(g, d->batch) : 0;
    int64_t single = few > 1 && !small ? single_most(d, g) : 0;
    if (single)
        add_variant(d, e, which, LAYOUT_columns, 1, single, "row");
    if (few > single)
        add_variant(d, e, which, LAYOUT_columns, few < BLOCK_ROWS_LEAST ? few : BLOCK_ROWS_LEAST,
                    few, "columns");
    if (few < BLOCK_ROWS && d->batch > BLOCK_ROWS && !small)
        add_variant(d, e, which, LAYOUT_rows, BLOCK_ROWS, BLOCK_ROWS, "few");
    if (few < d->batch)
        add_variant(d, e, which, LAYOUT_rows, d->batch, d->batch, "rows");
    return true;
}

/* The most of every run-time length of a graph. */
static bool take_lengths(Deploy *d, const Graph *g)
{
    for (int i = 0; i < g->lengths.n; i++) {
        int64_t bound = g->length_most.at[i], most = bound;
        if (d->time && (!bound || d->time < bound))
            most = d->time;
        if (!most)
            return error_at(d->job->diag, d->unit->span,
                            "the length %s has no bound, and an object needs one: write %s<=200 "
                            "in the model, or give --time 200",
                            g->lengths.at[i], g->lengths.at[i]);
        d->spec.lengths[SYM_length + i] = most;
        d->length_name[SYM_length + i] = g->lengths.at[i];
    }
    return true;
}

/* What is carried from call to call, for the most rows. */
void deploy_states(Deploy *d, const Graph *g)
{
    const Port *p;
    int n = deploy_ports(d->arena, g, ROLE_state, &p);
    for (int i = 0; i < n; i++) {
        int64_t dim[RANK_MOST], lengths[SYM_MOST];
        bool known = false;
        for (int k = 0; k < d->tensors[BLOB_state].n; k++)
            known = known || strcmp(d->tensors[BLOB_state].at[k].name, p[i].name) == 0;
        memcpy(lengths, d->spec.lengths, sizeof lengths);
        lengths[SYM_N] = d->batch;
        for (int k = 0; k < p[i].shape.rank; k++)
            dim[k] = dim_value(p[i].shape.d[k], lengths);
        if (!known)
            deploy_tensor(d, BLOB_state, ROLE_state, p[i].name, p[i].dtype, p[i].shape.rank, dim);
    }
}

static bool add_predict(Deploy *d)
{
    ObjectEntry e = {.name = "predict",
                     .arg = {ARG_params, ARG_state, ARG_in, ARG_out, ARG_n, ARG_lengths,
                             ARG_workspace},
                     .parallel = true};
    if (!add_variants(d, &e, PIPELINE_predict))
        return false;
    const Graph *g = e.variant[0].graph;
    e.nin = deploy_ports(d->arena, g, ROLE_data, &e.in);
    e.nout = deploy_ports(d->arena, g, ROLE_result, &e.out);
    list_push(d->arena, &d->entries, e);
    if (!take_lengths(d, g))
        return false;
    deploy_states(d, g);
    return true;
}

/* A stream needs no bound of a length; whole sequences do. */
static bool only_streams(const Deploy *d)
{
    Graph *g = d->job->passes.streaming ? unit_forward(d->unit, FORWARD_predict) : NULL;
    for (int i = 0; g && !d->time && i < g->lengths.n; i++)
        if (!g->length_most.at[i])
            return true;
    return false;
}

/* prepare_INPUT: the data block's transforms, for each input of the model that has a field. */
static bool add_prepare(Deploy *d)
{
    PassOptions o = d->job->passes;
    o.streaming = STREAM_no;
    o.rows = 0;
    o.layout = LAYOUT_rows;
    const ObjectEntry *predict = &d->entries.at[0];
    int n = predict->nin;
    for (int i = 0; d->unit->data && i < n; i++) {
        Graph *g = pipeline_run(d->unit, PIPELINE_prepare, &o, NULL);
        const char *input = d->entries.at[0].in[i].name;
        if (!g)
            return false;
        int kept = 0;
        for (int k = 0; k < g->outputs.n; k++)
            if (g->outputs.at[k].role == ROLE_result && !strcmp(g->outputs.at[k].name, input))
                g->outputs.at[kept++] = g->outputs.at[k];
        g->outputs.n = kept;
        graph_compact(g);
        graph_drop_unused_inputs(g, NROLE);
        ObjectEntry e = {.name = arena_printf(d->arena, "prepare_%s", input),
                         .arg = {ARG_params, ARG_in, ARG_out, ARG_n, ARG_workspace},
                         .variant = {{g, d->batch}}, .nvariant = 1};
        e.nin = deploy_ports(d->arena, g, ROLE_data, &e.in);
        e.nout = deploy_ports(d->arena, g, ROLE_result, &e.out);
        if (kept && e.nin)
            list_push(d->arena, &d->entries, e);
    }
    return true;
}

/* Embedded are those that an entry reads: others gave their values to what derives from them. */
static void keep_read(Deploy *d)
{
    ObjectBlob *b = &d->spec.blob[BLOB_params];
    int kept = 0;
    b->bytes = 0;
    for (int i = 0; i < b->n; i++) {
        ObjectTensor t = b->at[i];
        bool read = false;
        for (int k = 0; k < d->entries.n; k++)
            for (int v = 0; v < d->entries.at[k].nvariant; v++)
                read |= graph_find_input(d->entries.at[k].variant[v].graph, t.role, t.name) != NULL;
        if (!read)
            continue;
        t.offset = b->bytes;
        b->bytes += (t.bytes + OBJECT_ALIGN - 1) / OBJECT_ALIGN * OBJECT_ALIGN;
        b->at[kept++] = t;
    }
    b->n = d->tensors[BLOB_params].n = kept;
}

bool deploy_entries(Deploy *d)
{
    if ((!only_streams(d) && (!add_predict(d) || !add_prepare(d))) ||
        (d->train && !deploy_training(d)) || (d->job->passes.streaming && !deploy_stream(d)))
        return false;
    /* A call through a pointer would need a table of functions beside a module of WebAssembly. */
    for (int i = 0; i < d->entries.n; i++)
        d->entries.at[i].parallel &= d->spec.options.target->format != OBJECT_wasm;
    if (d->spec.embed)
        keep_read(d);
    d->spec.entry = d->entries.at;
    d->spec.nentry = d->entries.n;
    d->spec.access = !d->spec.embed;
    d->spec.load = !d->spec.embed && d->store;
    d->spec.reset = d->spec.blob[BLOB_state].n > 0;
    return true;
}

int64_t deploy_workspace(const Deploy *d)
{
    int64_t most = d->spec.test ? d->spec.test->bytes : 0;
    for (int i = 0; i < d->entries.n; i++) {
        if (entry_streams(&d->entries.at[i]))
            continue;
        int64_t bytes = d->entries.at[i].base + d->entries.at[i].worker;
        most = bytes > most ? bytes : most;
    }
    return most;
}
