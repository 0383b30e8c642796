/* Expressions: names, indexing, choice. Arithmetic is in arith.c, calls in arrow.c. */
#include "sema/internal.h"

#include <math.h>
#include <string.h>

enum { NEST_MOST = 600 };

/* ---- names ---- */

/* The first definition of that name, preferring the kinds asked for. */
static const Definition *name_definition(Expander *x, const Definitions *d, const char *name)
{
    const Definition *f = x->prefer ? definition_find(d, name, x->prefer) : NULL;
    unsigned callable = 1u << DEF_function | 1u << DEF_layer | 1u << DEF_cell;
    if (!f)
        f = definition_find(d, name, callable);
    return f ? f : definition_find(d, name, 0);
}

static Val global_let(Expander *x, Definitions *d, const Stmt *let)
{
    for (int i = 0; i < x->globals.n; i++)
        if (x->globals.at[i].let == let) {
            if (x->globals.at[i].busy)
                return fail(x, let->span, "'%s' is defined by itself", let->targets.at[0]->text);
            return x->globals.at[i].val;
        }
    Global g = {let, val_poison(), true};
    int at = x->globals.n;
    list_push(x->a, &x->globals, g);
    Frame *frame = x->frame;
    const char *path = x->path;
    x->path = "";
    x->frame = NULL;
    const Expr *e = setting(x, let->targets.at[0]->text, let->value);
    Val v = named_value(x, eval_expr(x, scope_new(x->a, NULL, d), e), let->targets.at[0]->text,
                        e->span);
    x->frame = frame;
    x->path = path;
    x->globals.at[at].val = v;
    x->globals.at[at].busy = false;
    return v;
}

static bool find_let(Expander *x, Definitions *d, const char *name, Val *out)
{
    for (; d; d = d->outer)
        for (int i = d->lets.n - 1; i >= 0; i--)
            if (!strcmp(d->lets.at[i]->targets.at[0]->text, name)) {
                *out = global_let(x, d, d->lets.at[i]);
                return true;
            }
    return false;
}

static void fans(const Shape *s, double *fan_in, double *fan_out)
{
    double d[RANK_MOST] = {1, 1}, field = 1;
    for (int i = 0; i < s->rank; i++) {
        int64_t k = 1;
        dim_const(s->d[i], &k);
        d[i] = (double)k;
    }
    if (s->rank < 2) {
        *fan_in = *fan_out = d[0];
        return;
    }
    for (int i = 0; i < s->rank - 2; i++)
        field *= d[i];
    *fan_in = d[s->rank - 2] * field;
    *fan_out = d[s->rank - 1] * field;
}

/* Names that mean something by where they stand: t, training, step, fan_in. */
static bool given_name(Expander *x, const char *name, Span at, Val *out)
{
    if (!strcmp(name, "training"))
        return *out = val_bool(x->training, at), true;
    if (!strcmp(name, "t") && x->frame && (x->frame->cell || x->frame->t)) {
        *out = (Val){.kind = VAL_step, .span = at};
        return true;
    }
    if (x->in_initial && !strcmp(name, "shape")) {
        Val d[RANK_MOST];
        for (int i = 0; i < x->given_shape.rank; i++)
            d[i] = val_dim(x->given_shape.d[i], at);
        *out = val_list(x->a, VAL_list, d, x->given_shape.rank, at);
        return true;
    }
    if (x->in_initial && (!strcmp(name, "fan_in") || !strcmp(name, "fan_out"))) {
        double in, to;
        fans(&x->given_shape, &in, &to);
        *out = val_number(name[4] == 'i' ? in : to, at);
        return true;
    }
    if ((!strcmp(name, "step") || !strcmp(name, "epoch")) && !x->no_batch) {
        Node *n = scalar_input(x, name);
        /* As in Keras, `step` is the updates made so far: 0 at the first. */
        *out = val_tensor(name[0] == 's' ? node2(x->g, OP_sub, n, make_const(x->g, 1)) : n, at);
        return true;
    }
    return false;
}

static bool constant_name(const char *name, Span at, Val *out)
{
    if (!strcmp(name, "true") || !strcmp(name, "True"))
        *out = val_bool(true, at);
    else if (!strcmp(name, "false") || !strcmp(name, "False"))
        *out = val_bool(false, at);
    else if (!strcmp(name, "none") || !strcmp(name, "None") || !strcmp(name, "null"))
        *out = val_none(at);
    else if (!strcmp(name, "pi"))
        *out = val_number(3.14159265358979323846, at);
    else if (!strcmp(name, "inf"))
        *out = val_number(INFINITY, at);
    else
        return false;
    return true;
}

/* The nearest of all names that could have been meant. */
static const char *nearest_in_scope(Expander *x, const Scope *s, const char *name)
{
    LIST(const char *) all = {0};
    const Definitions *d = NULL;
    for (; s; s = s->parent) {
        for (int i = 0; i < s->names.n; i++)
            list_push(x->a, &all, s->names.at[i].name);
        d = s->defs ? s->defs : d;
    }
    for (; d; d = d->outer) {
        for (int i = 0; i < d->at.n; i++)
            list_push(x->a, &all, d->at.at[i]->name);
        for (int i = 0; i < d->lets.n; i++)
            list_push(x->a, &all, d->lets.at[i]->targets.at[0]->text);
    }
    int n;
    const char *const *builtins = builtin_names(x->a, &n);
    for (int i = 0; i < n; i++)
        list_push(x->a, &all, builtins[i]);
    return nearest_name(name, all.at, all.n);
}

static Val eval_name(Expander *x, Scope *s, const Expr *e)
{
    Val v;
    const char *name = e->text;
    const Binding *b = scope_find(s, name);
    if (b) {
        if (b->val.kind == VAL_instance)
            b->val.u.instance->read = true;
        return b->val;
    }
    if (constant_name(name, e->span, &v))
        return v;
    Definitions *d = NULL;
    for (const Scope *k = s; k && !d; k = k->parent)
        d = k->defs;
    if (find_let(x, d, name, &v) || given_name(x, name, e->span, &v))
        return v;
    if (data_name(x, name, e->span, &v))
        return v;
    const Definition *f = name_definition(x, d, name);
    const Builtin *builtin = builtin_find(x->a, name);
    if (f && (!builtin || !f->is_prelude || strcmp(f->name, name) == 0)) {
        v = (Val){.kind = VAL_definition, .span = e->span};
        v.u.def = f;
        return v;
    }
    if (builtin) {
        v = (Val){.kind = VAL_builtin, .span = e->span};
        v.u.builtin = builtin;
        return v;
    }
    v = val_string(name, e->span);
    v.u.text.bare = true;
    v.u.text.near = nearest_in_scope(x, s, name);
    return v;
}

/* ---- the rest ---- */

static Val eval_if(Expander *x, Scope *s, const Expr *e)
{
    Val c = eval_expr(x, s, e->kid[0]);
    if (c.kind == VAL_poison)
        return c;
    if (c.kind == VAL_bool)
        return eval_expr(x, s, e->kid[c.u.b ? 1 : 2]);
    if (c.kind != VAL_tensor && c.kind != VAL_extent && c.kind != VAL_step) {
        bool b;
        val_as_bool(x, &c, e->kid[0]->span, "a condition", &b);
        return val_poison();
    }
    Val a = eval_expr(x, s, e->kid[1]), b = eval_expr(x, s, e->kid[2]);
    return select_values(x, c, a, b, e->span);
}

/* and, or: the right side is not looked at when the left one decides. */
static Val eval_binary(Expander *x, Scope *s, const Expr *e)
{
    Val a = eval_expr(x, s, e->kid[0]);
    if (a.kind == VAL_bool && (e->op == BIN_and || e->op == BIN_or) && a.u.b == (e->op == BIN_or))
        return a;
    Val b = eval_expr(x, s, e->kid[1]);
    return binary_values(x, e->op, a, b, e->span);
}

static Val eval_list(Expander *x, Scope *s, const Expr *e, ValKind kind)
{
    Val *v = NEW_ARRAY(x->a, Val, e->args.n + 1);
    bool bad = false;
    for (int i = 0; i < e->args.n; i++) {
        v[i] = eval_expr(x, s, e->args.at[i].value);
        bad = bad || v[i].kind == VAL_poison;
    }
    return bad ? val_poison() : val_list(x->a, kind, v, e->args.n, e->span);
}

static Val eval_dict(Expander *x, Scope *s, const Expr *e)
{
    Val out = {.kind = VAL_dict, .span = e->span};
    out.u.dict.at = NEW_ARRAY(x->a, DictItem, e->args.n + 1);
    bool bad = false;
    for (int i = 0; i < e->args.n; i++) {
        const Arg *a = &e->args.at[i];
        DictItem *item = &out.u.dict.at[out.u.dict.n++];
        item->key = a->name ? a->name : a->key && a->key->text ? a->key->text : "";
        item->span = a->name ? a->name_span : a->value->span;
        item->value = NEW(x->a, Val);
        *item->value = eval_expr(x, s, a->value);
        bad = bad || item->value->kind == VAL_poison;
    }
    return bad ? val_poison() : out;
}

static Val index_list(Expander *x, Scope *s, const Val *v, const Expr *e)
{
    int64_t i, lo = 0, hi = v->u.list.n;
    if (e->args.n != 1)
        return fail(x, e->span, "a list takes one index, found %d", e->args.n);
    const Expr *a = e->args.at[0].value;
    if (a->kind == EX_range) {
        if ((a->kid[0] && !eval_int(x, s, a->kid[0], "an index", &lo)) ||
            (a->kid[1] && !eval_int(x, s, a->kid[1], "an index", &hi)))
            return val_poison();
        if (a->kid[2])
            return unsupported(x, a->span, "a step in a list's slice");
        lo += lo < 0 ? v->u.list.n : 0;
        hi += hi < 0 ? v->u.list.n : 0;
        lo = lo < 0 ? 0 : lo > v->u.list.n ? v->u.list.n : lo;
        hi = hi < lo ? lo : hi > v->u.list.n ? v->u.list.n : hi;
        return val_list(x->a, v->kind, v->u.list.at + lo, (int)(hi - lo), e->span);
    }
    Val k = eval_expr(x, s, a);
    if (k.kind == VAL_tensor) { /* a table of numbers, looked up by a tensor */
        Node *n = val_to_tensor(x, v, e->kid[0]->span);
        return n ? index_tensor(x, s, val_tensor(n, v->span), e) : val_poison();
    }
    if (!val_as_int(x, &k, a->span, "an index", &i))
        return val_poison();
    if (i < -v->u.list.n || i >= v->u.list.n)
        return fail(x, a->span, "index %lld is outside of a list of %d", (long long)i, v->u.list.n);
    return v->u.list.at[i < 0 ? i + v->u.list.n : i];
}

static Val eval_index(Expander *x, Scope *s, const Expr *e)
{
    const Expr *base = e->kid[0];
    if (base->kind == EX_name && e->args.n == 1 && e->args.at[0].value->kind != EX_range &&
        x->frame && (x->frame->cell || x->frame->hooks)) {
        Val out;
        if (read_in_time(x, s, base, e->args.at[0].value, e->span, &out))
            return out;
    }
    Val v = eval_expr(x, s, base);
    switch (v.kind) {
    case VAL_poison:
        return v;
    case VAL_list:
    case VAL_tuple:
        return index_list(x, s, &v, e);
    case VAL_dict:
        if (e->args.n == 1) {
            Val k = eval_expr(x, s, e->args.at[0].value);
            const char *name = val_name(&k);
            for (int i = 0; name && i < v.u.dict.n; i++)
                if (!strcmp(v.u.dict.at[i].key, name))
                    return *v.u.dict.at[i].value;
            return fail(x, e->span, "the dictionary has no such key");
        }
        break;
    case VAL_tensor:
        return index_tensor(x, s, v, e);
    default:
        break;
    }
    Node *n = val_to_tensor(x, &v, base->span);
    return n ? index_tensor(x, s, val_tensor(n, v.span), e) : val_poison();
}

static Val eval_once(Expander *x, Scope *s, const Expr *e)
{
    switch (e->kind) {
    case EX_error:
        return val_poison();
    case EX_int:
        return val_int(e->integer, e->span);
    case EX_float:
        return val_number(e->number, e->span);
    case EX_string:
        return val_string(e->text, e->span);
    case EX_name:
        return eval_name(x, s, e);
    case EX_attr:
        return eval_attr(x, s, e);
    case EX_call:
        return eval_call(x, s, e);
    case EX_index:
        return eval_index(x, s, e);
    case EX_range:
        return fail(x, e->span, "a range a:b stands only in an index");
    case EX_unary:
        return unary_value(x, e->op, eval_expr(x, s, e->kid[0]), e->span);
    case EX_binary:
        return eval_binary(x, s, e);
    case EX_arrow:
        return eval_arrow(x, s, e);
    case EX_if:
        return eval_if(x, s, e);
    case EX_list:
        return eval_list(x, s, e, VAL_list);
    case EX_tuple:
        return eval_list(x, s, e, VAL_tuple);
    case EX_dict:
        return eval_dict(x, s, e);
    }
    return val_poison();
}

Val eval_expr(Expander *x, Scope *s, const Expr *e)
{
    if (x->expr_depth >= NEST_MOST) {
        if (!x->too_deep)
            unsupported(x, e->span, "expressions and calls nest more than %d deep", NEST_MOST);
        x->too_deep = true;
        return val_poison();
    }
    x->expr_depth++;
    Val v = eval_once(x, s, e);
    x->expr_depth--;
    return v;
}

Val eval_expr_as(Expander *x, Scope *s, const Expr *e, unsigned kinds)
{
    unsigned before = x->prefer;
    x->prefer = kinds;
    Val v = eval_expr(x, s, e);
    x->prefer = before;
    return v;
}
