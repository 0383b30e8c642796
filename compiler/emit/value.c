/* The value of a node at an index.
 *
 * Views change the index, the edges of a loop body lead outside with the loop's
 * t in front, storage is loaded, what the nest computes comes from its memo,
 * and leaves are made on the spot.
 */
#include "emit/emit.h"

#include <string.h>

enum { KEY_host = 3000, KEY_row };

/* Operand i of n, at n's index: axes aligned on the right, extent 1 is read at 0. */
void index_of_operand(Emit *e, const Node *n, int i, const Ix *index, Ix *out)
{
    (void)e;
    Shape to = shape_inner(&n->in[i]->shape), from = shape_inner(&n->shape);
    int skip = from.rank - to.rank;
    for (int j = 0; j < to.rank; j++)
        out[j] = dim_is(to.d[j], 1) && !dim_is(from.d[j + skip], 1) ? ix_const(0) : index[j + skip];
}

/* Axes equal at either end keep their index; those between are counted through. False, with
 * `out` not set, where rows lie in the lanes and that would divide: a plain offset will do. */
static bool through_reshape(Emit *e, const Shape *from, const Shape *to, const Ix *index, Ix *out)
{
    int lead = 0, last = 0, least = from->rank < to->rank ? from->rank : to->rank;
    while (last < least && dim_equal(from->d[from->rank - 1 - last], to->d[to->rank - 1 - last]))
        last++;
    while (lead + last < least && dim_equal(from->d[lead], to->d[lead]))
        lead++;
    Shape a = {.rank = from->rank - lead - last}, b = {.rank = to->rank - lead - last};
    if (b.rank > 1 && !e->k->columns)
        return false;
    memcpy(a.d, from->d + lead, sizeof(Dim) * (size_t)a.rank);
    memcpy(b.d, to->d + lead, sizeof(Dim) * (size_t)b.rank);
    memcpy(out, index, sizeof(Ix) * (size_t)lead);
    if (b.rank)
        ix_unravel(e, &b, ix_linear(e, &a, index + lead, 0), out + lead);
    memcpy(out + to->rank - last, index + from->rank - last, sizeof(Ix) * (size_t)last);
    return true;
}

static void through_view(Emit *e, const Node *n, Ix *index, bool *is_linear, bool to_storage)
{
    const Node *x = n->in[0];
    Shape from = shape_inner(&n->shape), to = shape_inner(&x->shape);
    Ix out[RANK_MOST] = {{0}};
    if (n->op == OP_broadcast) {
        index_of_operand(e, n, 0, index, out);
    } else if (n->op == OP_reshape) {
        if (!through_reshape(e, &from, &to, index, out)) {
            Ix at = ix_linear(e, &from, index, 0);
            if (to_storage) {
                index[0] = at;
                *is_linear = true;
                return;
            }
            ix_unravel(e, &to, at, out);
        }
    } else if (n->op == OP_transpose) {
        const Attr *perm = attr_get(n, ATTR_perm);
        int skip = kernel_lead(n);
        for (int i = 0; i < from.rank; i++)
            out[perm->u.ints[i + skip] - skip] = index[i];
    } else { /* slice */
        int axis = (int)attr_int(n, ATTR_axis, 0) - kernel_lead(n);
        memcpy(out, index, sizeof(Ix) * (size_t)from.rank);
        out[axis] = ix_add(e, ix_dim(e, attr_get(n, ATTR_start)->u.dim),
                           ix_scale(e, index[axis], ix_const(attr_int(n, ATTR_step, 1))));
    }
    memcpy(index, out, sizeof(Ix) * (size_t)to.rank);
}

Node *value_base(Emit *e, Node *n, Ix *index, bool *is_linear)
{
    *is_linear = false;
    for (;;) {
        const NodeInfo *info = INFO(n);
        if (info->outer) {
            if (info->loop >= 0) {
                Shape inner = shape_inner(&n->shape);
                memmove(index + 1, index, sizeof(Ix) * (size_t)inner.rank);
                index[0] = ix_of(frame_word(e, FRAME_t + info->loop));
            }
            n = info->outer;
        } else if (kernel_is_view(n)) {
            bool to_storage = n->op == OP_reshape && INFO(n->in[0])->place.buffer &&
                              !(e->nest && INFO(n->in[0])->nest == e->nest);
            through_view(e, n, index, is_linear, to_storage);
            n = n->in[0];
            if (*is_linear)
                return n;
        } else {
            return n;
        }
    }
}

/* Evaluates for each lane on its own what steps cannot express. */
static V by_lanes(Emit *e, Node *n, const Ix *index, V (*value)(Emit *, Node *, const Ix *))
{
    int lanes = e->lanes;
    V mask = e->mask, all = NULL;
    for (int i = 0; i < e->valid; i++) {
        Ix at[RANK_MOST + 1] = {{0}};
        for (int k = 0; k < shape_inner(&n->shape).rank; k++)
            at[k] = (Ix){index[k].v, index[k].c + index[k].step * i, 0};
        e->lanes = 1;
        e->mask = NULL;
        V one = value(e, n, at);
        e->lanes = lanes;
        e->mask = mask;
        all = lanes_insert(e, all, one, i);
    }
    return all;
}

/* ---- leaves ---- */

/* The row's number in the batch; rows beyond the last are copies of it. */
static V column_row(Emit *e)
{
    V row = LLVMBuildAdd(e->b, frame_word(e, FRAME_row0), ix_value(e, e->row), "");
    V last = LLVMBuildSub(e->b, frame_word(e, FRAME_n), const_i64(e, 1), "");
    row = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, row, last, ""), row, last, "");
    return splat(e, LLVMBuildTrunc(e->b, row, e->i32, ""));
}

/* Those of a part's rows; rows beyond the last are copies of it. */
static V lane_rows(Emit *e, int first, V offset)
{
    V n = frame_word(e, FRAME_n), row0 = frame_word(e, FRAME_row0), lane[64];
    if (offset)
        row0 = LLVMBuildAdd(e->b, row0, offset, "");
    for (int i = 0; i < e->width; i++)
        lane[i] = LLVMConstInt(e->i32, (unsigned)(i + first), 0);
    V at = LLVMBuildAdd(e->b, LLVMConstVector(lane, (unsigned)e->width),
                        splat(e, LLVMBuildTrunc(e->b, row0, e->i32, "")), "");
    V last = splat(e, LLVMBuildTrunc(e->b, LLVMBuildSub(e->b, n, const_i64(e, 1), ""), e->i32, ""));
    return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, at, last, ""), at, last, "");
}

bool is_row_number(const Node *n)
{
    return n->op == OP_row || (n->op == OP_iota && shape_has_batch(&n->shape) &&
                               attr_int(n, ATTR_axis, 0) == 0);
}

V row_number(Emit *e)
{
    if (e->mode == MODE_columns)
        return column_row(e);
    if (e->part_offset) /* a part that is known only at run time */
        return lane_rows(e, 0, e->part_offset);
    V rows = entry_find(e, NULL, NULL, e->part, KEY_row);
    if (rows)
        return rows;
    Elsewhere back = entry_enter(e, MODE_lanes);
    rows = lane_rows(e, e->part * e->width, NULL);
    entry_leave(e, back);
    return entry_keep(e, NULL, NULL, e->part, KEY_row, rows);
}

/* Consecutive or otherwise evenly spaced numbers across the lanes. */
static V from_steps(Emit *e, Dtype dt, Ix at)
{
    V lane[64];
    for (int i = 0; i < e->width; i++)
        lane[i] = LLVMConstInt(e->i32, (unsigned long long)(at.step * i), 1);
    at.step = 0;
    V first = splat(e, LLVMBuildTrunc(e->b, ix_value(e, at), e->i32, ""));
    V all = LLVMBuildAdd(e->b, first, LLVMConstVector(lane, (unsigned)e->width), "");
    return cast_emit(e, DT_i32, dt, all);
}

static V from_index(Emit *e, Dtype dt, Ix at)
{
    if (at.step && e->lanes > 1)
        return from_steps(e, dt, at);
    if (!at.v)
        return const_value(e, dt, (double)at.c);
    V v = ix_value(e, at);
    int lanes = e->lanes;
    e->lanes = 1;
    v = dtype_is_float(dt) ? LLVMBuildSIToFP(e->b, v, type_memory(e, dt), "")
                           : LLVMBuildTrunc(e->b, v, type_memory(e, dt), "");
    e->lanes = lanes;
    return splat(e, v);
}

static V random_emit(Emit *e, Node *n, const Ix *index)
{
    Ix none[RANK_MOST] = {{0}};
    Shape inner = shape_inner(&n->shape);
    V seed = value_at(e, n->in[0], none), step = value_at(e, n->in[1], none);
    V key = const_value(e, DT_i32, (double)(int32_t)attr_int(n, ATTR_key, 0));
    if (n->nin > 2) {
        V golden = const_value(e, DT_i32, (double)(int32_t)0x9E3779B9);
        key = LLVMBuildAdd(e->b, key, LLVMBuildMul(e->b, golden, value_at(e, n->in[2], none), ""),
                           "");
    }
    Ix count = ix_const(1), at = e->mode == MODE_flat ? (Ix){index[0].v, index[0].c, 1}
                                                      : ix_linear(e, &inner, index, 0);
    V counter = from_index(e, DT_i32, at);
    if (shape_has_batch(&n->shape)) {
        for (int i = 0; i < inner.rank; i++)
            count = ix_scale(e, count, ix_dim(e, inner.d[i]));
        V per_row = splat(e, LLVMBuildTrunc(e->b, ix_value(e, count), e->i32, ""));
        counter = LLVMBuildAdd(e->b, counter, LLVMBuildMul(e->b, row_number(e), per_row, ""), "");
    }
    V word = threefry_emit(e, seed, step, counter, key);
    V top = LLVMBuildLShr(e->b, word, const_value(e, DT_i32, 8), "");
    V real = LLVMBuildUIToFP(e->b, top, type_value(e, n->dtype), "");
    return LLVMBuildFMul(e->b, real, const_value(e, n->dtype, 0x1p-24), "");
}

/* ---- host scalars ---- */

static V host_compute(Emit *e, Node *n)
{
    if (INFO(n)->outer)
        return value_host(e, INFO(n)->outer);
    if (n->op == OP_const) {
        return const_value(e, n->dtype, attr_get(n, ATTR_value)->u.f);
    }
    if (n->op == OP_dim) {
        V d = dim_emit(e, attr_get(n, ATTR_dim)->u.dim);
        return LLVMBuildSIToFP(e->b, d, e->f64, "");
    }
    if (n->op == OP_input) {
        V p = frame_pointer(e, FRAME_buffer + INFO(n)->place.buffer->id);
        return memory_to_value(e, n->dtype, load_plain(e, type_memory(e, n->dtype), p));
    }
    V in[3];
    for (int i = 0; i < n->nin; i++)
        in[i] = value_host(e, n->in[i]);
    return map_emit(e, n, in);
}

V value_host(Emit *e, Node *n)
{
    V v = entry_find(e, n, NULL, 0, KEY_host);
    if (v)
        return v;
    Elsewhere back = entry_enter(e, MODE_scalar);
    v = host_compute(e, n);
    entry_leave(e, back);
    return entry_keep(e, n, NULL, 0, KEY_host, v);
}

/* ---- reductions within a sample, or over a parameter ---- */

/* The index in the operand from the kept axes' index and a position in the
 * reduced ones. */
static void index_of_reduced(Emit *e, const Node *n, const Ix *index, Ix at, Ix *out)
{
    const Node *x = n->in[0];
    Shape inner = shape_inner(&x->shape), reduced = {0};
    bool is_reduced[RANK_MOST] = {false};
    const Attr *axes = attr_get(n, ATTR_axes);
    int naxes = axes ? axes->n : 1;
    for (int i = 0; i < naxes; i++) {
        int64_t axis = (axes ? axes->u.ints[i] : attr_int(n, ATTR_axis, 0)) - kernel_lead(x);
        is_reduced[axis] = true;
        reduced.d[reduced.rank++] = inner.d[axis];
    }
    Ix part[RANK_MOST];
    ix_unravel(e, &reduced, at, part);
    for (int i = 0, k = 0, r = 0; i < inner.rank; i++)
        out[i] = is_reduced[i] ? part[r++] : index[k++];
}

static Ix reduced_count(Emit *e, const Node *n)
{
    const Node *x = n->in[0];
    const Attr *axes = attr_get(n, ATTR_axes);
    int naxes = axes ? axes->n : 1;
    Ix count = ix_const(1);
    for (int i = 0; i < naxes; i++)
        count = ix_scale(e, count,
                         ix_dim(e, x->shape.d[axes ? axes->u.ints[i] : attr_int(n, ATTR_axis, 0)]));
    return count;
}

static V reduced_value(Emit *e, Node *n, const Ix *index, Ix at)
{
    Ix in[RANK_MOST];
    index_of_reduced(e, n, index, at, in);
    return value_at(e, n->in[0], in);
}

static V add_emit(Emit *e, const Node *n, V a, V b)
{
    return dtype_is_float(n->dtype) ? LLVMBuildFAdd(e->b, a, b, "") : LLVMBuildAdd(e->b, a, b, "");
}

/* Sum: 16 interleaved partials that start at +0, then the tree. A full group
 * of 16 is 16 independent additions. */
static V reduce_sum_emit(Emit *e, Node *n, const Ix *index)
{
    enum { PARTIALS = 16 };
    V acc[PARTIALS];
    for (int i = 0; i < PARTIALS; i++)
        acc[i] = const_value(e, n->dtype, 0);
    Ix count = reduced_count(e, n);
    V sum = e->mode == MODE_columns ? columns_sum(e, n, index, count, reduced_value) : NULL;
    if (sum)
        return sum;
    int64_t done = 0;
    if (count.v || count.c >= 2 * PARTIALS) {
        V whole = count.v ? LLVMBuildAnd(e->b, count.v, const_i64(e, -PARTIALS), "")
                          : const_i64(e, count.c & -PARTIALS);
        Loop l;
        V i = loop_begin(e, &l, const_i64(e, 0), whole, PARTIALS, acc, PARTIALS);
        for (int j = 0; j < PARTIALS; j++) {
            V x = reduced_value(e, n, index, (Ix){i, j, 0});
            acc[j] = add_emit(e, n, acc[j], x);
        }
        loop_end(e, &l, acc);
        done = count.v ? 0 : count.c & -PARTIALS;
        for (int j = 0; count.v && j < PARTIALS; j++) { /* a run-time rest */
            V at = LLVMBuildAdd(e->b, whole, const_i64(e, j), "");
            V more = LLVMBuildICmp(e->b, LLVMIntSLT, at, count.v, "");
            Loop once;
            V end =
                LLVMBuildSelect(e->b, more, LLVMBuildAdd(e->b, at, const_i64(e, 1), ""), at, "");
            V k = loop_begin(e, &once, at, end, 1, &acc[j], 1);
            acc[j] = add_emit(e, n, acc[j], reduced_value(e, n, index, ix_of(k)));
            loop_end(e, &once, &acc[j]);
        }
    }
    for (int64_t i = done; !count.v && i < count.c; i++) {
        V x = reduced_value(e, n, index, ix_const(i));
        acc[i % PARTIALS] = add_emit(e, n, acc[i % PARTIALS], x);
    }
    for (int s = PARTIALS / 2; s > 0; s /= 2)
        for (int j = 0; j < s; j++)
            acc[j] = add_emit(e, n, acc[j], acc[j + s]);
    return acc[0];
}

static V reduce_extreme_emit(Emit *e, Node *n, const Ix *index)
{
    bool is_max = n->op == OP_reduce_max;
    bool real = dtype_is_float(n->dtype);
    V acc = reduced_value(e, n, index, ix_const(0));
    Loop l;
    V i = loop_begin(e, &l, const_i64(e, 1), ix_value(e, reduced_count(e, n)), 1, &acc, 1);
    V x = reduced_value(e, n, index, ix_of(i));
    if (real) {
        acc = vmath_call(e, is_max ? "max" : "min", acc, x);
    } else {
        V keep = LLVMBuildICmp(e->b, is_max ? LLVMIntSGE : LLVMIntSLE, acc, x, "");
        acc = LLVMBuildSelect(e->b, keep, acc, x, "");
    }
    loop_end(e, &l, &acc);
    return acc;
}

static V argmax_emit(Emit *e, Node *n, const Ix *index)
{
    V acc[2] = {reduced_value(e, n, index, ix_const(0)), const_value(e, DT_i32, 0)};
    Loop l;
    V i = loop_begin(e, &l, const_i64(e, 1), ix_value(e, reduced_count(e, n)), 1, acc, 2);
    V x = reduced_value(e, n, index, ix_of(i));
    V above;
    if (dtype_is_float(n->in[0]->dtype)) {
        /* NaN is the greatest: not (x <= acc), unless acc is NaN */
        V greater = LLVMBuildFCmp(e->b, LLVMRealUGT, x, acc[0], "");
        above =
            LLVMBuildAnd(e->b, greater, LLVMBuildFCmp(e->b, LLVMRealORD, acc[0], acc[0], ""), "");
    } else {
        above = LLVMBuildICmp(e->b, LLVMIntSGT, x, acc[0], "");
    }
    acc[0] = LLVMBuildSelect(e->b, above, x, acc[0], "");
    acc[1] = LLVMBuildSelect(e->b, above, from_index(e, DT_i32, ix_of(i)), acc[1], "");
    loop_end(e, &l, acc);
    return acc[1];
}

/* ---- sums over shards ---- */

static V sum_shards_emit(Emit *e, Node *n, const Ix *index)
{
    Node *x = n->in[0];
    const Place *p = &INFO(x)->place;
    Shape inner = shape_inner(&x->shape);
    Ix at = e->mode == MODE_flat ? index[0] : ix_linear(e, &inner, index, 0);
    if (INFO(x)->whole) { /* added up already, of the unit */
        at.v = LLVMBuildSub(e->b, at.v, e->unit_begin, "");
        return load_element(e, p, at);
    }
    V stride = store_bytes_emit(e, p->buffer);
    V base = place_at(e, p, at);
    LLVMTypeRef t = type_value(e, n->dtype);
    V acc = e->mask ? masked_load(e, t, base, e->mask) : load_plain(e, t, base);
    Loop l;
    V s = loop_begin(e, &l, const_i64(e, 1), frame_word(e, FRAME_shards), 1, &acc, 1);
    V offset = LLVMBuildMul(e->b, s, stride, "");
    V from = LLVMBuildInBoundsGEP2(e->b, e->i8, base, &offset, 1, "");
    V part = e->mask ? masked_load(e, t, from, e->mask) : load_plain(e, t, from);
    acc = LLVMBuildFAdd(e->b, acc, part, "");
    loop_end(e, &l, &acc);
    return acc;
}

/* ---- gather ---- */

static V gather_emit(Emit *e, Node *n, const Ix *index);

/* The row of the table is the same for all lanes, which are elements of it; else
 * lane by lane. */
static V gather_columns(Emit *e, Node *n, const Ix *index)
{
    int lanes = e->lanes, rank = shape_inner(&n->in[1]->shape).rank;
    bool apart = false;
    for (int i = 0; i < rank; i++)
        apart |= index[i].step != 0;
    if (apart)
        return by_lanes(e, n, index, gather_emit);
    V mask = e->mask;
    Ix in[RANK_MOST + 1], last = ix_dim(e, shape_inner(&n->in[0]->shape).d[0]);
    e->lanes = 1;
    e->mask = NULL;
    V at = LLVMBuildSExt(e->b, value_at(e, n->in[1], index), e->index, "");
    V zero = const_i64(e, 0), most = ix_value(e, ix_add(e, last, ix_const(-1)));
    at = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, at, zero, ""), zero, at, "");
    at = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSGT, at, most, ""), most, at, "");
    e->lanes = lanes;
    e->mask = mask;
    in[0] = ix_of(at);
    memcpy(in + 1, index + rank, sizeof(Ix) * (size_t)(n->in[0]->shape.rank - 1));
    return value_at(e, n->in[0], in);
}

static V gather_emit(Emit *e, Node *n, const Ix *index)
{
    Node *table = n->in[0], *which = n->in[1];
    Shape rows = shape_inner(&which->shape), t = shape_inner(&table->shape);
    if (e->mode == MODE_columns && e->lanes > 1)
        return gather_columns(e, n, index);
    V at = value_at(e, which, index);
    /* Data are checked when read; what is computed is kept inside the table. */
    V zero = const_value(e, DT_i32, 0),
      last = from_index(e, DT_i32, ix_add(e, ix_dim(e, t.d[0]), ix_const(-1)));
    at = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, at, zero, ""), zero, at, "");
    at = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSGT, at, last, ""), last, at, "");
    V acc = NULL;
    V lane[64];
    int lanes = e->lanes;
    Mode mode = e->mode;
    for (int i = 0; i < lanes; i++) {
        V one = lanes == 1
                    ? at
                    : LLVMBuildExtractElement(e->b, at, LLVMConstInt(e->i32, (unsigned)i, 0), "");
        Ix in[RANK_MOST];
        in[0] = ix_of(LLVMBuildSExt(e->b, one, e->index, ""));
        memcpy(in + 1, index + rows.rank, sizeof(Ix) * (size_t)(t.rank - 1));
        e->mode = MODE_scalar;
        e->lanes = 1;
        lane[i] = value_at(e, table, in);
        e->mode = mode;
        e->lanes = lanes;
    }
    if (lanes == 1)
        return lane[0];
    acc = LLVMGetPoison(type_value(e, n->dtype));
    for (int i = 0; i < lanes; i++)
        acc = LLVMBuildInsertElement(e->b, acc, lane[i], LLVMConstInt(e->i32, (unsigned)i, 0), "");
    return acc;
}

/* ---- any node ---- */

V value_compute(Emit *e, Node *n, const Ix *index)
{
    switch (n->op) {
    case OP_const: return const_value(e, n->dtype, attr_get(n, ATTR_value)->u.f);
    case OP_dim: return splat(e, value_host(e, n));
    case OP_row: return row_number(e);
    case OP_iota: {
        int axis = (int)attr_int(n, ATTR_axis, 0) - kernel_lead(n);
        return axis < 0 ? cast_emit(e, DT_i32, n->dtype, row_number(e))
                        : from_index(e, n->dtype, index[axis]);
    }
    case OP_random: return random_emit(e, n, index);
    case OP_reduce_sum: return reduce_sum_emit(e, n, index);
    case OP_reduce_max:
    case OP_reduce_min: return reduce_extreme_emit(e, n, index);
    case OP_argmax: return argmax_emit(e, n, index);
    case OP_sum_shards: return sum_shards_emit(e, n, index);
    case OP_gather: return gather_emit(e, n, index);
    case OP_words: return words_emit(e, n, index);
    default: break;
    }
    V in[3];
    for (int i = 0; i < n->nin; i++) {
        Ix at[RANK_MOST] = {{0}};
        if (e->mode == MODE_flat)
            at[0] = index[0];
        else
            index_of_operand(e, n, i, index, at);
        in[i] = value_at(e, n->in[i], at);
    }
    return map_emit(e, n, in);
}

/* In flat mode every tensor of the nest's shape is read at the flat index, and
 * what has rank 0 at none. */
static V value_flat(Emit *e, Node *n, const Ix *index)
{
    while (n->op == OP_broadcast)
        n = n->in[0];
    const NodeInfo *info = INFO(n);
    if (n->op == OP_const)
        return const_value(e, n->dtype, attr_get(n, ATTR_value)->u.f);
    if (info->cls == CLASS_host)
        return splat(e, value_host(e, n));
    if (e->nest && info->nest == e->nest)
        return e->memo[info->local * e->points + e->point];
    if (n->shape.rank > 0)
        return load_element(e, &info->place, index[0]);
    V mask = e->mask;
    Mode mode = e->mode;
    Ix none[RANK_MOST] = {{0}};
    e->mode = MODE_scalar; /* one element, the same for all lanes; perhaps through views */
    e->mask = NULL;
    V v = value_at(e, n, none);
    e->mode = mode;
    e->mask = mask;
    return v;
}

static V value_regular(Emit *e, Node *n, const Ix *index)
{
    Ix at[RANK_MOST + 1] = {{0}};
    Shape inner = shape_inner(&n->shape);
    memcpy(at, index, sizeof(Ix) * (size_t)inner.rank);
    bool is_linear;
    n = value_base(e, n, at, &is_linear);
    const NodeInfo *info = INFO(n);
    if (info->cls == CLASS_host) {
        if (n->op == OP_const)
            return const_value(e, n->dtype, attr_get(n, ATTR_value)->u.f);
        return splat(e, value_host(e, n));
    }
    if (e->nest && info->nest == e->nest && !is_linear)
        return e->memo[info->local * e->points + e->point];
    if (info->again)
        return value_compute(e, n, at);
    if (info->place.buffer) {
        Place p = info->place;
        return load_element(e, &p, place_linear(e, &p, at, is_linear));
    }
    if (op_info[n->op].kind == KIND_leaf)
        return value_compute(e, n, at);
    bug("node %d (%s) has no storage and is not computed here", n->id, op_info[n->op].name);
}

V value_at(Emit *e, Node *n, const Ix *index)
{
    if (e->mode == MODE_flat)
        return value_flat(e, n, index);
    if (e->mode != MODE_columns || e->lanes == 1)
        return value_regular(e, n, index);
    bool before = e->irregular;
    e->irregular = false;
    V v = value_regular(e, n, index);
    bool apart = e->irregular;
    e->irregular = before;
    return apart ? by_lanes(e, n, index, value_regular) : v;
}
