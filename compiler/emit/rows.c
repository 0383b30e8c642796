/* Rows in and out of a block, zeroing, and the exchange of rows and features. */
#include "emit/emit.h"

#include <string.h>

static Ix inner_count(Emit *e, const Shape *s)
{
    Ix count = ix_const(1);
    for (int i = 0; i < s->rank; i++)
        count = ix_scale(e, count, ix_dim(e, s->d[i]));
    return count;
}

static V element_at(Emit *e, LLVMTypeRef t, V base, V index)
{
    return LLVMBuildInBoundsGEP2(e->b, t, base, &index, 1, "");
}

/* Copies `count` elements, whole vectors first. */
static void copy_elements(Emit *e, LLVMTypeRef t, V from, V to, V count)
{
    enum { ELEMENTS = 16 };
    LLVMTypeRef vector = LLVMVectorType(t, ELEMENTS);
    V whole = LLVMBuildAnd(e->b, count, const_i64(e, -ELEMENTS), "");
    Loop l;
    V i = loop_begin(e, &l, const_i64(e, 0), whole, ELEMENTS, NULL, 0);
    store_plain(e, load_plain(e, vector, element_at(e, t, from, i)), element_at(e, t, to, i));
    loop_end(e, &l, NULL);
    i = loop_begin(e, &l, whole, count, 1, NULL, 0);
    store_plain(e, load_plain(e, t, element_at(e, t, from, i)), element_at(e, t, to, i));
    loop_end(e, &l, NULL);
}

/* One row between the caller's memory and its place in a block of columns. */
static void copy_row(Emit *e, const Place *p, V outside, V row, bool in)
{
    Shape shape = place_shape(p);
    LLVMTypeRef t = type_memory(e, p->buffer->dtype);
    int outer = p->buffer->outer - p->stacked > 0;
    Shape rest = {.rank = shape.rank - outer};
    memcpy(rest.d, shape.d + outer, sizeof(Dim) * (size_t)rest.rank);
    V count = ix_value(e, inner_count(e, &rest)), steps = const_i64(e, 1);
    if (outer)
        steps = dim_emit(e, shape.d[0]);
    Loop l;
    e->row = ix_of(row);
    V s = loop_begin(e, &l, const_i64(e, 0), steps, 1, NULL, 0);
    Ix index[RANK_MOST] = {{0}};
    if (outer)
        index[0] = ix_of(s);
    V here = at_offset(e, t, place_base(e, p), place_linear(e, p, index, false));
    V there = element_at(e, t, outside, LLVMBuildMul(e->b, s, count, ""));
    copy_elements(e, t, in ? there : here, in ? here : there, count);
    loop_end(e, &l, NULL);
}

/* Where row r of the block comes from: sample order[row0 + r], if the batch has an order; rows
 * beyond the batch are copies of its last. */
static V row_source(Emit *e, const Step *s, V r, V count)
{
    LLVMTypeRef t = type_memory(e, s->place.buffer->dtype);
    V from = frame_pointer(e, FRAME_buffer + s->outside->id), n = frame_word(e, FRAME_n);
    V row = LLVMBuildAdd(e->b, frame_word(e, FRAME_row0), r, "");
    V last = LLVMBuildSub(e->b, n, const_i64(e, 1), "");
    row = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, row, last, ""), row, last, "");
    if (e->k->ports.at[s->port].role == ROLE_data) {
        V order = frame_pointer(e, FRAME_order);
        V null = LLVMBuildICmp(e->b, LLVMIntEQ, order, LLVMConstNull(e->ptr), "");
        V some = LLVMBuildSelect(e->b, null, frame_pointer(e, FRAME_lengths), order, "");
        V zero = LLVMBuildSelect(e->b, null, const_i64(e, 0), row, "");
        V sample = load_plain(e, e->index, element_at(e, e->i64, some, zero));
        row = LLVMBuildSelect(e->b, null, row, sample, "");
    }
    return element_at(e, t, from, LLVMBuildMul(e->b, row, count, ""));
}

/* Elements [from, to) of `rows` rows of the block from row r on, one after the other. */
static void scatter_row(Emit *e, const Step *s, const V *source, int rows, V r, V from, V to)
{
    LLVMTypeRef t = type_memory(e, s->place.buffer->dtype);
    V target = element_at(e, t, frame_pointer(e, FRAME_buffer + s->place.buffer->id), r);
    Loop l;
    V f = loop_begin(e, &l, from, to, 1, NULL, 0);
    V at = LLVMBuildMul(e->b, f, const_i64(e, e->k->block), "");
    for (int i = 0; i < rows; i++)
        store_plain(e, load_plain(e, t, element_at(e, t, source[i], f)),
                    at_offset(e, t, target, (Ix){at, i, 0}));
    loop_end(e, &l, NULL);
}

/* As many rows as a vector has lanes, as many elements of them at a time. */
static void exchange_rows(Emit *e, const Step *s, V r, V count)
{
    LLVMTypeRef t = type_memory(e, s->place.buffer->dtype);
    LLVMTypeRef vector = LLVMVectorType(t, (unsigned)e->width);
    V target = element_at(e, t, frame_pointer(e, FRAME_buffer + s->place.buffer->id), r);
    V source[64], row[64], whole = LLVMBuildAnd(e->b, count, const_i64(e, -e->width), "");
    for (int i = 0; i < e->width; i++)
        source[i] = row_source(e, s, LLVMBuildAdd(e->b, r, const_i64(e, i), ""), count);
    Loop l;
    V f = loop_begin(e, &l, const_i64(e, 0), whole, e->width, NULL, 0);
    for (int i = 0; i < e->width; i++)
        row[i] = load_plain(e, vector, element_at(e, t, source[i], f));
    exchange_emit(e, row);
    V at = LLVMBuildMul(e->b, f, const_i64(e, e->k->block), "");
    for (int i = 0; i < e->width; i++)
        store_plain(e, row[i], at_offset(e, t, target, (Ix){at, (int64_t)i * e->k->block, 0}));
    loop_end(e, &l, NULL);
    scatter_row(e, s, source, e->width, r, whole, count);
}

/* The batch's gather. Bytes stay bytes. */
V rows_load_emit(Emit *e, const Step *s)
{
    const Buffer *b = s->place.buffer;
    if (!function_begin(e, step_name(e->arena, s), MODE_scalar, false))
        return e->fn;
    V count = ix_value(e, inner_count(e, &b->shape));
    int64_t known = LLVMIsConstant(count) ? LLVMConstIntGetSExtValue(count) : e->width;
    bool exchanged = !e->k->columns && e->width > 1 && known >= e->width && !e->target->small;
    Loop rows;
    V most = e->k->columns ? frame_word(e, FRAME_rows) : const_i64(e, e->k->block);
    V r = loop_begin(e, &rows, const_i64(e, 0), most, exchanged ? e->width : 1, NULL, 0);
    if (exchanged) {
        exchange_rows(e, s, r, count);
    } else {
        V source = row_source(e, s, r, count);
        if (e->k->columns)
            copy_row(e, &s->place, source, r, true);
        else
            scatter_row(e, s, &source, 1, r, const_i64(e, 0), count);
    }
    loop_end(e, &rows, NULL);
    function_end(e);
    return e->fn;
}

V rows_store_emit(Emit *e, const Step *s)
{
    const Buffer *b = s->place.buffer;
    if (!function_begin(e, step_name(e->arena, s), MODE_scalar, false))
        return e->fn;
    LLVMTypeRef t = type_memory(e, b->dtype);
    Shape shape = place_shape(&s->place);
    V count = ix_value(e, inner_count(e, &shape)), from = place_base(e, &s->place);
    V to = frame_pointer(e, FRAME_buffer + s->outside->id);
    V row0 = frame_word(e, FRAME_row0);
    Loop rows, features;
    V r = loop_begin(e, &rows, const_i64(e, 0), frame_word(e, FRAME_rows), 1, NULL, 0);
    V target = element_at(e, t, to, LLVMBuildMul(e->b, LLVMBuildAdd(e->b, row0, r, ""), count, ""));
    if (e->k->columns) {
        copy_row(e, &s->place, target, r, false);
        loop_end(e, &rows, NULL);
        function_end(e);
        return e->fn;
    }
    V source = element_at(e, t, from, r);
    V f = loop_begin(e, &features, const_i64(e, 0), count, 1, NULL, 0);
    V at = LLVMBuildMul(e->b, f, const_i64(e, e->k->block), "");
    store_plain(e, load_plain(e, t, element_at(e, t, source, at)), element_at(e, t, target, f));
    loop_end(e, &features, NULL);
    loop_end(e, &rows, NULL);
    function_end(e);
    return e->fn;
}

/* ---- zeros ---- */

static void zero_elements(Emit *e, LLVMTypeRef t, V base, V count)
{
    V whole = LLVMBuildAnd(e->b, count, const_i64(e, -(int64_t)e->width), "");
    Loop l;
    V i = loop_begin(e, &l, const_i64(e, 0), whole, e->width, NULL, 0);
    store_plain(e, LLVMConstNull(type_lanes(e, t)), element_at(e, t, base, i));
    loop_end(e, &l, NULL);
    i = loop_begin(e, &l, whole, count, 1, NULL, 0);
    store_plain(e, LLVMConstNull(t), element_at(e, t, base, i));
    loop_end(e, &l, NULL);
}

/* Zeroes the indices [from, to) along an axis, with all that is behind it. */
static void zero_run(Emit *e, const Place *p, Ix *index, int axis, V from, V to)
{
    Shape shape = place_shape(p);
    LLVMTypeRef t = type_memory(e, p->buffer->dtype);
    bool one_by_one = axis == 0 && p->buffer->outer - p->stacked > 0;
    Ix rest = ix_const(p->buffer->lanes && !e->k->columns ? e->k->block : 1);
    for (int i = axis + 1; i < shape.rank; i++) {
        rest = ix_scale(e, rest, ix_dim(e, shape.d[i]));
        index[i] = ix_const(0);
    }
    Loop l;
    if (one_by_one) { /* rows of the block stand between the indices */
        from = loop_begin(e, &l, from, to, 1, NULL, 0);
        to = LLVMBuildAdd(e->b, from, const_i64(e, 1), "");
    }
    index[axis] = ix_of(from);
    V count = LLVMBuildMul(e->b, LLVMBuildSub(e->b, to, from, ""), ix_value(e, rest), "");
    zero_elements(e, t, place_at(e, p, place_linear(e, p, index, false)), count);
    if (one_by_one)
        loop_end(e, &l, NULL);
}

/* What lies around the cuts from `at` on, for the index of the axes before theirs. */
static void zero_around(Emit *e, const Step *s, Ix *index, int axis, int at)
{
    Loop l;
    if (at == s->ncut)
        return;
    const Cut *c = &s->cut[at];
    Shape shape = place_shape(&s->place);
    if (axis < c->axis) {
        V i = loop_begin(e, &l, const_i64(e, 0), dim_emit(e, shape.d[axis]), 1, NULL, 0);
        index[axis] = ix_of(i);
        zero_around(e, s, index, axis + 1, at);
        loop_end(e, &l, NULL);
        return;
    }
    V start = dim_emit(e, c->start), size = dim_emit(e, c->size), all = dim_emit(e, shape.d[axis]);
    V reach = LLVMBuildSub(e->b, size, const_i64(e, 1), "");
    V step = const_i64(e, c->step < 0 ? -c->step : c->step);
    reach = LLVMBuildMul(e->b, reach, step, "");
    if (c->step < 0)
        start = LLVMBuildSub(e->b, start, reach, "");
    zero_run(e, &s->place, index, axis, const_i64(e, 0), start);
    V i = loop_begin(e, &l, const_i64(e, 0), size, 1, NULL, 0);
    V here = LLVMBuildAdd(e->b, start, LLVMBuildMul(e->b, i, step, ""), "");
    index[axis] = ix_of(here);
    zero_around(e, s, index, axis + 1, at + 1);
    if (c->step != 1 && c->step != -1) {
        V next = LLVMBuildAdd(e->b, here, step, "");
        V less = LLVMBuildICmp(e->b, LLVMIntSLT, next, all, "");
        zero_run(e, &s->place, index, axis, LLVMBuildAdd(e->b, here, const_i64(e, 1), ""),
                 LLVMBuildSelect(e->b, less, next, all, ""));
    }
    loop_end(e, &l, NULL);
    V end = LLVMBuildAdd(e->b, LLVMBuildAdd(e->b, start, reach, ""), const_i64(e, 1), "");
    zero_run(e, &s->place, index, axis, end, all);
}

static void zero_padding(Emit *e, const Step *s)
{
    Ix index[RANK_MOST] = {{0}};
    Loop l;
    bool rows = s->place.buffer->lanes && e->k->columns;
    if (rows)
        e->row = ix_of(loop_begin(e, &l, const_i64(e, 0), frame_word(e, FRAME_rows), 1, NULL, 0));
    zero_around(e, s, index, 0, 0);
    if (rows)
        loop_end(e, &l, NULL);
}

V zero_emit(Emit *e, const Step *s)
{
    const Buffer *b = s->place.buffer;
    if (!function_begin(e, step_name(e->arena, s), MODE_flat, false))
        return e->fn;
    if (s->ncut) {
        zero_padding(e, s);
        function_end(e);
        return e->fn;
    }
    Shape shape = place_shape(&s->place);
    Ix elements = inner_count(e, &shape);
    if (b->lanes)
        elements = ix_scale(e, elements, ix_const(e->k->rows));
    V count = ix_value(e, elements), base = place_base(e, &s->place);
    if (b->mem == MEM_shard) { /* later blocks of the shard go on */
        V first = LLVMBuildICmp(e->b, LLVMIntNE, frame_word(e, FRAME_first), const_i64(e, 0), "");
        count = LLVMBuildSelect(e->b, first, count, const_i64(e, 0), "");
    }
    zero_elements(e, type_memory(e, b->dtype), base, count);
    function_end(e);
    return e->fn;
}

/* ---- exchange of rows and features ---- */

/* Blocks off the diagonal change places, of half the width, then a quarter, ...
 * (Eklundh 1972). */
void exchange_emit(Emit *e, V *row)
{
    for (int d = e->width / 2; d > 0; d /= 2) {
        V low[64], high[64];
        for (int i = 0; i < e->width; i++) {
            low[i] = LLVMConstInt(e->i32, (unsigned)(i & d ? e->width + i - d : i), 0);
            high[i] = LLVMConstInt(e->i32, (unsigned)(i & d ? e->width + i : i + d), 0);
        }
        V low_mask = LLVMConstVector(low, (unsigned)e->width);
        V high_mask = LLVMConstVector(high, (unsigned)e->width);
        for (int i = 0; i < e->width; i++) {
            if (i & d)
                continue;
            V a = row[i], b = row[i + d];
            row[i] = LLVMBuildShuffleVector(e->b, a, b, low_mask, "");
            row[i + d] = LLVMBuildShuffleVector(e->b, a, b, high_mask, "");
        }
    }
}

/* One group of `width` features and one part of the rows. Features beyond the
 * last are copies of it: their lanes are masked where the result is used. */
static void exchange_group(Emit *e, const Step *s, const Ix *index, V m, V part, int64_t extent)
{
    int rank = shape_inner(&s->node->shape).rank;
    Shape to = s->place.buffer->shape;
    V row[64], row0 = LLVMBuildMul(e->b, part, const_i64(e, e->width), "");
    Ix at[RANK_MOST + 2];
    memcpy(at, index, sizeof(Ix) * (size_t)rank);
    e->part_offset = row0;
    for (int i = 0; i < e->width; i++) {
        V feature = LLVMBuildAdd(e->b, m, const_i64(e, i), "");
        if (extent % e->width) {
            V last = const_i64(e, extent - 1);
            V inside = LLVMBuildICmp(e->b, LLVMIntSLT, feature, last, "");
            feature = LLVMBuildSelect(e->b, inside, feature, last, "");
        }
        at[rank - 1] = ix_of(feature);
        row[i] = value_at(e, s->node, at);
    }
    e->part_offset = NULL;
    exchange_emit(e, row);
    if (s->place.buffer->strips) {
        at[rank - 1] = ix_of(LLVMBuildUDiv(e->b, m, const_i64(e, PANEL_WIDTH), ""));
        m = LLVMBuildURem(e->b, m, const_i64(e, PANEL_WIDTH), "");
        rank++;
    }
    for (int i = 0; i < e->width; i++) {
        at[rank - 1] = (Ix){row0, i, 0};
        at[rank] = ix_of(m);
        Ix linear = ix_linear(e, &to, at, buffer_last(e, s->place.buffer));
        V base = place_base(e, &s->place);
        store_plain(e, row[i], at_offset(e, type_memory(e, s->node->dtype), base, linear));
    }
}

static void exchange_axes(Emit *e, const Step *s, Ix *index, int axis)
{
    Shape shape = shape_inner(&s->node->shape);
    Loop l;
    if (axis + 1 < shape.rank) {
        V i = loop_begin(e, &l, const_i64(e, 0), dim_emit(e, shape.d[axis]), 1, NULL, 0);
        index[axis] = ix_of(i);
        exchange_axes(e, s, index, axis + 1);
        loop_end(e, &l, NULL);
        return;
    }
    int64_t extent = 0;
    if (!dim_const(shape.d[axis], &extent))
        bug("an operand across the lanes has an extent known only at run time");
    Loop parts;
    V m = loop_begin(e, &l, const_i64(e, 0), const_i64(e, extent), e->width, NULL, 0);
    V part = loop_begin(e, &parts, const_i64(e, 0), const_i64(e, e->parts), 1, NULL, 0);
    exchange_group(e, s, index, m, part, extent);
    loop_end(e, &parts, NULL);
    loop_end(e, &l, NULL);
}

V transpose_emit(Emit *e, const Step *s)
{
    if (!function_begin(e, step_name(e->arena, s), MODE_lanes, true))
        return e->fn;
    Ix index[RANK_MOST + 1] = {{0}};
    exchange_axes(e, s, index, 0);
    function_end(e);
    return e->fn;
}
