/* Cells become scans.
 *
 * A cell's body is expanded once, into the body graph of a scan. Its state
 * h is read at t-k: for each k a carry, found as the body is read. A past input
 * x[t-k] is a carry as well. What belongs to no step (parameters, tensors from
 * around) comes in as constants, by import_node.
 *
 *     around:  init of carries   sequences x[N, T, ...]    constants
 *                  |                    |                      |
 *     body:     h[t-1], h[t-2]       x[N, ...]                 W     -> h[t], h[t-1]; output
 *
 * A cell called in a cell runs in the same body, its states joining the loop's. */
#include "sema/cell.h"

#include <string.h>

/* ---- one step ---- */

static Frame *enter_cell(Expander *x, Instance *self, Call *c, Loop *l, Span at)
{
    const Definition *d = self->recipe->def;
    Frame *f = frame_enter(x, d, d->stmt, d->kind, scope_new(x->a, self->scope, d->defs), self, at);
    if (!f)
        return NULL;
    f->in = c->in;
    f->nin = c->n;
    f->in_decl = c->decl;
    f->cell = NEW(x->a, struct CellState);
    f->cell->loop = l;
    f->cell->self = self;
    for (int i = 0; i < c->n; i++) {
        if (c->is_static[i] || c->in[i].kind != VAL_tensor)
            continue;
        Node *n = val_to_tensor(x, &c->in[i], at);
        if (!n || !shape_has_batch(&n->shape))
            continue;
        State st = {.name = c->decl[i]->name,
                    .decl = c->decl[i]->span,
                    .is_input = true,
                    .is_defined = true,
                    .shape = n->shape,
                    .dtype = n->dtype,
                    .now = n};
        list_push(x->a, &f->cell->states, st);
    }
    return f;
}

static Node *masked(Expander *x, Node *mask, Node *now, Node *old)
{
    Node *in[3] = {mask, now, old};
    return mask ? node_new(x->g, OP_select, now->span, in, 3, NULL, 0) : now;
}

/* Gives every carry of the frame's states its next value. */
static bool finish_states(Expander *x, Frame *f)
{
    Loop *l = f->cell->loop;
    for (int i = 0; i < f->cell->states.n; i++) {
        State *st = &f->cell->states.at[i];
        if (!st->is_defined) {
            fail(x, st->decl, "the state %s is never defined; write %s[t] = ...", st->name,
                 st->name);
            return false;
        }
        if (!st->now)
            return false;
        for (int k = 0; k < st->ncarry; k++) {
            Node *now = k ? l->carries.at[st->carry[k - 1]].in : st->now;
            l->carries.at[st->carry[k]].next =
                masked(x, l->mask, now, l->carries.at[st->carry[k]].in);
        }
    }
    return true;
}

/* The cell's output values at this step, as row tensors of the body. */
static bool step_outputs(Expander *x, Frame *f, Span at, Node **y, int *n)
{
    *n = 0;
    if (f->failed)
        return false;
    if (!f->outputs.n) {
        fail(x, f->def->is_prelude ? at : f->stmt->span,
             "the cell '%s' has no output; write "
             "output h[t]",
             f->def->name);
        return false;
    }
    for (int i = 0; i < f->outputs.n; i++) {
        const Val *v = &f->outputs.at[i];
        int parts = v->kind == VAL_tuple || v->kind == VAL_list ? v->u.list.n : 1;
        for (int k = 0; k < parts; k++) {
            if (*n == OUTPUTS_MOST) {
                unsupported(x, f->output_spans.at[i], "a cell with more than %d outputs",
                            OUTPUTS_MOST);
                return false;
            }
            Node *o = val_to_tensor(x, parts > 1 || v->kind != VAL_tensor ? &v->u.list.at[k] : v,
                                    f->output_spans.at[i]);
            if (!o)
                return false;
            if (o->dtype == DT_f64 && o->shape.rank == 0)
                o = to_real(x, o);
            if (!shape_has_batch(&o->shape))
                o = make_broadcast(x->g, o, with_batch(o->shape));
            y[(*n)++] = o;
        }
    }
    return true;
}

static Val values_of(Expander *x, Node *const *n, int count, Span at)
{
    Val v[VALUES_MOST];
    for (int i = 0; i < count; i++)
        v[i] = val_tensor(n[i], at);
    return count == 1 ? v[0] : val_list(x->a, VAL_tuple, v, count, at);
}

Val step_cell(Expander *x, Instance *self, Call *c, Span at)
{
    const Recipe *r = self->recipe;
    if (r->rnn.return_sequences || r->rnn.go_backwards || r->rnn.stateful)
        return fail(x, at,
                    "a cell called in a cell makes one step; return_sequences, go_backwards "
                    "and stateful are for RNN(%s)",
                    r->def->name);
    if (c->initial_state.kind != VAL_poison)
        return unsupported(x, at, "initial_state for a cell inside a cell");
    Frame *f = enter_cell(x, self, c, x->loop, at);
    if (!f)
        return val_poison();
    frame_run(x, f, (const Stmt *const *)f->stmt->body.at, f->stmt->body.n);
    Node *y[VALUES_MOST];
    int n;
    Val out = val_poison();
    if (step_outputs(x, f, at, y, &n) && finish_states(x, f)) {
        for (int i = 0; r->rnn.return_state && i < f->cell->states.n; i++)
            if (!f->cell->states.at[i].is_input)
                y[n++] = f->cell->states.at[i].now;
        out = values_of(x, y, n, at);
    }
    frame_leave(x, f);
    return out;
}

/* ---- the loop ---- */

static Node *reversed(Expander *x, Node *n, int axis)
{
    Dim last;
    dim_affine(n->shape.d[axis], 1, -1, 1, &last);
    Node *r = make_slice(x->g, n, axis, last, n->shape.d[axis], -1);
    r->span = x->user;
    return r;
}

/* A length that is called None, as Keras writes the batch. */
static bool is_none(Expander *x, Dim d)
{
    return !strcmp(dim_text(x->a, x->top, d), "None");
}

/* What to write when a tensor's rank does not suit a cell. */
static Val fail_sequence(Expander *x, const Instance *self, const Declarator *d, const Val *v,
                         Node *n, Span at)
{
    const char *cell = self->recipe->def->name, *have = shape_words(x, n);
    const Instance *from = v->u.t.from;
    int written = n->shape.rank - 1;
    if (d->has_dims && written == d->dims.n + 2 && dim_is(n->shape.d[1], 1)) {
        Shape s = without_axis(n->shape, 1);
        const char *want = shape_text(x->a, x->top, &s);
        const char *name = n->op == OP_input ? attr_str(n, ATTR_name) : NULL;
        if (name && attr_int(n, ATTR_role, NROLE) == ROLE_data)
            fail(x, at,
                 "%s wants [time, features], found %s; write `input %s%s`, or put "
                 "Reshape(%s) before it",
                 cell, have, name, want, want);
        else
            fail(x, at, "%s wants [time, features], found %s; put Reshape(%s) before it", cell,
                 have, want);
    } else if (written == 1 && from && from->recipe->def->kind == DEF_cell &&
               !from->recipe->rnn.return_sequences) {
        fail(x, at,
             "%s wants [time, features], found %s: the %s before it gives its last output "
             "only; add return_sequences=true to it",
             cell, have, from->recipe->def->name);
        note(x, blame(x, v->span), "this %s", from->recipe->def->name);
        return val_poison();
    } else if (d->has_dims && written == d->dims.n + 2 && is_none(x, n->shape.d[1])) {
        fail(x, at, "%s wants [time, features], found %s: the batch is never written, leave None "
             "out", cell, have);
    } else if (d->has_dims && written == d->dims.n + 2 && dim_is(n->shape.d[written], 1)) {
        Shape s = without_axis(n->shape, written);
        fail(x, at, "%s wants [time, features], found %s; put Reshape(%s) before it", cell, have,
             shape_text(x->a, x->top, &s));
    } else {
        fail(x, at, "%s wants [time, features], found %s", cell, have);
    }
    note_operand(x, v, blame(x, at), "the tensor");
    return val_poison();
}

/* Turns the inputs around the loop into the body's: sequences by step. */
static bool loop_inputs(Expander *x, Loop *l, const Instance *self, Call *c, Call *inner, Span at)
{
    bool first = true;
    *inner = *c;
    inner->in = NEW_ARRAY(x->a, Val, c->n + 1);
    for (int i = 0; i < c->n; i++) {
        inner->in[i] = c->in[i];
        if (c->is_static[i] || c->in[i].kind == VAL_none || c->in[i].kind == VAL_poison)
            continue;
        Node *n = val_to_tensor(x, &c->in[i], at);
        if (!n)
            return false;
        const Declarator *d = c->decl[i];
        if (!shape_has_batch(&n->shape) || n->shape.rank < 2 ||
            (d->has_dims && n->shape.rank != d->dims.n + 2)) {
            fail_sequence(x, self, d, &c->in[i], n, at);
            return false;
        }
        if (!first && !dim_equal(l->length, n->shape.d[1])) {
            fail(x, at, "the inputs of %s have different lengths: %s and %s",
                 self->recipe->def->name, dim_text(x->a, x->top, l->length),
                 dim_text(x->a, x->top, n->shape.d[1]));
            return false;
        }
        l->length = n->shape.d[1];
        if (n->dtype == DT_u8 || n->dtype == DT_i8 || n->dtype == DT_i16)
            n = make_cast(x->g, n, DT_i32);
        Node *mask = first ? c->in[i].u.t.mask : NULL;
        first = false;
        if (self->recipe->rnn.go_backwards) {
            n = reversed(x, n, 1);
            mask = mask ? reversed(x, mask, 1) : NULL;
        }
        Taken s = {n, graph_input(l->body, ROLE_body, d->name, n->dtype, without_axis(n->shape, 1),
                                  c->in[i].span)};
        s.in->name = d->name;
        list_push(x->a, &l->seqs, s);
        inner->in[i] = val_tensor(s.in, c->in[i].span);
        if (mask) {
            Taken m = {mask, graph_input(l->body, ROLE_body, "mask", DT_bool,
                                         shape_of(1, dim_sym(SYM_N)), mask->span)};
            list_push(x->a, &l->seqs, m);
            l->mask = m.in;
        }
    }
    if (first)
        fail(x, at, "%s has no input that moves with time", self->recipe->def->name);
    return !first;
}

/* initial_state=[h, c] or the stateful memory as initial values. */
static bool set_initial(Expander *x, Frame *f, const Call *c, Param **memory, Span at)
{
    const Recipe *r = f->self->recipe;
    const Val *given = c->initial_state.kind == VAL_poison || c->initial_state.kind == VAL_none
                           ? NULL
                           : &c->initial_state;
    bool list = given && (given->kind == VAL_list || given->kind == VAL_tuple);
    int nstate = 0, have = !given ? 0 : list ? given->u.list.n : 1, k = 0;
    for (int i = 0; i < f->cell->states.n; i++)
        nstate += !f->cell->states.at[i].is_input;
    if (given && have != nstate) {
        fail(x, at, "%s has %d %s, initial_state gives %d", r->def->name, nstate,
             nstate == 1 ? "state" : "states", have);
        return false;
    }
    for (int i = 0; i < f->cell->states.n; i++) {
        State *st = &f->cell->states.at[i];
        if (st->is_input)
            continue;
        if (given) {
            const Val *v = list ? &given->u.list.at[k] : given;
            Node *n = val_to_tensor(x, v, at);
            if (!n || !(n = broadcast_to(x, to_real(x, n), st->shape, at,
                                         arena_printf(x->a, "the initial state %s", st->name))))
                return false;
            st->init = n;
        } else if (r->rnn.stateful && x->state) {
            const char *name = path_join(x->a, f->self->path, st->name);
            memory[k] = param_make(x, ROLE_state, name, st->shape, st->dtype, st->decl);
            if (!memory[k])
                return false;
            st->init = param_node(x, memory[k]);
        }
        k++;
    }
    return true;
}

/* Makes the initial values known to carries that were read before. */
static void late_initial(Frame *f)
{
    for (int i = 0; i < f->cell->states.n; i++) {
        State *st = &f->cell->states.at[i];
        for (int k = 0; st->init && k < st->ncarry; k++)
            f->cell->loop->carries.at[st->carry[k]].around = st->init;
    }
}

typedef struct {
    Node *y[VALUES_MOST];
    int carry[VALUES_MOST], stack[VALUES_MOST]; /* index of the result: carry, or stack (else -1) */
    int n;
} Outputs;

static int final_state(const Frame *f, const Node *y)
{
    for (int i = 0; i < f->cell->states.n; i++)
        if (!f->cell->states.at[i].is_input && f->cell->states.at[i].now == y)
            return i;
    return -1;
}

/* What the loop keeps of output y: a stack, a state's carry, or a carry of its own. */
static void keep_output(Expander *x, Frame *f, Outputs *o, int i, Node **stacks, int *nstack)
{
    Loop *l = f->cell->loop;
    const Recipe *r = f->self->recipe;
    Node *y = o->y[i];
    int st = final_state(f, y);
    o->carry[i] = o->stack[i] = -1;
    if (st >= 0 && !r->rnn.return_sequences) {
        state_carry(x, l, &f->cell->states.at[st], 1);
        o->carry[i] = f->cell->states.at[st].carry[0];
        return;
    }
    bool repeats = l->mask && !r->rnn.zero_output_for_mask;
    if (!r->rnn.return_sequences || repeats) {
        Place p = go_around(x, l);
        Node *zero = zeros_node(x, y->shape, y->dtype);
        zero->span = x->user;
        go_back(x, p);
        o->carry[i] = add_carry(x, l, "output", zero);
        y = masked(x, l->mask, y, l->carries.at[o->carry[i]].in);
        l->carries.at[o->carry[i]].next = y;
    } else if (l->mask) {
        Node *in[3] = {l->mask, y, zeros_node(x, y->shape, y->dtype)};
        y = node_new(x->g, OP_select, y->span, in, 3, NULL, 0);
    }
    if (r->rnn.return_sequences) {
        o->stack[i] = *nstack;
        stacks[(*nstack)++] = y;
    }
}

/* The body's inputs in the order that a scan wants. */
static void order_inputs(Expander *x, Loop *l)
{
    Graph *b = l->body;
    b->inputs.n = 0;
    for (int i = 0; i < l->carries.n; i++)
        list_push(b->arena, &b->inputs, l->carries.at[i].in);
    for (int i = 0; i < l->seqs.n; i++)
        list_push(b->arena, &b->inputs, l->seqs.at[i].in);
    for (int i = 0; i < l->consts.n; i++)
        list_push(b->arena, &b->inputs, l->consts.at[i].in);
    (void)x;
}

static Node *close_loop(Expander *x, Loop *l, Node *const *stacks, int nstack)
{
    order_inputs(x, l);
    Node **init = NEW_ARRAY(x->a, Node *, l->carries.n + 1);
    Node **seq = NEW_ARRAY(x->a, Node *, l->seqs.n + 1);
    Node **con = NEW_ARRAY(x->a, Node *, l->consts.n + 1);
    for (int i = 0; i < l->carries.n; i++) {
        init[i] = l->carries.at[i].around;
        graph_output(l->body, ROLE_body, l->carries.at[i].in->name, l->carries.at[i].next);
    }
    for (int i = 0; i < l->seqs.n; i++)
        seq[i] = l->seqs.at[i].around;
    for (int i = 0; i < l->consts.n; i++)
        con[i] = l->consts.at[i].around;
    for (int i = 0; i < nstack; i++)
        graph_output(l->body, ROLE_body, "output", stacks[i]);
    return make_scan(l->around, x->user, l->body, init, l->carries.n, seq, l->seqs.n, con,
                     l->consts.n, l->length, false);
}

/* The results in the order that the language gives them: outputs, then states. */
static Val loop_results(Expander *x, Frame *f, Node *scan, const Outputs *o, Param *const *memory,
                        Node *mask, Span at)
{
    const Recipe *r = f->self->recipe;
    Loop *l = f->cell->loop;
    Node *out[VALUES_MOST];
    int n = 0, k = 0;
    for (int i = 0; i < o->n; i++)
        out[n++] =
            make_result(x->g, scan, o->stack[i] >= 0 ? l->carries.n + o->stack[i] : o->carry[i]);
    for (int i = 0; i < f->cell->states.n; i++) {
        const State *st = &f->cell->states.at[i];
        if (st->is_input)
            continue;
        if (r->rnn.return_state)
            out[n++] = make_result(x->g, scan, st->carry[0]);
        if (memory[k]) {
            BufferUpdate u = {memory[k], make_result(x->g, scan, st->carry[0])};
            list_push(x->a, &x->updates, u);
        }
        k++;
    }
    for (int i = 0; i < n; i++) {
        out[i]->span = x->user;
        out[i]->name = f->self->name;
    }
    Val v = values_of(x, out, n, at);
    Val *y = v.kind == VAL_tuple ? &v.u.list.at[0] : &v;
    if (r->rnn.return_sequences)
        y->u.t.mask = mask;
    return v;
}

static Val run_loop(Expander *x, Instance *self, Call *c, Call *inner, Loop *l, Span at)
{
    Frame *f = enter_cell(x, self, inner, l, at);
    if (!f)
        return val_poison();
    frame_run(x, f, (const Stmt *const *)f->stmt->body.at, f->stmt->body.n);
    Outputs o = {0};
    Param *memory[STATES_MOST] = {0};
    Node *stacks[VALUES_MOST], *mask = NULL, *scan = NULL;
    int nstack = 0;
    bool ok = step_outputs(x, f, at, o.y, &o.n);
    if (ok) {
        Place p = go_around(x, l);
        ok = set_initial(x, f, c, memory, at);
        go_back(x, p);
    }
    if (ok) {
        late_initial(f);
        for (int i = 0; i < o.n; i++)
            keep_output(x, f, &o, i, stacks, &nstack);
        for (int i = 0; i < f->cell->states.n; i++) {
            State *st = &f->cell->states.at[i];
            if (!st->is_input && st->is_defined && st->now &&
                (self->recipe->rnn.return_state || self->recipe->rnn.stateful))
                state_carry(x, l, st, 1);
        }
        ok = finish_states(x, f);
    }
    if (ok)
        scan = close_loop(x, l, stacks, nstack);
    go_back(x, (Place){l->around, l->outer});
    if (c->n && c->in[0].kind == VAL_tensor && !self->recipe->rnn.go_backwards)
        mask = c->in[0].u.t.mask;
    else if (l->mask && c->n && c->in[0].u.t.mask)
        mask = reversed(x, c->in[0].u.t.mask, 1);
    Val out = ok ? loop_results(x, f, scan, &o, memory, mask, at) : val_poison();
    frame_leave(x, f);
    return out;
}

Val run_cell(Expander *x, Instance *self, Call *c, Span at)
{
    Loop *l = NEW(x->a, Loop);
    Call inner;
    l->outer = x->loop;
    l->around = x->g;
    l->body = graph_new(x->g->arena, self->name);
    l->body->outer = x->g;
    if (!loop_inputs(x, l, self, c, &inner, at))
        return val_poison();
    x->g = l->body;
    x->loop = l;
    Val out = run_loop(x, self, c, &inner, l, at);
    go_back(x, (Place){l->around, l->outer});
    return out;
}
