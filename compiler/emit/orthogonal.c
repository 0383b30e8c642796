/* The orthogonal factor of a matrix, as ir/eval_orthogonal.inc has it, to the bit: columns lie
 * side by side in vector lanes, and every dot product is one chain, rows ascending. */
#include "emit/emit.h"

typedef struct {
    Emit *e;
    Dtype dtype;
    LLVMTypeRef real, vector;
    int64_t rows, cols;    /* of the matrix whose columns are reflected: rows >= cols */
    int64_t pitch;         /* elements of a row of it: whole vectors */
    bool flip;             /* it is the transpose of what is given */
    V matrix, v, vv, diagonal; /* [rows][pitch]; [cols][rows]; [cols]; [cols] */
} Factor;

static V element(const Factor *f, V base, V index)
{
    return LLVMBuildInBoundsGEP2(f->e->b, f->real, base, &index, 1, "");
}

static V at_pair(const Factor *f, V base, V i, int64_t pitch, V j)
{
    Emit *e = f->e;
    V at = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, i, const_i64(e, pitch), ""), j, "");
    return element(f, base, at);
}

/* The place of row i, column j in what is given, or in the result. */
static V outside(const Factor *f, V base, V i, V j)
{
    return f->flip ? at_pair(f, base, j, f->rows, i) : at_pair(f, base, i, f->cols, j);
}

static V zero_of(const Factor *f)
{
    return LLVMConstNull(f->real);
}

/* h = 2 v.c / v.v; c -= h v, for the vectors of columns from that of column k on, rows from k
 * on; nothing where v.v is 0. */
static void reflect(const Factor *f, V k)
{
    Emit *e = f->e;
    Loop chunks, sums, rows;
    V width = const_i64(e, e->width), last = const_i64(e, f->pitch), to = const_i64(e, f->rows);
    V vv = load_plain(e, f->real, element(f, f->vv, k));
    V none = LLVMBuildFCmp(e->b, LLVMRealOEQ, vv, zero_of(f), "");
    V from = LLVMBuildMul(e->b, LLVMBuildUDiv(e->b, k, width, ""), width, "");
    V begin = LLVMBuildSelect(e->b, none, last, from, "");
    V c = loop_begin(e, &chunks, begin, last, e->width, NULL, 0);
    V h = LLVMConstNull(f->vector);
    e->lanes = e->width;
    V i = loop_begin(e, &sums, k, to, 1, &h, 1);
    V w = splat(e, load_plain(e, f->real, at_pair(f, f->v, k, f->rows, i)));
    h = fma_emit(e, w, load_plain(e, f->vector, at_pair(f, f->matrix, i, f->pitch, c)), h);
    loop_end(e, &sums, &h);
    h = LLVMBuildFDiv(e->b, LLVMBuildFAdd(e->b, h, h, ""), splat(e, vv), "");
    h = LLVMBuildFNeg(e->b, h, "");
    i = loop_begin(e, &rows, k, to, 1, NULL, 0);
    w = splat(e, load_plain(e, f->real, at_pair(f, f->v, k, f->rows, i)));
    V at = at_pair(f, f->matrix, i, f->pitch, c);
    store_plain(e, fma_emit(e, h, w, load_plain(e, f->vector, at)), at);
    loop_end(e, &rows, NULL);
    e->lanes = 1;
    loop_end(e, &chunks, NULL);
}

/* The matrix as columns side by side; `from` null: zeros. */
static void fill(const Factor *f, V from)
{
    Emit *e = f->e;
    Loop rows, cols;
    V i = loop_begin(e, &rows, const_i64(e, 0), const_i64(e, f->rows), 1, NULL, 0);
    V j = loop_begin(e, &cols, const_i64(e, 0), const_i64(e, f->pitch), 1, NULL, 0);
    store_plain(e, zero_of(f), at_pair(f, f->matrix, i, f->pitch, j));
    loop_end(e, &cols, NULL);
    if (from) {
        j = loop_begin(e, &cols, const_i64(e, 0), const_i64(e, f->cols), 1, NULL, 0);
        store_plain(e, load_plain(e, f->real, outside(f, from, i, j)),
                    at_pair(f, f->matrix, i, f->pitch, j));
        loop_end(e, &cols, NULL);
    }
    loop_end(e, &rows, NULL);
}

/* The reflection of column k: v is the column less alpha at k, alpha R's diagonal. */
static void make_reflection(const Factor *f, V k)
{
    Emit *e = f->e;
    Loop l;
    V to = const_i64(e, f->rows), square = zero_of(f);
    V i = loop_begin(e, &l, k, to, 1, &square, 1);
    V w = load_plain(e, f->real, at_pair(f, f->matrix, i, f->pitch, k));
    store_plain(e, w, at_pair(f, f->v, k, f->rows, i));
    square = fma_emit(e, w, w, square);
    loop_end(e, &l, &square);
    V norm = sqrt_emit(e, square), first = at_pair(f, f->v, k, f->rows, k);
    V head = load_plain(e, f->real, first);
    V negative = LLVMBuildFCmp(e->b, LLVMRealOLT, head, zero_of(f), "");
    V alpha = LLVMBuildSelect(e->b, negative, norm, LLVMBuildFNeg(e->b, norm, ""), "");
    store_plain(e, alpha, element(f, f->diagonal, k));
    store_plain(e, LLVMBuildFSub(e->b, head, alpha, ""), first);
    V vv = zero_of(f);
    i = loop_begin(e, &l, k, to, 1, &vv, 1);
    w = load_plain(e, f->real, at_pair(f, f->v, k, f->rows, i));
    vv = fma_emit(e, w, w, vv);
    loop_end(e, &l, &vv);
    store_plain(e, vv, element(f, f->vv, k));
}

/* The result: the factor's columns with the signs of R's diagonal. */
static void write_out(const Factor *f, V to)
{
    Emit *e = f->e;
    Loop rows, cols;
    V i = loop_begin(e, &rows, const_i64(e, 0), const_i64(e, f->rows), 1, NULL, 0);
    V j = loop_begin(e, &cols, const_i64(e, 0), const_i64(e, f->cols), 1, NULL, 0);
    V x = load_plain(e, f->real, at_pair(f, f->matrix, i, f->pitch, j));
    V sign = load_plain(e, f->real, element(f, f->diagonal, j));
    V negative = LLVMBuildFCmp(e->b, LLVMRealOLT, sign, zero_of(f), "");
    x = LLVMBuildSelect(e->b, negative, LLVMBuildFNeg(e->b, x, ""), x, "");
    store_plain(e, x, outside(f, to, i, j));
    loop_end(e, &cols, NULL);
    loop_end(e, &rows, NULL);
}

V orthogonal_emit(Emit *e, const Step *s)
{
    const Node *n = s->node;
    int64_t m = 0, k = 0;
    if (!function_begin(e, step_name(e->arena, s), MODE_scalar, true))
        return e->fn;
    dim_const(n->shape.d[0], &m);
    dim_const(n->shape.d[1], &k);
    Factor f = {.e = e, .dtype = n->dtype, .real = type_memory(e, n->dtype), .flip = m < k};
    f.rows = f.flip ? k : m;
    f.cols = f.flip ? m : k;
    f.pitch = (f.cols + e->width - 1) / e->width * e->width;
    f.vector = e->width > 1 ? LLVMVectorType(f.real, (unsigned)e->width) : f.real;
    V work = place_base(e, &s->across[0]);
    f.matrix = work;
    f.v = element(&f, work, const_i64(e, f.rows * f.pitch));
    f.vv = element(&f, f.v, const_i64(e, f.rows * f.cols));
    f.diagonal = element(&f, f.vv, const_i64(e, f.cols));
    Loop l;
    V cols = const_i64(e, f.cols), one = const_i64(e, 1);
    fill(&f, place_base(e, &s->across[1]));
    V at = loop_begin(e, &l, const_i64(e, 0), cols, 1, NULL, 0);
    make_reflection(&f, at);
    reflect(&f, at);
    loop_end(e, &l, NULL);
    fill(&f, NULL);
    at = loop_begin(e, &l, const_i64(e, 0), cols, 1, NULL, 0);
    V down = LLVMBuildSub(e->b, LLVMBuildSub(e->b, cols, one, ""), at, "");
    store_plain(e, const_value(e, f.dtype, 1), at_pair(&f, f.matrix, down, f.pitch, down));
    reflect(&f, down);
    loop_end(e, &l, NULL);
    write_out(&f, place_base(e, &s->place));
    function_end(e);
    return e->fn;
}
