/* Lowering: outputs, the levels of parameter phases, and which nests are flat. */
#include "kernel/lower.h"

#include <string.h>

/* ---- outputs ---- */

bool lower_is_persistent(Role r)
{
    return r == ROLE_param || r == ROLE_slot || r == ROLE_buffer || r == ROLE_grad;
}

Seq lower_seq(Kernel *k, int phase)
{
    while (k->phases.n <= phase) {
        Phase *p = NEW(k->arena, Phase);
        p->rows = k->phases.n & 1;
        list_push(k->arena, &k->phases, p);
    }
    return (Seq){k, (Steps *)&k->phases.at[phase]->steps, phase, phase & 1, 0};
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

/* Does a nest read an input at another index than its own? */
static bool nest_reads_elsewhere(const Nest *nest, const Node *input)
{
    for (int i = 0; i < nest->nodes.n; i++) {
        const Node *n = nest->nodes.at[i];
        for (int j = 0; j < n->nin; j++)
            if (kernel_base(n->in[j]) == input &&
                (n->in[j] != input || op_info[n->op].kind != KIND_map ||
                 !shape_equal(&input->shape, &nest->domain)))
                return true;
    }
    for (int i = 0; i < nest->stores.n; i++) {
        Node *value = nest->stores.at[i].value;
        if (kernel_base(value) == input && value != input)
            return true;
    }
    return false;
}

/* May the new value of a port overwrite the old one in the nest that makes it?
 * Not when another nest of the phase reads the old one, or this one at another
 * index, or the loss is made there: the loss decides whether anything is updated. */
static bool in_place(const Kernel *k, const Phase *last, const Nest *nest, const Node *input)
{
    if (nest->domain.rank == 0 || (input && nest_reads_elsewhere(nest, input)))
        return false;
    for (int i = 0; input && i < last->steps.n; i++) {
        const Step *s = last->steps.at[i];
        if (s->kind == STEP_nest && s->nest != nest && nest_reads(s->nest, input))
            return false;
    }
    (void)k;
    return true;
}

void lower_persistent(Kernel *k, const Graph *g, int last, const Output *o, bool early)
{
    Seq q = lower_seq(k, last);
    Place to = {lower_port_buffer(k, lower_port(k, o->role, o->name, o->node, true)), SLOT_only, -1,
                false, dim_int(0)};
    const NodeInfo *info = INFO(o->node);
    const Node *input = graph_find_input(g, o->role, o->name);
    bool direct =
        info->nest && info->seq == q.steps && in_place(k, k->phases.at[last], info->nest, input);
    if (direct != early)
        return;
    Store s = {.value = o->node, .to = to};
    if (direct) {
        list_push(k->arena, &info->nest->stores, s);
        return;
    }
    Step *step = lower_step(&q, STEP_nest); /* of its own, behind all others */
    step->nest = NEW(k->arena, Nest);
    step->nest->domain = shape_inner(&o->node->shape);
    step->nest->span = o->node->span;
    step->nest->name = o->name;
    lower_touch(&q, step->nest, o->node, true);
    list_push(k->arena, &step->nest->stores, s);
}

void lower_output(Kernel *k, const Output *o)
{
    NodeInfo *info = INFO(kernel_base(o->node));
    int port = lower_port(k, o->role, o->name, o->node, true);
    int phase = shape_has_batch(&o->node->shape) ? (info->phase | 1) : (info->phase + 1) & ~1;
    Seq q = lower_seq(k, phase);
    if (!shape_has_batch(&o->node->shape)) {
        Place to = {lower_port_buffer(k, port), SLOT_only, -1, false, dim_int(0)};
        lower_place_store(&q, o->node, to, NULL, 0);
        if (o->role == ROLE_loss)
            k->loss_port = port;
        return;
    }
    Place from = info->place;
    if (kernel_base(o->node) != o->node || !info->nest || info->cls != CLASS_row ||
        from.loop >= 0) {
        Buffer *b = lower_buffer(k, MEM_worker, o->node->dtype, true, shape_inner(&o->node->shape),
                                 o->name);
        from = (Place){b, SLOT_only, -1, false, dim_int(0)};
        lower_place_store(&q, o->node, from, NULL, 0);
    } else {
        lower_touch(&q, NULL, o->node, false);
        from = info->place;
    }
    Step *s = lower_step(&q, STEP_store);
    s->place = from;
    s->port = port;
    s->outside = lower_port_buffer(k, port);
    s->name = o->name;
}

/* ---- levels of a parameter phase ---- */

/* The level behind which a node's value is there: several steps may store the
 * pieces of one. */
static int level_of(const NodeInfo *in, const Steps *steps)
{
    int level = steps->at[in->step]->level;
    for (int i = 0; !in->nest && i < in->step; i++) {
        const Step *s = steps->at[i];
        for (int j = 0; s->kind == STEP_nest && j < s->nest->stores.n; j++)
            if (s->nest->stores.at[j].to.buffer == in->place.buffer && s->level > level)
                level = s->level;
    }
    return level;
}

static int step_level(const Step *s, const Steps *steps, int least)
{
    int level = least;
    if (s->kind == STEP_pack || s->kind == STEP_orthogonal) {
        const NodeInfo *in = INFO(kernel_base(s->node->in[0]));
        int behind = in->seq == steps ? level_of(in, steps) + 1 : 0;
        return behind > level ? behind : level;
    }
    if (s->kind != STEP_nest)
        return level;
    const Nest *nest = s->nest;
    for (int i = 0; i < nest->nodes.n + nest->stores.n; i++) {
        const Node *const stored =
            i >= nest->nodes.n ? nest->stores.at[i - nest->nodes.n].value : NULL;
        const Node *n = stored ? stored : nest->nodes.at[i];
        for (int j = stored ? -1 : 0; j < (stored ? 0 : n->nin); j++) {
            const NodeInfo *in = INFO(kernel_base(stored ? (Node *)stored : n->in[j]));
            if (in->seq != steps || in->nest == nest || in->cls == CLASS_host)
                continue;
            int behind = level_of(in, steps) + 1;
            level = behind > level ? behind : level;
        }
    }
    return level;
}

static bool writes_port(const Kernel *k, const Nest *nest, bool loss)
{
    for (int i = 0; i < nest->stores.n; i++) {
        const Buffer *b = nest->stores.at[i].to.buffer;
        if (b->port >= 0 &&
            (loss ? b->port == k->loss_port : lower_is_persistent(k->ports.at[b->port].role)))
            return true;
    }
    return false;
}

/* What overwrites the caller's memory waits for the loss; a copy of its own
 * waits for all else. Two rounds: the loss's level is known after the first. */
void lower_levels(Kernel *k, Phase *p, int number)
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
            if (i > 0 && p->steps.at[i - 1]->kind == STEP_zero &&
                p->steps.at[i - 1]->level >= least)
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
    return !kernel_is_view(n) && !lower_is_leaf(n) && shape_equal(&inner, &nest->domain);
}

bool lower_is_flat(const Nest *nest)
{
    int64_t count;
    if (nest->domain.rank == 0 || !shape_count(&nest->domain, 0, &count))
        return false;
    for (int i = 0; i < nest->nodes.n; i++) {
        const Node *n = nest->nodes.at[i];
        if (INFO(n)->whole)
            continue;
        if (op_info[n->op].kind != KIND_map && n->op != OP_sum_shards && n->op != OP_random)
            return false;
        for (int j = 0; j < n->nin; j++)
            if (!is_flat_operand(nest, n->in[j]))
                return false;
    }
    for (int i = 0; i < nest->stores.n; i++)
        if (nest->stores.at[i].ncut || !is_flat_operand(nest, nest->stores.at[i].value))
            return false;
    return true;
}
