/* Calls and arrows: functions run at once, layers are made and then applied. */
#include "sema/internal.h"

#include <string.h>

#define LAYERS (1u << DEF_layer | 1u << DEF_cell)

static bool is_tensor_value(const Val *v)
{
    return v->kind == VAL_tensor || v->kind == VAL_tuple;
}

bool definition_takes(const Definition *d, const char *name)
{
    for (int i = 0; i < d->stmt->formals.n; i++)
        if (!strcmp(d->stmt->formals.at[i].name, name))
            return true;
    return false;
}

/* ---- inputs of a body ---- */

typedef struct {
    const Declarator **decl; /* in order of `input` and `static` statements */
    bool *is_static;
    int n;
    bool variadic; /* input xs : list */
} Inputs;

static Inputs body_inputs(Arena *a, const Definition *d)
{
    Inputs in = {0};
    LIST(const Declarator *) decls = {0};
    LIST(bool) statics = {0};
    for (int i = 0; i < d->stmt->body.n; i++) {
        const Stmt *s = d->stmt->body.at[i];
        if (s->kind != ST_decl || (strcmp(s->word, "input") && strcmp(s->word, "static")))
            continue;
        for (int k = 0; k < s->decls.n; k++) {
            list_push(a, &decls, &s->decls.at[k]);
            list_push(a, &statics, s->word[0] == 's');
        }
    }
    in.decl = decls.at;
    in.is_static = statics.at;
    in.n = decls.n;
    in.variadic = in.n == 1 && in.decl[0]->dtype && !strcmp(in.decl[0]->dtype, "list");
    return in;
}

bool takes_input(Expander *x, const Definition *d, const char *name)
{
    Inputs in = body_inputs(x->a, d);
    for (int i = 0; i < in.n; i++)
        if (!strcmp(in.decl[i]->name, name))
            return true;
    return !strcmp(name, "mask") || (d->kind == DEF_cell && !strcmp(name, "initial_state"));
}

static void unknown_input(Expander *x, const Definition *d, const Inputs *in, const CallArg *a)
{
    LIST(const char *) all = {0};
    for (int i = 0; i < in->n; i++)
        list_push(x->a, &all, in->decl[i]->name);
    if (d->kind == DEF_cell)
        list_push(x->a, &all, "initial_state");
    const char *near = nearest_name(a->name, all.at, all.n);
    fail(x, a->name_span, "%s has no input '%s'%s%s%s", d->name, a->name,
         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* Positional and named tensors to the body's inputs; a tuple spreads over
 * several. Missing ones stay poison (defaults are the `input` statement's). */
static bool bind_inputs(Expander *x, const Definition *d, const Inputs *in, const CallArg *args,
                        int nargs, Span at, Call *out)
{
    LIST(CallArg) flat = {0};
    for (int i = 0; i < nargs; i++) {
        const Val *v = &args[i].value;
        bool spread = !args[i].name && nargs == 1 &&
                      (v->kind == VAL_tuple || (v->kind == VAL_list && in->n > 1));
        for (int k = 0; spread && k < v->u.list.n; k++) {
            CallArg one = {NULL, args[i].name_span, v->u.list.at[k], args[i].span};
            list_push(x->a, &flat, one);
        }
        if (!spread)
            list_push(x->a, &flat, args[i]);
    }
    int position = 0;
    bool ok = true;
    for (int i = 0; i < flat.n; i++) {
        const CallArg *a = &flat.at[i];
        int k = -1;
        if (a->value.kind == VAL_poison)
            ok = false;
        if (!a->name) {
            k = position++;
        } else if (d->kind == DEF_cell && !strcmp(a->name, "initial_state")) {
            out->initial_state = a->value;
            continue;
        } else if (!strcmp(a->name, "mask")) {
            out->mask = a->value;
            continue;
        } else {
            for (int j = 0; j < in->n; j++)
                if (!strcmp(in->decl[j]->name, a->name))
                    k = j;
            if (k < 0) {
                unknown_input(x, d, in, a);
                ok = false;
                continue;
            }
        }
        if (k >= in->n)
            continue;
        if (out->given[k]) {
            fail(x, a->span, "input '%s' of %s is given twice", in->decl[k]->name, d->name);
            ok = false;
        }
        out->in[k] = a->value;
        out->given[k] = true;
    }
    if (ok && position > in->n) {
        fail(x, at, "%s takes %d %s, found %d", d->name, in->n, in->n == 1 ? "input" : "inputs",
             position);
        ok = false;
    }
    return ok;
}

/* One `input xs : list`: all positional values as one list. */
static bool bind_variadic(Expander *x, const CallArg *args, int nargs, Span at, Call *out)
{
    LIST(Val) all = {0};
    for (int i = 0; i < nargs; i++) {
        const Val *v = &args[i].value;
        if (v->kind == VAL_poison)
            return false;
        if (nargs == 1 && (v->kind == VAL_tuple || v->kind == VAL_list))
            for (int k = 0; k < v->u.list.n; k++)
                list_push(x->a, &all, v->u.list.at[k]);
        else
            list_push(x->a, &all, *v);
    }
    out->in[0] = val_list(x->a, VAL_list, all.at, all.n, at);
    out->given[0] = true;
    return true;
}

static bool call_inputs(Expander *x, const Definition *d, const CallArg *args, int nargs, Span at,
                        Call *out)
{
    Inputs in = body_inputs(x->a, d);
    *out = (Call){.decl = in.decl, .is_static = in.is_static, .n = in.n};
    out->in = NEW_ARRAY(x->a, Val, in.n + 1);
    out->given = NEW_ARRAY(x->a, bool, in.n + 1);
    if (in.variadic)
        return bind_variadic(x, args, nargs, at, out);
    if (!bind_inputs(x, d, &in, args, nargs, at, out))
        return false;
    for (int i = 0; i < in.n; i++)
        if (!out->given[i] && !in.decl[i]->init) {
            fail(x, at, "%s needs the input '%s'", d->name, in.decl[i]->name);
            return false;
        }
    Node *m = out->mask.kind == VAL_tensor ? out->mask.u.t.node : NULL;
    if (m && in.n && out->in[0].kind == VAL_tensor)
        out->in[0].u.t.mask = m;
    return true;
}

/* ---- running bodies ---- */

/* The outputs of a body: one value, or a tuple. */
static Val body_result(Expander *x, Frame *f, Span at)
{
    if (f->failed)
        return val_poison();
    if (f->outputs.n == 1)
        return f->outputs.at[0];
    if (f->outputs.n > 1)
        return val_list(x->a, VAL_tuple, f->outputs.at, f->outputs.n, at);
    if (f->first_bare.file)
        return f->current;
    fail(x, f->def->is_prelude ? at : f->stmt->span, "%s '%s' has no output",
         def_kind_name(f->kind), f->def->name);
    return val_poison();
}

/* Sets whom to blame while the body runs; undone by leave_call. */
static Called enter_call(Expander *x, const Definition *d, Span at)
{
    Called before = {x->user, x->call, x->path, x->frozen};
    Span where = blame(x, at);
    x->user = where;
    if (!d->is_prelude)
        x->call = where;
    return before;
}

static void leave_call(Expander *x, Called before)
{
    x->user = before.user;
    x->call = before.call;
    x->path = before.path;
    x->frozen = before.frozen;
}

static Val run_function(Expander *x, const Recipe *r, Call *c, Span at)
{
    const Definition *d = r->def;
    Called before = enter_call(x, d, at);
    Val out = val_poison();
    Frame *f = frame_enter(x, d, d->stmt, d->kind, scope_new(x->a, recipe_scope(x, r, at), d->defs),
                           NULL, at);
    if (f) {
        if (c) {
            f->in = c->in;
            f->nin = c->n;
            f->in_decl = c->decl;
        }
        if (d->stmt->value) {
            out = eval_expr(x, f->scope, d->stmt->value);
        } else {
            frame_run(x, f, (const Stmt *const *)d->stmt->body.at, d->stmt->body.n);
            out = own_gradient(x, f, body_result(x, f, at));
        }
        frame_leave(x, f);
    }
    leave_call(x, before);
    return out;
}

static const char *connected_to(Expander *x, const Call *c)
{
    char *s = arena_strdup(x->a, "");
    for (int i = 0; i < c->n; i++) {
        const Val *list = c->in[i].kind == VAL_list ? c->in[i].u.list.at : &c->in[i];
        int n = c->in[i].kind == VAL_list ? c->in[i].u.list.n : 1;
        for (int k = 0; k < n; k++) {
            const Val *v = &list[k];
            if (v->kind != VAL_tensor)
                continue;
            const char *name = v->u.t.from ? v->u.t.from->name : v->u.t.node->name;
            if (!name && v->u.t.node->op == OP_input)
                name = attr_str(v->u.t.node, ATTR_name);
            if (name)
                s = arena_printf(x->a, "%s%s%s", s, s[0] ? ", " : "", name);
        }
    }
    return s;
}

static int list_layer(Expander *x, Instance *self, const Call *c)
{
    if (self->listed)
        return -1;
    self->listed = true;
    LayerInfo info = {.name = self->name,
                      .type = self->recipe->def->name,
                      .depth = x->layer_depth,
                      .span = x->user,
                      .inputs = connected_to(x, c)};
    list_push(x->a, &x->layers, info);
    return x->layers.n - 1;
}

static void count_layer(Expander *x, int at, const Instance *self, const Val *out)
{
    if (at < 0 || !x->state)
        return;
    LayerInfo *info = &x->layers.at[at];
    size_t n = strlen(self->path);
    for (int i = 0; i < x->state->params.n; i++) {
        const Param *p = x->state->params.at[i];
        int64_t count;
        if (strncmp(p->name, self->path, n) || p->name[n] != '/' ||
            !shape_count(&p->shape, 0, &count))
            continue;
        info->nparam += count;
        info->ntrainable += p->trainable ? count : 0;
    }
    const Val *v = out->kind == VAL_tuple && out->u.list.n ? &out->u.list.at[0] : out;
    info->output = v->kind == VAL_tensor ? shape_words(x, v->u.t.node) : "";
}

static Val run_layer(Expander *x, Instance *self, Call *c, Span at)
{
    const Definition *d = self->recipe->def;
    Val out = val_poison();
    Frame *f = frame_enter(x, d, d->stmt, d->kind, scope_new(x->a, self->scope, d->defs), self, at);
    if (!f)
        return out;
    f->in = c->in;
    f->nin = c->n;
    f->in_decl = c->decl;
    frame_run(x, f, (const Stmt *const *)d->stmt->body.at, d->stmt->body.n);
    out = body_result(x, f, at);
    frame_leave(x, f);
    return out;
}

/* A cell called in a cell advances one step; elsewhere it runs over time. */
static bool in_cell(const Expander *x)
{
    const Frame *f = x->frame;
    while (f && f->kind == DEF_function)
        f = f->outer;
    return f && f->cell;
}

/* activity_regularizer: of the output, a sample's share as a loss. */
static bool regularize_activity(Expander *x, const Recipe *r, const Val *out, Span at)
{
    const Val *f = recipe_arg(r, "activity_regularizer");
    const Val *y = out->kind == VAL_tuple && out->u.list.n ? &out->u.list.at[0] : out;
    if (!f || f->kind == VAL_none || y->kind != VAL_tensor)
        return true;
    Val loss = apply1(x, f, 1u << DEF_function, *y, at);
    return loss.kind != VAL_poison && add_loss(x, loss, NULL, at);
}

static Val stamp(Expander *x, Val v, const Instance *self)
{
    if (v.kind == VAL_tensor) {
        v.u.t.from = self;
        v.span = x->user;
    } else if (v.kind == VAL_tuple) {
        for (int i = 0; i < v.u.list.n; i++)
            v.u.list.at[i] = stamp(x, v.u.list.at[i], self);
    }
    return v;
}

/* A layer's output, for those who watch it; of a layer that is applied again "lstm#2". */
static void name_output(Expander *x, const Instance *self, const Val *out)
{
    const Val *y = out->kind == VAL_tuple && out->u.list.n ? &out->u.list.at[0] : out;
    int before = 0;
    if (y->kind != VAL_tensor || x->g != x->top)
        return;
    for (int i = 0; i < x->named.n; i++)
        before += x->named.at[i].layer == self;
    const char *name = before ? arena_printf(x->a, "%s#%d", self->path, before + 1) : self->path;
    list_push(x->a, &x->named, ((NamedTensor){name, y->u.t.node, self}));
}

Val apply_instance(Expander *x, Instance *self, const CallArg *args, int nargs, Span at,
                   bool as_layer)
{
    const Definition *d = self->recipe->def;
    Call c;
    if (!instance_place(x, self, at) || !call_inputs(x, d, args, nargs, at, &c))
        return val_poison();
    bool step = d->kind == DEF_cell && !as_layer && in_cell(x);
    Called before = enter_call(x, d, at);
    int row = list_layer(x, self, &c);
    x->path = self->path;
    x->frozen = x->frozen || self->recipe->frozen;
    x->layer_depth++;
    Val out = d->native                      ? d->native(x, self, &c, at)
              : d->kind == DEF_cell && !step ? run_cell(x, self, &c, at)
              : d->kind == DEF_cell          ? step_cell(x, self, &c, at)
                                             : run_layer(x, self, &c, at);
    x->layer_depth--;
    if (!step && !regularize_activity(x, self->recipe, &out, at))
        out = val_poison();
    out = stamp(x, out, self);
    count_layer(x, row, self, &out);
    name_output(x, self, &out);
    leave_call(x, before);
    return out;
}

/* ---- calling any value ---- */

static Val call_function(Expander *x, const Definition *d, const CallArg *args, int nargs, Span at)
{
    Recipe *r = recipe_bind(x, d, args, nargs, at);
    return r ? run_function(x, r, NULL, at) : val_poison();
}

static Val apply_recipe(Expander *x, const Recipe *r, const CallArg *args, int nargs, Span at)
{
    const Definition *d = r->def;
    if (1u << d->kind & LAYERS)
        return apply_instance(x, instance_new(x, r, at), args, nargs, at, false);
    if (d->kind == DEF_optimizer || d->kind == DEF_model)
        return fail(x, at, "the %s %s is no function", def_kind_name(d->kind), d->name);
    if (!d->has_inputs && !nargs && x->in_initial)
        return run_function(x, r, NULL, at);
    if (!d->has_inputs)
        return fail(x, at, "the function %s gives its value at once; it is not applied", d->name);
    Call c;
    return call_inputs(x, d, args, nargs, at, &c) ? run_function(x, r, &c, at) : val_poison();
}

/* mse(y_true, y_pred, delta=2): what a definition with inputs is called on. */
static Val call_on_tensors(Expander *x, const Definition *d, const CallArg *args, int nargs,
                           Span at)
{
    LIST(CallArg) make = {0}, call = {0};
    for (int i = 0; i < nargs; i++)
        if (!args[i].name || takes_input(x, d, args[i].name))
            list_push(x->a, &call, args[i]);
        else
            list_push(x->a, &make, args[i]);
    Recipe *r = recipe_bind(x, d, make.at, make.n, at);
    return r ? apply_recipe(x, r, call.at, call.n, at) : val_poison();
}

static Val recipe_value(Recipe *r, Span at)
{
    Val v = {.kind = VAL_recipe, .span = at};
    v.u.recipe = r;
    return r ? v : val_poison();
}

static Val call_definition(Expander *x, const Definition *d, const CallArg *args, int nargs,
                           Span at)
{
    bool tensors = nargs && !args[0].name && is_tensor_value(&args[0].value);
    if (d->kind == DEF_function && !d->has_inputs) {
        /* GlorotUniform() waits for a parameter's shape. */
        if (!strcmp(d->category, "initializers") && !x->in_initial)
            return recipe_value(recipe_bind(x, d, args, nargs, at), at);
        return call_function(x, d, args, nargs, at);
    }
    if (tensors && d->kind != DEF_optimizer && !(1u << d->kind & LAYERS))
        return call_on_tensors(x, d, args, nargs, at);
    return recipe_value(recipe_bind(x, d, args, nargs, at), at);
}

/* What Keras's other names are here. */
static const char *foreign_callee(const char *name)
{
    static const struct { const char *name, *instead; } known[] = {
        {"Input", "an input is declared: input image[28, 28]"},
        {"InputLayer", "an input is declared: input image[28, 28]"},
        {"Sequential", "layers are written one a line in model NAME { ... }"},
        {"Model", "a model is written model NAME { ... }"},
        {"to_categorical", "write one_hot(label, 10)"},
        {"Lambda", "write the expression itself, or a function f(x) = ..."},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, name))
            return known[i].instead;
    return NULL;
}

static Val unknown_callee(Expander *x, const Val *callee, Span at)
{
    const Definitions *defs =
        x->state && x->state->defs ? x->state->defs : prelude_definitions(x->session);
    const char *name = callee->u.text.s;
    const char *near = callee->u.text.bare ? callee->u.text.near : NULL;
    if (!near)
        near = definition_nearest(defs, name, 0);
    const Definition *d = near ? definition_find(defs, near, 0) : NULL;
    bool layer = d ? (1u << d->kind & LAYERS) != 0 : name[0] >= 'A' && name[0] <= 'Z';
    const char *what = layer ? "layer" : "function", *hint = foreign_callee(name);
    if (hint)
        return fail(x, callee->span.file ? callee->span : at, "unknown %s '%s'; %s", what, name,
                    hint);
    if (!near)
        return fail(x, callee->span.file ? callee->span : at, "unknown %s '%s'; weft help --list "
                    "names those there are", what, name);
    return fail(x, callee->span.file ? callee->span : at, "unknown %s '%s'%s%s%s", what, name,
                near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static const Definition *named_definition(Expander *x, const Val *callee, unsigned kinds)
{
    const Definitions *defs =
        x->state && x->state->defs ? x->state->defs : prelude_definitions(x->session);
    return definition_find(defs, callee->u.text.s, kinds);
}

Val call_value(Expander *x, const Val *callee, const CallArg *args, int nargs, Span at)
{
    for (int i = 0; i < nargs; i++)
        if (args[i].value.kind == VAL_poison)
            return val_poison();
    const Definition *d;
    switch (callee->kind) {
    case VAL_poison:
        return val_poison();
    case VAL_definition:
        return call_definition(x, callee->u.def, args, nargs, at);
    case VAL_recipe:
        return apply_recipe(x, callee->u.recipe, args, nargs, at);
    case VAL_instance:
        return apply_instance(x, callee->u.instance, args, nargs, at, false);
    case VAL_builtin:
        return builtin_call(x, callee->u.builtin, args, nargs, at);
    case VAL_none:
        if (nargs == 1)
            return args[0].value;
        break;
    case VAL_string:
        d = named_definition(x, callee, x->prefer);
        return d ? call_definition(x, d, args, nargs, at) : unknown_callee(x, callee, at);
    default:
        break;
    }
    return fail(x, at, "%s is called like a function", val_text(x, callee));
}

Val apply(Expander *x, const Val *callee, unsigned kinds, const CallArg *in, int nin, Span at)
{
    const Definition *d = NULL;
    for (int i = 0; i < nin; i++)
        if (in[i].value.kind == VAL_poison)
            return val_poison();
    if (callee->kind == VAL_definition)
        d = callee->u.def;
    else if (callee->kind == VAL_string)
        d = named_definition(x, callee, kinds);
    if (d && d->kind == DEF_function && !d->has_inputs)
        return call_function(x, d, in, nin, at);
    if (d) {
        Recipe *r = recipe_bind(x, d, NULL, 0, at);
        return r ? apply_recipe(x, r, in, nin, at) : val_poison();
    }
    return call_value(x, callee, in, nin, at);
}

Val apply1(Expander *x, const Val *callee, unsigned kinds, Val in, Span at)
{
    CallArg a = {NULL, {0}, in, at};
    return apply(x, callee, kinds, &a, 1, at);
}

Val apply2(Expander *x, const Val *callee, unsigned kinds, Val in0, Val in1, Span at)
{
    CallArg a[2] = {{NULL, {0}, in0, at}, {NULL, {0}, in1, at}};
    return apply(x, callee, kinds, a, 2, at);
}
