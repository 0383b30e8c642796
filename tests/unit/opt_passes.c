/* The passes keep values: to the bit where they are exact, to rounding where
 * they reassociate, on differentiated cells; and the shape of what they leave. */
#include "opt_check.h"

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

int main(void)
{
    Arena *a = arena_new();
    check_lstm(a, "N6x2", false);
    check_lstm(a, "N6x2", true);
    check_lstm(a, "NT2", false);
    check_lstm(a, "NT2", true);
    check_relu(a);
    arena_free(a);
    printf("%d failures\n", failures);
    return failures > 0;
}
