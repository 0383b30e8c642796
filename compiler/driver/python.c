/* NAME.py beside a shared library: a table of its functions and memory, then the class of net.py,
 * which calls whatever the table says. */
#include "driver/deploy.h"

#include <jansson.h>
#include <string.h>

extern const char *const python_files[][2]; /* name, text */

/* As numpy spells them. */
static const char *numpy_type(Dtype dt)
{
    static const char *const names[NDTYPE] = {[DT_f32] = "float32", [DT_f64] = "float64",
                                              [DT_i32] = "int32",   [DT_u8] = "uint8",
                                              [DT_i8] = "int8",     [DT_i16] = "int16",
                                              [DT_bool] = "uint8"};
    return names[dt];
}

/* [name, dtype, [extent...]] of a row; an extent that depends on a run-time length is
 * [length, mul, add, div]. */
static json_t *ports_table(const Deploy *d, const Port *p, int n)
{
    json_t *all = json_array();
    for (int i = 0; i < n; i++) {
        json_t *dims = json_array();
        for (int k = 1; k < p[i].shape.rank; k++) {
            Dim e = p[i].shape.d[k];
            if (e.sym == SYM_none)
                json_array_append_new(dims, json_integer(e.add));
            else
                json_array_append_new(dims, json_pack("[s,I,I,I]", d->length_name[e.sym],
                                                      (json_int_t)e.mul, (json_int_t)e.add,
                                                      (json_int_t)e.div));
        }
        json_array_append_new(all, json_pack("[s,s,o]", p[i].name, numpy_type(p[i].dtype), dims));
    }
    return all;
}

static json_t *function_table(const Deploy *d, const ObjectEntry *e)
{
    static const char *const names[] = {
        [ARG_params] = "params", [ARG_optimizer] = "optimizer", [ARG_state] = "state",
        [ARG_in] = "in",         [ARG_out] = "out",             [ARG_n] = "n",
        [ARG_lengths] = "lengths", [ARG_rate] = "rate",         [ARG_seed] = "seed",
        [ARG_workspace] = "workspace", [ARG_metrics] = "metrics"};
    json_t *arguments = json_array();
    for (int i = 0; e->arg[i] != ARG_none; i++)
        if ((e->arg[i] != ARG_params || !d->spec.embed) &&
            (e->arg[i] != ARG_state || d->spec.blob[BLOB_state].n))
            json_array_append_new(arguments, json_string(names[e->arg[i]]));
    return json_pack("{s:o,s:o,s:o}", "arguments", arguments, "in",
                     ports_table(d, e->in, e->nin), "out", ports_table(d, e->out, e->nout));
}

static json_t *parameters_table(const Deploy *d)
{
    const ObjectBlob *b = &d->spec.blob[BLOB_params];
    json_t *all = json_object();
    for (int i = 0; !d->spec.embed && i < b->n; i++) {
        const ObjectTensor *x = &b->at[i];
        json_t *dims = json_array();
        for (int k = 0; k < x->rank; k++)
            json_array_append_new(dims, json_integer(x->dim[k]));
        json_object_set_new(all, x->name, json_pack("[s,o,I]", numpy_type(x->dtype), dims,
                                                    (json_int_t)x->offset));
    }
    return all;
}

static json_t *model_table(const Deploy *d)
{
    const ObjectBlob *blob = d->spec.blob;
    json_t *functions = json_object(), *figures = json_array(), *lengths = json_array();
    double rate = 1;
    for (int i = 0; i < d->entries.n; i++) {
        const ObjectEntry *e = &d->entries.at[i];
        json_object_set_new(functions, e->name, function_table(d, e));
        if (e->trains && !d->scales_rate)
            rate = e->rate;
    }
    for (int i = 0; i < d->nfigure; i++)
        json_array_append_new(figures, json_string(d->figure[i]));
    for (int s = SYM_length; s < SYM_MOST; s++)
        if (d->spec.lengths[s])
            json_array_append_new(lengths, json_string(d->length_name[s]));
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:o,s:o,s:o,s:o}", "batch",
                     (json_int_t)d->batch, "params",
                     (json_int_t)(d->spec.embed ? 0 : blob[BLOB_params].bytes), "optimizer",
                     (json_int_t)(d->train ? blob[BLOB_optimizer].bytes : 0), "state",
                     (json_int_t)(blob[BLOB_state].n ? blob[BLOB_state].bytes : 0), "workspace",
                     (json_int_t)deploy_workspace(d), "metrics",
                     (json_int_t)(d->train ? d->spec.sums.bytes / (int64_t)sizeof(double) : 0),
                     "rate", rate, "figures", figures, "lengths", lengths, "parameters",
                     parameters_table(d), "functions", functions);
}

/* The text of j, which ends with it, in arena a. */
static char *text_of(Arena *a, json_t *j)
{
    size_t flags = JSON_ENSURE_ASCII | JSON_ENCODE_ANY | JSON_INDENT(1);
    size_t size = json_dumpb(j, NULL, 0, flags);
    char *text = arena_alloc(a, size + 1);
    json_dumpb(j, text, size, flags);
    text[size] = 0;
    json_decref(j);
    return text;
}

char *deploy_python(const Deploy *d, const char *library)
{
    Text t = {.arena = d->arena};
    const char *slash = strrchr(library, '/');
    text_add(&t, "\"\"\"%s: a model compiled by weft %s for %s; takes numpy.\n\n"
             "help(Net) tells what it can do.\n\"\"\"\nimport ctypes\nimport json\nimport os\n\n"
             "import numpy as np\n\n_NAME = \"%s\"\n_LIBRARY = %s  # beside this file\n"
             "_MODEL = json.loads(r\'\'\'%s\'\'\')\n\n\n", d->spec.name, weft_version,
             d->spec.target, d->spec.name,
             text_of(d->arena, json_string(slash ? slash + 1 : library)),
             text_of(d->arena, model_table(d)));
    text_add(&t, "%s", python_files[0][1]);
    return text_string(&t);
}
