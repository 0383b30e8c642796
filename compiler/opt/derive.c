/* What depends on parameters alone, taken out of a graph: turned weights, say.
 *
 * An inference graph computes it again at every call, though its value never changes. It is
 * made once instead: the values that the rest of the graph reads become parameters of their
 * own, and a second graph says how they come from the model's. */
#include "opt/opt.h"

#include "opt/rewrite.h"

/* Reads parameters and buffers, and nothing that varies. */
static bool *find_fixed(Arena *a, const Graph *g)
{
    bool *fixed = NEW_ARRAY(a, bool, g->nodes.n + 1);
    bool *constant = NEW_ARRAY(a, bool, g->nodes.n + 1);
    for (int i = 0; i < g->nodes.n; i++) {
        const Node *n = g->nodes.at[i];
        if (n->op == OP_input) {
            int64_t role = attr_int(n, ATTR_role, NROLE);
            fixed[i] = role == ROLE_param || role == ROLE_buffer;
            continue;
        }
        constant[i] = !n->body && n->op != OP_row && n->op != OP_dim && n->op != OP_random &&
                      !shape_has_batch(&n->shape) && !shape_has_shards(&n->shape);
        for (int k = 0; k < n->nin; k++)
            constant[i] = constant[i] && (constant[n->in[k]->id] || fixed[n->in[k]->id]);
        for (int k = 0; constant[i] && k < n->nin; k++)
            fixed[i] = fixed[i] || fixed[n->in[k]->id];
        for (int k = 0; k < n->shape.rank; k++) /* a run-time length varies */
            fixed[i] = fixed[i] && n->shape.d[k].sym == SYM_none;
    }
    return fixed;
}

/* What lies behind views: they cost nothing. */
static Node *behind_views(Node *n)
{
    while (op_info[n->op].kind == KIND_view)
        n = n->in[0];
    return n;
}

Graph *graph_derive(Graph *g, const char *name)
{
    Arena *scratch = arena_new();
    graph_compact(g);
    const bool *fixed = find_fixed(scratch, g);
    bool *wanted = NEW_ARRAY(scratch, bool, g->nodes.n + 1);
    int count = 0, n = g->nodes.n;
    for (int i = 0; i < n; i++)
        for (int k = 0; !fixed[i] && k < g->nodes.at[i]->nin; k++) {
            const Node *in = behind_views(g->nodes.at[i]->in[k]);
            if (wanted[in->id] || !fixed[g->nodes.at[i]->in[k]->id] || in->op == OP_input)
                continue;
            wanted[in->id] = true;
            count++;
        }
    Graph *derived = NULL;
    if (count) {
        derived = graph_copy(g->arena, g);
        derived->outputs.n = 0;
    }
    for (int i = 0, k = 0; count && i < n; i++) {
        if (!wanted[i])
            continue;
        Node *old = g->nodes.at[i];
        const char *label = arena_printf(g->arena, "%s/%d", name, k++);
        graph_output(derived, ROLE_param, label, derived->nodes.at[i]);
        graph_replace(g, old, graph_input(g, ROLE_param, label, old->dtype, old->shape, old->span));
    }
    if (count) {
        graph_drop_unused_inputs(g, NROLE);
        graph_drop_unused_inputs(derived, NROLE);
    }
    arena_free(scratch);
    return derived;
}
