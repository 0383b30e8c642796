/* The order in which nodes were made has no say.
 *
 * Sums of gradients follow the graph's order, which depends on how the graph was
 * built, down to the order in which the host's compiler evaluates arguments. So
 * it is set first: inputs, then what the outputs need, depth first, operands
 * from left to right; in bodies too. What no output needs comes last.
 */
#include "grad/diff.h"

typedef struct { Node *n; int next; } Frame;

typedef struct {
    Arena *scratch;
    bool *seen;
    Node **order;
    int n;
} Walk;

/* Appends `root` and what it needs, operands first. */
static void visit(Walk *w, Node *root)
{
    LIST(Frame) stack = {0};
    if (w->seen[root->id])
        return;
    w->seen[root->id] = true;
    list_push(w->scratch, &stack, ((Frame){root, 0}));
    while (stack.n) {
        Frame *f = &stack.at[stack.n - 1];
        if (f->next == f->n->nin) {
            w->order[w->n++] = f->n;
            stack.n--;
            continue;
        }
        Node *in = f->n->in[f->next++];
        if (!w->seen[in->id]) {
            w->seen[in->id] = true;
            list_push(w->scratch, &stack, ((Frame){in, 0}));
        }
    }
}

void order_depth_first(Graph *g)
{
    Arena *scratch = arena_new();
    int n = g->nodes.n;
    Walk w = {scratch, NEW_ARRAY(scratch, bool, n), NEW_ARRAY(scratch, Node *, n), 0};
    for (int i = 0; i < n; i++) {
        g->nodes.at[i]->id = i;
        if (g->nodes.at[i]->body)
            order_depth_first(g->nodes.at[i]->body);
    }
    for (int i = 0; i < g->inputs.n; i++)
        visit(&w, g->inputs.at[i]);
    for (int i = 0; i < g->outputs.n; i++)
        visit(&w, g->outputs.at[i].node);
    for (int i = 0; i < n; i++)
        visit(&w, g->nodes.at[i]);
    for (int i = 0; i < n; i++) {
        g->nodes.at[i] = w.order[i];
        w.order[i]->id = i;
    }
    arena_free(scratch);
}
