/* Every sentence of the verifier, each provoked by one thing broken in a sound
 * graph; and Graphviz text of the sound one. */
#include "ir/graph.h"

#include <string.h>

static const char text[] =
    "graph t {\n length T\n"
    "%x = input {role=data, name=\"x\"} : f32[N, T, 4]\n"
    "%w = input {role=param, name=\"w\"} : f32[4]\n"
    "%s = input {role=scalar, name=\"s\"} : i32\n"
    "%3 = random %s, %s {key=1} : f32[4]\n"
    "%4 = random %s, %s {key=1} : f32[4]\n"
    "%5 = add %3, %4 : f32[4]\n"
    "%6 = broadcast %5 : f32[N, 4]\n"
    "%7 = scan %6, %x {ncarry=1, nseq=1, length=T} body cell {\n"
    "  %h = input {role=body, name=\"h\"} : f32[N, 4]\n"
    "  %x = input {role=body, name=\"x\"} : f32[N, 4]\n"
    "  %2 = add %h, %x : f32[N, 4]\n"
    "  %3 = const {value=0.5} : f32\n"
    "  %4 = mul %2, %3 : f32[N, 4]\n"
    "  output body \"h\" %4\n"
    "}\n"
    "%8 = result %7 {index=0} : f32[N, 4] as \"end\"\n"
    "%9 = reduce_sum %w {axes=[0]} : f32\n"
    "output loss \"loss\" %9\noutput result \"y\" %8\noutput param \"w\" %5\n}\n";

static Node *node_of(Graph *g, Op op)
{
    for (int i = 0; i < g->nodes.n; i++)
        if (g->nodes.at[i]->op == op)
            return g->nodes.at[i];
    return NULL;
}

#define ANY __attribute__((unused))
#define BREAK(name) static void name(ANY Graph *g, ANY Node *add, ANY Graph *body)
BREAK(nothing) { }
BREAK(id) { add->id = 100; }
BREAK(graph) { add->graph = body; }
BREAK(op) { add->op = NOP; }
BREAK(hole) { add->in[1] = NULL; }
BREAK(foreign) { add->in[1] = body->nodes.at[0]; }
BREAK(order) { add->in[1] = node_of(g, OP_broadcast); }
BREAK(form) { node_of(g, OP_broadcast)->shape.d[0] = (Dim){SYM_N, 2, 2, 0}; }
BREAK(length) { node_of(g, OP_scan)->attr[2].u.dim = dim_sym(SYM_length + 1); }
BREAK(rank) { add->shape.rank = RANK_MOST + 1; }
BREAK(attribute) { node_of(g, OP_random)->nattr = 0; }
BREAK(stored) { add->shape.d[0] = dim_int(5); }
BREAK(dtype) { add->dtype = DT_f64; }
BREAK(rule) { add->op = OP_and; }
BREAK(number) { node_of(body, OP_const)->attr[0].u.f = 0.1; }
BREAK(adapted)
{
    Node *c = node_of(body, OP_const);
    c->dtype = DT_f64;
    c->attr[1].u.i = DT_f64;
}
BREAK(owner) { add->body = body; }
BREAK(no_body) { node_of(g, OP_scan)->body = NULL; }
BREAK(outer) { body->outer = NULL; }
BREAK(inside) { body->nodes.at[2]->dtype = DT_i32; }
BREAK(carry) { body->outputs.n = 0; }
BREAK(key)
{
    Node *r = graph_find_output(g, ROLE_param, "w")->in[1];
    Node *seed = r->in[0], *step = r->in[1];
    r->nin = 3;
    r->in = NEW_ARRAY(g->arena, Node *, 3);
    r->in[0] = seed;
    r->in[1] = r->in[2] = step;
}
BREAK(listed) { g->inputs.n = 2; }
BREAK(list) { g->inputs.at[2] = add; }
BREAK(twice) { g->inputs.at[2] = g->inputs.at[1]; }
BREAK(role) { g->inputs.at[0]->attr[0].u.i = ROLE_body; }
BREAK(body_role) { body->inputs.at[1]->attr[0].u.i = ROLE_data; }
BREAK(names)
{
    g->inputs.at[0]->attr[0].u.i = ROLE_param;
    g->inputs.at[0]->attr[1].u.s = "w";
}
BREAK(no_name) { g->outputs.at[0].name = NULL; }
BREAK(no_value) { g->outputs.at[0].node = node_of(g, OP_scan); }
BREAK(out_role) { g->outputs.at[1].role = ROLE_body; }
BREAK(loss) { g->outputs.at[0].node = add; }
BREAK(update) { g->outputs.at[2].node = node_of(g, OP_broadcast); }
BREAK(same) { g->outputs.at[1] = g->outputs.at[0]; }

static const struct {
    void (*damage)(Graph *g, Node *add, Graph *body);
    const char *why;
} cases[] = {
    {nothing, ""},
    {id, "node 100 (add) stands at place 5"},
    {graph, "node 5 (add) says that it is of another graph"},
    {op, "node 5 (?) has no operation"},
    {hole, "node 5 (add): operand 1 is missing"},
    {foreign, "node 5 (add): operand 1 is not in the graph"},
    {order, "node 5 (add): operand 1, node 6, comes later"},
    {form, "node 6 (broadcast): an extent is not in normal form or of no declared length"},
    {length, "node 7 (scan): an extent is not in normal form or of no declared length"},
    {rank, "node 5 (add): an extent is not in normal form or of no declared length"},
    {attribute, "node 3 (random): attribute dtype is missing"},
    {stored, "node 5 (add) is stored as f32[5], its rule gives f32[4]"},
    {dtype, "node 5 (add) is stored as f64[4], its rule gives f32[4]"},
    {rule, "node 5 (and): and needs bool, found f32"},
    {number, "node 7 (scan): in the body: node 3 (const): a number is not one of f32"},
    {adapted, "node 7 (scan): in the body: node 4 (mul): operands f32 and f64 were not adapted"},
    {owner, "node 5 (add) owns a body"},
    {no_body, "node 7 (scan) has no body"},
    {outer, "node 7 (scan): the body's outer graph is another one"},
    {inside, "node 7 (scan): in the body: node 2 (add) is stored as i32[N, 4], its rule gives "
             "f32[N, 4]"},
    {carry, "node 7 (scan): the body has 0 outputs for 1 carries"},
    {key, "node 4 (random): its key 1 is also that of node 3, which differs"},
    {listed, "the graph lists 2 inputs and holds 3"},
    {list, "input 2 of the list is not an input of the graph"},
    {twice, "node 1 (input 'w') is listed twice"},
    {role, "node 0 (input 'x') has role body outside of a body"},
    {body_role, "node 7 (scan): in the body: node 1 (input 'x') has role data in a body"},
    {names, "node 1 (input 'w'): two inputs of role param are named 'w'"},
    {no_name, "output 0 has no role or no name"},
    {no_value, "output 'loss' is no value of the graph"},
    {out_role, "output 'y' has role body outside of a body"},
    {loss, "the loss is f32[4], needed a float scalar"},
    {update, "output param 'w' is f32[N, 4], the input of that name f32[4]"},
    {same, "two outputs of role loss are named 'loss'"},
};

static int test_dot(Arena *a, const Graph *g)
{
    static const char *const needed[] = {
        "digraph \"t\" {",   "subgraph cluster_1 {",  "label=\"cell\"",
        "label=\"x\\nf32[N, T, 4]\"", "label=\"scan\\nT steps\"", "[style=dashed]",
        "label=\"end\\nresult 0\\nf32[N, 4]\"", "label=\"loss\\nloss\"",
        "label=\"a very long name of a te...\\nneg",
    };
    Graph *c = graph_copy(a, g);
    Node *n = node1(c, OP_neg, c->inputs.at[0]);
    n->name = "a very long name of a tensor";
    graph_output(c, ROLE_result, "a \"quoted\" name", n);
    const char *dot = graph_dot(a, c);
    int failed = 0;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!strstr(dot, needed[i])) {
            printf("dot lacks %s\n", needed[i]);
            failed++;
        }
    return failed;
}

int main(void)
{
    int failed = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena *a = arena_new();
        Diag d = {.arena = a};
        Graph *g = graph_read(a, &d, diag_source(&d, "sound", text, strlen(text), false));
        if (!g) {
            diag_print(&d, stdout);
            return 1;
        }
        if (!i)
            failed += test_dot(a, g);
        Node *add = node_of(g, OP_add);
        cases[i].damage(g, add, node_of(g, OP_scan)->body);
        const char *why = graph_verify(a, g);
        if (strcmp(why ? why : "", cases[i].why)) {
            printf("found:  %s\nneeded: %s\n", why ? why : "sound", cases[i].why);
            failed++;
        }
        arena_free(a);
    }
    return failed != 0;
}
