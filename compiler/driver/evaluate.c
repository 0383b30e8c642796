/* weft evaluate: loss and metrics of trained weights on a part of the data. */
#include "driver/tally.h"

#include "system.h"

#include <stdio.h>
#include <string.h>

static const Span nowhere;

typedef struct { const char *name; bool test; int64_t first, count; } Part;

/* The part that --split names; the test part where there is one, else validation. */
static bool choose_part(Job *j, Part *p)
{
    int64_t kept = validation_count(j->unit), train = j->data->count - kept;
    const Part all[] = {
        {"test", true, 0, j->data->test_count},
        {"validation", false, train, kept},
        {"train", false, 0, train},
    };
    static const char *const names[] = {"test", "validation", "train"};
    const char *want = j->options->value[OPT_split];
    for (int i = 0; i < 3; i++) {
        if (want && strcmp(want, all[i].name) != 0)
            continue;
        *p = all[i];
        if (p->count > 0)
            return true;
        if (!want)
            continue;
        if (i == 1)
            return error_at(j->diag, nowhere, "--split validation: the train block sets no part "
                            "aside with validation_split");
        return error_at(j->diag, nowhere, "--split %s: the data have no %s part", want, want);
    }
    if (!want)
        return error_at(j->diag, nowhere, "the data hold no samples");
    const char *near = nearest_name(want, names, 3);
    return error_at(j->diag, nowhere, "--split %s: expected train, validation or test%s%s%s", want,
                    near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static void print_json(const Job *j, const Part *p, const char *weights, double seconds,
                       const Figure *figures, int n)
{
    Arena *a = arena_new();
    JsonField *f = NEW_ARRAY(a, JsonField, n + 6);
    int k = 0;
    f[k++] = json_field_text("model", j->unit->name);
    f[k++] = json_field_text("weights", weights);
    f[k++] = json_field_text("split", p->name);
    f[k++] = json_field_integer("samples", p->count);
    f[k++] = json_field_number("seconds", seconds);
    for (int i = 0; i < n; i++)
        f[k++] = json_field_number(figures[i].name, figures[i].value);
    json_line(stdout, "evaluate", f, k);
    arena_free(a);
}

static void print_text(const Part *p, const char *weights, const Figure *figures, int n)
{
    printf("%s, %lld samples of the %s part\n", weights, (long long)p->count, p->name);
    for (int i = 0; i < n; i++)
        printf("  %-24s %.6g\n", figures[i].name, figures[i].value);
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
    if (!job_data(j) || !forward || !job_check_labels(j, forward) || !choose_part(j, &part))
        return false;
    int64_t rows = j->unit->train->batch_size;
    rows = rows < part.count ? rows : part.count;
    Evaluator *v = evaluator_new(j, j->arena, store, rows, stopped);
    if (!v)
        return false;
    bool quiet = j->json || j->quiet;
    Progress *p = progress_new(j->arena, stderr, quiet ? PROGRESS_none : PROGRESS_auto);
    system_catch_signals();
    double start = system_seconds();
    if (evaluator_run(v, part.test, part.first, part.count, p)) {
        double seconds = system_seconds() - start;
        Figure *figures = NEW_ARRAY(j->arena, Figure, j->unit->nmetric + 1);
        int n = tally_figures(v->tally, j->arena, "", figures);
        if (j->json)
            print_json(j, &part, path, seconds, figures, n);
        else
            print_text(&part, path, figures, n);
    } else {
        error_at(j->diag, nowhere, "stopped by a signal");
    }
    evaluator_free(v);
    return diag_ok(j->diag);
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
