/* The states of a cell: h[t], h[t-k], x[t-1], `state`, `once`.
 *
 * Reading name[t-k] makes the carries of name[t-1] to name[t-k]; the first one's
 * next value is name[t], that of every other is the one before it. */
#include "sema/cell.h"

#include <string.h>

Shape with_batch(Shape s)
{
    memmove(s.d + 1, s.d, sizeof(Dim) * (size_t)s.rank);
    s.d[0] = dim_sym(SYM_N);
    s.rank++;
    return s;
}

Shape without_axis(Shape s, int axis)
{
    for (int i = axis; i + 1 < s.rank; i++)
        s.d[i] = s.d[i + 1];
    s.rank--;
    return s;
}

/* ---- going out of the loop and back ---- */

Place go_around(Expander *x, Loop *l)
{
    Place p = {x->g, x->loop};
    x->g = l->around;
    x->loop = l->outer;
    return p;
}

void go_back(Expander *x, Place p)
{
    x->g = p.g;
    x->loop = p.loop;
}

Node *zeros_node(Expander *x, Shape s, Dtype dt)
{
    return make_broadcast(x->g, make_const_of(x->g, dt, 0), s);
}

int add_carry(Expander *x, Loop *l, const char *name, Node *init)
{
    Carry c = {.around = init};
    c.in = graph_input(l->body, ROLE_body, name, init->dtype, init->shape, init->span);
    c.in->name = name;
    list_push(x->a, &l->carries, c);
    return l->carries.n - 1;
}

/* The carry of name[t-k], k >= 1, with those before it. */
Node *state_carry(Expander *x, Loop *l, State *st, int k)
{
    while (st->ncarry < k) {
        Place p = go_around(x, l);
        Node *init = st->init ? st->init : zeros_node(x, st->shape, st->dtype);
        init->span = init->span.file ? init->span : blame(x, st->decl);
        go_back(x, p);
        int delay = st->ncarry + 1;
        const char *name = arena_printf(x->a, "%s[t-%d]", st->name, delay);
        st->carry[st->ncarry++] = add_carry(x, l, name, init);
    }
    return l->carries.at[st->carry[k - 1]].in;
}

/* ---- time ---- */

Node *loop_time(Expander *x)
{
    Loop *l = x->loop;
    if (l->t)
        return l->t;
    Place p = go_around(x, l);
    Attr attr[3] = {attr_of_shape(ATTR_shape, shape_of(1, l->length)), attr_of_int(ATTR_axis, 0),
                    attr_of_int(ATTR_dtype, DT_i32)};
    Taken s = {node_new(x->g, OP_iota, x->user, NULL, 0, attr, 3), NULL};
    go_back(x, p);
    s.in = graph_input(l->body, ROLE_body, "index", DT_i32, (Shape){0}, x->user);
    list_push(x->a, &l->seqs, s);
    Node *in[2] = {s.in, make_const_of(l->body, DT_i32, 1)};
    l->t = node_new(l->body, OP_add, x->user, in, 2, NULL, 0);
    l->t->name = "t";
    return l->t;
}

Node *step_tensor(Expander *x, int back, Span at)
{
    Node *t = NULL;
    if (x->frame && x->frame->t)
        t = import_node(x, x->frame->t, at);
    else if (x->loop && x->g == x->loop->body)
        t = make_cast(x->g, loop_time(x), DT_f64);
    else
        fail(x, at, "t is not known here: it belongs to the step of a cell or an optimizer");
    if (!t || !back)
        return t;
    Node *in[2] = {t, make_const(x->g, back)};
    return node_new(x->g, OP_sub, blame(x, at), in, 2, NULL, 0);
}

/* ---- reading and defining states ---- */

static State *find_state(const Frame *f, const char *name)
{
    for (int i = 0; f->cell && i < f->cell->states.n; i++)
        if (!strcmp(f->cell->states.at[i].name, name))
            return &f->cell->states.at[i];
    return NULL;
}

const char *state_name(const Val *v)
{
    const Frame *f = v->u.state.frame;
    return f->cell ? f->cell->states.at[v->u.state.index].name : "state";
}

/* Where the body defines `name[t]`, for a note. */
static Span find_definition(const Stmt *const *body, int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        const Stmt *s = body[i];
        for (int k = 0; s->kind == ST_assign && k < s->targets.n; k++) {
            const Expr *e = s->targets.at[k];
            if (e->kind == EX_index && e->kid[0]->kind == EX_name && !strcmp(e->kid[0]->text, name))
                return e->span;
        }
        Span in = find_definition((const Stmt *const *)s->body.at, s->body.n, name);
        if (!in.file)
            in = find_definition((const Stmt *const *)s->orelse.at, s->orelse.n, name);
        if (in.file)
            return in;
    }
    return (Span){0};
}

static Val read_undefined(Expander *x, const State *st, Span at)
{
    const Stmt *body = x->frame->stmt;
    Span later = find_definition((const Stmt *const *)body->body.at, body->body.n, st->name);
    if (!later.file)
        return fail(x, at, "%s[t] is read before it is defined", st->name);
    fail(x, at, "%s[t] is read before it is defined; the last step's value is %s[t-1]", st->name,
         st->name);
    note(x, blame(x, later), "it is defined here");
    return val_poison();
}

static Val read_state(Expander *x, State *st, int back, Span at)
{
    if (back < 0)
        return fail(x, at, "%s[t+%d] lies in the future; a cell knows the present and the past",
                    st->name, -back);
    if (back > DELAY_MOST)
        return unsupported(x, at, "reading more than %d steps back", DELAY_MOST);
    if (back > 0)
        return val_tensor(state_carry(x, x->frame->cell->loop, st, back), st->decl);
    if (!st->is_defined)
        return read_undefined(x, st, at);
    return st->now ? val_tensor(st->now, st->defined) : val_poison();
}

bool read_in_time(Expander *x, Scope *s, const Expr *name, const Expr *index, Span at, Val *out)
{
    Frame *f = x->frame;
    int hook = f->hooks && f->hooks->find ? f->hooks->find(x, f, name->text) : -1;
    State *st = find_state(f, name->text);
    if (hook < 0 && !st)
        return false;
    Val k = eval_expr(x, s, index);
    if (k.kind == VAL_poison) {
        *out = k;
        return true;
    }
    if (k.kind != VAL_step) {
        if (st && st->is_input)
            return false;
        if (k.kind == VAL_tensor && x->loop) /* t minus a number beyond all limits */
            *out = fail(x, at, "'%s' is read at a fixed distance from now: %s[t-1] is the last "
                        "value, and %s[t-%d] the oldest", name->text, name->text, name->text,
                        DELAY_MOST);
        else
            *out = fail(x, at, "'%s' is read at a time: %s[t-1] is the last value", name->text,
                        name->text);
        return true;
    }
    if (hook >= 0)
        *out = k.u.back < 0 ? fail(x, at, "%s[t+%d] lies in the future", name->text, -k.u.back)
                            : f->hooks->read(x, f, hook, k.u.back, at);
    else
        *out = read_state(x, st, k.u.back, at);
    return true;
}

static bool set_state(Expander *x, State *st, const Val *v, Span target, Span at)
{
    if (st->is_defined) {
        fail(x, target, "%s[t] is defined twice", st->name);
        note(x, blame(x, st->defined), "it is defined here already");
        return false;
    }
    st->is_defined = true;
    st->defined = target;
    Node *n = val_to_tensor(x, v, at), *wide = NULL;
    if (!n)
        return false;
    n = make_cast(x->g, n, st->dtype);
    Shape joined;
    if (shape_broadcast(&n->shape, &st->shape, &joined) && shape_equal(&joined, &st->shape))
        wide = make_broadcast(x->g, n, st->shape);
    if (!wide) {
        fail(x, at, "the state %s is %s, but its new value is %s", st->name,
             shape_text(x->a, x->top, &st->shape), shape_words(x, n));
        note(x, blame(x, st->decl), "%s is declared here", st->name);
        return false;
    }
    st->now = wide;
    if (!wide->name)
        wide->name = arena_printf(x->a, "%s[t]", st->name);
    return true;
}

bool define_in_time(Expander *x, Frame *f, const Expr *target, Val v, Span at)
{
    const char *name = target->kid[0]->kind == EX_name ? target->kid[0]->text : NULL;
    int hook = name && f->hooks && f->hooks->find ? f->hooks->find(x, f, name) : -1;
    State *st = name ? find_state(f, name) : NULL;
    const Binding *known = name ? scope_find(f->scope, name) : NULL;
    if (hook < 0 && !st && known && known->val.kind == VAL_poison)
        return false; /* its declaration was reported */
    if (hook < 0 && (!st || st->is_input)) {
        fail(x, target->span, "'%s' is no state; declare it: state %s[size]", name ? name : "this",
             name ? name : "h");
        return false;
    }
    Val k = target->args.n == 1 && target->args.at[0].value->kind != EX_range
                ? eval_expr(x, f->scope, target->args.at[0].value)
                : val_none(at);
    if (k.kind == VAL_poison)
        return false;
    if (k.kind != VAL_step || k.u.back) {
        fail(x, target->span, "a state is defined for the present: %s[t] = ...", name);
        return false;
    }
    if (hook >= 0)
        return f->hooks->define(x, f, hook, v, at);
    return v.kind != VAL_poison && set_state(x, st, &v, target->span, at);
}

void poison_targets(Expander *x, Frame *f, const Stmt *s)
{
    (void)x;
    for (int i = 0; i < s->targets.n; i++) {
        const Expr *e = s->targets.at[i];
        const Expr *name = e->kind == EX_index ? e->kid[0] : e; /* h = ... is reported as well */
        State *st = name->kind == EX_name ? find_state(f, name->text) : NULL;
        if (st && !st->is_defined) {
            st->is_defined = true;
            st->defined = e->span;
        }
    }
}

/* ---- declarations ---- */

static void bind_state(Expander *x, Frame *f, const char *name, Span at)
{
    Val v = {.kind = VAL_state, .span = at};
    v.u.state.frame = f;
    v.u.state.index = f->cell->states.n - 1;
    scope_set(x->a, f->scope, name, v);
}

bool declare_state(Expander *x, Frame *f, const Declarator *d)
{
    if (f->cell->states.n >= STATES_MOST) {
        unsupported(x, d->span, "a cell with more than %d states and inputs", STATES_MOST);
        return false;
    }
    State st = {.name = d->name, .decl = d->span, .dtype = x->real};
    Shape s;
    if (!declared_shape(x, f->scope, d, &s))
        return false;
    if (d->dtype) {
        Dtype dt = dtype_by_name(d->dtype);
        if (dt == NDTYPE) {
            fail(x, d->dtype_span, "unknown type '%s'", d->dtype);
            return false;
        }
        st.dtype = dtype_is_float(dt) ? x->real : dt;
    }
    Place p = go_around(x, f->cell->loop);
    bool ok = true;
    if (d->init) {
        Val v = eval_expr(x, f->scope, d->init);
        Node *n = NULL;
        if (v.kind != VAL_poison && !d->has_dims && (n = val_to_tensor(x, &v, d->init->span))) {
            s = n->shape;
            if (shape_has_batch(&s))
                s = without_axis(s, 0);
        }
        st.shape = with_batch(s);
        st.init =
            v.kind == VAL_poison ? NULL : initial_value(x, v, st.shape, st.dtype, d->init->span);
        ok = st.init != NULL;
    }
    st.shape = with_batch(s);
    go_back(x, p);
    list_push(x->a, &f->cell->states, st);
    bind_state(x, f, d->name, d->span);
    return ok;
}

bool run_once(Expander *x, Frame *f, const Stmt *s)
{
    if (!f->cell)
        return assign_value(x, f, s, eval_expr(x, f->scope, s->value));
    Place p = go_around(x, f->cell->loop);
    Val v = eval_expr(x, f->scope, s->value);
    go_back(x, p);
    return assign_value(x, f, s, v);
}
