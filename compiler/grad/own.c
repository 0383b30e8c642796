/* Gradients that a function states itself.
 *
 * own_gradient(y, arriving, x1, dx1, ...) has the value of y. The dx are computed
 * in the forward graph from `arriving`, which stands for the gradient of y; here
 * they are copied with the gradient that did arrive in its place. What does not
 * depend on it is a forward value like any other, so that in a scan it is saved
 * or computed again. Afterwards y takes the place of own_gradient everywhere.
 */
#include "grad/diff.h"

/* needed[i]: node i of the graph has to be copied for the stated gradients of n. */
static bool *find_needed(Diff *d, const Node *n)
{
    const Graph *g = n->graph;
    int first = n->in[1]->id;
    bool *depends = NEW_ARRAY(d->arena, bool, n->id + 1);
    bool *needed = NEW_ARRAY(d->arena, bool, n->id + 1);
    depends[first] = true;
    for (int i = first + 1; i < n->id; i++)
        for (int k = 0; k < g->nodes.at[i]->nin; k++)
            depends[i] |= depends[g->nodes.at[i]->in[k]->id];
    for (int i = 3; i < n->nin; i += 2)
        if (d->active->node[n->in[i - 1]->id])
            needed[n->in[i]->id] = depends[n->in[i]->id];
    for (int i = n->id - 1; i > first; i--) {
        const Node *m = g->nodes.at[i];
        int nin = m->op == OP_own_gradient ? 1 : m->nin;
        for (int k = 0; needed[i] && k < nin; k++)
            needed[m->in[k]->id] = depends[m->in[k]->id];
    }
    return needed;
}

static Node *copy_node(Diff *d, const Node *m, Node *const *copy)
{
    Node **in = NEW_ARRAY(d->arena, Node *, m->nin);
    int nin = m->op == OP_own_gradient ? 1 : m->nin;
    for (int k = 0; k < nin; k++)
        in[k] = copy[m->in[k]->id] ? copy[m->in[k]->id] : diff_value(d, m->in[k]);
    if (m->op == OP_own_gradient)
        return in[0];
    return node_new(d->to, m->op, m->span, in, nin, m->attr, m->nattr);
}

void rule_own_gradient(Diff *d, Node *n, Node *g)
{
    bool *needed = find_needed(d, n);
    Node **copy = NEW_ARRAY(d->arena, Node *, n->id + 1);
    copy[n->in[1]->id] = g;
    for (int i = n->in[1]->id + 1; i < n->id; i++)
        if (needed[i])
            copy[i] = copy_node(d, n->graph->nodes.at[i], copy);
    for (int i = 2; i < n->nin; i += 2) {
        Node *dx = n->in[i + 1];
        if (d->active->node[n->in[i]->id])
            arrive_broadcast(d, n->in[i], copy[dx->id] ? copy[dx->id] : diff_value(d, dx), false);
    }
}

void drop_own_gradients(Graph *g)
{
    for (int i = 0; i < g->nodes.n; i++) {
        Node *n = g->nodes.at[i];
        if (n->body)
            drop_own_gradients(n->body);
        if (n->op == OP_own_gradient)
            graph_replace(g, n, n->in[0]);
    }
}
