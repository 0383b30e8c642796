/* data d = generate(count, ...) { ... }: fields made from expressions.
 *
 * The block is expanded into a graph of its own, whose results are the fields;
 * the session's callback evaluates it once, sample by sample drawn anew. To
 * the model they are fields like those of a file.
 */
#include "train.h"

#include <string.h>

/* Draws of the data have keys that no draw of a model gets. */
enum { FIRST_KEY = 0x20000000 };

bool data_is_generated(const Stmt *block)
{
    const Expr *e = block->value;
    const Expr *f = e && e->kind == EX_call ? e->kid[0] : e;
    return f && f->kind == EX_name && !strcmp(f->text, "generate");
}

/* The value as a field [N, ...]; null for what is none (numbers, lists, functions). */
static Node *field_node(Expander *x, const Val *v)
{
    if (v->kind != VAL_tensor)
        return NULL;
    Node *n = v->u.t.node;
    if (n->dtype == DT_f64 && n->shape.rank == 0)
        n = to_real(x, n);
    if (shape_has_batch(&n->shape))
        return n;
    Shape s = shape_of(1, dim_sym(SYM_N));
    for (int i = 0; i < n->shape.rank; i++)
        s.d[s.rank++] = n->shape.d[i];
    return make_broadcast(x->g, n, s);
}

Graph *data_graph(Unit *u)
{
    const Stmt *block = u->state->data;
    Arena *a = u->session->arena;
    Graph *g = graph_new(a, block->name ? block->name : "data");
    Expander *x = expander_new(u, g, FORWARD_serve, false);
    Scope *fields = scope_new(a, NULL, u->state->defs);
    x->key = FIRST_KEY;
    if (!data_run(x, fields))
        return NULL;
    if (x->fitted.n) {
        error_at(x->d, x->fitted.at[0].span, "standardize has no data to fit here: generate makes "
                 "them; give the numbers themselves");
        return NULL;
    }
    for (int i = 0; i < fields->names.n; i++) {
        Node *n = field_node(x, &fields->names.at[i].val);
        if (n)
            graph_output(g, ROLE_result, fields->names.at[i].name, n);
    }
    if (!g->outputs.n) {
        error_at(x->d, block->span, "generate needs fields that it can make: data %s = "
                 "generate(1000) { x = uniform(-1, 1, [8]) }", block->name ? block->name : "d");
        return NULL;
    }
    graph_compact(g);
    return g;
}
