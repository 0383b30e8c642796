/* Calibration: the model runs over some training samples with an output for each product's
 * range; then parameters are rounded to bytes. */
#include "driver/quantize.h"

#include "driver/measure.h"

#include <math.h>
#include <string.h>

static const Span nowhere;

enum { CALIBRATE_DEFAULT = 512 };

bool quantize_asked(Job *j, bool *asked)
{
    const Options *o = j->options;
    const char *type = o->value[OPT_quantize];
    *asked = type != NULL;
    if (!type && o->value[OPT_calibrate])
        return error_at(j->diag, nowhere, "--calibrate is for --quantize int8");
    if (type && strcmp(type, "int8") != 0)
        return error_at(j->diag, nowhere, "--quantize %s: expected int8", type);
    if (type && o->value[OPT_dtype] && dtype_by_name(o->value[OPT_dtype]) == DT_f64)
        return error_at(j->diag, nowhere, "--quantize starts from float32, not --dtype float64");
    return true;
}

/* What suits the processor that runs this. */
static ByteForm host_bytes(void)
{
#if defined(__x86_64__)
    bool mixed = (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl"));
    return mixed ? BYTES_unsigned : BYTES_words;
#else
    return BYTES_single;
#endif
}

/* ---- ranges ---- */

/* Memory for the range of each product, `rows` numbers each. */
static float **bind_ranges(Arena *a, Engine *e, const Quantize *q, int64_t rows)
{
    float **range = NEW_ARRAY(a, float *, q->sites.n + 1);
    for (int i = 0; i < q->sites.n; i++) {
        int port = engine_find(e, ROLE_metric, q->sites.at[i].range);
        if (port < 0)
            bug("%s is no output", q->sites.at[i].range);
        range[i] = aligned_memory(a, sizeof(float) * (size_t)rows);
        engine_bind(e, port, range[i]);
    }
    return range;
}

static void note_ranges(Quantize *q, float *const *range, int64_t n)
{
    for (int i = 0; i < q->sites.n; i++)
        for (int64_t r = 0; r < n; r++)
            if (isfinite(range[i][r]) && range[i][r] > q->sites.at[i].most)
                q->sites.at[i].most = range[i][r];
}

/* Runs the first `count` training samples. */
static bool observe(Job *j, Store *store, Quantize *q, int64_t count, bool *stopped)
{
    int64_t rows = j->unit->train->batch_size;
    rows = rows < count ? rows : count;
    Evaluator *v = evaluator_new(j, j->arena, store, rows, stopped);
    if (!v)
        return false;
    Arena *a = arena_new();
    float **range = bind_ranges(a, v->engine, q, rows);
    int64_t *order = NEW_ARRAY(a, int64_t, rows);
    job_bind_data(j, v->engine, false);
    store_reset_states(v->states);
    for (int64_t at = 0; at < count; at += rows) {
        int64_t n = count - at < rows ? count - at : rows;
        for (int64_t i = 0; i < n; i++)
            order[i] = at + i;
        engine_run(v->engine, n, order);
        note_ranges(q, range, n);
    }
    evaluator_free(v);
    arena_free(a);
    return true;
}

/* ---- parameters ---- */

/* The channel of each element of a parameter: its index along the axis that has scales. */
typedef struct { int64_t channels, inner; } Channels;

static Channels channels_of(const QuantizeSite *s)
{
    Channels c = {1, 1};
    if (s->axis < 0)
        return c;
    c.channels = s->dim[s->axis];
    for (int i = s->axis + 1; i < s->rank; i++)
        c.inner *= s->dim[i];
    return c;
}

static int64_t count_of(const QuantizeSite *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++)
        n *= s->dim[i];
    return n;
}

/* Rounds to multiples of the channel's largest magnitude over 127. */
static void round_parameter(Store *store, const QuantizeSite *s, const float *w)
{
    Channels c = channels_of(s);
    int64_t count = count_of(s);
    bool had = store_find(store, ROLE_param, s->values) != NULL;
    int8_t *to = had ? NULL : store_add(store, ROLE_param, s->values, DT_i8, s->rank, s->dim);
    float *scale = store_add(store, ROLE_param, s->scale, DT_f32, s->axis >= 0, &c.channels);
    for (int64_t i = 0; i < count; i++) {
        float *k = &scale[i / c.inner % c.channels];
        *k = fmaxf(*k, fabsf(w[i]));
    }
    for (int64_t i = 0; i < c.channels; i++)
        scale[i] /= QUANTUM_MOST;
    for (int64_t i = 0; to && i < count; i++) {
        float k = scale[i / c.inner % c.channels];
        to[i] = (int8_t)(k > 0 ? rintf(w[i] / k) : 0);
    }
}

Quantize *quantize_calibrate(Job *j, Store *store, bool *stopped)
{
    int64_t count = CALIBRATE_DEFAULT;
    int64_t train = j->data->count - validation_count(j->unit);
    if (!option_integer(j->options, j->diag, OPT_calibrate, 1, INT32_MAX, &count))
        return NULL;
    if (option_on(j->options, OPT_calibrate) && count > train) {
        error_at(j->diag, nowhere, "--calibrate %lld: there are %lld training samples",
                 (long long)count, (long long)train);
        return NULL;
    }
    count = count < train ? count : train;
    Quantize *q = NEW(j->arena, Quantize);
    q->arena = j->arena;
    q->observe = true;
    q->bytes = host_bytes();
    j->passes.quantize = q;
    bool ok = observe(j, store, q, count, stopped);
    q->observe = false;
    if (!ok)
        return NULL;
    if (!q->sites.n) {
        error_at(j->diag, j->unit->span, "--quantize: %s has no product with a parameter",
                 j->unit->name);
        return NULL;
    }
    for (int i = 0; i < q->sites.n; i++) {
        const QuantizeSite *s = &q->sites.at[i];
        const Kept *k = store_find(store, ROLE_param, s->param);
        if (s->most > 0 && k)
            round_parameter(store, s, k->memory);
    }
    return q;
}

/* Bytes of the parameters that are quantised: as floats, and now with their scales. */
static void quantize_bytes(const Quantize *q, int64_t *before, int64_t *after)
{
    *before = *after = 0;
    for (int i = 0; i < q->sites.n; i++) {
        const QuantizeSite *s = &q->sites.at[i];
        if (!(s->most > 0))
            continue;
        *before += s->use ? 0 : count_of(s) * (int64_t)sizeof(float);
        *after += (s->use ? 0 : count_of(s)) + channels_of(s).channels * (int64_t)sizeof(float);
    }
}

/* ---- before and after ---- */

static void print_compared(const Job *j, const Quantize *q, const Part *p, const Measure *plain,
                           const Measure *bytes)
{
    int64_t before, after;
    quantize_bytes(q, &before, &after);
    Arena *a = arena_new();
    JsonField *f = NEW_ARRAY(a, JsonField, 2 * plain->n + 4);
    int k = 0;
    f[k++] = json_field_text("split", p->name);
    f[k++] = json_field_integer("samples", p->count);
    f[k++] = json_field_integer("weights", before);
    f[k++] = json_field_integer("int8_weights", after);
    for (int i = 0; i < plain->n; i++) {
        f[k++] = json_field_number(plain->figures[i].name, plain->figures[i].value);
        f[k++] = json_field_number(arena_printf(a, "int8_%s", bytes->figures[i].name),
                                   bytes->figures[i].value);
    }
    if (j->json) {
        json_line(stdout, "quantize", f, k);
    } else {
        printf("%lld samples of the %s part  %-12s int8\n", (long long)p->count, p->name,
               "float32");
        printf("  %-28s %-12lld %lld\n", "bytes of products' weights", (long long)before,
               (long long)after);
        for (int i = 0; i < plain->n; i++)
            printf("  %-28s %-12.6g %.6g\n", plain->figures[i].name, plain->figures[i].value,
                   bytes->figures[i].value);
    }
    arena_free(a);
}

Quantize *quantize_compare(Job *j, Store *store)
{
    Part part = {0};
    Measure plain = {0}, bytes = {0};
    bool stopped = false;
    if (!j->unit->train) {
        error_at(j->diag, j->unit->span, "--quantize: %s has no train block, which says "
                 "what the ranges are calibrated on", j->path);
        return NULL;
    }
    if (!j->data) {
        error_at(j->diag, j->unit->span, "--quantize is calibrated on the model's data, and "
                 "they cannot be found; see --data-dir");
        return NULL;
    }
    job_load_data(j);
    if (!job_data(j) || !part_choose(j, &part) || !measure(j, store, &part, &plain, &stopped))
        return NULL;
    Quantize *q = quantize_calibrate(j, store, &stopped);
    if (!q || !measure(j, store, &part, &bytes, &stopped))
        return NULL;
    print_compared(j, q, &part, &plain, &bytes);
    return q;
}
