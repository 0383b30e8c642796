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
    const char *emit = o->value[OPT_emit];
    d->train = option_on(o, OPT_with_train);
    if (emit && strcmp(emit, "llvm") != 0 && strcmp(emit, "asm") != 0)
        return error_at(diag, nowhere, "--emit %s: expected llvm or asm", emit);
    if (emit && option_on(o, OPT_shared))
        return error_at(diag, nowhere, "--emit and --shared exclude each other");
    if (option_on(o, OPT_python) && !option_on(o, OPT_shared))
        return error_at(diag, nowhere, "--python goes with --shared");
    if (option_on(o, OPT_multiversion) &&
        (o->value[OPT_cpu] || o->value[OPT_features] || option_on(o, OPT_size)))
        return error_at(diag, nowhere, "--multiversion has its own processors and loops: leave out "
                        "--cpu, --features and --size");
    d->spec.form = !emit ? FORM_object : emit[0] == 'l' ? FORM_llvm : FORM_asm;
    return web_check(d) && option_integer(o, diag, OPT_batch, 1, 1 << 20, &d->batch) &&
           option_integer(o, diag, OPT_time, 1, 1 << 20, &d->time);
}

bool deploy_weights(Deploy *d)
{
    const char *path = job_weights_path(d->job);
    if (!path)
        return false;
    d->store = store_new(d->arena, d->init, false);
    return job_read_weights(d->job, d->store, path);
}

/* Weights, where they are given or a run brings them, and whether they are embedded. */
static bool read_weights(Deploy *d)
{
    Job *j = d->job;
    d->spec.embed = !d->train && !option_on(j->options, OPT_no_embed);
    if (!d->spec.embed && !j->run && !option_on(j->options, OPT_weights))
        return true;
    return deploy_weights(d);
}

static const ByteForm dot_bytes[] = {
    [DOT_none] = BYTES_single, [DOT_halfwords] = BYTES_words, [DOT_signed] = BYTES_words,
    [DOT_pairs] = BYTES_words, [DOT_mixed] = BYTES_unsigned};

bool deploy_quantize(Deploy *d)
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
    Quantize *q = quantize_compare(j, d->store);
    if (q && d->spec.options.target) /* a weights file is the same for all */
        q->bytes = dot_bytes[d->spec.options.target->dot];
    return q;
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

static bool ends_with(const char *s, const char *ending)
{
    size_t n = strlen(s), m = strlen(ending);
    return n > m && strcmp(s + n - m, ending) == 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* With --python: NAME.py in the folder of the library. */
static bool write_python(Deploy *d, const char *library)
{
    const char *name = base_name(library);
    if (!option_on(d->job->options, OPT_python))
        return true;
    char *text = deploy_python(d, library);
    Bytes all = {text, strlen(text)};
    return file_write(d->job->diag, nowhere,
                      arena_printf(d->arena, "%.*s%s.py", (int)(name - library), library,
                                   d->unit->name), &all, 1);
}

/* Where the object goes; null after a report. Beside NAME.py, Python would take NAME.so for the
 * module of that name. */
static const char *out_name(const Deploy *d)
{
    const Options *o = d->job->options;
    const char *name = d->unit->name, *out = o->value[OPT_out];
    const char *ending = option_on(o, OPT_shared)      ? ".so"
                         : d->spec.form == FORM_llvm ? ".ll"
                         : d->spec.form == FORM_asm  ? ".s"
                                                     : ".o";
    if (!out)
        return arena_printf(d->arena, "%s%s%s", option_on(o, OPT_python) ? "lib" : "", name,
                            ending);
    if (option_on(o, OPT_python) &&
        strcmp(base_name(out), arena_printf(d->arena, "%s.so", name)) == 0) {
        error_at(d->job->diag, nowhere, "--python: Python would import %s.so in place of %s.py: "
                 "call it lib%s.so", name, name, name);
        return NULL;
    }
    return out;
}

static bool write_files(Deploy *d)
{
    Job *j = d->job;
    const Options *o = j->options;
    bool shared = option_on(o, OPT_shared);
    const char *out = out_name(d);
    if (!out)
        return false;
    const char *header = sibling(d->arena, out, ".h");
    char *text = deploy_header(d);
    Bytes head = {text, strlen(text)};
    bool archive = ends_with(out, ".a") && d->spec.form == FORM_object;
    bool ok = shared    ? form_shared(d, out)
              : archive ? form_static(d, out)
                        : file_write(j->diag, nowhere, out, &d->spec.bytes, 1);
    if (!ok)
        return false;
    if (file_write(j->diag, nowhere, header, &head, 1)) {
        if (write_python(d, out))
            return true;
        unlink(header);
    }
    unlink(out);
    return false;
}

/* ---- the command ---- */

/* With --multiversion: the target that the versions begin with, t or what t is one of. */
static const Target *versions_base(Deploy *d, const Emitter *e, const Target *t)
{
    Diag *diag = d->job->diag;
    const char *why;
    bool family = strncmp(t->triple, "x86_64", strlen("x86_64")) == 0;
    if (family && !strcmp(t->name, "host"))
        t = e->target(d->arena, "x86-64", NULL, NULL, &why);
    if (!family)
        error_at(diag, nowhere, "--multiversion is for x86-64, and the target is %s", t->name);
    else if (t->vector != 16)
        error_at(diag, nowhere, "--target %s is one of the versions of --multiversion, which goes "
                 "with x86-64", t->name);
    d->spec.versions = true;
    return diag_ok(diag) ? t : NULL;
}

static bool find_target(Deploy *d, const Emitter *e)
{
    const Options *o = d->job->options;
    const char *why, *name = o->value[OPT_target];
    const Target *t = e->target(d->arena, name, o->value[OPT_cpu], o->value[OPT_features], &why);
    if (!t)
        return error_at(d->job->diag, nowhere, "%s", why);
    if (option_on(o, OPT_multiversion) && !(t = versions_base(d, e, t)))
        return false;
    d->spec.options.target = option_on(o, OPT_size) ? e->small(d->arena, t) : t;
    return true;
}

/* Outputs of other processors than this may be off by so much of the largest. */
static double tolerance_of(const Deploy *d)
{
    bool f64 = d->job->session->real == DT_f64;
    return d->spec.options.target->fma & (f64 ? REAL_f64 : REAL_f32) ? 1e-6 : 1e-5;
}

static bool compile(Deploy *d)
{
    Job *j = d->job;
    const char *why;
    j->session->scales_rate = d->train;
    const Emitter *e = code_emitter(d->arena, j->diag, nowhere);
    if (!e || !find_target(d, e))
        return false;
    if (option_on(j->options, OPT_web) && d->spec.options.target->format != OBJECT_wasm)
        return error_at(j->diag, nowhere, "--web goes with --target wasm32 or wasm32-simd");
    d->init = unit_init(d->unit);
    if (!d->init || !read_weights(d) || !deploy_quantize(d) || !deploy_blobs(d) ||
        !deploy_entries(d))
        return false;
    bool predicts = strcmp(d->entries.at[0].name, "predict") == 0; /* a stream alone does not */
    if (predicts && d->spec.embed && !option_on(j->options, OPT_no_self_test))
        deploy_test(d, tolerance_of(d));
    d->spec.name = d->unit->name;
    d->upper = upper(d->arena, d->unit->name);
    d->spec.info = deploy_info(d);
    d->spec.head = d->spec.access ? pack_head(d) : NULL;
    d->spec.options.diag = j->diag;
    if (!e->object(d->arena, &d->spec, &why))
        return unsupported_at(j->diag, d->unit->span, "this cannot be compiled yet: %s", why);
    if (!size_check(d) || !(option_on(j->options, OPT_web) ? web_write(d) : write_files(d)))
        return false;
    if (option_on(j->options, OPT_report) || j->json)
        size_report(d);
    return true;
}

Deploy *deploy_open(Job *j, bool (*check)(Deploy *))
{
    const Options *o = j->options;
    Dtype real;
    Deploy *d = NEW(j->arena, Deploy);
    *d = (Deploy){.job = j, .arena = j->arena};
    if (o->args.n != 1) {
        error_at(j->diag, nowhere, "weft %s takes one FILE.model or run folder, found %d arguments",
                 command_info[o->command].name, o->args.n);
        return NULL;
    }
    if ((check && !check(d)) || !job_dtype(j, o->args.at[0], &real) ||
        !job_open(j, o->args.at[0], real, true))
        return NULL;
    d->unit = j->unit;
    return d;
}

int command_compile(Job *j)
{
    const Options *o = j->options;
    Deploy *d = deploy_open(j, read_options);
    if (!d)
        return 1;
    if (!d->batch)
        d->batch = d->train && d->unit->train ? d->unit->train->batch_size
                   : option_on(o, OPT_web)    ? 1
                                              : 32;
    compile(d);
    return diag_exit_code(j->diag);
}
