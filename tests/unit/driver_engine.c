/* The engine on a graph made by hand: rows gathered by order, updates in place,
 * nothing updated when the loss is not finite; and the work that it counts. */
#include "driver/engine.h"
#include "ir/flops.h"

#include <math.h>
#include <stdio.h>

static int failures;

static void expect(bool ok, const char *what)
{
    if (!ok) {
        printf("failed: %s\n", what);
        failures++;
    }
}

/* y = x @ w; loss = sum(log(y)); w' = w - y summed over the batch. */
static Graph *make_graph(Arena *a)
{
    Graph *g = graph_new(a, "step");
    Span none = {0};
    Shape row = shape_of(2, dim_sym(SYM_N), dim_int(3));
    Shape weight = shape_of(2, dim_int(3), dim_int(1));
    Node *x = graph_input(g, ROLE_data, "x", DT_f32, row, none);
    Node *w = graph_input(g, ROLE_param, "w", DT_f32, weight, none);
    Node *y = make_contract(g, "nk,km->nm", (Node *[]){x, w}, 2);
    Node *scalar = make_reshape(g, node1(g, OP_log, y), shape_of(1, dim_sym(SYM_N)));
    Node *sum = make_batch_sum(g, make_reshape(g, y, shape_of(1, dim_sym(SYM_N))));
    graph_output(g, ROLE_loss, "loss", make_batch_sum(g, scalar));
    graph_output(g, ROLE_param, "w", node2(g, OP_sub, w, sum));
    graph_output(g, ROLE_result, "y", y);
    return g;
}

static int port(Engine *e, Role role, const char *name)
{
    int i = engine_find(e, role, name);
    if (i < 0)
        printf("no port %s\n", name), failures++;
    return i;
}

int main(void)
{
    Arena *a = arena_new();
    Diag d = {.arena = a};
    Graph *g = make_graph(a);
    Engine *e = engine_new(a, &d, (Span){0}, g, true, NULL);
    float x[4][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, -9}}, w[3] = {1, 2, 4};
    float y[4], loss = 0;
    const int64_t order[] = {2, 0, 1};
    expect(engine_nport(e) == 4, "an updated parameter is one port");
    expect(engine_port(e, port(e, ROLE_param, "w"))->is_output, "w is an output");
    engine_bind(e, port(e, ROLE_data, "x"), x);
    engine_bind(e, port(e, ROLE_param, "w"), w);
    engine_bind(e, port(e, ROLE_loss, "loss"), &loss);
    engine_bind(e, port(e, ROLE_result, "y"), y);
    expect(engine_prepare(e, 4, NULL, 1), "prepare");
    expect(engine_run(e, 3, order), "a run");
    expect(y[0] == 4 && y[1] == 1 && y[2] == 2, "rows in the order asked");
    expect(fabsf(loss - logf(8)) < 1e-6f, "the loss");
    expect(w[0] == -6 && w[1] == -5 && w[2] == -3, "the update, in place");
    w[0] = w[1] = w[2] = 1;
    const int64_t bad[] = {3};
    expect(!engine_run(e, 1, bad), "log(-7) is not finite");
    expect(isnan(loss) && w[0] == 1 && w[2] == 1, "and updates nothing");
    const Node *trouble = engine_find_trouble(e, 1, bad);
    expect(trouble && trouble->op == OP_log, "the operation is found");
    expect(engine_find_trouble(e, 3, order) == NULL, "none where all is well");
    expect(graph_flops(g, 10, NULL) == 2 * 10 * 3, "2 x the multiply-adds of the product");
    Work work = graph_work(g, 10, NULL);
    expect(work.products == 2 * 10 * 3 && work.functions == 10, "products; a logarithm a row");
    expect(work.arithmetic == 3 + 2 * shard_count(10), "a difference; two sums over shards");
    engine_free(e);
    arena_free(a);
    return failures != 0;
}
