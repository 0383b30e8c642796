/* Builtin functions over windows that slide along axes: convolve, slide, pad.
 *
 * A convolution is one product whose operand is read at sums of labels
 * (ir/contract.h); pooling is arithmetic on slices. Neither copies windows. */
#include "sema/builtin.h"

#include <string.h>

enum { WINDOW_AXES = 3, WINDOW_MOST = 1 << 16 };

/* A number for all axes, or a list of one each, between `least` and the most. */
static bool counts_of(Args *a, int i, int n, int64_t least, const char *what, int64_t *out)
{
    const Val *v = &a->arg[i];
    bool list = a->given[i] && (v->kind == VAL_list || v->kind == VAL_tuple);
    if (list && v->u.list.n != n) {
        fail(a->x, a->span[i], "%s takes one number or %d, found %d", what, n, v->u.list.n);
        return false;
    }
    for (int k = 0; k < n; k++) {
        out[k] = 1;
        if (a->given[i] &&
            !val_as_int(a->x, list ? &v->u.list.at[k] : v, a->span[i], what, &out[k]))
            return false;
        if (out[k] < least || out[k] > WINDOW_MOST) {
            fail(a->x, a->span[i], "%s is at least %lld, found %lld", what, (long long)least,
                 (long long)out[k]);
            return false;
        }
    }
    return true;
}

static Node *real_arg(Args *a, int i)
{
    Node *n = val_to_tensor(a->x, &a->arg[i], a->at);
    return n ? to_real(a->x, n) : NULL;
}

/* Does a window that reaches over `reach` more elements fit into the axis? */
static bool window_fits(Args *a, const Node *x, int axis, int64_t reach)
{
    int64_t size;
    if (!dim_const(x->shape.d[axis], &size) || reach < size)
        return true;
    fail(a->x, a->at, "a window over %lld values does not fit into the size %lld of %s",
         (long long)reach + 1, (long long)size, shape_words(a->x, x));
    return false;
}

/* ---- convolve ---- */

typedef struct {
    int axes, lead;               /* axes that windows slide along; 1: a batch before them */
    int64_t stride[WINDOW_AXES], dilation[WINDOW_AXES], groups;
} Windows;

static bool check_kernel(Args *a, const Windows *w, const Node *x, const Node *kernel)
{
    int64_t channels, in, out, size;
    int last = x->shape.rank - 1, rank = kernel->shape.rank;
    if (shape_has_batch(&kernel->shape) || rank != w->axes + 2) {
        fail(a->x, a->at, "%s is convolved with a kernel of %d dimensions, found %s",
             shape_words(a->x, x), w->axes + 2, shape_words(a->x, kernel));
        return false;
    }
    if (!dim_const(x->shape.d[last], &channels) || !dim_const(kernel->shape.d[rank - 2], &in) ||
        !dim_const(kernel->shape.d[rank - 1], &out)) {
        unsupported(a->x, a->at, "channels whose number is known only at run time");
        return false;
    }
    if (channels % w->groups || out % w->groups) {
        fail(a->x, a->at, "%lld channels and %lld filters do not make %lld groups",
             (long long)channels, (long long)out, (long long)w->groups);
        return false;
    }
    if (in * w->groups != channels) {
        fail(a->x, a->at, "a kernel %s for %lld channels: it needs %lld, found %lld",
             shape_words(a->x, kernel), (long long)channels, (long long)(channels / w->groups),
             (long long)in);
        return false;
    }
    for (int i = 0; i < w->axes; i++)
        if (!dim_const(kernel->shape.d[i], &size)) {
            unsupported(a->x, a->at, "a kernel whose size is known only at run time");
            return false;
        } else if (!window_fits(a, x, w->lead + i, w->dilation[i] * (size - 1))) {
            return false;
        }
    return true;
}

/* "n(2h+3i)(w+j)c,ijco->nhwo", with groups "n(2h+3i)(w+j)gc,ijcgo->nhwgo". */
static const char *convolution_spec(Args *a, const Windows *w)
{
    static const char places[] = "hwd", taps[] = "ijk";
    const char *lead = w->lead ? "n" : "", *in = "", *kernel = "", *out = "";
    const char *group = w->groups > 1 ? "g" : "";
    for (int i = 0; i < w->axes; i++) {
        const char *s = w->stride[i] == 1 ? "" : arena_printf(a->x->a, "%d", (int)w->stride[i]);
        const char *d = w->dilation[i] == 1 ? "" : arena_printf(a->x->a, "%d", (int)w->dilation[i]);
        in = arena_printf(a->x->a, "%s(%s%c+%s%c)", in, s, places[i], d, taps[i]);
        kernel = arena_printf(a->x->a, "%s%c", kernel, taps[i]);
        out = arena_printf(a->x->a, "%s%c", out, places[i]);
    }
    return arena_printf(a->x->a, "%s%s%sc,%sc%so->%s%s%so", lead, in, group, kernel, group, lead,
                        out, group);
}

/* The axis of n values as `groups` of them: [..., groups, n / groups]. */
static Node *grouped(Args *a, Node *n, int64_t groups)
{
    Shape s = n->shape;
    int64_t channels = 1;
    dim_const(s.d[s.rank - 1], &channels);
    s.d[s.rank - 1] = dim_int(groups);
    s.d[s.rank++] = dim_int(channels / groups);
    return make_reshape(a->x->g, n, s);
}

static Val run_convolve(Args *a)
{
    Node *x = real_arg(a, 0), *kernel = real_arg(a, 1);
    Windows w;
    if (!x || !kernel || !work_left(a->x, a->at))
        return val_poison();
    w.lead = shape_has_batch(&x->shape);
    w.axes = x->shape.rank - w.lead - 1;
    if (w.axes < 1 || w.axes > WINDOW_AXES)
        return fail(a->x, a->at, "a convolution needs 1 to %d axes and the channels, found %s",
                    WINDOW_AXES, shape_words(a->x, x));
    if (!counts_of(a, 2, w.axes, 1, "a stride", w.stride) ||
        !counts_of(a, 3, w.axes, 1, "a dilation", w.dilation) ||
        !counts_of(a, 4, 1, 1, "the number of groups", &w.groups) ||
        !check_kernel(a, &w, x, kernel))
        return val_poison();
    if (w.groups > 1) {
        x = grouped(a, x, w.groups);
        kernel = grouped(a, kernel, w.groups);
    }
    Attr attr = attr_of_str(ATTR_spec, convolution_spec(a, &w));
    Val in[] = {val_tensor(x, a->span[0]), val_tensor(kernel, a->span[1])};
    Val y = make_op(a->x, OP_contract, in, 2, &attr, 1, a->at);
    if (y.kind != VAL_tensor || w.groups == 1)
        return y;
    Shape s = y.u.t.node->shape;
    int64_t each = 1;
    dim_const(s.d[s.rank - 1], &each);
    s.d[--s.rank - 1] = dim_int(w.groups * each);
    return val_tensor(make_reshape(a->x->g, y.u.t.node, s), a->at);
}

/* ---- slide ---- */

static Node *slice_node(Args *a, Node *x, int axis, int64_t start, Dim size, int64_t step)
{
    Node *n = make_slice(a->x->g, x, axis, dim_int(start), size, (int)step);
    if (n != x)
        n->span = blame(a->x, a->at);
    return n;
}

/* Windows that neither overlap nor leave gaps: the axis is cut into `size`
 * values each, so that the gradient is one tensor put together again. */
static Node *window_part(Args *a, Node *x, int axis, int64_t i, int64_t size, int64_t places)
{
    Shape cut = x->shape, drop = x->shape;
    for (int k = cut.rank++; k > axis; k--)
        cut.d[k] = cut.d[k - 1];
    cut.d[axis] = drop.d[axis] = dim_int(places);
    cut.d[axis + 1] = dim_int(size);
    Node *all = make_reshape(a->x->g, slice_node(a, x, axis, 0, dim_int(places * size), 1), cut);
    return make_reshape(a->x->g, slice_node(a, all, axis + 1, i, dim_int(1), 1), drop);
}

/* What each place of a window sees, one tensor a place. */
static Val run_slide(Args *a)
{
    Node *x = val_to_tensor(a->x, &a->arg[0], a->at);
    Val first = val_int(1, a->at);
    int64_t size, stride, length;
    if (!x || !counts_of(a, 1, 1, 1, "the size of a window", &size) ||
        !counts_of(a, 3, 1, 1, "a stride", &stride) || !work_left(a->x, a->at))
        return val_poison();
    int axis = axis_of(a->x, a->given[2] ? &a->arg[2] : &first, x, a->at, NULL);
    if (axis < 0 || !window_fits(a, x, axis, size - 1))
        return val_poison();
    Dim places;
    if (size > 4096)
        return unsupported(a->x, a->at, "a window of more than 4096 values");
    if (!dim_affine(x->shape.d[axis], 1, stride - size, stride, &places))
        return unsupported(a->x, a->at, "windows over this run-time length");
    bool apart = stride == size && dim_const(places, &length) && x->shape.rank < RANK_MOST;
    Val *part = NEW_ARRAY(a->x->a, Val, size);
    for (int64_t i = 0; i < size; i++)
        part[i] = val_tensor(apart ? window_part(a, x, axis, i, size, length)
                                   : slice_node(a, x, axis, i, places, stride),
                             a->at);
    return val_list(a->x->a, VAL_list, part, (int)size, a->at);
}

/* ---- pad ---- */

/* Is the index along the axis, of so many behind it, one of [from, to)? */
static Val inside(Args *a, const Node *padded, int axis, int64_t from, Dim to)
{
    Shape line = {.rank = padded->shape.rank - axis};
    for (int i = 0; i < line.rank; i++)
        line.d[i] = i ? dim_int(1) : padded->shape.d[axis];
    Attr attr[] = {attr_of_shape(ATTR_shape, line), attr_of_int(ATTR_axis, 0),
                   attr_of_int(ATTR_dtype, padded->dtype)};
    Node *iota = node_new(a->x->g, OP_iota, blame(a->x, a->at), NULL, 0, attr, 3);
    Val index = val_tensor(iota, a->at);
    Val lo = make_op2(a->x, OP_ge, index, val_int(from, a->at), a->at);
    Val hi = make_op2(a->x, OP_lt, index, val_dim(to, a->at), a->at);
    return lo.kind == VAL_poison || hi.kind == VAL_poison ? val_poison()
                                                          : make_op2(a->x, OP_and, lo, hi, a->at);
}

static Val run_pad(Args *a)
{
    Node *x = val_to_tensor(a->x, &a->arg[0], a->at);
    Val first = val_int(1, a->at);
    int64_t before, after;
    if (!x || !counts_of(a, 1, 1, 0, "the padding", &before) ||
        !counts_of(a, 2, 1, 0, "the padding", &after) || !work_left(a->x, a->at))
        return val_poison();
    int axis = axis_of(a->x, a->given[3] ? &a->arg[3] : &first, x, a->at, NULL);
    if (axis < 0)
        return val_poison();
    Dim size, end;
    if (!dim_affine(x->shape.d[axis], 1, before + after, 1, &size) ||
        !dim_affine(x->shape.d[axis], 1, before, 1, &end))
        return unsupported(a->x, a->at, "padding this run-time length");
    if (!before && !after)
        return val_tensor(x, a->at);
    x = to_real(a->x, x);
    Node *padded = make_pad(a->x->g, x, axis, dim_int(before), size, 1);
    padded->span = blame(a->x, a->at);
    Val y = val_tensor(padded, a->at);
    bool zero = !a->given[4] || (a->arg[4].kind == VAL_int && a->arg[4].u.i == 0);
    if (zero)
        return y;
    Val in = inside(a, padded, axis, before, end);
    return in.kind == VAL_poison ? in : select_values(a->x, in, y, a->arg[4], a->at);
}

const Builtin window_builtins[] = {
    {"convolve", "x, kernel; strides?, dilation_rate?, groups?", run_convolve, NOP},
    {"slide", "x, size; axis?, strides?", run_slide, NOP},
    {"pad", "x, before, after; axis?, value?", run_pad, NOP},
    {NULL, NULL, NULL, NOP},
};
