/* Loops in segments of every length, with what the forward loop saved kept and made again: the
 * same bits, also when defer has taken products out of the segments; how a segment is chosen. */
#include "opt_check.h"

enum { UNITS = 3, STEPS = 7 };

/* A recurrent layer on another, or one alone on a sequence turned round. */
static Case *network(Arena *a, bool two)
{
    Case *c = case_new(a, two ? "two layers" : "a peephole cell backwards");
    Node *x = case_input_of(c, DT_f64, shape_by("N7x2"), "any", false);
    if (!two)
        x = make_slice(c->g, x, 1, dim_int(STEPS - 1), dim_int(STEPS), -1);
    Node *scan = lstm_scan(c, x, UNITS, !two);
    if (two) {
        Node *h = scan->body->outputs.at[0].node;
        graph_output(scan->body, ROLE_body, "h", h);
        int stack = scan->body->outputs.n - 1;
        scan = lstm_scan(c, make_result(c->g, scan, stack), UNITS, false);
    }
    case_differentiate(c, case_loss(c, make_result(c->g, scan, 0)));
    for (int i = 0; i < 4; i++) /* as far as before segment */
        passes[i].run(c->g);
    return c;
}

static void check_segments(Arena *a, bool two, const Segment *plan)
{
    static const int64_t rows[] = {1, 33, 70};
    Value *before[3];
    Case *c = network(a, two);
    for (int i = 0; i < 3; i++)
        before[i] = evaluate(c, rows[i]);
    for (int pass = 0; pass < 3; pass++) {
        if (pass == 0)
            pass_segment(c->g, plan, 2);
        else
            (pass == 1 ? pass_defer : pass_simplify)(c->g);
        const char *why = graph_verify(a, c->g);
        CHECK(!why, "%s in segments of %d and %d: %s", c->name, (int)plan[0].steps,
              (int)plan[1].steps, why);
        for (int i = 0; i < 3 && !why && pass < 2; i++)
            compare_values(c, pass ? "segment and defer" : "segment", true, before[i],
                           evaluate(c, rows[i]));
    }
    int inner = 0, sums = 0; /* sums over the batch must not be in the inner loops */
    for (int i = 0; i < c->g->nodes.n; i++)
        for (int k = 0; c->g->nodes.at[i]->body && k < c->g->nodes.at[i]->body->nodes.n; k++) {
            const Node *n = c->g->nodes.at[i]->body->nodes.at[k];
            inner += n->op == OP_scan;
            for (int m = 0; n->body && m < n->body->nodes.n; m++)
                sums += n->body->nodes.at[m]->op == OP_batch_contract;
        }
    int want = 0;
    for (int i = 0; i < 1 + two; i++)
        if (plan[i].steps < STEPS)
            want += plan[i].again ? 3 : 1;
    CHECK(inner == want, "%s: %d loops in loops, not %d", c->name, inner, want);
    CHECK(sums == 0, "%s: %d sums over the batch in the segments' loops", c->name, sums);
}

/* Beyond a cache of sequences long enough, and not for short ones. */
static void check_choice(Arena *a)
{
    static const struct { int steps; bool cut; } row[] = {{7, false}, {4000, true}};
    for (int i = 0; i < 2; i++) {
        Case *c = case_new(a, "choice");
        const char *shape = arena_printf(a, "N%dx20", row[i].steps);
        Node *x = case_input_of(c, DT_f64, shape_by(shape), "any", false);
        Node *scan = lstm_scan(c, x, 20, false);
        case_differentiate(c, case_loss(c, make_result(c->g, scan, 0)));
        pass_simplify(c->g);
        pass_segment(c->g, NULL, 0);
        bool cut = false;
        for (int k = 0; k < c->g->nodes.n; k++)
            for (int m = 0; c->g->nodes.at[k]->body && m < c->g->nodes.at[k]->body->nodes.n; m++)
                cut |= c->g->nodes.at[k]->body->nodes.at[m]->op == OP_scan;
        CHECK(cut == row[i].cut, "%d steps are%s cut", row[i].steps, cut ? "" : " not");
    }
    CHECK(segment_near(300, 8) == 10 || segment_near(300, 8) == 6, "300 about 8: %d",
          (int)segment_near(300, 8));
    CHECK(segment_near(301, 10) == 7, "301 about 10: %d", (int)segment_near(301, 10));
    CHECK(segment_near(1009, 10) == 10, "1009 about 10: %d", (int)segment_near(1009, 10));
    CHECK(segment_near(5, 0.2) == 1, "5 about 0.2: %d", (int)segment_near(5, 0.2));
}

int main(void)
{
    Arena *a = arena_new();
    for (int steps = 1; steps <= STEPS; steps++)
        for (int again = 0; again < 2; again++) {
            Segment plan[2] = {{steps, again}, {1 + steps % 4, !again}};
            check_segments(a, false, plan);
            check_segments(a, true, plan);
        }
    check_choice(a);
    arena_free(a);
    printf("%d failures\n", failures);
    return failures > 0;
}
