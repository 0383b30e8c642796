/* What a model answered: a table, CSV, NPY or JSON. */
#include "driver/predict.h"

#include "driver/text.h"
#include "image.h"
#include "ir/eval.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const Span nowhere;

static double value_at(const Answer *x, int64_t sample, int64_t e)
{
    Value v = {.dtype = x->dtype, .data = x->memory};
    return value_get(&v, sample * x->elements + e);
}

/* Does an answer give a probability for each class of the data? */
static bool is_classes(const Job *j, const Answer *x)
{
    const DataSchema *s = j->unit->data;
    return s && s->nclass > 1 && x->rank == 1 && x->dim[0] == s->nclass &&
           dtype_is_float(x->dtype);
}

static int64_t best_of(const Answer *x, int64_t sample)
{
    int64_t best = 0;
    for (int64_t e = 1; e < x->elements; e++)
        if (value_at(x, sample, e) > value_at(x, sample, best))
            best = e;
    return best;
}

static const char *class_name(const Job *j, Arena *a, int64_t c)
{
    const DataSchema *s = j->unit->data;
    return s->classes ? s->classes[c] : arena_printf(a, "%lld", (long long)c);
}

/* ---- JSON ---- */

static json_t *answer_json(const Job *j, const Answer *x, int64_t sample)
{
    Arena *a = arena_new();
    json_t *o = json_object(), *values = json_array();
    for (int64_t e = 0; e < x->elements; e++)
        json_array_append_new(values, json_real(value_at(x, sample, e)));
    if (is_classes(j, x)) {
        int64_t best = best_of(x, sample);
        json_object_set_new(o, "class", json_string(class_name(j, a, best)));
        json_object_set_new(o, "probability", json_real(value_at(x, sample, best)));
    }
    json_object_set_new(o, "values", values);
    arena_free(a);
    return o;
}

/* The answers for a sample, which is called `what` number `number`. */
static void write_json(const Job *j, const Answer *x, int n, int64_t sample, const char *what,
                       int64_t number)
{
    json_t *o = json_pack("{s:s,s:I}", "event", "prediction", what, (json_int_t)number);
    for (int k = 0; k < n; k++) {
        json_t *one = answer_json(j, &x[k], sample);
        if (n == 1)
            json_object_update(o, one);
        else
            json_object_set(o, x[k].name, one);
        json_decref(one);
    }
    char *text = json_dumps(o, JSON_COMPACT);
    puts(text ? text : "{}");
    free(text);
    json_decref(o);
}

/* ---- CSV and tables ---- */

typedef LIST(const char *) Cells;

/* The columns of an answer: class and probability first where it has classes;
 * with `all` every value. */
static void add_header(const Job *j, Arena *a, const Answer *x, bool prefix, bool all, Cells *c)
{
    const char *p = prefix ? arena_printf(a, "%s_", x->name) : "";
    if (is_classes(j, x)) {
        list_push(a, c, (const char *)arena_printf(a, "%sclass", p));
        list_push(a, c, (const char *)arena_printf(a, "%sprobability", p));
    }
    for (int64_t e = 0; all && e < x->elements; e++)
        list_push(a, c, is_classes(j, x)
                            ? (const char *)arena_printf(a, "%sp_%s", p, class_name(j, a, e))
                        : x->elements == 1 ? x->name
                            : (const char *)arena_printf(a, "%s_%lld", x->name, (long long)e));
}

static void add_cells(const Job *j, Arena *a, const Answer *x, int64_t sample, bool all, Cells *c)
{
    int digits = x->dtype == DT_f64 ? 17 : 9;
    if (is_classes(j, x)) {
        int64_t best = best_of(x, sample);
        list_push(a, c, class_name(j, a, best));
        list_push(a, c, (const char *)arena_printf(a, all ? "%.*g" : "%.*f", all ? digits : 4,
                                                   value_at(x, sample, best)));
    }
    for (int64_t e = 0; all && e < x->elements; e++)
        list_push(a, c, (const char *)arena_printf(a, "%.*g", digits, value_at(x, sample, e)));
}

static bool write_csv(Job *j, const char *path, const Answer *x, int n, int64_t count)
{
    Arena *a = arena_new();
    Cells header = {0}, cells = {0};
    list_push(a, &header, "sample");
    for (int k = 0; k < n; k++)
        add_header(j, a, &x[k], n > 1, true, &header);
    for (int64_t i = 0; i < count; i++) {
        list_push(a, &cells, (const char *)arena_printf(a, "%lld", (long long)i));
        for (int k = 0; k < n; k++)
            add_cells(j, a, &x[k], i, true, &cells);
    }
    bool ok = csv_write(j->diag, nowhere, path, header.at, header.n, cells.at, count);
    arena_free(a);
    return ok;
}

/* For people: classes in short, other answers by their first values. */
static void write_table(const Job *j, const Answer *x, int n, int64_t count)
{
    enum { MOST = 8 };
    Arena *a = arena_new();
    printf("%8s", "sample");
    for (int k = 0; k < n; k++)
        if (is_classes(j, &x[k]))
            printf("  %-16s %s", n > 1 ? x[k].name : "class", "probability");
        else
            printf("  %s", x[k].name);
    printf("\n");
    for (int64_t i = 0; i < count; i++) {
        printf("%8lld", (long long)i);
        for (int k = 0; k < n; k++) {
            if (is_classes(j, &x[k])) {
                int64_t best = best_of(&x[k], i);
                printf("  %-16s %.4f     ", class_name(j, a, best), value_at(&x[k], i, best));
                continue;
            }
            printf(" ");
            for (int64_t e = 0; e < x[k].elements && e < MOST; e++)
                printf(" %.6g", value_at(&x[k], i, e));
            if (x[k].elements > MOST)
                printf(" ... (%lld values)", (long long)x[k].elements);
        }
        printf("\n");
    }
    arena_free(a);
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

bool answers_write(Job *j, const Answer *x, int n, int64_t count)
{
    const char *out = j->options->value[OPT_out];
    if (out && ends_with(out, ".npy")) {
        if (n != 1)
            return error_at(j->diag, nowhere, "--out %s: an .npy file holds one array and the "
                            "model has %d outputs; a .csv file takes all", out, n);
        int64_t dim[RANK_MOST + 1] = {count};
        memcpy(dim + 1, x[0].dim, sizeof *dim * (size_t)x[0].rank);
        return npy_write(j->diag, nowhere, out, x[0].dtype, x[0].rank + 1, dim, x[0].memory);
    }
    if (out && ends_with(out, ".csv"))
        return write_csv(j, out, x, n, count);
    if (out)
        return error_at(j->diag, nowhere, "--out %s: expected a name that ends in .csv or .npy",
                        out);
    for (int64_t i = 0; j->json && i < count; i++)
        write_json(j, x, n, i, "sample", i);
    if (!j->json)
        write_table(j, x, n, count);
    return true;
}

/* ---- step by step ---- */

static void put_line(const Cells *c)
{
    for (int i = 0; i < c->n; i++) {
        const char *s = c->at[i];
        bool quote = strpbrk(s, ",\"\n") != NULL;
        printf(quote ? "%s\"" : "%s", i ? "," : "");
        for (; *s; s++)
            printf(*s == '"' ? "\"\"" : "%c", *s);
        printf(quote ? "\"" : "");
    }
    printf("\n");
    fflush(stdout);
}

void answers_begin(const Job *j, const Answer *x, int n)
{
    Arena *a = arena_new();
    Cells c = {0};
    list_push(a, &c, "step");
    for (int k = 0; k < n; k++)
        add_header(j, a, &x[k], n > 1, true, &c);
    if (!j->json)
        put_line(&c);
    arena_free(a);
}

void answers_step(const Job *j, const Answer *x, int n, int64_t step)
{
    Arena *a = arena_new();
    Cells c = {0};
    list_push(a, &c, (const char *)arena_printf(a, "%lld", (long long)step));
    for (int k = 0; k < n; k++)
        add_cells(j, a, &x[k], 0, true, &c);
    if (j->json)
        write_json(j, x, n, 0, "step", step);
    else
        put_line(&c);
    fflush(stdout);
    arena_free(a);
}
