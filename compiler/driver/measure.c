/* Which samples, and their figures. */
#include "driver/measure.h"

#include "system.h"

#include <string.h>

static const Span nowhere;

bool part_choose(Job *j, Part *p)
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

bool measure(Job *j, Store *store, const Part *part, Measure *m, bool *stopped)
{
    int64_t rows = j->unit->train->batch_size;
    Evaluator *v =
        evaluator_new(j, j->arena, store, rows < part->count ? rows : part->count, stopped);
    if (!v)
        return false;
    bool quiet = j->json || j->quiet;
    Progress *p = progress_new(j->arena, stderr, quiet ? PROGRESS_none : PROGRESS_auto);
    double start = system_seconds();
    if (!evaluator_run(v, part->test, part->first, part->count, p))
        error_at(j->diag, nowhere, "stopped by a signal");
    m->seconds = system_seconds() - start;
    m->figures = NEW_ARRAY(j->arena, Figure, j->unit->nmetric + 1);
    m->n = tally_figures(v->tally, j->arena, "", m->figures);
    evaluator_free(v);
    return diag_ok(j->diag);
}
