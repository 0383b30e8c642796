/* weft compile: a model as an object file and a header. */
#include "driver/deploy.h"
#include "driver/quantize.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

static const Span nowhere;

/* ---- what is asked for ---- */

static bool read_options(Deploy *d)
{
    const Options *o = d->job->options;
    Diag *diag = d->job->diag;
    d->train = option_on(o, OPT_with_train);
    return option_integer(o, diag, OPT_batch, 1, 1 << 20, &d->batch) &&
           option_integer(o, diag, OPT_time, 1, 1 << 20, &d->time);
}

/* Weights, where they are given or a run brings them, and whether they are embedded. */
static bool read_weights(Deploy *d)
{
    Job *j = d->job;
    bool embed = !d->train && !option_on(j->options, OPT_no_embed);
    d->spec.embed = embed;
    if (!embed && !j->run && !option_on(j->options, OPT_weights))
        return true;
    const char *path = job_weights_path(j);
    if (!path)
        return false;
    d->store = store_new(d->arena, d->init, false);
    return job_read_weights(j, d->store, path);
}

/* With --quantize: from here on, parameters of products are bytes. */
static bool quantize(Deploy *d)
{
    Job *j = d->job;
    bool asked;
    if (!quantize_asked(j, &asked))
        return false;
    if (!asked)
        return true;
    if (d->train)
        return error_at(j->diag, nowhere, "--quantize is for inference: leave out --train");
    if (!d->store)
        return error_at(j->diag, nowhere, "--quantize rounds weights: give --weights or a run "
                        "folder");
    return quantize_compare(j, d->store);
}

static char *upper(Arena *a, const char *name)
{
    char *s = arena_strdup(a, name);
    for (char *p = s; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return s;
}

/* ---- files ---- */

/* path with another ending. */
static char *sibling(Arena *a, const char *path, const char *ending)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    size_t n = dot && (!slash || dot > slash + 1) ? (size_t)(dot - path) : strlen(path);
    return arena_printf(a, "%.*s%s", (int)n, path, ending);
}

static bool write_files(Deploy *d)
{
    Job *j = d->job;
    const char *out = j->options->value[OPT_out];
    if (!out)
        out = arena_printf(d->arena, "%s.o", d->unit->name);
    const char *header = sibling(d->arena, out, ".h");
    char *text = deploy_header(d);
    Bytes head = {text, strlen(text)};
    if (!file_write(j->diag, nowhere, out, &d->spec.bytes, 1))
        return false;
    if (file_write(j->diag, nowhere, header, &head, 1))
        return true;
    unlink(out);
    return false;
}

/* ---- the command ---- */

static bool find_target(Deploy *d, const Emitter *e)
{
    const Options *o = d->job->options;
    const char *why, *name = o->value[OPT_target];
    d->spec.options.target = e->target(d->arena, name, o->value[OPT_cpu], o->value[OPT_features],
                                       &why);
    return d->spec.options.target || error_at(d->job->diag, nowhere, "%s", why);
}

static bool compile(Deploy *d)
{
    Job *j = d->job;
    const char *why;
    j->session->scales_rate = d->train;
    const Emitter *e = code_emitter(d->arena, j->diag, nowhere);
    if (!e || !find_target(d, e))
        return false;
    d->init = unit_init(d->unit);
    if (!d->init || !read_weights(d) || !quantize(d) || !deploy_blobs(d) || !deploy_entries(d))
        return false;
    d->spec.name = d->unit->name;
    d->upper = upper(d->arena, d->unit->name);
    d->spec.info = deploy_info(d);
    d->spec.options.diag = j->diag;
    if (!e->object(d->arena, &d->spec, &why))
        return unsupported_at(j->diag, d->unit->span, "this cannot be compiled yet: %s", why);
    return write_files(d);
}

int command_compile(Job *j)
{
    const Options *o = j->options;
    Dtype real;
    Deploy *d = NEW(j->arena, Deploy);
    *d = (Deploy){.job = j, .arena = j->arena};
    if (o->args.n != 1) {
        error_at(j->diag, nowhere, "weft compile takes one FILE.model or run folder, found %d "
                 "arguments", o->args.n);
        return 1;
    }
    if (!read_options(d) || !job_dtype(j, o->args.at[0], &real) ||
        !job_open(j, o->args.at[0], real, true))
        return 1;
    d->unit = j->unit;
    if (!d->batch)
        d->batch = d->train && d->unit->train ? d->unit->train->batch_size : 32;
    compile(d);
    return diag_exit_code(j->diag);
}
