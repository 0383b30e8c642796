/* Random graphs: gradients against central differences, and the values of all
 * passes before and after. Half of them are cells: the random graph is the body
 * of a scan, whose gradient is a scan again. `test_opt_random COUNT FIRST`. */
#include "opt_check.h"

typedef struct {
    Graph *g;
    bool smooth;      /* differentiable everywhere */
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
    const Op one[] = {OP_neg, OP_tanh, OP_sigmoid, OP_cos, OP_softplus, OP_abs};
    const Op two[] = {OP_add, OP_add, OP_sub, OP_mul, OP_max, OP_min};
    const double number[] = {0, 1, 2, -1};
    Shape s;
    if (!shape_broadcast(&x->shape, &y->shape, &s))
        y = make_const(m->g, number[pick(m, 4)]);
    switch (pick(m, 4) + m->smooth) {
    case 0:
        return node3(m->g, OP_select, node2(m->g, OP_lt, x, y), x, y);
    case 1:
        return node1(m->g, one[pick(m, 6 - m->smooth)], x);
    default:
        return node2(m->g, two[pick(m, m->smooth ? 4 : 6)], x, y);
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
    Node *r = make_reduce(m->g, op[m->smooth ? 0 : pick(m, 3)], x, &axis, 1);
    s.d[axis] = dim_int(1);
    return make_broadcast(m->g, make_reshape(m->g, r, s), x->shape);
}

static void grow(Maker *m, int steps)
{
    for (int i = 0; i < steps; i++) {
        Node *x = any(m), *y = any(m), *n;
        int64_t size;
        if (x->shape.rank != 3)
            n = random_map(m, x, y);
        else if (pick(m, 3) == 0)
            n = random_view(m, x);
        else
            n = pick(m, 4) == 0 ? random_sum(m, x) : random_map(m, x, y);
        if (shape_count(&n->shape, 0, &size) && size <= 64)
            m->node[m->n++] = n;
    }
}

/* The latest node of x's type, kept small; x itself when there is none. */
static Node *like(Maker *m, const Node *x)
{
    for (int i = m->n - 1; i >= 0; i--)
        if (shape_equal(&m->node[i]->shape, &x->shape))
            return node1(m->g, OP_tanh, m->node[i]);
    bug("a carry is among the nodes");
}

static Node *random_graph(Case *c, Maker *m)
{
    const char *const shapes[] = {"N2x3", "N3x2", "N1x3", "3x2", "2x3"};
    for (int i = 0; i < 5; i++)
        m->node[m->n++] = case_input(c, shapes[i], "any");
    grow(m, 24);
    Node *sum = case_loss(c, m->node[m->n - 1]);
    for (int i = m->n - 2; i > m->n - 5; i--)
        sum = node2(c->g, OP_add, sum, case_loss(c, m->node[i]));
    return sum;
}

/* Two carries, two sequences, three constants, three stacks. */
static Node *random_cell(Case *c, Maker *m)
{
    Cell s = cell_begin(c, c->g);
    const char *const sequences[] = {"NT2x3", "NT1x3"}, *const constants[] = {"3x2", "2x3", "N2x3"};
    m->g = s.body;
    m->node[m->n++] = cell_input(&s, CELL_carry, cell_zeros(&s, "N2x3"));
    m->node[m->n++] = cell_input(&s, CELL_carry, cell_zeros(&s, "N3x2"));
    for (int i = 0; i < 2; i++)
        m->node[m->n++] = cell_input(&s, CELL_seq, case_input(c, sequences[i], "any"));
    for (int i = 0; i < 3; i++)
        m->node[m->n++] = cell_input(&s, CELL_const, case_input(c, constants[i], "any"));
    grow(m, 20);
    s.next[0] = like(m, s.inner[CELL_carry][0]);
    s.next[1] = like(m, s.inner[CELL_carry][1]);
    for (s.nstack = 0; s.nstack < 3; s.nstack++)
        s.stack[s.nstack] = m->node[m->n - 1 - s.nstack];
    Node *scan = cell_scan(&s, dim_sym(SYM_length), pick(m, 2));
    Node *sum = case_loss(c, make_result(c->g, scan, 0));
    for (int i = 2; i < 5; i++)
        if (shape_has_batch(&scan->body->outputs.at[i].node->shape))
            sum = node2(c->g, OP_add, sum, case_loss(c, make_result(c->g, scan, i)));
    return sum;
}

static void check_random(uint64_t seed)
{
    Arena *a = arena_new();
    bool cell = seed % 2;
    const char *name = arena_printf(a, "random %s %d", cell ? "cell" : "graph", (int)seed);
    Case *c = case_new(a, name);
    Maker m = {.g = c->g, .state = seed * 7919 + 1, .smooth = seed % 4 < 2};
    Node *loss = cell ? random_cell(c, &m) : random_graph(c, &m);
    Graph *forward = case_differentiate(c, loss);
    int had = failures;
    if (case_verify(c) && m.smooth)
        case_compare(c, forward, 3, 3, 4);
    failures += c->failed;
    if (!c->failed)
        run_passes(c);
    if (failures > had)
        printf("%s\n", graph_text(a, c->g));
    arena_free(a);
}

int main(int argc, char **argv)
{
    int graphs = argc > 1 ? atoi(argv[1]) : 300, first = argc > 2 ? atoi(argv[2]) : 1;
    for (int seed = first; seed < first + graphs && failures < 5; seed++)
        check_random((uint64_t)seed);
    printf("%d failures\n", failures);
    return failures > 0;
}
