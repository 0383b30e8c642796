/* Binding arguments to formals: definitions become recipes, recipes instances. */
#include "sema/internal.h"

#include <string.h>

/* ---- what a cell takes besides its formals when it is used as a layer ---- */

enum { NRNN = 5 };
static const char *const rnn_names[NRNN] = {"return_sequences", "return_state", "go_backwards",
                                            "stateful", "zero_output_for_mask"};

static bool *rnn_option(Recipe *r, int i)
{
    bool *const at[NRNN] = {&r->rnn.return_sequences, &r->rnn.return_state, &r->rnn.go_backwards,
                            &r->rnn.stateful, &r->rnn.zero_output_for_mask};
    return at[i];
}

static bool is_layer_kind(DefKind k)
{
    return k == DEF_layer || k == DEF_cell;
}

/* "LSTM(units, activation=tanh, ...)": the first line of a definition. */
static char *signature(Expander *x, const Definition *d)
{
    char *s = arena_printf(x->a, "%s(", d->name);
    for (int i = 0; i < d->stmt->formals.n; i++) {
        const Formal *f = &d->stmt->formals.at[i];
        s = arena_printf(x->a, "%s%s%s%s%s", s, i ? ", " : "", f->name, f->init ? "=" : "",
                         f->init ? expr_text(x->a, f->init) : "");
    }
    return arena_printf(x->a, "%s)", s);
}

static void note_signature(Expander *x, const Definition *d)
{
    Span at = d->is_prelude ? (Span){0} : d->stmt->span;
    note(x, at, "%s %s", def_kind_name(d->kind), signature(x, d));
}

/* ---- arguments that name a function: activation=relu, "relu", ReLU() ---- */

static const struct {
    const char *suffix, *what, *category;
} named_kinds[] = {
    {"activation", "activation", "activations"},
    {"initializer", "initializer", "initializers"},
    {"regularizer", "regularizer", "regularizers"},
    {"constraint", "constraint", "constraints"},
};

static bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);
    return n >= k && !strcmp(s + n - k, suffix);
}

static bool unknown_function(Expander *x, const Definitions *defs, const Val *v, const char *what,
                             const char *category, Span at)
{
    LIST(const char *) all = {0};
    for (const Definitions *d = defs; d; d = d->outer)
        for (int i = 0; i < d->at.n; i++)
            if (d->at.at[i]->kind == DEF_function &&
                (!d->at.at[i]->is_prelude || !strcmp(d->at.at[i]->category, category)))
                list_push(x->a, &all, d->at.at[i]->name);
    if (!strcmp(category, "activations")) {
        static const char *const ops[] = {"tanh", "sigmoid", "softplus"};
        for (int i = 0; i < 3; i++)
            list_push(x->a, &all, ops[i]);
    } else if (!strcmp(category, "initializers")) {
        list_push(x->a, &all, "zeros");
        list_push(x->a, &all, "ones");
    }
    const char *near = nearest_name(v->u.text.s, all.at, all.n);
    fail(x, at, "unknown %s '%s'%s%s%s", what, v->u.text.s, near ? "; did you mean '" : "",
         near ? near : "", near ? "'?" : "");
    return false;
}

/* activation=3, activation=Dense */
static bool may_be_activation(Expander *x, const Definition *def, const Val *v, const char *formal,
                              Span at)
{
    bool function = v->kind == VAL_none || v->kind == VAL_poison || v->kind == VAL_builtin ||
                    v->kind == VAL_recipe || v->kind == VAL_instance ||
                    (v->kind == VAL_definition && v->u.def->kind == DEF_function);
    if (function)
        return true;
    const char *name = v->kind == VAL_definition ? snake_case(x->a, v->u.def->name) : NULL;
    bool known = name && (definition_find(def->defs, name, 1u << DEF_function) ||
                          builtin_find(x->a, name));
    fail(x, at, "%s must be a function such as relu, found %s%s%s%s", formal, val_text(x, v),
         known ? "; did you mean '" : "", known ? name : "", known ? "'?" : "");
    return false;
}

/* The value of an argument called `formal`: names of functions are looked up. */
static bool coerce_argument(Expander *x, const Definition *def, const char *formal, Val *v, Span at)
{
    int k = -1;
    for (size_t i = 0; i < sizeof named_kinds / sizeof *named_kinds; i++)
        if (ends_with(formal, named_kinds[i].suffix))
            k = (int)i;
    if (k < 0)
        return true;
    bool builtin_draw =
        v->kind == VAL_builtin && (val_is_string(v, "uniform") || val_is_string(v, "normal"));
    if (k == 1 && (builtin_draw || (v->kind == VAL_string &&
                                    (val_is_string(v, "uniform") || val_is_string(v, "normal"))))) {
        /* Keras's "uniform" is its RandomUniform, not the numbers from 0 to 1. */
        *v = val_string(arena_printf(x->a, "random_%s", val_name(v)), v->span);
    }
    if (v->kind != VAL_string)
        return k != 0 || may_be_activation(x, def, v, formal, v->span.file ? v->span : at);
    const Definition *f = definition_find(def->defs, v->u.text.s, 1u << DEF_function);
    const Definition *user = x->unit && x->state && x->state->defs
                                 ? definition_find(x->state->defs, v->u.text.s, 1u << DEF_function)
                                 : NULL;
    f = user ? user : f;
    const Builtin *b = f ? NULL : builtin_find(x->a, v->u.text.s);
    if (f) {
        v->kind = VAL_definition;
        v->u.def = f;
    } else if (b) {
        v->kind = VAL_builtin;
        v->u.builtin = b;
    } else {
        return unknown_function(x, x->state && x->state->defs ? x->state->defs : def->defs, v,
                                named_kinds[k].what, named_kinds[k].category,
                                v->span.file ? v->span : at);
    }
    return true;
}

/* ---- binding ---- */

static int formal_index(const Definition *d, const char *name)
{
    for (int i = 0; i < d->stmt->formals.n; i++)
        if (!strcmp(d->stmt->formals.at[i].name, name))
            return i;
    return -1;
}

/* What Keras, or an older Keras, takes; null: nothing to say. */
static const char *foreign_argument(const Definition *d, const char *name)
{
    static const char *const shapes[] = {"input_shape", "input_dim", "input_length",
                                         "batch_input_shape", "batch_shape", "batch_size"};
    if (!strcmp(name, "lr") && formal_index(d, "learning_rate") >= 0)
        return "; it is called learning_rate";
    for (size_t i = 0; is_layer_kind(d->kind) && i < sizeof shapes / sizeof *shapes; i++)
        if (!strcmp(shapes[i], name))
            return "; the model's input is declared: input image[28, 28], without the batch";
    if (!strcmp(name, "dtype"))
        return "; the type is chosen for the whole training: dtype = float64 in the train block";
    return NULL;
}

const char *prelude_caller(const Expander *x, const char *other)
{
    const Definition *d = x->frame ? x->frame->def : NULL;
    return d && d->is_prelude ? d->name : other;
}

static bool is_rnn_name(const char *name)
{
    for (int i = 0; i < NRNN; i++)
        if (!strcmp(rnn_names[i], name))
            return true;
    return false;
}

static void unknown_argument(Expander *x, const Definition *d, const CallArg *a)
{
    const char *wrapper = prelude_caller(x, NULL);
    if (wrapper && d->kind != DEF_cell && is_rnn_name(a->name)) { /* RNN(Dense(3)) */
        fail(x, a->name_span, "%s takes a recurrent layer such as LSTM, found the %s %s", wrapper,
             def_kind_name(d->kind), d->name);
        return;
    }
    const char *hint = foreign_argument(d, a->name);
    if (hint) {
        fail(x, a->name_span, "%s has no argument '%s'%s", d->name, a->name, hint);
        return;
    }
    LIST(const char *) all = {0};
    for (int i = 0; i < d->stmt->formals.n; i++)
        list_push(x->a, &all, d->stmt->formals.at[i].name);
    if (is_layer_kind(d->kind)) {
        list_push(x->a, &all, "name");
        list_push(x->a, &all, "trainable");
    }
    for (int i = 0; d->kind == DEF_cell && i < NRNN; i++)
        list_push(x->a, &all, rnn_names[i]);
    if (d->kind == DEF_cell)
        list_push(x->a, &all, "initial_state");
    const char *near = nearest_name(a->name, all.at, all.n);
    fail(x, a->name_span, "%s has no argument '%s'%s%s%s", d->name, a->name,
         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    note_signature(x, d);
}

/* It names weights in files: conv/kernel. */
static bool is_path_name(const char *s)
{
    const char *ok = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    return *s && strspn(s, ok) == strlen(s);
}

/* name=, trainable=, return_sequences= ...: true when it was one of these. */
static bool bind_option(Expander *x, Recipe *r, const CallArg *a, bool *bad)
{
    const Definition *d = r->def;
    if (!is_layer_kind(d->kind))
        return false;
    if (!strcmp(a->name, "name")) {
        if (a->value.kind == VAL_string) {
            r->name = a->value.u.text.s;
            if ((*bad = !is_path_name(r->name)))
                fail(x, a->span, "name=\"%s\": the name of a layer is made of letters, digits, _, "
                     "- and .", r->name);
        } else if (a->value.kind != VAL_none && (*bad = true))
            fail(x, a->span, "name must be a string, found %s", val_text(x, &a->value));
        return true;
    }
    if (!strcmp(a->name, "trainable")) {
        bool b = true;
        *bad |= !val_as_bool(x, &a->value, a->span, "trainable", &b);
        r->frozen = !b;
        return true;
    }
    if (d->kind != DEF_cell)
        return false;
    for (int i = 0; i < NRNN; i++)
        if (!strcmp(a->name, rnn_names[i])) {
            *bad |= !val_as_bool(x, &a->value, a->span, rnn_names[i], rnn_option(r, i));
            r->rnn_given |= 1u << i;
            return true;
        }
    if (!strcmp(a->name, "unroll")) { /* a matter of speed in Keras; here always a loop */
        bool b;
        *bad |= !val_as_bool(x, &a->value, a->span, "unroll", &b);
        return true;
    }
    return false;
}

/* A bare name that means nothing may be a word (padding=same) only where the
 * formal takes words: its default is a string, or it has none. Elsewhere it is
 * told here, since the body might never look at it. */
static bool refuse_word(Expander *x, const Formal *f, const Val *v, Span at)
{
    if (v->kind != VAL_string || !v->u.text.bare || !f->init || f->init->kind == EX_string ||
        val_is_string(v, "time") || val_is_string(v, "batch"))
        return false;
    return unknown_name(x, v, at);
}

static bool bind_one(Expander *x, Recipe *r, const CallArg *a, int *position)
{
    const Definition *d = r->def;
    int n = d->stmt->formals.n, i;
    bool bad = false;
    if (a->value.kind == VAL_poison)
        bad = true;
    if (a->name) {
        i = formal_index(d, a->name);
        if (i < 0) {
            if (bind_option(x, r, a, &bad))
                return !bad;
            unknown_argument(x, d, a);
            return false;
        }
        if (r->given[i]) {
            fail(x, a->name_span, "argument '%s' is given twice", a->name);
            return false;
        }
    } else if ((i = (*position)++) >= n) {
        if (!bad && i == n) {
            if (a->value.kind == VAL_tensor && is_layer_kind(d->kind))
                fail(x, a->span,
                     "%s is made first and applied then: write x -> %s(...), or "
                     "%s(...)(x)",
                     d->name, d->name, d->name);
            else
                fail(x, a->span, "%s takes %d %s", d->name, n, n == 1 ? "argument" : "arguments");
            note_signature(x, d);
        }
        return false;
    }
    r->given[i] = true;
    r->arg[i] = a->value;
    if (!r->arg[i].span.file || d->is_prelude)
        r->arg[i].span = r->arg[i].span.file ? r->arg[i].span : a->span;
    const Formal *f = &d->stmt->formals.at[i];
    return !bad && coerce_argument(x, d, f->name, &r->arg[i], a->span) &&
           !refuse_word(x, f, &r->arg[i], a->span);
}

/* Defaults, left to right; a default may name the formals before it. */
static bool fill_defaults(Expander *x, Recipe *r, Span at)
{
    const Definition *d = r->def;
    Scope *s = scope_new(x->a, NULL, d->defs);
    bool ok = true;
    for (int i = 0; i < d->stmt->formals.n; i++) {
        const Formal *f = &d->stmt->formals.at[i];
        if (!r->given[i] && f->init) {
            unsigned prefer = x->prefer;
            x->prefer = 0;
            r->arg[i] = eval_expr(x, s, f->init);
            x->prefer = prefer;
            if (r->arg[i].kind == VAL_poison ||
                !coerce_argument(x, d, f->name, &r->arg[i], f->span))
                ok = false;
        } else if (!r->given[i]) {
            fail(x, at, "%s needs the argument '%s'", d->name, f->name);
            note_signature(x, d);
            return false;
        }
        scope_set(x->a, s, f->name, r->arg[i]);
    }
    return ok;
}

Recipe *recipe_bind(Expander *x, const Definition *def, const CallArg *args, int nargs, Span at)
{
    int n = def->stmt->formals.n, position = 0;
    Recipe *r = NEW(x->a, Recipe);
    r->def = def;
    r->span = at;
    r->arg = NEW_ARRAY(x->a, Val, n + 1);
    r->given = NEW_ARRAY(x->a, bool, n + 1);
    bool ok = true;
    for (int i = 0; i < nargs; i++)
        ok = bind_one(x, r, &args[i], &position) && ok;
    return ok && fill_defaults(x, r, at) ? r : NULL;
}

Recipe *recipe_copy(Expander *x, const Recipe *old, const CallArg *args, int nargs, Span at)
{
    int n = old->def->stmt->formals.n;
    Recipe *r = NEW(x->a, Recipe);
    *r = *old;
    r->span = at;
    r->arg = NEW_ARRAY(x->a, Val, n + 1);
    r->given = NEW_ARRAY(x->a, bool, n + 1);
    memcpy(r->arg, old->arg, sizeof(Val) * (size_t)n);
    bool ok = true;
    int position = n; /* positional arguments are refused */
    for (int i = 0; i < nargs; i++)
        ok = bind_one(x, r, &args[i], &position) && ok;
    for (int i = 0; i < n; i++)
        r->given[i] = r->given[i] || old->given[i];
    return ok ? r : NULL;
}

Scope *recipe_scope(Expander *x, const Recipe *r, Span at)
{
    (void)at;
    Scope *s = scope_new(x->a, NULL, r->def->defs);
    for (int i = 0; i < r->def->stmt->formals.n; i++)
        scope_set(x->a, s, r->def->stmt->formals.at[i].name, r->arg[i]);
    return s;
}

const Val *recipe_arg(const Recipe *r, const char *name)
{
    int i = formal_index(r->def, name);
    return i < 0 ? NULL : &r->arg[i];
}

bool recipe_attr(const Recipe *r, const char *name, Span at, Val *out)
{
    const Val *v = recipe_arg(r, name);
    if (v) {
        *out = *v;
        return true;
    }
    for (int i = 0; r->def->kind == DEF_cell && i < NRNN; i++)
        if (!strcmp(name, rnn_names[i])) {
            *out = val_bool(*rnn_option((Recipe *)r, i), at);
            return true;
        }
    return false;
}

Recipe *recipe_of(Expander *x, const Val *v, unsigned kinds, const char *what, Span at)
{
    const Definition *d = NULL;
    const Definitions *defs =
        x->state && x->state->defs ? x->state->defs : prelude_definitions(x->session);
    if (v->kind == VAL_poison)
        return NULL;
    if (v->kind == VAL_instance && (!kinds || kinds & 1u << v->u.instance->recipe->def->kind))
        return (Recipe *)v->u.instance->recipe;
    if (v->kind == VAL_recipe && (!kinds || kinds & 1u << v->u.recipe->def->kind))
        return v->u.recipe;
    if (v->kind == VAL_definition && (!kinds || kinds & 1u << v->u.def->kind))
        d = v->u.def;
    const char *name = val_name(v);
    if (!d && name && v->kind != VAL_recipe)
        d = definition_find(defs, name, kinds);
    if (d)
        return recipe_bind(x, d, NULL, 0, at);
    if (v->kind == VAL_string) {
        const char *near = definition_nearest(defs, name, kinds);
        fail(x, at, "unknown %s '%s'%s%s%s", what, name, near ? "; did you mean '" : "",
             near ? near : "", near ? "'?" : "");
    } else {
        fail(x, at, "%s is needed here, found %s",
             arena_printf(x->a, "%s %s", strchr("aeiou", what[0]) ? "an" : "a", what),
             val_text(x, v));
    }
    return NULL;
}

/* ---- instances ---- */

static int *name_count(Expander *x, const char *path)
{
    for (int i = 0; i < x->counts.n; i++)
        if (!strcmp(x->counts.at[i].path, path))
            return &x->counts.at[i].count;
    NameCount c = {path, 0};
    list_push(x->a, &x->counts, c);
    return &x->counts.at[x->counts.n - 1].count;
}

char *path_join(Arena *a, const char *path, const char *name)
{
    return path[0] ? arena_printf(a, "%s/%s", path, name) : arena_strdup(a, name);
}

Instance *instance_new(Expander *x, const Recipe *r, Span at)
{
    Instance *in = NEW(x->a, Instance);
    in->recipe = r;
    in->parent = x->path;
    in->scope = recipe_scope(x, r, at);
    return in;
}

bool instance_place(Expander *x, Instance *in, Span at)
{
    const Recipe *r = in->recipe;
    if (in->path)
        return true;
    if (!work_left(x, at))
        return false;
    x->work += 100; /* names are looked up in lists: layers cost more than operations */
    const char *base = r->name ? r->name : snake_case(x->a, r->def->name);
    const char *path = path_join(x->a, in->parent, base);
    int k = (*name_count(x, path))++;
    in->name = base;
    if (r->name && k) {
        in->path = path;
        fail(x, at, "two layers are named '%s': their weights could not be told apart", base);
        return false;
    }
    while (k) { /* a name given by hand may be in the way */
        in->name = arena_printf(x->a, "%s_%d", base, k);
        char *numbered = path_join(x->a, in->parent, in->name);
        int *taken = name_count(x, numbered);
        if (!*taken) {
            ++*taken;
            in->path = numbered;
            return true;
        }
        k = (*name_count(x, path))++;
    }
    in->path = path;
    return true;
}
