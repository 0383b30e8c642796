/* Every row of op.def: its gradient against central differences in float64, with
 * and without the batch, broadcast in every way. A row without a builder here
 * and not among those without a gradient is a failure. */
#include "grad_check.h"


static int failures, checks;

static void finish(Case *c, Node *y)
{
    checks++;
    if (case_check(c, y)) {
        failures++;
        printf("%s\n", graph_text(c->arena, c->g));
    }
}

/* ---- elementwise ---- */

static const char *const flow[NOP][3] = {
#define MAP1(name, forward, dx, ...) [OP_##name] = {#dx},
#define MAP2(name, forward, dx, dy, ...) [OP_##name] = {#dx, #dy},
#define MAP3(name, forward, dx, dy, dz, ...) [OP_##name] = {#dx, #dy, #dz},
#include "ir/op.def"
};

static const char *const shapes[][3] = {
    {"N3x4", "N3x4", "N3x4"}, {"N3x4", "4", "N3x1"}, {"N3x4", "3x1", ""},
    {"N1x4", "N3x1", "3x4"},  {"N4", "N3x4", "4"},   {"3x4", "4", "3x4"},
    {"3x4", "3x4", "1x4"},    {"", "N3", "N3"},      {"3x4", "N1x4", "N3x1"},
    {"N", "N3", "3"},         {"", "", ""},          {"T4", "NT4", "4"},
};

/* Formulas that say "no gradient" where the value does move. */
static bool is_blocked(Op op)
{
    return op == OP_stop_gradient || op == OP_probit || op == OP_bfloat16;
}

static void check_blocked(Arena *a, Op op)
{
    Case *c = case_new(a, op_info[op].name);
    Node *x = case_input(c, "N3", op_info[op].domain);
    Graph *forward = case_differentiate(c, case_loss(c, node1(c->g, op, x)));
    (void)forward;
    case_lengths(c, 3, 4);
    Value out[2];
    graph_eval(a, c->g, case_sizes(c), case_values(c, 1), out, false);
    checks++;
    for (int64_t e = 0; e < out[1].count; e++)
        if (value_get(&out[1], e) != 0) {
            printf("%s: a gradient flows\n", c->name);
            failures++;
            return;
        }
}

static void check_map(Arena *a, Op op)
{
    const OpInfo *info = &op_info[op];
    if (!strcmp(info->domain, "bool"))
        return; /* of bool to bool */
    if (is_blocked(op)) {
        check_blocked(a, op);
        return;
    }
    for (int v = 0; v < (int)(sizeof shapes / sizeof *shapes); v++) {
        Case *c = case_new(a, arena_printf(a, "%s (shapes %d)", info->name, v));
        Node *in[3];
        for (int k = 0; k < info->arity; k++)
            in[k] = op == OP_select && k == 0
                        ? case_input_of(c, DT_bool, shape_by(shapes[v][0]), "bool", false)
                        : case_input(c, shapes[v][k], info->domain);
        finish(c, node_new(c->g, op, (Span){0}, in, info->arity, NULL, 0));
    }
}

/* ---- views ---- */

static void check_cast(Arena *a)
{
    Case *c = case_new(a, "cast");
    c->quantum = 1.0 / 64; /* so that float32 holds every value exactly */
    Node *x = make_cast(c->g, case_input(c, "N3", "any"), DT_f32);
    finish(c, make_cast(c->g, node2(c->g, OP_mul, x, x), DT_f64));
}

static void check_broadcast(Arena *a)
{
    const char *const pairs[][2] = {{"N1x4", "N3x4"}, {"4", "N3x4"}, {"3x1", "3x4"},
                                    {"", "N2"},       {"N4", "N3x4"}, {"1x4", "NT4"}};
    for (int i = 0; i < 6; i++) {
        Case *c = case_new(a, arena_printf(a, "broadcast %s to %s", pairs[i][0], pairs[i][1]));
        Node *x = case_input(c, pairs[i][0], "any");
        finish(c, make_broadcast(c->g, x, shape_by(pairs[i][1])));
    }
}

static void check_reshape(Arena *a)
{
    const char *const pairs[][2] = {
        {"N3x4", "N2x6"}, {"3x4", "12"}, {"NT4", "NTx2x2"}, {"", "1x1"}};
    for (int i = 0; i < 4; i++) {
        Case *c = case_new(a, arena_printf(a, "reshape %s to %s", pairs[i][0], pairs[i][1]));
        Node *x = case_input(c, pairs[i][0], "any");
        finish(c, make_reshape(c->g, x, shape_by(pairs[i][1])));
    }
}

static void check_transpose(Arena *a)
{
    Case *c = case_new(a, "transpose with batch");
    Node *x = case_input(c, "N2x3x4", "any");
    finish(c, make_transpose(c->g, x, (int[]){0, 2, 3, 1}));
    c = case_new(a, "transpose");
    x = case_input(c, "2x3x4", "any");
    finish(c, make_transpose(c->g, x, (int[]){2, 0, 1}));
}

static Node *part(Graph *g, Node *x, int axis, int start, int size, int step)
{
    return make_slice(g, x, axis, dim_int(start), dim_int(size), step);
}

static void check_slice(Arena *a)
{
    const int ranges[][3] = {{0, 6, 1}, {1, 3, 1}, {0, 3, 2}, {5, 6, -1}, {4, 2, -2}, {2, 1, 1}};
    for (int i = 0; i < 6; i++) {
        Case *c = case_new(a, arena_printf(a, "slice %d", i));
        Node *x = case_input(c, i % 2 ? "N6x2" : "N2x6", "any");
        finish(c, part(c->g, x, i % 2 ? 1 : 2, ranges[i][0], ranges[i][1], ranges[i][2]));
    }
    Case *c = case_new(a, "split");
    Node *x = case_input(c, "N6", "any"), *x1 = part(c->g, x, 1, 2, 2, 1);
    Node *y = node2(c->g, OP_mul, part(c->g, x, 1, 0, 2, 1), part(c->g, x, 1, 4, 2, 1));
    finish(c, node2(c->g, OP_add, y, node1(c->g, OP_exp, x1)));
    c = case_new(a, "slices with a gap and another use");
    x = case_input(c, "6x2", "any");
    y = node2(c->g, OP_mul, part(c->g, x, 0, 4, 2, 1), part(c->g, x, 0, 1, 2, 1));
    finish(c, node2(c->g, OP_add, node1(c->g, OP_sin, part(c->g, x, 0, 0, 2, 3)),
                    node2(c->g, OP_mul, y, part(c->g, node2(c->g, OP_mul, x, x), 0, 1, 2, 1))));
    c = case_new(a, "slices that overlap");
    x = case_input(c, "N6", "any");
    finish(c, node2(c->g, OP_mul, part(c->g, x, 1, 0, 4, 1), part(c->g, x, 1, 1, 4, 1)));
    c = case_new(a, "differences along a run-time length");
    x = case_input(c, "NT2", "any");
    Dim less;
    dim_affine(dim_sym(SYM_length), 1, -1, 1, &less);
    y = make_slice(c->g, x, 1, dim_int(1), less, 1);
    finish(c, node2(c->g, OP_mul, y, make_slice(c->g, x, 1, dim_int(0), less, 1)));
    c = case_new(a, "reversal of a run-time length");
    x = case_input(c, "NT2", "any");
    Dim last;
    dim_affine(dim_sym(SYM_length), 1, -1, 1, &last);
    finish(c, make_slice(c->g, x, 1, last, dim_sym(SYM_length), -1));
}

static void check_pad(Arena *a)
{
    const int ranges[][3] = {{0, 3, 1}, {2, 6, 1}, {1, 7, 2}, {2, 3, -1}, {5, 6, -2}};
    for (int i = 0; i < 5; i++) {
        Case *c = case_new(a, arena_printf(a, "pad %d", i));
        Node *x = case_input(c, "N3x2", "any");
        finish(c, make_pad(c->g, x, 1, dim_int(ranges[i][0]), dim_int(ranges[i][1]), ranges[i][2]));
    }
}

static void check_concat(Arena *a)
{
    Case *c = case_new(a, "concat");
    Node *in[] = {case_input(c, "N2x3", "any"), case_input(c, "N1x3", "any"),
                  case_input(c, "N4x3", "any")};
    finish(c, make_concat(c->g, in, 3, 1));
    c = case_new(a, "concat with a run-time length");
    Node *two[] = {case_input(c, "T3", "any"), case_input(c, "2x3", "any")};
    finish(c, make_concat(c->g, two, 2, 0));
}

/* ---- reductions ---- */

static void check_reduce(Arena *a, Op op)
{
    const struct { const char *shape; int n, axes[3]; } rows[] = {
        {"N3x4", 1, {1}},    {"N3x4", 1, {2}},       {"N3x4", 2, {1, 2}}, {"3x4", 1, {0}},
        {"3x4", 2, {0, 1}},  {"N2x3x4", 2, {1, 3}},  {"NT4", 1, {1}},     {"NT4", 2, {1, 2}},
        {"N40", 1, {1}},
    };
    for (int i = 0; i < 9; i++) {
        Case *c = case_new(a, arena_printf(a, "%s %d", op_info[op].name, i));
        Node *x = case_input(c, rows[i].shape, op_info[op].domain);
        finish(c, make_reduce(c->g, op, x, rows[i].axes, rows[i].n));
    }
}

static void check_reduce_sum(Arena *a)
{
    check_reduce(a, OP_reduce_sum);
}

/* Of equals the first one, in row-major order, gets the gradient. */
static void check_ties(Arena *a, Op op)
{
    Case *c = case_new(a, arena_printf(a, "%s of equals", op_info[op].name));
    Node *x = case_input(c, "2x3", "any");
    case_differentiate(c, make_reduce(c->g, op, x, (int[]){0, 1}, 2));
    const double value[] = {1, 1, 2, 2, 1, 2};
    int expected = op == OP_reduce_max ? 2 : 0;
    Value in = value_new(a, DT_f64, 2, (int64_t[]){2, 3}), out[2];
    for (int i = 0; i < 6; i++)
        value_set(&in, i, value[i]);
    case_lengths(c, 1, 1);
    graph_eval(a, c->g, case_sizes(c), &in, out, false);
    checks++;
    for (int i = 0; i < 6; i++)
        if (value_get(&out[1], i) != (i == expected)) {
            printf("%s: element %d gets %g\n", c->name, i, value_get(&out[1], i));
            failures++;
        }
}

static void check_reduce_max(Arena *a)
{
    check_reduce(a, OP_reduce_max);
    check_ties(a, OP_reduce_max);
}

static void check_reduce_min(Arena *a)
{
    check_reduce(a, OP_reduce_min);
    check_ties(a, OP_reduce_min);
}

/* ---- products ---- */

typedef struct { const char *spec, *shape[4]; int nin; bool acc; } Product;

static void check_contract(Arena *a)
{
    const Product rows[] = {
        {"nk,km->nm", {"N3", "3x4"}, 2, false},
        {"mk,kp->mp", {"2x3", "3x4"}, 2, false},
        {"k,k->", {"3", "3"}, 2, false},
        {"ntk,km->ntm", {"N2x3", "3x4"}, 2, false},
        {"ntk,km->ntm", {"NT3", "3x4"}, 2, false},
        {"nik,njk->nij", {"N2x3", "N4x3"}, 2, false},
        {"mk,nk->nm", {"4x3", "N3"}, 2, false},
        {"nk,m->nm", {"N3", "4"}, 2, false},
        {"nk,nj->n", {"N3", "N2"}, 2, false},
        {"nkj,k->nk", {"N3x2", "3"}, 2, false},
        {"n,m->nm", {"N", "4"}, 2, false},
        {"kj,m->m", {"3x2", "4"}, 2, false},
        {"nik,->nki", {"N2x3", ""}, 2, false},
        {"nk,km+nj,jm->nm", {"N3", "3x4", "N2", "2x4"}, 4, false},
        {"nk,km->nm", {"N4", "N3", "3x4"}, 3, true},
        {"n(h+i)c,ico->nho", {"N5x2", "3x2x3"}, 2, false},
        {"n(2h+3i)(w+2j)c,ijco->nhwo", {"N9x5x1", "2x3x1x2"}, 2, false},
        {"n(2h+i)c,ico->nho", {"N6x2", "3x2x2"}, 2, false}, /* the last row is not read */
        {"n(3h+i)gc,icgo->nhgo", {"N7x2x3", "1x3x2x2"}, 2, false},
        {"n(3h)c,co->nho", {"N7x2", "2x2"}, 2, false},
        {"n(t+2i)c,ico->nto", {"NT1", "2x1x2"}, 2, false},
        {"(h+i)c,ico->ho", {"5x2", "3x2x3"}, 2, false},
        {"n(h+i)c,nico->nho", {"N5x2", "N3x2x3"}, 2, false},
        {"n(h+i),i+nh,->nh", {"N5", "2", "N4", ""}, 4, false},
        {"ico,n(h+i)c->nho", {"3x2x3", "N5x2"}, 2, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Case *c = case_new(a, arena_printf(a, "contract \"%s\"", rows[i].spec));
        Node *in[4];
        for (int k = 0; k < rows[i].nin; k++)
            in[k] = case_input(c, rows[i].shape[k], "any");
        Attr attr[] = {attr_of_str(ATTR_spec, rows[i].spec), attr_of_int(ATTR_acc, 1)};
        finish(c, node_new(c->g, OP_contract, (Span){0}, in, rows[i].nin, attr, 1 + rows[i].acc));
    }
    Case *c = case_new(a, "a product of one tensor with itself");
    Node *x = case_input(c, "N2x3", "any");
    finish(c, make_contract(c->g, "nik,njk->nij", (Node *[]){x, x}, 2));
}

/* Means over the batch used by each of its rows. */
static void check_batch(Arena *a)
{
    const Product rows[] = {
        {"nk,nm->skm", {"N3", "N4"}, 2, false}, {"n,nm->sm", {"N", "N4"}, 2, false},
        {"n,n->s", {"N", "N"}, 2, false},       {"ntk,ntm->skm", {"NT3", "NT4"}, 2, false},
        {"nk,->s", {"N3", ""}, 2, false},       {"nk,k->s", {"N3", "3"}, 2, false},
        {"n(2h+i:3)c,nho->sico", {"N6x2", "N2x2"}, 2, false},
        {"nho,n(h+2i)c->sico", {"N2x2", "N6x2"}, 2, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Case *c = case_new(a, arena_printf(a, "batch_contract \"%s\"", rows[i].spec));
        Node *x = case_input(c, rows[i].shape[0], "any");
        Node *y = case_input(c, rows[i].shape[1], "any");
        Node *p = node1(c->g, OP_sum_shards, make_batch_contract(c->g, rows[i].spec, NULL, x, y));
        finish(c, node2(c->g, OP_mul, p, p));
    }
    Case *c = case_new(a, "batch normalisation");
    Node *x = case_input(c, "N3", "any"), *n = make_dim(c->g, dN());
    Node *mean = node2(c->g, OP_div, make_batch_sum(c->g, x), n);
    Node *e = node2(c->g, OP_sub, x, mean), *e2 = node2(c->g, OP_mul, e, e);
    Node *variance = node2(c->g, OP_div, make_batch_sum(c->g, e2), n);
    Node *eps = make_const(c->g, 0.1);
    finish(c, node2(c->g, OP_div, e, node1(c->g, OP_sqrt, node2(c->g, OP_add, variance, eps))));
}

/* ---- indexed, random ---- */

static void check_gather(Arena *a)
{
    Case *c = case_new(a, "gather");
    Node *table = case_input(c, "5x3", "any");
    Node *index = case_input_of(c, DT_i32, shape_by("N2"), "index5", false);
    Node *y = node2(c->g, OP_gather, table, index);
    finish(c, node2(c->g, OP_mul, y, y));
}

static void check_scatter_add(Arena *a)
{
    Case *c = case_new(a, "scatter_add");
    Node *index = case_input_of(c, DT_i32, shape_by("N2"), "index5", false);
    Node *in[] = {index, case_input(c, "N2x3", "any")};
    Attr shape = attr_of_shape(ATTR_shape, shape_by("5x3"));
    Node *y = node_new(c->g, OP_scatter_add, (Span){0}, in, 2, &shape, 1);
    finish(c, node2(c->g, OP_mul, y, y));
}

static void check_random(Arena *a)
{
    Case *c = case_new(a, "random");
    Node *in[] = {make_const_of(c->g, DT_i32, 7), make_const_of(c->g, DT_i32, 3)};
    Attr attr[] = {attr_of_int(ATTR_key, 1), attr_of_shape(ATTR_shape, shape_by("N3")),
                   attr_of_int(ATTR_dtype, DT_f64)};
    Node *u = node_new(c->g, OP_random, (Span){0}, in, 2, attr, 3);
    finish(c, node2(c->g, OP_mul, case_input(c, "N3", "any"), u));
}

/* x**3 that states its gradient, and states it right. */
static void check_own_gradient(Arena *a)
{
    Case *c = case_new(a, "own_gradient");
    Node *x = case_input(c, "N3", "any");
    Node *y = node2(c->g, OP_mul, x, node2(c->g, OP_mul, x, x));
    Node *g = node1(c->g, OP_arriving, y);
    Node *three = node2(c->g, OP_mul, make_const(c->g, 3), node2(c->g, OP_mul, x, x));
    Node *in[] = {y, g, x, node2(c->g, OP_mul, g, three)};
    finish(c, node_new(c->g, OP_own_gradient, (Span){0}, in, 4, NULL, 0));
}

/* ---- the table ---- */

typedef void (*Builder)(Arena *a);

static const Builder builders[NOP] = {
    [OP_cast] = check_cast,             [OP_broadcast] = check_broadcast,
    [OP_reshape] = check_reshape,       [OP_transpose] = check_transpose,
    [OP_slice] = check_slice,           [OP_pad] = check_pad,
    [OP_concat] = check_concat,         [OP_reduce_sum] = check_reduce_sum,
    [OP_reduce_max] = check_reduce_max, [OP_reduce_min] = check_reduce_min,
    [OP_contract] = check_contract,     [OP_batch_contract] = check_batch,
    [OP_sum_shards] = check_batch,      [OP_gather] = check_gather,
    [OP_scatter_add] = check_scatter_add, [OP_random] = check_random,
    [OP_own_gradient] = check_own_gradient, [OP_arriving] = check_own_gradient,
};

/* Leaves, integers, and what unit.grad_scan checks. */
static bool has_none(Op op)
{
    return op_info[op].kind == KIND_leaf || op == OP_argmax || op == OP_orthogonal ||
           op == OP_words ||
           op == OP_scan || op == OP_result;
}

int main(int argc, char **argv)
{
    for (int op = 0; op < NOP; op++) {
        Arena *a = arena_new();
        if (argc > 1 && strcmp(argv[1], op_info[op].name))
            ;
        else if (flow[op][0])
            check_map(a, (Op)op);
        else if (builders[op])
            builders[op](a);
        else if (!has_none((Op)op)) {
            printf("%s: no gradient check\n", op_info[op].name);
            failures++;
        }
        arena_free(a);
    }
    printf("%d checks, %d failures\n", checks, failures);
    return failures > 0;
}
