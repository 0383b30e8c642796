/* Bodies: the statements of definitions and models, run one after the other.
 *
 * The statements of repeat, for and if share their body's scope, so that
 * `repeat 3 { y = y -> Dense(4) }` goes on with y. */
#include "sema/internal.h"

#include <string.h>

enum { DEPTH_MOST = 48, REPEAT_MOST = 100000 };

Frame *frame_enter(Expander *x, const Definition *def, const Stmt *stmt, DefKind kind, Scope *scope,
                   Instance *self, Span at)
{
    if (x->too_deep)
        return NULL;
    if (x->depth >= DEPTH_MOST) {
        unsupported(x, at,
                    "definitions call each other more than %d deep; '%s' may call itself "
                    "without end",
                    DEPTH_MOST,
                    def          ? def->name
                    : stmt->name ? stmt->name
                                 : "");
        x->too_deep = true;
        return NULL;
    }
    if (!work_left(x, at))
        return NULL;
    x->depth++;
    Frame *f = NEW(x->a, Frame);
    f->outer = x->frame;
    f->def = def;
    f->stmt = stmt;
    f->kind = kind;
    f->scope = scope;
    f->self = self;
    f->current = (Val){.kind = VAL_none};
    x->frame = f;
    if (def && x->state)
        note_used(x, def);
    return f;
}

void frame_leave(Expander *x, Frame *f)
{
    x->depth--;
    x->frame = f->outer;
    if (f->failed && f->outer)
        f->outer->failed = true;
}

/* ---- names ---- */

Val named_value(Expander *x, Val v, const char *name, Span at)
{
    if (v.kind == VAL_recipe &&
        (v.u.recipe->def->kind == DEF_layer || v.u.recipe->def->kind == DEF_cell)) {
        Instance *in = instance_new(x, v.u.recipe, at);
        v.kind = VAL_instance;
        v.u.instance = in;
    } else if (v.kind == VAL_tensor && !v.u.t.node->name && v.u.t.node->op != OP_input) {
        Span where = blame(x, at);
        if (where.lo == at.lo && where.file == at.file)
            v.u.t.node->name = name;
    }
    return v;
}

static void set_poison(Expander *x, Frame *f, const Stmt *s)
{
    for (int i = 0; i < s->targets.n; i++)
        if (s->targets.at[i]->kind == EX_name)
            scope_set(x->a, f->scope, s->targets.at[i]->text, val_poison());
    f->failed = true;
}

/* ---- sequential and named bodies ---- */

static void mix_error(Expander *x, Frame *f, Span bare, Span named)
{
    if (f->mixed)
        return;
    f->mixed = true;
    f->failed = true;
    fail(x, bare,
         "this layer stands alone, but other tensors here have names; name its result, "
         "or leave all names out");
    note(x, blame(x, named), "a tensor with a name");
}

static void mark_bare(Expander *x, Frame *f, Span at)
{
    if (!f->first_bare.file)
        f->first_bare = at;
    if (f->first_named.file)
        mix_error(x, f, at, f->first_named);
}

static void mark_named(Expander *x, Frame *f, Span at)
{
    if (!f->first_named.file)
        f->first_named = at;
    if (f->first_bare.file)
        mix_error(x, f, f->first_bare, at);
}

static bool holds_tensor(const Val *v)
{
    return v->kind == VAL_tensor ||
           (v->kind == VAL_tuple && v->u.list.n && v->u.list.at[0].kind == VAL_tensor);
}

/* ---- statements ---- */

static bool assign_one(Expander *x, Frame *f, const Expr *target, Val v, Span at)
{
    if (target->kind == EX_name) {
        const Binding *old = scope_find(f->scope, target->text);
        if (old && old->val.kind == VAL_state) {
            fail(x, target->span, "'%s' is a state: its next value is written %s[t] = ...",
                 target->text, target->text);
            return false;
        }
        scope_set(x->a, f->scope, target->text, named_value(x, v, target->text, at));
        return v.kind != VAL_poison;
    }
    if (target->kind == EX_index)
        return define_in_time(x, f, target, v, at);
    fail(x, target->span, "only a name or a state h[t] can be assigned to");
    return false;
}

static bool unpack(Expander *x, Frame *f, const Stmt *s, const Val *v)
{
    if ((v->kind != VAL_tuple && v->kind != VAL_list) || v->u.list.n != s->targets.n) {
        bool one = v->kind != VAL_tuple && v->kind != VAL_list;
        fail(x, s->span, "%d names for %s", s->targets.n,
             one ? val_text(x, v) : arena_printf(x->a, "%d values", v->u.list.n));
        return false;
    }
    bool ok = true;
    for (int i = 0; i < s->targets.n; i++)
        ok = assign_one(x, f, s->targets.at[i], v->u.list.at[i], s->value->span) && ok;
    return ok;
}

static bool run_assign(Expander *x, Frame *f, const Stmt *s, const Expr *value)
{
    Val v = eval_expr(x, f->scope, value);
    if (v.kind == VAL_poison) {
        poison_targets(x, f, s);
        set_poison(x, f, s);
        return false;
    }
    if (v.kind == VAL_string && v.u.text.bare && unknown_name(x, &v, value->span)) {
        set_poison(x, f, s);
        return false;
    }
    if (holds_tensor(&v))
        mark_named(x, f, s->span);
    bool ok = s->targets.n == 1 ? assign_one(x, f, s->targets.at[0], v, value->span)
                                : unpack(x, f, s, &v);
    if (!ok) {
        poison_targets(x, f, s);
        set_poison(x, f, s);
    }
    return ok;
}

static bool is_layer_value(const Val *v)
{
    return v->kind == VAL_recipe || v->kind == VAL_instance || v->kind == VAL_definition ||
           v->kind == VAL_builtin;
}

/* A bare layer: takes the tensor so far. */
static bool run_bare(Expander *x, Frame *f, const Stmt *s)
{
    Val v = eval_expr(x, f->scope, s->value);
    if (v.kind == VAL_poison) {
        f->current = v;
        return false;
    }
    if (v.kind == VAL_none)
        return true;
    if (!is_layer_value(&v)) {
        if (v.kind == VAL_string && v.u.text.bare)
            call_value(x, &v, NULL, 0, s->value->span);
        else
            fail(x, s->value->span,
                 "%s is computed and not used; give it a name or make it the "
                 "output",
                 val_text(x, &v));
        f->current = val_poison();
        return false;
    }
    mark_bare(x, f, s->span);
    if (f->mixed || f->current.kind == VAL_poison)
        return false;
    if (f->current.kind == VAL_none) {
        if (!f->failed)
            fail(x, s->span, "there is no tensor yet for %s; write `input name[sizes]` before it",
                 val_text(x, &v));
        f->current = val_poison();
        return false;
    }
    f->current = apply1(x, &v, 0, f->current, s->value->span);
    return f->current.kind != VAL_poison;
}

static bool run_output(Expander *x, Frame *f, const Stmt *s)
{
    Val v = eval_expr(x, f->scope, s->value), m = val_poison();
    if (v.kind == VAL_string && unknown_name(x, &v, s->value->span))
        return false;
    const char *name = NULL;
    if (s->targets.n) {
        name = s->targets.at[0]->text;
        if (s->targets.at[0]->kind != EX_name) {
            fail(x, s->targets.at[0]->span, "an output's name is a plain name");
            return false;
        }
    }
    if (s->mask) {
        m = eval_expr(x, f->scope, s->mask);
        if (m.kind == VAL_poison)
            return false;
    }
    if (v.kind == VAL_poison) {
        if (name)
            scope_set(x->a, f->scope, name, v);
        return false;
    }
    for (int i = 0; name && i < f->outputs.n; i++)
        if (f->output_names.at[i] && !strcmp(f->output_names.at[i], name)) {
            fail(x, s->span, "output '%s' is defined twice", name);
            note(x, blame(x, f->output_spans.at[i]), "it is defined here already");
            return false;
        }
    if (v.kind != VAL_tuple && v.kind != VAL_list &&
        (f->kind != DEF_function || v.kind == VAL_state)) {
        Node *n = val_to_tensor(x, &v, s->value->span);
        if (!n)
            return false;
        Val t = val_tensor(n, s->value->span);
        if (v.kind == VAL_tensor)
            t.u.t = v.u.t, t.u.t.node = n;
        v = t;
    }
    if (m.kind == VAL_tensor && v.kind == VAL_tensor)
        v.u.t.mask = m.u.t.node;
    if (m.kind == VAL_none && v.kind == VAL_tensor)
        v.u.t.mask = NULL;
    mark_named(x, f, s->span);
    if (name)
        scope_set(x->a, f->scope, name, named_value(x, v, name, s->value->span));
    list_push(x->a, &f->outputs, v);
    list_push(x->a, &f->output_names, name);
    list_push(x->a, &f->output_spans, s->span);
    return true;
}

static bool run_let(Expander *x, Frame *f, const Stmt *s)
{
    if (s->targets.n != 1 || s->targets.at[0]->kind != EX_name)
        return run_assign(x, f, s, s->value);
    const char *name = s->targets.at[0]->text;
    return run_assign(x, f, s, f->kind == DEF_model ? setting(x, name, s->value) : s->value);
}

static bool run_repeat(Expander *x, Frame *f, const Stmt *s)
{
    int64_t n;
    if (!eval_int(x, f->scope, s->value, "the number of repetitions", &n))
        return false;
    if (n < 0 || n > REPEAT_MOST) {
        fail(x, s->value->span, "the number of repetitions is %lld; it must be 0 to %d",
             (long long)n, REPEAT_MOST);
        return false;
    }
    bool ok = true;
    for (int64_t i = 0; i < n && ok; i++)
        ok = work_left(x, s->span) && frame_run(x, f, (const Stmt *const *)s->body.at, s->body.n);
    return ok;
}

static bool run_for(Expander *x, Frame *f, const Stmt *s)
{
    Val v = eval_expr(x, f->scope, s->value);
    if (v.kind == VAL_poison || unknown_name(x, &v, s->value->span))
        return false;
    if ((v.kind != VAL_list && v.kind != VAL_tuple) || s->targets.n < 1 || s->targets.n > 2) {
        fail(x, s->value->span, "for goes over a list, as in `for f in [32, 64]`; found %s",
             val_text(x, &v));
        return false;
    }
    bool ok = true;
    for (int i = 0; i < v.u.list.n && ok; i++) {
        int k = 0;
        if (s->targets.n == 2)
            scope_set(x->a, f->scope, s->targets.at[k++]->text, val_int(i, s->span));
        scope_set(x->a, f->scope, s->targets.at[k]->text, v.u.list.at[i]);
        ok = work_left(x, s->span) && frame_run(x, f, (const Stmt *const *)s->body.at, s->body.n);
    }
    return ok;
}

static bool run_if(Expander *x, Frame *f, const Stmt *s)
{
    bool c;
    if (!eval_bool(x, f->scope, s->value, "the condition of a statement", &c)) {
        f->current = f->current.kind == VAL_tensor ? val_poison() : f->current;
        return false;
    }
    return c ? frame_run(x, f, (const Stmt *const *)s->body.at, s->body.n)
             : frame_run(x, f, (const Stmt *const *)s->orelse.at, s->orelse.n);
}

static bool run_update(Expander *x, Frame *f, const Stmt *s)
{
    if (f->hooks && f->hooks->update && !s->targets.n)
        return f->hooks->update(x, f, s);
    if (!s->targets.n) {
        fail(x, s->span,
             "`update e` belongs to an optimizer; a buffer is updated by "
             "`update name = e`");
        return false;
    }
    return run_buffer_update(x, f, s);
}

static bool run_decl(Expander *x, Frame *f, const Stmt *s)
{
    bool ok = true;
    if (f->hooks && f->hooks->declare && (!strcmp(s->word, "slot") || !strcmp(s->word, "sum")))
        return f->hooks->declare(x, f, s);
    for (int i = 0; i < s->decls.n; i++) {
        const Declarator *d = &s->decls.at[i];
        bool good = run_declarator(x, f, s, d);
        if (!good && !scope_find(f->scope, d->name))
            scope_set(x->a, f->scope, d->name, val_poison());
        if (!good && !strcmp(s->word, "input")) {
            scope_set(x->a, f->scope, d->name, val_poison());
            f->current = val_poison();
        }
        ok = ok && good;
    }
    return ok;
}

static bool run_stmt(Expander *x, Frame *f, const Stmt *s)
{
    switch (s->kind) {
    case ST_error:
        return false;
    case ST_expr:
        return run_bare(x, f, s);
    case ST_assign:
        return run_assign(x, f, s, s->value);
    case ST_let:
        return run_let(x, f, s);
    case ST_decl:
        return run_decl(x, f, s);
    case ST_once:
        return run_once(x, f, s);
    case ST_output:
        return run_output(x, f, s);
    case ST_update:
        return run_update(x, f, s);
    case ST_gradient:
        return run_gradient(x, f, s);
    case ST_repeat:
        return run_repeat(x, f, s);
    case ST_for:
        return run_for(x, f, s);
    case ST_if:
        return run_if(x, f, s);
    case ST_import:
    case ST_def:
    case ST_block:
        break;
    }
    fail(x, s->span, "this belongs to the top of the file, outside of every block");
    return false;
}

bool frame_run(Expander *x, Frame *f, const Stmt *const *body, int n)
{
    bool ok = true;
    for (int i = 0; i < n; i++) {
        if (!work_left(x, body[i]->span))
            return !(f->failed = true);
        ok = run_stmt(x, f, body[i]) && ok;
    }
    if (!ok)
        f->failed = true;
    return ok;
}

bool assign_value(Expander *x, Frame *f, const Stmt *s, Val v)
{
    if (v.kind == VAL_poison) {
        set_poison(x, f, s);
        return false;
    }
    return s->targets.n == 1 ? assign_one(x, f, s->targets.at[0], v, s->value->span)
                             : unpack(x, f, s, &v);
}
