/* The train block: its keys, what they may be, and the options of calls in it. */
#include "train.h"

#include <string.h>

static const char *const key_name[NTRAIN] = {
#define KEY(name) #name,
    TRAIN_KEYS(KEY)
#undef KEY
};

/* What Keras's compile and fit take beside these, and what to write here instead. */
static const struct { const char *key, *instead; } foreign[] = {
    {"x", "write data = NAME; the model's inputs take the fields of their names"},
    {"y", "write target = FIELD"},
    {"verbose", "progress suits the terminal or log by itself; --json is for programs"},
    {"steps_per_epoch", "an epoch is one pass over the training data"},
    {"validation_steps", "the whole validation set is used"},
    {"validation_batch_size", "batch_size serves for both"},
    {"validation_freq", "validation follows every epoch"},
    {"initial_epoch", "weft train --resume goes on with a run"},
    {"sample_weight", "write the weights into a loss definition"},
    {"weighted_metrics", "write the weights into a metric definition"},
    {"steps_per_execution", "every step is one program"},
    {"jit_compile", "everything is compiled"},
    {"run_eagerly", "everything is compiled"},
    {"learning_rate", "it is an argument of the optimizer: optimizer = Adam(learning_rate=0.001)"},
    {"callbacks_list", "write callbacks = [...]"},
};

Scope *train_scope(Expander *x)
{
    return scope_new(x->a, NULL, x->state->defs);
}

/* ---- options of calls ---- */

static const char *bare_text(const Expr *e)
{
    return e->kind == EX_name || e->kind == EX_string ? e->text : NULL;
}

static bool is_none(const Expr *e)
{
    return e->kind == EX_name && (!strcmp(e->text, "none") || !strcmp(e->text, "None"));
}

static bool option_set(Expander *x, Scope *s, const Option *o, const Expr *e)
{
    if (is_none(e))
        return true;
    int64_t i;
    switch (o->kind) {
    case OPTION_int:
        if (!eval_int(x, s, e, o->name, &i))
            return false;
        if (i < 0 || i > INT32_MAX)
            return error_at(x->d, e->span, "%s is %lld; it must not be negative", o->name,
                            (long long)i);
        *(int *)o->out = (int)i;
        break;
    case OPTION_number:
        if (!eval_number(x, s, e, o->name, o->out))
            return false;
        break;
    case OPTION_bool:
        if (!eval_bool(x, s, e, o->name, o->out))
            return false;
        break;
    case OPTION_name:
        if (!bare_text(e))
            return error_at(x->d, e->span, "%s must be a name", o->name);
        *(const char **)o->out = bare_text(e);
        break;
    }
    if (o->given)
        *o->given = true;
    return true;
}

static int option_find(const Option *option, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(option[i].name, name) == 0)
            return i;
    return -1;
}

static bool option_unknown(Expander *x, const Arg *arg, const char *callee, const Option *option,
                           int n)
{
    const char **names = NEW_ARRAY(x->a, const char *, n);
    for (int i = 0; i < n; i++)
        names[i] = option[i].name;
    const char *near = nearest_name(arg->name, names, n);
    return error_at(x->d, arg->name_span, "%s has no argument '%s'%s%s", callee, arg->name,
                    near ? "; did you mean " : "", near ? near : "");
}

bool options_bind(Expander *x, Scope *s, const Expr *call, const char *path, const Option *option,
                  int n)
{
    const Expr **value = NEW_ARRAY(x->a, const Expr *, n);
    const char *callee = call->kind == EX_call ? call->kid[0]->text : call->text;
    bool ok = true;
    int positional = 0;
    for (int i = 0; call->kind == EX_call && i < call->args.n; i++) {
        const Arg *arg = &call->args.at[i];
        int k = arg->name ? option_find(option, n, arg->name) : positional++;
        if (k < 0) {
            ok = option_unknown(x, arg, callee, option, n);
        } else if (k >= n) {
            ok = error_at(x->d, arg->value->span, "%s takes at most %d arguments", callee, n);
            break;
        } else if (value[k]) {
            ok = error_at(x->d, arg->value->span, "%s: %s is given twice", callee,
                          option[k].name);
        } else {
            value[k] = arg->value;
        }
    }
    for (int k = 0; k < n; k++) {
        const Expr *set = setting_arg(x, arena_printf(x->a, "%s.%s", path, option[k].name), call,
                                      option[k].name, k);
        value[k] = set ? set : value[k];
        if (value[k] && !option_set(x, s, &option[k], value[k]))
            ok = false;
    }
    return ok;
}

/* ---- the keys ---- */

static int key_find(const char *name)
{
    for (int k = 0; k < NTRAIN; k++)
        if (strcmp(key_name[k], name) == 0)
            return k;
    return -1;
}

static bool key_unknown(Expander *x, const Expr *target)
{
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (strcmp(foreign[i].key, target->text) == 0)
            return error_at(x->d, target->span, "a train block has no attribute '%s': %s",
                            target->text, foreign[i].instead);
    const char *near = nearest_name(target->text, key_name, NTRAIN);
    return error_at(x->d, target->span, "a train block has no attribute '%s'%s%s", target->text,
                    near ? "; did you mean " : "", near ? near : "");
}

static bool key_collect(Expander *x, TrainState *t, const Stmt *s)
{
    if (s->kind == ST_error)
        return false;
    if (s->kind != ST_assign || s->targets.n != 1 || s->targets.at[0]->kind != EX_name)
        return error_at(x->d, s->span, "a train block holds lines of the form attribute = value");
    int k = key_find(s->targets.at[0]->text);
    if (k < 0)
        return key_unknown(x, s->targets.at[0]);
    if (t->attr[k]) {
        error_at(x->d, s->targets.at[0]->span, "%s is given twice", key_name[k]);
        note_at(x->d, t->key_span[k], "it is given here already");
        return false;
    }
    t->attr[k] = s->value;
    t->key_span[k] = s->targets.at[0]->span;
    return true;
}

/* Attributes that are none count as absent: Keras's defaults may be written out. */
static bool keys_collect(Expander *x, TrainState *t, const Stmt *block)
{
    bool ok = true;
    for (int i = 0; i < block->body.n; i++)
        ok &= key_collect(x, t, block->body.at[i]);
    for (int k = 0; k < NTRAIN; k++) {
        t->attr[k] = setting(x, arena_printf(x->a, "train.%s", key_name[k]), t->attr[k]);
        if (t->attr[k] && !t->key_span[k].file)
            t->key_span[k] = t->attr[k]->span;
        if (t->attr[k] && is_none(t->attr[k]))
            t->attr[k] = NULL;
    }
    return ok;
}

static bool positive(Expander *x, TrainState *t, Scope *s, TrainKey k, int64_t *out)
{
    if (!t->attr[k])
        return true;
    if (!eval_int(x, s, t->attr[k], key_name[k], out))
        return false;
    if (*out < 1)
        return error_at(x->d, t->attr[k]->span, "%s is %lld; it must be at least 1", key_name[k],
                        (long long)*out);
    return *out <= INT32_MAX ||
           error_at(x->d, t->attr[k]->span, "%s is %lld; the most is %d", key_name[k],
                    (long long)*out, INT32_MAX);
}

static bool plain_values(Expander *x, TrainState *t, Scope *s)
{
    TrainInfo *info = &t->info;
    info->batch_size = 32;
    info->epochs = 1;
    info->shuffle = true;
    bool ok = positive(x, t, s, TRAIN_batch_size, &info->batch_size);
    ok &= positive(x, t, s, TRAIN_epochs, &info->epochs);
    if (t->attr[TRAIN_shuffle])
        ok &= eval_bool(x, s, t->attr[TRAIN_shuffle], "shuffle", &info->shuffle);
    if (t->attr[TRAIN_seed]) {
        info->has_seed = true;
        ok &= eval_int(x, s, t->attr[TRAIN_seed], "seed", &info->seed);
    }
    const Expr *split = t->attr[TRAIN_validation_split];
    if (split && !eval_number(x, s, split, "validation_split", &info->validation_split))
        ok = false;
    else if (split && !(info->validation_split >= 0 && info->validation_split < 1))
        ok = error_at(x->d, split->span, "validation_split is %g; it must be at least 0 and "
                      "less than 1", info->validation_split);
    return ok;
}

static bool choose_dtype(Expander *x, TrainState *t)
{
    const Expr *e = t->attr[TRAIN_dtype];
    bool ok = true;
    if (e) {
        Dtype dt = bare_text(e) ? dtype_by_name(bare_text(e)) : NDTYPE;
        if (dt != DT_f32 && dt != DT_f64)
            ok = error_at(x->d, e->span, "dtype must be float32 or float64, found %s",
                          expr_text(x->a, e));
        else
            x->session->real = x->real = dt;
    }
    e = t->attr[TRAIN_compute];
    if (!e)
        return ok;
    Dtype real = x->session->real, dt = bare_text(e) ? dtype_by_name(bare_text(e)) : NDTYPE;
    t->info.bfloat16 = bare_text(e) && strcmp(bare_text(e), "bfloat16") == 0;
    if (t->info.bfloat16 && real != DT_f32)
        return error_at(x->d, e->span, "compute = bfloat16 goes with float32; here numbers are %s",
                        dtype_name(real));
    if (!t->info.bfloat16 && dt != real)
        return unsupported_at(x->d, e->span, "compute = %s: products are computed in %s or in "
                              "bfloat16", bare_text(e) ? bare_text(e) : "...", dtype_name(real));
    return ok;
}

/* `data = digits`: the block of that name, or poison after reporting. */
static Val data_value(Expander *x, Scope *s, const Expr *e, const char *what)
{
    const Expr *base = e->kind == EX_attr ? e->kid[0] : e;
    Val v;
    if (base->kind != EX_name || !data_name(x, base->text, base->span, &v))
        v = eval_expr(x, s, e);
    else if (e->kind == EX_attr)
        v = data_fact(x, &v, e->text, e->op_span);
    if (val_is(&v, VAL_data) || val_is(&v, VAL_poison))
        return v;
    const Definitions *defs = x->state->defs;
    const char **names = NEW_ARRAY(x->a, const char *, defs->blocks.n + 1);
    int n = 0;
    for (int i = 0; i < defs->blocks.n; i++)
        if (strcmp(defs->blocks.at[i]->word, "data") == 0 && defs->blocks.at[i]->name)
            names[n++] = defs->blocks.at[i]->name;
    const char *near = bare_text(e) ? nearest_name(bare_text(e), names, n) : NULL, *hint = "";
    if (near)
        hint = arena_printf(x->a, "; did you mean %s", near);
    else if (what[0] == 'v' && n == 1)
        hint = arena_printf(x->a, "; write %s.test, or validation_split = 0.1", names[0]);
    return fail(x, e->span, "%s must be a data block, not %s%s", what, val_text(x, &v), hint);
}

/* Where nothing is said: the file's only data block. */
static bool default_data(Expander *x, const Stmt *train)
{
    const Definitions *defs = x->state->defs;
    const Stmt *found = NULL;
    int n = 0;
    for (int i = 0; i < defs->blocks.n; i++)
        if (strcmp(defs->blocks.at[i]->word, "data") == 0) {
            found = defs->blocks.at[i];
            n++;
        }
    if (n > 1 && train)
        return error_at(x->d, train->span, "the file has %d data blocks; write data = NAME", n);
    x->state->data = n == 1 ? found : NULL;
    return true;
}

static bool choose_data(Expander *x, TrainState *t, Scope *s)
{
    const Expr *e = t->attr[TRAIN_data], *valid = t->attr[TRAIN_validation_data];
    if (e) {
        Val v = data_value(x, s, e, "data");
        if (!val_is(&v, VAL_data))
            return false;
        if (v.u.data.test)
            return unsupported_at(x->d, e->span, "training on the test set");
        x->state->data = v.u.data.block;
    } else if (!default_data(x, x->state->train)) {
        return false;
    }
    if (!valid)
        return true;
    Val v = data_value(x, s, valid, "validation_data");
    if (!val_is(&v, VAL_data))
        return false;
    if (t->attr[TRAIN_validation_split]) {
        error_at(x->d, t->key_span[TRAIN_validation_data], "validation_data and validation_split "
                 "cannot both be given");
        note_at(x->d, t->key_span[TRAIN_validation_split], "validation_split is given here");
        return false;
    }
    if (x->state->data && v.u.data.block != x->state->data)
        return unsupported_at(x->d, valid->span, "validation_data of another data block than "
                              "'%s'", x->state->data->name);
    if (!v.u.data.test)
        return error_at(x->d, valid->span, "validation_data is the training set itself; write "
                        "%s.test, or validation_split = 0.1", v.u.data.block->name);
    t->info.validation_test = true;
    return true;
}

/* Evaluated once more for every expansion; here so that mistakes show at once. */
static bool check_expressions(Expander *x, TrainState *t, Scope *s)
{
    bool ok = true;
    const Expr *loss = t->attr[TRAIN_loss];
    for (int i = 0, n = loss && loss->kind == EX_dict ? loss->args.n : loss != NULL; i < n; i++) {
        const Expr *e = loss->kind == EX_dict ? loss->args.at[i].value : loss;
        const char *word = bare_text(e);
        if (word && (!strcmp(word, "crossentropy") || !strcmp(word, "ce")))
            continue; /* chosen by the shapes */
        Val v = eval_expr_as(x, s, e, 1u << DEF_loss);
        ok &= recipe_of(x, &v, 1u << DEF_loss, "loss", e->span) != NULL;
    }
    if (t->attr[TRAIN_target] && !loss && !t->attr[TRAIN_metrics])
        ok = error_at(x->d, t->key_span[TRAIN_target], "there is a target but no loss");
    t->info.loss = loss ? expr_text(x->state->a, loss) : "none";
    const Expr *opt = t->attr[TRAIN_optimizer];
    t->info.optimizer = opt ? expr_text(x->state->a, opt) : "RMSprop";
    return ok;
}

bool train_open(Unit *u, Expander *x)
{
    const Stmt *block = u->state->train;
    if (!block)
        return default_data(x, NULL);
    TrainState *t = train_state(u->state);
    t->info.name = block->name;
    t->info.span = block->span;
    bool ok = keys_collect(x, t, block);
    Scope *s = train_scope(x);
    const Expr *model = t->attr[TRAIN_model];
    if (model && !bare_text(model))
        ok = error_at(x->d, model->span, "model must be a name");
    ok &= plain_values(x, t, s);
    ok &= choose_dtype(x, t);
    ok &= choose_data(x, t, s);
    ok &= check_expressions(x, t, s);
    ok &= callbacks_open(x, t);
    u->train = &t->info;
    return ok;
}
