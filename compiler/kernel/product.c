/* Lowering: products over the batch.
 *
 * A shard's partial sum is made by the row phase, block after block, and added to the others
 * by a parameter phase. Where a partial sum is larger than what it is made of, it is not
 * stored at all: the operands of the whole batch are, and the nest that adds the shards up
 * makes the product itself, a few rows of the result at a time (NodeInfo.whole). */
#include "kernel/lower.h"

#include <string.h>

/* Is the output's last axis the last of operand o, of known extent? Then it can
 * lie across the vector lanes, transposed to [row][index]. */
static bool can_lie_across(const Node *n, const Contract *c, int o)
{
    int last = c->nout - 1, acc = attr_int(n, ATTR_acc, 0) != 0, rank = c->term[0].rank[o];
    const Shape *s = &n->in[acc + o]->shape;
    int64_t extent;
    return last >= 1 && rank >= 2 && shape_has_batch(s) && dim_const(s->d[s->rank - 1], &extent) &&
           axis_label(&c->term[0].axis[o][rank - 1]) == last;
}

/* The operand of a batch product whose last axis lies across the lanes: the other
 * one has no such axis, or lies across as well. -1: there is none. */
static int batch_vector_operand(const Node *n)
{
    Contract c;
    contract_of(n, &c);
    for (int o = 1; o >= 0; o--)
        if (can_lie_across(n, &c, o) &&
            (can_lie_across(n, &c, !o) || !contract_has(&c, 0, !o, c.nout - 1)))
            return o;
    return -1;
}

/* The operand with its last axis and the block's rows exchanged, made once; in strips where
 * tiles read it from there, strip after strip. */
static Place transposed(Seq *q, Node *x, bool strips)
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
    shape.d[inner.rank - 1] = dim_int(k->block);
    int64_t last = 0;
    if (strips && dim_const(shape.d[inner.rank], &last)) {
        shape.d[inner.rank - 1] = dim_int((last + PANEL_WIDTH - 1) / PANEL_WIDTH);
        shape.d[shape.rank - 1] = dim_int(k->block);
        shape.d[shape.rank++] = dim_int(PANEL_WIDTH);
    }
    Buffer *b = lower_buffer(k, MEM_worker, x->dtype, false, shape, "across");
    b->pad_last = !strips;
    b->strips = strips;
    Step *s = lower_step(q, STEP_transpose);
    s->node = x;
    s->place = (Place){b, SLOT_only, -1, false, dim_int(0)};
    s->name = lower_label(x);
    return s->place;
}

/* Room for some rows of the operand across the lanes, a tile's vectors side by side:
 * where many tiles read the same vectors, they are fetched from far rows once. */
static Buffer *panel_for(Kernel *k, const Node *n, const Contract *c, int vector)
{
    enum { TILES = 64 }; /* elements of the other operand that read each vector, at least */
    Dim extent[LABELS_MOST];
    int64_t reads = 1, count;
    int sums = 0;
    if (vector < 0 || contract_is_affine(c) || contract_has(c, 0, !vector, c->nout - 1))
        return NULL;
    contract_extents(n, c, extent);
    for (int l = 1; l < c->nout - 1; l++) {
        if (contract_has(c, 0, vector, l))
            return NULL;
        reads *= dim_const(extent[l], &count) ? count : TILES;
    }
    for (int l = c->nout; l < c->nlabel; l++)
        sums += c->label[l] != 'n';
    if (sums > 1 || reads < TILES)
        return NULL;
    Shape s = {.rank = 2, .d = {dim_int(PANEL_ROWS), dim_int(PANEL_WIDTH)}};
    return lower_buffer(k, MEM_worker, n->dtype, false, s, "panel");
}

bool lower_is_read_once(const Node *x)
{
    int uses = 0;
    for (int i = 0; i < x->graph->nodes.n; i++)
        for (int j = 0; j < x->graph->nodes.at[i]->nin; j++)
            uses += x->graph->nodes.at[i]->in[j] == x;
    for (int i = 0; i < x->graph->outputs.n; i++)
        uses += x->graph->outputs.at[i].node == x;
    return uses == 1 && (op_info[x->op].kind != KIND_view || lower_is_read_once(x->in[0]));
}

/* ---- over the whole batch at once ---- */

/* The sum over the shards that alone reads n, or null. */
static Node *only_sum(const Node *n)
{
    Node *sum = NULL;
    for (int i = 0; i < n->graph->nodes.n; i++)
        for (int j = 0; j < n->graph->nodes.at[i]->nin; j++)
            if (n->graph->nodes.at[i]->in[j] == n)
                sum = n->graph->nodes.at[i];
    return sum && sum->op == OP_sum_shards && lower_is_read_once(n) ? sum : NULL;
}

/* Is it better to keep the operands of all rows than a partial sum of each shard? Both are
 * written once and read once; a shard has a block's rows at least. */
static bool is_whole(const Seq *q, const Node *n)
{
    enum { LARGE = 1 << 16, WIDEST = 1 << 12 }; /* of the result; of its last axis */
    Contract c;
    Dim extent[LABELS_MOST];
    int64_t rows, last;
    int vector = batch_vector_operand(n);
    contract_of(n, &c);
    contract_extents(n, &c, extent);
    if (q->depth > 0 || n->graph != q->k->graph || attr_int(n, ATTR_acc, 0) || c.nout != 3 ||
        c.term[0].nsum != 1 || vector < 0 || contract_is_affine(&c) ||
        contract_has(&c, 0, !vector, 2) || !dim_const(extent[1], &rows) ||
        !dim_const(extent[2], &last) || q->k->apart[n->id] || !only_sum(n))
        return false;
    return rows * last >= LARGE && last <= WIDEST && rows * last >= (rows + last) * q->k->block;
}

/* The operands that the nest will read stay for the whole batch. */
static void lower_whole(Seq *q, Node *n)
{
    enum { ROOM = 1 }; /* rows more: the last vector may reach over the end */
    Kernel *k = q->k;
    Seq behind = lower_seq(k, q->phase + 1);
    Step *s = NEW(k->arena, Step);
    Shape shape = shape_inner(&n->shape);
    Contract c;
    contract_of(n, &c);
    shape.d[0] = dim_int(UNIT_ROWS + ROOM);
    *s = (Step){.kind = STEP_batch, .loop = -1, .node = n, .fresh = true, .number = -1};
    s->vector = batch_vector_operand(n);
    s->name = lower_label(n);
    s->total = lower_buffer(k, MEM_worker, n->dtype, false, shape, "total");
    Buffer *partial = lower_buffer(k, MEM_worker, n->dtype, false, shape, "partial");
    s->place = (Place){partial, SLOT_only, -1, false, dim_int(0)};
    for (int o = 0; o < 2; o++) {
        bool turned = !k->columns && contract_has(&c, 0, o, c.nout - 1);
        lower_touch(turned ? q : &behind, NULL, n->in[o], false);
        if (turned) {
            s->across[o] = transposed(q, n->in[o], true);
            s->across[o].buffer->mem = MEM_block;
        }
    }
    INFO(n)->place.buffer = s->total;
    INFO(n)->whole = s;
}

void lower_whole_sum(Seq *q, Node *sum)
{
    Node *n = sum->in[0];
    Step *whole = INFO(n)->whole;
    lower_into(q, lower_nest(q, shape_inner(&n->shape), 0, n->span), n);
    whole->name = arena_printf(q->k->arena, "%s_%d", whole->name, n->id);
    lower_item(q, sum);
}

bool kernel_has_whole(const Nest *nest)
{
    for (int i = 0; i < nest->nodes.n; i++)
        if (INFO(nest->nodes.at[i])->whole)
            return true;
    return false;
}

bool lower_splits_whole(Kernel *k)
{
    bool any = false;
    for (int i = 0; i < k->phases.n; i++)
        for (int j = 0; j < k->phases.at[i]->steps.n; j++) {
            const Nest *nest = k->phases.at[i]->steps.at[j]->nest;
            for (int l = 0; nest && !nest->flat && l < nest->nodes.n; l++)
                if (INFO(nest->nodes.at[l])->whole)
                    any = k->apart[nest->nodes.at[l]->id] = true;
        }
    return any;
}

void lower_batch_contract(Seq *q, Node *n)
{
    Kernel *k = q->k;
    NodeInfo *info = INFO(n);
    if (is_whole(q, n)) {
        lower_whole(q, n);
        return;
    }
    bool acc = attr_int(n, ATTR_acc, 0) != 0;
    if (acc) {
        Node *from = kernel_base(n->in[0]);
        if (from->graph != n->graph || !lower_is_read_once(n->in[0]))
            lower_fails(k, n, "a partial sum of the batch that is read twice");
        if (!INFO(from)->place.buffer)
            lower_need_buffer(k, from);
        info->place = INFO(from)->place;
        info->place.slot = SLOT_only;
    } else {
        info->place.buffer =
            lower_buffer(k, MEM_shard, n->dtype, false, shape_inner(&n->shape), lower_label(n));
    }
    for (int i = acc; i < n->nin; i++)
        lower_touch(q, NULL, n->in[i], false);
    Place across[2] = {{0}};
    Contract c;
    contract_of(n, &c);
    bool fresh = !acc && c.term[0].nsum == 1; /* rows alone are summed: a tile is met once */
    if (!acc && !fresh) {
        Step *zero = lower_step(q, STEP_zero);
        zero->place = info->place;
        zero->name = lower_label(n);
    }
    int vector = batch_vector_operand(n);
    for (int o = 0; vector >= 0 && o < 2; o++)
        if (!k->columns && contract_has(&c, 0, o, c.nout - 1))
            across[o] = transposed(q, n->in[o + acc], false);
    Step *s = lower_maker(q, STEP_batch, n);
    s->fresh = fresh;
    memcpy(s->across, across, sizeof across);
    s->vector = vector;
    s->panel = panel_for(k, n, &c, vector);
}

