/* Compile-time values and scopes: constructors, names for messages. */
#include "sema/internal.h"

#include <string.h>

Val val_poison(void)
{
    return (Val){.kind = VAL_poison};
}

Val val_none(Span at)
{
    return (Val){.kind = VAL_none, .span = at};
}

Val val_bool(bool b, Span at)
{
    Val v = {.kind = VAL_bool, .span = at};
    v.u.b = b;
    return v;
}

Val val_int(int64_t i, Span at)
{
    Val v = {.kind = VAL_int, .span = at};
    v.u.i = i;
    return v;
}

Val val_number(double f, Span at)
{
    Val v = {.kind = VAL_number, .span = at};
    v.u.f = f;
    return v;
}

Val val_string(const char *s, Span at)
{
    Val v = {.kind = VAL_string, .span = at};
    v.u.text.s = s;
    return v;
}

Val val_tensor(Node *n, Span at)
{
    Val v = {.kind = VAL_tensor, .span = at};
    v.u.t.node = n;
    return v;
}

Val val_dim(Dim d, Span at)
{
    int64_t i;
    if (dim_const(d, &i))
        return val_int(i, at);
    Val v = {.kind = VAL_extent, .span = at};
    v.u.dim = d;
    return v;
}

Val val_list(Arena *a, ValKind list_or_tuple, const Val *at, int n, Span span)
{
    Val v = {.kind = list_or_tuple, .span = span};
    v.u.list.at = NEW_ARRAY(a, Val, n > 0 ? n : 1);
    v.u.list.n = n;
    if (n > 0)
        memcpy(v.u.list.at, at, sizeof(Val) * (size_t)n);
    return v;
}

bool val_is(const Val *v, ValKind k)
{
    return v->kind == k;
}

const char *val_name(const Val *v)
{
    switch (v->kind) {
    case VAL_string:
        return v->u.text.s;
    case VAL_definition:
        return v->u.def->name;
    case VAL_builtin:
        return builtin_name(v->u.builtin);
    case VAL_recipe:
        return v->u.recipe->def->name;
    default:
        return NULL;
    }
}

bool val_is_string(const Val *v, const char *s)
{
    const char *name = v->kind == VAL_recipe ? NULL : val_name(v);
    return name && !strcmp(name, s);
}

static char *tensor_words(Expander *x, const Node *n)
{
    if (n->shape.rank == (shape_has_batch(&n->shape) ? 1 : 0))
        return arena_strdup(x->a, "a number per sample");
    return arena_printf(x->a, "a tensor %s", shape_words(x, n));
}

char *val_text(Expander *x, const Val *v)
{
    Arena *a = x->a;
    switch (v->kind) {
    case VAL_none:
        return arena_strdup(a, "none");
    case VAL_bool:
        return arena_strdup(a, v->u.b ? "true" : "false");
    case VAL_int:
        return arena_printf(a, "the integer %lld", (long long)v->u.i);
    case VAL_number:
        return arena_printf(a, "the number %g", v->u.f);
    case VAL_string:
        return arena_printf(a, "\"%s\"", v->u.text.s);
    case VAL_dtype:
        return arena_printf(a, "the type %s", dtype_name(v->u.dtype));
    case VAL_extent:
        return arena_printf(a, "the length %s", dim_text(a, x->top, v->u.dim));
    case VAL_step:
        return arena_strdup(a, "the time t");
    case VAL_list:
        return arena_printf(a, "a list of %d", v->u.list.n);
    case VAL_tuple:
        return arena_printf(a, "%d values", v->u.list.n);
    case VAL_dict:
        return arena_strdup(a, "a dictionary");
    case VAL_tensor:
        return tensor_words(x, v->u.t.node);
    case VAL_state:
        return arena_strdup(a, "a state");
    case VAL_definition:
        return arena_printf(a, "the %s %s", def_kind_name(v->u.def->kind), v->u.def->name);
    case VAL_recipe:
        return arena_printf(a, "the %s %s", def_kind_name(v->u.recipe->def->kind),
                            v->u.recipe->def->name);
    case VAL_instance:
        return arena_printf(a, "the %s %s", def_kind_name(v->u.instance->recipe->def->kind),
                            v->u.instance->recipe->def->name);
    case VAL_builtin:
        return arena_printf(a, "the function %s", builtin_name(v->u.builtin));
    case VAL_later:
        return arena_printf(a, "the initializer %s", expr_text(a, v->u.later.value));
    case VAL_data:
        return arena_printf(a, "the data set %s", v->u.data.block->name);
    case VAL_poison:
    case NVAL:
        break;
    }
    return arena_strdup(a, "something wrong");
}

Scope *scope_new(Arena *a, Scope *parent, Definitions *defs)
{
    Scope *s = NEW(a, Scope);
    s->parent = parent;
    s->defs = defs;
    return s;
}

Binding *scope_find(const Scope *s, const char *name)
{
    for (; s; s = s->parent)
        for (int i = s->names.n - 1; i >= 0; i--)
            if (!strcmp(s->names.at[i].name, name))
                return &s->names.at[i];
    return NULL;
}

void scope_set(Arena *a, Scope *s, const char *name, Val v)
{
    for (int i = 0; i < s->names.n; i++)
        if (!strcmp(s->names.at[i].name, name)) {
            s->names.at[i].val = v;
            return;
        }
    Binding b = {name, v};
    list_push(a, &s->names, b);
}

/* ---- reading values as plain ones ---- */

/* The place of an argument is better than the place in the prelude that reads it. */
static Span place(const Expander *x, const Val *v, Span at)
{
    const Source *s = at.file > 0 ? &x->d->sources.at[at.file - 1] : NULL;
    const Source *o = v->span.file > 0 ? &x->d->sources.at[v->span.file - 1] : NULL;
    return s && s->is_prelude && o && !o->is_prelude ? v->span : at;
}

bool val_as_int(Expander *x, const Val *v, Span at, const char *what, int64_t *out)
{
    if (v->kind == VAL_int) {
        *out = v->u.i;
        return true;
    }
    if (v->kind == VAL_number && v->u.f == (double)(int64_t)v->u.f && v->u.f < 1e15 &&
        v->u.f > -1e15) {
        *out = (int64_t)v->u.f;
        return true;
    }
    if (unknown_name(x, v, at))
        return false;
    if (v->kind == VAL_number)
        fail(x, place(x, v, at), "%s must be a whole number, found %.10g", what, v->u.f);
    else if (v->kind != VAL_poison)
        fail(x, place(x, v, at), "%s must be a whole number, found %s", what, val_text(x, v));
    return false;
}

bool val_as_number(Expander *x, const Val *v, Span at, const char *what, double *out)
{
    if (v->kind == VAL_int || v->kind == VAL_number) {
        *out = v->kind == VAL_int ? (double)v->u.i : v->u.f;
        return true;
    }
    if (!unknown_name(x, v, at) && v->kind != VAL_poison)
        fail(x, place(x, v, at), "%s must be a number known when compiling, found %s", what,
             val_text(x, v));
    return false;
}

bool val_as_bool(Expander *x, const Val *v, Span at, const char *what, bool *out)
{
    if (v->kind == VAL_bool) {
        *out = v->u.b;
        return true;
    }
    if (!unknown_name(x, v, at) && v->kind != VAL_poison)
        fail(x, place(x, v, at), "%s must be true or false, known when compiling; found %s", what,
             val_text(x, v));
    return false;
}

bool eval_int(Expander *x, Scope *s, const Expr *e, const char *what, int64_t *out)
{
    Val v = eval_expr(x, s, e);
    return val_as_int(x, &v, e->span, what, out);
}

bool eval_number(Expander *x, Scope *s, const Expr *e, const char *what, double *out)
{
    Val v = eval_expr(x, s, e);
    return val_as_number(x, &v, e->span, what, out);
}

bool eval_bool(Expander *x, Scope *s, const Expr *e, const char *what, bool *out)
{
    Val v = eval_expr(x, s, e);
    return val_as_bool(x, &v, e->span, what, out);
}

/* ---- messages ---- */

Span blame(const Expander *x, Span at)
{
    if (at.file > 0 && !x->d->sources.at[at.file - 1].is_prelude)
        return at;
    return x->user.file ? x->user : at;
}

/* One mistake is one message: a second one at the very same place says nothing. */
static bool told_already(const Expander *x, Span at)
{
    for (int i = 0; at.file && i < x->d->messages.n; i++) {
        const Message *m = &x->d->messages.at[i];
        if ((m->kind == DIAG_error || m->kind == DIAG_unsupported) && m->span.file == at.file &&
            m->span.lo == at.lo && m->span.hi == at.hi)
            return true;
    }
    return false;
}

/* Inside a definition of the user's: where it was called. */
static void note_call(Expander *x, Span at)
{
    const Frame *f = x->frame;
    if (f && f->def && x->call.file && !f->def->is_prelude && x->call.lo != at.lo)
        note_at(x->d, x->call, "in this call of %s", f->def->name);
}

Val fail(Expander *x, Span at, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    const char *text = arena_vprintf(x->a, format, ap);
    va_end(ap);
    Span where = blame(x, at);
    x->muted = told_already(x, where);
    if (!x->muted) {
        error_at(x->d, where, "%s", text);
        note_call(x, where);
    }
    return val_poison();
}

Val unsupported(Expander *x, Span at, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    const char *text = arena_vprintf(x->a, format, ap);
    va_end(ap);
    Span where = blame(x, at);
    x->muted = told_already(x, where);
    if (!x->muted) {
        unsupported_at(x->d, where, "%s", text);
        note_call(x, where);
    }
    return val_poison();
}

void note(Expander *x, Span at, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    const char *text = arena_vprintf(x->a, format, ap);
    va_end(ap);
    if (!x->muted)
        note_at(x->d, at, "%s", text);
}

bool unknown_name(Expander *x, const Val *v, Span at)
{
    if (v->kind != VAL_string || !v->u.text.bare)
        return false;
    const char *near = v->u.text.near;
    if (!strcmp(v->u.text.s, "output")) { /* a keyword only before a name */
        fail(x, v->span, "after `output` a name is needed: write y = ... and output y");
        return true;
    }
    fail(x, v->span.file ? v->span : at, "unknown name '%s'%s%s%s", v->u.text.s,
         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return true;
}
