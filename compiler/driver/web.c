/* A model for web pages: module, loader, types and page, in a folder (weft compile --web). What
 * does not depend on the model is in compiler/web. */
#include "driver/deploy.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern const char *const web_files[][2];

static const Span nowhere;

bool web_check(const Deploy *d)
{
    static const struct { OptionKey key; const char *name; } not_with[] = {
        {OPT_out, "--out"}, {OPT_shared, "--shared"}, {OPT_emit, "--emit"},
        {OPT_with_train, "--train"}, {OPT_no_embed, "--no-embed"}, {OPT_stream, "--stream"}};
    const Options *o = d->job->options;
    for (size_t i = 0; option_on(o, OPT_web) && i < sizeof not_with / sizeof *not_with; i++)
        if (option_on(o, not_with[i].key))
            return error_at(d->job->diag, nowhere, "--web and %s exclude each other",
                            not_with[i].name);
    return true;
}

/* ---- what the loader knows of the model ---- */

static const char *const array_type[NDTYPE] = {
    [DT_f32] = "Float32Array", [DT_f64] = "Float64Array", [DT_i32] = "Int32Array",
    [DT_u8] = "Uint8Array",    [DT_i8] = "Int8Array",     [DT_i16] = "Int16Array",
    [DT_bool] = "Uint8Array"};

static json_t *lengths_json(const Deploy *d)
{
    json_t *all = json_object();
    for (int s = SYM_length; s < SYM_MOST; s++)
        if (d->spec.lengths[s])
            json_object_set_new(all, d->length_name[s], json_integer(d->spec.lengths[s]));
    return all;
}

static json_t *layout_json(const Deploy *d)
{
    json_t *entries = json_array();
    for (int i = 0; i < d->entries.n; i++) {
        json_t *entry = deploy_entry_json(d, &d->entries.at[i], array_type);
        json_object_set_new(entry, "name",
                            json_sprintf("%s_%s", d->spec.name, d->entries.at[i].name));
        json_array_append_new(entries, entry);
    }
    return json_pack("{s:I,s:I,s:I,s:o,s:o,s:o}", "batch", (json_int_t)d->batch, "workspace",
                     (json_int_t)deploy_workspace(d), "state",
                     (json_int_t)d->spec.blob[BLOB_state].bytes, "reset",
                     json_sprintf("%s_reset", d->spec.name), "lengths", lengths_json(d), "entries",
                     entries);
}

/* NAME_info()'s text, with what the data block does. */
static json_t *info_json(const Deploy *d)
{
    json_t *info = json_loads(d->spec.info, 0, NULL), *prepare = json_array();
    for (int i = 1; i < d->entries.n; i++) { /* behind predict */
        const ObjectEntry *e = &d->entries.at[i];
        json_array_append_new(prepare, json_pack("{s:s,s:o}", "input", e->out[0].name, "fields",
                                                 deploy_ports_json(d, e->in, e->nin)));
    }
    json_object_set_new(info, "prepare", prepare);
    json_object_set_new(info, "transforms", json_string(unit_transforms(d->unit, d->arena)));
    json_object_set_new(info, "lengths", lengths_json(d));
    return info;
}

/* ---- types ---- */

static bool among(const Port *p, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(p[i].name, name) == 0)
            return true;
    return false;
}

static void add_types(const Deploy *d, Text *t)
{
    const ObjectEntry *predict = &d->entries.at[0];
    text_add(t, "export type Values = ArrayLike<number>;\n\n/** Of the model, a row after the "
             "other. */\nexport interface Inputs {");
    for (int i = 0; i < predict->nin; i++)
        text_add(t, " %s: Values;", predict->in[i].name);
    text_add(t, " }\nexport interface Outputs {");
    for (int i = 0; i < predict->nout; i++)
        text_add(t, " %s: %s;", predict->out[i].name, array_type[predict->out[i].dtype]);
    text_add(t, " }\n/** As the data store them. */\nexport interface Fields {");
    for (int i = 0; i < predict->nin; i++) { /* what no transform makes */
        bool made = false;
        for (int k = 1; k < d->entries.n; k++)
            made = made || among(d->entries.at[k].out, 1, predict->in[i].name);
        if (!made)
            text_add(t, " %s: Values;", predict->in[i].name);
    }
    for (int i = 1; i < d->entries.n; i++)
        for (int k = 0; k < d->entries.at[i].nin; k++) {
            const Port *p = &d->entries.at[i].in[k];
            bool known = false;
            for (int before = 1; before < i; before++)
                known = known || among(d->entries.at[before].in, d->entries.at[before].nin,
                                       p->name);
            if (!known)
                text_add(t, " %s: Values;", p->name);
        }
    text_add(t, " }\n/** n: rows, 1 without. */\nexport interface Options { n?: number;");
    for (int s = SYM_length; s < SYM_MOST; s++)
        if (d->spec.lengths[s])
            text_add(t, " %s?: number;", d->length_name[s]);
    text_add(t, " }\n\n");
}

/* ---- files ---- */

/* The text of a file: what is the model's own, then compiler/web's. */
static Bytes file_text(const Deploy *d, const char *name, const char *rest)
{
    Text t = {.arena = d->arena};
    const char *ending = strrchr(name, '.');
    if (strcmp(ending, ".html") != 0)
        text_add(&t, "// %s: a model compiled by weft %s for %s.\n", d->spec.name, weft_version,
                 d->spec.target);
    if (strcmp(ending, ".js") == 0) {
        text_add(&t, "export const info = %s;\n",
                 deploy_json(d->arena, info_json(d), JSON_COMPACT));
        text_add(&t, "const layout = %s;\n\n",
                 deploy_json(d->arena, layout_json(d), JSON_COMPACT));
    } else if (strcmp(ending, ".ts") == 0) {
        add_types(d, &t);
    }
    text_add(&t, "%s", rest);
    return (Bytes){text_string(&t), (size_t)t.n};
}

static bool write_all(Deploy *d, const char *dir, const Bytes *module)
{
    Diag *diag = d->job->diag;
    const char *path = arena_printf(d->arena, "%s/net.wasm", dir);
    if (!file_write(diag, nowhere, path, module, 1))
        return false;
    for (int i = 0; web_files[i][0]; i++) {
        Bytes text = file_text(d, web_files[i][0], web_files[i][1]);
        path = arena_printf(d->arena, "%s/%s", dir, web_files[i][0]);
        if (file_write(diag, nowhere, path, &text, 1))
            continue;
        for (int k = 0; k < i; k++)
            unlink(arena_printf(d->arena, "%s/%s", dir, web_files[k][0]));
        unlink(arena_printf(d->arena, "%s/net.wasm", dir));
        return false;
    }
    return true;
}

bool web_write(Deploy *d)
{
    const char *dir = d->job->options->value[OPT_web];
    Bytes module;
    bool made = mkdir(dir, 0777) == 0;
    if (!made && errno != EEXIST)
        return error_at(d->job->diag, nowhere, "--web: cannot make the folder '%s': %s", dir,
                        strerror(errno));
    if (form_wasm(d, dir, &module) && write_all(d, dir, &module))
        return true;
    if (made)
        rmdir(dir);
    return false;
}
