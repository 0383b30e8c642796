/* Graphs: making nodes, inputs and outputs; walking and changing. The makers of
 * particular operations are in make.c, the rules that type them in shape*.c. */
#include "ir/check.h"

#include <string.h>

Graph *graph_new(Arena *a, const char *name)
{
    Graph *g = NEW(a, Graph);
    g->arena = a;
    g->name = name ? arena_strdup(a, name) : NULL;
    return g;
}

int graph_length(Graph *g, const char *name, int64_t most)
{
    g = (Graph *)graph_outermost(g);
    for (int i = 0; i < g->lengths.n; i++)
        if (!strcmp(g->lengths.at[i], name)) {
            int64_t had = g->length_most.at[i];
            if (most && (!had || most < had))
                g->length_most.at[i] = most;
            return SYM_length + i;
        }
    if (SYM_length + g->lengths.n >= SYM_MOST)
        return -1;
    list_push(g->arena, &g->lengths, arena_strdup(g->arena, name));
    list_push(g->arena, &g->length_most, most);
    return SYM_length + g->lengths.n - 1;
}

/* Appends without asking: operands and attributes are copied, type as given. */
static Node *append(Graph *g, Op op, Span at, Node *const *in, int nin, const Attr *attr, int nattr)
{
    Node *n = NEW(g->arena, Node);
    n->op = op;
    n->graph = g;
    n->span = at;
    n->nin = nin;
    n->nattr = nattr;
    n->in = NEW_ARRAY(g->arena, Node *, nin);
    n->attr = NEW_ARRAY(g->arena, Attr, nattr);
    for (int i = 0; i < nin; i++)
        n->in[i] = in[i];
    for (int i = 0; i < nattr; i++)
        n->attr[i] = attr_copy(g->arena, &attr[i]);
    n->id = g->nodes.n;
    list_push(g->arena, &g->nodes, n);
    if (op == OP_input)
        list_push(g->arena, &g->inputs, n);
    return n;
}

/* A weak scalar in the dtype that it meets. */
static Node *adapt(Graph *g, Node *n, Dtype dt)
{
    if (n->op != OP_const)
        return make_cast(g, n, dt);
    double v = attr_get(n, ATTR_value)->u.f;
    Node *c = make_const_of(g, dt, v);
    c->span = n->span;
    return c;
}

Node *node_new(Graph *g, Op op, Span at, Node *const *in, int nin, const Attr *attr, int nattr)
{
    Node *fit[3];
    Dtype dt;
    Shape s;
    const char *why;
    for (int i = 0; i < nin; i++) {
        if (!in[i])
            bug("%s: operand %d is missing", op_info[op].name, i);
        if (in[i]->graph != g)
            bug("%s: operand %d (%s) is of graph '%s', not of '%s'", op_info[op].name, i,
                op_info[in[i]->op].name, in[i]->graph->name ? in[i]->graph->name : "",
                g->name ? g->name : "");
    }
    if (!shape_check(g, op, in, nin, attr, nattr, &dt, &s, &why))
        bug("%s: %s", op_info[op].name, why);
    if (op_info[op].kind == KIND_map && (nin == 2 || nin == 3)) {
        int from = op == OP_select;
        Dtype meets;
        for (int i = 0; i < nin; i++)
            fit[i] = in[i];
        if (map_meets(in, from, nin, &meets))
            for (int i = from; i < nin; i++)
                if (fit[i]->dtype != meets)
                    fit[i] = adapt(g, fit[i], meets);
        in = fit;
    }
    Node *n = append(g, op, at, in, nin, attr, nattr);
    n->dtype = dt;
    n->shape = s;
    for (int i = 0; i < nattr; i++)
        attr_round(&n->attr[i], dt);
    return n;
}

Node *node1(Graph *g, Op op, Node *x)
{
    return node_new(g, op, x->span, &x, 1, NULL, 0);
}

Node *node2(Graph *g, Op op, Node *x, Node *y)
{
    return node_new(g, op, span_join(x->span, y->span), (Node *[]){x, y}, 2, NULL, 0);
}

Node *node3(Graph *g, Op op, Node *x, Node *y, Node *z)
{
    Span at = span_join(span_join(x->span, y->span), z->span);
    return node_new(g, op, at, (Node *[]){x, y, z}, 3, NULL, 0);
}

Node *graph_input(Graph *g, Role role, const char *name, Dtype dt, Shape shape, Span at)
{
    Attr attr[] = {attr_of_int(ATTR_role, role), attr_of_str(ATTR_name, name),
                   attr_of_int(ATTR_dtype, dt), attr_of_shape(ATTR_shape, shape)};
    Node *n = node_new(g, OP_input, at, NULL, 0, attr, 4);
    n->name = n->attr[1].u.s;
    return n;
}

void graph_output(Graph *g, Role role, const char *name, Node *n)
{
    if (n->graph != g)
        bug("output '%s' is a node of another graph", name);
    Output o = {role, arena_strdup(g->arena, name), n};
    list_push(g->arena, &g->outputs, o);
}

Node *graph_find_input(const Graph *g, Role role, const char *name)
{
    for (int i = 0; i < g->inputs.n; i++) {
        Node *n = g->inputs.at[i];
        if (attr_int(n, ATTR_role, NROLE) == role && !strcmp(attr_str(n, ATTR_name), name))
            return n;
    }
    return NULL;
}

Node *graph_find_output(const Graph *g, Role role, const char *name)
{
    for (int i = 0; i < g->outputs.n; i++)
        if (g->outputs.at[i].role == role && !strcmp(g->outputs.at[i].name, name))
            return g->outputs.at[i].node;
    return NULL;
}

/* ---- walking and changing ---- */

bool graph_has(const Graph *g, const Node *n)
{
    return n && n->id >= 0 && n->id < g->nodes.n && g->nodes.at[n->id] == n;
}

typedef struct { Node *n; int next; } Frame;

/* Appends `root` and what it needs to `order`, operands first; seen[id] marks
 * what is there. The stack is explicit: chains may be long. Operands that are
 * not of g (in a broken graph that is being printed) are passed over. */
static void post_order(Arena *a, const Graph *g, Node *root, bool *seen, Node **order, int *n)
{
    LIST(Frame) stack = {0};
    if (!graph_has(g, root) || seen[root->id])
        return;
    seen[root->id] = true;
    list_push(a, &stack, ((Frame){root, 0}));
    while (stack.n) {
        Frame *f = &stack.at[stack.n - 1];
        if (f->next == f->n->nin) {
            order[(*n)++] = f->n;
            stack.n--;
            continue;
        }
        Node *in = f->n->in[f->next++];
        if (graph_has(g, in) && !seen[in->id]) {
            seen[in->id] = true;
            list_push(a, &stack, ((Frame){in, 0}));
        }
    }
}

int graph_order(Arena *a, const Graph *g, Node **order)
{
    bool *seen = NEW_ARRAY(a, bool, g->nodes.n);
    int n = 0;
    for (int i = 0; i < g->inputs.n; i++)
        post_order(a, g, g->inputs.at[i], seen, order, &n);
    for (int i = 0; i < g->outputs.n; i++)
        post_order(a, g, g->outputs.at[i].node, seen, order, &n);
    return n;
}

void graph_compact(Graph *g)
{
    Arena *a = arena_new();
    int n = g->nodes.n, norder = 0;
    bool *live = NEW_ARRAY(a, bool, n), *placed = NEW_ARRAY(a, bool, n);
    Node **reached = NEW_ARRAY(a, Node *, n), **order = NEW_ARRAY(a, Node *, n);
    for (int i = graph_order(a, g, reached); i-- > 0;)
        live[reached[i]->id] = true;
    for (int i = 0; i < n; i++)
        if (live[i])
            post_order(a, g, g->nodes.at[i], placed, order, &norder);
    for (int i = 0; i < norder; i++) {
        g->nodes.at[i] = order[i];
        order[i]->id = i;
        if (order[i]->body)
            graph_compact(order[i]->body);
    }
    g->nodes.n = norder;
    arena_free(a);
}

void graph_replace(Graph *g, Node *from, Node *to)
{
    for (int i = 0; i < g->nodes.n; i++) {
        Node *n = g->nodes.at[i];
        for (int k = 0; n != to && k < n->nin; k++)
            if (n->in[k] == from)
                n->in[k] = to;
    }
    for (int i = 0; i < g->outputs.n; i++)
        if (g->outputs.at[i].node == from)
            g->outputs.at[i].node = to;
}

Users *graph_users(Arena *a, const Graph *g)
{
    Users *users = NEW_ARRAY(a, Users, g->nodes.n);
    for (int i = 0; i < g->nodes.n; i++) {
        Node *n = g->nodes.at[i];
        for (int k = 0; k < n->nin; k++) {
            Users *u = &users[n->in[k]->id];
            if (!u->at.n || u->at.at[u->at.n - 1] != n) /* x * x uses x once */
                list_push(a, &u->at, n);
        }
    }
    return users;
}

Graph *graph_copy(Arena *a, const Graph *g)
{
    Graph *to = graph_new(a, g->name);
    to->columns = g->columns;
    Arena *scratch = arena_new();
    Node **map = NEW_ARRAY(scratch, Node *, g->nodes.n);
    for (int i = 0; i < g->lengths.n; i++) {
        list_push(a, &to->lengths, arena_strdup(a, g->lengths.at[i]));
        list_push(a, &to->length_most, g->length_most.at[i]);
    }
    for (int i = 0; i < g->nodes.n; i++) {
        const Node *n = g->nodes.at[i];
        Node **in = NEW_ARRAY(scratch, Node *, n->nin);
        for (int k = 0; k < n->nin; k++)
            in[k] = map[n->in[k]->id];
        Node *c = append(to, n->op, n->span, in, n->nin, n->attr, n->nattr);
        c->dtype = n->dtype;
        c->shape = n->shape;
        c->name = n->name ? arena_strdup(a, n->name) : NULL;
        if (n->body) {
            c->body = graph_copy(a, n->body);
            c->body->outer = to;
        }
        map[n->id] = c;
    }
    /* append lists inputs in node order; the interface's order is the original's. */
    for (int i = 0; i < g->inputs.n; i++)
        to->inputs.at[i] = map[g->inputs.at[i]->id];
    for (int i = 0; i < g->outputs.n; i++)
        graph_output(to, g->outputs.at[i].role, g->outputs.at[i].name,
                     map[g->outputs.at[i].node->id]);
    arena_free(scratch);
    return to;
}
