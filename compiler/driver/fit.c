/* Fits standardize() of a data block: mean and deviation over the training samples.
 *
 * The values come batch by batch from the transforms' own graph; the sums are
 * Welford's, in double and in the order of the samples, so that threads and
 * batches change no bit.
 */
#include "driver/job.h"

#include <math.h>
#include <string.h>

typedef struct {
    int64_t elements, statistics;  /* of a sample's value; of mean and deviation */
    int64_t *of;                   /* by element: which statistic */
    int64_t *count;                /* by statistic */
    double *mean, *squares;        /* squares: sum of squared distances from the mean */
} Fit;

/* The statistic's extents are the value's or 1. */
static Fit fit_new(Arena *a, const Port *value, const Kept *mean)
{
    Fit f = {.elements = port_elements(value, NULL), .statistics = 1};
    f.of = NEW_ARRAY(a, int64_t, f.elements + 1);
    for (int64_t e = 0; e < f.elements; e++) {
        int64_t rest = e, stride = 1;
        for (int k = mean->rank - 1; k >= 0; k--) {
            int64_t extent = dim_value(value->shape.d[k + 1], NULL);
            f.of[e] += mean->dim[k] > 1 ? rest % extent * stride : 0;
            stride *= mean->dim[k];
            rest /= extent;
        }
        f.statistics = stride;
    }
    f.count = NEW_ARRAY(a, int64_t, f.statistics);
    f.mean = NEW_ARRAY(a, double, f.statistics);
    f.squares = NEW_ARRAY(a, double, f.statistics);
    return f;
}

static double element(const void *memory, Dtype dt, int64_t i)
{
    return dt == DT_f64 ? ((const double *)memory)[i] : ((const float *)memory)[i];
}

/* Takes n samples in; returns the first that is not finite, -1 when there is none. */
static int64_t fit_add(Fit *f, const void *memory, Dtype dt, int64_t n)
{
    for (int64_t r = 0; r < n; r++)
        for (int64_t e = 0; e < f->elements; e++) {
            double x = element(memory, dt, r * f->elements + e);
            int64_t s = f->of[e];
            if (!isfinite(x))
                return r;
            double d = x - f->mean[s];
            f->mean[s] += d / (double)++f->count[s];
            f->squares[s] += d * (x - f->mean[s]);
        }
    return -1;
}

static void set(const Kept *k, int64_t i, double v)
{
    if (k->dtype == DT_f64)
        ((double *)k->memory)[i] = v;
    else
        ((float *)k->memory)[i] = (float)v;
}

/* What never varies is only moved to 0. */
static void fit_store(const Fit *f, const Kept *mean, const Kept *deviation)
{
    for (int64_t s = 0; s < f->statistics; s++) {
        double d = sqrt(f->squares[s] / (double)f->count[s]);
        set(mean, s, f->mean[s]);
        set(deviation, s, d > 0 ? d : 1);
    }
}

static bool run(Job *j, Arena *a, Engine *e, const FitInfo *info, Store *s, int64_t samples)
{
    enum { ROWS_MOST = 256 };
    const Kept *mean = store_find(s, ROLE_buffer, info->mean);
    const Kept *deviation = store_find(s, ROLE_buffer, info->deviation);
    int64_t rows = samples < ROWS_MOST ? samples : ROWS_MOST, lengths[SYM_MOST] = {0};
    Scalars scalars = {0};
    if (!engine_prepare(e, rows, lengths, j->threads))
        return error_at(j->diag, info->span, "not enough memory to standardize");
    job_bind_data(j, e, false);
    store_bind(s, s, e);
    scalars_bind(a, &scalars, e);
    int port = engine_find(e, ROLE_result, "value");
    const Port *value = engine_port(e, port);
    void *memory = aligned_memory(a, port_bytes(value, NULL) * (size_t)rows);
    engine_bind(e, port, memory);
    Fit f = fit_new(a, value, mean);
    int64_t *order = NEW_ARRAY(a, int64_t, rows);
    for (int64_t at = 0; at < samples; at += rows) {
        int64_t now = samples - at < rows ? samples - at : rows;
        for (int64_t i = 0; i < now; i++)
            order[i] = at + i;
        engine_run(e, now, order);
        int64_t bad = fit_add(&f, memory, value->dtype, now);
        if (bad >= 0)
            return error_at(j->diag, info->span, "standardize: the value of training sample %lld "
                            "is not finite", (long long)(at + bad));
    }
    fit_store(&f, mean, deviation);
    return true;
}

bool job_fit(Job *j, Store *s, int64_t samples)
{
    FitInfo info;
    bool ok = true;
    for (int i = 0; ok && unit_fit(j->unit, i, &info); i++) {
        Arena *a = arena_new();
        const CodeOptions code = job_code(j);
        graph_drop_unused_inputs(info.graph, ROLE_data);
        Engine *e = engine_new(a, j->diag, info.span, info.graph,
                               option_on(j->options, OPT_interpret), &code);
        ok = e && run(j, a, e, &info, s, samples);
        engine_free(e);
        arena_free(a);
    }
    return ok && diag_ok(j->diag);
}
