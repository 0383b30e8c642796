/* weft compile --stream: the entries of a stream, NAME_reset, NAME_step and NAME_run. The
 * caller's state holds what is remembered and, behind it, the steps' workspace. */
#include "driver/deploy.h"

#include <string.h>

/* ObjectEntry.axis of the step's ports. */
static int *time_axes(Deploy *d, const ObjectEntry *e, const Stream *s)
{
    int *axis = NEW_ARRAY(d->arena, int, e->nin + e->nout);
    for (int i = 0; i < e->nin; i++)
        for (int k = 0; k < s->step->inputs.n; k++)
            if (graph_find_input(s->step, ROLE_data, e->in[i].name) == s->step->inputs.at[k])
                axis[i] = s->input_axis[k];
    for (int i = 0; i < e->nout; i++)
        for (int k = 0; k < s->step->outputs.n; k++)
            if (s->step->outputs.at[k].role == ROLE_result &&
                strcmp(s->step->outputs.at[k].name, e->out[i].name) == 0)
                axis[e->nin + i] = s->output_axis[k];
    return axis;
}

static void add_state(Deploy *d, const Graph *reset)
{
    const Port *p;
    int n = deploy_ports(d->arena, reset, ROLE_state, &p);
    for (int i = 0; i < n; i++) {
        int64_t dim[RANK_MOST], one[SYM_MOST] = {[SYM_N] = 1};
        for (int k = 0; k < p[i].shape.rank; k++)
            dim[k] = dim_value(p[i].shape.d[k], one);
        deploy_tensor(d, BLOB_stream, ROLE_state, p[i].name, p[i].dtype, p[i].shape.rank, dim);
    }
}

bool deploy_stream(Deploy *d)
{
    Stream s;
    PassOptions o = d->job->passes;
    if (d->spec.blob[BLOB_state].n)
        return error_at(d->job->diag, d->unit->span, "--stream: %s has stateful layers, whose "
                        "states go from batch to batch; a stream keeps every layer's state without "
                        "that", d->unit->name);
    o.streaming = STREAM_step;
    o.stream = &s;
    o.rows = 1;
    Graph *step = pipeline_run(d->unit, PIPELINE_predict, &o, NULL);
    if (!step)
        return false;
    deploy_derive(d, step, "derived/step");
    pass_simplify(s.reset);
    deploy_derive(d, s.reset, "derived/reset");
    ObjectEntry reset = {.name = "reset", .arg = {ARG_params, ARG_stream}, .nvariant = 1,
                         .variant = {{s.reset, 1}}};
    ObjectEntry run = {.name = "run", .once = "step", .nvariant = 1, .variant = {{step, 1}},
                       .arg = {ARG_params, ARG_stream, ARG_in, ARG_out, ARG_steps}};
    run.nin = deploy_ports(d->arena, step, ROLE_data, &run.in);
    run.nout = deploy_ports(d->arena, step, ROLE_result, &run.out);
    run.axis = time_axes(d, &run, &s);
    if (!s.reset->inputs.n) /* nothing of it depends on them */
        reset.arg[0] = ARG_stream, reset.arg[1] = ARG_none;
    add_state(d, s.reset);
    list_push(d->arena, &d->entries, run);
    list_push(d->arena, &d->entries, reset);
    return true;
}

int64_t deploy_stream_bytes(const Deploy *d)
{
    int64_t work = 0;
    for (int i = 0; i < d->entries.n; i++) {
        const ObjectEntry *e = &d->entries.at[i];
        if (entry_streams(e) && e->base + e->worker > work)
            work = e->base + e->worker;
    }
    return work ? d->spec.blob[BLOB_stream].bytes + work : 0;
}
