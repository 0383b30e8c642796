/* Early stopping and the learning rate's reduction on a plateau. */
#include "train.h"

#include <string.h>

typedef struct { bool stop, plateau; } Seen;

/* Callbacks of Keras whose work is done here without them. */
static const struct { const char *name, *instead; } always[] = {
    {"TerminateOnNaN", "training stops at a loss that is not finite by itself"},
    {"History", "a run keeps history.csv"},
    {"CSVLogger", "a run keeps history.csv"},
    {"ProgbarLogger", "progress is always shown"},
    {"ModelCheckpoint", "a run keeps the best and the last weights"},
    {"BackupAndRestore", "weft train --resume goes on with a run"},
    {"LearningRateScheduler", "write learning_rate as an expression in step and epoch"},
    {"SwapEMAWeights", "use_ema of the optimizer"},
    {"TensorBoard", "weft train --json and history.csv are for programs"},
};

static bool has_word(const char *name, const char *word)
{
    return strstr(name, word) != NULL;
}

/* 1: more is better, 0: less is, -1: who knows. */
static int direction(Expander *x, const char *monitor)
{
    const char *name = strncmp(monitor, "val_", 4) == 0 ? monitor + 4 : monitor;
    static const char *const more[] = {"acc", "auc", "precision", "recall", "f1", "iou", "score"};
    static const char *const less[] = {"loss", "error", "rmse", "perplexity"};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (has_word(name, more[i]))
            return 1;
    for (size_t i = 0; i < sizeof less / sizeof *less; i++)
        if (has_word(name, less[i]))
            return 0;
    return definition_find(x->state->defs, name, 1u << DEF_loss) ? 0 : -1;
}

static bool choose_mode(Expander *x, const char *monitor, const char *mode, Span at,
                        StopMode *out)
{
    if (strcmp(mode, "min") == 0 || strcmp(mode, "max") == 0) {
        *out = strcmp(mode, "max") == 0 ? STOP_max : STOP_min;
        return true;
    }
    if (strcmp(mode, "auto") != 0)
        return error_at(x->d, at, "mode is '%s'; it must be auto, min or max", mode);
    int more = direction(x, monitor);
    if (more < 0)
        return error_at(x->d, at, "cannot tell whether more or less of '%s' is better; write "
                        "mode=max or mode=min", monitor);
    *out = more ? STOP_max : STOP_min;
    return true;
}

/* ---- monitors ---- */

static void add_names(Expander *x, const Expr *e, const char *prefix, const char **names, int *n,
                      int most)
{
    if (!e)
        return;
    if (e->kind == EX_list || e->kind == EX_tuple || e->kind == EX_dict) {
        for (int i = 0; i < e->args.n; i++) {
            const char *output = e->kind == EX_dict ? dict_key(&e->args.at[i]) : NULL;
            add_names(x, e->args.at[i].value,
                      output ? arena_printf(x->a, "%s_", output) : prefix, names, n, most);
        }
    } else if (*n < most) {
        names[(*n)++] = arena_printf(x->a, "%s%s", prefix, spoken_name(x->a, e));
    }
}

static bool monitor_check(Expander *x, TrainState *t, const char *monitor, Span at)
{
    enum { NAMES_MOST = 64 };
    const char *names[2 * NAMES_MOST] = {"loss"};
    int n = 1;
    const TrainInfo *info = &t->info;
    add_names(x, t->attr[TRAIN_metrics], "", names, &n, NAMES_MOST);
    const char *word = strncmp(monitor, "val_", 4) == 0 ? monitor + 4 : monitor;
    if (word != monitor && !info->validation_test && info->validation_split == 0)
        return error_at(x->d, at, "monitor=%s needs validation_data or validation_split", monitor);
    for (int i = 0; i < n; i++) {
        size_t tail = strlen(names[i]), all = strlen(word);
        /* With several outputs a metric's name starts with its output's. */
        if (!strcmp(names[i], word) ||
            (all > tail + 1 && !strcmp(word + all - tail, names[i]) && word[all - tail - 1] == '_'))
            return true;
    }
    for (int i = 0, plain = n; i < plain; i++)
        names[n++] = arena_printf(x->a, "val_%s", names[i]);
    const char *near = nearest_name(monitor, names, n);
    return error_at(x->d, at, "nothing is called '%s' here to be monitored%s%s", monitor,
                    near ? "; did you mean " : "", near ? near : "");
}

/* ---- the two ---- */

static bool open_stopping(Expander *x, TrainState *t, Scope *s, const Expr *e)
{
    EarlyStopping *stop = &t->info.stop;
    const char *mode = "auto";
    int verbose = 0;
    *stop = (EarlyStopping){.on = true, .monitor = "val_loss"};
    const Option option[] = {
        {"monitor", OPTION_name, &stop->monitor, NULL},
        {"min_delta", OPTION_number, &stop->min_delta, NULL},
        {"patience", OPTION_int, &stop->patience, NULL},
        {"verbose", OPTION_int, &verbose, NULL},
        {"mode", OPTION_name, &mode, NULL},
        {"baseline", OPTION_number, &stop->baseline, &stop->has_baseline},
        {"restore_best_weights", OPTION_bool, &stop->restore_best,
         &stop->has_restore_best},
        {"start_from_epoch", OPTION_int, &stop->start_from_epoch, NULL},
    };
    return options_bind(x, s, e, "train.early_stopping", option,
                        sizeof option / sizeof *option) &&
           monitor_check(x, t, stop->monitor, e->span) &&
           choose_mode(x, stop->monitor, mode, e->span, &stop->mode);
}

static bool open_plateau(Expander *x, TrainState *t, Scope *s, const Expr *e)
{
    ReduceOnPlateau *p = &t->info.plateau;
    const char *mode = "auto";
    int verbose = 0;
    *p = (ReduceOnPlateau){.on = true, .monitor = "val_loss", .factor = 0.1, .patience = 10,
                           .min_delta = 1e-4};
    const Option option[] = {
        {"monitor", OPTION_name, &p->monitor, NULL},
        {"factor", OPTION_number, &p->factor, NULL},
        {"patience", OPTION_int, &p->patience, NULL},
        {"verbose", OPTION_int, &verbose, NULL},
        {"mode", OPTION_name, &mode, NULL},
        {"min_delta", OPTION_number, &p->min_delta, NULL},
        {"cooldown", OPTION_int, &p->cooldown, NULL},
        {"min_lr", OPTION_number, &p->min_lr, NULL},
    };
    if (!options_bind(x, s, e, "train.reduce_lr", option, sizeof option / sizeof *option))
        return false;
    if (!(p->factor > 0 && p->factor < 1))
        return error_at(x->d, e->span, "factor is %g; it must lie between 0 and 1", p->factor);
    return monitor_check(x, t, p->monitor, e->span) &&
           choose_mode(x, p->monitor, mode, e->span, &p->mode);
}

static const char *callee(const Expr *e)
{
    const Expr *f = e->kind == EX_call ? e->kid[0] : e;
    return f->kind == EX_name || f->kind == EX_string ? f->text : NULL;
}

static bool open_callback(Expander *x, TrainState *t, Scope *s, const Expr *e, Seen *seen)
{
    const char *name = callee(e);
    bool stop = name && strcmp(name, "EarlyStopping") == 0;
    bool plateau = name && (!strcmp(name, "ReduceLROnPlateau") || !strcmp(name, "ReduceOnPlateau"));
    if ((stop && seen->stop) || (plateau && seen->plateau))
        return error_at(x->d, e->span, "%s is given twice", name);
    seen->stop |= stop;
    seen->plateau |= plateau;
    if (stop)
        return open_stopping(x, t, s, e);
    if (plateau)
        return open_plateau(x, t, s, e);
    for (size_t i = 0; name && i < sizeof always / sizeof *always; i++)
        if (strcmp(name, always[i].name) == 0)
            return error_at(x->d, e->span, "%s is not needed: %s", name, always[i].instead);
    static const char *const known[] = {"EarlyStopping", "ReduceLROnPlateau"};
    const char *near = name ? nearest_name(name, known, 2) : NULL;
    return error_at(x->d, e->span, "unknown callback%s%s%s%s; there are EarlyStopping and "
                    "ReduceLROnPlateau", name ? " " : "", name ? name : "",
                    near ? "; did you mean " : "", near ? near : "");
}

/* early_stopping = EarlyStopping(...) holds one kind of callback. */
static bool open_keyed(Expander *x, TrainState *t, Scope *s, TrainKey k, const char *wanted,
                       Seen *seen)
{
    const Expr *e = t->attr[k];
    if (!e)
        return true;
    const char *name = callee(e);
    if (!name || strcmp(name, wanted) != 0)
        return error_at(x->d, e->span, "%s must be %s(...)",
                        k == TRAIN_reduce_lr ? "reduce_lr" : "early_stopping", wanted);
    return open_callback(x, t, s, e, seen);
}

bool callbacks_open(Expander *x, TrainState *t)
{
    Scope *s = train_scope(x);
    Seen seen = {0};
    bool ok = open_keyed(x, t, s, TRAIN_early_stopping, "EarlyStopping", &seen);
    ok &= open_keyed(x, t, s, TRAIN_reduce_lr, "ReduceLROnPlateau", &seen);
    const Expr *list = t->attr[TRAIN_callbacks];
    if (list && list->kind != EX_list && list->kind != EX_tuple)
        return open_callback(x, t, s, list, &seen) && ok;
    for (int i = 0; list && i < list->args.n; i++)
        ok &= open_callback(x, t, s, list->args.at[i].value, &seen);
    return ok;
}
