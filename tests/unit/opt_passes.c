/* The passes keep values: to the bit where they are exact, to rounding where
 * they reassociate; on differentiated cells and on random graphs. And the shape
 * of what they leave of a cell. */
#include "grad_cells.h"
#include "opt/opt.h"

static int failures;

#define CHECK(ok, ...)                                                        \
    do {                                                                      \
        if (!(ok)) {                                                          \
            printf("%s:%d: ", __FILE__, __LINE__);                            \
            printf(__VA_ARGS__);                                              \
            printf("\n");                                                     \
            failures++;                                                       \
        }                                                                     \
    } while (0)

typedef struct { const char *name; void (*run)(Graph *); bool exact; } PassRow;

static const PassRow passes[] = {
    {"simplify", pass_simplify, false}, {"concat", pass_concat, false}, {"sink", pass_sink, true},
    {"simplify", pass_simplify, false}, {"defer", pass_defer, true},
    {"simplify", pass_simplify, false},
};

/* ---- values before and after ---- */

enum { OUTPUTS_MOST = 64 };

static Value *evaluate(Case *c, int64_t n)
{
    Value *out = NEW_ARRAY(c->arena, Value, OUTPUTS_MOST);
    case_lengths(c, n, 5);
    graph_eval(c->arena, c->g, case_sizes(c), case_values(c, 7), out, false);
    return out;
}

static void compare_values(Case *c, const char *pass, bool exact, const Value *a, const Value *b)
{
    for (int i = 0; i < c->g->outputs.n; i++) {
        double largest = 1e-300, off = 0;
        for (int64_t e = 0; e < a[i].count; e++)
            largest = fmax(largest, fabs(value_get(&a[i], e)));
        for (int64_t e = 0; e < a[i].count; e++)
            off = fmax(off, fabs(value_get(&a[i], e) - value_get(&b[i], e)) / largest);
        size_t bytes = (size_t)(a[i].count * dtype_size(a[i].dtype));
        bool same = a[i].count == b[i].count && !memcmp(a[i].data, b[i].data, bytes);
        if (exact ? same : off <= 1e-12)
            continue;
        printf("%s: after %s output %d (%s) is off by %g\n", c->name, pass, i,
               c->g->outputs.at[i].name, off);
        failures++;
        return;
    }
}

static void run_passes(Case *c)
{
    const int64_t rows[] = {1, 33, 70};
    Value *before[3], *after[3];
    for (int i = 0; i < 3; i++)
        before[i] = evaluate(c, rows[i]);
    for (size_t p = 0; p < sizeof passes / sizeof *passes; p++) {
        passes[p].run(c->g);
        const char *why = graph_verify(c->arena, c->g);
        CHECK(!why, "%s: after %s: %s", c->name, passes[p].name, why);
        for (int i = 0; i < 3 && !why; i++) {
            after[i] = evaluate(c, rows[i]);
            compare_values(c, passes[p].name, passes[p].exact, before[i], after[i]);
            before[i] = after[i];
        }
        const char *text = graph_text(c->arena, c->g);
        passes[p].run(c->g);
        if (strcmp(text, graph_text(c->arena, c->g))) {
            printf("%s: %s has more to do the second time\n", c->name, passes[p].name);
            failures++;
        }
    }
}

/* ---- the shape of a cell ---- */

static int count(const Graph *g, Op op)
{
    int n = 0;
    for (int i = 0; i < g->nodes.n; i++)
        n += g->nodes.at[i]->op == op;
    return n;
}

static const Graph *body_of(const Graph *g, bool backward)
{
    for (int i = 0; i < g->nodes.n; i++)
        if (g->nodes.at[i]->body && attr_int(g->nodes.at[i], ATTR_reverse, 0) == backward)
            return g->nodes.at[i]->body;
    return NULL;
}

static void check_lstm(Arena *a, const char *shape, bool peephole)
{
    const char *cell = peephole ? "peephole lstm" : "lstm";
    Case *c = case_new(a, arena_printf(a, "%s over %s", cell, shape));
    Node *x = case_input_of(c, DT_f64, shape_by(shape), "any", false);
    Node *scan = lstm_scan(c, x, 3, peephole);
    case_differentiate(c, case_loss(c, make_result(c->g, scan, 0)));
    run_passes(c);
    const Graph *forward = body_of(c->g, false), *backward = body_of(c->g, true);
    CHECK(count(forward, OP_contract) == 4, "%s: %d products forward", c->name,
          count(forward, OP_contract));
    CHECK(count(backward, OP_contract) == 1, "%s: %d products backward", c->name,
          count(backward, OP_contract));
    CHECK(count(backward, OP_batch_contract) == 0, "%s: sums over the batch in the loop", c->name);
    /* dW, dU, db, the loss; dp in three */
    CHECK(count(c->g, OP_batch_contract) == (peephole ? 7 : 4), "%s: %d sums over the batch",
          c->name, count(c->g, OP_batch_contract));
    CHECK(backward->inputs.n > 0 && count(backward, OP_tanh) + count(backward, OP_sigmoid) == 0,
          "%s: activations computed again", c->name);
}

/* The loop's sums of a simple cell whose products are saved as one. */
static void check_relu(Arena *a)
{
    Case *c = case_new(a, "relu rnn");
    Cell s = cell_begin(c, c->g);
    Node *x = case_input(c, "NT2", "any"), *W = case_input(c, "2x3", "unit");
    Node *U = case_input(c, "3x3", "unit"), *b = case_input(c, "3", "any");
    Node *h = cell_input(&s, CELL_carry, cell_zeros(&s, "N3"));
    Node *xt = cell_input(&s, CELL_seq, x), *wt = cell_input(&s, CELL_const, W);
    Node *ut = cell_input(&s, CELL_const, U);
    Node *z = affine(s.body, xt, wt, h, ut, cell_input(&s, CELL_const, b));
    s.next[0] = node2(s.body, OP_max, z, make_const(s.body, 0));
    Node *scan = cell_scan(&s, x->shape.d[1], false);
    case_differentiate(c, case_loss(c, make_result(c->g, scan, 0)));
    run_passes(c);
    CHECK(count(body_of(c->g, false), OP_contract) == 1, "relu: %d products forward",
          count(body_of(c->g, false), OP_contract));
}

/* ---- random graphs ---- */

typedef struct {
    Case *c;
    Graph *g;
    uint64_t state;
    Node *node[64];
    int n;
} Maker;

static int pick(Maker *m, int most)
{
    return (int)(draw(&m->state) * most);
}

static Node *any(Maker *m)
{
    return m->node[pick(m, m->n)];
}

static Node *random_view(Maker *m, Node *x)
{
    Shape s = x->shape;
    int axis = 1 + pick(m, s.rank - 1), perm[] = {0, 2, 1}, size = (int)s.d[axis].add;
    int start = pick(m, size), count = 1 + pick(m, size - start);
    switch (pick(m, 6)) {
    case 0:
        return make_transpose(m->g, x, perm);
    case 1:
        return make_reshape(m->g, x, shape_of(3, s.d[0], s.d[2], s.d[1]));
    case 2:
        return make_slice(m->g, x, axis, dim_int(start), dim_int(count), 1);
    case 3:
        return make_slice(m->g, x, axis, dim_int(start + count - 1), dim_int(count), -1);
    case 4:
        return make_pad(m->g, x, axis, dim_int(start), dim_int(size + start + 1), 1);
    default:
        return make_concat(m->g, (Node *[]){x, x}, 2, axis);
    }
}

static Node *random_map(Maker *m, Node *x, Node *y)
{
    const Op one[] = {OP_neg, OP_abs, OP_tanh, OP_sigmoid, OP_cos, OP_softplus};
    const Op two[] = {OP_add, OP_add, OP_sub, OP_mul, OP_max, OP_min};
    const double number[] = {0, 1, 2, -1};
    Shape s;
    if (!shape_broadcast(&x->shape, &y->shape, &s))
        y = make_const(m->g, number[pick(m, 4)]);
    switch (pick(m, 4)) {
    case 0:
        return node1(m->g, one[pick(m, 6)], x);
    case 1:
        return node3(m->g, OP_select, node2(m->g, OP_lt, x, y), x, y);
    default:
        return node2(m->g, two[pick(m, 6)], x, y);
    }
}

static Node *random_sum(Maker *m, Node *x)
{
    Shape s = x->shape;
    int axis = 1 + pick(m, 2);
    if (pick(m, 2)) { /* a product with a parameter, wherever one fits */
        for (int i = 0; i < m->n; i++) {
            Node *w = m->node[i];
            if (w->shape.rank == 2 && dim_equal(w->shape.d[0], s.d[2]))
                return make_contract(m->g, "nak,km->nam", (Node *[]){x, w}, 2);
        }
    }
    const Op op[] = {OP_reduce_sum, OP_reduce_max, OP_reduce_min};
    Node *r = make_reduce(m->g, op[pick(m, 3)], x, &axis, 1);
    s.d[axis] = dim_int(1);
    return make_broadcast(m->g, make_reshape(m->g, r, s), x->shape);
}

static void check_random(uint64_t seed)
{
    Arena *a = arena_new();
    Case *c = case_new(a, arena_printf(a, "random graph %d", (int)seed));
    Maker m = {.c = c, .g = c->g, .state = seed * 7919 + 1};
    const char *const shapes[] = {"N2x3", "N3x2", "N1x3", "3x2", "2x3"};
    for (int i = 0; i < 5; i++)
        m.node[m.n++] = case_input(c, shapes[i], "any");
    for (int i = 0; i < 24; i++) {
        Node *x = any(&m), *y = any(&m), *n;
        int64_t size;
        if (x->shape.rank != 3)
            n = random_map(&m, x, y);
        else if (pick(&m, 3) == 0)
            n = random_view(&m, x);
        else
            n = pick(&m, 4) == 0 ? random_sum(&m, x) : random_map(&m, x, y);
        if (shape_count(&n->shape, 0, &size) && size <= 64)
            m.node[m.n++] = n;
    }
    Node *sum = case_loss(c, m.node[m.n - 1]);
    for (int i = m.n - 2; i > m.n - 5; i--)
        sum = node2(c->g, OP_add, sum, case_loss(c, m.node[i]));
    case_differentiate(c, sum);
    int had = failures;
    run_passes(c);
    if (failures > had)
        printf("%s\n", graph_text(a, c->g));
    arena_free(a);
}

int main(int argc, char **argv)
{
    int graphs = argc > 1 ? atoi(argv[1]) : 300;
    Arena *a = arena_new();
    check_lstm(a, "N6x2", false);
    check_lstm(a, "N6x2", true);
    check_lstm(a, "NT2", false);
    check_lstm(a, "NT2", true);
    check_relu(a);
    arena_free(a);
    for (int seed = 1; seed <= graphs && failures < 5; seed++)
        check_random((uint64_t)seed);
    printf("%d failures\n", failures);
    return failures > 0;
}
