/* What a deployed model tells of itself as JSON: NAME_info(), and the entries as loaders in other
 * languages (python.c, web.c) call them. */
#include "driver/deploy.h"

char *deploy_json(Arena *a, json_t *value, size_t flags)
{
    size_t size = json_dumpb(value, NULL, 0, flags);
    char *text = arena_alloc(a, size + 1);
    json_dumpb(value, text, size, flags);
    text[size] = 0;
    json_decref(value);
    return text;
}

/* ---- NAME_info() ---- */

json_t *deploy_ports_json(const Deploy *d, const Port *p, int n)
{
    json_t *all = json_array();
    for (int i = 0; i < n; i++) {
        json_t *dims = json_array();
        for (int k = 1; k < p[i].shape.rank; k++) {
            Dim e = p[i].shape.d[k];
            if (e.sym >= SYM_length && e.mul == 1 && e.add == 0 && e.div == 1)
                json_array_append_new(dims, json_string(d->length_name[e.sym]));
            else
                json_array_append_new(dims, json_integer(dim_value(e, d->spec.lengths)));
        }
        json_array_append_new(all, json_pack("{s:s,s:s,s:o}", "name", p[i].name, "dtype",
                                             dtype_name(p[i].dtype), "shape", dims));
    }
    return all;
}

char *deploy_info(const Deploy *d)
{
    const ObjectEntry *e = &d->entries.at[0];
    json_t *root = json_object();
    json_object_set_new(root, "model", json_string(d->spec.name));
    json_object_set_new(root, "weft", json_string(weft_version));
    json_object_set_new(root, "hash", json_string(job_hash(d->job, d->arena)));
    json_object_set_new(root, "batch", json_integer(d->batch));
    json_object_set_new(root, "inputs", deploy_ports_json(d, e->in, e->nin));
    json_object_set_new(root, "outputs", deploy_ports_json(d, e->out, e->nout));
    const DataSchema *data = d->unit->data;
    json_t *classes = json_array();
    for (int i = 0; data && data->classes && i < data->nclass; i++)
        json_array_append_new(classes, json_string(data->classes[i]));
    json_object_set_new(root, "classes", classes);
    return deploy_json(d->arena, root, JSON_COMPACT);
}

/* ---- entries ---- */

/* An extent: a number, or floor((mul * length + add) / div). */
static json_t *extent_json(const Deploy *d, Dim e)
{
    if (e.sym == SYM_none)
        return json_integer(e.add);
    return json_pack("{s:s,s:I,s:I,s:I}", "length", d->length_name[e.sym], "mul",
                     (json_int_t)e.mul, "add", (json_int_t)e.add, "div", (json_int_t)e.div);
}

/* Extents of a row, or of a step, which has no axis of time. */
static json_t *port_json(const Deploy *d, const ObjectEntry *e, const Port *p, int at,
                         const char *const type[NDTYPE])
{
    json_t *dims = json_array();
    int time = e->axis ? e->axis[at] : -1;
    for (int k = 1; k < p->shape.rank; k++)
        if (k != time)
            json_array_append_new(dims, extent_json(d, p->shape.d[k]));
    return json_pack("{s:s,s:s,s:o,s:b}", "name", p->name, "type", type[p->dtype], "dims", dims,
                     "still", e->axis && at < e->nin && time < 0);
}

/* Is it among the arguments of the object's functions? */
static bool is_passed(const Deploy *d, ArgKind kind)
{
    return kind == ARG_params  ? !d->spec.embed
           : kind == ARG_state ? d->spec.blob[BLOB_state].n > 0
                               : true;
}

json_t *deploy_entry_json(const Deploy *d, const ObjectEntry *e, const char *const type[NDTYPE])
{
    static const char *const names[] = {
        [ARG_params] = "params",   [ARG_optimizer] = "optimizer", [ARG_state] = "state",
        [ARG_in] = "in",           [ARG_out] = "out",             [ARG_n] = "n",
        [ARG_lengths] = "lengths", [ARG_rate] = "rate",           [ARG_seed] = "seed",
        [ARG_metrics] = "metrics", [ARG_workspace] = "workspace", [ARG_stream] = "stream",
        [ARG_steps] = "steps"};
    json_t *arguments = json_array(), *in = json_array(), *out = json_array();
    for (int i = 0; e->arg[i] != ARG_none; i++)
        if (is_passed(d, e->arg[i]))
            json_array_append_new(arguments, json_string(names[e->arg[i]]));
    for (int i = 0; i < e->nin; i++)
        json_array_append_new(in, port_json(d, e, &e->in[i], i, type));
    for (int i = 0; i < e->nout; i++)
        json_array_append_new(out, port_json(d, e, &e->out[i], e->nin + i, type));
    return json_pack("{s:o,s:o,s:o}", "arguments", arguments, "in", in, "out", out);
}
