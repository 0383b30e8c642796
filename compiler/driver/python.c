/* NAME.py beside a shared library: a table of its functions and memory, then the class of net.py,
 * which calls whatever the table says. */
#include "driver/deploy.h"

#include <string.h>

extern const char *const python_files[][2]; /* name, text */

/* As numpy spells them. */
static const char *const numpy_type[NDTYPE] = {
    [DT_f32] = "float32", [DT_f64] = "float64", [DT_i32] = "int32", [DT_u8] = "uint8",
    [DT_i8] = "int8",     [DT_i16] = "int16",   [DT_bool] = "uint8"};

/* By name: [type, shape, offset] of what is the caller's. */
static json_t *tensors_table(const ObjectBlob *b, bool wanted)
{
    json_t *all = json_object();
    for (int i = 0; wanted && i < b->n; i++) {
        const ObjectTensor *x = &b->at[i];
        json_t *dims = json_array();
        for (int k = 0; k < x->rank; k++)
            json_array_append_new(dims, json_integer(x->dim[k]));
        json_object_set_new(all, x->name, json_pack("[s,o,I]", numpy_type[x->dtype], dims,
                                                    (json_int_t)x->offset));
    }
    return all;
}

/* Bytes of the caller's memory, by what it is for. */
static void add_sizes(const Deploy *d, json_t *table)
{
    const ObjectBlob *blob = d->spec.blob;
    const struct { const char *name; int64_t size; } sizes[] = {
        {"batch", d->batch},
        {"params", d->spec.embed ? 0 : blob[BLOB_params].bytes},
        {"optimizer", d->train ? blob[BLOB_optimizer].bytes : 0},
        {"state", blob[BLOB_state].n ? blob[BLOB_state].bytes : 0},
        {"stream", deploy_stream_bytes(d)},
        {"workspace", deploy_workspace(d)},
        {"metrics", d->train ? d->spec.sums.bytes / (int64_t)sizeof(double) : 0}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        json_object_set_new(table, sizes[i].name, json_integer(sizes[i].size));
}

/* The functions of the table that NAME_select fills, in its order; none without versions. */
static json_t *versions_table(const Deploy *d)
{
    json_t *all = json_array();
    for (int i = 0; d->spec.versions && i < d->entries.n; i++)
        for (int form = 0; form < NENTRYFORM; form++) {
            const char *name = entry_function(d->arena, &d->entries.at[i], (EntryForm)form);
            if (name)
                json_array_append_new(all, json_string(name));
        }
    if (d->spec.versions && d->spec.test)
        json_array_append_new(all, json_string("self_test"));
    return all;
}

/* Their names, by number. */
static json_t *version_list(void)
{
    json_t *all = json_array();
    for (int i = 0; i < NVERSION; i++)
        json_array_append_new(all, json_string(version_names[i]));
    return all;
}

static json_t *model_table(const Deploy *d)
{
    const ObjectBlob *blob = d->spec.blob;
    json_t *table = json_object();
    json_t *functions = json_object(), *figures = json_array(), *lengths = json_array();
    double rate = 1;
    for (int i = 0; i < d->entries.n; i++) {
        const ObjectEntry *e = &d->entries.at[i];
        json_object_set_new(functions, e->name, deploy_entry_json(d, e, numpy_type));
        if (e->trains && !d->scales_rate)
            rate = e->rate;
    }
    for (int i = 0; i < d->nfigure; i++)
        json_array_append_new(figures, json_string(d->figure[i]));
    for (int s = SYM_length; s < SYM_MOST; s++)
        if (d->spec.lengths[s])
            json_array_append_new(lengths, json_string(d->length_name[s]));
    add_sizes(d, table);
    json_object_set_new(table, "rate", json_real(rate));
    json_object_set_new(table, "figures", figures);
    json_object_set_new(table, "lengths", lengths);
    json_object_set_new(table, "parameters", tensors_table(&blob[BLOB_params], !d->spec.embed));
    json_object_set_new(table, "slots", tensors_table(&blob[BLOB_optimizer], d->train));
    json_object_set_new(table, "functions", functions);
    json_object_set_new(table, "table", versions_table(d));
    json_object_set_new(table, "versions", version_list());
    return table;
}

char *deploy_python(const Deploy *d, const char *library)
{
    Text t = {.arena = d->arena};
    const char *slash = strrchr(library, '/');
    size_t flags = JSON_ENSURE_ASCII | JSON_ENCODE_ANY | JSON_INDENT(1);
    text_add(&t, "\"\"\"%s: a model compiled by weft %s for %s; takes numpy.\n\n"
             "help(Net) tells what it can do.\n\"\"\"\nfrom __future__ import annotations\n\n"
             "import ctypes\nimport json\nimport os\nfrom typing import Any\n\n"
             "import numpy as np\nimport numpy.typing as npt\n\n_NAME = \"%s\"\n"
             "_LIBRARY = %s  # beside this file\n_MODEL = json.loads(r\'\'\'%s\'\'\')\n\n\n",
             d->spec.name, weft_version, d->spec.target, d->spec.name,
             deploy_json(d->arena, json_string(slash ? slash + 1 : library), flags),
             deploy_json(d->arena, model_table(d), flags));
    text_add(&t, "%s", python_files[0][1]);
    return text_string(&t);
}
