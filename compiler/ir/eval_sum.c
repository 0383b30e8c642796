/* Reductions and products: from nodes to the nests that the compiled loops walk.
 * The orders of all sums are chosen here and in eval_reduce.inc. */
#include "ir/eval_in.h"
#include "ir/contract.h"

#include <string.h>

const RealOps *eval_real(Dtype dt)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return dt == DT_f64 ? &eval_f64_fma : &eval_f32_fma;
#endif
    return dt == DT_f64 ? &eval_f64 : &eval_f32;
}

void eval_reduce(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    (void)e;
    Reduction r = {.op = n->op, .x = in[0]->data, .out = out->data};
    const Attr *axes = attr_get(n, ATTR_axes);
    int64_t one = attr_int(n, ATTR_axis, 0), stride[RANK_MOST];
    const int64_t *axis = axes ? axes->u.ints : &one;
    int naxes = axes ? axes->n : 1;
    if (!in[0]->count) { /* nothing along a run-time length */
        memset(out->data, 0, (size_t)(out->count * dtype_size(out->dtype)));
        return;
    }
    eval_strides(in[0]->rank, in[0]->dim, stride);
    for (int i = 0, k = 0; i < in[0]->rank; i++) {
        Nest *nest = k < naxes && axis[k] == i ? &r.reduce : &r.keep;
        k += nest == &r.reduce;
        nest->extent[nest->rank] = in[0]->dim[i];
        nest->stride[nest->rank++] = stride[i];
    }
    nest_merge(&r.keep);
    nest_merge(&r.reduce);
    if (in[0]->dtype == DT_i32)
        eval_reduce_i32(&r);
    else
        eval_real(in[0]->dtype)->reduce(&r);
}

/* ---- products ---- */

/* Strides by label of one operand; 0 for a label it has not. */
static void label_strides(const Contract *c, int t, int o, const Value *x, int64_t *stride)
{
    int64_t own[RANK_MOST];
    memset(stride, 0, sizeof(int64_t) * LABELS_MOST);
    eval_strides(x->rank, x->dim, own);
    for (int i = 0; i < x->rank; i++) {
        const ContractAxis *axis = &c->term[t].axis[o][i];
        for (int k = 0; k < axis->n; k++)
            stride[axis->label[k]] += axis->coef[k] * own[i];
    }
}

/* Extents by label. */
static void label_extents(const Eval *e, const Node *n, const Contract *c, const Dim *dim,
                          const Value *const *in, int64_t *extent)
{
    int acc = (int)attr_int(n, ATTR_acc, 0);
    for (int l = 0; l < c->nlabel; l++)
        extent[l] = dim_value(dim[l], e->lengths);
    for (int t = 0; t < c->nterm; t++)
        for (int o = 0; o < 2; o++)
            for (int i = 0; i < c->term[t].rank[o]; i++) {
                int l = axis_label(&c->term[t].axis[o][i]);
                if (l >= 0)
                    extent[l] = in[acc + 2 * t + o]->dim[i];
            }
}

static void add_sum(Product *p, int t, int64_t extent, int64_t a, int64_t b)
{
    int k = p->term[t].nsum++;
    p->term[t].sum_extent[k] = extent;
    p->term[t].sum_stride[0][k] = a;
    p->term[t].sum_stride[1][k] = b;
}

/* Moves where a term's operand begins by so many elements. */
static void advance(Product *p, int o, int64_t by, int size)
{
    p->term[0].x[o] = (const char *)p->term[0].x[o] + by * size;
}

static void begin_product(const Node *n, const Contract *c, const Value *const *in, Value *out,
                          Product *p)
{
    *p = (Product){.nout = c->nout, .out = out->data, .nterm = c->nterm};
    memcpy(p->extent, out->dim, sizeof p->extent);
    eval_strides(out->rank, out->dim, p->out_stride);
    if (attr_int(n, ATTR_acc, 0))
        p->acc = in[0]->data;
}

void eval_contract(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    Contract c;
    Product p;
    Dim dim[LABELS_MOST];
    int acc = (int)attr_int(n, ATTR_acc, 0), each = 1;
    int64_t stride[2][LABELS_MOST], extent[LABELS_MOST];
    int64_t is_unsigned = attr_int(n, ATTR_unsigned, 0);
    Arena *scratch = n->dtype == DT_i32 ? arena_new() : NULL;
    contract_of(n, &c);
    contract_extents(n, &c, dim);
    label_extents(e, n, &c, dim, in, extent);
    begin_product(n, &c, in, out, &p);
    for (int t = 0; t < c.nterm; t++) {
        for (int o = 0; o < 2; o++) {
            const Value *x = in[acc + 2 * t + o];
            p.term[t].x[o] = x->data;
            label_strides(&c, t, o, x, stride[o]);
            if (scratch)
                p.term[t].x[o] = eval_widened(scratch, x, is_unsigned >> o & 1, &each);
            for (int l = 0; l < c.nlabel; l++)
                stride[o][l] *= each;
            memcpy(p.term[t].stride[o], stride[o], sizeof(int64_t) * (size_t)c.nout);
        }
        for (int k = 0; k < c.term[t].nsum; k++) {
            int l = c.term[t].sum[k];
            add_sum(&p, t, extent[l], stride[0][l], stride[1][l]);
        }
        if (each > 1)
            add_sum(&p, t, each, 1, 1);
    }
    if (scratch) {
        eval_product_i32(&p);
        arena_free(scratch);
    } else {
        eval_real(out->dtype)->product(&p);
    }
}

/* One block of rows of a shard, continuing the chains in `out`: run-time lengths
 * descending, then the other sums ascending, then the rows. */
static void block_product(const Eval *e, const Node *n, const Contract *c, const Value *const *in,
                          int acc, const RealOps *real, Product p, int64_t row, int64_t rows)
{
    int64_t stride[2][LABELS_MOST], extent[LABELS_MOST];
    Dim dim[LABELS_MOST];
    int size = dtype_size(n->dtype), batch = -1;
    contract_extents(n, c, dim);
    label_extents(e, n, c, dim, in, extent);
    for (int o = 0; o < 2; o++) {
        const Value *x = in[acc + o];
        p.term[0].x[o] = x->data;
        label_strides(c, 0, o, x, stride[o]);
        memcpy(p.term[0].stride[o], stride[o], sizeof(int64_t) * (size_t)c->nout);
    }
    for (int pass = 0; pass < 2; pass++)
        for (int k = 0; k < c->term[0].nsum; k++) {
            int l = c->term[0].sum[k];
            bool run_time = dim[l].sym >= SYM_length;
            if (c->label[l] == 'n')
                batch = l;
            else if (run_time && pass == 0)
                add_sum(&p, 0, extent[l], -stride[0][l], -stride[1][l]);
            else if (!run_time && pass == 1)
                add_sum(&p, 0, extent[l], stride[0][l], stride[1][l]);
            for (int o = 0; run_time && pass == 0 && o < 2; o++)
                advance(&p, o, (extent[l] - 1) * stride[o][l], size);
        }
    add_sum(&p, 0, rows, stride[0][batch], stride[1][batch]);
    for (int o = 0; o < 2; o++)
        advance(&p, o, row * stride[o][batch], size);
    real->product(&p);
}

void eval_batch_contract(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    Contract c;
    Product p;
    const RealOps *real = eval_real(out->dtype);
    int acc = (int)attr_int(n, ATTR_acc, 0), size = dtype_size(out->dtype);
    int64_t rows = e->lengths[SYM_N], whole = e->whole[SYM_N];
    int64_t shard = shard_rows(whole), block = block_rows(whole);
    contract_of(n, &c);
    begin_product(n, &c, in, out, &p);
    size_t bytes = out->dim[0] ? (size_t)(out->count / out->dim[0] * size) : 0;
    if (acc)
        memcpy(out->data, in[0]->data, bytes * (size_t)out->dim[0]);
    else
        memset(out->data, 0, bytes * (size_t)out->dim[0]);
    p.extent[0] = 1; /* one shard at a time */
    for (int64_t row = 0; row < rows; row += block) {
        p.acc = p.out = (char *)out->data + (size_t)(row / shard) * bytes;
        block_product(e, n, &c, in, acc, real, p, row, rows - row < block ? rows - row : block);
    }
}

void eval_sum_shards(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    (void)e;
    (void)n;
    eval_real(out->dtype)->sum_shards(out->data, in[0]->data, in[0]->dim[0], out->count);
}

/* Contributions come in the order of the indices, row-major. */
void eval_scatter_add(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    (void)e;
    (void)n;
    int64_t rows = out->dim[0];
    if (rows)
        eval_real(out->dtype)->scatter_add(out->data, in[0]->data, in[1]->data, in[0]->count,
                                           out->count / rows, rows);
}

void eval_orthogonal(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    (void)n;
    eval_real(out->dtype)->orthogonal(e->arena, out->data, in[0]->data, out->dim[0], out->dim[1]);
}
