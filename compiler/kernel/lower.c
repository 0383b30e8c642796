/* From the graph to loop trees: the walk over the nodes.
 *
 * Nodes are visited in topological order; elementwise operations, reductions
 * and products go into nests (place.c), loops over time become steps with a
 * body, products over the batch and what moves rows are steps of their own.
 */
#include "kernel/lower.h"

#include <string.h>

/* ---- rows in and out ---- */

static void lower_input(Seq *q, Node *n)
{
    Kernel *k = q->k;
    Role role = (Role)attr_int(n, ATTR_role, 0);
    NodeInfo *info = INFO(n);
    int port = lower_port(k, role, attr_str(n, ATTR_name), n, false);
    if (info->cls == CLASS_row) {
        info->place.buffer =
            lower_buffer(k, MEM_worker, n->dtype, true, shape_inner(&n->shape), lower_label(n));
        Step *s = lower_step(q, STEP_load);
        s->place = info->place;
        s->port = port;
        s->outside = lower_port_buffer(k, port);
        s->name = attr_str(n, ATTR_name);
        info->seq = q->steps;
        info->step = q->steps->n - 1;
    } else {
        info->place.buffer = lower_port_buffer(k, port);
    }
}

Step *lower_maker(Seq *q, StepKind kind, Node *n)
{
    NodeInfo *info = INFO(n);
    Step *s = lower_step(q, kind);
    s->node = n;
    s->place = info->place;
    s->name = lower_label(n);
    info->seq = q->steps;
    info->step = q->steps->n - 1;
    return s;
}

/* A sum over indices stands in a parameter phase: it reads all rows. */
static void lower_scatter(Seq *q, Node *n)
{
    NodeInfo *info = INFO(n);
    if (q->rows || INFO(n->in[0])->cls != CLASS_row || INFO(n->in[1])->cls != CLASS_row) {
        lower_fails(q->k, n, "indexed sums other than over the batch");
        return;
    }
    info->place.buffer =
        lower_buffer(q->k, MEM_shared, n->dtype, false, shape_inner(&n->shape), lower_label(n));
    lower_touch(q, NULL, n->in[0], false);
    lower_touch(q, NULL, n->in[1], false);
    lower_maker(q, STEP_scatter, n);
}

/* Is x read by products alone, at its own index? */
static bool read_by_products(const Node *x)
{
    const Graph *g = x->graph;
    for (int i = 0; i < g->outputs.n; i++)
        if (g->outputs.at[i].node == x)
            return false;
    for (int i = 0; i < g->nodes.n; i++) {
        const Node *n = g->nodes.at[i];
        int ncarry = (int)attr_int(n, ATTR_ncarry, 0), nseq = (int)attr_int(n, ATTR_nseq, 0);
        for (int j = 0; j < n->nin; j++) {
            if (n->in[j] != x)
                continue;
            bool product = n->op == OP_contract && j >= (attr_int(n, ATTR_acc, 0) != 0);
            bool inside = n->op == OP_scan && j >= ncarry + nseq;
            if (!product && !(inside && read_by_products(n->body->inputs.at[j])))
                return false;
        }
    }
    return true;
}

/* A copy of a parameter that only products read may lie as suits them. */
static bool may_be_packed(const Node *n)
{
    int64_t count;
    const Node *base = kernel_base(n->in[0]);
    return n->op == OP_stop_gradient && INFO(n)->cls == CLASS_param && n->shape.rank >= 2 &&
           shape_count(&n->shape, 0, &count) &&
           (base->op == OP_input || base->op == OP_bfloat16) && read_by_products(n);
}

static void lower_pack(Seq *q, Node *n)
{
    NodeInfo *info = INFO(n);
    info->place.buffer =
        lower_buffer(q->k, MEM_shared, n->dtype, false, n->shape, lower_label(n));
    info->place.buffer->packed = true;
    lower_touch(q, NULL, n->in[0], false);
    lower_maker(q, STEP_pack, n);
}

/* One step for the whole matrix, with room for the reflections beside it; the matrix is read
 * where it lies. */
static void lower_orthogonal(Seq *q, Node *n)
{
    enum { LANES_MOST = 16 };
    NodeInfo *info = INFO(n);
    int64_t m, k;
    Node *x = kernel_is_view(n->in[0]) || lower_is_leaf(n->in[0]) ? NULL : n->in[0];
    if (!x || INFO(n)->cls != CLASS_param || !dim_const(n->shape.d[0], &m) ||
        !dim_const(n->shape.d[1], &k)) {
        lower_fails(q->k, n, "the orthogonal factor of anything but a parameter's first values");
        return;
    }
    int64_t rows = m < k ? k : m, cols = m < k ? m : k;
    int64_t pitch = (cols + LANES_MOST - 1) / LANES_MOST * LANES_MOST;
    Shape work = shape_of(1, dim_int(rows * pitch + (rows + 2) * cols));
    info->place.buffer = lower_buffer(q->k, MEM_shared, n->dtype, false, n->shape, lower_label(n));
    lower_touch(q, NULL, x, false);
    Step *s = lower_maker(q, STEP_orthogonal, n);
    s->across[0] = (Place){lower_buffer(q->k, MEM_shared, n->dtype, false, work, "reflections"),
                           SLOT_only, -1, false, dim_int(0)};
    s->across[1] = INFO(x)->place;
}

/* ---- scan ---- */

static Shape stack_shape(Dim length, const Shape *inner)
{
    Shape s = {.rank = inner->rank + 1};
    s.d[0] = length;
    memcpy(s.d + 1, inner->d, sizeof(Dim) * (size_t)inner->rank);
    return s;
}

static bool is_zero(const Node *n)
{
    while (kernel_is_view(n))
        n = n->in[0];
    const Attr *value = n->op == OP_const ? attr_get(n, ATTR_value) : NULL;
    return value && value->u.f == 0;
}

/* Is the carry read by what makes its next value alone, element by element? Then that takes
 * its place. */
static bool goes_on_in_place(const Node *in, const Node *next)
{
    if (op_info[next->op].kind != KIND_map || !lower_is_read_once(in))
        return false;
    for (int i = 0; i < next->nin; i++)
        if (next->in[i] == in)
            return lower_same_index(next, i);
    return false;
}

static void scan_carry_in(Seq *q, Node *in, Node *init, const Node *next, int loop)
{
    Kernel *k = q->k;
    NodeInfo *info = INFO(in);
    Shape inner = shape_inner(&in->shape);
    if (info->cls == CLASS_shard) { /* a sum goes on where it lies */
        if (INFO(kernel_base(init))->place.buffer) {
            if (!lower_is_read_once(init))
                lower_fails(k, init, "a partial sum of the batch that is read twice");
            info->place = INFO(kernel_base(init))->place;
            return;
        }
        if (!is_zero(init))
            lower_fails(k, init, "a sum over the batch that starts at something but zero");
        info->place.buffer = lower_buffer(k, MEM_shard, in->dtype, false, inner, "partial");
        Step *zero = lower_step(q, STEP_zero);
        zero->place = info->place;
        zero->name = "partial";
        return;
    }
    Buffer *b = lower_buffer(k, MEM_worker, in->dtype, true, inner,
                             in->name ? in->name : "carry");
    b->slots = goes_on_in_place(in, next) ? 1 : 2;
    Slot first = b->slots == 1 ? SLOT_only : SLOT_first;
    lower_place_store(q, init, (Place){b, first, -1, false, dim_int(0)}, NULL, 0);
    info->place = (Place){b, b->slots == 1 ? SLOT_only : SLOT_now, loop, false, dim_int(0)};
}

/* Stacked outputs get their home before the body is lowered, so that their
 * values are stored there and nowhere else. */
static Buffer *stack_for(Seq *q, const Node *scan, Node *value, int loop)
{
    Shape inner = shape_inner(&value->shape);
    Dim length = attr_get(scan, ATTR_length)->u.dim;
    Buffer *b = lower_buffer(q->k, MEM_worker, value->dtype, true, stack_shape(length, &inner),
                             lower_label(value));
    b->outer = 1;
    NodeInfo *info = INFO(value);
    bool own = value->op != OP_input && !kernel_is_view(value) && !lower_is_leaf(value) &&
               info->cls == CLASS_row && value->op != OP_result && value->op != OP_scan &&
               value->op != OP_tensor;
    if (own && !info->place.buffer)
        info->place = (Place){b, SLOT_only, loop, true, dim_int(0)};
    return b;
}

/* The rows of one step lie together: what the loop reads step by step has its
 * time before the row. */
static void time_before_row(const Node *scan, int ncarry)
{
    int nseq = (int)attr_int(scan, ATTR_nseq, 0);
    for (int i = ncarry; i < ncarry + nseq; i++) {
        const Node *base = kernel_base(scan->in[i]);
        Buffer *b = INFO(base)->place.buffer;
        if (b && b->lanes && b->slots == 1 && b->shape.rank >= 2 && !INFO(base)->place.stacked &&
            dim_equal(b->shape.d[0], shape_inner(&scan->in[i]->shape).d[0]))
            b->outer = 1;
    }
}

static void lower_scan(Seq *q, Node *n)
{
    Kernel *k = q->k;
    Graph *body = n->body;
    int ncarry = (int)attr_int(n, ATTR_ncarry, 0), loop = q->depth;
    int nstack = body->outputs.n - ncarry;
    if (loop >= LOOPS_MOST) {
        lower_fails(k, n, "more loops over time in each other than 32");
        return;
    }
    lower_classify_body(k, n, q->phase, loop);
    lower_again(body);
    for (int i = 0; i < ncarry; i++)
        scan_carry_in(q, body->inputs.at[i], n->in[i], body->outputs.at[i].node, loop);
    Buffer **stack = NEW_ARRAY(k->arena, Buffer *, nstack + 1);
    for (int i = 0; i < nstack; i++)
        stack[i] = stack_for(q, n, body->outputs.at[ncarry + i].node, loop);

    Step *s = NEW(k->arena, Step); /* appended when its body has been lowered */
    s->kind = STEP_loop;
    s->loop = loop;
    s->place.loop = -1;
    s->extent = attr_get(n, ATTR_length)->u.dim;
    s->reverse = attr_int(n, ATTR_reverse, 0) != 0;
    s->name = lower_label(n);
    Seq inner = {k, (Steps *)&s->body, q->phase, true, loop + 1};
    for (int i = 0; i < body->nodes.n && !k->why; i++)
        lower_node(&inner, body->nodes.at[i]);
    time_before_row(n, ncarry);
    for (int i = 0; i < ncarry && !k->why; i++) {
        const NodeInfo *in = INFO(body->inputs.at[i]);
        Node *next = body->outputs.at[i].node;
        if (in->cls == CLASS_shard) {
            if (INFO(kernel_base(next))->place.buffer != in->place.buffer)
                lower_fails(k, next, "a sum over the batch that is more than a sum of products");
            continue;
        }
        Slot slot = in->place.slot == SLOT_now ? SLOT_next : SLOT_only;
        lower_place_store(&inner, next, (Place){in->place.buffer, slot, loop, false, dim_int(0)},
                          NULL, 0);
    }
    for (int i = 0; i < nstack && !k->why; i++) {
        Node *value = body->outputs.at[ncarry + i].node;
        if (INFO(value)->place.buffer != stack[i])
            lower_place_store(&inner, value, (Place){stack[i], SLOT_only, loop, true, dim_int(0)},
                              NULL, 0);
    }
    list_push(k->arena, q->steps, s);
    NodeInfo *info = INFO(n);
    info->step = q->steps->n - 1;
    info->seq = q->steps;
    info->memo = stack;
}

static void lower_result(Seq *q, Node *n)
{
    const Node *scan = n->in[0];
    const NodeInfo *from = INFO(scan);
    NodeInfo *info = INFO(n);
    int ncarry = (int)attr_int(scan, ATTR_ncarry, 0), i = (int)attr_int(n, ATTR_index, 0);
    info->seq = q->steps;
    info->step = from->step;
    if (i >= ncarry) {
        info->place.buffer = ((Buffer **)from->memo)[i - ncarry];
        return;
    }
    const NodeInfo *carry = INFO(scan->body->inputs.at[i]);
    info->place = carry->place;
    if (carry->place.slot == SLOT_now) {
        info->place.slot = SLOT_final;
        info->place.extent = attr_get(scan, ATTR_length)->u.dim;
    }
}

/* ---- nodes ---- */

static void lower_literal(Kernel *k, Node *n)
{
    Buffer *b = lower_buffer(k, MEM_shared, n->dtype, false, shape_inner(&n->shape), "literal");
    b->literal = n;
    INFO(n)->place.buffer = b;
}

void lower_node(Seq *q, Node *n)
{
    NodeInfo *info = INFO(n);
    Kernel *k = q->k;
    if (info->outer || (n->op != OP_input && info->cls == CLASS_host) || lower_is_leaf(n) ||
        kernel_is_view(n) || info->again)
        return;
    switch (n->op) {
    case OP_input:
        if (!info->place.buffer)
            lower_input(q, n);
        return;
    case OP_concat:
    case OP_pad:
        lower_pieces(q, n);
        return;
    case OP_scan:
        if (!q->rows || INFO(n)->phase != q->phase)
            bug("a scan outside of a row phase");
        lower_scan(q, n);
        return;
    case OP_result:
        lower_result(q, n);
        return;
    case OP_batch_contract:
        lower_batch_contract(q, n);
        return;
    case OP_scatter_add:
        lower_scatter(q, n);
        return;
    case OP_orthogonal:
        lower_orthogonal(q, n);
        return;
    default:
        if (n->op == OP_sum_shards && q->rows)
            lower_fails(k, n, "a sum over the batch inside a loop over time");
        else if (info->cls == CLASS_shard)
            lower_fails(k, n, "arithmetic on partial sums of the batch");
        else if (n->op == OP_tensor)
            lower_literal(k, n);
        else if (!q->rows && may_be_packed(n))
            lower_pack(q, n);
        else if (n->op == OP_sum_shards && INFO(n->in[0])->whole)
            lower_whole_sum(q, n);
        else
            lower_item(q, n);
    }
}

/* What persists and takes over another input's old value gets a copy of it:
 * that input may be overwritten first. */
static void copy_inputs(Graph *g)
{
    for (int i = 0; i < g->outputs.n; i++) {
        Output *o = &g->outputs.at[i];
        Node *base = o->node;
        while (kernel_is_view(base))
            base = base->in[0];
        if (lower_is_persistent(o->role) && base->op == OP_input &&
            o->node != graph_find_input(g, o->role, o->name))
            o->node = node1(g, OP_stop_gradient, o->node);
    }
}

/* Numbers the steps that become functions. */
static void number_steps(Kernel *k, Step *const *steps, int n)
{
    for (int i = 0; i < n; i++) {
        bool loop = steps[i]->kind == STEP_loop;
        steps[i]->number = loop ? -1 : k->nkernel++;
        if (steps[i]->kind == STEP_nest)
            steps[i]->nest->id = steps[i]->number;
        number_steps(k, steps[i]->body.at, steps[i]->body.n);
    }
}

/* One attempt; products over the batch that are `apart` are made shard by shard. */
static Kernel *lower_graph(Arena *a, Graph *g, int block, bool *apart)
{
    Kernel *k = NEW(a, Kernel);
    k->arena = a;
    k->graph = g;
    k->block = block;
    k->apart = apart;
    k->loss_port = -1;
    k->columns = g->columns > 0;
    k->rows = k->columns && block > 1 ? block + COLUMN_TILE : block;
    k->real = DT_f32;
    for (int i = 0; i < g->nodes.n; i++)
        if (g->nodes.at[i]->dtype == DT_f64 && shape_has_batch(&g->nodes.at[i]->shape))
            k->real = DT_f64;
    lower_classify(k, g);
    int last = 0;
    for (int i = 0; i < g->nodes.n && !k->why; i++) {
        Node *n = g->nodes.at[i];
        Seq q = lower_seq(k, INFO(n)->phase);
        if (INFO(n)->cls != CLASS_host && INFO(n)->phase > last)
            last = INFO(n)->phase;
        lower_node(&q, n);
    }
    last = (last + 1) & ~1;
    lower_seq(k, last);
    for (int i = 0; i < g->outputs.n && !k->why; i++)
        if (!lower_is_persistent(g->outputs.at[i].role))
            lower_output(k, &g->outputs.at[i]);
    for (int early = 1; early >= 0; early--)
        for (int i = 0; i < g->outputs.n && !k->why; i++)
            if (lower_is_persistent(g->outputs.at[i].role))
                lower_persistent(k, g, last, &g->outputs.at[i], early);
    for (int i = 0; i < k->phases.n; i++) {
        Phase *p = k->phases.at[i];
        if (p->rows)
            continue;
        lower_levels(k, p, i);
        for (int j = 0; j < p->steps.n; j++)
            if (p->steps.at[j]->kind == STEP_nest)
                p->steps.at[j]->nest->flat = lower_is_flat(p->steps.at[j]->nest);
    }
    return k;
}

Kernel *kernel_lower(Arena *a, Graph *g, int block)
{
    copy_inputs(g);
    bool *apart = NEW_ARRAY(a, bool, g->nodes.n + 1);
    Kernel *k = lower_graph(a, g, block, apart);
    while (!k->why && lower_splits_whole(k))
        k = lower_graph(a, g, block, apart);
    for (int i = 0; i < k->phases.n; i++)
        number_steps(k, k->phases.at[i]->steps.at, k->phases.at[i]->steps.n);
    if (!k->why)
        kernel_lifetimes(k);
    return k;
}
