/* From the graph to loop trees.
 *
 * Nodes are visited in topological order and put into the first nest of their
 * phase that has their index domain and stands behind everything they need:
 * a node that is read at the same index may be computed in the same nest, one
 * that is read elsewhere must be in an earlier step. So a product and all that
 * follows it at the same index share a nest, by construction and for any cell.
 */
#include "kernel/kernel.h"

#include <string.h>

typedef LIST(Step *) Steps;

typedef struct {
    Kernel *k;
    Steps *steps;   /* the sequence being filled */
    int phase;
    bool rows;
} Seq;

static void lower_node(Seq *q, Node *n);

Shape shape_inner(const Shape *s)
{
    Shape out = *s;
    if (shape_has_batch(s) || shape_has_shards(s)) {
        out.rank--;
        memmove(out.d, s->d + 1, sizeof(Dim) * (size_t)out.rank);
    }
    return out;
}

static bool is_view(const Node *n)
{
    return n->op == OP_broadcast || n->op == OP_reshape || n->op == OP_transpose || n->op == OP_slice;
}

static bool is_leaf(const Node *n)
{
    return n->op == OP_const || n->op == OP_dim || n->op == OP_iota || n->op == OP_row;
}

static bool why(Kernel *k, const Node *n, const char *what)
{
    if (!k->why)
        k->why = arena_printf(k->arena, "%s (operation %s)", what, op_info[n->op].name);
    return false;
}

/* ---- classes and phases ---- */

static Class class_of(const Node *n)
{
    if (shape_has_batch(&n->shape))
        return CLASS_row;
    if (shape_has_shards(&n->shape))
        return CLASS_shard;
    if (n->op == OP_const || n->op == OP_dim)
        return CLASS_host;
    if (n->op == OP_input)
        return attr_int(n, ATTR_role, 0) == ROLE_scalar && n->shape.rank == 0 ? CLASS_host
                                                                             : CLASS_param;
    if (n->op == OP_scan)
        return CLASS_row;
    OpKind kind = op_info[n->op].kind;
    if (n->shape.rank == 0 && kind == KIND_map) {
        for (int i = 0; i < n->nin; i++)
            if (INFO(n->in[i])->cls != CLASS_host)
                return CLASS_param;
        return CLASS_host;
    }
    return CLASS_param;
}

/* Parameter phases are even, row phases odd. */
static int phase_of(const Node *n, Class cls)
{
    bool row = cls == CLASS_row || cls == CLASS_shard;
    int p = row ? 1 : 0;
    for (int i = 0; i < n->nin; i++) {
        const NodeInfo *in = INFO(n->in[i]);
        if (in->cls == CLASS_host)
            continue;
        int least = in->phase;
        if ((least & 1) != row)
            least++;
        if (least > p)
            p = least;
    }
    return p;
}

static void classify(Kernel *k, const Graph *g)
{
    for (int i = 0; i < g->nodes.n; i++) {
        Node *n = g->nodes.at[i];
        n->aux = NEW(k->arena, NodeInfo);
        NodeInfo *info = INFO(n);
        info->loop = info->place.loop = -1;
        info->cls = class_of(n);
        if (n->op == OP_result)
            info->cls = shape_has_shards(&n->shape) ? CLASS_shard : CLASS_row;
        info->phase = phase_of(n, info->cls);
    }
}

/* Nodes of a body: all are computed by the row phase of their scan. */
static void classify_body(Kernel *k, const Node *scan, int phase, int loop)
{
    const Graph *g = scan->body;
    int ncarry = (int)attr_int(scan, ATTR_ncarry, 0), nseq = (int)attr_int(scan, ATTR_nseq, 0);
    for (int i = 0; i < g->nodes.n; i++) {
        Node *n = g->nodes.at[i];
        n->aux = NEW(k->arena, NodeInfo);
        NodeInfo *info = INFO(n);
        info->loop = info->place.loop = -1;
        info->phase = phase;
        info->cls = shape_has_shards(&n->shape) ? CLASS_shard : CLASS_row;
        bool host = n->op == OP_const || n->op == OP_dim ||
                    (n->op != OP_input && n->shape.rank == 0 && op_info[n->op].kind == KIND_map);
        for (int j = 0; host && j < n->nin; j++)
            host = INFO(n->in[j])->cls == CLASS_host;
        if (host)
            info->cls = CLASS_host;
        for (int j = ncarry; n->op == OP_input && j < g->inputs.n; j++) {
            if (g->inputs.at[j] != n)
                continue;
            info->outer = scan->in[j];
            info->loop = j < ncarry + nseq ? loop : -1;
            if (INFO(info->outer)->cls == CLASS_host)
                info->cls = CLASS_host;
        }
    }
}

/* ---- buffers and ports ---- */

static Buffer *buffer_new(Kernel *k, MemKind mem, Dtype dt, bool lanes, Shape shape, const char *name)
{
    Buffer *b = NEW(k->arena, Buffer);
    *b = (Buffer){.id = k->buffers.n, .mem = mem, .dtype = dt, .lanes = lanes, .shape = shape,
                  .slots = 1, .port = -1, .name = name};
    list_push(k->arena, &k->buffers, b);
    return b;
}

static int port_of(Kernel *k, Role role, const char *name, const Node *n, bool is_output)
{
    int i;
    for (i = 0; i < k->ports.n; i++)
        if (k->ports.at[i].role == role && !strcmp(k->ports.at[i].name, name))
            break;
    if (i == k->ports.n) {
        KernelPort p = {role, name, n->dtype, n->shape, false, false};
        list_push(k->arena, &k->ports, p);
    }
    if (is_output)
        k->ports.at[i].is_output = true;
    else
        k->ports.at[i].is_input = true;
    return i;
}

static Buffer *port_buffer(Kernel *k, int port)
{
    for (int i = 0; i < k->buffers.n; i++)
        if (k->buffers.at[i]->port == port)
            return k->buffers.at[i];
    const KernelPort *p = &k->ports.at[port];
    Buffer *b = buffer_new(k, MEM_port, p->dtype, false, shape_inner(&p->shape), p->name);
    b->port = port;
    return b;
}

static Step *step_add(Seq *q, StepKind kind)
{
    Step *s = NEW(q->k->arena, Step);
    s->kind = kind;
    s->loop = s->place.loop = -1;
    list_push(q->k->arena, q->steps, s);
    return s;
}

/* ---- what is read from where ---- */

/* Views and the edges of loop bodies are walked through. */
Node *kernel_base(Node *n)
{
    for (;;) {
        if (is_view(n))
            n = n->in[0];
        else if (INFO(n)->outer)
            n = INFO(n)->outer;
        else
            return n;
    }
}

static const char *node_label(const Node *n)
{
    return n->name ? n->name : op_info[n->op].name;
}

/* Gives a node a buffer, stored by its nest. */
static void need_buffer(Kernel *k, Node *n)
{
    NodeInfo *info = INFO(n);
    if (info->place.buffer || info->cls == CLASS_host || is_leaf(n))
        return;
    if (!info->nest)
        bug("node %d (%s) is read but was not lowered", n->id, op_info[n->op].name);
    bool lanes = info->cls == CLASS_row;
    info->place.buffer = buffer_new(k, lanes ? MEM_worker : MEM_shared, n->dtype, lanes,
                                    shape_inner(&n->shape), node_label(n));
    Store s = {n, info->place, -1, dim_int(0), 1};
    list_push(k->arena, &info->nest->stores, s);
}

/* Records that a nest (or another step) of sequence q reads n: same_index says
 * that it is read at the nest's own index. */
static void touch(Seq *q, const Nest *nest, Node *n, bool same_index)
{
    Node *base = kernel_base(n);
    if (base != n)
        same_index = false;
    NodeInfo *info = INFO(base);
    if (same_index && nest && info->nest == nest)
        return;
    need_buffer(q->k, base);
    if (info->place.buffer && info->cls == CLASS_row && info->phase != q->phase &&
        info->place.buffer->mem == MEM_worker)
        info->place.buffer->mem = MEM_block;
}

/* The first step of q that may read n; steps before it may not. */
static int bound_of(const Seq *q, Node *n, bool same_index)
{
    Node *base = kernel_base(n);
    const NodeInfo *info = INFO(base);
    if (info->seq != q->steps)
        return 0;
    return same_index && base == n && info->nest ? info->step : info->step + 1;
}

/* Is operand i of n read at n's own index? */
static bool reads_same_index(const Node *n, int i)
{
    OpKind kind = op_info[n->op].kind;
    if (kind != KIND_map)
        return false;
    Shape a = shape_inner(&n->shape), b = shape_inner(&n->in[i]->shape);
    return shape_equal(&a, &b);
}

static int bound_of_inputs(const Seq *q, const Node *n)
{
    int least = 0;
    for (int i = 0; i < n->nin; i++) {
        int b = bound_of(q, n->in[i], reads_same_index(n, i));
        if (b > least)
            least = b;
    }
    return least;
}

/* ---- nests ---- */

static int nest_for(Seq *q, Shape domain, int least, Span span)
{
    for (int i = least; i < q->steps->n; i++) {
        Step *s = q->steps->at[i];
        if (s->kind == STEP_nest && shape_equal(&s->nest->domain, &domain))
            return i;
    }
    Step *s = step_add(q, STEP_nest);
    s->nest = NEW(q->k->arena, Nest);
    s->nest->id = q->k->nnest++;
    s->nest->domain = domain;
    s->nest->span = span;
    return q->steps->n - 1;
}

static void lower_item(Seq *q, Node *n)
{
    int at = nest_for(q, shape_inner(&n->shape), bound_of_inputs(q, n), n->span);
    Nest *nest = q->steps->at[at]->nest;
    NodeInfo *info = INFO(n);
    info->nest = nest;
    info->step = at;
    info->seq = q->steps;
    info->local = nest->nodes.n;
    list_push(q->k->arena, &nest->nodes, n);
    if (op_info[n->op].kind != KIND_map || !nest->name)
        nest->name = node_label(n);
    for (int i = 0; i < n->nin; i++)
        touch(q, nest, n->in[i], reads_same_index(n, i));
    if (info->place.buffer) { /* it has a home already: a stack of its loop */
        Store s = {n, info->place, -1, dim_int(0), 1};
        list_push(q->k->arena, &nest->stores, s);
    }
}

/* Stores a value into a place, by the nest that makes it where that can be.
 * Returns the step's index. */
static int place_store(Seq *q, Node *value, Place to, int axis, Dim start, int step)
{
    Shape domain = shape_inner(&value->shape);
    int at = nest_for(q, domain, bound_of(q, value, true), value->span);
    Nest *nest = q->steps->at[at]->nest;
    touch(q, nest, value, true);
    Store s = {value, to, axis, start, step};
    list_push(q->k->arena, &nest->stores, s);
    if (!nest->name)
        nest->name = node_label(value);
    return at;
}

/* concat and pad: the pieces are stored where they belong. */
static void lower_pieces(Seq *q, Node *n)
{
    NodeInfo *info = INFO(n);
    bool lanes = info->cls == CLASS_row;
    if (!info->place.buffer)
        info->place.buffer = buffer_new(q->k, lanes ? MEM_worker : MEM_shared, n->dtype, lanes,
                                        shape_inner(&n->shape), node_label(n));
    int lead = shape_has_batch(&n->shape) ? 1 : 0;
    int axis = (int)attr_int(n, ATTR_axis, 0) - lead, last = 0;
    if (n->op == OP_pad) {
        Step *zero = step_add(q, STEP_zero);
        zero->place = info->place;
        zero->name = node_label(n);
        /* The pieces must come after it: a nest that stands earlier will not do. */
        Node *x = n->in[0];
        Step *s = step_add(q, STEP_nest);
        s->nest = NEW(q->k->arena, Nest);
        s->nest->id = q->k->nnest++;
        s->nest->domain = shape_inner(&x->shape);
        s->nest->span = n->span;
        s->nest->name = node_label(n);
        touch(q, s->nest, x, true);
        Store st = {x, info->place, axis, attr_get(n, ATTR_start)->u.dim,
                    (int)attr_int(n, ATTR_step, 1)};
        list_push(q->k->arena, &s->nest->stores, st);
        last = q->steps->n - 1;
    } else {
        Dim start = dim_int(0);
        for (int i = 0; i < n->nin; i++) {
            int at = place_store(q, n->in[i], info->place, axis, start, 1);
            last = at > last ? at : last;
            int64_t extent, sum;
            if (dim_const(n->in[i]->shape.d[axis + lead], &extent) && dim_const(start, &sum))
                start = dim_int(sum + extent);
            else if (i + 1 < n->nin)
                why(q->k, n, "joining tensors along an axis of run-time length");
        }
    }
    info->step = last;
    info->seq = q->steps;
}

/* ---- rows in and out ---- */

static void lower_input(Seq *q, Node *n)
{
    Kernel *k = q->k;
    Role role = (Role)attr_int(n, ATTR_role, 0);
    NodeInfo *info = INFO(n);
    int port = port_of(k, role, attr_str(n, ATTR_name), n, false);
    if (info->cls == CLASS_row) {
        info->place.buffer =
            buffer_new(k, MEM_worker, n->dtype, true, shape_inner(&n->shape), node_label(n));
        Step *s = step_add(q, STEP_load);
        s->place = info->place;
        s->port = port;
        s->outside = port_buffer(k, port);
        s->name = attr_str(n, ATTR_name);
        info->seq = q->steps;
        info->step = q->steps->n - 1;
    } else {
        info->place.buffer = port_buffer(k, port);
    }
}

/* ---- products over the batch ---- */

/* The operand of rows whose last axis, of known extent, is the output's last and
 * which the other operand does not have: it lies across the vector lanes, transposed to [row][index].
 * -1: there is none. */
static int batch_vector_operand(const Node *n)
{
    Contract c;
    contract_of(n, &c);
    int last = c.nout - 1, acc = attr_int(n, ATTR_acc, 0) != 0;
    int64_t extent;
    if (last < 1)
        return -1;
    for (int o = 1; o >= 0; o--) {
        const Shape *s = &n->in[acc + o]->shape;
        if (!shape_has_batch(s) || !dim_const(s->d[s->rank - 1], &extent))
            continue;
        int rank = c.term[0].rank[o], has = 0;
        if (rank < 2 || c.term[0].axis[o][rank - 1] != last || c.term[0].axis[o][0] == last)
            continue;
        for (int i = 0; i < c.term[0].rank[!o]; i++)
            has |= c.term[0].axis[!o][i] == last;
        if (!has)
            return o;
    }
    return -1;
}

/* The operand with its last axis and the block's rows exchanged, made once. */
static Place transposed(Seq *q, Node *x)
{
    Kernel *k = q->k;
    for (int i = 0; i < q->steps->n; i++) {
        Step *s = q->steps->at[i];
        if (s->kind == STEP_transpose && s->node == x)
            return s->place;
    }
    Shape inner = shape_inner(&x->shape), shape = inner;
    shape.rank++;
    shape.d[inner.rank] = inner.d[inner.rank - 1];
    shape.d[inner.rank - 1] = dim_int(BLOCK_ROWS);
    Buffer *b = buffer_new(k, MEM_worker, x->dtype, false, shape, "across");
    b->pad_last = true;
    Step *s = step_add(q, STEP_transpose);
    s->node = x;
    s->place = (Place){b, SLOT_only, -1, false, dim_int(0)};
    s->name = node_label(x);
    return s->place;
}

static void lower_batch_contract(Seq *q, Node *n)
{
    Kernel *k = q->k;
    NodeInfo *info = INFO(n);
    bool acc = attr_int(n, ATTR_acc, 0) != 0;
    if (acc) {
        Node *from = kernel_base(n->in[0]);
        if (!INFO(from)->place.buffer)
            need_buffer(k, from);
        info->place = INFO(from)->place;
        info->place.slot = SLOT_only;
    } else {
        info->place.buffer =
            buffer_new(k, MEM_shard, n->dtype, false, shape_inner(&n->shape), node_label(n));
    }
    for (int i = acc; i < n->nin; i++)
        touch(q, NULL, n->in[i], false);
    if (!acc) {
        Step *zero = step_add(q, STEP_zero);
        zero->place = info->place;
        zero->name = node_label(n);
    }
    Place across = {0};
    int vector = batch_vector_operand(n);
    if (vector >= 0)
        across = transposed(q, n->in[vector + acc]);
    Step *s = step_add(q, STEP_batch);
    s->node = n;
    s->across = across;
    s->vector = vector;
    s->place = info->place;
    s->name = node_label(n);
    info->seq = q->steps;
    info->step = q->steps->n - 1;
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
    while (is_view(n))
        n = n->in[0];
    const Attr *value = n->op == OP_const ? attr_get(n, ATTR_value) : NULL;
    return value && value->u.f == 0;
}

static void scan_carry_in(Seq *q, Node *in, Node *init, int loop)
{
    Kernel *k = q->k;
    NodeInfo *info = INFO(in);
    Shape inner = shape_inner(&in->shape);
    if (info->cls == CLASS_shard) { /* a sum goes on where it lies */
        if (INFO(kernel_base(init))->place.buffer) {
            info->place = INFO(kernel_base(init))->place;
            return;
        }
        if (!is_zero(init))
            why(k, init, "a sum over the batch that starts at something but zero");
        info->place.buffer = buffer_new(k, MEM_shard, in->dtype, false, inner, "partial");
        Step *zero = step_add(q, STEP_zero);
        zero->place = info->place;
        zero->name = "partial";
        return;
    }
    Buffer *b = buffer_new(k, MEM_worker, in->dtype, true, inner, "carry");
    b->slots = 2;
    place_store(q, init, (Place){b, SLOT_first, -1, false, dim_int(0)}, -1, dim_int(0), 1);
    info->place = (Place){b, SLOT_now, loop, false, dim_int(0)};
}

/* Stacked outputs get their home before the body is lowered, so that their
 * values are stored there and nowhere else. */
static Buffer *stack_for(Seq *q, const Node *scan, Node *value, int loop)
{
    Shape inner = shape_inner(&value->shape);
    Dim length = attr_get(scan, ATTR_length)->u.dim;
    Buffer *b = buffer_new(q->k, MEM_worker, value->dtype, true, stack_shape(length, &inner),
                           node_label(value));
    NodeInfo *info = INFO(value);
    bool own = value->op != OP_input && !is_view(value) && !is_leaf(value) &&
               info->cls == CLASS_row && value->op != OP_result && value->op != OP_scan;
    if (own && !info->place.buffer)
        info->place = (Place){b, SLOT_only, loop, true, dim_int(0)};
    return b;
}

static void lower_scan(Seq *q, Node *n)
{
    Kernel *k = q->k;
    Graph *body = n->body;
    int ncarry = (int)attr_int(n, ATTR_ncarry, 0), loop = k->nloop++;
    int nstack = body->outputs.n - ncarry;
    classify_body(k, n, q->phase, loop);
    for (int i = 0; i < ncarry; i++)
        scan_carry_in(q, body->inputs.at[i], n->in[i], loop);
    Buffer **stack = NEW_ARRAY(k->arena, Buffer *, nstack + 1);
    for (int i = 0; i < nstack; i++)
        stack[i] = stack_for(q, n, body->outputs.at[ncarry + i].node, loop);

    Step *s = NEW(k->arena, Step); /* appended when its body has been lowered */
    s->kind = STEP_loop;
    s->loop = loop;
    s->place.loop = -1;
    s->extent = attr_get(n, ATTR_length)->u.dim;
    s->reverse = attr_int(n, ATTR_reverse, 0) != 0;
    s->name = node_label(n);
    Seq inner = {k, (Steps *)&s->body, q->phase, true};
    for (int i = 0; i < body->nodes.n && !k->why; i++)
        lower_node(&inner, body->nodes.at[i]);
    for (int i = 0; i < ncarry && !k->why; i++) {
        const NodeInfo *in = INFO(body->inputs.at[i]);
        Node *next = body->outputs.at[i].node;
        if (in->cls == CLASS_shard) {
            if (INFO(kernel_base(next))->place.buffer != in->place.buffer)
                why(k, next, "a sum over the batch that is more than a sum of products");
            continue;
        }
        place_store(&inner, next, (Place){in->place.buffer, SLOT_next, loop, false, dim_int(0)},
                    -1, dim_int(0), 1);
    }
    for (int i = 0; i < nstack && !k->why; i++) {
        Node *value = body->outputs.at[ncarry + i].node;
        if (INFO(value)->place.buffer != stack[i])
            place_store(&inner, value, (Place){stack[i], SLOT_only, loop, true, dim_int(0)}, -1,
                        dim_int(0), 1);
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
    if (carry->cls != CLASS_shard) {
        info->place.slot = SLOT_final;
        info->place.extent = attr_get(scan, ATTR_length)->u.dim;
    }
}

/* ---- nodes ---- */

static void lower_literal(Kernel *k, Node *n)
{
    Buffer *b = buffer_new(k, MEM_shared, n->dtype, false, shape_inner(&n->shape), "literal");
    b->literal = n;
    INFO(n)->place.buffer = b;
}

static void lower_node(Seq *q, Node *n)
{
    NodeInfo *info = INFO(n);
    Kernel *k = q->k;
    if (info->outer || (n->op != OP_input && info->cls == CLASS_host) || is_leaf(n) || is_view(n))
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
        if (!q->rows || phase_of(n, CLASS_row) != q->phase)
            bug("a scan outside of a row phase");
        lower_scan(q, n);
        return;
    case OP_result:
        lower_result(q, n);
        return;
    case OP_batch_contract:
        lower_batch_contract(q, n);
        return;
    case OP_orthogonal:
    case OP_scatter_add:
        why(k, n, "this operation runs in the interpreter only");
        return;
    default:
        if (n->op == OP_sum_shards && q->rows)
            why(k, n, "a sum over the batch inside a loop over time");
        else if (info->cls == CLASS_shard)
            why(k, n, "arithmetic on partial sums of the batch");
        else if (n->op == OP_tensor)
            lower_literal(k, n);
        else
            lower_item(q, n);
    }
}

/* ---- outputs ---- */

static bool is_persistent(Role r)
{
    return r == ROLE_param || r == ROLE_slot || r == ROLE_buffer || r == ROLE_grad;
}

static Seq seq_of_phase(Kernel *k, int phase)
{
    while (k->phases.n <= phase) {
        Phase *p = NEW(k->arena, Phase);
        p->rows = k->phases.n & 1;
        list_push(k->arena, &k->phases, p);
    }
    return (Seq){k, (Steps *)&k->phases.at[phase]->steps, phase, phase & 1};
}

static bool nest_reads(const Nest *nest, const Node *input)
{
    for (int i = 0; i < nest->nodes.n; i++)
        for (int j = 0; j < nest->nodes.at[i]->nin; j++)
            if (kernel_base(nest->nodes.at[i]->in[j]) == input)
                return true;
    for (int i = 0; i < nest->stores.n; i++)
        if (kernel_base(nest->stores.at[i].value) == input)
            return true;
    return false;
}

/* May the new value of a port overwrite the old one in the nest that makes it?
 * Not when another nest of the phase reads the old one, or the loss is made
 * there: the loss decides whether anything is updated. */
static bool in_place(const Kernel *k, const Phase *last, const Nest *nest, const Node *input)
{
    if (nest->domain.rank == 0)
        return false;
    for (int i = 0; input && i < last->steps.n; i++) {
        const Step *s = last->steps.at[i];
        if (s->kind == STEP_nest && s->nest != nest && nest_reads(s->nest, input))
            return false;
    }
    (void)k;
    return true;
}

static void lower_persistent(Kernel *k, const Graph *g, int last, const Output *o, bool early)
{
    Seq q = seq_of_phase(k, last);
    Place to = {port_buffer(k, port_of(k, o->role, o->name, o->node, true)), SLOT_only, -1, false,
                dim_int(0)};
    const NodeInfo *info = INFO(o->node);
    const Node *input = graph_find_input(g, o->role, o->name);
    bool direct = info->nest && info->seq == q.steps &&
                  in_place(k, k->phases.at[last], info->nest, input);
    if (direct != early)
        return;
    Store s = {o->node, to, -1, dim_int(0), 1};
    if (direct) {
        list_push(k->arena, &info->nest->stores, s);
        return;
    }
    Step *step = step_add(&q, STEP_nest); /* of its own, behind all others */
    step->nest = NEW(k->arena, Nest);
    step->nest->id = k->nnest++;
    step->nest->domain = shape_inner(&o->node->shape);
    step->nest->span = o->node->span;
    step->nest->name = o->name;
    touch(&q, step->nest, o->node, true);
    list_push(k->arena, &step->nest->stores, s);
}

static void lower_output(Kernel *k, const Output *o)
{
    NodeInfo *info = INFO(kernel_base(o->node));
    int port = port_of(k, o->role, o->name, o->node, true);
    int phase = shape_has_batch(&o->node->shape) ? (info->phase | 1) : (info->phase + 1) & ~1;
    Seq q = seq_of_phase(k, phase);
    if (!shape_has_batch(&o->node->shape)) {
        Place to = {port_buffer(k, port), SLOT_only, -1, false, dim_int(0)};
        place_store(&q, o->node, to, -1, dim_int(0), 1);
        if (o->role == ROLE_loss)
            k->loss_port = port;
        return;
    }
    Place from = info->place;
    if (kernel_base(o->node) != o->node || !info->nest || info->cls != CLASS_row || from.loop >= 0) {
        Buffer *b = buffer_new(k, MEM_worker, o->node->dtype, true, shape_inner(&o->node->shape),
                               o->name);
        from = (Place){b, SLOT_only, -1, false, dim_int(0)};
        place_store(&q, o->node, from, -1, dim_int(0), 1);
    } else {
        touch(&q, NULL, o->node, false);
        from = info->place;
    }
    Step *s = step_add(&q, STEP_store);
    s->place = from;
    s->port = port;
    s->outside = port_buffer(k, port);
    s->name = o->name;
}

/* ---- levels of a parameter phase ---- */

static int step_level(const Step *s, const Steps *steps, int least)
{
    int level = least;
    if (s->kind != STEP_nest)
        return level;
    const Nest *nest = s->nest;
    for (int i = 0; i < nest->nodes.n + nest->stores.n; i++) {
        const Node *const stored = i >= nest->nodes.n ? nest->stores.at[i - nest->nodes.n].value : NULL;
        const Node *n = stored ? stored : nest->nodes.at[i];
        for (int j = stored ? -1 : 0; j < (stored ? 0 : n->nin); j++) {
            const NodeInfo *in = INFO(kernel_base(stored ? (Node *)stored : n->in[j]));
            if (in->seq != steps || in->nest == nest || in->cls == CLASS_host)
                continue;
            int behind = steps->at[in->step]->level + 1;
            level = behind > level ? behind : level;
        }
    }
    return level;
}

static bool writes_port(const Kernel *k, const Nest *nest, bool loss)
{
    for (int i = 0; i < nest->stores.n; i++) {
        const Buffer *b = nest->stores.at[i].to.buffer;
        if (b->port >= 0 && (loss ? b->port == k->loss_port
                                  : is_persistent(k->ports.at[b->port].role)))
            return true;
    }
    return false;
}

/* What overwrites the caller's memory waits for the loss; a copy of its own
 * waits for all else. Two rounds: the loss's level is known after the first. */
static void set_levels(Kernel *k, Phase *p, int number)
{
    int loss = -1, most = 0;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < p->steps.n; i++) {
            Step *s = p->steps.at[i];
            bool update = s->kind == STEP_nest && writes_port(k, s->nest, false);
            bool copy = update && s->nest->nodes.n == 0;
            int least = update && loss >= 0 ? loss + 1 : 0;
            if (copy && most + 1 > least)
                least = most + 1;
            if (i > 0 && p->steps.at[i - 1]->kind == STEP_zero && p->steps.at[i - 1]->level >= least)
                least = p->steps.at[i - 1]->level + 1;
            s->level = step_level(s, (Steps *)&p->steps, least);
            if (s->kind == STEP_nest && writes_port(k, s->nest, true))
                loss = s->level;
            if (!copy && s->level > most)
                most = s->level;
            if (s->level + 1 > p->nlevel)
                p->nlevel = s->level + 1;
        }
    }
    if (loss >= 0) {
        k->loss_phase = number;
        k->loss_level = loss;
    }
}

/* ---- flat nests ---- */

static bool is_flat_operand(const Nest *nest, const Node *n)
{
    const NodeInfo *info = INFO(n);
    if (info->cls == CLASS_host || (n->shape.rank == 0 && info->cls == CLASS_param))
        return true;
    if (n->op == OP_broadcast)
        return is_flat_operand(nest, n->in[0]) && n->in[0]->shape.rank == 0;
    Shape inner = shape_inner(&n->shape);
    if (info->cls == CLASS_row) /* of a loop that no row takes part in: it lies in lanes */
        return false;
    return !is_view(n) && !is_leaf(n) && shape_equal(&inner, &nest->domain);
}

static bool is_flat(const Nest *nest)
{
    int64_t count;
    if (nest->domain.rank == 0 || !shape_count(&nest->domain, 0, &count))
        return false;
    for (int i = 0; i < nest->nodes.n; i++) {
        const Node *n = nest->nodes.at[i];
        if (op_info[n->op].kind != KIND_map && n->op != OP_sum_shards)
            return false;
        for (int j = 0; j < n->nin; j++)
            if (!is_flat_operand(nest, n->in[j]))
                return false;
    }
    for (int i = 0; i < nest->stores.n; i++)
        if (nest->stores.at[i].axis >= 0 || !is_flat_operand(nest, nest->stores.at[i].value))
            return false;
    return true;
}

Kernel *kernel_lower(Arena *a, Graph *g)
{
    Kernel *k = NEW(a, Kernel);
    k->arena = a;
    k->graph = g;
    k->loss_port = -1;
    k->real = DT_f32;
    for (int i = 0; i < g->nodes.n; i++)
        if (g->nodes.at[i]->dtype == DT_f64 && shape_has_batch(&g->nodes.at[i]->shape))
            k->real = DT_f64;
    classify(k, g);
    int last = 0;
    for (int i = 0; i < g->nodes.n && !k->why; i++) {
        Node *n = g->nodes.at[i];
        Seq q = seq_of_phase(k, INFO(n)->phase);
        if (INFO(n)->cls != CLASS_host && INFO(n)->phase > last)
            last = INFO(n)->phase;
        lower_node(&q, n);
    }
    last = (last + 1) & ~1;
    seq_of_phase(k, last);
    for (int i = 0; i < g->outputs.n && !k->why; i++)
        if (!is_persistent(g->outputs.at[i].role))
            lower_output(k, &g->outputs.at[i]);
    for (int early = 1; early >= 0; early--)
        for (int i = 0; i < g->outputs.n && !k->why; i++)
            if (is_persistent(g->outputs.at[i].role))
                lower_persistent(k, g, last, &g->outputs.at[i], early);
    for (int i = 0; i < k->phases.n; i++) {
        Phase *p = k->phases.at[i];
        if (p->rows)
            continue;
        set_levels(k, p, i);
        for (int j = 0; j < p->steps.n; j++)
            if (p->steps.at[j]->kind == STEP_nest)
                p->steps.at[j]->nest->flat = is_flat(p->steps.at[j]->nest);
    }
    if (!k->why)
        kernel_lifetimes(k);
    return k;
}
