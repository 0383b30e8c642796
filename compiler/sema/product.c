/* Products, reductions and rearrangement of tensors: `@`, sum, mean, x[1:3],
 * concat, split, reshape. Axes in here are the graph's (the batch is axis 0). */
#include "sema/internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- a @ b ---- */

typedef struct {
    char text[RANK_MOST + 1];
    int n;
} Labels;

static void label(Labels *l, char c)
{
    if (l->n < RANK_MOST)
        l->text[l->n++] = c;
    l->text[l->n] = 0;
}

static Dim last_dim(const Node *n, int back)
{
    return n->shape.d[n->shape.rank - back];
}

static Val fail_product(Expander *x, const Val *a, const Val *b, Node *l, Node *r, Dim kl, Dim kr,
                        Span at)
{
    const char *lw = shape_words(x, l), *rw = shape_words(x, r);
    Span where = blame(x, at);
    fail(x, at, "cannot multiply %s by %s: the inner sizes %s and %s differ", lw, rw,
         dim_text(x->a, x->top, kl), dim_text(x->a, x->top, kr));
    note_operand(x, a, where, lw);
    note_operand(x, b, where, rw);
    return val_poison();
}

/* numpy's matmul on the written axes; a vector is a row on the left, a column
 * on the right; the batch is shared. */
Val make_product(Expander *x, Val a, Val b, Span at)
{
    Node *l = val_to_tensor(x, &a, at), *r = val_to_tensor(x, &b, at);
    if (!l || !r || !work_left(x, at))
        return val_poison();
    bool lb = shape_has_batch(&l->shape), rb = shape_has_batch(&r->shape);
    int lr = l->shape.rank - lb, rr = r->shape.rank - rb;
    if (lr < 1 || rr < 1)
        return fail(x, at, "@ multiplies vectors and matrices; for a number write *");
    l = to_real(x, l);
    r = to_real(x, r);
    Dim kl = last_dim(l, 1), kr = last_dim(r, rr == 1 ? 1 : 2);
    if (!dim_equal(kl, kr))
        return fail_product(x, &a, &b, l, r, kl, kr, at);
    int llead = lr > 2 ? lr - 2 : 0, rlead = rr > 2 ? rr - 2 : 0;
    int lead = llead > rlead ? llead : rlead;
    Labels ls = {0}, rs = {0}, os = {0};
    if (lb)
        label(&ls, 'n');
    if (rb)
        label(&rs, 'n');
    if (lb || rb)
        label(&os, 'n');
    for (int i = 0; i < lead; i++) {
        bool in_l = i >= lead - llead, in_r = i >= lead - rlead;
        if (in_l && in_r &&
            !dim_equal(l->shape.d[lb + i - lead + llead], r->shape.d[rb + i - lead + rlead]))
            return fail(x, at, "cannot multiply %s by %s: the leading sizes differ",
                        shape_words(x, l), shape_words(x, r));
        char c = (char)('a' + i);
        if (in_l)
            label(&ls, c);
        if (in_r)
            label(&rs, c);
        label(&os, c);
    }
    if (lr > 1) {
        label(&ls, 'i');
        label(&os, 'i');
    }
    label(&ls, 'k');
    label(&rs, 'k');
    if (rr > 1) {
        label(&rs, 'j');
        label(&os, 'j');
    }
    if (os.n >= RANK_MOST)
        return unsupported(x, at, "a product with more than %d dimensions", RANK_MOST - 1);
    const char *spec = arena_printf(x->a, "%s,%s->%s", ls.text, rs.text, os.text);
    Attr attr = attr_of_str(ATTR_spec, spec);
    Val out = make_op(x, OP_contract, (Val[]){val_tensor(l, a.span), val_tensor(r, b.span)}, 2,
                      &attr, 1, at);
    if (out.kind == VAL_tensor && a.kind == VAL_tensor && a.u.t.mask && lr > 1)
        out.u.t.mask = a.u.t.mask;
    return out;
}

/* ---- reductions ---- */

static int cmp_i64(const void *a, const void *b)
{
    int64_t p = *(const int64_t *)a, q = *(const int64_t *)b;
    return (p > q) - (p < q);
}

/* Sum over the batch: a product with ones per shard, then the shards in order. */
static Val batch_sum(Expander *x, Val v, Span at)
{
    if (x->loop)
        return unsupported(x, at, "a sum over the batch inside a loop over time");
    Node *n = to_real(x, val_to_tensor(x, &v, at));
    char in[RANK_MOST + 2] = "n";
    for (int i = 1; i < n->shape.rank; i++)
        in[i] = (char)('a' + i - 1);
    in[n->shape.rank] = 0;
    Node *one = make_broadcast(x->g, make_const_of(x->g, n->dtype, 1), shape_of(1, dim_sym(SYM_N)));
    const char *spec = arena_printf(x->a, "n,%s->s%s", in, in + 1);
    Attr attr = attr_of_str(ATTR_spec, spec);
    Val parts = make_op(x, OP_batch_contract, (Val[]){val_tensor(one, at), val_tensor(n, at)}, 2,
                        &attr, 1, at);
    return parts.kind == VAL_tensor ? make_op1(x, OP_sum_shards, parts, at) : parts;
}

/* The axes named by `axis` (null or none: all written ones). */
static bool reduced_axes(Expander *x, const Node *n, const Val *axis, int64_t *axes, int *naxes,
                         bool *batch, Span at)
{
    *naxes = 0;
    *batch = false;
    if (!axis || axis->kind == VAL_none) {
        for (int i = shape_has_batch(&n->shape); i < n->shape.rank; i++)
            axes[(*naxes)++] = i;
        return true;
    }
    bool is_list = axis->kind == VAL_list || axis->kind == VAL_tuple;
    int count = is_list ? axis->u.list.n : 1;
    for (int i = 0; i < count; i++) {
        bool is_batch;
        int k = axis_of(x, is_list ? &axis->u.list.at[i] : axis, n, at, &is_batch);
        if (k < 0 && !is_batch)
            return false;
        *batch = *batch || is_batch;
        for (int j = 0; j < *naxes; j++)
            if (k == axes[j]) {
                fail(x, at, "an axis is named twice");
                return false;
            }
        if (k >= 0)
            axes[(*naxes)++] = k;
    }
    qsort(axes, (size_t)*naxes, sizeof *axes, cmp_i64);
    return true;
}

/* Elements in one sum, as a weak scalar. */
static Val reduced_count(Expander *x, const Shape *s, const int64_t *axes, int naxes, bool batch,
                         Span at)
{
    Val count = val_int(1, at);
    for (int i = 0; i < naxes + batch; i++) {
        Val d = val_dim(i < naxes ? s->d[axes[i]] : dim_sym(SYM_N), at);
        count = binary_values(x, BIN_mul, count, d, at);
    }
    return count;
}

Val make_reduction(Expander *x, Op op, Val v, const Val *axis, bool keepdims, bool mean, Span at)
{
    Node *n = val_to_tensor(x, &v, at);
    int64_t axes[RANK_MOST + 1];
    int naxes;
    bool batch;
    if (!n || !reduced_axes(x, n, axis, axes, &naxes, &batch, at))
        return val_poison();
    if (batch && op != OP_reduce_sum)
        return unsupported(x, at, "a maximum or minimum over the batch");
    Shape before = n->shape;
    if (n->shape.rank > 0 || n->dtype == DT_bool)
        n = to_real(x, n);
    Val out = val_tensor(n, at);
    out.u.t.mask = v.kind == VAL_tensor ? v.u.t.mask : NULL;
    if (naxes) {
        Attr attr = attr_of_ints(ATTR_axes, axes, naxes);
        out = make_op(x, op, &out, 1, &attr, 1, at);
        if (out.kind == VAL_tensor && v.kind == VAL_tensor && axes[0] > 1)
            out.u.t.mask = v.u.t.mask;
    }
    if (batch && out.kind == VAL_tensor)
        out = batch_sum(x, out, at);
    if (mean && (naxes || batch) && out.kind == VAL_tensor) {
        Val count = reduced_count(x, &before, axes, naxes, batch, at);
        out = make_op2(x, OP_div, out, count, at);
    }
    if (keepdims && out.kind == VAL_tensor) {
        Shape s = before;
        for (int i = 0; i < naxes; i++)
            s.d[axes[i]] = dim_int(1);
        if (batch)
            s.d[0] = dim_int(1);
        Node *mask = out.u.t.mask;
        out.u.t.node = make_reshape(x->g, out.u.t.node, s);
        out.u.t.mask = mask;
    }
    return out;
}

/* ---- slices ---- */

/* A bound of a slice as an extent of the axis: negative ones count from the end. */
static bool slice_bound(Expander *x, const Val *v, Dim size, Span at, Dim *out)
{
    int64_t i, n;
    if (v->kind == VAL_extent) {
        *out = v->u.dim;
        return true;
    }
    if (!val_as_int(x, v, at, "an index", &i))
        return false;
    if (i < 0) {
        if (!dim_affine(size, 1, i, 1, out)) {
            unsupported(x, at, "this index into a run-time length");
            return false;
        }
    } else {
        *out = dim_int(i);
    }
    if (dim_const(*out, &i) && (i < 0 || (dim_const(size, &n) && i > n))) {
        fail(x, at, "index %lld is outside of the size %s", (long long)i,
             dim_text(x->a, x->top, size));
        return false;
    }
    return true;
}

/* b - a where both are numbers or extents that differ by a number. */
static bool dim_difference(Dim a, Dim b, Dim *out)
{
    int64_t i;
    if (dim_const(a, &i))
        return dim_affine(b, 1, -i, 1, out);
    if (a.sym == b.sym && a.mul == b.mul && a.div == b.div && a.div == 1) {
        *out = dim_int(b.add - a.add);
        return true;
    }
    return false;
}

static Val slice_range(Expander *x, Scope *s, Val v, int axis, const Expr *e)
{
    Node *n = v.u.t.node;
    Dim size = n->shape.d[axis], lo = dim_int(0), hi = size, length;
    int64_t step = 1, count;
    if (e->kid[2] && !eval_int(x, s, e->kid[2], "a slice's step", &step))
        return val_poison();
    if (step == 0)
        return fail(x, e->span, "a slice's step is 0");
    if (step < 0 && (e->kid[0] || e->kid[1]))
        return unsupported(x, e->span, "a slice that goes backwards between bounds; write [::-1]");
    for (int k = 0; k < 2; k++)
        if (e->kid[k]) {
            Val b = eval_expr(x, s, e->kid[k]);
            if (b.kind == VAL_poison || !slice_bound(x, &b, size, e->kid[k]->span, k ? &hi : &lo))
                return val_poison();
        }
    if (!dim_difference(lo, hi, &length))
        return unsupported(x, e->span, "this slice of a run-time length");
    int64_t by = step < 0 ? -step : step;
    if (!dim_affine(length, 1, by - 1, by, &length))
        return unsupported(x, e->span, "this slice of a run-time length");
    if (dim_const(length, &count) && count < 1)
        return fail(x, e->span, "this slice of %s is empty", shape_words(x, n));
    if (step < 0 && !dim_affine(size, 1, -1, 1, &lo))
        return unsupported(x, e->span, "this slice of a run-time length");
    Val out = val_tensor(make_slice(x->g, n, axis, lo, length, (int)step), e->span);
    if (axis > 1 || (axis == 1 && !shape_has_batch(&n->shape)))
        out.u.t.mask = v.u.t.mask;
    else if (v.u.t.mask && axis == 1)
        out.u.t.mask = make_slice(x->g, v.u.t.mask, 1, lo, length, (int)step);
    out.u.t.node->span = blame(x, e->span);
    return out;
}

static Shape drop_axis(Shape s, int axis)
{
    for (int i = axis; i + 1 < s.rank; i++)
        s.d[i] = s.d[i + 1];
    s.rank--;
    return s;
}

static Val slice_one(Expander *x, Val v, int axis, const Val *i, Span at)
{
    Node *n = v.u.t.node;
    Dim start, end;
    if (!slice_bound(x, i, n->shape.d[axis], at, &start))
        return val_poison();
    int64_t a, b;
    end = n->shape.d[axis];
    if (dim_const(start, &a) && dim_const(end, &b) && a >= b)
        return fail(x, at, "index %lld is outside of the size %lld", (long long)a, (long long)b);
    Node *one = make_slice(x->g, n, axis, start, dim_int(1), 1);
    one->span = blame(x, at);
    Val out = val_tensor(make_reshape(x->g, one, drop_axis(one->shape, axis)), at);
    out.u.t.node->span = one->span;
    if (axis > 1)
        out.u.t.mask = v.u.t.mask;
    return out;
}

/* table[indices]: a gather. */
static Val index_by_tensor(Expander *x, Val table, Val index, Span at)
{
    Node *i = val_to_tensor(x, &index, at);
    if (!i)
        return val_poison();
    if (shape_has_batch(&table.u.t.node->shape))
        return unsupported(x, at,
                           "indexing a sample's own values by a tensor; "
                           "only parameters can be looked up");
    index.u.t.node = make_cast(x->g, i, DT_i32);
    Val out = make_op2(x, OP_gather, table, index, at);
    if (out.kind == VAL_tensor && index.kind == VAL_tensor)
        out.u.t.mask = index.u.t.mask;
    return out;
}

Val index_tensor(Expander *x, Scope *s, Val v, const Expr *e)
{
    Node *n = val_to_tensor(x, &v, e->kid[0]->span);
    if (!n)
        return val_poison();
    v.u.t.node = n;
    v.kind = VAL_tensor;
    int axis = shape_has_batch(&n->shape) ? 1 : 0;
    for (int i = 0; i < e->args.n; i++) {
        const Expr *a = e->args.at[i].value;
        if (axis >= v.u.t.node->shape.rank)
            return fail(x, a->span, "too many indices for %s", shape_words(x, n));
        if (a->kind == EX_range) {
            bool all = !a->kid[0] && !a->kid[1] && !a->kid[2];
            if (!all)
                v = slice_range(x, s, v, axis, a);
            axis++;
        } else {
            Val k = eval_expr(x, s, a);
            if (k.kind == VAL_tensor && e->args.n == 1)
                return index_by_tensor(x, v, k, e->span);
            if (k.kind == VAL_step)
                return fail(x, a->span, "only a state or an input of a cell has a past");
            v = k.kind == VAL_poison ? k : slice_one(x, v, axis, &k, a->span);
        }
        if (v.kind == VAL_poison)
            return v;
    }
    v.span = e->span;
    return v;
}

/* ---- concat, split, reshape ---- */

Val concat_values(Expander *x, const Val *in, int n, int written_axis, Span at)
{
    Node *node[256];
    Val v[256];
    bool batch = false, same = true;
    int rank = 0;
    if (n < 1 || n > 256)
        return fail(x, at, "concat takes 1 to 256 tensors, found %d", n);
    for (int i = 0; i < n; i++) {
        if (!(node[i] = val_to_tensor(x, &in[i], at)))
            return val_poison();
        batch = batch || shape_has_batch(&node[i]->shape);
        same = same && node[i]->dtype == node[0]->dtype;
    }
    for (int i = 0; i < n; i++) {
        if (!same)
            node[i] = to_real(x, node[i]);
        Shape s = node[i]->shape;
        if (batch && !shape_has_batch(&s)) { /* a parameter beside samples: one for each */
            memmove(s.d + 1, s.d, sizeof(Dim) * (size_t)s.rank);
            s.d[0] = dim_sym(SYM_N);
            s.rank++;
            node[i] = make_broadcast(x->g, node[i], s);
        }
        if (i && s.rank != rank)
            return fail(x, at, "cannot join %s and %s: the numbers of dimensions differ",
                        shape_words(x, node[0]), shape_words(x, node[i]));
        rank = s.rank;
        v[i] = in[i];
        v[i].kind = VAL_tensor;
        v[i].u.t.node = node[i];
        v[i].u.t.mask = in[i].kind == VAL_tensor ? in[i].u.t.mask : NULL;
    }
    int axis = written_axis < 0 ? rank + written_axis : written_axis + batch;
    if (axis < batch || axis >= rank)
        return fail(x, at, "cannot join %s along axis %d", shape_words(x, node[0]), written_axis);
    for (int i = 1; i < n; i++)
        for (int k = 0; k < rank; k++)
            if (k != axis && !dim_equal(node[i]->shape.d[k], node[0]->shape.d[k]))
                return fail(x, at, "cannot join %s and %s along axis %d: the other sizes differ",
                            shape_words(x, node[0]), shape_words(x, node[i]), axis);
    if (n == 1)
        return v[0];
    Attr attr = attr_of_int(ATTR_axis, axis);
    Val out = make_op(x, OP_concat, v, n, &attr, 1, at);
    if (out.kind == VAL_tensor && axis > 1)
        for (int i = n - 1; i >= 0; i--)
            if (v[i].u.t.mask)
                out.u.t.mask = v[i].u.t.mask;
    return out;
}

/* n equal parts along a graph axis. */
Val split_tensor(Expander *x, Val v, int64_t parts, int axis, Span at)
{
    Node *n = v.u.t.node;
    Dim part;
    int64_t size;
    bool known = dim_const(n->shape.d[axis], &size);
    if (parts < 1 || (known && (size % parts || parts > size)))
        return fail(x, at, "cannot split the size %s into %lld equal parts",
                    dim_text(x->a, x->top, n->shape.d[axis]), (long long)parts);
    if (!known || parts > 1024)
        return unsupported(x, at, "splitting a run-time length, or into more than 1024 parts");
    part = dim_int(size / parts);
    Val *out = NEW_ARRAY(x->a, Val, parts);
    for (int64_t i = 0; i < parts; i++) {
        out[i] = val_tensor(make_slice(x->g, n, axis, dim_int(i * (size / parts)), part, 1), at);
        out[i].u.t.node->span = blame(x, at);
        out[i].u.t.mask = axis > 1 ? v.u.t.mask : NULL;
    }
    return val_list(x->a, VAL_tuple, out, (int)parts, at);
}

/* Written dims from a list value: -1 once, for what is left over. */
Val reshape_tensor(Expander *x, Val v, const Val *dims, Span at)
{
    Node *n = v.u.t.node;
    Shape s = {0};
    bool batch = shape_has_batch(&n->shape);
    int64_t have = 1, want = 1;
    int free_axis = -1;
    bool countable = shape_count(&n->shape, batch, &have);
    if (batch)
        s.d[s.rank++] = dim_sym(SYM_N);
    for (int i = 0; i < dims->u.list.n; i++) {
        const Val *d = &dims->u.list.at[i];
        int64_t k = 1;
        if (s.rank >= RANK_MOST)
            return fail(x, at, "more than %d dimensions", RANK_MOST - 1);
        if (d->kind == VAL_extent) {
            s.d[s.rank++] = d->u.dim;
            countable = false;
            continue;
        }
        if (!val_as_int(x, d, at, "a size", &k))
            return val_poison();
        if (k == -1 && free_axis < 0)
            free_axis = s.rank;
        else if (k < 1)
            return fail(x, at, "a size must be positive, found %lld", (long long)k);
        else if (__builtin_mul_overflow(want, k, &want))
            return fail(x, at, "these sizes are too large");
        s.d[s.rank++] = dim_int(k);
    }
    if (free_axis >= 0) {
        if (!countable)
            return fail(x, at, "-1 cannot stand for a part of a run-time length");
        if (have % want == 0) {
            s.d[free_axis] = dim_int(have / want);
            want = have;
        }
    }
    Dtype dt;
    Shape got;
    const char *why;
    Attr attr = attr_of_shape(ATTR_shape, s);
    if ((countable && have != want) ||
        !shape_check(x->g, OP_reshape, &n, 1, &attr, 1, &dt, &got, &why))
        return fail(x, at, "cannot reshape %s, of %lld elements, to %s", shape_words(x, n),
                    (long long)have, shape_text(x->a, x->top, &s));
    Val out = val_tensor(make_reshape(x->g, n, s), at);
    out.u.t.node->span = blame(x, at);
    return out;
}
