/* Lowering: buffers, ports, and which nest computes what. A node goes into the
 * first nest of its sequence that has its domain and stands behind everything
 * it reads; what is read at the same index may be made in the same nest. */
#include "kernel/lower.h"

#include <string.h>

/* ---- buffers and ports ---- */

Buffer *lower_buffer(Kernel *k, MemKind mem, Dtype dt, bool lanes, Shape shape, const char *name)
{
    Buffer *b = NEW(k->arena, Buffer);
    *b = (Buffer){.id = k->buffers.n,
                  .mem = mem,
                  .dtype = dt,
                  .lanes = lanes,
                  .shape = shape,
                  .slots = 1,
                  .port = -1,
                  .name = name};
    list_push(k->arena, &k->buffers, b);
    return b;
}

int lower_port(Kernel *k, Role role, const char *name, const Node *n, bool is_output)
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

Buffer *lower_port_buffer(Kernel *k, int port)
{
    for (int i = 0; i < k->buffers.n; i++)
        if (k->buffers.at[i]->port == port)
            return k->buffers.at[i];
    const KernelPort *p = &k->ports.at[port];
    Buffer *b = lower_buffer(k, MEM_port, p->dtype, false, shape_inner(&p->shape), p->name);
    b->port = port;
    return b;
}

Step *lower_step(Seq *q, StepKind kind)
{
    Step *s = NEW(q->k->arena, Step);
    s->kind = kind;
    s->loop = s->place.loop = -1;
    list_push(q->k->arena, q->steps, s);
    return s;
}

/* ---- what is read from where ---- */

int nest_operations(const Nest *nest)
{
    return nest->nodes.n + nest->again.n;
}

Node *nest_operation(const Nest *nest, int i)
{
    return i < nest->nodes.n ? nest->nodes.at[i] : nest->again.at[i - nest->nodes.n];
}

/* Views and the edges of loop bodies are walked through. */
Node *kernel_base(Node *n)
{
    for (;;) {
        if (kernel_is_view(n))
            n = n->in[0];
        else if (INFO(n)->outer)
            n = INFO(n)->outer;
        else
            return n;
    }
}

const char *lower_label(const Node *n)
{
    return n->name ? n->name : op_info[n->op].name;
}

/* Gives a node a buffer, stored by its nest. */
void lower_need_buffer(Kernel *k, Node *n)
{
    NodeInfo *info = INFO(n);
    if (info->place.buffer || info->cls == CLASS_host || lower_is_leaf(n))
        return;
    if (!info->nest)
        bug("node %d (%s) is read but was not lowered", n->id, op_info[n->op].name);
    bool lanes = info->cls == CLASS_row;
    info->place.buffer = lower_buffer(k, lanes ? MEM_worker : MEM_shared, n->dtype, lanes,
                                      shape_inner(&n->shape), lower_label(n));
    Store s = {.value = n, .to = info->place};
    list_push(k->arena, &info->nest->stores, s);
}

bool lower_same_index(const Node *n, int i)
{
    OpKind kind = op_info[n->op].kind;
    if (kind != KIND_map && !(n->op == OP_sum_shards && INFO(n->in[0])->whole))
        return false;
    Shape a = shape_inner(&n->shape), b = shape_inner(&n->in[i]->shape);
    return shape_equal(&a, &b);
}

static void touch_again(Seq *q, Nest *nest, Node *n, bool same_index)
{
    int i = 0;
    while (i < nest->again.n && nest->again.at[i] != n)
        i++;
    if (i == nest->again.n)
        list_push(q->k->arena, &nest->again, n);
    for (i = 0; i < n->nin; i++)
        lower_touch(q, nest, n->in[i], same_index && lower_same_index(n, i));
}

/* Records that a nest (or another step) of sequence q reads n: same_index says
 * that it is read at the nest's own index. */
void lower_touch(Seq *q, Nest *nest, Node *n, bool same_index)
{
    Node *base = kernel_base(n);
    if (base != n)
        same_index = false;
    NodeInfo *info = INFO(base);
    if (same_index && nest && info->nest == nest)
        return;
    if (info->again) {
        touch_again(q, nest, base, same_index);
        return;
    }
    lower_need_buffer(q->k, base);
    if (info->place.buffer && info->cls == CLASS_row && info->phase != q->phase &&
        info->place.buffer->mem == MEM_worker)
        info->place.buffer->mem = MEM_block;
}

/* The first step of q that may read n; steps before it may not. */
int lower_bound(const Seq *q, Node *n, bool same_index)
{
    Node *base = kernel_base(n);
    const NodeInfo *info = INFO(base);
    int least = 0;
    for (int i = 0; info->again && i < base->nin; i++) {
        int b = lower_bound(q, base->in[i], same_index && base == n && lower_same_index(base, i));
        least = b > least ? b : least;
    }
    if (info->again || info->seq != q->steps)
        return least;
    return same_index && base == n && info->nest ? info->step : info->step + 1;
}

static int bound_of_inputs(const Seq *q, const Node *n)
{
    int least = 0;
    for (int i = 0; i < n->nin; i++) {
        int b = lower_bound(q, n->in[i], lower_same_index(n, i));
        if (b > least)
            least = b;
    }
    return least;
}

/* ---- nests ---- */

int lower_nest(Seq *q, Shape domain, int least, Span span)
{
    for (int i = least; i < q->steps->n; i++) {
        Step *s = q->steps->at[i];
        if (s->kind == STEP_nest && shape_equal(&s->nest->domain, &domain))
            return i;
    }
    Step *s = lower_step(q, STEP_nest);
    s->nest = NEW(q->k->arena, Nest);
    s->nest->domain = domain;
    s->nest->span = span;
    return q->steps->n - 1;
}

Nest *lower_into(Seq *q, int at, Node *n)
{
    Nest *nest = q->steps->at[at]->nest;
    NodeInfo *info = INFO(n);
    info->nest = nest;
    info->step = at;
    info->seq = q->steps;
    info->local = nest->nodes.n;
    list_push(q->k->arena, &nest->nodes, n);
    return nest;
}

void lower_item(Seq *q, Node *n)
{
    int at = lower_nest(q, shape_inner(&n->shape), bound_of_inputs(q, n), n->span);
    Nest *nest = lower_into(q, at, n);
    NodeInfo *info = INFO(n);
    if (op_info[n->op].kind != KIND_map || !nest->name)
        nest->name = lower_label(n);
    for (int i = 0; i < n->nin; i++)
        lower_touch(q, nest, n->in[i], lower_same_index(n, i));
    if (info->place.buffer) { /* it has a home already: a stack of its loop */
        Store s = {.value = n, .to = info->place};
        list_push(q->k->arena, &nest->stores, s);
    }
}

/* Stores a value into a place, by the nest that makes it where that can be.
 * Returns the step's index. */
int lower_place_store(Seq *q, Node *value, Place to, const Cut *cut, int ncut)
{
    Shape domain = shape_inner(&value->shape);
    int at = lower_nest(q, domain, lower_bound(q, value, true), value->span);
    Nest *nest = q->steps->at[at]->nest;
    lower_touch(q, nest, value, true);
    Store s = {.value = value, .to = to, .ncut = ncut};
    if (ncut)
        memcpy(s.cut, cut, sizeof *cut * (size_t)ncut);
    list_push(q->k->arena, &nest->stores, s);
    if (!nest->name)
        nest->name = lower_label(value);
    return at;
}

/* ---- concat and pad ---- */

/* Is pad n read by another pad alone, along a later axis? Then the two are one,
 * and its own value is nowhere stored. */
static bool is_inner_pad(const Node *n)
{
    const Node *user = NULL;
    int uses = 0;
    for (int i = 0; i < n->graph->nodes.n; i++)
        for (int j = 0; j < n->graph->nodes.at[i]->nin; j++)
            if (n->graph->nodes.at[i]->in[j] == n) {
                user = n->graph->nodes.at[i];
                uses++;
            }
    for (int i = 0; i < n->graph->outputs.n; i++)
        uses += n->graph->outputs.at[i].node == n;
    return uses == 1 && user && user->op == OP_pad &&
           attr_int(user, ATTR_axis, 0) > attr_int(n, ATTR_axis, 0);
}

/* Stores a value where the cuts say; a row phase's joined tensor part by part,
 * each by the nest that makes it. Returns the last step that stores. */
static int store_pieces(Seq *q, Node *value, Place to, const Cut *cut, int ncut)
{
    if (value->op != OP_concat || (ncut && !q->rows) || ncut == CUTS_MOST)
        return lower_place_store(q, value, to, cut, ncut);
    Cut all[CUTS_MOST];
    int axis = (int)attr_int(value, ATTR_axis, 0), last = 0;
    all[0] = (Cut){axis - (shape_has_batch(&value->shape) ? 1 : 0), 1, dim_int(0), dim_int(0)};
    if (ncut)
        memcpy(all + 1, cut, sizeof *cut * (size_t)ncut);
    for (int i = 0; i < value->nin; i++) {
        all[0].size = value->in[i]->shape.d[axis];
        int at = store_pieces(q, value->in[i], to, all, ncut + 1);
        last = at > last ? at : last;
        int64_t extent, sum;
        if (dim_const(all[0].size, &extent) && dim_const(all[0].start, &sum))
            all[0].start = dim_int(sum + extent);
        else if (i + 1 < value->nin)
            lower_fails(q->k, value, "joining tensors along an axis of run-time length");
    }
    return last;
}

/* Pads: what they put around is zeroed, the rest is stored. */
static int store_pad(Seq *q, Node *n, Place to)
{
    int lead = shape_has_batch(&n->shape) ? 1 : 0, ncut = 0, at = RANK_MOST;
    Cut cut[RANK_MOST];
    Node *x = n;
    do {
        int axis = (int)attr_int(x, ATTR_axis, 0);
        cut[--at] = (Cut){axis - lead, (int)attr_int(x, ATTR_step, 1),
                          attr_get(x, ATTR_start)->u.dim, x->in[0]->shape.d[axis]};
        ncut++;
        x = x->in[0];
    } while (x->op == OP_pad && is_inner_pad(x));
    Step *zero = lower_step(q, STEP_zero);
    zero->place = to;
    zero->name = lower_label(n);
    zero->ncut = ncut;
    memcpy(zero->cut, cut + at, sizeof *cut * (size_t)ncut);
    int behind = q->steps->n - 1;
    if (q->rows) {
        int last = store_pieces(q, x, to, cut + at, ncut);
        return last > behind ? last : behind;
    }
    /* Levels: the step behind a zeroing one waits for it. */
    Step *s = lower_step(q, STEP_nest);
    s->nest = NEW(q->k->arena, Nest);
    s->nest->domain = shape_inner(&x->shape);
    s->nest->span = n->span;
    s->nest->name = lower_label(n);
    lower_touch(q, s->nest, x, true);
    Store st = {.value = x, .to = to, .ncut = ncut};
    memcpy(st.cut, cut + at, sizeof *cut * (size_t)ncut);
    list_push(q->k->arena, &s->nest->stores, st);
    return behind + 1;
}

/* concat and pad: the pieces are stored where they belong. */
void lower_pieces(Seq *q, Node *n)
{
    NodeInfo *info = INFO(n);
    bool lanes = info->cls == CLASS_row;
    if (n->op == OP_pad && is_inner_pad(n))
        return;
    if (!info->place.buffer)
        info->place.buffer = lower_buffer(q->k, lanes ? MEM_worker : MEM_shared, n->dtype, lanes,
                                          shape_inner(&n->shape), lower_label(n));
    info->step = n->op == OP_pad ? store_pad(q, n, info->place)
                                 : store_pieces(q, n, info->place, NULL, 0);
    info->seq = q->steps;
}
