/* The state of a training as texts in a file's metadata. Doubles are hexadecimal, so that a
 * resumed training goes on with the same bits. */
#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef enum { FIELD_integer, FIELD_double, FIELD_bool } FieldKind;

/* What is saved: one row a member. */
static const struct { const char *key; FieldKind kind; size_t offset; } rows[] = {
#define ROW(name, kind) {"train." #name, FIELD_##kind, offsetof(TrainState, name)}
    ROW(epoch, integer),       ROW(step, integer),
    ROW(position, integer),    ROW(seed, integer),
    ROW(learning_rate, double), ROW(has_best, bool),
    ROW(best, double),         ROW(best_epoch, integer),
    ROW(wait, integer),        ROW(has_plateau_best, bool),
    ROW(plateau_best, double), ROW(plateau_wait, integer),
    ROW(cooldown, integer),    ROW(seconds, double),
#undef ROW
};
enum { NROW = sizeof rows / sizeof *rows };

static const char sum_prefix[] = "train.sum.";

void train_state_save(Arena *a, Weights *w, const TrainState *s)
{
    for (int i = 0; i < NROW; i++) {
        const void *at = (const char *)s + rows[i].offset;
        const char *text = rows[i].kind == FIELD_double
                               ? arena_printf(a, "%a", *(const double *)at)
                           : rows[i].kind == FIELD_bool
                               ? arena_strdup(a, *(const bool *)at ? "1" : "0")
                               : arena_printf(a, "%" PRId64, *(const int64_t *)at);
        weights_note(a, w, rows[i].key, text);
    }
    if (s->target)
        weights_note(a, w, "train.target", s->target);
    if (s->model_hash)
        weights_note(a, w, "train.model_hash", s->model_hash);
    for (int i = 0; i < s->nsum; i++)
        weights_note(a, w, arena_printf(a, "%s%s", sum_prefix, s->sums[i].name),
                     arena_printf(a, "%a", s->sums[i].value));
}

static bool parse(FieldKind kind, const char *text, void *to)
{
    char *end;
    errno = 0;
    if (kind == FIELD_double)
        *(double *)to = strtod(text, &end);
    else if (kind == FIELD_integer)
        *(int64_t *)to = strtoll(text, &end, 10);
    else
        *(bool *)to = strtoll(text, &end, 10) != 0;
    return *text && !*end && !(errno && kind != FIELD_double);
}

bool train_state_load(Arena *a, Diag *d, Span at, const char *path, const Weights *w,
                      TrainState *s)
{
    *s = (TrainState){0};
    for (int i = 0; i < NROW; i++) {
        const char *text = weights_get_note(w, rows[i].key);
        if (!text)
            return error_at(d, at, "'%s' has no state of a training to resume: its metadata lack "
                                   "'%s'", path, rows[i].key);
        if (!parse(rows[i].kind, text, (char *)s + rows[i].offset))
            return error_at(d, at, "'%s' is corrupt: its metadata say '%s' is '%.40s'", path,
                            rows[i].key, text);
    }
    if (s->epoch < 0 || s->step < 0 || s->position < 0)
        return error_at(d, at, "'%s' is corrupt: epoch, step and position are %" PRId64
                               ", %" PRId64 " and %" PRId64,
                        path, s->epoch, s->step, s->position);
    s->target = weights_get_note(w, "train.target");
    s->model_hash = weights_get_note(w, "train.model_hash");
    RunningSum *sums = NEW_ARRAY(a, RunningSum, w->notes.n + 1);
    for (int i = 0; i < w->notes.n; i++) {
        const WeightsNote *n = &w->notes.at[i];
        if (strncmp(n->key, sum_prefix, sizeof sum_prefix - 1))
            continue;
        sums[s->nsum].name = n->key + sizeof sum_prefix - 1;
        if (!parse(FIELD_double, n->value, &sums[s->nsum].value))
            return error_at(d, at, "'%s' is corrupt: its metadata say '%s' is '%.40s'", path,
                            n->key, n->value);
        s->nsum++;
    }
    s->sums = sums;
    return true;
}
