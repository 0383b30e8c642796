/* Opening models, run folders and data. */
#include "driver/job.h"

#include "driver/memory.h"
#include "progress.h"
#include "system.h"

#include <inttypes.h>
#include <jansson.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const Span nowhere;

_Static_assert(sizeof(ReaderArg) == sizeof(DataArg), "ReaderArg and DataArg have one layout");
_Static_assert((int)RA_list_number == (int)DATA_list_number, "ReaderArgKind and DataArgKind agree");

bool job_begin(Job *j)
{
    const Options *o = j->options;
    j->json = option_on(o, OPT_json);
    j->quiet = option_on(o, OPT_quiet);
    if (option_on(o, OPT_time_start)) {
        j->stages = stages_new(j->started);
        stage_end(j->stages, "load the program", j->started);
    }
    int64_t threads = 0;
    bool ok = option_integer(o, j->diag, OPT_threads, 1, 4096, &threads);
    j->threads = (int)threads;
    omp_set_num_threads(j->threads ? j->threads : system_threads()); /* the interpreter's */
    return pass_options(j->arena, j->diag, o, &j->passes) && ok;
}

/* ---- facts of a run ---- */

/* A member of the run's run.json as text, null when absent. */
static char *run_fact(Arena *a, const Run *r, const char *name)
{
    json_t *root = json_load_file(r->json, 0, NULL);
    const char *s = json_string_value(json_object_get(root, name));
    char *copy = s ? arena_strdup(a, s) : NULL;
    json_decref(root);
    return copy;
}

char *job_data_facts(const Job *j, Arena *a)
{
    const DataSchema *s = j->unit->data;
    if (!s)
        return NULL;
    json_t *root = json_object(), *fields = json_array(), *classes = json_array();
    for (int i = 0; i < s->nfield; i++) {
        json_t *dims = json_array();
        for (int k = 0; k < s->field[i].rank; k++)
            json_array_append_new(dims, json_integer(s->field[i].dim[k]));
        json_array_append_new(fields, json_pack("{s:s,s:s,s:o}", "name", s->field[i].name, "dtype",
                                                dtype_name(s->field[i].dtype), "dims", dims));
    }
    for (int i = 0; s->classes && i < s->nclass; i++)
        json_array_append_new(classes, json_string(s->classes[i]));
    json_object_set_new(root, "fields", fields);
    json_object_set_new(root, "count", json_integer(s->count));
    json_object_set_new(root, "test_count", json_integer(s->test_count));
    json_object_set_new(root, "nclass", json_integer(s->nclass));
    json_object_set_new(root, "classes", classes);
    char *text = json_dumps(root, JSON_COMPACT);
    char *copy = arena_strdup(a, text ? text : "");
    free(text);
    json_decref(root);
    return copy;
}

static bool read_fact_field(Arena *a, const json_t *o, DataField *f)
{
    const char *name = json_string_value(json_object_get(o, "name"));
    const char *dtype = json_string_value(json_object_get(o, "dtype"));
    const json_t *dims = json_object_get(o, "dims");
    if (!name || !dtype || dtype_by_name(dtype) == NDTYPE || !json_is_array(dims) ||
        json_array_size(dims) >= RANK_MOST)
        return false;
    f->name = arena_strdup(a, name);
    f->dtype = dtype_by_name(dtype);
    f->rank = (int)json_array_size(dims);
    for (int k = 0; k < f->rank; k++) {
        f->dim[k] = json_integer_value(json_array_get(dims, (size_t)k));
        if (f->dim[k] < 0)
            return false;
    }
    return true;
}

/* The inverse of job_data_facts; null when there is nothing sound. */
static DataSchema *read_facts(Arena *a, const char *text)
{
    json_t *root = text ? json_loads(text, 0, NULL) : NULL;
    const json_t *fields = json_object_get(root, "fields");
    const json_t *classes = json_object_get(root, "classes");
    int nfield = (int)json_array_size(fields);
    DataSchema *s = NEW(a, DataSchema);
    DataField *field = NEW_ARRAY(a, DataField, nfield + 1);
    bool ok = nfield > 0;
    for (int i = 0; ok && i < nfield; i++)
        ok = read_fact_field(a, json_array_get(fields, (size_t)i), &field[i]);
    s->nfield = nfield;
    s->field = field;
    s->count = json_integer_value(json_object_get(root, "count"));
    s->test_count = json_integer_value(json_object_get(root, "test_count"));
    s->nclass = (int)json_integer_value(json_object_get(root, "nclass"));
    if (s->nclass > 0 && (int)json_array_size(classes) == s->nclass) {
        const char **names = NEW_ARRAY(a, const char *, s->nclass);
        for (int i = 0; i < s->nclass; i++) {
            const char *name = json_string_value(json_array_get(classes, (size_t)i));
            names[i] = arena_strdup(a, name ? name : "");
        }
        s->classes = names;
    }
    json_decref(root);
    return ok ? s : NULL;
}

/* ---- data ---- */

static const DataSchema *schema_of(Arena *a, Dataset *ds)
{
    DataSchema *s = NEW(a, DataSchema);
    DataField *field = NEW_ARRAY(a, DataField, ds->nfield + 1);
    for (int i = 0; i < ds->nfield; i++) {
        field[i] = (DataField){ds->field[i].name, ds->field[i].dtype, ds->field[i].rank, {0}};
        memcpy(field[i].dim, ds->field[i].dim, sizeof field[i].dim);
    }
    *s = (DataSchema){ds->nfield, field, ds->count, ds->test_count, ds->nclass, ds->classes, ds};
    return s;
}

typedef struct { Job *job; bool facts_suffice; } SchemaContext;

/* Sema's question for fields and facts: the reader's answer or, in a run
 * folder whose data are gone, what was written down when it was trained. */
static const DataSchema *find_schema(void *context, Diag *d, Span at, const char *reader,
                                     const ReaderArg *args, int nargs)
{
    const SchemaContext *c = context;
    Job *j = c->job;
    Diag quiet = {.arena = j->arena, .sources = d->sources};
    Diag *to = c->facts_suffice && j->run ? &quiet : d;
    double from = stage_begin(j->stages);
    if (j->data)
        dataset_close(j->data);
    j->data = dataset_open(j->data_arena, to, at, &j->places, reader, (const DataArg *)args, nargs,
                           job_data_cache(j));
    stage_end(j->stages, "look at the data", from);
    if (j->data)
        return schema_of(j->arena, j->data);
    if (to == d)
        return NULL;
    const DataSchema *s = read_facts(j->arena, run_fact(j->arena, j->run, "data_facts"));
    if (s)
        return s;
    for (int i = 0; i < quiet.messages.n; i++)
        error_at(d, quiet.messages.at[i].span, "%s", quiet.messages.at[i].text);
    return NULL;
}

static const DataSchema *find_generated(void *context, Diag *d, Span at, const Graph *g,
                                        const ReaderArg *args, int nargs)
{
    Job *j = ((const SchemaContext *)context)->job;
    j->data = job_generate(j, d, at, g, (const DataArg *)args, nargs);
    return j->data ? schema_of(j->arena, j->data) : NULL;
}

/* ---- opening ---- */

static char *folder_of(Arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return arena_strdup(a, ".");
    return arena_strndup(a, path, slash == path ? 1 : (size_t)(slash - path));
}

char *job_model_dir(const Job *j, Arena *a)
{
    char *full = realpath(j->places.model_dir ? j->places.model_dir : ".", NULL);
    char *copy = arena_strdup(a, full ? full : ".");
    free(full);
    return copy;
}

bool job_dtype(Job *j, const char *path, Dtype *real)
{
    const char *text = j->options->value[OPT_dtype];
    *real = DT_f32;
    if (!text) {
        if (!path || !run_is(path))
            return true;
        const Run *r = run_open(j->arena, j->diag, nowhere, path);
        char *was = r ? run_fact(j->arena, r, "dtype") : NULL;
        if (was && dtype_by_name(was) == DT_f64)
            *real = DT_f64;
        return r != NULL;
    }
    *real = dtype_by_name(text);
    if (*real == DT_f32 || *real == DT_f64)
        return true;
    return error_at(j->diag, nowhere, "--dtype %s: expected float32 or float64", text);
}

/* Each --set as a source of its own, so that a message can point into it. */
static void add_settings(Job *j)
{
    for (int i = 0; i < j->options->sets.n; i++) {
        const char *text = j->options->sets.at[i];
        size_t eq = (size_t)(strchr(text, '=') - text);
        Setting s = {arena_strndup(j->arena, text, eq), text + eq + 1, {0}};
        s.span.file = diag_source(j->diag, "--set", text, strlen(text), false);
        s.span.lo = (uint32_t)eq + 1;
        s.span.hi = (uint32_t)strlen(text);
        list_push(j->arena, &j->session->settings, s);
    }
}

bool job_open(Job *j, const char *path, Dtype real, bool facts_suffice)
{
    j->path = path;
    j->data_arena = arena_new();
    j->places.data_dir = j->options->value[OPT_data_dir];
    const char *file = path;
    if (run_is(path)) {
        j->run = run_open(j->arena, j->diag, nowhere, path);
        if (!j->run)
            return false;
        file = j->run->model;
        j->places.model_dir = run_fact(j->arena, j->run, "model_dir");
        if (!j->places.data_dir)
            j->places.data_dir = run_fact(j->arena, j->run, "data_dir");
    }
    if (!j->places.model_dir)
        j->places.model_dir = folder_of(j->arena, file);
    j->session = session_new(j->arena, j->diag, real);
    SchemaContext *c = NEW(j->arena, SchemaContext);
    *c = (SchemaContext){j, facts_suffice};
    j->session->schema = find_schema;
    j->session->generate = find_generated;
    j->session->schema_context = c;
    j->session->reader_param = dataset_reader_param;
    j->session->model_name = j->options->value[OPT_model];
    j->session->train_name = j->options->value[OPT_train];
    add_settings(j);
    double from = stage_begin(j->stages);
    j->unit = unit_open(j->session, file);
    stage_end(j->stages, "read the model", from);
    return j->unit && diag_ok(j->diag);
}

char *job_hash(const Job *j, Arena *a)
{
    return arena_printf(a, "%016" PRIx64, j->unit->definitions_hash);
}

/* ---- engines ---- */

void job_open_caches(Job *j)
{
    enum { DATA_MOST = 1 << 30 };
    const char *why;
    if (j->cache_known)
        return;
    j->cache_known = true;
    if (option_on(j->options, OPT_no_cache))
        return;
    j->cache = cache_open(j->arena, j->options->value[OPT_cache_dir], &why);
    if (!j->cache && why)
        warning_at(j->diag, nowhere, "compiled code is not kept in %s", why);
    if (!j->cache)
        return;
    j->data_cache.cache = cache_within(j->arena, j->cache, "data", DATA_MOST, &why);
    if (why)
        warning_at(j->diag, nowhere, "decoded data are not kept in %s", why);
}

CodeOptions job_code(Job *j)
{
    job_open_caches(j);
    return (CodeOptions){{.diag = j->diag}, j->cache, &j->compiled};
}

Engine *job_engine(Job *j, Pipeline which, bool *stopped)
{
    const Options *o = j->options;
    double from = stage_begin(j->stages);
    Graph *g = which == PIPELINE_step ? memory_step(j, stopped)
                                      : pipeline_run(j->unit, which, &j->passes, stopped);
    stage_end(j->stages, "graph and its passes", from);
    if (!g)
        return NULL;
    const char *dump = o->value[OPT_emit_dump];
    if (dump && strcmp(dump, "kernel") != 0 && strcmp(dump, "llvm") != 0 &&
        strcmp(dump, "asm") != 0) {
        error_at(j->diag, nowhere, "--emit-dump %s: expected kernel, llvm or asm", dump);
        return NULL;
    }
    CodeOptions code = job_code(j);
    bool batches = j->unit->train && (which == PIPELINE_step || which == PIPELINE_evaluate ||
                                       which == PIPELINE_watch);
    code.jit.rows = batches ? j->unit->train->batch_size : j->passes.rows;
    code.jit.dump = dump;
    code.jit.stages = j->stages;
    code.jit.debug = option_on(o, OPT_debug);
    return engine_new(j->arena, j->diag, j->unit->span, g, option_on(o, OPT_interpret), &code);
}

void scalars_bind(Arena *a, Scalars *s, Engine *e)
{
    s->arena = a;
    for (int i = 0; i < engine_nport(e); i++) {
        const Port *p = engine_port(e, i);
        if (p->role != ROLE_scalar)
            continue;
        void *memory = aligned_memory(a, 8);
        engine_bind(e, i, memory);
        list_push(a, &s->memory, memory);
        list_push(a, &s->port, p);
    }
}

void scalars_set(Scalars *s, const char *name, double v)
{
    for (int i = 0; i < s->port.n; i++) {
        if (strcmp(s->port.at[i]->name, name) != 0)
            continue;
        if (s->port.at[i]->dtype == DT_f64)
            *(double *)s->memory.at[i] = v;
        else if (s->port.at[i]->dtype == DT_f32)
            *(float *)s->memory.at[i] = (float)v;
        else
            *(int32_t *)s->memory.at[i] = (int32_t)v;
    }
}

/* ---- weights ---- */

static const char *file_of_run(Job *j, const Run *r)
{
    if (access(r->average, R_OK) == 0)
        return r->average;
    const char *which = run_fact(j->arena, r, "weights"); /* a run of an older Weft has not */
    if ((!which || strcmp(which, "last") != 0) && access(r->best, R_OK) == 0)
        return r->best;
    if (access(r->last, R_OK) == 0)
        return r->last;
    error_at(j->diag, nowhere, "%s holds no weights yet (neither best nor last.safetensors)",
             r->dir);
    return NULL;
}

const char *job_weights_path(Job *j)
{
    const char *given = j->options->value[OPT_weights];
    if (given && !run_is(given))
        return given;
    const Run *r = j->run;
    if (given)
        r = run_open(j->arena, j->diag, nowhere, given);
    if (r)
        return file_of_run(j, r);
    if (!given)
        error_at(j->diag, nowhere,
                 "%s brings no weights: give a run folder, or --weights with one or with a "
                 "safetensors file",
                 j->path);
    return NULL;
}

bool job_read_weights(Job *j, Store *s, const char *path)
{
    Weights *w = pack_is(path) ? pack_read(j, s, path)
                               : weights_read(j->arena, j->diag, nowhere, path);
    if (!w || !store_load(s, j->diag, path, w, false))
        return false;
    const char *hash = weights_get_note(w, "train.model_hash");
    if (hash && strcmp(hash, job_hash(j, j->arena)) != 0)
        warning_at(j->diag, nowhere, "%s was trained with other definitions than %s has now: the "
                   "shapes agree, the computation may not", path, j->unit->name);
    return true;
}
