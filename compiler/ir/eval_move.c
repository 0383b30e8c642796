/* Leaves, random numbers, views and gather: values that are looked up, counted
 * or moved. A view is a copy between two nests of loops over elements. */
#include "ir/eval_in.h"
#include "ir/threefry_c.h"

#include <inttypes.h>
#include <string.h>

/* ---- nests ---- */

void eval_strides(int rank, const int64_t *extent, int64_t *stride)
{
    int64_t s = 1;
    for (int i = rank - 1; i >= 0; i--) {
        stride[i] = s;
        s *= extent[i];
    }
}

/* The batch (or shards) leads; the other axes are aligned on the right. */
void eval_align(const Node *operand, const Value *x, const Node *result, const Value *out,
                int64_t *stride)
{
    int64_t own[RANK_MOST];
    bool lead = shape_has_batch(&operand->shape) || shape_has_shards(&operand->shape);
    bool result_lead = shape_has_batch(&result->shape) || shape_has_shards(&result->shape);
    eval_strides(x->rank, x->dim, own);
    for (int i = 0; i < out->rank; i++) {
        int k = i - (out->rank - x->rank);
        if (result_lead && i == 0)
            k = lead ? 0 : -1;
        else if (k < lead)
            k = -1;
        stride[i] = k < 0 || x->dim[k] == 1 ? 0 : own[k];
    }
}

void nest_merge(Nest *n)
{
    int k = 0;
    for (int i = 0; i < n->rank; i++) {
        int64_t extent = n->extent[i], stride = n->stride[i];
        if (extent == 1)
            continue;
        if (k && n->stride[k - 1] == stride * extent) {
            n->extent[k - 1] *= extent;
            n->stride[k - 1] = stride;
        } else {
            n->extent[k] = extent;
            n->stride[k++] = stride;
        }
    }
    if (!k) {
        n->extent[0] = 1;
        n->stride[0] = 0;
        k = 1;
    }
    n->rank = k;
}

bool nest_next(const Nest *n, int rank, int64_t *index, int64_t *offset)
{
    for (int i = rank - 1; i >= 0; i--) {
        *offset += n->stride[i];
        if (++index[i] < n->extent[i])
            return true;
        *offset -= n->stride[i] * n->extent[i];
        index[i] = 0;
    }
    return false;
}

void eval_copy(void *to, int64_t ts, const void *from, int64_t fs, int size, int64_t count)
{
#define COPY(T)                                          \
    for (int64_t i = 0; i < count; i++)                  \
        ((T *)to)[i * ts] = ((const T *)from)[i * fs];   \
    return
    if (ts == 1 && fs == 1) {
        memcpy(to, from, (size_t)(count * size));
        return;
    }
    switch (size) {
    case 1:
        COPY(uint8_t);
    case 2:
        COPY(uint16_t);
    case 4:
        COPY(uint32_t);
    default:
        COPY(uint64_t);
    }
#undef COPY
}

/* Elements of `extent` from one stride to another. */
static void move(int rank, const int64_t *extent, void *to, const int64_t *to_stride,
                 const void *from, const int64_t *from_stride, int size)
{
    Nest a = {.rank = rank}, b = {.rank = rank};
    int64_t at_a[RANK_MOST] = {0}, at_b[RANK_MOST] = {0}, to_at = 0, from_at = 0;
    int64_t count = 1, last = rank - 1, ts = 0, fs = 0;
    for (int i = 0; i < rank; i++) {
        if (!extent[i])
            return;
        a.extent[i] = b.extent[i] = extent[i];
        a.stride[i] = to_stride[i];
        b.stride[i] = from_stride[i];
    }
    if (rank) {
        count = extent[last];
        ts = to_stride[last];
        fs = from_stride[last];
    }
    do {
        eval_copy((char *)to + to_at * size, ts, (const char *)from + from_at * size, fs, size,
                  count);
        nest_next(&a, rank - 1, at_a, &to_at);
    } while (nest_next(&b, rank - 1, at_b, &from_at));
}

/* ---- leaves ---- */

void eval_const(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    (void)e;
    (void)in;
    value_set(out, 0, attr_get(n, ATTR_value)->u.f);
}

void eval_tensor(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    (void)e;
    (void)in;
    const Attr *values = attr_get(n, ATTR_values);
    for (int64_t i = 0; i < out->count; i++)
        value_set(out, i, values->u.floats[i]);
}

void eval_iota(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    (void)e;
    (void)in;
    int64_t axis = attr_int(n, ATTR_axis, 0), stride[RANK_MOST];
    eval_strides(out->rank, out->dim, stride);
    for (int64_t i = 0; i < out->count; i++)
        value_set(out, i, (double)(i / stride[axis] % out->dim[axis]));
}

void eval_dim(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    (void)in;
    value_set(out, 0, (double)dim_value(attr_get(n, ATTR_dim)->u.dim, e->whole));
}

void eval_row(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    (void)n;
    (void)in;
    for (int64_t i = 0; i < out->count; i++)
        value_set(out, i, (double)(e->row + i));
}

/* The element's index in the whole batch is its place in the row-major result of all rows. */
void eval_random(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    bool batch = shape_has_batch(&n->shape) && out->count;
    int64_t first = batch ? e->row * (out->count / out->dim[0]) : 0;
    uint32_t seed = *(const uint32_t *)in[0]->data, step = *(const uint32_t *)in[1]->data;
    uint32_t t = n->nin > 2 ? *(const uint32_t *)in[2]->data : 0;
    uint32_t key = (uint32_t)attr_int(n, ATTR_key, 0) + 0x9E3779B9u * t;
    eval_real(out->dtype)->uniform(out->data, out->count, seed, step, (uint32_t)first, key);
}

/* ---- views ---- */

void eval_broadcast(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    (void)e;
    int64_t from[RANK_MOST], to[RANK_MOST];
    eval_align(n->in[0], in[0], n, out, from);
    eval_strides(out->rank, out->dim, to);
    move(out->rank, out->dim, out->data, to, in[0]->data, from, dtype_size(out->dtype));
}

void eval_transpose(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    (void)e;
    const Attr *perm = attr_get(n, ATTR_perm);
    int64_t own[RANK_MOST], from[RANK_MOST], to[RANK_MOST];
    eval_strides(in[0]->rank, in[0]->dim, own);
    for (int i = 0; i < out->rank; i++)
        from[i] = own[perm->u.ints[i]];
    eval_strides(out->rank, out->dim, to);
    move(out->rank, out->dim, out->data, to, in[0]->data, from, dtype_size(out->dtype));
}

/* The strided part [start + step * i] of `whole` along the node's axis: its
 * first element, and the strides. `count` elements must fit. */
static int64_t part_of(Eval *e, const Node *n, const Value *whole, int64_t count, int64_t *stride)
{
    int axis = (int)attr_int(n, ATTR_axis, 0);
    int64_t step = attr_int(n, ATTR_step, 1);
    int64_t start = dim_value(attr_get(n, ATTR_start)->u.dim, e->lengths);
    int64_t last = start + step * (count - 1), extent = whole->dim[axis];
    if (count > 0 && (start < 0 || start >= extent || last < 0 || last >= extent))
        bug("%s from %" PRId64 " to %" PRId64 " of an axis of %" PRId64, op_info[n->op].name, start,
            last, extent);
    eval_strides(whole->rank, whole->dim, stride);
    int64_t at = start * stride[axis];
    stride[axis] *= step;
    return count > 0 ? at : 0;
}

void eval_slice(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    int64_t from[RANK_MOST], to[RANK_MOST];
    int size = dtype_size(out->dtype);
    int64_t at = part_of(e, n, in[0], out->dim[attr_int(n, ATTR_axis, 0)], from);
    eval_strides(out->rank, out->dim, to);
    move(out->rank, out->dim, out->data, to, (const char *)in[0]->data + at * size, from, size);
}

void eval_pad(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    int64_t from[RANK_MOST], to[RANK_MOST];
    int size = dtype_size(out->dtype);
    int64_t at = part_of(e, n, out, in[0]->dim[attr_int(n, ATTR_axis, 0)], to);
    memset(out->data, 0, (size_t)(out->count * size));
    eval_strides(in[0]->rank, in[0]->dim, from);
    move(in[0]->rank, in[0]->dim, (char *)out->data + at * size, to, in[0]->data, from, size);
}

void eval_concat(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    (void)e;
    int64_t from[RANK_MOST], to[RANK_MOST], axis = attr_int(n, ATTR_axis, 0), at = 0;
    int size = dtype_size(out->dtype);
    eval_strides(out->rank, out->dim, to);
    for (int k = 0; k < n->nin; k++) {
        eval_strides(in[k]->rank, in[k]->dim, from);
        move(in[k]->rank, in[k]->dim, (char *)out->data + at * to[axis] * size, to, in[k]->data,
             from, size);
        at += in[k]->dim[axis];
    }
}

/* An index out of range takes the nearest row: what came from data was checked
 * when it was read. */
void eval_gather(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    (void)e;
    (void)n;
    const Value *table = in[0], *index = in[1];
    int64_t rows = table->dim[0], width = rows ? table->count / rows : 0;
    size_t bytes = (size_t)(width * dtype_size(out->dtype));
    for (int64_t i = 0; i < index->count; i++) {
        int64_t row = ((const int32_t *)index->data)[i];
        row = row < 0 ? 0 : row < rows ? row : rows - 1;
        memcpy((char *)out->data + (size_t)i * bytes,
               (const char *)table->data + (size_t)row * bytes, bytes);
    }
}
