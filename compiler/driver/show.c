/* weft data: what is in a data set, with samples drawn in characters. */
#include "driver/job.h"
#include "driver/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const Span nowhere;

static const char *dims_text(Arena *a, const DataArray *f)
{
    Text t = {.arena = a};
    text_add(&t, "[");
    for (int i = 0; i < f->rank; i++)
        text_add(&t, "%s%lld", i ? ", " : "", (long long)f->dim[i]);
    text_add(&t, "]");
    return text_string(&t);
}

static int64_t elements(const DataArray *f)
{
    int64_t n = 1;
    for (int i = 0; i < f->rank; i++)
        n *= f->dim[i];
    return n;
}

/* ---- pictures ---- */

/* Height and width of a field that can be drawn; false when it is no picture. */
static bool is_picture(const DataArray *f, int64_t *h, int64_t *w, int64_t *channels)
{
    if (f->rank < 2 || f->rank > 3)
        return false;
    *h = f->dim[0];
    *w = f->dim[1];
    *channels = f->rank == 3 ? f->dim[2] : 1;
    return *h >= 4 && *w >= 4 && *h <= 128 && *w <= 128 && *channels <= 4;
}

/* Two rows of pixels become one line of characters; wide pictures are thinned. */
static void draw(const Dataset *ds, int field, bool test, int64_t sample, double lo, double hi)
{
    static const char *const shade[] = {" ", "░", "▒", "▓", "█"};
    const DataArray *f = &ds->field[field];
    int64_t h = 0, w = 0, channels = 1;
    is_picture(f, &h, &w, &channels);
    int64_t step = (w + 63) / 64;
    for (int64_t y = 0; y < h; y += 2 * step) {
        printf("    ");
        for (int64_t x = 0; x < w; x += step) {
            double sum = 0;
            int n = 0;
            for (int64_t dy = 0; dy < 2 * step && y + dy < h; dy++)
                for (int64_t c = 0; c < channels; c++, n++)
                    sum += dataset_value(ds, field, test, sample,
                                         ((y + dy) * w + x) * channels + c);
            double v = hi > lo ? (sum / n - lo) / (hi - lo) : 0;
            int level = isfinite(v) ? (int)(v * 4.999) : 0;
            printf("%s", shade[level < 0 ? 0 : level > 4 ? 4 : level]);
        }
        printf("\n");
    }
}

static void print_values(const Dataset *ds, int field, int64_t sample)
{
    enum { MOST = 12 };
    const DataArray *f = &ds->field[field];
    int64_t n = elements(f);
    printf("    %s =", f->name);
    for (int64_t e = 0; e < n && e < MOST; e++)
        printf(" %.6g", dataset_value(ds, field, false, sample, e));
    if (n > MOST)
        printf(" ... (%lld values)", (long long)n);
    if (n == 1 && field == ds->class_field) {
        int64_t c = (int64_t)dataset_value(ds, field, false, sample, 0);
        if (c >= 0 && c < ds->nclass)
            printf(" (%s)", ds->classes[c]);
    }
    printf("\n");
}

/* ---- tables ---- */

static void print_field(const Job *j, int field)
{
    const Dataset *ds = j->data;
    const DataArray *f = &ds->field[field];
    double lo = 0, hi = 0;
    dataset_range(ds, field, false, &lo, &hi);
    if (j->json) {
        JsonField o[] = {
            json_field_text("name", f->name),
            json_field_text("dtype", dtype_name(f->dtype)),
            json_field_text("shape", dims_text(j->arena, f)),
            json_field_number("min", lo),
            json_field_number("max", hi),
        };
        json_line(stdout, "field", o, sizeof o / sizeof *o);
    } else {
        printf("  %-12s %-4s %-14s %g to %g\n", f->name, dtype_name(f->dtype),
               dims_text(j->arena, f), lo, hi);
    }
}

static int64_t *count_classes(const Job *j, bool test)
{
    const Dataset *ds = j->data;
    int64_t *count = NEW_ARRAY(j->arena, int64_t, ds->nclass + 1);
    int64_t n = test ? ds->test_count : ds->count;
    for (int64_t i = 0; i < n; i++) {
        int64_t c = (int64_t)dataset_value(ds, ds->class_field, test, i, 0);
        if (c >= 0 && c < ds->nclass)
            count[c]++;
    }
    return count;
}

static void print_classes(const Job *j)
{
    const Dataset *ds = j->data;
    if (ds->class_field < 0 || ds->nclass <= 0 || elements(&ds->field[ds->class_field]) != 1)
        return;
    int64_t *train = count_classes(j, false), *test = count_classes(j, true);
    if (!j->json)
        printf("\n  class (%s)       training        test\n", ds->field[ds->class_field].name);
    for (int c = 0; c < ds->nclass; c++) {
        if (j->json) {
            JsonField o[] = {json_field_text("name", ds->classes[c]),
                             json_field_integer("train", train[c]),
                             json_field_integer("test", test[c])};
            json_line(stdout, "class", o, 3);
        } else {
            printf("  %-16s %11s %11s\n", ds->classes[c], text_count(j->arena, train[c]),
                   text_count(j->arena, test[c]));
        }
    }
}

static void print_samples(const Job *j, int64_t most)
{
    const Dataset *ds = j->data;
    for (int64_t i = 0; i < most && i < ds->count; i++) {
        printf("\n  sample %lld\n", (long long)i);
        for (int k = 0; k < ds->nfield; k++) {
            int64_t h, w, channels;
            double lo = 0, hi = 1;
            if (is_picture(&ds->field[k], &h, &w, &channels)) {
                dataset_range(ds, k, false, &lo, &hi);
                draw(ds, k, false, i, lo, hi);
            } else {
                print_values(ds, k, i);
            }
        }
    }
}

int command_data(Job *j)
{
    const Options *o = j->options;
    int64_t samples = 3;
    Dtype real;
    if (o->args.n != 1) {
        error_at(j->diag, nowhere, "weft data takes one FILE.model, found %d arguments", o->args.n);
        return 1;
    }
    if (!option_integer(o, j->diag, OPT_samples, 0, 1000, &samples) ||
        !job_dtype(j, o->args.at[0], &real) || !job_open(j, o->args.at[0], real, false) ||
        !job_data(j))
        return 1;
    const Dataset *ds = j->data;
    if (j->json) {
        JsonField f[] = {
            json_field_text("name", j->unit->data_name),
            json_field_text("reader", ds->reader),
            json_field_integer("count", ds->count),
            json_field_integer("test_count", ds->test_count),
            json_field_integer("bytes", (int64_t)dataset_bytes(ds)),
        };
        json_line(stdout, "data", f, sizeof f / sizeof *f);
    } else {
        printf("data %s = %s: %s training samples, %s for test, %s\n\n",
               j->unit->data_name ? j->unit->data_name : "", ds->reader,
               text_count(j->arena, ds->count), text_count(j->arena, ds->test_count),
               text_bytes(j->arena, (double)dataset_bytes(ds)));
    }
    for (int i = 0; i < ds->nfield; i++)
        print_field(j, i);
    print_classes(j);
    if (!j->json)
        print_samples(j, samples);
    return 0;
}
