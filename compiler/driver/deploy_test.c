/* The self test of an object: a row, and what the model gives for it. */
#include "driver/deploy.h"

#include "ir/eval.h"

#include <math.h>
#include <string.h>

/* Numbers of [0, 1], or of 0 and 1 where an integer may be an index. */
static void fill(Value *v, int64_t from)
{
    for (int64_t i = 0; i < v->count; i++) {
        int64_t x = (int64_t)((uint64_t)(from + i) * 2654435761u >> 7) % 1000;
        value_set(v, i, dtype_is_float(v->dtype) ? (double)x / 999 : (double)(x % 2));
    }
}

static Value port_value(Deploy *d, const Node *n, const int64_t *lengths)
{
    int64_t dim[RANK_MOST];
    for (int i = 0; i < n->shape.rank; i++)
        dim[i] = dim_value(n->shape.d[i], lengths);
    return value_new(d->arena, n->dtype, n->shape.rank, dim);
}

static const void *find_value(const Deploy *d, Role role, const char *name)
{
    const ObjectBlob *b = &d->spec.blob[BLOB_params];
    for (int i = 0; i < b->n; i++)
        if (b->at[i].role == role && strcmp(b->at[i].name, name) == 0)
            return b->at[i].value;
    return NULL;
}

static double largest(const Value *v)
{
    double most = 0;
    for (int64_t i = 0; i < v->count; i++)
        most = fabs(value_get(v, i)) > most ? fabs(value_get(v, i)) : most;
    return most;
}

/* The values of the graph's inputs; those of `test` go by the entry's ports. */
static void set_inputs(Deploy *d, const Graph *g, const ObjectEntry *e, const int64_t *lengths,
                       Value *in, const void **test)
{
    for (int i = 0; i < g->inputs.n; i++) {
        const Node *n = g->inputs.at[i];
        Role role = (Role)attr_int(n, ATTR_role, 0);
        const char *name = attr_str(n, ATTR_name);
        in[i] = port_value(d, n, lengths);
        if (role == ROLE_param || role == ROLE_buffer)
            memcpy(in[i].data, find_value(d, role, name),
                   (size_t)in[i].count * (size_t)dtype_size(in[i].dtype));
        if (role != ROLE_data)
            continue;
        fill(&in[i], 1000 * i);
        for (int k = 0; k < e->nin; k++)
            if (strcmp(e->in[k].name, name) == 0)
                test[k] = in[i].data;
    }
}

void deploy_test(Deploy *d, double tolerance)
{
    enum { STEPS = 8 };
    const ObjectEntry *e = &d->entries.at[0];
    const Graph *g = e->variant[0].graph;
    SelfTest *t = NEW(d->arena, SelfTest);
    Value *in = NEW_ARRAY(d->arena, Value, g->inputs.n + 1);
    Value *out = NEW_ARRAY(d->arena, Value, g->outputs.n + 1);
    const void **test_in = NEW_ARRAY(d->arena, const void *, e->nin + 1);
    const void **test_out = NEW_ARRAY(d->arena, const void *, e->nout + 1);
    double *most = NEW_ARRAY(d->arena, double, e->nout + 1);
    for (int s = SYM_length; s < SYM_MOST; s++)
        t->lengths[s] = d->spec.lengths[s] < STEPS ? d->spec.lengths[s] : STEPS;
    t->lengths[SYM_N] = t->lengths[SYM_S] = 1;
    set_inputs(d, g, e, t->lengths, in, test_in);
    graph_eval(d->arena, g, (EvalSizes){t->lengths, SYM_MOST}, in, out, false);
    for (int i = 0; i < g->outputs.n; i++)
        for (int k = 0; k < e->nout; k++)
            if (g->outputs.at[i].role == ROLE_result &&
                strcmp(g->outputs.at[i].name, e->out[k].name) == 0) {
                test_out[k] = out[i].data;
                most[k] = dtype_is_float(out[i].dtype) ? tolerance * largest(&out[i]) : 0;
            }
    t->in = test_in;
    t->out = test_out;
    t->tolerance = most;
    d->spec.test = t;
}
