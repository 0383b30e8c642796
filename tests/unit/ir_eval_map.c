/* Elementwise operations and casts in the interpreter: against libm, with every
 * way to broadcast, on integers and truth values. */
#include "eval_bench.h"
#include "ir/eval_in.h"

/* ---- values, by name ---- */

static double normal_quantile(double p)
{
    double x = 0;
    for (int i = 0; i < 60; i++) {
        double e = erfc(-x / sqrt(2)) / 2 - p, d = e * sqrt(2 * acos(-1)) * exp(x * x / 2);
        x -= d / (1 + x * d / 2);
    }
    return x;
}

/* To nearest, ties to even: the rounding mode that is set. */
static double eight_bits(double x)
{
    int e;
    double m = frexp(x, &e);
    return ldexp(nearbyint(ldexp(m, 8)), e - 8);
}

/* What the operation gives, in double; false when it is none of those tested here. */
static bool value_by_libm(const char *op, const double *v, double *r)
{
    double x = v[0], y = v[1];
#define IS(name, formula)        \
    if (!strcmp(op, #name)) {    \
        *r = (formula);          \
        return true;             \
    }
    IS(neg, -x)
    IS(abs, fabs(x))
    IS(sign, (x > 0) - (x < 0))
    IS(exp, exp(x))
    IS(expm1, expm1(x))
    IS(log, log(x))
    IS(log1p, log1p(x))
    IS(sqrt, sqrt(x))
    IS(tanh, tanh(x))
    IS(sigmoid, 1 / (1 + exp(-x)))
    IS(softplus, log1p(exp(x)))
    IS(erf, erf(x))
    IS(sin, sin(x))
    IS(cos, cos(x))
    IS(floor, floor(x))
    IS(probit, normal_quantile(x))
    IS(bfloat16, eight_bits(x))
    IS(stop_gradient, x)
    IS(add, x + y)
    IS(sub, x - y)
    IS(mul, x * y)
    IS(div, x / y)
    IS(pow, pow(x, y))
    IS(max, x > y ? x : y)
    IS(min, x < y ? x : y)
    IS(mod, x - y * floor(x / y))
    IS(lt, x < y)
    IS(le, x <= y)
    IS(gt, x > y)
    IS(ge, x >= y)
    IS(eq, x == y)
    IS(ne, x != y)
    return false;
#undef IS
}

static void range_of(const char *domain, double *lo, double *hi)
{
    *lo = -2;
    *hi = 2;
    if (!strcmp(domain, "positive") || !strcmp(domain, "nonzero"))
        *lo = 0.1;
    if (!strcmp(domain, "unit")) {
        *lo = 0.05;
        *hi = 0.95;
    }
}

static void test_values(Bench *b, Op op, Dtype dt)
{
    enum { ROWS = 7, WIDTH = 31 }; /* more than LANES, and a rest */
    const OpInfo *info = &op_info[op];
    Shape s = shape_of(2, dim_sym(SYM_N), dim_int(WIDTH));
    Node *in[3];
    double lo, hi, want, tolerance = dt == DT_f64 ? 1e-14 : 2e-6;
    range_of(info->domain, &lo, &hi);
    bench_begin(b, ROWS);
    for (int k = 0; k < info->arity; k++)
        in[k] = bench_input(b, dt, s, lo, hi);
    Value out = bench_run(b, node_new(b->g, op, nowhere, in, info->arity, NULL, 0));
    bench_expect(b, out.count == ROWS * WIDTH, "%s has %lld elements", info->name,
                 (long long)out.count);
    for (int64_t i = 0; i < out.count; i++) {
        double v[2] = {value_get(&b->in.at[0], i),
                       info->arity > 1 ? value_get(&b->in.at[1], i) : 0};
        if (!value_by_libm(info->name, v, &want)) {
            bench_expect(b, false, "no expectation for %s", info->name);
            return;
        }
        double got = value_get(&out, i);
        bench_expect(b, fabs(got - want) <= tolerance * (fabs(want) + 0.5),
                     "%s(%.9g, %.9g) in %s is %.17g, not %.17g", info->name, v[0], v[1],
                     dtype_name(dt), got, want);
    }
}

static void test_all_values(Bench *b)
{
    for (int op = 0; op < NOP; op++) {
        const OpInfo *info = &op_info[op];
        if (!info->formula || !strcmp(info->domain, "bool") || op == OP_select)
            continue;
        test_values(b, (Op)op, DT_f32);
        test_values(b, (Op)op, DT_f64);
    }
}

/* ---- broadcasting ---- */

static void test_broadcast(Bench *b, Dtype dt)
{
    enum { N = 3, T = 4, U = 70 };
    Shape full = shape_of(3, dim_sym(SYM_N), dim_int(T), dim_int(U));
    const Shape with[] = {
        full,
        shape_of(3, dim_sym(SYM_N), dim_int(T), dim_int(1)),
        shape_of(3, dim_sym(SYM_N), dim_int(1), dim_int(U)),
        shape_of(2, dim_sym(SYM_N), dim_int(U)),
        shape_of(1, dim_sym(SYM_N)),
        shape_of(2, dim_int(T), dim_int(U)),
        shape_of(2, dim_int(T), dim_int(1)),
        shape_of(1, dim_int(U)),
        shape_of(1, dim_int(1)),
        shape_of(0),
    };
    for (size_t k = 0; k < sizeof with / sizeof *with; k++) {
        const Shape *s = &with[k];
        bench_begin(b, N);
        Node *x = bench_input(b, dt, full, -1, 1), *y = bench_input(b, dt, *s, -1, 1);
        bool lead = shape_has_batch(s);
        Value out = bench_run(b, node2(b->g, OP_sub, y, x));
        for (int n = 0; n < N; n++)
            for (int t = 0; t < T; t++)
                for (int u = 0; u < U; u++) {
                    int64_t index[] = {t, u}, at = lead ? n : 0;
                    for (int i = lead; i < s->rank; i++) {
                        int64_t extent = s->d[i].add;
                        at = at * extent + (extent == 1 ? 0 : index[2 - s->rank + i]);
                    }
                    int64_t here = (n * T + t) * U + u;
                    double want = value_get(&b->in.at[1], at) - value_get(&b->in.at[0], here);
                    want = dt == DT_f32 ? (float)want : want;
                    bench_expect(b, value_get(&out, here) == want, "broadcast %zu at %d %d %d", k,
                                 n, t, u);
                }
    }
}

/* Both operands broadcast, neither is laid out like the result. */
static void test_outer(Bench *b)
{
    bench_begin(b, 5);
    Node *x = bench_input(b, DT_f32, shape_of(2, dim_sym(SYM_N), dim_int(1)), -1, 1);
    Node *y = bench_input(b, DT_f32, shape_of(1, dim_int(3)), -1, 1);
    Value out = bench_run(b, node2(b->g, OP_mul, x, y));
    for (int i = 0; i < 15; i++)
        bench_expect(b,
                     value_get(&out, i) == (float)((float)value_get(&b->in.at[0], i / 3) *
                                                   (float)value_get(&b->in.at[1], i % 3)),
                     "outer product at %d", i);
}

/* ---- special values, selection, truth ---- */

static void test_special(Bench *b)
{
    const double x[] = {NAN, 1, -0.0, 0.0, INFINITY, -INFINITY, 5e-39};
    const double y[] = {1, NAN, 0.0, -0.0, INFINITY, 1, 0};
    Shape s = shape_of(1, dim_int(7));
    static const struct { Op op; double want[7]; } cases[] = {
        {OP_max, {NAN, NAN, -0.0, 0.0, INFINITY, 1, 0}},
        {OP_min, {NAN, NAN, -0.0, 0.0, INFINITY, -INFINITY, 0}},
        {OP_add, {NAN, NAN, 0.0, 0.0, INFINITY, -INFINITY, 0}},
        {OP_lt, {0, 0, 0, 0, 0, 1, 0}},
        {OP_ne, {1, 1, 0, 0, 0, 1, 0}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bench_begin(b, 1);
        Node *p = bench_given(b, DT_f32, s, x), *q = bench_given(b, DT_f32, s, y);
        Value out = bench_run(b, node2(b->g, cases[k].op, p, q));
        for (int i = 0; i < 6; i++)
            bench_expect(b, same_number(value_get(&out, i), cases[k].want[i]),
                         "%s of special values %d is %g", op_info[cases[k].op].name, i,
                         value_get(&out, i));
    }
    /* A denormal is zero while evaluating, and is itself again afterwards. */
    bench_begin(b, 1);
    Node *p = bench_given(b, DT_f32, s, x);
    volatile float tiny = 5e-39f;
    Value out = bench_run(b, node2(b->g, OP_mul, p, make_const_of(b->g, DT_f32, 2)));
    bench_expect(b, value_get(&out, 6) == 0, "a denormal was not flushed");
    bench_expect(b, tiny * 2 != 0, "the processor's mode was not restored");
}

static void test_select(Bench *b)
{
    static const Dtype types[] = {DT_f32, DT_f64, DT_i32, DT_u8, DT_i8, DT_i16, DT_bool};
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        bench_begin(b, 4);
        Shape s = shape_of(2, dim_sym(SYM_N), dim_int(19)), t = shape_of(1, dim_int(19));
        bool flag = types[k] == DT_bool;
        Node *c = bench_input(b, DT_bool, s, 0, 1);
        for (int i = 0; i < 76; i += 3)
            value_set(&b->in.at[0], i, 0);
        Node *in[] = {c, bench_input(b, types[k], s, 0, flag ? 1 : 100),
                      bench_input(b, types[k], t, 0, flag ? 1 : 100)};
        Value out = bench_run(b, node_new(b->g, OP_select, nowhere, in, 3, NULL, 0));
        for (int i = 0; i < 76; i++) {
            double want = i % 3 ? value_get(&b->in.at[1], i) : value_get(&b->in.at[2], i % 19);
            bench_expect(b, value_get(&out, i) == want, "select of %s at %d", dtype_name(types[k]),
                         i);
        }
        out = bench_run(b, node1(b->g, OP_stop_gradient, in[1]));
        for (int i = 0; i < 76; i++)
            bench_expect(b, value_get(&out, i) == value_get(&b->in.at[1], i), "stop_gradient of %s",
                         dtype_name(types[k]));
    }
}

static void test_truth(Bench *b)
{
    const double x[] = {0, 0, 1, 1}, y[] = {0, 1, 0, 1};
    const double both[] = {0, 0, 0, 1}, either[] = {0, 1, 1, 1}, none[] = {1, 1, 0, 0};
    bench_begin(b, 1);
    Shape s = shape_of(1, dim_int(4));
    Node *p = bench_given(b, DT_bool, s, x), *q = bench_given(b, DT_bool, s, y);
    Value v = bench_run(b, node2(b->g, OP_and, p, q));
    bench_same(b, "and", &v, both, 4);
    v = bench_run(b, node2(b->g, OP_or, p, q));
    bench_same(b, "or", &v, either, 4);
    v = bench_run(b, node1(b->g, OP_not, p));
    bench_same(b, "not", &v, none, 4);
}

static void test_integers(Bench *b)
{
    const double x[] = {7, -7, 7, -7, INT32_MIN, INT32_MAX, 5, INT32_MIN};
    const double y[] = {3, 3, -3, -3, -1, 1, 0, 1};
    static const struct { Op op; double want[8]; } cases[] = {
        {OP_add, {10, -4, 4, -10, INT32_MAX, INT32_MIN, 5, INT32_MIN + 1.0}},
        {OP_sub, {4, -10, 10, -4, INT32_MIN + 1.0, INT32_MAX - 1.0, 5, INT32_MAX}},
        {OP_mul, {21, -21, -21, 21, INT32_MIN, INT32_MAX, 0, INT32_MIN}},
        {OP_mod, {1, 2, -2, -1, 0, 0, 0, 0}},
        {OP_max, {7, 3, 7, -3, -1, INT32_MAX, 5, 1}},
        {OP_min, {3, -7, -3, -7, INT32_MIN, 1, 0, INT32_MIN}},
        {OP_lt, {0, 1, 0, 1, 1, 0, 0, 1}},
        {OP_le, {0, 1, 0, 1, 1, 0, 0, 1}},
        {OP_gt, {1, 0, 1, 0, 0, 1, 1, 0}},
        {OP_ge, {1, 0, 1, 0, 0, 1, 1, 0}},
        {OP_eq, {0, 0, 0, 0, 0, 0, 0, 0}},
        {OP_ne, {1, 1, 1, 1, 1, 1, 1, 1}},
        {OP_neg, {-7, 7, -7, 7, INT32_MIN, -INT32_MAX, -5, INT32_MIN}},
        {OP_abs, {7, 7, 7, 7, INT32_MIN, INT32_MAX, 5, INT32_MIN}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bench_begin(b, 1);
        Shape s = shape_of(1, dim_int(8));
        Node *in[] = {bench_given(b, DT_i32, s, x), bench_given(b, DT_i32, s, y)};
        int arity = op_info[cases[k].op].arity;
        Value v = bench_run(b, node_new(b->g, cases[k].op, nowhere, in, arity, NULL, 0));
        bench_same(b, op_info[cases[k].op].name, &v, cases[k].want, 8);
    }
}

/* ---- casts ---- */

static void test_casts(Bench *b)
{
    const double x[] = {1.9, -1.9, 1e20, -1e20, NAN, 0, 300.5, INFINITY};
    static const struct { Dtype dt; double want[8]; } cases[] = {
        {DT_i32, {1, -1, INT32_MAX, INT32_MIN, 0, 0, 300, INT32_MAX}},
        {DT_i16, {1, -1, INT16_MAX, INT16_MIN, 0, 0, 300, INT16_MAX}},
        {DT_i8, {1, -1, INT8_MAX, INT8_MIN, 0, 0, INT8_MAX, INT8_MAX}},
        {DT_u8, {1, 0, 255, 0, 0, 0, 255, 255}},
        {DT_f64, {1.9, -1.9, 1e20, -1e20, NAN, 0, 300.5, INFINITY}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bench_begin(b, 1);
        Node *in = bench_given(b, DT_f64, shape_of(1, dim_int(8)), x);
        Attr to = attr_of_int(ATTR_dtype, cases[k].dt);
        Value v = bench_run(b, node_new(b->g, OP_cast, nowhere, &in, 1, &to, 1));
        bench_same(b, dtype_name(cases[k].dt), &v, cases[k].want, 8);
    }
    bench_begin(b, 1);
    const double i[] = {16777217, -5, 0, 255};
    const double f[] = {16777216, -5, 0, 255};
    Value v =
        bench_run(b, make_cast(b->g, bench_given(b, DT_i32, shape_of(1, dim_int(4)), i), DT_f32));
    bench_same(b, "i32 to f32", &v, f, 4);
    bench_begin(b, 1);
    v = bench_run(
        b,
        make_cast(b->g, bench_given(b, DT_f64, shape_of(1, dim_int(1)), (double[]){0.1}), DT_f32));
    bench_same(b, "f64 to f32", &v, (double[]){0.1f}, 1);
}

/* ---- both compilations give the same bits ---- */

static void test_fma(Bench *b)
{
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return;
    _Alignas(16) float x[3][LANES], r[2][LANES];
    _Alignas(16) double dx[3][LANES], dr[2][LANES];
    for (int round = 0; round < 200; round++)
        for (int op = 0; op < NOP; op++) {
            if (!eval_f32.map[op] || op == OP_select)
                continue;
            for (int i = 0; i < 3 * LANES; i++) {
                double v = bench_number(b, -1, 1) * exp(bench_number(b, -20, 20));
                (&x[0][0])[i] = (float)v;
                (&dx[0][0])[i] = v;
            }
            memset(r, 0, sizeof r);
            memset(dr, 0, sizeof dr);
            eval_f32.map[op](r[0], x[0], x[1], x[2]);
            eval_f32_fma.map[op](r[1], x[0], x[1], x[2]);
            eval_f64.map[op](dr[0], dx[0], dx[1], dx[2]);
            eval_f64_fma.map[op](dr[1], dx[0], dx[1], dx[2]);
            for (int i = 0; i < LANES; i++) {
                bool nan2 = isnan(r[0][i]) && isnan(r[1][i]),
                     dnan = isnan(dr[0][i]) && isnan(dr[1][i]);
                bench_expect(b, nan2 || !memcmp(&r[0][i], &r[1][i], sizeof(float)),
                             "%s of %.9g is %.9g and %.9g", op_info[op].name, x[0][i], r[0][i],
                             r[1][i]);
                bench_expect(b, dnan || !memcmp(&dr[0][i], &dr[1][i], sizeof(double)),
                             "%s of %.17g is %.17g and %.17g", op_info[op].name, dx[0][i], dr[0][i],
                             dr[1][i]);
            }
        }
#else
    (void)b;
#endif
}

int main(void)
{
    Bench b = {.seed = 1};
    test_all_values(&b);
    test_broadcast(&b, DT_f32);
    test_broadcast(&b, DT_f64);
    test_outer(&b);
    test_special(&b);
    test_select(&b);
    test_truth(&b);
    test_integers(&b);
    test_casts(&b);
    test_fma(&b);
    return bench_end(&b);
}
