/* Scans in the interpreter against the same steps written out, both ways and
 * nested; and the search for the first operation that makes a NaN. */
#include "eval_bench.h"

enum { N = 3, T = 6, D = 4, U = 5 };

static Node *body_input(Graph *g, const char *name, Dtype dt, Shape s)
{
    return graph_input(g, ROLE_body, name, dt, s, nowhere);
}

static Shape rows(int width)
{
    return shape_of(2, dim_sym(SYM_N), dim_int(width));
}

/* h, x -> tanh(x W + h U). */
static Node *step_of(Graph *g, Node *h, Node *x, Node *w, Node *u)
{
    return node1(g, OP_tanh, make_contract(g, "nk,km+nj,jm->nm", (Node *[]){x, w, h, u}, 4));
}

typedef struct { Node *x, *h0, *w, *u; } Cell;

static Cell cell_inputs(Bench *b, Dim time)
{
    Cell c;
    c.x = bench_input(b, DT_f32, shape_of(3, dim_sym(SYM_N), time, dim_int(D)), -1, 1);
    c.h0 = bench_input(b, DT_f32, rows(U), -1, 1);
    c.w = bench_input(b, DT_f32, shape_of(2, dim_int(D), dim_int(U)), -1, 1);
    c.u = bench_input(b, DT_f32, shape_of(2, dim_int(U), dim_int(U)), -1, 1);
    return c;
}

static Graph *cell_body(Bench *b, Node **x, Node **h, Node **next)
{
    Graph *body = graph_new(b->a, "body");
    body->outer = b->g;
    *h = body_input(body, "h", DT_f32, rows(U));
    *x = body_input(body, "x", DT_f32, rows(D));
    Node *w = body_input(body, "w", DT_f32, shape_of(2, dim_int(D), dim_int(U)));
    Node *u = body_input(body, "u", DT_f32, shape_of(2, dim_int(U), dim_int(U)));
    *next = step_of(body, *h, *x, w, u);
    return body;
}

static void expect_same(Bench *b, const char *what, const Value *x, const Value *y)
{
    bench_expect(b, x->count == y->count, "%s: %lld and %lld elements", what, (long long)x->count,
                 (long long)y->count);
    for (int64_t i = 0; i < x->count && i < y->count; i++)
        bench_expect(b, value_get(x, i) == value_get(y, i), "%s at %lld: %.9g and %.9g", what,
                     (long long)i, value_get(x, i), value_get(y, i));
}

static void test_unrolled(Bench *b, bool reverse, bool run_time)
{
    bench_begin(b, N);
    int sym = graph_length(b->g, "T", 0);
    b->lengths[sym] = T;
    Cell c = cell_inputs(b, run_time ? dim_sym(sym) : dim_int(T));
    Node *x, *h, *next;
    Graph *body = cell_body(b, &x, &h, &next);
    graph_output(body, ROLE_body, "h", next);
    graph_output(body, ROLE_body, "hs", next);
    graph_output(body, ROLE_body, "before", h);
    Node *scan = make_scan(b->g, nowhere, body, &c.h0, 1, &c.x, 1, (Node *[]){c.w, c.u}, 2,
                           run_time ? dim_sym(sym) : dim_int(T), reverse);
    Value last = bench_run(b, make_result(b->g, scan, 0));
    Value all = bench_run(b, make_result(b->g, scan, 1));
    Value before = bench_run(b, make_result(b->g, scan, 2));
    Node *now = c.h0;
    for (int i = 0; i < T; i++) {
        int t = reverse ? T - 1 - i : i;
        Value was = bench_run(b, now);
        Node *xt = make_reshape(b->g, make_slice(b->g, c.x, 1, dim_int(t), dim_int(1), 1), rows(D));
        now = step_of(b->g, now, xt, c.w, c.u);
        Value v = bench_run(b, now);
        for (int n = 0; n < N; n++)
            for (int u = 0; u < U; u++) {
                bench_expect(b, value_get(&all, (n * T + t) * U + u) == value_get(&v, n * U + u),
                             "step %d, row %d", t, n);
                bench_expect(b,
                             value_get(&before, (n * T + t) * U + u) == value_get(&was, n * U + u),
                             "before step %d, row %d", t, n);
            }
    }
    Value v = bench_run(b, now);
    expect_same(b, "final carry", &last, &v);
}

/* Two carries that change places every step, and a sequence without the batch. */
static void test_swap(Bench *b)
{
    bench_begin(b, 1);
    const double steps[] = {1, 10, 100};
    Node *init[] = {make_const_of(b->g, DT_f64, 2), make_const_of(b->g, DT_f64, 3)};
    Node *seq = bench_given(b, DT_f64, shape_of(1, dim_int(3)), steps);
    Graph *body = graph_new(b->a, "body");
    Node *p = body_input(body, "p", DT_f64, shape_of(0)),
         *q = body_input(body, "q", DT_f64, shape_of(0));
    Node *s = body_input(body, "s", DT_f64, shape_of(0));
    graph_output(body, ROLE_body, "p", q);
    graph_output(body, ROLE_body, "q", p);
    graph_output(body, ROLE_body, "out", node2(body, OP_mul, p, s));
    Node *scan = make_scan(b->g, nowhere, body, init, 2, &seq, 1, NULL, 0, dim_int(3), false);
    Value v = bench_run(b, make_result(b->g, scan, 0));
    bench_same(b, "first carry", &v, (double[]){3}, 1);
    v = bench_run(b, make_result(b->g, scan, 1));
    bench_same(b, "second carry", &v, (double[]){2}, 1);
    v = bench_run(b, make_result(b->g, scan, 2));
    bench_same(b, "stack", &v, (double[]){2, 30, 200}, 3);
}

/* A scan in a scan: for every row of x, h is tripled T times and x added. */
static void test_nested(Bench *b)
{
    enum { OUTER = 3, INNER = 4 };
    bench_begin(b, 2);
    Node *x =
        bench_input(b, DT_f64, shape_of(3, dim_sym(SYM_N), dim_int(OUTER), dim_int(INNER)), -1, 1);
    Node *zero = make_broadcast(b->g, make_const_of(b->g, DT_f64, 0), shape_of(1, dim_sym(SYM_N)));
    Graph *outer = graph_new(b->a, "outer"), *inner = graph_new(b->a, "inner");
    Node *h = body_input(outer, "h", DT_f64, shape_of(1, dim_sym(SYM_N)));
    Node *row = body_input(outer, "row", DT_f64, rows(INNER));
    Node *g = body_input(inner, "g", DT_f64, shape_of(1, dim_sym(SYM_N)));
    Node *e = body_input(inner, "e", DT_f64, shape_of(1, dim_sym(SYM_N)));
    Node *grown = node2(inner, OP_add, node2(inner, OP_mul, g, make_const(inner, 3)), e);
    graph_output(inner, ROLE_body, "g", grown);
    graph_output(inner, ROLE_body, "all", grown);
    Node *in = make_scan(outer, nowhere, inner, &h, 1, &row, 1, NULL, 0, dim_int(INNER), true);
    graph_output(outer, ROLE_body, "h", make_result(outer, in, 0));
    graph_output(outer, ROLE_body, "all", make_result(outer, in, 1));
    Node *out = make_scan(b->g, nowhere, outer, &zero, 1, &x, 1, NULL, 0, dim_int(OUTER), false);
    Value last = bench_run(b, make_result(b->g, out, 0));
    Value all = bench_run(b, make_result(b->g, out, 1));
    bench_expect(b, all.rank == 3 && all.dim[1] == OUTER && all.dim[2] == INNER,
                 "nested stack's shape");
    for (int n = 0; n < 2; n++) {
        double v = 0;
        for (int t = 0; t < OUTER; t++)
            for (int i = INNER - 1; i >= 0; i--) {
                int at = (n * OUTER + t) * INNER + i;
                v = v * 3 + value_get(&b->in.at[0], at);
                bench_expect(b, value_get(&all, at) == v, "nested at %d %d %d", n, t, i);
            }
        bench_expect(b, value_get(&last, n) == v, "nested, row %d", n);
    }
}

/* dW accumulated in a reversed scan has the bits of one product over time after
 * it, also when a shard has several blocks and the last has few rows. What else
 * the body does (a carry of rows, random numbers, row numbers) is not disturbed. */
static void test_deferred(Bench *b, int64_t n)
{
    bench_begin(b, n);
    int sym = graph_length(b->g, "T", 0);
    b->lengths[sym] = T;
    Shape s = shape_of(3, dim_sym(SYM_N), dim_sym(sym), dim_int(D));
    Node *x = bench_input(b, DT_f32, s, -1, 1), *y = bench_input(b, DT_f32, s, -1, 1);
    Node *seed = bench_given(b, DT_i32, shape_of(0), (double[]){5});
    Shape acc = shape_of(3, dim_sym(SYM_S), dim_int(D), dim_int(D));
    Node *zero = make_broadcast(b->g, make_const_of(b->g, DT_f32, 0), acc);
    Node *zeros = make_broadcast(b->g, make_const_of(b->g, DT_f32, 0), rows(D));
    Value after = bench_run(b, make_batch_contract(b->g, "ntk,ntm->skm", NULL, x, y));
    Node *last[2][3];
    for (int with_sum = 0; with_sum < 2; with_sum++) {
        Graph *body = graph_new(b->a, "body");
        body->outer = b->g;
        Node *h = body_input(body, "h", DT_f32, rows(D));
        Node *sum = with_sum ? body_input(body, "sum", DT_f32, acc) : NULL;
        Node *xt = body_input(body, "x", DT_f32, rows(D)),
             *yt = body_input(body, "y", DT_f32, rows(D));
        Node *k = body_input(body, "seed", DT_i32, shape_of(0));
        Attr attr[] = {attr_of_int(ATTR_key, 1), attr_of_int(ATTR_dtype, DT_f32),
                       attr_of_shape(ATTR_shape, rows(D))};
        Node *noise = node_new(body, OP_random, nowhere, (Node *[]){k, k}, 2, attr, 3);
        Node *row = make_cast(body, node_new(body, OP_row, nowhere, NULL, 0, NULL, 0), DT_f32);
        Node *share = node2(body, OP_div, row, make_dim(body, dim_sym(SYM_N)));
        Node *next =
            node2(body, OP_add, node2(body, OP_mul, h, xt), node2(body, OP_mul, noise, share));
        graph_output(body, ROLE_body, "h", next);
        if (with_sum)
            graph_output(body, ROLE_body, "sum",
                         make_batch_contract(body, "nk,nm->skm", sum, xt, yt));
        graph_output(body, ROLE_body, "hs", next);
        Node *scan = make_scan(b->g, nowhere, body, (Node *[]){zeros, zero}, 1 + with_sum,
                               (Node *[]){x, y}, 2, &seed, 1, dim_sym(sym), true);
        last[with_sum][0] = make_result(b->g, scan, 0);
        last[with_sum][1] = make_result(b->g, scan, 1 + with_sum);
        last[with_sum][2] = make_result(b->g, scan, 1);
    }
    Value inside = bench_run(b, last[1][2]);
    expect_same(b, "deferred product", &inside, &after);
    for (int i = 0; i < 2; i++) {
        Value with = bench_run(b, last[1][i]), without = bench_run(b, last[0][i]);
        expect_same(b, "a value beside a sum over the batch", &with, &without);
    }
}

/* ---- the first operation that makes a NaN ---- */

static const Node *find_bad(Bench *b, Node *n)
{
    Value out;
    b->g->outputs.n = 0;
    graph_output(b->g, ROLE_result, "out", n);
    return graph_eval(b->a, b->g, (EvalSizes){b->lengths, SYM_MOST}, b->in.at, &out, true);
}

static void test_check(Bench *b)
{
    const double x[] = {1, -1, 4}, bad[] = {1, NAN, 4};
    bench_begin(b, 3);
    Node *in = bench_given(b, DT_f32, shape_of(1, dim_sym(SYM_N)), x);
    Node *root = node1(b->g, OP_sqrt, in), *twice = node2(b->g, OP_add, root, root);
    bench_expect(b, find_bad(b, twice) == root, "the square root was not found");
    bench_expect(b, !find_bad(b, node1(b->g, OP_abs, in)),
                 "a mistake was found where there is none");
    node1(b->g, OP_log, in); /* of no consequence */
    bench_expect(b, !find_bad(b, node2(b->g, OP_mul, in, in)), "a dead operation was blamed");
    bench_begin(b, 3);
    in = bench_given(b, DT_f32, shape_of(1, dim_sym(SYM_N)), bad);
    bench_expect(b, !find_bad(b, node1(b->g, OP_neg, in)), "an operation was blamed for its input");
    Node *infinite = node1(b->g, OP_neg, make_const_of(b->g, DT_f32, INFINITY));
    bench_expect(b, !find_bad(b, infinite), "an operation was blamed for a constant");
}

/* h grows until it overflows in the second step: the body's product is found. */
static void test_check_scan(Bench *b)
{
    bench_begin(b, 1);
    const double one = 1e10;
    Node *h0 = bench_given(b, DT_f32, shape_of(0), &one);
    Graph *body = graph_new(b->a, "body");
    Node *h = body_input(body, "h", DT_f32, shape_of(0));
    Node *square = node2(body, OP_mul, h, h);
    graph_output(body, ROLE_body, "h", square);
    Node *scan = make_scan(b->g, nowhere, body, &h0, 1, NULL, 0, NULL, 0, dim_int(5), false);
    bench_expect(b, find_bad(b, make_result(b->g, scan, 0)) == square, "the product was not found");
}

int main(void)
{
    Bench b = {.seed = 4};
    for (int i = 0; i < 4; i++)
        test_unrolled(&b, i & 1, i & 2);
    test_swap(&b);
    test_nested(&b);
    test_deferred(&b, 100);
    test_deferred(&b, 2049);
    test_deferred(&b, 4100);
    test_check(&b);
    test_check_scan(&b);
    return bench_end(&b);
}
