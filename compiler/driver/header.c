/* The header that is written beside an object. */
#include "driver/deploy.h"
#include "packed.h"

#include <ctype.h>
#include <string.h>

/* ---- words of C ---- */

static const char *c_type(Dtype dt)
{
    static const char *const names[NDTYPE] = {[DT_f32] = "float",    [DT_f64] = "double",
                                              [DT_i32] = "int32_t",  [DT_u8] = "uint8_t",
                                              [DT_i8] = "int8_t",   [DT_i16] = "int16_t",
                                              [DT_bool] = "uint8_t"};
    return names[dt];
}

/* "[n][28][28]": one row's extents, run-time lengths by name. */
static void add_extents(const Deploy *d, Text *t, const Port *p)
{
    for (int i = 1; i < p->shape.rank; i++) {
        Dim e = p->shape.d[i];
        if (e.sym == SYM_none)
            text_add(t, "[%lld]", (long long)e.add);
        else if (e.sym >= SYM_length && d->length_name[e.sym] && e.mul == 1 && e.add == 0)
            text_add(t, "[%s]", d->length_name[e.sym]);
        else
            text_add(t, "[up to %lld]", (long long)dim_value(e, d->spec.lengths));
    }
}

static int64_t row_elements(const Deploy *d, const Port *p)
{
    int64_t n = 1;
    for (int i = 1; i < p->shape.rank; i++)
        n *= dim_value(p->shape.d[i], d->spec.lengths);
    return n;
}

/* ---- prototypes ---- */

/* An output that goes by an input's name is told from it. */
static const char *argument_name(const Deploy *d, const ObjectEntry *e, const Port *p)
{
    bool is_out = p >= e->out && p < e->out + e->nout;
    for (int i = 0; is_out && i < e->nin; i++)
        if (strcmp(e->in[i].name, p->name) == 0)
            return arena_printf(d->arena, "%s_out", p->name);
    return p->name;
}

static void add_ports(const Deploy *d, Text *t, const ObjectEntry *e, bool in, int *count)
{
    const Port *p = in ? e->in : e->out;
    for (int i = 0; i < (in ? e->nin : e->nout); i++)
        text_add(t, "%s%s%s *%s", (*count)++ ? ", " : "", in ? "const " : "", c_type(p[i].dtype),
                 argument_name(d, e, &p[i]));
}

static void add_argument(const Deploy *d, Text *t, const ObjectEntry *e, ArgKind kind, int *count)
{
    static const char *const text[] = {
        [ARG_params] = "const void *params", [ARG_optimizer] = "void *optimizer",
        [ARG_state] = "void *state",         [ARG_n] = "int32_t n",
        [ARG_stream] = "void *state",       [ARG_steps] = "int32_t steps",
        [ARG_rate] = "double learning_rate", [ARG_seed] = "int32_t seed",
        [ARG_workspace] = "void *workspace", [ARG_metrics] = "double *metrics"};
    if (kind == ARG_in) {
        add_ports(d, t, e, true, count);
    } else if (kind == ARG_out) {
        add_ports(d, t, e, false, count);
    } else if (kind == ARG_lengths) {
        for (int s = SYM_length; s < SYM_MOST; s++)
            if (d->spec.lengths[s])
                text_add(t, "%sint32_t %s", (*count)++ ? ", " : "", d->length_name[s]);
    } else if ((kind != ARG_params || !d->spec.embed) &&
               (kind != ARG_state || d->spec.blob[BLOB_state].n)) {
        const char *s = text[kind];
        bool writes = kind == ARG_params && e->writes;
        text_add(t, "%s%s", (*count)++ ? ", " : "", writes ? s + strlen("const ") : s);
    }
}

/* A list of arguments, in lines of at most 100 columns after the first `taken`. */
static void add_wrapped(Text *t, const char *args, int taken)
{
    while (*args) {
        size_t n = strcspn(args, ",");
        n += args[n] == ',';
        if (taken + (int)n > 98) {
            text_add(t, "\n   ");
            taken = 3;
        }
        text_add(t, "%.*s", (int)n, args);
        taken += (int)n;
        args += n;
    }
}

/* Up to the arguments: a function, or a pointer in the table of a version's functions. */
static void add_begin(const Deploy *d, Text *t, const char *name)
{
    if (d->spec.versions)
        text_add(t, "int32_t (*%s)(", name);
    else
        text_add(t, "int32_t %s_%s(", d->spec.name, name);
}

static void add_prototype(const Deploy *d, Text *t, const ObjectEntry *e, bool parallel)
{
    int count = 0;
    Text args = {.arena = d->arena};
    for (int i = 0; e->arg[i] != ARG_none; i++)
        add_argument(d, &args, e, e->arg[i], &count);
    if (parallel)
        text_add(&args, ", int32_t threads, weft_parallel_for parallel_for, void *context");
    add_begin(d, t, arena_printf(d->arena, "%s%s", e->name, parallel ? "_parallel" : ""));
    add_wrapped(t, text_string(&args), (int)strlen(d->spec.name) + (int)strlen(e->name) + 10);
    text_add(t, ");\n");
}

/* ---- the parts of the header ---- */

static const char common[] =
    "#ifndef WEFT_COMMON\n"
    "#define WEFT_COMMON\n"
    "/* What the functions return. Arguments are checked first; with any other than WEFT_OK\n"
    " * nothing of the caller's but the workspace was written. */\n"
    "enum weft_status {\n"
    "    WEFT_OK = 0,\n"
    "    WEFT_NULL = 1,        /* a null pointer */\n"
    "    WEFT_MISALIGNED = 2,  /* a pointer's address is no multiple of WEFT_ALIGN (params,\n"
    "                             optimizer, state, workspace) or of its type's alignment */\n"
    "    WEFT_RANGE = 3,       /* n or a length is below 1 or above its most */\n"
    "    WEFT_LOSS = 4,        /* the loss is infinite or not a number: nothing was updated */\n"
    "    WEFT_NAME = 5,        /* nothing has this name */\n"
    "    WEFT_SELF_TEST = 6,   /* the outputs are not those computed when compiling */\n"
    "    WEFT_FORM = 7,        /* no file of weft pack, or of a form that is not known here */\n"
    "    WEFT_MODEL = 8,       /* a file of another model, or with other types or shapes */\n"
    "    WEFT_SIZE = 9,        /* a file that is cut off, or longer than it should be */\n"
    "    WEFT_DAMAGED = 10     /* a file whose parameters are not those that were written */\n"
    "};\n"
    "#define WEFT_ALIGN 64\n"
    "/* Calls body(argument, i) once for each i in 0..count-1, at the same time where it can, and\n"
    " * returns when all have returned. */\n"
    "typedef void (*weft_body)(void *argument, int32_t i);\n"
    "typedef void (*weft_parallel_for)(void *context, int32_t count, weft_body body,\n"
    "                                  void *argument);\n"
    "#endif\n"
    "#if defined(_OPENMP) && !defined(WEFT_OPENMP)\n"
    "#define WEFT_OPENMP\n"
    "/* A parallel_for with OpenMP; the context is not used. */\n"
    "static inline void weft_openmp(void *context, int32_t count, weft_body body, void *argument)\n"
    "{\n"
    "    (void)context;\n"
    "#pragma omp parallel for schedule(static, 1) num_threads(count)\n"
    "    for (int32_t i = 0; i < count; i++)\n"
    "        body(argument, i);\n"
    "}\n"
    "#endif\n";

static void add_define(const Deploy *d, Text *t, const char *what, int64_t value, const char *doc)
{
    text_add(t, "#define %s_%s %lld%s%s%s\n", d->upper, what, (long long)value, *doc ? " /* " : "",
             doc, *doc ? " */" : "");
}

static char *entry_upper(const Deploy *d, const ObjectEntry *e)
{
    char *s = arena_strdup(d->arena, e->name);
    for (char *p = s; *p; p++)
        *p = (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
    return s;
}

/* A name as a part of a macro's. */
static char *word(Arena *a, const char *name)
{
    char *s = arena_strdup(a, name);
    for (char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p))
            *p = '_';
    return s;
}

static void add_tensors(const Deploy *d, Text *t, const char *what, const ObjectBlob *b)
{
    for (int i = 0; i < b->n; i++) {
        const ObjectTensor *x = &b->at[i];
        text_add(t, "#define %s_%s_%s %lld /* %s", d->upper, what, word(d->arena, x->name),
                 (long long)x->offset, c_type(x->dtype));
        for (int k = 0; k < x->rank; k++)
            text_add(t, "[%lld]", (long long)x->dim[k]);
        text_add(t, " */\n");
    }
}

/* Sizes of the caller's memory, and where a tensor lies in it. */
static void add_blobs(const Deploy *d, Text *t)
{
    const ObjectBlob *params = &d->spec.blob[BLOB_params], *state = &d->spec.blob[BLOB_state];
    if (d->spec.embed) {
        add_define(d, t, "PARAMS_BYTES", params->bytes, "constants of the object");
    } else {
        add_define(d, t, "PARAMS_BYTES", params->bytes, "parameters; where each begins:");
        add_tensors(d, t, "AT", params);
        add_define(d, t, "WEIGHTS_HEAD", PACKED_HEAD, "bytes before the parameters of a file");
        add_define(d, t, "WEIGHTS_BYTES", PACKED_HEAD + params->bytes, "of a file of weft pack");
    }
    if (state->n)
        add_define(d, t, "STATE_BYTES", state->bytes, "carried from call to call");
    if (deploy_stream_bytes(d))
        add_define(d, t, "STATE_BYTES", deploy_stream_bytes(d),
                   "of a stream, its workspace included");
    if (!d->train)
        return;
    add_define(d, t, "OPTIMIZER_BYTES", d->spec.blob[BLOB_optimizer].bytes,
               "begins with double steps made, double epoch (yours to set), int32_t seed");
    add_define(d, t, "METRICS", d->spec.sums.bytes / (int64_t)sizeof(double), "doubles of metrics");
    text_add(t, "#define %s_FIGURES %d /* doubles of values:", d->upper, d->nfigure);
    for (int i = 0; i < d->nfigure; i++)
        text_add(t, "%s %s", i ? "," : "", d->figure[i]);
    text_add(t, " */\n");
    if (!d->scales_rate)
        for (int i = 0; i < d->entries.n; i++)
            if (d->entries.at[i].trains)
                text_add(t, "#define %s_LEARNING_RATE %.17g /* the model's */\n", d->upper,
                         d->entries.at[i].rate);
}

static void add_elements(const Deploy *d, Text *t, const ObjectEntry *e, const char *what)
{
    const char *of = *what ? "step" : "row";
    for (int i = 0; i < e->nin; i++)
        text_add(t, "#define %s_%sIN_%s %lld /* elements of a %s */\n", d->upper, what,
                 e->in[i].name, (long long)row_elements(d, &e->in[i]), of);
    for (int i = 0; i < e->nout; i++)
        text_add(t, "#define %s_%sOUT_%s %lld /* elements of a %s */\n", d->upper, what,
                 e->out[i].name, (long long)row_elements(d, &e->out[i]), of);
}

static void add_constants(const Deploy *d, Text *t)
{
    add_define(d, t, "BATCH", d->batch, "the most rows of a call");
    for (int s = SYM_length; s < SYM_MOST; s++)
        if (d->spec.lengths[s])
            text_add(t, "#define %s_MOST_%s %lld /* the most of length %s */\n", d->upper,
                     d->length_name[s], (long long)d->spec.lengths[s], d->length_name[s]);
    const ObjectEntry *e = &d->entries.at[0];
    add_blobs(d, t);
    if (!entry_streams(e))
        add_elements(d, t, e, "");
    if (d->spec.test)
        add_define(d, t, "SELF_TEST_BYTES", d->spec.test->bytes, "of workspace for self_test");
    add_define(d, t, "WORKSPACE_BYTES", deploy_workspace(d), "enough for every function");
    for (int i = 0; i < d->entries.n; i++) {
        e = &d->entries.at[i];
        char *name = entry_upper(d, e);
        if (entry_streams(e)) {
            add_elements(d, t, e, "STEP_");
            continue;
        }
        text_add(t, "#define %s_%s_BYTES %lld /* of workspace for %s */\n", d->upper, name,
                 (long long)(e->base + e->worker), e->name);
        if (e->parallel)
            text_add(t, "#define %s_%s_THREAD_BYTES %lld /* more for each further thread */\n",
                     d->upper, name, (long long)e->worker);
    }
}

static void add_arrays(const Deploy *d, Text *t, const ObjectEntry *e)
{
    for (int i = 0; i < e->nin + e->nout; i++) {
        const Port *p = i < e->nin ? &e->in[i] : &e->out[i - e->nin];
        if (!p->shape.rank)
            continue;
        text_add(t, " *   %s: %s [n]", argument_name(d, e, p), c_type(p->dtype));
        add_extents(d, t, p);
        text_add(t, "%s\n", i < e->nin ? ", read" : ", written");
    }
}

/* Each line as one of a comment's. */
static char *indented(Arena *a, const char *text)
{
    Text t = {.arena = a};
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        text_add(&t, " *     %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
    return text_string(&t);
}

/* What an entry does, by its name. */
static const char *entry_doc(const Deploy *d, const ObjectEntry *e)
{
    static const struct { const char *name, *doc; } docs[] = {
        {"predict", "Applies the model to n rows."},
        {"init", "The first values of parameters and optimizer state, by a seed."},
        {"loss", "Adds loss and metrics of n rows to the sums in metrics (zeros before the first "
                 "rows).\n * Inputs are the data's fields, as they are stored."},
        {"figures", "Loss and metrics from their sums."}};
    if (e->trains)
        return d->scales_rate
                   ? "A step of training on n rows. The model's own learning rate is multiplied "
                     "by learning_rate:\n * 1 leaves it as it is. Loss and metrics are added to "
                     "the sums in metrics (zeros\n * before an epoch). Inputs are the data's "
                     "fields, as they are stored."
                   : "A step of training on n rows. Loss and metrics are added to the sums in "
                     "metrics (zeros before\n * an epoch). Inputs are the data's fields, as they "
                     "are stored.";
    if (strncmp(e->name, "prepare_", strlen("prepare_")) == 0)
        return arena_printf(d->arena, "From the data's fields, as they are stored, to the model's "
                            "input %s:\n%s *", e->out[0].name,
                            indented(d->arena, unit_transforms(d->unit, d->arena)));
    for (size_t i = 0; i < sizeof docs / sizeof *docs; i++)
        if (strcmp(docs[i].name, e->name) == 0)
            return docs[i].doc;
    return "";
}

/* reset, step and run. */
static void add_stream(const Deploy *d, Text *t, const ObjectEntry *e)
{
    if (!e->once) {
        text_add(t, "\n/* What a stream's state is before its first step. */\n");
        add_prototype(d, t, e, false);
        return;
    }
    ObjectEntry once = *e;
    once.name = e->once;
    for (int i = 0; once.arg[i] != ARG_none; i++)
        if (once.arg[i] == ARG_steps)
            once.arg[i] = ARG_none;
    text_add(t, "\n/* One time step of a stream: the outputs are the model's for the steps so far, "
             "to the\n * bit. The state, %s_STATE_BYTES, is the caller's; two streams have two, "
             "and a copy of one\n * goes on by itself.\n", d->upper);
    add_arrays(d, t, e);
    text_add(t, " */\n");
    add_prototype(d, t, &once, false);
    text_add(t, "/* A number of steps: arrays hold them one after the other");
    for (int i = 0; i < e->nin; i++)
        if (e->axis[i] < 0)
            text_add(t, "; %s is the same for all", e->in[i].name);
    text_add(t, " */\n");
    add_prototype(d, t, e, false);
}

static void add_entries(const Deploy *d, Text *t)
{
    for (int i = 0; i < d->entries.n; i++) {
        const ObjectEntry *e = &d->entries.at[i];
        char *name = entry_upper(d, e);
        if (entry_streams(e)) {
            add_stream(d, t, e);
            continue;
        }
        text_add(t, "\n/* %s\n", entry_doc(d, e));
        add_arrays(d, t, e);
        text_add(t, " *   workspace: %s_%s_BYTES; what it holds before and after means nothing "
                 "*/\n", d->upper, name);
        add_prototype(d, t, e, false);
        if (e->parallel) {
            text_add(t, "/* The same on threads, to the bit: parallel_for is called with their "
                     "number as count.\n"
                     " * workspace: %s_%s_BYTES + (threads - 1) * %s_%s_THREAD_BYTES */\n",
                     d->upper, name, d->upper, name);
            add_prototype(d, t, e, true);
        }
    }
    if (d->spec.test) {
        text_add(t, "\n/* Computes the outputs of a row that is in the object and compares them "
                 "with those known:\n * WEFT_OK or WEFT_SELF_TEST. */\n");
        add_begin(d, t, "self_test");
        text_add(t, "void *workspace);\n");
    }
}

/* The table of a version's functions and what fills it. */
static void add_versions(const Deploy *d, Text *t)
{
    const char *n = d->spec.name, *up = d->upper;
    Text entries = {.arena = d->arena};
    add_entries(d, &entries);
    const ObjectEntry *e = &d->entries.at[0];
    text_add(t, "\n/* The code is there for processors with SSE2 (every x86-64), AVX2 and AVX-512. "
             "A version's\n * functions are a table, yours as all memory is:\n"
             " *     %s_functions %s;\n *     %s_select(&%s); once; then %s.%s(...)\n"
             " * AVX2 and AVX-512 give the same bits; SSE2, without fused multiply-add, rounds "
             "twice. What\n * is kept from call to call may go from one version to another. */\n",
             n, n, n, n, n, e->once ? e->once : e->name);
    text_add(t, "enum { %s_SSE2 = %d, %s_AVX2 = %d, %s_AVX512 = %d };\n", up, VERSION_sse2, up,
             VERSION_avx2, up, VERSION_avx512);
    text_add(t, "typedef struct %s_functions {\n    int32_t version; /* which it is */\n", n);
    for (const char *line = text_string(&entries); *line;) {
        size_t length = strcspn(line, "\n");
        text_add(t, "%s%.*s\n", length ? "    " : "", (int)length, line);
        line += length + (line[length] == '\n');
    }
    text_add(t, "} %s_functions;\n\n"
             "/* Fills the table with the fastest version that the processor and the system can "
             "run. */\nint32_t %s_select(%s_functions *functions);\n"
             "/* The same with a version of your choice: WEFT_RANGE when it cannot be run here. */"
             "\nint32_t %s_select_version(%s_functions *functions, int32_t version);\n",
             n, n, n, n, n);
}

/* Files of weft pack. */
static void add_weights(const Deploy *d, Text *t)
{
    const char *n = d->spec.name, *up = d->upper;
    text_add(t, "\n/* A file of weft pack (little-endian): a head of %s_WEIGHTS_HEAD bytes with a "
             "hash of the\n * model, then the parameters. _check tells whether it is one for this "
             "object: params may\n * then be its address + %s_WEIGHTS_HEAD, where that is a "
             "multiple of WEFT_ALIGN (a mapped\n * file's is). _load checks, then copies. _head "
             "fills the head of a file that holds params. */\n", up, up);
    text_add(t, "int32_t %s_weights_check(const void *file, size_t size);\n"
             "int32_t %s_weights_load(void *params, const void *file, size_t size);\n"
             "int32_t %s_weights_head(const void *params, void *head);\n", n, n, n);
}

/* What moves bytes, the same for all versions. */
static void add_access(const Deploy *d, Text *t)
{
    const char *n = d->spec.name;
    if (d->spec.load)
        text_add(t, "\n/* The trained parameters that were given when compiling. */\n"
                 "int32_t %s_load(void *params);\n", n);
    if (d->spec.access)
        text_add(t, "\n/* Copies a parameter's values, by its name (\"dense/kernel\"). */\n"
                 "int32_t %s_get(const void *params, const char *name, void *values);\n"
                 "int32_t %s_set(void *params, const char *name, const void *values);\n", n, n);
    if (d->spec.access)
        add_weights(d, t);
    if (d->spec.reset)
        text_add(t, "\n/* The state before the first call. */\n"
                 "int32_t %s_reset(void *state);\n", n);
}

char *deploy_header(const Deploy *d)
{
    Text t = {.arena = d->arena};
    text_add(&t, "/* %s: a model compiled by weft %s for %s.\n *\n"
             " * All memory is the caller's; no function allocates, calls anything outside, or "
             "writes\n * anything but what it is given, so threads may use the object at the same "
             "time, each\n * with a workspace of its own. */\n",
             d->spec.name, weft_version, d->spec.target);
    text_add(&t, "#ifndef WEFT_MODEL_%s_H\n#define WEFT_MODEL_%s_H\n\n#include <stddef.h>\n"
             "#include <stdint.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n%s\n",
             d->upper, d->upper, common);
    add_constants(d, &t);
    if (d->spec.versions)
        add_versions(d, &t);
    else
        add_entries(d, &t);
    add_access(d, &t);
    text_add(&t, "\n/* Names, shapes and origin as JSON text. */\nconst char *%s_info(void);\n",
             d->spec.name);
    text_add(&t, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
    return text_string(&t);
}
