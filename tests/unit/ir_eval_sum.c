/* Every sum of the interpreter against a literal statement of its order, to the bit. */
#include "eval_bench.h"

#include "ir/contract.h"
#include "ir/eval_in.h"

/* acc = fma(x, y, acc) in the type. */
static double fused(Dtype dt, double x, double y, double acc)
{
    return dt == DT_f32 ? fmaf((float)x, (float)y, (float)acc) : fma(x, y, acc);
}

static double plus(Dtype dt, double x, double y)
{
    return dt == DT_f32 ? (float)x + (float)y : x + y;
}

static double partials(Dtype dt, const double *x, int n)
{
    double p[16] = {0};
    for (int i = 0; i < n; i++)
        p[i % 16] = plus(dt, p[i % 16], x[i]);
    for (int j = 0; j < 8; j++)
        p[j] = plus(dt, p[j], p[j + 8]);
    for (int j = 0; j < 4; j++)
        p[j] = plus(dt, p[j], p[j + 4]);
    for (int j = 0; j < 2; j++)
        p[j] = plus(dt, p[j], p[j + 2]);
    return plus(dt, p[0], p[1]);
}

/* ---- reductions ---- */

static void test_reduce(Bench *b, Dtype dt, int width)
{
    enum { N = 3, T = 5 };
    static const struct { int n, axis[2]; } sets[] = {{1, {1}}, {1, {2}}, {2, {1, 2}}};
    double buffer[T * 64];
    for (int k = 0; k < 3; k++) {
        int count = 0, results = k == 0 ? N * width : k == 1 ? N * T : N;
        bench_begin(b, N);
        Node *x =
            bench_input(b, dt, shape_of(3, dim_sym(SYM_N), dim_int(T), dim_int(width)), -9, 9);
        Value in = b->in.at[0];
        Value sum = bench_run(b, make_reduce(b->g, OP_reduce_sum, x, sets[k].axis, sets[k].n));
        Value max = bench_run(b, make_reduce(b->g, OP_reduce_max, x, sets[k].axis, sets[k].n));
        Value min = bench_run(b, make_reduce(b->g, OP_reduce_min, x, sets[k].axis, sets[k].n));
        bench_expect(b, sum.count == results, "reduction %d has %d results", k, (int)sum.count);
        for (int r = 0; r < results; r++) {
            double most = -INFINITY, least = INFINITY;
            count = 0;
            for (int i = 0; i < N * T * width; i++) {
                int n = i / (T * width), t = i / width % T, u = i % width;
                int at = k == 0 ? n * width + u : k == 1 ? n * T + t : n;
                if (at == r)
                    buffer[count++] = value_get(&in, i);
            }
            for (int i = 0; i < count; i++) {
                most = fmax(most, buffer[i]);
                least = fmin(least, buffer[i]);
            }
            bench_expect(b, value_get(&sum, r) == partials(dt, buffer, count),
                         "sum %d of %d at %d is %.17g, not %.17g", k, width, r, value_get(&sum, r),
                         partials(dt, buffer, count));
            bench_expect(b, value_get(&max, r) == most && value_get(&min, r) == least,
                         "extremes %d at %d", k, r);
        }
    }
}

static void test_order(Bench *b, Dtype dt)
{
    const double x[] = {1, 5, 2, 5, NAN, 3, 7, NAN, -1, -2, -1, -1};
    bench_begin(b, 3);
    Node *in = bench_given(b, dt, shape_of(2, dim_sym(SYM_N), dim_int(4)), x);
    Value v = bench_run(b, make_reduce(b->g, OP_argmax, in, (int[]){1}, 1));
    bench_same(b, "argmax", &v, (double[]){1, dt == DT_i32 ? 2 : 0, 0}, 3);
    v = bench_run(b, make_reduce(b->g, OP_reduce_max, in, (int[]){1}, 1));
    bench_same(b, "reduce_max", &v, (double[]){5, dt == DT_i32 ? 7 : NAN, -1}, 3);
    v = bench_run(b, make_reduce(b->g, OP_reduce_min, in, (int[]){1}, 1));
    bench_same(b, "reduce_min", &v, (double[]){1, dt == DT_i32 ? 0 : NAN, -2}, 3);
    if (dt == DT_i32) {
        v = bench_run(b, make_reduce(b->g, OP_reduce_sum, in, (int[]){1}, 1));
        bench_same(b, "integer sum", &v, (double[]){13, 10, -5}, 3);
    }
}

/* ---- contract ---- */

/* "nk,km+nj,jm->nm": one chain, terms in order, sums ascending. */
static void test_two_terms(Bench *b, Dtype dt, int n, int k, int j, int m)
{
    bench_begin(b, n);
    Node *in[5];
    in[1] = bench_input(b, dt, shape_of(2, dim_sym(SYM_N), dim_int(k)), -1, 1);
    in[2] = bench_input(b, dt, shape_of(2, dim_int(k), dim_int(m)), -1, 1);
    in[3] = bench_input(b, dt, shape_of(2, dim_sym(SYM_N), dim_int(j)), -1, 1);
    in[4] = bench_input(b, dt, shape_of(2, dim_int(j), dim_int(m)), -1, 1);
    in[0] = bench_input(b, dt, shape_of(2, dim_sym(SYM_N), dim_int(m)), -1, 1);
    const Value *v = b->in.at;
    for (int with_acc = 0; with_acc < 2; with_acc++) {
        Attr attr[] = {attr_of_str(ATTR_spec, "nk,km+nj,jm->nm"), attr_of_int(ATTR_acc, with_acc)};
        Value out = bench_run(b, node_new(b->g, OP_contract, nowhere, in + !with_acc, 4 + with_acc,
                                          attr, 2));
        for (int r = 0; r < n; r++)
            for (int c = 0; c < m; c++) {
                double acc = with_acc ? value_get(&v[4], r * m + c) : 0;
                for (int i = 0; i < k; i++)
                    acc = fused(dt, value_get(&v[0], r * k + i), value_get(&v[1], i * m + c), acc);
                for (int i = 0; i < j; i++)
                    acc = fused(dt, value_get(&v[2], r * j + i), value_get(&v[3], i * m + c), acc);
                bench_expect(b, value_get(&out, r * m + c) == acc, "product %d %d %d at %d %d", n,
                             k, m, r, c);
            }
    }
}

/* A product whose lanes are strided in one operand, in both, in the result. */
static void test_specs(Bench *b, Dtype dt)
{
    enum { N = 3, I = 5, J = 6, K = 7 };
    bench_begin(b, N);
    Node *q = bench_input(b, dt, shape_of(3, dim_sym(SYM_N), dim_int(I), dim_int(K)), -1, 1);
    Node *w = bench_input(b, dt, shape_of(3, dim_sym(SYM_N), dim_int(J), dim_int(K)), -1, 1);
    Node *m = bench_input(b, dt, shape_of(2, dim_int(J), dim_int(K)), -1, 1);
    const Value *v = b->in.at;
    Value out = bench_run(b, make_contract(b->g, "nik,njk->nij", (Node *[]){q, w}, 2));
    Value turned = bench_run(b, make_contract(b->g, "jk,nik->nij", (Node *[]){m, q}, 2));
    Value full = bench_run(b, make_contract(b->g, "nik,njk->n", (Node *[]){q, w}, 2));
    Value each = bench_run(b, make_contract(b->g, "nik,jk->nkij", (Node *[]){q, m}, 2));
    for (int n = 0; n < N; n++) {
        double all = 0;
        for (int i = 0; i < I; i++)
            for (int k = 0; k < K; k++)
                for (int j = 0; j < J; j++)
                    all = fused(dt, value_get(&v[0], (n * I + i) * K + k),
                                value_get(&v[1], (n * J + j) * K + k), all);
        bench_expect(b, value_get(&full, n) == all, "nik,njk->n at %d", n);
        for (int i = 0; i < I; i++)
            for (int j = 0; j < J; j++) {
                double x = 0, y = 0;
                for (int k = 0; k < K; k++) {
                    double a = value_get(&v[0], (n * I + i) * K + k),
                           c = value_get(&v[2], j * K + k);
                    x = fused(dt, a, value_get(&v[1], (n * J + j) * K + k), x);
                    y = fused(dt, a, c, y);
                    bench_expect(b, value_get(&each, ((n * K + k) * I + i) * J + j) ==
                                        fused(dt, a, c, 0), "nik,jk->nkij");
                }
                bench_expect(b, value_get(&out, (n * I + i) * J + j) == x, "nik,njk->nij");
                bench_expect(b, value_get(&turned, (n * I + i) * J + j) == y, "jk,nik->nij");
            }
    }
}

/* ---- across the batch ---- */

enum { STEPS = 3, K = 4, M = 9 };

/* The value of "ntk,ntm->skm" at (s, k, m), literally; time of run-time length or not. */
static double shard_value(Dtype dt, const Value *x, const Value *y, int64_t n, int64_t s, int k,
                          int m, bool run_time, double acc)
{
    int64_t room = n <= 32 ? 16 : 32, blocks = (n + room - 1) / room;
    int64_t size = n > 2048 ? 32 : (n + blocks - 1) / blocks, rows = size * ((n + 2047) / 2048);
    int64_t end = (s + 1) * rows < n ? (s + 1) * rows : n;
    for (int64_t block = s * rows; block < end; block += size)
        for (int i = 0; i < STEPS; i++) {
            int t = run_time ? STEPS - 1 - i : i;
            for (int64_t r = block; r < block + size && r < end; r++)
                acc = fused(dt, value_get(x, (r * STEPS + t) * K + k),
                            value_get(y, (r * STEPS + t) * M + m), acc);
        }
    return acc;
}

static void test_batch(Bench *b, Dtype dt, int64_t n, bool run_time, bool with_acc)
{
    bench_begin(b, n);
    int T = graph_length(b->g, "T", 0);
    b->lengths[T] = STEPS;
    Dim time = run_time ? dim_sym(T) : dim_int(STEPS);
    Node *x = bench_input(b, dt, shape_of(3, dim_sym(SYM_N), time, dim_int(K)), -1, 1);
    Node *y = bench_input(b, dt, shape_of(3, dim_sym(SYM_N), time, dim_int(M)), -1, 1);
    int64_t shards = shard_count(n);
    b->lengths[SYM_S] = shards; /* for the size of the operand below */
    Node *acc = with_acc
                    ? bench_input(b, dt, shape_of(3, dim_sym(SYM_S), dim_int(K), dim_int(M)), -1, 1)
                    : NULL;
    Node *parts = make_batch_contract(b->g, "ntk,ntm->skm", acc, x, y);
    Value p = bench_run(b, parts);
    Value sum = bench_run(b, node1(b->g, OP_sum_shards, parts));
    bench_expect(b, p.dim[0] == shards, "%lld rows have %lld shards", (long long)n,
                 (long long)p.dim[0]);
    for (int k = 0; k < K; k++)
        for (int m = 0; m < M; m++) {
            double total = 0;
            for (int64_t s = 0; s < shards; s++) {
                double from = with_acc ? value_get(&b->in.at[2], (s * K + k) * M + m) : 0;
                double want =
                    shard_value(dt, &b->in.at[0], &b->in.at[1], n, s, k, m, run_time, from);
                bench_expect(b, value_get(&p, (s * K + k) * M + m) == want,
                             "shard %lld of %lld rows at %d %d", (long long)s, (long long)n, k, m);
                total = s ? plus(dt, total, want) : want;
            }
            bench_expect(b, value_get(&sum, k * M + m) == total, "shards of %lld rows at %d %d",
                         (long long)n, k, m);
        }
}

/* A bias's gradient: fma(1, x, acc) is acc + x. */
static void test_batch_sum(Bench *b, Dtype dt, int64_t n)
{
    bench_begin(b, n);
    Node *x = bench_input(b, dt, shape_of(2, dim_sym(SYM_N), dim_int(3)), -1, 1);
    Value v = bench_run(b, make_batch_sum(b->g, x));
    int64_t rows = shard_rows(n);
    for (int k = 0; k < 3; k++) {
        double total = 0;
        for (int64_t from = 0; from < n; from += rows) {
            double part = 0;
            for (int64_t r = from; r < from + rows && r < n; r++)
                part = plus(dt, part, value_get(&b->in.at[0], r * 3 + k));
            total = from ? plus(dt, total, part) : part;
        }
        bench_expect(b, value_get(&v, k) == total, "sum of %lld rows", (long long)n);
    }
}

/* ---- tables ---- */

static void test_scatter(Bench *b, Dtype dt)
{
    enum { N = 40, V = 5, W = 3 };
    bench_begin(b, N);
    Node *index = bench_input(b, DT_i32, shape_of(1, dim_sym(SYM_N)), -2, 8);
    Node *values = bench_input(b, dt, shape_of(2, dim_sym(SYM_N), dim_int(W)), -1, 1);
    Attr attr = attr_of_shape(ATTR_shape, shape_of(2, dim_int(V), dim_int(W)));
    Value v = bench_run(
        b, node_new(b->g, OP_scatter_add, nowhere, (Node *[]){index, values}, 2, &attr, 1));
    double want[V * W] = {0};
    for (int i = 0; i < N; i++) {
        int row = (int)value_get(&b->in.at[0], i);
        row = row < 0 ? 0 : row < V ? row : V - 1;
        for (int k = 0; k < W; k++)
            want[row * W + k] = plus(dt, want[row * W + k], value_get(&b->in.at[1], i * W + k));
    }
    bench_same(b, "scatter_add", &v, want, V * W);
}

/* Columns (rows, when m < n) are orthonormal, and q' x is triangular with a
 * positive diagonal: that is the one factor with signs as Keras fixes them. */
static void test_orthogonal(Bench *b, Dtype dt, int m, int n)
{
    double tolerance = dt == DT_f32 ? 3e-6 : 1e-14;
    bool flip = m < n;
    int rows = flip ? n : m, cols = flip ? m : n;
    bench_begin(b, 1);
    Node *x = bench_input(b, dt, shape_of(2, dim_int(m), dim_int(n)), -2, 2);
    Value q = bench_run(b, node1(b->g, OP_orthogonal, x));
#define AT(v, i, j) value_get(v, flip ? (j)*n + (i) : (i)*n + (j))
    for (int c = 0; c < cols; c++)
        for (int d = 0; d < cols; d++) {
            double dot = 0, r = 0;
            for (int i = 0; i < rows; i++) {
                dot += AT(&q, i, c) * AT(&q, i, d);
                r += AT(&q, i, c) * AT(&b->in.at[0], i, d);
            }
            bench_expect(b, fabs(dot - (c == d)) < tolerance, "columns %d and %d of [%d, %d]: %g",
                         c, d, m, n, dot);
            bench_expect(b, d < c ? fabs(r) < tolerance * rows : d > c || r > 0,
                         "the factor of [%d, %d] at %d %d: %g", m, n, c, d, r);
        }
#undef AT
}

static void test_orthogonal_edges(Bench *b)
{
    bench_begin(b, 1);
    const double zero[] = {0, 0, 0, 0, 0, 0}, eye[] = {1, 0, 0, 1, 0, 0};
    Node *x = bench_given(b, DT_f64, shape_of(2, dim_int(3), dim_int(2)), zero);
    Value q = bench_run(b, node1(b->g, OP_orthogonal, x));
    for (int i = 0; i < 6; i++)
        bench_expect(b, value_get(&q, i) == eye[i], "the factor of zeros at %d", i);
    bench_begin(b, 1);
    x = bench_given(b, DT_f64, shape_of(2, dim_int(1), dim_int(1)), (double[]){-3});
    q = bench_run(b, node1(b->g, OP_orthogonal, x));
    bench_expect(b, fabs(value_get(&q, 0) + 1) < 1e-15, "the factor of -3 is %g", value_get(&q, 0));
}

/* Products of both compilations, to the bit. */
static void test_fma(Bench *b)
{
#if defined(__x86_64__)
    enum { ROWS = 6, DEPTH = 37, COLS = 83 };
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return;
    float x[ROWS * DEPTH], y[DEPTH * COLS], r[2][ROWS * COLS];
    for (int i = 0; i < ROWS * DEPTH; i++)
        x[i] = (float)bench_number(b, -1, 1);
    for (int i = 0; i < DEPTH * COLS; i++)
        y[i] = (float)bench_number(b, -1, 1);
    Product p = {.nout = 2, .extent = {ROWS, COLS}, .out_stride = {COLS, 1}, .nterm = 1};
    p.term[0].x[0] = x;
    p.term[0].x[1] = y;
    p.term[0].stride[0][0] = DEPTH;
    p.term[0].stride[1][1] = 1;
    p.term[0].nsum = 1;
    p.term[0].sum_extent[0] = DEPTH;
    p.term[0].sum_stride[0][0] = 1;
    p.term[0].sum_stride[1][0] = COLS;
    p.out = r[0];
    eval_f32.product(&p);
    p.out = r[1];
    eval_f32_fma.product(&p);
    bench_expect(b, !memcmp(r[0], r[1], sizeof r[0]), "products with and without FMA differ");
#else
    (void)b;
#endif
}

int main(void)
{
    static const int64_t ns[] = {1, 31, 32, 33, 100, 2049};
    Bench b = {.seed = 3};
    for (int k = 0; k < 2; k++) {
        Dtype dt = k ? DT_f64 : DT_f32;
        for (int width = 1; width <= 64; width += width < 18 ? 1 : 23)
            test_reduce(&b, dt, width);
        test_order(&b, dt);
        test_two_terms(&b, dt, 3, 28, 50, 200);
        test_two_terms(&b, dt, 1, 1, 1, 1);
        test_two_terms(&b, dt, 2, 5, 3, 299);
        test_specs(&b, dt);
        for (size_t i = 0; i < sizeof ns / sizeof *ns; i++) {
            test_batch(&b, dt, ns[i], true, i % 2);
            test_batch(&b, dt, ns[i], false, i % 2 == 0);
            test_batch_sum(&b, dt, ns[i]);
        }
        test_scatter(&b, dt);
        test_orthogonal(&b, dt, 8, 8);
        test_orthogonal(&b, dt, 9, 4);
        test_orthogonal(&b, dt, 4, 9);
        test_orthogonal(&b, dt, 1, 5);
    }
    test_order(&b, DT_i32);
    test_orthogonal_edges(&b);
    test_fma(&b);
    return bench_end(&b);
}
