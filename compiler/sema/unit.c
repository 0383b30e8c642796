/* Units: a file is read, its model and train block chosen, its model expanded. */
#include "sema/internal.h"

#include <string.h>

Session *session_new(Arena *a, Diag *d, Dtype real)
{
    Session *s = NEW(a, Session);
    s->arena = a;
    s->diag = d;
    s->real = real;
    return s;
}

Expander *expander_new(Unit *u, Graph *g, Purpose purpose, bool training)
{
    Session *s = u->session;
    Expander *x = NEW(s->arena, Expander);
    *x = (Expander){.session = s,
                    .unit = u,
                    .state = u->state,
                    .a = s->arena,
                    .d = s->diag,
                    .g = g,
                    .top = g,
                    .training = training,
                    .purpose = purpose,
                    .real = s->real,
                    .path = ""};
    return x;
}

/* ---- choosing ---- */

static const char *block_names(Arena *a, const Definitions *d, const char *word)
{
    char *s = arena_strdup(a, "");
    for (int i = 0; i < d->blocks.n; i++)
        if (!strcmp(d->blocks.at[i]->word, word) && d->blocks.at[i]->name)
            s = arena_printf(a, "%s%s%s", s, s[0] ? ", " : "", d->blocks.at[i]->name);
    return s;
}

static int count_blocks(const Definitions *d, const char *word)
{
    int n = 0;
    for (int i = 0; i < d->blocks.n; i++)
        n += !strcmp(d->blocks.at[i]->word, word);
    return n;
}

/* The block `name`, or the only one of its word; *none when there is none at
 * all. Null after reporting. */
static const Stmt *choose(Session *s, const Definitions *d, const char *word, const char *name,
                          Span at, bool *none)
{
    const Stmt *found = NULL, *second = NULL;
    LIST(const char *) all = {0};
    *none = !name && !count_blocks(d, word);
    for (int i = 0; i < d->blocks.n; i++) {
        const Stmt *b = d->blocks.at[i];
        if (strcmp(b->word, word))
            continue;
        if (b->name)
            list_push(s->arena, &all, b->name);
        if (name && (!b->name || strcmp(b->name, name)))
            continue;
        if (found && !second)
            second = b;
        else if (!found)
            found = b;
    }
    if (found && !second)
        return found;
    if (second && name) {
        error_at(s->diag, second->name_span, "%s '%s' is defined twice", word, name);
        note_at(s->diag, found->name_span, "it is defined here already");
    } else if (second && !*block_names(s->arena, d, word)) {
        error_at(s->diag, second->span, "the file has %d %s blocks; give each a name (%s NAME "
                 "{ ... }) and choose one with --%s", count_blocks(d, word), word, word, word);
        note_at(s->diag, found->span, "the first one");
    } else if (second) {
        error_at(s->diag, second->span, "the file has %d %s blocks (%s); choose one with --%s",
                 count_blocks(d, word), word, block_names(s->arena, d, word), word);
    } else if (name) {
        const char *near = nearest_name(name, all.at, all.n);
        error_at(s->diag, at, "the file has no %s '%s'%s%s%s", word, name,
                 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    return NULL;
}

/* `model = vae` in the train block. */
static const Expr *train_model(const Stmt *train)
{
    for (int i = 0; train && i < train->body.n; i++) {
        const Stmt *s = train->body.at[i];
        if (s->kind == ST_assign && s->targets.n == 1 && s->targets.at[0]->kind == EX_name &&
            !strcmp(s->targets.at[0]->text, "model") &&
            (s->value->kind == EX_name || s->value->kind == EX_string))
            return s->value;
    }
    return NULL;
}

static bool choose_blocks(Unit *u, const char *path)
{
    Session *s = u->session;
    UnitState *st = u->state;
    bool none;
    Span file = {st->source, 0, 0};
    st->train = choose(s, st->defs, "train", s->train_name, file, &none);
    if (!st->train && !none)
        return false;
    const Expr *named = s->model_name ? NULL : train_model(st->train);
    st->model = choose(s, st->defs, "model",
                       s->model_name ? s->model_name
                       : named       ? named->text
                                     : NULL,
                       named ? named->span : file, &none);
    if (!st->model && none)
        error_at(s->diag, file, "there is no model in '%s'; write model NAME { ... }", path);
    return st->model != NULL;
}

/* ---- the model ---- */

static bool add_output(Expander *x, const Val *v, const char *name, Span at, Val *out)
{
    Node *n = val_to_tensor(x, v, at);
    if (!n)
        return false;
    if (n->dtype == DT_f64 && n->shape.rank == 0)
        n = to_real(x, n);
    if (!shape_has_batch(&n->shape)) {
        Shape s = n->shape;
        memmove(s.d + 1, s.d, sizeof(Dim) * (size_t)s.rank);
        s.d[0] = dim_sym(SYM_N);
        s.rank++;
        n = make_broadcast(x->g, n, s);
    }
    *out = v->kind == VAL_tensor ? *v : val_tensor(n, at);
    out->u.t.node = n;
    (void)name;
    return true;
}

typedef struct {
    LIST(Val) at;
    LIST(const char *) names;
} ModelOutputs;

/* `x = LSTM(4)` among bare layers is made and forgotten. */
static bool layers_used(Expander *x, const Frame *f)
{
    bool ok = true;
    for (int i = 0; i < f->scope->names.n; i++) {
        const Binding *b = &f->scope->names.at[i];
        if (b->val.kind != VAL_instance || b->val.u.instance->read)
            continue;
        fail(x, b->val.u.instance->recipe->span, "the layer '%s' is never applied: leave the name "
             "out, or apply it to a tensor: y = ... -> %s", b->name, b->name);
        ok = false;
    }
    return ok;
}

static bool collect_outputs(Expander *x, Frame *f, ModelOutputs *out)
{
    const Stmt *m = f->stmt;
    if (f->failed || f->mixed || !layers_used(x, f))
        return false;
    if (!f->outputs.n && f->first_bare.file && f->current.kind == VAL_tuple)
        for (int i = 0; i < f->current.u.list.n; i++)
            list_push(x->a, &f->outputs, f->current.u.list.at[i]);
    else if (!f->outputs.n && f->first_bare.file)
        list_push(x->a, &f->outputs, f->current);
    if (!f->outputs.n) {
        fail(x, m->name_span.file ? m->name_span : m->span,
             "the model '%s' has no output; write "
             "output NAME = ..., or layers that follow each other",
             m->name ? m->name : "");
        return false;
    }
    for (int i = 0; i < f->outputs.n; i++) {
        const char *name = i < f->output_names.n ? f->output_names.at[i] : NULL;
        if (!name)
            name = i ? arena_printf(x->a, "output_%d", i) : "output";
        Span at = i < f->output_spans.n ? f->output_spans.at[i] : m->span;
        Val v;
        if (!add_output(x, &f->outputs.at[i], name, at, &v))
            return false;
        list_push(x->a, &out->at, v);
        list_push(x->a, &out->names, name);
    }
    return true;
}

static bool expand_model(Expander *x, ModelOutputs *out)
{
    UnitState *st = x->state;
    Frame *f = frame_enter(x, NULL, st->model, DEF_model, scope_new(x->a, NULL, st->defs), NULL,
                           st->model->span);
    if (!f)
        return false;
    frame_run(x, f, (const Stmt *const *)st->model->body.at, st->model->body.n);
    bool ok = collect_outputs(x, f, out);
    for (int i = 0; ok && i < f->scope->names.n; i++) {
        const Binding *b = &f->scope->names.at[i];
        if (b->val.kind == VAL_tensor)
            list_push(x->a, &x->named, ((NamedTensor){b->name, b->val.u.t.node, NULL}));
    }
    frame_leave(x, f);
    return ok && diag_ok(x->d);
}

/* Parameters' inputs in the order of the table, whatever was used first. */
static void order_params(Expander *x)
{
    Graph *g = x->top;
    LIST(Node *) sorted = {0};
    for (int i = 0; i < x->state->params.n; i++) {
        Node *n = graph_find_input(g, ROLE_param, x->state->params.at[i]->name);
        if (n)
            list_push(x->a, &sorted, n);
    }
    for (int i = 0, k = 0; i < g->inputs.n; i++)
        if (attr_int(g->inputs.at[i], ATTR_role, NROLE) == ROLE_param)
            g->inputs.at[i] = sorted.at[k++];
}

static void publish_params(Unit *u)
{
    UnitState *st = u->state;
    u->nparam = st->params.n;
    u->param = NEW_ARRAY(st->a, ParamInfo, st->params.n + 1);
    for (int i = 0; i < st->params.n; i++) {
        const Param *p = st->params.at[i];
        u->param[i] = (ParamInfo){p->name, p->shape, p->trainable, p->span};
    }
}

static void publish_model(Unit *u, Expander *x, const ModelOutputs *out)
{
    UnitState *st = u->state;
    u->nlayer = x->layers.n;
    u->layer = x->layers.at;
    u->ninput = x->inputs.n;
    u->input = x->inputs.at;
    u->noutput = out->at.n;
    u->output = NEW_ARRAY(st->a, PortInfo, out->at.n + 1);
    for (int i = 0; i < out->at.n; i++) {
        const Node *n = out->at.at[i].u.t.node;
        u->output[i] = (PortInfo){out->names.at[i], n->dtype, n->shape, n->span};
    }
    u->definitions_hash = st->hash;
    st->published = true;
}

/* For FORWARD_watch: what has a name and a value for each sample, once by each name. */
static void output_named(Expander *x)
{
    for (int i = 0; i < x->named.n; i++) {
        const NamedTensor *t = &x->named.at[i];
        if (shape_has_batch(&t->node->shape) && !graph_find_output(x->top, ROLE_result, t->name))
            graph_output(x->top, ROLE_result, t->name, t->node);
    }
}

static bool expand(Unit *u, Expander *x)
{
    ModelOutputs out = {0};
    bool trains = x->purpose == FORWARD_train, tests = x->purpose == FORWARD_evaluate;
    Scope *fields = scope_new(x->a, NULL, u->state->defs);
    if (x->purpose != FORWARD_predict && u->data) {
        if (!data_expand(x, fields))
            return false;
        x->fields = fields;
    }
    if (!expand_model(x, &out))
        return false;
    if (!u->state->published)
        publish_model(u, x, &out);
    if (trains || tests) {
        if (!loss_expand(x, fields, out.at.at, out.names.at, out.at.n) ||
            !metrics_expand(x, fields, out.at.at, out.names.at, out.at.n))
            return false;
    }
    bool results = !trains && x->purpose != FORWARD_prepare;
    for (int i = 0; results && i < out.at.n; i++)
        graph_output(x->top, ROLE_result, out.names.at[i], out.at.at[i].u.t.node);
    for (int i = 0; i < x->updates.n; i++)
        graph_output(x->top, x->updates.at[i].buffer->role, x->updates.at[i].buffer->name,
                     x->updates.at[i].value);
    return diag_ok(x->d);
}

Graph *unit_forward(Unit *u, Purpose purpose)
{
    Session *s = u->session;
    Graph *g = graph_new(s->arena, u->name);
    bool watched = purpose == FORWARD_watch, trains = watched || purpose == FORWARD_train;
    Expander *x = expander_new(u, g, watched ? FORWARD_train : purpose, trains);
    x->differentiated = trains;
    if (!expand(u, x))
        return NULL;
    if (watched)
        output_named(x);
    order_params(x);
    publish_params(u);
    return g;
}

/* ---- opening ---- */

static bool check_settings(Unit *u)
{
    Session *s = u->session;
    UnitState *st = u->state;
    for (int i = 0; i < s->settings.n; i++) {
        const Setting *set = &s->settings.at[i];
        bool known = false;
        for (int k = 0; k < st->setting_paths.n; k++)
            known = known || !strcmp(st->setting_paths.at[k], set->path);
        if (known)
            continue;
        const char *near = nearest_name(set->path, st->setting_paths.at, st->setting_paths.n);
        error_at(s->diag, set->span, "--set %s: nothing has this name%s%s%s", set->path,
                 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    return diag_ok(s->diag);
}

/* Every let is looked at, so that a setting finds it and a mistake is told. */
static void touch_lets(Expander *x)
{
    Definitions *d = x->state->defs;
    Scope *s = scope_new(x->a, NULL, d);
    for (int i = 0; i < d->lets.n; i++) {
        const Expr *name = d->lets.at[i]->targets.n ? d->lets.at[i]->targets.at[0] : NULL;
        if (!name || name->kind != EX_name)
            continue;
        Val v = eval_expr(x, s, name);
        if (v.kind == VAL_string)
            unknown_name(x, &v, d->lets.at[i]->value->span);
    }
}

static bool read_unit(Unit *u, const char *path)
{
    Session *s = u->session;
    UnitState *st = u->state;
    size_t size;
    const char *why;
    char *text = read_text(s->arena, path, &size, &why);
    if (!text)
        return error_at(s->diag, (Span){0}, "cannot read '%s': %s", path, why);
    st->source = diag_source(s->diag, path, text, size, false);
    Definitions *prelude = prelude_definitions(s);
    st->file = parse_source(s->arena, s->diag, st->source);
    st->defs = definitions_new(s, prelude, st->file, path);
    return diag_ok(s->diag) && choose_blocks(u, path);
}

Unit *unit_open(Session *s, const char *path)
{
    Unit *u = NEW(s->arena, Unit);
    u->session = s;
    UnitState *st = u->state = NEW(s->arena, UnitState);
    st->a = s->arena;
    st->path = path;
    st->hash = 0xCBF29CE484222325u;
    if (!read_unit(u, path))
        return NULL;
    u->name = st->model->name ? st->model->name : "model";
    u->span = st->model->span;
    hash_stmt(&st->hash, st->model);
    Expander *x = expander_new(u, graph_new(s->arena, u->name), FORWARD_predict, false);
    bool ok = train_open(u, x);
    if (ok && st->data)
        ok = data_open(u, x);
    touch_lets(x); /* after data_open: a let may use the data's facts */
    ok = ok && diag_ok(s->diag);
    /* The model's own mistakes are told even where the data's stand in the way. */
    ok = unit_forward(u, FORWARD_predict) && ok;
    if (ok && u->train && u->data)
        ok = unit_forward(u, FORWARD_train) != NULL && fields_used(u);
    else if (ok && u->data) /* what the transforms keep (standardize) and their mistakes */
        ok = data_expand(expander_new(u, graph_new(s->arena, "data"), FORWARD_serve, false),
                         scope_new(s->arena, NULL, st->defs));
    if (ok)
        ok = unit_init(u) != NULL;
    return ok && diag_ok(s->diag) && check_settings(u) ? u : NULL;
}
