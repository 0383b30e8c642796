/* The gradient of a gather, summed into a table: each call owns a range of the
 * table's rows and walks over all indices of the batch in their order, so that
 * no sum depends on who made it (output-stationary). */
#include "emit/emit.h"

#include <string.h>

typedef struct {
    const Node *n;
    Node *which, *value;
    Shape rows, inner; /* of the indices; of a table's row */
    V table, low, high, row;
    V block;           /* rows of the batch in a block */
    Ix index[RANK_MOST + 1];
} Scatter;

/* The row's element of a row tensor from a phase that has no block of its own. */
static V batch_element(Emit *e, const Scatter *s, Node *n)
{
    const Ix *index = s->index;
    V row = s->row;
    Ix at[RANK_MOST + 1] = {{0}};
    bool is_linear;
    Shape inner = shape_inner(&n->shape);
    memcpy(at, index, sizeof(Ix) * (size_t)inner.rank);
    Node *base = value_base(e, n, at, &is_linear);
    const Place *p = &INFO(base)->place;
    if (is_row_number(base)) {
        V number = LLVMBuildTrunc(e->b, row, e->i32, "");
        return cast_emit(e, DT_i32, base->dtype, number);
    }
    if (!p->buffer || !p->buffer->lanes)
        return value_at(e, n, index);
    V lane, block = divide_emit(e, row, s->block, &lane);
    V from = LLVMBuildMul(e->b, block, store_bytes_emit(e, p->buffer), "");
    V here = LLVMBuildInBoundsGEP2(e->b, e->i8, place_base(e, p), &from, 1, "");
    LLVMTypeRef t = type_memory(e, base->dtype);
    e->row = ix_of(lane);
    Ix linear = place_linear(e, p, at, is_linear);
    if (!e->k->columns)
        linear = ix_add(e, ix_scale(e, linear, ix_const(e->k->block)), ix_of(lane));
    return load_plain(e, t, at_offset(e, t, here, linear));
}

/* Adds the value at the current index to its row of the table, element by element. */
static void add_row(Emit *e, Scatter *s, V to, int axis)
{
    if (axis < s->inner.rank) {
        Loop l;
        V i = loop_begin(e, &l, const_i64(e, 0), dim_emit(e, s->inner.d[axis]), 1, NULL, 0);
        s->index[s->rows.rank + axis] = ix_of(i);
        add_row(e, s, to, axis + 1);
        loop_end(e, &l, NULL);
        return;
    }
    Ix at[RANK_MOST];
    at[0] = ix_of(to);
    memcpy(at + 1, s->index + s->rows.rank, sizeof(Ix) * (size_t)s->inner.rank);
    Shape shape = shape_inner(&s->n->shape);
    LLVMTypeRef t = type_memory(e, s->n->dtype);
    V p = at_offset(e, t, s->table, ix_linear(e, &shape, at, 0));
    V sum =
        LLVMBuildFAdd(e->b, load_plain(e, t, p), batch_element(e, s, s->value), "");
    store_plain(e, sum, p);
}

static void each_index(Emit *e, Scatter *s, int axis)
{
    Loop l;
    if (axis < s->rows.rank) {
        V i = loop_begin(e, &l, const_i64(e, 0), dim_emit(e, s->rows.d[axis]), 1, NULL, 0);
        s->index[axis] = ix_of(i);
        each_index(e, s, axis + 1);
        loop_end(e, &l, NULL);
        return;
    }
    V to = LLVMBuildSExt(e->b, batch_element(e, s, s->which), e->index, "");
    V zero = const_i64(e, 0),
      last = ix_value(e, ix_add(e, ix_dim(e, s->n->shape.d[0]), ix_const(-1)));
    to = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, to, zero, ""), zero, to, "");
    to = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSGT, to, last, ""), last, to, "");
    V mine = LLVMBuildAnd(e->b, LLVMBuildICmp(e->b, LLVMIntSGE, to, s->low, ""),
                          LLVMBuildICmp(e->b, LLVMIntSLT, to, s->high, ""), "");
    loop_begin(e, &l, zero, LLVMBuildZExt(e->b, mine, e->index, ""), 1, NULL, 0); /* once or not */
    add_row(e, s, to, 0);
    loop_end(e, &l, NULL);
}

V scatter_emit(Emit *e, const Step *step)
{
    if (!function_begin(e, step_name(e->arena, step), MODE_scalar,
                        true))
        return e->fn;
    Scatter s = {.n = step->node, .which = step->node->in[0], .value = step->node->in[1]};
    s.rows = shape_inner(&s.which->shape);
    Shape table = shape_inner(&s.n->shape);
    s.inner = table;
    s.inner.rank--;
    memmove(s.inner.d, table.d + 1, sizeof(Dim) * (size_t)s.inner.rank);
    s.block = block_rows_emit(e, frame_word(e, FRAME_n));
    s.table = place_base(e, &step->place);
    V rows = dim_emit(e, table.d[0]), unit = frame_word(e, FRAME_unit);
    V parts = const_i64(e, SCATTER_PARTS), next = LLVMBuildAdd(e->b, unit, const_i64(e, 1), "");
    s.low = LLVMBuildUDiv(e->b, LLVMBuildMul(e->b, rows, unit, ""), parts, "");
    s.high = LLVMBuildUDiv(e->b, LLVMBuildMul(e->b, rows, next, ""), parts, "");
    Ix width = ix_const(1);
    for (int i = 0; i < s.inner.rank; i++)
        width = ix_scale(e, width, ix_dim(e, s.inner.d[i]));
    V from = LLVMBuildMul(e->b, s.low, ix_value(e, width), "");
    V to = LLVMBuildMul(e->b, s.high, ix_value(e, width), "");
    LLVMTypeRef t = type_memory(e, s.n->dtype);
    Loop l;
    V i = loop_begin(e, &l, from, to, 1, NULL, 0);
    store_plain(e, LLVMConstNull(t), at_offset(e, t, s.table, ix_of(i)));
    loop_end(e, &l, NULL);
    s.row = loop_begin(e, &l, const_i64(e, 0), frame_word(e, FRAME_n), 1, NULL, 0);
    each_index(e, &s, 0);
    loop_end(e, &l, NULL);
    function_end(e);
    return e->fn;
}
