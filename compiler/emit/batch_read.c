/* Products over the batch: how rows of their operands are read. */
#include "emit/batch.h"

#include <string.h>

Node *batch_operand(const Batch *b, int o)
{
    return b->n->in[o + (attr_int(b->n, ATTR_acc, 0) != 0)];
}

/* The index of operand o's axes behind N. */
static void operand_index(Emit *e, const Batch *b, int o, Ix *at)
{
    int skip = shape_has_batch(&batch_operand(b, o)->shape);
    for (int i = skip; i < b->c.term[0].rank[o]; i++) {
        const ContractAxis *axis = &b->c.term[0].axis[o][i];
        at[i - skip] = ix_const(0);
        for (int k = 0; k < axis->n; k++)
            at[i - skip] = ix_add(e, at[i - skip],
                                  ix_scale(e, b->label[axis->label[k]], ix_const(axis->coef[k])));
    }
}

V batch_element(Emit *e, const Batch *b, int o, V row)
{
    Ix at[RANK_MOST + 1] = {{0}}, outside[RANK_MOST + 1];
    bool is_linear;
    Node *x = batch_operand(b, o);
    operand_index(e, b, o, at);
    if (e->k->columns) {
        e->row = ix_of(row);
        return value_at(e, x, at);
    }
    memcpy(outside, at, sizeof at);
    Node *base = value_base(e, x, at, &is_linear);
    const NodeInfo *info = INFO(base);
    if (is_row_number(base)) {
        /* the rows' numbers: here of one row */
        V number = LLVMBuildAdd(e->b, frame_word(e, FRAME_row0), row, "");
        return cast_emit(e, DT_i32, base->dtype, LLVMBuildTrunc(e->b, number, e->i32, ""));
    }
    if (!info->place.buffer || !info->place.buffer->lanes)
        return value_at(e, x, outside);
    Shape shape = shape_inner(&base->shape);
    Ix linear = is_linear ? at[0] : ix_linear(e, &shape, at, 0);
    linear = ix_add(e, ix_scale(e, linear, ix_const(e->k->block)), ix_of(row));
    LLVMTypeRef t = type_memory(e, base->dtype);
    return load_plain(e, t, at_offset(e, t, place_base(e, &info->place), linear));
}

static V row_scalar(Emit *e, const Batch *b, int o, V row)
{
    int lanes = e->lanes;
    Mode mode = e->mode;
    e->lanes = 1;
    e->mode = MODE_scalar;
    V v = batch_element(e, b, o, row);
    e->lanes = lanes;
    e->mode = mode;
    return v;
}

V batch_splat(Emit *e, const Batch *b, int o, V row)
{
    if (e->k->columns) /* the index has no step: the same for all lanes */
        return batch_element(e, b, o, row);
    return splat(e, row_scalar(e, b, o, row));
}

V batch_splat_pair(Emit *e, const Batch *b, int o, V row, V next)
{
    if (e->k->columns)
        return pair_words(e, batch_element(e, b, o, row), batch_element(e, b, o, next));
    return splat(e, pair_words(e, row_scalar(e, b, o, row), row_scalar(e, b, o, next)));
}

/* The strip of an index, counted as an axis more, and the index in it. A tile of a step with
 * a total does not reach over a strip's end. */
static Ix strip_enter(Emit *e, const Batch *b, Ix m, Ix *strip, int *rank)
{
    V each = const_i64(e, PANEL_WIDTH), from = m.v;
    int64_t c = m.c;
    ++*rank;
    if (!from) {
        *strip = ix_const(c / PANEL_WIDTH);
        return ix_const(c % PANEL_WIDTH);
    }
    if (!b->s->total) {
        from = ix_value(e, m);
        c = 0;
    }
    *strip = ix_of(LLVMBuildUDiv(e->b, from, each, ""));
    return (Ix){LLVMBuildURem(e->b, from, each, ""), c, 0};
}

V batch_vector(Emit *e, const Batch *b, int o, V row, Ix m)
{
    Ix at[RANK_MOST + 2] = {{0}};
    int rank = b->c.term[0].rank[o] - 1;
    operand_index(e, b, o, at);
    if (e->k->columns) {
        int axis = shape_has_batch(&batch_operand(b, o)->shape) ? rank - 1 : rank;
        at[axis] = (Ix){m.v, m.c, 1};
        e->row = ix_of(row);
        return value_at(e, batch_operand(b, o), at);
    }
    const Place *p = &b->s->across[o];
    if (p->buffer->strips)
        m = strip_enter(e, b, m, &at[rank - 1], &rank);
    at[rank - 1] = ix_of(row);
    at[rank] = m;
    Shape shape = p->buffer->shape;
    LLVMTypeRef t = type_memory(e, p->buffer->dtype);
    Ix linear = ix_linear(e, &shape, at, buffer_last(e, p->buffer));
    return load_plain(e, type_lanes(e, t), at_offset(e, t, place_base(e, p), linear));
}
