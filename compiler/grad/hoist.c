/* Out of the loop with what does not change in it.
 *
 * Before a scan is differentiated, nodes of its body that are computed from its
 * constants alone (exp(log_tau), a row of a parameter) move to the graph around
 * it and come back as constants: the same values, computed once. It leaves the
 * backward body with one kind of parameter gradient, a sum over the batch that
 * arrives at a constant.
 */
#include "grad/diff.h"

#include <string.h>

typedef enum { DEP_none, DEP_constant, DEP_step } Dep;

static Dep *find_deps(Arena *a, const Node *scan)
{
    const Graph *body = scan->body;
    Dep *dep = NEW_ARRAY(a, Dep, body->nodes.n);
    int moving = (int)(attr_int(scan, ATTR_ncarry, 0) + attr_int(scan, ATTR_nseq, 0));
    for (int p = 0; p < body->inputs.n; p++)
        dep[body->inputs.at[p]->id] = p < moving ? DEP_step : DEP_constant;
    for (int i = 0; i < body->nodes.n; i++) {
        const Node *n = body->nodes.at[i];
        if (n->op == OP_scan || n->op == OP_arriving) /* a gradient arrives in every step */
            dep[i] = DEP_step;
        for (int k = 0; k < n->nin; k++)
            if (dep[n->in[k]->id] > dep[i])
                dep[i] = dep[n->in[k]->id];
    }
    return dep;
}

/* Copies the nodes marked `wanted`, and what they need, into the outer graph. */
static Node **copy_out(Graph *g, const Node *scan, bool *wanted)
{
    const Graph *body = scan->body;
    Node **map = NEW_ARRAY(g->arena, Node *, body->nodes.n);
    for (int p = 0; p < scan->nin; p++)
        map[body->inputs.at[p]->id] = scan->in[p];
    for (int i = body->nodes.n - 1; i >= 0; i--)
        for (int k = 0; wanted[i] && k < body->nodes.at[i]->nin; k++)
            wanted[body->nodes.at[i]->in[k]->id] = true;
    for (int i = 0; i < body->nodes.n; i++) {
        const Node *n = body->nodes.at[i];
        if (!wanted[i] || map[i])
            continue;
        Node **in = NEW_ARRAY(g->arena, Node *, n->nin);
        for (int k = 0; k < n->nin; k++)
            in[k] = map[n->in[k]->id];
        map[i] = node_new(g, n->op, n->span, in, n->nin, n->attr, n->nattr);
        map[i]->name = n->name;
    }
    return map;
}

/* Moves the nodes from index `made` on in front of index `at`. */
static void move_nodes(Graph *g, int made, int at)
{
    int n = g->nodes.n - made;
    Node **tail = NEW_ARRAY(g->arena, Node *, n);
    memcpy(tail, g->nodes.at + made, sizeof(Node *) * (size_t)n);
    memmove(g->nodes.at + at + n, g->nodes.at + at, sizeof(Node *) * (size_t)(made - at));
    memcpy(g->nodes.at + at, tail, sizeof(Node *) * (size_t)n);
    for (int i = at; i < g->nodes.n; i++)
        g->nodes.at[i]->id = i;
}

static void add_constant(Node *scan, Node *inner, Node *outer)
{
    Graph *body = scan->body;
    Node **in = NEW_ARRAY(body->arena, Node *, scan->nin + 1);
    const char *name = arena_printf(body->arena, "hoisted_%d", scan->nin);
    memcpy(in, scan->in, sizeof(Node *) * (size_t)scan->nin);
    in[scan->nin++] = outer;
    scan->in = in;
    graph_replace(body, inner,
                  graph_input(body, ROLE_body, name, inner->dtype, inner->shape, inner->span));
}

/* Marks the constant nodes that a node of the loop, or an output, uses. */
static bool find_borders(const Graph *body, const Dep *dep, bool *border)
{
    bool any = false;
    for (int i = 0; i < body->nodes.n; i++) {
        const Node *n = body->nodes.at[i];
        for (int k = 0; k < n->nin; k++)
            if (dep[i] == DEP_step && dep[n->in[k]->id] == DEP_constant)
                border[n->in[k]->id] = true;
    }
    for (int i = 0; i < body->outputs.n; i++)
        if (dep[body->outputs.at[i].node->id] == DEP_constant)
            border[body->outputs.at[i].node->id] = true;
    for (int i = 0; i < body->nodes.n; i++) {
        border[i] &= body->nodes.at[i]->op != OP_input;
        any |= border[i];
    }
    return any;
}

static void hoist_scan(Graph *g, Node *scan)
{
    Graph *body = scan->body;
    int nbody = body->nodes.n, made = g->nodes.n;
    bool *border = NEW_ARRAY(g->arena, bool, nbody), *wanted = NEW_ARRAY(g->arena, bool, nbody);
    if (!find_borders(body, find_deps(g->arena, scan), border))
        return;
    memcpy(wanted, border, sizeof(bool) * (size_t)nbody);
    Node **map = copy_out(g, scan, wanted);
    for (int i = 0; i < nbody; i++)
        if (border[i])
            add_constant(scan, body->nodes.at[i], map[i]);
    move_nodes(body, nbody, 0);
    move_nodes(g, made, scan->id);
}

void hoist_constants(Graph *g)
{
    for (int i = 0; i < g->nodes.n; i++) {
        Node *n = g->nodes.at[i];
        if (n->op != OP_scan)
            continue;
        hoist_constants(n->body);
        hoist_scan(g, n);
        i = n->id; /* moved down by what came out */
    }
}
