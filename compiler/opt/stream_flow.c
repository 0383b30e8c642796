/* How time goes through a graph.
 *
 * A sequence is followed from the inputs on: which axis of a node is time, and
 * which element of it is the newest when step t has come. Padding in front moves
 * the newest element away from the beginning, windows and slices move it back:
 *
 *     x            index t
 *     pad by 4     index t + 4       zeros are known before anything came
 *     window of 5  index t           what a causal convolution is
 *
 * A node whose index t needs more than the steps up to t cannot be had, nor what
 * sums over all steps, counts from the end, or mixes time with another axis. */
#include "opt/stream.h"

#include "opt/rewrite.h"

#include <stdarg.h>
#include <string.h>

/* ---- reports ---- */

static Span place_of(const Node *n)
{
    for (int depth = 0; !n->span.file && n->nin && depth < 100; depth++)
        n = n->in[0];
    return n->span;
}

bool stream_fails(Flow *f, const Node *n, const char *format, ...)
{
    va_list args;
    char text[600];
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!f->failed)
        error_at(f->diag, place_of(n), "%s", text);
    f->failed = true;
    return false;
}

#define fail stream_fails

static const char *length_text(Flow *f, Dim d)
{
    return dim_text(f->scratch, f->g, d);
}

static const char *steps_text(Flow *f, int64_t n)
{
    return arena_printf(f->scratch, "%lld step%s", (long long)n, n == 1 ? "" : "s");
}

/* ---- axes ---- */

/* The axis of x that has the extent and the elements before it of y's axis. */
static int same_place(const Shape *y, int axis, const Shape *x)
{
    int64_t before = 1, now = 1, extent;
    int lead = shape_has_batch(y);
    if (axis < lead)
        return axis;
    for (int i = lead; i < axis; i++) {
        if (!dim_const(y->d[i], &extent))
            return -1;
        before *= extent;
    }
    for (int i = lead; i < x->rank; i++) {
        if (now == before && dim_equal(x->d[i], y->d[axis]))
            return i;
        if (!dim_const(x->d[i], &extent))
            return -1;
        now *= extent;
    }
    return -1;
}

static int reduced_axis(const Node *n, int axis)
{
    const Attr *a = attr_get(n, ATTR_axes), *one = attr_get(n, ATTR_axis);
    for (int i = 0; i < (a ? a->n : 1); i++)
        axis += (a ? a->u.ints[i] : one->u.i) <= axis;
    return axis;
}

static int product_axis(const Node *n, int k, int axis)
{
    Contract c;
    contract_of(n, &c);
    int acc = (int)attr_int(n, ATTR_acc, 0);
    if (k < acc)
        return axis;
    int t = (k - acc) / 2, o = (k - acc) % 2;
    for (int i = 0; i < c.term[t].rank[o]; i++)
        for (int p = 0; p < c.term[t].axis[o][i].n; p++)
            if (c.term[t].axis[o][i].label[p] == axis)
                return i;
    return -1;
}

int stream_axis(const Node *n, int k, int axis)
{
    const Shape *x = &n->in[k]->shape;
    int at = -1;
    switch (n->op) {
    case OP_broadcast:
        at = operand_axis(x, &n->shape, axis);
        return at >= 0 && dim_equal(x->d[at], n->shape.d[axis]) ? at : -1;
    case OP_reshape:
        return same_place(&n->shape, axis, x);
    case OP_transpose:
        return (int)attr_get(n, ATTR_perm)->u.ints[axis];
    case OP_slice:
    case OP_pad:
    case OP_concat:
        return axis;
    case OP_words: /* time is none of the axes that they are made along */
        return axis == attr_int(n, ATTR_axis, -1) ? -1 : axis;
    case OP_own_gradient:
        return k == 0 ? axis : -1;
    case OP_reduce_sum:
    case OP_reduce_max:
    case OP_reduce_min:
    case OP_argmax:
        return reduced_axis(n, axis);
    case OP_contract:
        return product_axis(n, k, axis);
    case OP_gather:
        return k == 1 && axis < x->rank ? axis : -1;
    default:
        if (op_info[n->op].kind != KIND_map)
            return -1;
        at = operand_axis(x, &n->shape, axis);
        return at >= 0 && dim_equal(x->d[at], n->shape.d[axis]) ? at : -1;
    }
}

/* The result's axis that operand k's axis `axis` is, -1: it ends here. */
static int axis_ahead(const Node *n, int k, int axis)
{
    for (int i = 0; i < n->shape.rank; i++)
        if (stream_axis(n, k, i) == axis)
            return i;
    return -1;
}

/* ---- where time comes in ---- */

static bool set_input(Flow *f, Node *in, int axis)
{
    const char *name = attr_str(in, ATTR_name);
    Dim d = in->shape.d[axis];
    if (f->at[in->id].axis >= 0)
        return f->at[in->id].axis == axis ||
               fail(f, in, "two dimensions of the input %s are walked through step by step: "
                    "a stream has one axis of time", name);
    if (f->input && !dim_equal(d, f->steps))
        return fail(f, in, "the inputs %s and %s have different lengths, %s and %s: a stream has "
                    "one axis of time", f->input, name, length_text(f, f->steps),
                    length_text(f, d));
    f->steps = d;
    f->input = name;
    f->at[in->id].axis = axis;
    return true;
}

typedef struct { Node *n; int axis; } Place;

/* Follows an axis back to the inputs of the model whose axis it is. */
static bool trace_back(Flow *f, Node *from, int from_axis, uint8_t *seen)
{
    LIST(Place) stack = {0};
    list_push(f->scratch, &stack, ((Place){from, from_axis}));
    while (stack.n) {
        Place p = stack.at[--stack.n];
        if (seen[p.n->id] & 1u << p.axis)
            continue;
        seen[p.n->id] |= (uint8_t)(1u << p.axis);
        if (p.n->op == OP_input && attr_int(p.n, ATTR_role, NROLE) == ROLE_data &&
            !set_input(f, p.n, p.axis))
            return false;
        for (int k = 0; k < p.n->nin && p.n->op != OP_scan && p.n->op != OP_result; k++) {
            int axis = stream_axis(p.n, k, p.axis);
            if (axis >= 0)
                list_push(f->scratch, &stack, ((Place){p.n->in[k], axis}));
        }
    }
    return true;
}

/* Time is what loops walk along; without loops, a run-time length, or the first dimension
 * of inputs that have more than one or hold numbers of words. */
static bool find_time(Flow *f)
{
    uint8_t *seen = NEW_ARRAY(f->scratch, uint8_t, f->g->nodes.n);
    for (int i = 0; i < f->g->nodes.n; i++) {
        const Node *n = f->g->nodes.at[i];
        int first = (int)attr_int(n, ATTR_ncarry, 0), many = (int)attr_int(n, ATTR_nseq, 0);
        for (int k = first; n->op == OP_scan && k < first + many; k++)
            if (!trace_back(f, n->in[k], shape_has_batch(&n->in[k]->shape), seen))
                return false;
    }
    for (int runtime = 1; !f->input && runtime >= 0; runtime--)
        for (int i = 0; i < f->g->inputs.n; i++) {
            Node *in = f->g->inputs.at[i];
            int64_t known;
            int least = runtime || in->dtype == DT_i32 ? 2 : 3;
            if (attr_int(in, ATTR_role, NROLE) != ROLE_data || in->shape.rank < least ||
                (runtime && dim_const(in->shape.d[1], &known)) ||
                (f->input && !dim_equal(in->shape.d[1], f->steps)))
                continue;
            set_input(f, in, 1);
        }
    if (!f->input && f->g->outputs.n)
        return fail(f, f->g->outputs.at[0].node, "the model %s has no axis of time: a stream needs "
                    "an input such as x[time, features]", f->g->name);
    return !f->failed;
}

/* ---- views along time ---- */

Node *stream_source(const Flow *f, Node *n)
{
    while (n->op == OP_own_gradient ||
           ((n->op == OP_slice || n->op == OP_pad) && f->at[n->id].axis >= 0 &&
            attr_int(n, ATTR_axis, -1) == f->at[n->id].axis))
        n = n->in[0];
    return n;
}

/* n is read `by` steps behind its newest element. */
static void need_past(Flow *f, Node *n, int64_t by)
{
    Node *source = stream_source(f, n);
    Motion *m = &f->at[source->id];
    m->depth = by > m->depth ? by : m->depth;
}

static bool slice_of_time(Flow *f, const Node *n)
{
    const Motion *x = &f->at[n->in[0]->id];
    int axis = (int)attr_int(n, ATTR_axis, 0), step = (int)attr_int(n, ATTR_step, 1);
    Dim start = attr_get(n, ATTR_start)->u.dim, last;
    int64_t from;
    bool one = dim_is(n->shape.d[axis], 1);
    dim_affine(n->in[0]->shape.d[axis], 1, -1, 1, &last);
    if (one && dim_equal(start, last)) {
        Dim newest;
        f->at[n->id].late = true;
        dim_affine(f->steps, 1, x->shift - 1, 1, &newest);
        return dim_equal(start, newest) ||
               fail(f, n, "the last of %s values is taken where the input has %s steps",
                    length_text(f, n->in[0]->shape.d[axis]), length_text(f, f->steps));
    }
    if (step < 0)
        return fail(f, n, "the sequence is read from its end here, as go_backwards and "
                    "Bidirectional do: a stream has no end");
    if (one)
        return fail(f, n, "one step is taken out of the sequence here, not its last: a stream "
                    "gives an output for each step");
    if (step > 1)
        return fail(f, n, "%d steps at a time are taken here: a stream gives an output for each "
                    "step", step);
    if (!dim_const(start, &from))
        return fail(f, n, "steps are counted from the sequence's end here: a stream has no end");
    if (from > x->shift)
        return fail(f, n, "what comes %s later is read here: a stream knows no step before it "
                    "comes", steps_text(f, from - x->shift));
    f->at[n->id].axis = axis;
    f->at[n->id].shift = x->shift - from;
    return true;
}

/* ---- products ---- */

int64_t stream_reach(const Node *n, const Contract *c, int t, int o, int axis, int *label,
                     int *stride)
{
    Dim extent[LABELS_MOST];
    const ContractAxis *x = &c->term[t].axis[o][axis];
    int64_t reach = 0, size = 1;
    contract_extents(n, c, extent);
    *label = -1;
    *stride = 1;
    for (int p = 0; p < x->n; p++) {
        if (x->label[p] < c->nout) {
            *label = x->label[p];
            *stride = x->coef[p];
        } else if (dim_const(extent[(int)x->label[p]], &size)) {
            reach += x->coef[p] * (size - 1);
        }
    }
    return reach;
}

/* Operand k of a product, which has time. */
static bool product_operand(Flow *f, const Node *n, const Contract *c, int k, int *label)
{
    const Motion *x = &f->at[n->in[k]->id];
    int acc = (int)attr_int(n, ATTR_acc, 0), now, stride;
    if (k < acc)
        return true;
    int64_t reach = stream_reach(n, c, (k - acc) / 2, (k - acc) % 2, x->axis, &now, &stride);
    if (now < 0)
        return fail(f, n, "a product sums over all steps here, as attention and Dense behind "
                    "Flatten do: a stream has never seen them all");
    if (*label >= 0 && *label != now)
        return fail(f, n, "every step is multiplied with every other here, as attention does: a "
                    "stream knows no step before it comes");
    if (stride != 1)
        return fail(f, n, "a window moves on by %d steps here: a stream gives an output for each "
                    "step (strides=1)", stride);
    if (reach > x->shift)
        return fail(f, n, "a window reads %s ahead here: a stream knows no step before it comes "
                    "(padding=causal reads the past alone)", steps_text(f, reach - x->shift));
    *label = now;
    return true;
}

/* Steps by which operand k's own newest value could be later than read. */
static int64_t own_shift(const Flow *f, const Node *n, int k)
{
    const Motion *x = &f->at[n->in[k]->id];
    int acc = (int)attr_int(n, ATTR_acc, 0), label, stride;
    if (n->op != OP_contract || k < acc)
        return x->shift;
    Contract c;
    contract_of(n, &c);
    return x->shift - stream_reach(n, &c, (k - acc) / 2, (k - acc) % 2, x->axis, &label, &stride);
}

int64_t stream_delay(const Flow *f, const Node *n, int k)
{
    return own_shift(f, n, k) - f->at[n->id].shift;
}

/* ---- joins ---- */

static bool end_of_time(Flow *f, const Node *n)
{
    switch (n->op) {
    case OP_reduce_sum:
    case OP_reduce_max:
    case OP_reduce_min:
    case OP_argmax:
        return fail(f, n, "all steps are reduced to one value here, as pooling over time and "
                    "softmax over time do: a stream has never seen them all");
    case OP_reshape:
        return fail(f, n, "the axis of time is reshaped here, as Flatten and pooling with strides "
                    "do: a stream keeps it whole");
    default:
        return fail(f, n, "the operation %s does not go step by step along time",
                    op_info[n->op].name);
    }
}

static bool pad_of_time(Flow *f, const Node *n)
{
    int64_t before;
    if (attr_int(n, ATTR_step, 1) != 1 || !dim_const(attr_get(n, ATTR_start)->u.dim, &before))
        return end_of_time(f, n);
    f->at[n->id].axis = (int)attr_int(n, ATTR_axis, 0);
    f->at[n->id].shift = f->at[n->in[0]->id].shift + before;
    return true;
}

static bool join(Flow *f, const Node *n)
{
    Motion *m = &f->at[n->id];
    Contract c;
    int label = -1;
    if (n->op == OP_contract)
        contract_of(n, &c);
    for (int k = 0; k < n->nin; k++) {
        int axis = f->at[n->in[k]->id].axis;
        if (axis < 0)
            continue;
        if (n->op == OP_contract && !product_operand(f, n, &c, k, &label))
            return false;
        int ahead = axis_ahead(n, k, axis);
        if (ahead < 0)
            return end_of_time(f, n);
        if (m->axis >= 0 && ahead != m->axis)
            return fail(f, n, "two sequences meet along different axes here: a stream has one "
                        "axis of time");
        int64_t shift = own_shift(f, n, k);
        m->shift = m->axis < 0 || shift < m->shift ? shift : m->shift;
        m->axis = ahead;
    }
    if (n->op == OP_concat && m->axis == attr_int(n, ATTR_axis, -1))
        return fail(f, n, "sequences are joined one after the other here: a stream has no end");
    if (m->late)
        return fail(f, n, "the last state of a sequence meets each of its steps here: a stream "
                    "does not know the last");
    for (int k = 0; k < n->nin; k++)
        if (f->at[n->in[k]->id].axis >= 0)
            need_past(f, n->in[k], f->at[n->in[k]->id].shift - m->shift);
    return true;
}

/* A sequence that is consumed, or given out, step by step. */
static bool whole_sequence(Flow *f, const Node *by, Node *n, int axis)
{
    if (!dim_equal(n->shape.d[axis], f->steps))
        return fail(f, by, "%s steps are used here where the input has %s: a stream has one step "
                    "for each of the input's", length_text(f, n->shape.d[axis]),
                    length_text(f, f->steps));
    need_past(f, n, f->at[n->id].shift);
    return true;
}

static bool walk(Flow *f, Node *n)
{
    int ncarry = (int)attr_int(n, ATTR_ncarry, 0), nseq = (int)attr_int(n, ATTR_nseq, 0);
    Motion *m = &f->at[n->id];
    for (int k = ncarry; k < ncarry + nseq; k++)
        m->walks |= f->at[n->in[k]->id].axis >= 0;
    for (int k = 0; k < n->nin; k++) {
        const Motion *x = &f->at[n->in[k]->id];
        bool moves = k >= ncarry && k < ncarry + nseq;
        if (x->axis >= 0 && !moves)
            return fail(f, n, "every step of this loop reads all steps of a sequence, as attention "
                        "does: a stream has never seen them all");
        if (x->axis >= 0 && x->axis != shape_has_batch(&n->in[k]->shape))
            return fail(f, n, "this loop walks along another axis than time, and time is within "
                        "its values");
        if (x->axis >= 0 && !whole_sequence(f, n, n->in[k], x->axis))
            return false;
        if (m->walks && x->late)
            return fail(f, n, "this loop needs the last state of a sequence that ends with it: a "
                        "stream does not know the last");
        bool kept = n->in[k]->op == OP_input && attr_int(n->in[k], ATTR_role, 0) == ROLE_state;
        if (m->walks && k < ncarry && x->varies && !kept)
            return fail(f, n, "the state at first comes from the model's input here: a stream "
                        "begins before it is known");
    }
    return true;
}

static bool visit(Flow *f, Node *n)
{
    Motion *m = &f->at[n->id];
    bool along = false;
    for (int k = 0; k < n->nin; k++) {
        m->varies |= f->at[n->in[k]->id].varies;
        m->late |= f->at[n->in[k]->id].late;
        along |= f->at[n->in[k]->id].axis >= 0;
    }
    Role role = (Role)attr_int(n, ATTR_role, NROLE);
    if (n->op == OP_input)
        m->varies = role == ROLE_data || role == ROLE_state;
    if (n->op == OP_scan)
        return walk(f, n);
    if (n->op == OP_result && f->at[n->in[0]->id].walks &&
        attr_int(n, ATTR_index, 0) >= attr_int(n->in[0], ATTR_ncarry, 0))
        m->axis = shape_has_batch(&n->shape);
    else if (n->op == OP_result && f->at[n->in[0]->id].walks)
        m->late = true;
    if (n->op == OP_own_gradient) { /* has the value of its first operand */
        *m = (Motion){.axis = f->at[n->in[0]->id].axis, .shift = f->at[n->in[0]->id].shift,
                      .varies = m->varies, .late = m->late};
        return true;
    }
    if (!along)
        return true;
    bool time = attr_int(n, ATTR_axis, -1) == f->at[n->in[0]->id].axis;
    if (n->op == OP_slice && time)
        return slice_of_time(f, n);
    if (n->op == OP_pad && time)
        return pad_of_time(f, n);
    return join(f, n);
}

bool stream_flow(Flow *f)
{
    f->at = NEW_ARRAY(f->scratch, Motion, f->g->nodes.n);
    for (int i = 0; i < f->g->nodes.n; i++)
        f->at[i].axis = -1;
    if (!find_time(f))
        return false;
    for (int i = 0; i < f->g->nodes.n; i++)
        if (!visit(f, f->g->nodes.at[i]))
            return false;
    for (int i = 0; i < f->g->outputs.n; i++) {
        Node *n = f->g->outputs.at[i].node;
        if (f->at[n->id].axis >= 0 && !whole_sequence(f, n, n, f->at[n->id].axis))
            return false;
    }
    return true;
}
