/* Leaves, random numbers, views and gather in the interpreter. */
#include "eval_bench.h"
#include "ir/threefry_c.h"

static const Dtype types[] = {DT_f32, DT_f64, DT_i32, DT_u8, DT_i8, DT_i16, DT_bool};

/* An input [N=2, 3, 4] whose element i is i (of bool: i odd). */
static Node *counted(Bench *b, Dtype dt)
{
    double x[24];
    for (int i = 0; i < 24; i++)
        x[i] = dt == DT_bool ? i % 2 : i;
    return bench_given(b, dt, shape_of(3, dim_sym(SYM_N), dim_int(3), dim_int(4)), x);
}

static double element(Dtype dt, int n, int t, int u)
{
    int i = (n * 3 + t) * 4 + u;
    return dt == DT_bool ? i % 2 : i;
}

static void test_leaves(Bench *b)
{
    bench_begin(b, 3);
    int T = graph_length(b->g, "T", 0);
    b->lengths[T] = 5;
    Value v = bench_run(b, make_const_of(b->g, DT_f32, 0.1));
    bench_same(b, "const", &v, (double[]){0.1f}, 1);
    const double w[] = {1, 2.5, -3, 4};
    v = bench_run(b, make_tensor(b->g, DT_f64, shape_of(2, dim_int(2), dim_int(2)), w, 4, nowhere));
    bench_same(b, "tensor", &v, w, 4);
    Attr iota[] = {attr_of_shape(ATTR_shape, shape_of(3, dim_sym(SYM_N), dim_sym(T), dim_int(2))),
                   attr_of_int(ATTR_axis, 1), attr_of_int(ATTR_dtype, DT_i32)};
    v = bench_run(b, node_new(b->g, OP_iota, nowhere, NULL, 0, iota, 3));
    for (int i = 0; i < 30; i++)
        bench_expect(b, v.count == 30 && value_get(&v, i) == i / 2 % 5, "iota at %d", i);
    Dim d;
    dim_affine(dim_sym(T), 3, 1, 2, &d);
    v = bench_run(b, make_dim(b->g, d));
    bench_same(b, "dim", &v, (double[]){8}, 1);
    v = bench_run(b, node_new(b->g, OP_row, nowhere, NULL, 0, NULL, 0));
    bench_same(b, "row", &v, (double[]){0, 1, 2}, 3);
}

static void test_random(Bench *b, Dtype dt)
{
    enum { N = 5, WIDTH = 7, SEED = 42, STEP = 9, TIME = 3, KEY = 11 };
    bench_begin(b, N);
    const double values[] = {SEED, STEP, TIME};
    Node *in[3];
    for (int i = 0; i < 3; i++)
        in[i] = bench_given(b, DT_i32, shape_of(0), &values[i]);
    for (int nin = 2; nin <= 3; nin++) {
        Attr attr[] = {attr_of_int(ATTR_key, KEY), attr_of_int(ATTR_dtype, dt),
                       attr_of_shape(ATTR_shape, shape_of(2, dim_sym(SYM_N), dim_int(WIDTH)))};
        Value v = bench_run(b, node_new(b->g, OP_random, nowhere, in, nin, attr, 3));
        for (uint32_t i = 0; i < N * WIDTH; i++) {
            uint32_t second, key = KEY + (nin == 3 ? 0x9E3779B9u * TIME : 0);
            double want = (threefry(SEED, STEP, i, key, &second) >> 8) / 16777216.0;
            bench_expect(b, value_get(&v, i) == want, "random at %u is %g, not %g", i,
                         value_get(&v, i), want);
        }
    }
}

static void test_views(Bench *b, Dtype dt)
{
    bench_begin(b, 2);
    Node *x = counted(b, dt);
    Value v = bench_run(b, make_transpose(b->g, x, (int[]){0, 2, 1}));
    for (int i = 0; i < 24; i++)
        bench_expect(b, value_get(&v, i) == element(dt, i / 12, i % 3, i / 3 % 4),
                     "transpose at %d", i);
    v = bench_run(b, make_slice(b->g, x, 1, dim_int(2), dim_int(2), -1));
    for (int i = 0; i < 16; i++)
        bench_expect(b, value_get(&v, i) == element(dt, i / 8, 2 - i / 4 % 2, i % 4), "slice at %d",
                     i);
    v = bench_run(b, make_slice(b->g, x, 2, dim_int(1), dim_int(2), 2));
    for (int i = 0; i < 12; i++)
        bench_expect(b, value_get(&v, i) == element(dt, i / 6, i / 2 % 3, 1 + 2 * (i % 2)),
                     "strided slice at %d", i);
    v = bench_run(b, make_pad(b->g, x, 1, dim_int(5), dim_int(7), -2));
    for (int i = 0; i < 56; i++) {
        int t = i / 4 % 7;
        double want = t == 1 || t == 3 || t == 5 ? element(dt, i / 28, (5 - t) / 2, i % 4) : 0;
        bench_expect(b, v.count == 56 && value_get(&v, i) == want, "pad at %d", i);
    }
    v = bench_run(b, make_reshape(b->g, x, shape_of(2, dim_sym(SYM_N), dim_int(12))));
    for (int i = 0; i < 24; i++)
        bench_expect(b, v.rank == 2 && value_get(&v, i) == element(dt, 0, 0, i), "reshape at %d",
                     i);
    Node *part = make_slice(b->g, x, 1, dim_int(0), dim_int(2), 1);
    v = bench_run(b, make_concat(b->g, (Node *[]){part, x}, 2, 1));
    for (int i = 0; i < 40; i++) {
        int t = i / 4 % 5;
        bench_expect(b, value_get(&v, i) == element(dt, i / 20, t < 2 ? t : t - 2, i % 4),
                     "concat at %d", i);
    }
    Node *row = make_reshape(b->g, make_slice(b->g, x, 1, dim_int(1), dim_int(1), 1),
                             shape_of(2, dim_sym(SYM_N), dim_int(4)));
    v = bench_run(b,
                  make_broadcast(b->g, row, shape_of(3, dim_sym(SYM_N), dim_int(5), dim_int(4))));
    for (int i = 0; i < 40; i++)
        bench_expect(b, value_get(&v, i) == element(dt, i / 20, 1, i % 4), "broadcast at %d", i);
}

static void test_gather(Bench *b, Dtype dt)
{
    bench_begin(b, 2);
    const double index[] = {0, 3, 2, -5, 100, 1};
    double table[12];
    for (int i = 0; i < 12; i++)
        table[i] = dt == DT_bool ? i % 3 == 0 : i * 2;
    Node *t = bench_given(b, dt, shape_of(2, dim_int(4), dim_int(3)), table);
    Node *k = bench_given(b, DT_i32, shape_of(2, dim_sym(SYM_N), dim_int(3)), index);
    Value v = bench_run(b, node2(b->g, OP_gather, t, k));
    for (int i = 0; i < 18; i++) {
        int row = (int)(index[i / 3] < 0 ? 0 : index[i / 3] > 3 ? 3 : index[i / 3]);
        bench_expect(b, v.rank == 3 && value_get(&v, i) == table[row * 3 + i % 3], "gather at %d",
                     i);
    }
}

int main(void)
{
    Bench b = {.seed = 2};
    test_leaves(&b);
    test_random(&b, DT_f32);
    test_random(&b, DT_f64);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        test_views(&b, types[i]);
        test_gather(&b, types[i]);
    }
    return bench_end(&b);
}
