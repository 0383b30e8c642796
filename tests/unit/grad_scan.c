/* Gradients of scans against central differences: cells of every form. */
#include "grad_cells.h"

static int failures, checks;

static void finish(Case *c, Node *y)
{
    checks++;
    if (case_check(c, y)) {
        failures++;
        printf("%s\n", graph_text(c->arena, c->g));
    }
}

static Node *tanh_of(Graph *g, Node *x)
{
    return node1(g, OP_tanh, x);
}

/* Final state and every step's, added: both kinds of result get a gradient. */
static Node *last_and_all(Case *c, Node *scan, int last, int all)
{
    Node *end = make_result(c->g, scan, last), *steps = make_result(c->g, scan, all);
    Node *sum = make_reduce(c->g, OP_reduce_sum, node2(c->g, OP_mul, steps, steps), (int[]){1}, 1);
    return node2(c->g, OP_add, end, sum);
}

/* h = act(x @ W + h @ U + b) over x of `shape`; h at first is zeros or a parameter. */
static void simple_rnn(Arena *a, const char *name, const char *shape, Op act, bool learned_start,
                       bool reverse)
{
    Case *c = case_new(a, name);
    Cell s = cell_begin(c, c->g);
    Node *x = case_input(c, shape, "any"), *W = case_input(c, "2x3", "any");
    Node *U = case_input(c, "3x3", "unit"), *b = case_input(c, "3", "any");
    Node *h0 = learned_start ? make_broadcast(c->g, case_input(c, "3", "any"), shape_by("N3"))
                             : cell_zeros(&s, "N3");
    Node *h = cell_input(&s, CELL_carry, h0);
    Node *xt = cell_input(&s, CELL_seq, x), *wt = cell_input(&s, CELL_const, W);
    Node *ut = cell_input(&s, CELL_const, U);
    Node *z = affine(s.body, xt, wt, h, ut, cell_input(&s, CELL_const, b));
    s.next[0] = act == OP_max ? node2(s.body, OP_max, z, make_const(s.body, 0))
                              : node1(s.body, act, z);
    s.stack[s.nstack++] = s.next[0];
    finish(c, last_and_all(c, cell_scan(&s, x->shape.d[1], reverse), 0, 1));
}

static void lstm(Arena *a, bool peephole)
{
    Case *c = case_new(a, peephole ? "peephole lstm" : "lstm");
    Node *x = case_input(c, "NT2", "any");
    finish(c, last_and_all(c, lstm_scan(c, x, 2, peephole), 1, 2));
}

/* h[t] = tanh(x[t] + h[t-2] * w): two carries, one handed on. */
static void delays(Arena *a)
{
    Case *c = case_new(a, "two delays");
    Cell s = cell_begin(c, c->g);
    Node *x = case_input(c, "NT3", "any"), *w = case_input(c, "3", "any");
    Node *h1 = cell_input(&s, CELL_carry, cell_zeros(&s, "N3"));
    Node *h2 = cell_input(&s, CELL_carry, cell_zeros(&s, "N3"));
    Node *xt = cell_input(&s, CELL_seq, x), *wt = cell_input(&s, CELL_const, w);
    s.next[0] = tanh_of(s.body, node2(s.body, OP_add, xt, node2(s.body, OP_mul, h2, wt)));
    s.next[1] = h1;
    finish(c, make_result(c->g, cell_scan(&s, x->shape.d[1], false), 1));
}

/* A constant with N, one used only through exp, one used twice, and a sequence
 * without N. */
static void constants(Arena *a)
{
    Case *c = case_new(a, "constants");
    Cell s = cell_begin(c, c->g);
    Graph *t = s.body;
    Node *x = case_input(c, "NT3", "any"), *memory = case_input(c, "N3", "any");
    Node *log_tau = case_input(c, "3", "any"), *twice = case_input(c, "3x3", "unit");
    Node *place = case_input(c, "T3", "any");
    Node *h = cell_input(&s, CELL_carry, cell_zeros(&s, "N3"));
    Node *xt = cell_input(&s, CELL_seq, x), *pt = cell_input(&s, CELL_seq, place);
    Node *m = cell_input(&s, CELL_const, memory);
    Node *tau = node1(t, OP_exp, cell_input(&s, CELL_const, log_tau));
    Node *w = cell_input(&s, CELL_const, twice);
    Node *hw = make_contract(t, "nk,km->nm", (Node *[]){h, w}, 2);
    Node *xw = make_contract(t, "nk,mk->nm", (Node *[]){xt, w}, 2);
    Node *z = node2(t, OP_add, node2(t, OP_mul, hw, m), node2(t, OP_add, xw, pt));
    Node *slope = node2(t, OP_div, node2(t, OP_sub, tanh_of(t, z), h),
                        node2(t, OP_add, tau, make_const(t, 1)));
    s.next[0] = node2(t, OP_add, h, slope);
    s.stack[s.nstack++] = slope;
    finish(c, last_and_all(c, cell_scan(&s, x->shape.d[1], false), 0, 1));
}

/* A step that runs a scan of its own over a part of its input. */
static void nested(Arena *a)
{
    Case *c = case_new(a, "nested");
    Cell s = cell_begin(c, c->g);
    Node *x = case_input(c, "NT3x2", "any"), *w = case_input(c, "2x2", "any");
    Node *h = cell_input(&s, CELL_carry, cell_zeros(&s, "N2"));
    Node *xt = cell_input(&s, CELL_seq, x), *wt = cell_input(&s, CELL_const, w);
    Cell in = cell_begin(c, s.body);
    Node *k = cell_input(&in, CELL_carry, h);
    Node *xk = cell_input(&in, CELL_seq, xt), *wk = cell_input(&in, CELL_const, wt);
    Node *kw = make_contract(in.body, "nk,km->nm", (Node *[]){k, wk}, 2);
    Node *scaled = node2(in.body, OP_mul, kw, cell_input(&in, CELL_const, h));
    in.next[0] = tanh_of(in.body, node2(in.body, OP_add, scaled, xk));
    in.stack[in.nstack++] = in.next[0];
    Node *inner = cell_scan(&in, dim_int(3), false);
    Node *all = make_reduce(s.body, OP_reduce_max, make_result(s.body, inner, 1), (int[]){1}, 1);
    s.next[0] = node2(s.body, OP_add, make_result(s.body, inner, 0), all);
    s.stack[s.nstack++] = all;
    finish(c, last_and_all(c, cell_scan(&s, x->shape.d[1], false), 0, 1));
}

/* Time steps where the mask is false leave the state; a counter of steps. */
static void masked(Arena *a)
{
    Case *c = case_new(a, "masked, with a step counter and random numbers");
    Cell s = cell_begin(c, c->g);
    Graph *t = s.body;
    Node *x = case_input(c, "NT3", "any"), *w = case_input(c, "3", "any");
    Node *mask = case_input_of(c, DT_bool, shape_by("NT1"), "bool", false);
    Node *h = cell_input(&s, CELL_carry, cell_zeros(&s, "N3"));
    Node *step = cell_input(&s, CELL_carry, make_const_of(c->g, DT_i32, 0));
    Node *xt = cell_input(&s, CELL_seq, x), *mt = cell_input(&s, CELL_seq, mask);
    Node *wt = cell_input(&s, CELL_const, w);
    Node *in[] = {make_const_of(t, DT_i32, 7), make_const_of(t, DT_i32, 3), step};
    Attr attr[] = {attr_of_int(ATTR_key, 1), attr_of_shape(ATTR_shape, shape_by("N3")),
                   attr_of_int(ATTR_dtype, DT_f64)};
    Node *u = node_new(t, OP_random, (Span){0}, in, 3, attr, 3);
    Node *z = node2(t, OP_mul, node2(t, OP_add, xt, h), node2(t, OP_mul, wt, u));
    Node *rate = node2(t, OP_div, make_cast(t, step, DT_f64), make_const(t, 4));
    Node *now = tanh_of(t, node2(t, OP_mul, z, rate));
    s.next[0] = node3(t, OP_select, mt, now, h);
    s.next[1] = node2(t, OP_add, step, make_const_of(t, DT_i32, 1));
    finish(c, make_result(c->g, cell_scan(&s, x->shape.d[1], false), 0));
}

/* Layer normalisation and a softmax over the past in the step; no carry. */
static void reductions(Arena *a)
{
    Case *c = case_new(a, "reductions in a step without carries");
    Cell s = cell_begin(c, c->g);
    Graph *t = s.body;
    Node *x = case_input(c, "NT3", "any"), *gain = case_input(c, "3", "any");
    Node *xt = cell_input(&s, CELL_seq, x), *gt = cell_input(&s, CELL_const, gain);
    Node *most = make_reshape(t, make_reduce(t, OP_reduce_max, xt, (int[]){1}, 1), shape_by("N1"));
    Node *e = node1(t, OP_exp, node2(t, OP_sub, xt, most));
    Node *sum = make_reshape(t, make_reduce(t, OP_reduce_sum, e, (int[]){1}, 1), shape_by("N1"));
    s.stack[s.nstack++] = node2(t, OP_mul, node2(t, OP_div, e, sum), gt);
    finish(c, make_result(c->g, cell_scan(&s, x->shape.d[1], false), 0));
}

/* A table of vectors indexed in the step. */
static void embedded(Arena *a)
{
    Case *c = case_new(a, "gather in a step");
    Cell s = cell_begin(c, c->g);
    Node *table = case_input(c, "5x3", "any");
    Node *index = case_input_of(c, DT_i32, shape_by("NT"), "index5", false);
    Node *h = cell_input(&s, CELL_carry, cell_zeros(&s, "N3"));
    Node *it = cell_input(&s, CELL_seq, index);
    Node *v = node2(s.body, OP_gather, cell_input(&s, CELL_const, table), it);
    s.next[0] = tanh_of(s.body, node2(s.body, OP_add, h, v));
    finish(c, make_result(c->g, cell_scan(&s, dim_sym(SYM_length), false), 0));
}

/* Two layers, the second reading the first backwards. */
static void stacked(Arena *a)
{
    Case *c = case_new(a, "two layers");
    Node *x = case_input(c, "NT2", "any");
    Node *h = make_result(c->g, lstm_scan(c, x, 2, false), 2);
    Dim last;
    dim_affine(dim_sym(SYM_length), 1, -1, 1, &last);
    h = make_slice(c->g, h, 1, last, dim_sym(SYM_length), -1);
    finish(c, make_result(c->g, lstm_scan(c, h, 1, true), 0));
}

int main(void)
{
    Arena *a = arena_new();
    simple_rnn(a, "simple rnn", "NT2", OP_tanh, false, false);
    simple_rnn(a, "simple rnn, fixed length, learned start", "N5x2", OP_sigmoid, true, false);
    simple_rnn(a, "simple rnn with relu", "NT2", OP_max, false, false);
    simple_rnn(a, "simple rnn from the end", "NT2", OP_tanh, true, true);
    lstm(a, false);
    lstm(a, true);
    delays(a);
    constants(a);
    nested(a);
    masked(a);
    reductions(a);
    embedded(a);
    stacked(a);
    printf("%d checks, %d failures\n", checks, failures);
    arena_free(a);
    return failures > 0;
}
