/* weft evaluate: loss and metrics of trained weights on a part of the data. */
#include "driver/measure.h"
#include "driver/quantize.h"

#include "system.h"

#include <stdio.h>
#include <string.h>

static const Span nowhere;

static void print_json(const Job *j, const Part *p, const char *weights, const Measure *r,
                       const Measure *quantized)
{
    Arena *a = arena_new();
    JsonField *f = NEW_ARRAY(a, JsonField, 2 * r->n + 6);
    int k = 0;
    f[k++] = json_field_text("model", j->unit->name);
    f[k++] = json_field_text("weights", weights);
    f[k++] = json_field_text("split", p->name);
    f[k++] = json_field_integer("samples", p->count);
    f[k++] = json_field_number("seconds", r->seconds);
    for (int i = 0; i < r->n; i++)
        f[k++] = json_field_number(r->figures[i].name, r->figures[i].value);
    for (int i = 0; quantized && i < quantized->n; i++)
        f[k++] = json_field_number(arena_printf(a, "int8_%s", quantized->figures[i].name),
                                   quantized->figures[i].value);
    json_line(stdout, "evaluate", f, k);
    arena_free(a);
}

static void print_text(const Part *p, const char *weights, const Measure *r,
                       const Measure *quantized)
{
    printf("%s, %lld samples of the %s part\n", weights, (long long)p->count, p->name);
    if (quantized)
        printf("  %-24s %-12s %s\n", "", "float32", "int8");
    for (int i = 0; i < r->n; i++) {
        printf("  %-24s ", r->figures[i].name);
        if (quantized)
            printf("%-12.6g %.6g\n", r->figures[i].value, quantized->figures[i].value);
        else
            printf("%.6g\n", r->figures[i].value);
    }
}

static bool evaluate(Job *j, bool *stopped)
{
    Part part = {0};
    if (!j->unit->train)
        return error_at(j->diag, j->unit->span, "%s has no train block: nothing says what its loss "
                        "and metrics are", j->path);
    const char *path = job_weights_path(j);
    Graph *init = path ? unit_init(j->unit) : NULL;
    if (!init)
        return false;
    Store *store = store_new(j->arena, init, false);
    if (!job_read_weights(j, store, path))
        return false;
    job_load_data(j);
    Graph *forward = unit_forward(j->unit, FORWARD_evaluate);
    if (!job_data(j) || !forward || !job_check_labels(j, forward) || !part_choose(j, &part))
        return false;
    Measure plain = {0}, bytes = {0};
    bool quantize;
    system_catch_signals();
    if (!quantize_asked(j, &quantize) || !measure(j, store, &part, &plain, stopped) ||
        (quantize && !quantize_calibrate(j, store, stopped)) ||
        (quantize && !measure(j, store, &part, &bytes, stopped)))
        return false;
    (j->json ? print_json(j, &part, path, &plain, quantize ? &bytes : NULL)
             : print_text(&part, path, &plain, quantize ? &bytes : NULL));
    return true;
}

int command_evaluate(Job *j)
{
    const Options *o = j->options;
    if (o->args.n != 1) {
        error_at(j->diag, nowhere, "weft evaluate takes one FILE.model or run folder, found %d "
                 "arguments", o->args.n);
        return 1;
    }
    Dtype real;
    bool stopped = false;
    if (!job_dtype(j, o->args.at[0], &real) || !job_open(j, o->args.at[0], real, false))
        return 1;
    if (!j->data && !error_at(j->diag, j->unit->span, "this file names no data"))
        return 1;
    return evaluate(j, &stopped) || stopped ? 0 : 1;
}
