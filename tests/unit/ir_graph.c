/* Extents, products' notation, attributes, building, copying, replacing. */
#include "ir/contract.h"

#include <string.h>

static int failed;

static void check_at(bool ok, int line, const char *what)
{
    if (!ok)
        printf("line %d: %s\n", line, what);
    failed += !ok;
}

#define CHECK(x) check_at((x), __LINE__, #x)
#define CHECK_TEXT(found, needed) check_at(!strcmp(found, needed), __LINE__, found)

static const Span nowhere;

static Dim fraction(int64_t mul, int64_t add, int64_t div)
{
    Dim d = dim_int(-99);
    dim_affine(dim_sym(SYM_length), mul, add, div, &d);
    return d;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/* Against plain arithmetic at many lengths; equal functions are equal extents. */
static void test_dims(void)
{
    for (int m = -3; m <= 4; m++)
        for (int b = -5; b <= 5; b++)
            for (int d = 1; d <= 6; d++)
                for (int k = 0; k < 20; k++) {
                    int64_t at[SYM_MOST] = {[SYM_length] = k};
                    Dim x = fraction(m, b, d), y, z;
                    int64_t v = floor_div((int64_t)m * k + b, d);
                    CHECK(dim_value(x, at) == v);
                    if (dim_affine(x, 1, b, 1 + k % 3, &y))
                        CHECK(dim_value(y, at) == floor_div(v + b, 1 + k % 3));
                    if (dim_add(x, fraction(k, 1, 1), &z))
                        CHECK(dim_value(z, at) == v + (int64_t)k * k + 1);
                    CHECK(dim_equal(x, fraction(m * 3, b * 3 + 2, d * 3)));
                }
    Dim d;
    CHECK(!dim_affine(fraction(1, 0, 2), 2, 0, 1, &d));
    CHECK(!dim_affine(dim_sym(SYM_length), INT64_MAX, 0, 1, &d) || d.mul == INT64_MAX);
    CHECK(!dim_affine(fraction(3, 0, 1), INT64_MAX, 0, 1, &d));
    CHECK(!dim_affine(dim_int(INT64_MAX), 1, 1, 1, &d));
    CHECK(!dim_affine(dim_int(1), 1, 1, 0, &d));
    CHECK(!dim_add(dim_sym(SYM_N), dim_sym(SYM_length), &d));
    CHECK(dim_is(fraction(2, 3, 1), 3) == false && dim_is(fraction(0, 7, 2), 3));
    CHECK(dim_equal((Dim){0}, dim_int(0)));
}

static void test_dim_text(Arena *a)
{
    Graph *g = graph_new(a, "t"), *body = graph_new(a, "b");
    body->outer = g;
    CHECK(graph_length(body, "T", 200) == SYM_length && graph_length(g, "U", 0) == SYM_length + 1);
    CHECK(graph_length(g, "T", 100) == SYM_length && g->length_most.at[0] == 100);
    CHECK_TEXT(dim_text(a, body, fraction(1, 0, 1)), "T");
    CHECK_TEXT(dim_text(a, g, fraction(2, -3, 1)), "2*T-3");
    CHECK_TEXT(dim_text(a, g, fraction(-1, 5, 2)), "(-T+5)/2");
    CHECK_TEXT(dim_text(a, g, fraction(3, 0, 2)), "3*T/2");
    CHECK_TEXT(dim_text(a, NULL, dim_sym(SYM_length + 2)), "length_2");
    Shape s = shape_of(3, dim_sym(SYM_N), fraction(1, 1, 1), dim_int(28));
    CHECK_TEXT(shape_text(a, g, &s), "[T+1, 28]");
    Node *n = graph_input(g, ROLE_data, "x", DT_u8, s, nowhere);
    CHECK_TEXT(type_text(a, g, n), "u8[N, T+1, 28]");
    CHECK_TEXT(type_text(a, g, make_const(g, 1)), "f64");
    for (int i = 2; i < SYM_MOST - SYM_length; i++)
        CHECK(graph_length(g, arena_printf(a, "L%d", i), 0) == SYM_length + i);
    CHECK(graph_length(g, "one more", 0) == -1);
}

static void test_shapes(void)
{
    Dim N = dim_sym(SYM_N), S = dim_sym(SYM_S), T = dim_sym(SYM_length);
    Shape out, n = shape_of(1, N), n10 = shape_of(2, N, dim_int(10));
    Shape ten = shape_of(1, dim_int(10));
    Shape s10 = shape_of(2, S, dim_int(10)), nt1 = shape_of(3, N, T, dim_int(1)), none = {0};
    int64_t count;
    CHECK(shape_broadcast(&n, &ten, &out) && shape_equal(&out, &n10));
    CHECK(shape_broadcast(&none, &n10, &out) && shape_equal(&out, &n10));
    CHECK(!shape_broadcast(&s10, &n10, &out));
    CHECK(shape_broadcast(&nt1, &ten, &out) && out.rank == 3 && dim_is(out.d[2], 10));
    CHECK(shape_has_batch(&n10) && !shape_has_batch(&s10) && shape_has_shards(&s10));
    CHECK(shape_count(&n10, 0, &count) && count == 10 && !shape_count(&nt1, 0, &count));
    CHECK(shape_count(&nt1, 2, &count) && count == 1);
    Shape big = {.rank = RANK_MOST}, row = {.rank = RANK_MOST};
    for (int i = 0; i < RANK_MOST; i++)
        big.d[i] = row.d[i] = dim_int(2);
    row.d[0] = N;
    CHECK(!shape_broadcast(&big, &row, &out)); /* N and eight more axes */
}

static void test_notation(Arena *a)
{
    static const char *const good[] = {
        "nk,km->nm", "nk,km+nj,jm->nm", "nik,njk->nij", "nk,nm->skm",
        "ntk,ntm->skm", "n,nm->sm", ",->", "n,->n", "skm,km->skm", "ij,j->i",
        "n(2h+i)(w+3j)c,ijco->nhwo", "n(2h+i:3)c,nho->sico", "n(3h),->nh",
    };
    static const struct { const char *spec, *why; } bad[] = {
        {"nk,km", "there is no ->"},
        {"nk->nm", "a term is two operands with a comma between them"},
        {"nk,km,->nm", "terms are joined by +"},
        {"nn,km->nm", "an operand has a label twice"},
        {"n(h+i)h,i->nh", "an operand has a label twice"},
        {"n(h)c,c->nh", "a sum of labels is like (2h+i)"},
        {"n(0h+i)c,c->nh", "a sum of labels is like (2h+i)"},
        {"n(h+i:)c,c->nh", "a sum of labels is like (2h+i)"},
        {"n(h+i:9999999999)c,c->nh", "a sum of labels is like (2h+i)"},
        {"(n+i)c,c->n", "a sum of labels is like (2h+i)"},
        {"n(h+i", "there is no ->"},
        {"n(h+,i->nh", "a sum of labels is like (2h+i)"},
        {"n(a+b+d+e),bde->na", "a sum of labels is like (2h+i)"},
        {"nk,km->nmm", "the output has a label twice"},
        {"nk,km->nm1", "the output is not letters"},
        {"nk,km->nmj", "a label of the output is in no operand"},
        {"nk,km->sm+", "the output is not letters"},
        {"nk,km+nj,jm->sm", "a product over the batch is one term and its output begins with s"},
        {"nk,skm->sm", "a product over the batch has no operand of shards"},
        {"sk,km->km", "shards are not summed in a product"},
        {"kn,km->mn", "n or s is the output's first label"},
        {"abcdefghi,j->a", "an operand has too many labels"},
        {"abcdefgh,ijklmoqr->n", "too many labels"},
        {"a,b->abcdefghi", "the output has too many labels"},
    };
    Contract c;
    const char *why = "";
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        check_at(contract_parse(good[i], &c, &why), __LINE__, good[i]);
        CHECK_TEXT(contract_text(a, &c), good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        check_at(!contract_parse(bad[i].spec, &c, &why), __LINE__, bad[i].spec);
        CHECK_TEXT(why, bad[i].why);
    }
    char many[TERMS_MOST * 4 + 16] = "", *p = many;
    for (int i = 0; i <= TERMS_MOST; i++)
        p += sprintf(p, i ? "+i,i" : "i,i");
    strcpy(p, "->");
    CHECK(!contract_parse(many, &c, &why) && !strcmp(why, "too many terms"));

    CHECK(contract_parse("ntk,mk+nj,jm->nm", &c, &why));
    CHECK(c.nout == 2 && c.nterm == 2 && !c.batch && c.nlabel == 5);
    CHECK(c.term[0].nsum == 2);
    CHECK(c.label[c.term[0].sum[0]] == 't' && c.label[c.term[0].sum[1]] == 'k');
    CHECK(c.term[1].nsum == 1 && c.label[c.term[1].sum[0]] == 'j');
    CHECK(contract_parse("nk,nm->skm", &c, &why) && c.batch && c.term[0].nsum == 1);
}

static void test_attributes(void)
{
    const double zero[] = {0.0}, minus[] = {-0.0};
    const int64_t one[] = {1};
    Attr a[] = {attr_of_int(ATTR_axis, 1), attr_of_float(ATTR_value, 0.0),
                attr_of_float(ATTR_value, -0.0), attr_of_str(ATTR_name, "x"),
                attr_of_ints(ATTR_axes, one, 1), attr_of_floats(ATTR_values, zero, 1),
                attr_of_floats(ATTR_values, minus, 1), attr_of_dim(ATTR_size, dim_int(1)),
                attr_of_shape(ATTR_shape, shape_of(1, dim_int(1))), attr_of_int(ATTR_axis, 2)};
    int n = sizeof a / sizeof *a;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++)
            CHECK(attr_equal(&a[i], &a[k]) == (i == k));
}

/* A graph with everything: a scan with lengths, weak scalars, a sum over the batch. */
static Graph *sample(Arena *a)
{
    Graph *g = graph_new(a, "step"), *b = graph_new(a, "cell");
    Dim N = dim_sym(SYM_N), T = dim_sym(graph_length(g, "T", 200));
    b->outer = g;
    Node *x = graph_input(g, ROLE_data, "x", DT_f32, shape_of(3, N, T, dim_int(28)), nowhere);
    Node *w = graph_input(g, ROLE_param, "cell/w", DT_f32, shape_of(2, dim_int(28), dim_int(50)),
                          nowhere);
    graph_input(g, ROLE_param, "unused", DT_f32, shape_of(0), nowhere);
    Node *h = graph_input(b, ROLE_body, "h", DT_f32, shape_of(2, N, dim_int(50)), nowhere);
    Node *xt = graph_input(b, ROLE_body, "x", DT_f32, shape_of(2, N, dim_int(28)), nowhere);
    Node *bw = graph_input(b, ROLE_body, "w", DT_f32, w->shape, nowhere);
    Node *p = make_contract(b, "nk,km->nm", (Node *[]){xt, bw}, 2);
    Node *next = node1(b, OP_tanh, node2(b, OP_add, p, node2(b, OP_mul, h, make_const(b, 0.1))));
    next->name = "next";
    graph_output(b, ROLE_body, "h", next);
    graph_output(b, ROLE_body, "all", next);
    Node *h0 = make_broadcast(g, make_const_of(g, DT_f32, 0), h->shape);
    Node *scan = make_scan(g, nowhere, b, &h0, 1, &x, 1, &w, 1, T, false);
    Node *all = make_result(g, scan, 1);
    Node *sum = make_reduce(g, OP_reduce_sum, all, (int[]){2, 1}, 2);
    Node *mean = node2(g, OP_div, make_batch_sum(g, sum), make_dim(g, N));
    graph_output(g, ROLE_loss, "loss", mean);
    graph_output(g, ROLE_result, "last", make_result(g, scan, 0));
    return g;
}

static void test_building(Arena *a)
{
    Graph *g = sample(a);
    const char *why = graph_verify(a, g);
    check_at(!why, __LINE__, why ? why : "");
    Node *loss = graph_find_output(g, ROLE_loss, "loss");
    CHECK(loss->dtype == DT_f32 && loss->shape.rank == 0 && loss->op == OP_div);
    CHECK(loss->in[1]->op == OP_cast && loss->in[1]->in[0]->op == OP_dim);
    CHECK(graph_find_input(g, ROLE_data, "cell/w") == NULL);
    Node *w = graph_find_input(g, ROLE_param, "cell/w");
    CHECK(w && !strcmp(w->name, "cell/w"));
    CHECK(graph_find_output(g, ROLE_metric, "loss") == NULL);

    /* Makers that have nothing to do give their operand back. */
    CHECK(make_cast(g, w, DT_f32) == w && make_broadcast(g, w, w->shape) == w);
    CHECK(make_reshape(g, w, w->shape) == w && make_concat(g, &w, 1, 0) == w);
    CHECK(make_transpose(g, w, (int[]){0, 1}) == w);
    CHECK(make_reduce(g, OP_reduce_sum, w, NULL, 0) == w);
    CHECK(make_dim(g, dim_int(3))->op == OP_const);

    /* Weak constants take the type that they meet, rounded. */
    Node *n = node2(g, OP_mul, w, make_const(g, 0.1));
    CHECK(n->in[1]->op == OP_const && n->in[1]->dtype == DT_f32);
    CHECK(attr_get(n->in[1], ATTR_value)->u.f == (double)0.1f);
    n = node3(g, OP_select, node2(g, OP_gt, w, make_const(g, 0)), w, make_const(g, 2));
    CHECK(n->dtype == DT_f32 && n->in[2]->dtype == DT_f32 && n->in[0]->dtype == DT_bool);
    CHECK_TEXT(op_formula(a, OP_select), "if x then y else z");
    CHECK_TEXT(op_formula(a, OP_add), "x + y");
    CHECK(op_formula(a, OP_concat) == NULL);
    for (int i = 0; i < NOP; i++)
        CHECK((int)op_by_name(op_info[i].name) == i);
    CHECK(op_by_name("no such") == NOP);
}

static void test_changing(Arena *a)
{
    Graph *g = sample(a);
    Arena *b = arena_new();
    Graph *c = graph_copy(b, g);
    CHECK_TEXT(graph_text(a, c), graph_text(a, g));
    CHECK(!graph_verify(a, c));
    CHECK(c->inputs.n == 3 && c->inputs.at[2]->graph == c);
    arena_free(b);

    int before = g->nodes.n;
    Node *loss = graph_find_output(g, ROLE_loss, "loss"), *sum = loss->in[0];
    Users *users = graph_users(a, g);
    CHECK(users[sum->id].at.n == 1 && users[sum->id].at.at[0] == loss);
    CHECK(users[loss->id].at.n == 0);
    Node *twice = node2(g, OP_add, sum, sum);
    CHECK(graph_users(a, g)[sum->id].at.n == 2); /* loss, and `twice` once */
    graph_replace(g, sum, twice);
    CHECK(loss->in[0] == twice && twice->in[0] == sum);
    CHECK(graph_verify(a, g) != NULL); /* the loss stands before `twice` ... */
    graph_compact(g);
    CHECK(graph_verify(a, g) == NULL); /* ... until the order is right again */
    CHECK(twice->id < loss->id && g->nodes.n == before + 1 && g->inputs.n == 3);

    graph_replace(g, loss, make_const_of(g, DT_f32, 1));
    graph_compact(g);
    CHECK(g->outputs.at[0].node->op == OP_const && g->nodes.n < before && g->inputs.n == 3);
    CHECK(graph_verify(a, g) == NULL);
    for (int i = 0; i < g->nodes.n; i++)
        CHECK(g->nodes.at[i]->id == i);

    /* Long chains need no deep stack. */
    Graph *l = graph_new(a, "long");
    Node *x = graph_input(l, ROLE_data, "x", DT_f32, shape_of(1, dim_sym(SYM_N)), nowhere);
    for (int i = 0; i < 100000; i++)
        x = node1(l, OP_neg, x);
    graph_output(l, ROLE_result, "y", x);
    graph_compact(l);
    CHECK(l->nodes.n == 100001 && !graph_verify(a, l));
}

int main(void)
{
    Arena *a = arena_new();
    test_dims();
    test_dim_text(a);
    test_shapes();
    test_notation(a);
    test_attributes();
    test_building(a);
    test_changing(a);
    arena_free(a);
    return failed != 0;
}
