/* pass_stream: from the graph of whole sequences to that of one time step.
 *
 *   x[N, T, ...]            x[N, 1, ...]
 *   scan                    its body, once; carries are state in, state out
 *   its last carry          the carry after this step
 *   pad, window over time   window over [state of the last inputs | x]
 *   per-step operations     themselves, with the extent 1 along time
 *   the slice x[-1]         x
 *
 * Axes stay where they are, so that every operation keeps its attributes but for
 * the extent of time; stream_flow.c knows which axis that is. Each element is
 * computed by the operations of the whole-sequence graph in their order: exact. */
#include "opt/stream.h"

#include "opt/opt.h"
#include "opt/rewrite.h"

#include <string.h>

typedef struct {
    Flow *f;
    Graph *g, *s, *reset;
    Node **value;      /* by id in g: its newest step in s */
    Node **line;       /* by id: its past and its newest step, oldest first */
    Node ***carried;   /* by id of a scan that walks: its body's outputs */
    Node **initial;    /* by id in g: its copy in `reset` */
    Node **before;     /* by id in g: in `reset`, one step of what stands before t = 0 */
    Node *position;    /* i32: steps before this one */
} Step;

#define fail stream_fails

static const Span nowhere;

Node *stream_copy(Graph *to, const Node *n, Node *const *in)
{
    if (n->op != OP_scan) {
        Node *c = node_new(to, n->op, n->span, in, n->nin, n->attr, n->nattr);
        c->name = n->name;
        return c;
    }
    int ncarry = (int)attr_int(n, ATTR_ncarry, 0), nseq = (int)attr_int(n, ATTR_nseq, 0);
    Node *c = make_scan(to, n->span, graph_copy(to->arena, n->body), in, ncarry, in + ncarry, nseq,
                        in + ncarry + nseq, n->nin - ncarry - nseq,
                        attr_get(n, ATTR_length)->u.dim, attr_int(n, ATTR_reverse, 0));
    c->name = n->name;
    return c;
}

/* n with the extent of its axis changed where that is an attribute. */
static Node *copy_resized(Graph *to, const Node *n, Node *const *in, int axis, Dim extent)
{
    const Attr *shape = attr_get(n, ATTR_shape);
    if (!shape || axis < 0)
        return stream_copy(to, n, in);
    Attr attr[8];
    memcpy(attr, n->attr, sizeof *attr * (size_t)n->nattr);
    attr[shape - n->attr].u.shape.d[axis] = extent;
    Node *c = node_new(to, n->op, n->span, in, n->nin, attr, n->nattr);
    c->name = n->name;
    return c;
}

/* The label of time has the extent 1, wherever it was written. */
static Node *product_copy(Graph *to, const Node *n, Node *const *in, int axis)
{
    Contract c;
    contract_of(n, &c);
    if (axis < 0 || !c.written[axis])
        return stream_copy(to, n, in);
    c.written[axis] = 1;
    Attr attr[8];
    memcpy(attr, n->attr, sizeof *attr * (size_t)n->nattr);
    for (int i = 0; i < n->nattr; i++)
        if (attr[i].key == ATTR_spec)
            attr[i] = attr_of_str(ATTR_spec, contract_text(to->arena, &c));
    Node *made = node_new(to, n->op, n->span, in, n->nin, attr, n->nattr);
    made->name = n->name;
    return made;
}

/* ---- state ---- */

/* The carry h[t-1] of lstm is lstm/h, h[t-2] is lstm/h_2. */
static char *carry_name(const Step *p, const Node *scan, const char *carry)
{
    const char *open = strstr(carry, "[t-");
    char *name = arena_printf(p->s->arena, "%s/%.*s", scan->body->name,
                              (int)(open ? open - carry : (ptrdiff_t)strlen(carry)), carry);
    if (open && strcmp(open, "[t-1]") != 0)
        name = arena_printf(p->s->arena, "%s_%.*s", name, (int)strcspn(open + 3, "]"), open + 3);
    return name;
}

/* A new state that is `first` (a node of reset) before the first step. */
static Node *new_state(Step *p, const char *base, Node *first, Span at)
{
    const char *name = base;
    for (int k = 2; graph_find_input(p->s, ROLE_state, name); k++)
        name = arena_printf(p->s->arena, "%s.%d", base, k);
    graph_output(p->reset, ROLE_state, name, first);
    return graph_input(p->s, ROLE_state, name, first->dtype, first->shape, at);
}

static void next_state(Step *p, const Node *state, Node *next)
{
    graph_output(p->s, ROLE_state, attr_str(state, ATTR_name), next);
}

/* g's node n, which no input of the model reaches, in reset. */
static Node *initial_value(Step *p, Node *n)
{
    LIST(Node *) stack = {0};
    list_push(p->f->scratch, &stack, n);
    while (stack.n) {
        Node *top = stack.at[stack.n - 1];
        bool ready = true;
        for (int k = 0; k < top->nin; k++)
            if (!p->initial[top->in[k]->id]) {
                list_push(p->f->scratch, &stack, top->in[k]);
                ready = false;
            }
        if (!ready)
            continue;
        stack.n--;
        if (p->initial[top->id])
            continue;
        Node **in = NEW_ARRAY(p->f->scratch, Node *, top->nin + 1);
        for (int k = 0; k < top->nin; k++)
            in[k] = p->initial[top->in[k]->id];
        p->initial[top->id] =
            top->op == OP_input
                ? graph_input(p->reset, (Role)attr_int(top, ATTR_role, 0),
                              attr_str(top, ATTR_name), top->dtype, top->shape, top->span)
                : stream_copy(p->reset, top, in);
    }
    return p->initial[n->id];
}

static Node *zeros(Graph *g, Dtype dt, Shape s)
{
    return make_broadcast(g, make_const_of(g, dt, 0), s);
}

/* Steps before this one, as i32. */
static Node *position(Step *p)
{
    if (!p->position) {
        p->position = new_state(p, "position", make_const_of(p->reset, DT_i32, 0), nowhere);
        next_state(p, p->position,
                   node2(p->s, OP_add, p->position, make_const_of(p->s, DT_i32, 1)));
    }
    return p->position;
}

/* ---- what has no time of its own ---- */

/* n, which no sequence reaches, at the step with index t + shift along its axis of
 * all steps, where it has the extent 1 then; null where it differs from step to step. */
static Node *at_step(Step *p, Node *n, int axis, int64_t shift)
{
    Node *in[3] = {0};
    if (dim_is(n->shape.d[axis], 1))
        return p->value[n->id];
    if (n->op == OP_iota && attr_int(n, ATTR_axis, 0) == axis) {
        Shape s = n->shape, ones = {.rank = s.rank};
        for (int i = 0; i < s.rank; i++)
            ones.d[i] = dim_int(1);
        s.d[axis] = dim_int(1);
        Node *t = node2(p->s, OP_add, position(p), make_const_of(p->s, DT_i32, (double)shift));
        return make_broadcast(p->s, make_reshape(p->s, make_cast(p->s, t, n->dtype), ones), s);
    }
    bool view = n->op == OP_broadcast || n->op == OP_reshape || n->op == OP_transpose;
    if (op_info[n->op].kind != KIND_map && !view && n->op != OP_iota)
        return NULL;
    for (int k = 0; k < n->nin; k++) {
        int behind = stream_axis(n, k, axis);
        in[k] = behind < 0 ? p->value[n->in[k]->id] : at_step(p, n->in[k], behind, shift);
        if (!in[k] || (behind < 0 && n->op != OP_broadcast && view))
            return NULL;
    }
    return copy_resized(p->s, n, in, axis, dim_int(1));
}

static Node *need_at_step(Step *p, const Node *by, Node *n, int axis, int64_t shift)
{
    Node *now = at_step(p, n, axis, shift);
    if (!now)
        fail(p->f, n->span.file ? n : by, "there is a value of its own for each of %s steps here: "
             "a stream goes on after them", dim_text(p->f->scratch, p->g, n->shape.d[axis]));
    return now;
}

/* ---- the past ---- */

/* A padded sequence, or what is computed from one, before the first step of the model's
 * input: padding is zeros, operations work on what their operands have there. */
static Node *before_start(Step *p, Node *n)
{
    const Motion *m = &p->f->at[n->id];
    Shape s = n->shape;
    s.d[m->axis] = dim_int(1);
    if (p->before[n->id])
        return p->before[n->id];
    if (n->op == OP_pad && stream_source(p->f, n) != n) {
        if (p->f->at[stream_source(p->f, n)->id].shift)
            fail(p->f, n, "this pads what was computed from padding: a stream would need both");
        return p->before[n->id] = zeros(p->reset, n->dtype, s);
    }
    if (stream_source(p->f, n) != n)
        return p->before[n->id] = before_start(p, n->in[0]);
    Node **in = NEW_ARRAY(p->f->scratch, Node *, n->nin + 1);
    for (int k = 0; k < n->nin; k++) {
        const Motion *x = &p->f->at[n->in[k]->id];
        int behind = stream_axis(n, k, m->axis);
        if (x->varies && x->axis < 0)
            fail(p->f, n, "padding meets an input that a stream does not know before it begins");
        else if (x->axis < 0 && behind >= 0 && !dim_is(n->in[k]->shape.d[behind], 1))
            fail(p->f, n, "before this window stands padding with another value than zero: a "
                 "stream pads with zeros alone");
        if (p->f->failed)
            return NULL;
        in[k] = x->axis < 0 ? initial_value(p, n->in[k]) : before_start(p, n->in[k]);
        if (!in[k])
            return NULL;
        if (x->axis >= 0 && n->op == OP_contract) { /* as many as its window has */
            Shape w = in[k]->shape;
            w.d[x->axis] = dim_int(x->shift - m->shift - stream_delay(p->f, n, k) + 1);
            in[k] = make_broadcast(p->reset, in[k], w);
        }
    }
    return p->before[n->id] = n->op == OP_contract
                                  ? product_copy(p->reset, n, in, m->axis)
                                  : copy_resized(p->reset, n, in, m->axis, dim_int(1));
}

/* The past of a sequence before the first step, oldest first. */
static Node *first_past(Step *p, Node *source)
{
    const Motion *m = &p->f->at[source->id];
    Shape s = source->shape;
    int64_t padded = m->shift < m->depth ? m->shift : m->depth;
    s.d[m->axis] = dim_int(m->depth - padded);
    Node *none = m->depth > padded ? zeros(p->reset, source->dtype, s) : NULL;
    Node *one = padded ? before_start(p, source) : NULL;
    if (!one)
        return padded ? NULL : none;
    s.d[m->axis] = dim_int(padded);
    one = make_broadcast(p->reset, one, s);
    return none ? make_concat(p->reset, (Node *[]){none, one}, 2, m->axis) : one;
}

/* The steps of n before its newest, oldest first, and that one. */
static Node *line_of(Step *p, Node *source)
{
    const Motion *m = &p->f->at[source->id];
    Node *now = p->value[source->id];
    if (!m->depth || p->line[source->id])
        return m->depth ? p->line[source->id] : now;
    Node *first = first_past(p, source);
    if (!first)
        return NULL;
    const char *name = source->name ? source->name : op_info[source->op].name;
    Node *past = new_state(p, arena_printf(p->s->arena, "%s/past", name), first, source->span);
    Node *line = make_concat(p->s, (Node *[]){past, now}, 2, m->axis);
    next_state(p, past, make_slice(p->s, line, m->axis, dim_int(1), dim_int(m->depth), 1));
    return p->line[source->id] = line;
}

/* `size` steps of n, the last of them `delay` before its newest. */
static Node *past_of(Step *p, Node *n, int64_t delay, int64_t size)
{
    if (!delay && size == 1)
        return p->value[n->id];
    Node *source = stream_source(p->f, n), *line = line_of(p, source);
    const Motion *m = &p->f->at[source->id];
    if (!line || size == m->depth + 1)
        return line;
    return make_slice(p->s, line, m->axis, dim_int(m->depth + 1 - delay - size), dim_int(size), 1);
}

/* ---- loops ---- */

/* The carry that is kept in a state the model has itself (stateful). */
static bool is_own_state(const Step *p, Node *scan, int i)
{
    const Node *init = scan->in[i];
    if (init->op != OP_input || attr_int(init, ATTR_role, NROLE) != ROLE_state)
        return false;
    const Node *next = graph_find_output(p->g, ROLE_state, attr_str(init, ATTR_name));
    return next && next->op == OP_result && next->in[0] == scan &&
           attr_int(next, ATTR_index, -1) == i;
}

static Node *body_input(Step *p, Node *scan, int i, int ncarry, int nseq)
{
    Node *outer = scan->in[i], *inner = scan->body->inputs.at[i];
    if (i >= ncarry + nseq)
        return p->value[outer->id];
    if (i < ncarry)
        return is_own_state(p, scan, i)
                   ? p->value[outer->id]
                   : new_state(p, carry_name(p, scan, attr_str(inner, ATTR_name)),
                               initial_value(p, outer), scan->span);
    const Motion *m = &p->f->at[outer->id];
    Node *x = m->axis >= 0
                  ? past_of(p, outer, m->shift, 1)
                  : need_at_step(p, scan, outer, shape_has_batch(&outer->shape), 0);
    return x ? make_reshape(p->s, x, inner->shape) : NULL;
}

static void run_body(Step *p, Node *scan)
{
    Graph *body = scan->body;
    int ncarry = (int)attr_int(scan, ATTR_ncarry, 0), nseq = (int)attr_int(scan, ATTR_nseq, 0);
    Node **map = NEW_ARRAY(p->f->scratch, Node *, body->nodes.n);
    Node **out = NEW_ARRAY(p->f->scratch, Node *, body->outputs.n);
    for (int i = 0; i < body->inputs.n; i++) {
        map[body->inputs.at[i]->id] = body_input(p, scan, i, ncarry, nseq);
        if (p->f->failed)
            return;
    }
    for (int i = 0; i < body->nodes.n; i++) {
        Node *n = body->nodes.at[i];
        Node **in = NEW_ARRAY(p->f->scratch, Node *, n->nin + 1);
        for (int k = 0; k < n->nin; k++)
            in[k] = map[n->in[k]->id];
        if (n->op != OP_input)
            map[i] = stream_copy(p->s, n, in);
    }
    for (int i = 0; i < body->outputs.n; i++) {
        out[i] = map[body->outputs.at[i].node->id];
        if (i < ncarry && !is_own_state(p, scan, i))
            next_state(p, map[body->inputs.at[i]->id], out[i]);
    }
    p->carried[scan->id] = out;
}

/* ---- one node ---- */

static Node *result_value(Step *p, Node *n)
{
    Node *scan = n->in[0];
    int i = (int)attr_int(n, ATTR_index, 0);
    if (!p->f->at[scan->id].walks)
        return stream_copy(p->s, n, &p->value[scan->id]);
    Node *out = p->carried[scan->id][i];
    int axis = p->f->at[n->id].axis;
    if (axis < 0)
        return out;
    Shape s = n->shape;
    s.d[axis] = dim_int(1);
    return make_reshape(p->s, out, s);
}

/* Operand k of n as the step reads it. */
static Node *operand(Step *p, Node *n, int k)
{
    const Motion *m = &p->f->at[n->id];
    Node *x = n->in[k];
    if (p->f->at[x->id].axis >= 0) {
        int64_t delay = stream_delay(p->f, n, k), all = p->f->at[x->id].shift - m->shift;
        return past_of(p, x, delay, all - delay + 1);
    }
    int behind = m->axis < 0 ? -1 : stream_axis(n, k, m->axis);
    return behind < 0 ? p->value[x->id] : need_at_step(p, n, x, behind, m->shift);
}

static Node *input_value(Step *p, Node *n)
{
    Shape s = n->shape;
    if (p->f->at[n->id].axis >= 0)
        s.d[p->f->at[n->id].axis] = dim_int(1);
    return graph_input(p->s, (Role)attr_int(n, ATTR_role, 0), attr_str(n, ATTR_name), n->dtype, s,
                       n->span);
}

static Node *step_value(Step *p, Node *n)
{
    const Motion *m = &p->f->at[n->id];
    if (n->op == OP_result)
        return result_value(p, n);
    if (stream_source(p->f, n) != n)
        return p->value[n->in[0]->id];
    bool last = n->op == OP_slice && p->f->at[n->in[0]->id].axis == attr_int(n, ATTR_axis, -1);
    if (last)
        return p->value[n->in[0]->id];
    Node **in = NEW_ARRAY(p->f->scratch, Node *, n->nin + 1);
    for (int k = 0; k < n->nin; k++)
        if (!(in[k] = operand(p, n, k)))
            return NULL;
    if (n->op == OP_contract)
        return product_copy(p->s, n, in, m->axis);
    return copy_resized(p->s, n, in, m->axis, dim_int(1));
}

/* ---- the whole ---- */

static void copy_lengths(Graph *to, const Graph *from)
{
    for (int i = 0; i < from->lengths.n; i++)
        graph_length(to, from->lengths.at[i], from->length_most.at[i]);
}

static bool mentions(const Dim *d, int n, int sym)
{
    for (int i = 0; i < n; i++)
        if (d[i].sym == sym)
            return true;
    return false;
}

/* What still needs to know how many steps there will be. */
static void check_length(Step *p)
{
    int sym = p->f->steps.sym;
    for (int i = 0; i < p->s->nodes.n && sym >= SYM_length; i++) {
        const Node *n = p->s->nodes.at[i];
        const Attr *d = attr_get(n, ATTR_dim), *l = attr_get(n, ATTR_length);
        if (mentions(n->shape.d, n->shape.rank, sym) || (d && d->u.dim.sym == sym) ||
            (l && l->u.dim.sym == sym)) {
            for (int k = i; !n->span.file && k < p->s->nodes.n; k++) /* its first user's place */
                if (p->s->nodes.at[k]->nin && p->s->nodes.at[k]->span.file)
                    n = p->s->nodes.at[k];
            fail(p->f, n, "the length of the whole sequence is used here: a stream has none");
            return;
        }
    }
}

/* States that the model has itself begin as zeros. */
static void reset_own_states(Step *p)
{
    for (int i = 0; i < p->g->inputs.n; i++) {
        const Node *n = p->g->inputs.at[i];
        if (attr_int(n, ATTR_role, NROLE) == ROLE_state)
            graph_output(p->reset, ROLE_state, attr_str(n, ATTR_name),
                         zeros(p->reset, n->dtype, n->shape));
    }
}

static void note_axes(Step *p, Stream *out)
{
    Arena *a = p->s->arena;
    out->input_axis = NEW_ARRAY(a, int, p->s->inputs.n + 1);
    out->output_axis = NEW_ARRAY(a, int, p->s->outputs.n + 1);
    for (int i = 0; i < p->s->inputs.n; i++)
        out->input_axis[i] = i < p->g->inputs.n ? p->f->at[p->g->inputs.at[i]->id].axis : -1;
    for (int i = 0; i < p->s->outputs.n; i++) {
        const Output *o = &p->s->outputs.at[i];
        const Node *was = graph_find_output(p->g, o->role, o->name);
        out->output_axis[i] = was ? p->f->at[was->id].axis : -1;
    }
}

static bool make_step(Step *p)
{
    Graph *g = p->g;
    for (int i = 0; i < g->inputs.n; i++)
        p->value[g->inputs.at[i]->id] = input_value(p, g->inputs.at[i]);
    reset_own_states(p);
    for (int i = 0; i < g->nodes.n; i++) {
        Node *n = g->nodes.at[i];
        if (n->op == OP_input)
            continue;
        if (p->f->at[i].walks)
            run_body(p, n);
        else
            p->value[i] = step_value(p, n);
        if (p->f->failed)
            return false;
    }
    for (int i = 0; i < g->outputs.n; i++) {
        const Output *o = &g->outputs.at[i];
        const Motion *m = &p->f->at[o->node->id];
        graph_output(p->s, o->role, o->name,
                     m->axis >= 0 ? past_of(p, o->node, m->shift, 1) : p->value[o->node->id]);
    }
    graph_compact(p->s);
    graph_compact(p->reset);
    check_length(p);
    return !p->f->failed;
}

bool stream_make(Graph *g, Diag *d, Stream *out)
{
    graph_compact(g);
    Arena *scratch = arena_new();
    int n = g->nodes.n;
    Flow f = {.g = g, .diag = d, .scratch = scratch};
    Step p = {.f = &f, .g = g, .s = graph_new(g->arena, g->name),
              .reset = graph_new(g->arena, arena_printf(g->arena, "%s reset", g->name)),
              .value = NEW_ARRAY(scratch, Node *, n), .line = NEW_ARRAY(scratch, Node *, n),
              .carried = NEW_ARRAY(scratch, Node **, n), .initial = NEW_ARRAY(scratch, Node *, n),
              .before = NEW_ARRAY(scratch, Node *, n)};
    copy_lengths(p.s, g);
    copy_lengths(p.reset, g);
    bool ok = stream_flow(&f) && make_step(&p);
    if (ok) {
        *out = (Stream){.step = p.s, .reset = p.reset};
        note_axes(&p, out);
    }
    arena_free(scratch);
    return ok;
}
