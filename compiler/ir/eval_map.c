/* Elementwise operations and casts: the driver around the kernels.
 *
 * A kernel computes LANES results from LANES neighbours of each operand. Where
 * an operand is not laid out like the result (it is broadcast), or fewer are
 * left, its elements are first fetched into a buffer. */
#include "ir/eval_in.h"

#include <math.h>
#include <string.h>

/* An operand read in the order of the result. */
typedef struct {
    const char *data;
    int size;          /* bytes of an element */
    bool plain;        /* laid out like the result */
    Nest nest;
    int64_t index[RANK_MOST], offset, inner;
    _Alignas(16) char buffer[LANES * sizeof(double)];
} Feed;

static void feed_open(Feed *f, const Node *n, int k, const Value *x, const Value *out)
{
    memset(f, 0, sizeof *f);
    f->data = x->data;
    f->size = dtype_size(x->dtype);
    f->plain = x->count == out->count; /* extents may differ by ones only */
    f->nest.rank = out->rank;
    memcpy(f->nest.extent, out->dim, sizeof f->nest.extent);
    eval_align(n->in[k], x, n, out, f->nest.stride);
    nest_merge(&f->nest);
}

/* The next `count` elements. */
static const void *feed_next(Feed *f, int64_t at, int64_t count)
{
    int last = f->nest.rank - 1;
    int64_t stride = f->nest.stride[last], extent = f->nest.extent[last];
    if (f->plain && count == LANES)
        return f->data + at * f->size;
    if (f->plain) {
        memcpy(f->buffer, f->data + at * f->size, (size_t)(count * f->size));
        return f->buffer;
    }
    for (int64_t had = 0; had < count;) {
        int64_t run = extent - f->inner < count - had ? extent - f->inner : count - had;
        eval_copy(f->buffer + had * f->size, 1, f->data + (f->offset + f->inner * stride) * f->size,
                  stride, f->size, run);
        had += run;
        f->inner += run;
        if (f->inner == extent) {
            f->inner = 0;
            nest_next(&f->nest, last, f->index, &f->offset);
        }
    }
    return f->buffer;
}

static MapKernel kernel_of(const Node *n)
{
    Dtype dt = n->in[n->nin - 1]->dtype;
    MapKernel k = NULL;
    if (dtype_is_float(dt))
        k = eval_real(dt)->map[n->op];
    else if (n->op == OP_select)
        k = eval_map_select(dtype_size(dt));
    else if (n->op == OP_stop_gradient)
        k = eval_map_copy(dtype_size(dt));
    else if (dt == DT_i32)
        k = eval_map_i32[n->op];
    else if (dt == DT_bool)
        k = eval_map_bool(n->op);
    if (!k)
        bug("%s has no value for %s", op_info[n->op].name, dtype_name(dt));
    return k;
}

void eval_map(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    (void)e;
    Feed feed[3];
    MapKernel kernel = kernel_of(n);
    int size = dtype_size(out->dtype);
    _Alignas(16) char rest[LANES * sizeof(double)];
    for (int k = 0; k < n->nin; k++)
        feed_open(&feed[k], n, k, in[k], out);
    for (int64_t at = 0; at < out->count; at += LANES) {
        int64_t count = out->count - at < LANES ? out->count - at : LANES;
        const void *p[3] = {NULL, NULL, NULL};
        char *to = (char *)out->data + at * size;
        for (int k = 0; k < n->nin; k++)
            p[k] = feed_next(&feed[k], at, count);
        kernel(count == LANES ? to : rest, p[0], p[1], p[2]);
        if (count < LANES)
            memcpy(to, rest, (size_t)(count * size));
    }
}

/* ---- casts ---- */

/* Every dtype's numbers are doubles, so one conversion goes through double:
 * to an integer it truncates and saturates, NaN becomes 0; to bool it asks
 * whether the number is other than 0. */
static int64_t whole(double v, double lo, double hi)
{
    return v != v ? 0 : (int64_t)(v < lo ? lo : v > hi ? hi : v);
}

static void load(const Value *x, int64_t at, int count, double *to)
{
#define LOAD(T)                               \
    for (int i = 0; i < count; i++)           \
        to[i] = ((const T *)x->data)[at + i]; \
    return
    switch (x->dtype) {
    case DT_f32:
        LOAD(float);
    case DT_f64:
        LOAD(double);
    case DT_i32:
        LOAD(int32_t);
    case DT_i16:
        LOAD(int16_t);
    case DT_i8:
        LOAD(int8_t);
    default:
        LOAD(uint8_t);
    }
#undef LOAD
}

static void store(Value *x, int64_t at, int count, const double *from)
{
#define STORE(T, v)                         \
    for (int i = 0; i < count; i++)         \
        ((T *)x->data)[at + i] = (T)(v);    \
    return
    switch (x->dtype) {
    case DT_f32:
        STORE(float, from[i]);
    case DT_f64:
        STORE(double, from[i]);
    case DT_i32:
        STORE(int32_t, whole(from[i], INT32_MIN, INT32_MAX));
    case DT_i16:
        STORE(int16_t, whole(from[i], INT16_MIN, INT16_MAX));
    case DT_i8:
        STORE(int8_t, whole(from[i], INT8_MIN, INT8_MAX));
    case DT_u8:
        STORE(uint8_t, whole(from[i], 0, UINT8_MAX));
    default:
        STORE(uint8_t, from[i] != 0);
    }
#undef STORE
}

void eval_cast(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    (void)e;
    (void)n;
    double buffer[LANES];
    for (int64_t at = 0; at < out->count; at += LANES) {
        int count = (int)(out->count - at < LANES ? out->count - at : LANES);
        load(in[0], at, count, buffer);
        store(out, at, count, buffer);
    }
}

double value_get(const Value *v, int64_t i)
{
    double x;
    load(v, i, 1, &x);
    return x;
}

void value_set(Value *v, int64_t i, double x)
{
    store(v, i, 1, &x);
}
