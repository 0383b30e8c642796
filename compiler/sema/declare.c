/* Declarations: input, param, buffer; the unit's table of parameters. */
#include "sema/internal.h"

#include <string.h>

/* ---- shapes ---- */

bool name_is_bound(Expander *x, const Scope *s, const char *name)
{
    const Definitions *d = NULL;
    if (scope_find(s, name))
        return true;
    for (; s && !d; s = s->parent)
        d = s->defs;
    (void)x;
    for (; d; d = d->outer)
        for (int i = 0; i < d->lets.n; i++)
            if (!strcmp(d->lets.at[i]->targets.at[0]->text, name))
                return true;
    return false;
}

/* The names in a size that was reported say nothing more: `units` in h[units] and
 * in kernel[n, 4 * units] is one mistake. */
static void poison_names(Scope *s, const Expr *e)
{
    Binding *b = e->kind == EX_name ? scope_find(s, e->text) : NULL;
    if (b)
        b->val = val_poison();
    for (int i = 0; i < 3; i++)
        if (e->kid[i])
            poison_names(s, e->kid[i]);
}

/* What a size is called: by the argument, where the prelude's declaration is only it. */
static const char *size_words(const Expander *x, const Expr *e, const char *name)
{
    bool prelude = e->span.file > 0 && x->d->sources.at[e->span.file - 1].is_prelude;
    return prelude && e->kind == EX_name ? e->text
                                         : arena_printf(x->a, "a size of '%s'", name);
}

static bool dim_of(Expander *x, Scope *s, const Val *v, const Expr *e, const char *name, Dim *out)
{
    int64_t k;
    Span at = e->span;
    if (v->kind == VAL_extent) {
        *out = v->u.dim;
        return true;
    }
    const char *what = size_words(x, e, name);
    if (!val_as_int(x, v, at, what, &k)) {
        poison_names(s, e);
        return false;
    }
    if (k < 1 || k > INT32_MAX) {
        Span where = v->span.file && blame(x, at).lo != at.lo ? v->span : at;
        if (k < 1)
            fail(x, where, "%s must be positive, found %lld", what, (long long)k);
        else
            fail(x, where, "%s is %lld; the most is %d", what, (long long)k, INT32_MAX);
        poison_names(s, e);
        return false;
    }
    *out = dim_int(k);
    return true;
}

/* More elements than any memory holds are a slip of the pen. */
static bool count_fits(Expander *x, const Declarator *d, const Shape *s)
{
    int64_t count = 1, extent;
    for (int i = 0; i < s->rank; i++)
        if (dim_const(s->d[i], &extent) &&
            (__builtin_mul_overflow(count, extent, &count) || count > INT64_C(1) << 40)) {
            fail(x, d->span, "'%s' of shape %s would have too many elements (more than 2^40)",
                 d->name, shape_text(x->a, x->top, s));
            return false;
        }
    return true;
}

bool declared_shape(Expander *x, Scope *s, const Declarator *d, Shape *out)
{
    *out = (Shape){0};
    if (d->dims.n >= RANK_MOST) {
        fail(x, d->span, "'%s' has %d dimensions; at most %d are possible", d->name, d->dims.n,
             RANK_MOST - 1);
        return false;
    }
    for (int i = 0; i < d->dims.n; i++) {
        Val v = eval_expr(x, s, d->dims.at[i]);
        bool list = v.kind == VAL_list; /* param alpha[shape(x)] */
        int n = list ? v.u.list.n : 1;
        if (out->rank + n >= RANK_MOST) {
            fail(x, d->span, "'%s' has more than %d dimensions", d->name, RANK_MOST - 1);
            return false;
        }
        for (int k = 0; k < n; k++)
            if (v.kind == VAL_poison || !dim_of(x, s, list ? &v.u.list.at[k] : &v, d->dims.at[i],
                                                d->name, &out->d[out->rank++]))
                return false;
    }
    return count_fits(x, d, out);
}

static Shape with_batch(Shape s)
{
    memmove(s.d + 1, s.d, sizeof(Dim) * (size_t)s.rank);
    s.d[0] = dim_sym(SYM_N);
    s.rank++;
    return s;
}

static bool declared_dtype(Expander *x, const Declarator *d, Dtype other, Dtype *out)
{
    *out = other;
    if (!d->dtype || !strcmp(d->dtype, "list"))
        return true;
    Dtype dt = dtype_by_name(d->dtype);
    if (dt == NDTYPE) {
        static const char *const all[] = {"float", "int", "bool", "f32", "f64", "i32"};
        const char *near = nearest_name(d->dtype, all, 6);
        fail(x, d->dtype_span, "unknown type '%s'%s%s%s", d->dtype, near ? "; did you mean '" : "",
             near ? near : "", near ? "'?" : "");
        return false;
    }
    *out = dtype_is_float(dt) ? x->real : dt;
    return true;
}

/* ---- inputs ---- */

/* The dims as written: "[time, n]". */
static char *dims_words(Expander *x, const Declarator *d)
{
    char *s = arena_strdup(x->a, "[");
    for (int i = 0; i < d->dims.n; i++)
        s = arena_printf(x->a, "%s%s%s", s, i ? ", " : "", expr_text(x->a, d->dims.at[i]));
    return arena_printf(x->a, "%s]", s);
}

static const char *caller_name(const Expander *x)
{
    return x->frame && x->frame->def ? x->frame->def->name : "this";
}

/* One declared size against the one found. */
static bool match_dim(Expander *x, Scope *s, const Declarator *d, const Expr *e, const Node *n,
                      int axis, Span at)
{
    Dim have = n->shape.d[axis], want;
    if (e->kind == EX_binary && e->op == BIN_le)
        e = e->kid[0];
    if (e->kind == EX_name && !strcmp(e->text, "time") && !scope_find(s, "time"))
        return true;
    if (e->kind == EX_name && !name_is_bound(x, s, e->text)) {
        scope_set(x->a, s, e->text, val_dim(have, e->span));
        return true;
    }
    Val v = eval_expr(x, s, e);
    if (v.kind == VAL_poison || !dim_of(x, s, &v, e, d->name, &want))
        return false;
    if (dim_equal(have, want))
        return true;
    if (x->frame && x->frame->kind == DEF_model)
        fail(x, at, "input '%s' is %s, but the data has the shape %s", d->name, dims_words(x, d),
             shape_words(x, n));
    else
        fail(x, at, "%s wants %s as '%s' with %s = %s, found %s", caller_name(x), dims_words(x, d),
             d->name, expr_text(x->a, e), dim_text(x->a, x->top, want), shape_words(x, n));
    return false;
}

bool match_input(Expander *x, Scope *s, const Declarator *d, const Val *v, Span at)
{
    if (!d->has_dims)
        return true;
    Node *n = val_to_tensor(x, v, at);
    if (!n)
        return false;
    int lead = shape_has_batch(&n->shape) ? 1 : 0;
    if (n->shape.rank - lead != d->dims.n) {
        const Span where = blame(x, at);
        fail(x, at, "%s wants %s as '%s', found %s", caller_name(x), dims_words(x, d), d->name,
             shape_words(x, n));
        note_operand(x, v, where, shape_words(x, n));
        return false;
    }
    for (int i = 0; i < d->dims.n; i++)
        if (!match_dim(x, s, d, d->dims.at[i], n, lead + i, at))
            return false;
    return true;
}

/* The sizes of a model's input: names that nothing defines are run-time lengths. */
static bool model_input_shape(Expander *x, Scope *s, const Declarator *d, Shape *out)
{
    *out = (Shape){0};
    for (int i = 0; i < d->dims.n && i < RANK_MOST - 1; i++) {
        const Expr *e = d->dims.at[i];
        int64_t most = 0;
        if (e->kind == EX_binary && e->op == BIN_le && e->kid[0]->kind == EX_name) {
            if (!eval_int(x, s, e->kid[1], "the bound of a length", &most))
                return false;
            if (most < 1) {
                fail(x, e->kid[1]->span, "the bound of a length must be positive, found %lld",
                     (long long)most);
                return false;
            }
            e = e->kid[0];
        }
        if (e->kind == EX_name && !name_is_bound(x, s, e->text)) {
            if (x->top->lengths.n >= SYM_MOST - SYM_length) {
                if (x->d->nunsupported == 0) /* each further one is the same trouble */
                unsupported(x, e->span, "more than %d run-time lengths", SYM_MOST - SYM_length);
            return false;
            }
            Dim dim = dim_sym(graph_length(x->top, e->text, most));
            if (strcmp(e->text, "time"))
                scope_set(x->a, s, e->text, val_dim(dim, e->span));
            out->d[out->rank++] = dim;
            continue;
        }
        Val v = eval_expr(x, s, e);
        if (v.kind == VAL_poison || !dim_of(x, s, &v, e, d->name, &out->d[out->rank++]))
            return false;
    }
    if (d->dims.n >= RANK_MOST) {
        fail(x, d->span, "'%s' has %d dimensions; at most %d are possible", d->name, d->dims.n,
             RANK_MOST - 1);
        return false;
    }
    return count_fits(x, d, out);
}

static bool field_fits(Expander *x, Frame *f, const Declarator *d, Val *v)
{
    Node *n = val_to_tensor(x, v, d->span);
    Dtype dt;
    if (!n || !declared_dtype(x, d, x->real, &dt))
        return false;
    if (!d->has_dims && n->shape.rank > 1) {
        fail(x, d->span, "the data for input '%s' has the shape %s; write `input %s%s`", d->name,
             shape_words(x, n), d->name, shape_words(x, n));
        return false;
    }
    bool ok = n->shape.rank - 1 == d->dims.n;
    for (int i = 0; ok && i < d->dims.n; i++)
        ok = match_dim(x, f->scope, d, d->dims.at[i], n, 1 + i, d->span);
    if (n->shape.rank - 1 != d->dims.n) {
        fail(x, d->span, "input '%s' is %s, but the data has the shape %s", d->name,
             dims_words(x, d), shape_words(x, n));
        note_operand(x, v, d->span, "the data");
    }
    if (!ok)
        return false;
    Node *mask = v->u.t.mask;
    *v = val_tensor(make_cast(x->g, n, dt), d->span);
    v->u.t.mask = mask;
    return true;
}

static bool declare_model_input(Expander *x, Frame *f, const Declarator *d)
{
    Val v;
    if (x->fields) {
        v = data_bind(x, x->fields, d);
        if (v.kind == VAL_poison || !field_fits(x, f, d, &v))
            return false;
    } else {
        Shape s;
        Dtype dt;
        if (!model_input_shape(x, f->scope, d, &s) || !declared_dtype(x, d, x->real, &dt))
            return false;
        v = val_tensor(graph_input(x->g, ROLE_data, d->name, dt, with_batch(s), d->span), d->span);
    }
    PortInfo port = {d->name, v.u.t.node->dtype, v.u.t.node->shape, d->span};
    list_push(x->a, &x->inputs, port);
    if (x->purpose == FORWARD_prepare)
        graph_output(x->top, ROLE_result, d->name, v.u.t.node);
    scope_set(x->a, f->scope, d->name, v);
    f->current = v;
    return true;
}

static bool declare_input(Expander *x, Frame *f, const Declarator *d, Span at)
{
    if (f->kind == DEF_model)
        return declare_model_input(x, f, d);
    int k = -1;
    for (int i = 0; i < f->nin; i++)
        if (f->in_decl[i] == d)
            k = i;
    if (k < 0) {
        fail(x, at, "an input stands at the top of its body, not in repeat, for or if");
        return false;
    }
    Val v = f->in[k];
    if (v.kind == VAL_poison && d->init) {
        v = eval_expr(x, f->scope, d->init);
        if (v.kind == VAL_poison)
            return false;
    }
    scope_set(x->a, f->scope, d->name, v);
    f->current = v;
    if (d->has_dims && v.kind == VAL_none)
        return true;
    return match_input(x, f->scope, d, &v, at);
}

/* ---- parameters ---- */

static Param *param_named(UnitState *u, Role role, const char *name)
{
    int n = role == ROLE_param ? u->params.n : role == ROLE_buffer ? u->buffers.n : u->states.n;
    Param **at = role == ROLE_param    ? u->params.at
                 : role == ROLE_buffer ? u->buffers.at
                                       : u->states.at;
    for (int i = 0; i < n; i++)
        if (!strcmp(at[i]->name, name))
            return at[i];
    return NULL;
}

Param *param_make(Expander *x, Role role, const char *name, Shape shape, Dtype dt, Span decl)
{
    UnitState *u = x->state;
    if (x->in_data && role == ROLE_param) {
        fail(x, x->user.file ? x->user : decl, "a layer with weights belongs in the model: a data "
             "block computes without");
        return NULL;
    }
    Param *p = param_named(u, role, name);
    if (p) {
        if (shape_equal(&p->shape, &shape))
            return p;
        fail(x, x->user.file ? x->user : decl,
             "the shared weight '%s' has the shape %s; here it "
             "would be %s",
             name, shape_text(x->a, x->top, &p->shape), shape_text(x->a, x->top, &shape));
        note(x, p->span, "it is made here");
        return NULL;
    }
    p = NEW(u->a, Param);
    *p = (Param){.role = role,
                 .name = arena_strdup(u->a, name),
                 .shape = shape,
                 .dtype = dt,
                 .trainable = role == ROLE_param,
                 .decl = decl,
                 .fresh = true,
                 .span = x->user.file ? x->user : decl};
    p->regularizer = p->constraint = val_none(decl);
    if (role == ROLE_param) {
        p->index = u->params.n;
        list_push(u->a, &u->params, p);
    } else if (role == ROLE_buffer) {
        p->index = u->buffers.n;
        list_push(u->a, &u->buffers, p);
    } else {
        p->index = u->states.n;
        list_push(u->a, &u->states, p);
    }
    return p;
}

Node *param_node(Expander *x, const Param *p)
{
    Node *n = graph_find_input(x->top, p->role, p->name);
    if (n)
        return n;
    n = graph_input(x->top, p->role, p->name, p->dtype, p->shape, p->span);
    n->name = p->name;
    return n;
}

static bool param_extra(Expander *x, Frame *f, Param *p, const Stmt *s)
{
    static const char *const all[] = {"constraint", "regularizer", "trainable"};
    const char *name = s->targets.n == 1 ? s->targets.at[0]->text : NULL;
    if (s->kind == ST_error)
        return false;
    if (s->kind != ST_assign || !name) {
        fail(x, s->span, "a parameter's block holds constraint, regularizer and trainable");
        return false;
    }
    if (!strcmp(name, "trainable")) {
        bool b;
        if (!eval_bool(x, f->scope, s->value, "trainable", &b))
            return false;
        p->trainable = p->trainable && b;
        return true;
    }
    bool constraint = !strcmp(name, "constraint");
    if (!constraint && strcmp(name, "regularizer")) {
        const char *near = nearest_name(name, all, 3);
        fail(x, s->span, "a parameter has no '%s'%s%s%s", name, near ? "; did you mean '" : "",
             near ? near : "", near ? "'?" : "");
        return false;
    }
    Val v = eval_expr(x, f->scope, s->value);
    if (v.kind == VAL_poison)
        return false;
    if (v.kind != VAL_none) {
        Recipe *r = recipe_of(x, &v, 1u << DEF_function, constraint ? "constraint" : "regularizer",
                              s->value->span);
        if (!r)
            return false;
        v = (Val){.kind = VAL_recipe, .span = s->value->span};
        v.u.recipe = r;
    }
    *(constraint ? &p->constraint : &p->regularizer) = v;
    return true;
}

static bool declared_twice(Expander *x, Frame *f, const Declarator *d)
{
    for (int i = 0; i < f->declared.n; i++)
        if (!strcmp(f->declared.at[i]->name, d->name)) {
            fail(x, d->span, "'%s' is declared twice", d->name);
            if (f->declared.at[i] != d)
                note(x, blame(x, f->declared.at[i]->span), "it is declared here already");
            return true;
        }
    list_push(x->a, &f->declared, d);
    return false;
}

Val param_use(Expander *x, Frame *f, const Declarator *d, Role role)
{
    Shape s;
    Dtype dt;
    if (declared_twice(x, f, d) || !declared_shape(x, f->scope, d, &s) ||
        !declared_dtype(x, d, x->real, &dt))
        return val_poison();
    for (int i = 0; i < s.rank; i++)
        if (s.d[i].sym != SYM_none)
            return fail(x, d->dims.at[i]->span,
                        "the size of the weight '%s' must be known when "
                        "compiling; %s is known only at run time",
                        d->name, dim_text(x->a, x->top, s.d[i]));
    if (!d->init && role == ROLE_param)
        return fail(x, d->span,
                    "the parameter '%s' has no initial value; write `= glorot_uniform` "
                    "or another initializer",
                    d->name);
    const char *path = path_join(x->a, f->self ? f->self->path : x->path, d->name);
    Param *p = param_make(x, role, path, s, dt, d->span);
    if (!p)
        return val_poison();
    if (p->fresh) {
        p->fresh = false;
        p->init = d->init;
        p->scope = f->scope;
        for (int i = 0; i < d->extra.n; i++)
            if (!param_extra(x, f, p, d->extra.at[i]))
                return val_poison();
    }
    p->trainable = p->trainable && !x->frozen;
    return val_tensor(param_node(x, p), d->span);
}

bool param_of_instance(Expander *x, const Instance *in, const char *name, Span at, Val *out)
{
    const char *path = in->path ? path_join(x->a, in->path, name) : name;
    const Param *p = x->state && in->path ? param_named(x->state, ROLE_param, path) : NULL;
    if (!p)
        return false;
    *out = val_tensor(param_node(x, p), at);
    return true;
}

/* ---- initial values ---- */

static bool is_callable(const Val *v)
{
    return v->kind == VAL_definition || v->kind == VAL_builtin || v->kind == VAL_string ||
           v->kind == VAL_recipe;
}

Node *initial_value(Expander *x, Val v, Shape shape, Dtype dt, Span at)
{
    bool before = x->in_initial;
    Shape outer = x->given_shape;
    x->in_initial = true;
    x->given_shape = shape;
    if (v.kind == VAL_later)
        v = eval_expr(x, v.u.later.scope, v.u.later.value);
    if (is_callable(&v)) {
        unsigned prefer = x->prefer;
        x->prefer = 1u << DEF_function;
        v = call_value(x, &v, NULL, 0, at);
        x->prefer = prefer;
    }
    Node *n = val_to_tensor(x, &v, at);
    x->in_initial = before;
    x->given_shape = outer;
    if (!n)
        return NULL;
    n = make_cast(x->g, n, dt);
    return broadcast_to(x, n, shape, at, "the initial value");
}

Node *param_initial(Expander *x, const Param *p)
{
    Span user = x->user;
    x->user = p->span;
    Val v = p->init_val;
    Span at = p->init ? p->init->span : p->decl;
    if (p->init) {
        bool before = x->in_initial;
        x->in_initial = true;
        x->given_shape = p->shape;
        v = eval_expr(x, p->scope, p->init);
        x->in_initial = before;
    } else if (v.kind == VAL_poison) {
        v = val_number(0, at);
    }
    Node *n = v.kind == VAL_poison ? NULL : initial_value(x, v, p->shape, p->dtype, at);
    x->user = user;
    return n;
}

/* ---- statements ---- */

bool run_buffer_update(Expander *x, Frame *f, const Stmt *s)
{
    const Expr *target = s->targets.at[0];
    const char *name = target->kind == EX_name ? target->text : "";
    const char *path = path_join(x->a, f->self ? f->self->path : x->path, name);
    const Param *p = param_named(x->state, ROLE_buffer, path);
    if (!p) {
        fail(x, target->span,
             "'%s' is no buffer of this body; declare it: buffer %s[sizes] = zeros", name, name);
        return false;
    }
    if (x->loop) {
        unsupported(x, s->span, "updating a buffer inside a loop over time");
        return false;
    }
    Val v = eval_expr(x, f->scope, s->value);
    Node *n = val_to_tensor(x, &v, s->value->span);
    if (!n)
        return false;
    n = make_cast(x->g, n, p->dtype);
    if (!(n = broadcast_to(x, n, p->shape, s->value->span, "the new value")))
        return false;
    BufferUpdate u = {p, n};
    if (x->training)
        list_push(x->a, &x->updates, u);
    return true;
}

bool run_declarator(Expander *x, Frame *f, const Stmt *s, const Declarator *d)
{
    bool param = !strcmp(s->word, "param");
    if (!strcmp(s->word, "input") || (!strcmp(s->word, "static") && f->cell))
        return declare_input(x, f, d, d->span);
    if (!strcmp(s->word, "state") && f->cell)
        return !declared_twice(x, f, d) && declare_state(x, f, d);
    if (param || !strcmp(s->word, "buffer")) {
        bool allowed = f->kind == DEF_layer || f->kind == DEF_cell || f->kind == DEF_model;
        if (!allowed || !x->state) {
            fail(x, d->span, "a %s belongs to a layer, a cell or a model", s->word);
            return false;
        }
        Val v = param_use(x, f, d, param ? ROLE_param : ROLE_buffer);
        scope_set(x->a, f->scope, d->name, v);
        return v.kind != VAL_poison;
    }
    fail(x, d->span, "`%s` does not belong to a %s", s->word, def_kind_name(f->kind));
    return false;
}
