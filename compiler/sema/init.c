/* Initial values of everything that persists: parameters, slots, buffers.
 *
 * Random keys come from the parameter's name alone, so that another layer in
 * the model changes no other layer's first weights.
 */
#include "train.h"

#include <string.h>

/* FNV-1a of the name; the low bits count an initialiser's several draws. */
static int64_t key_of(const char *name)
{
    uint32_t h = 2166136261u;
    for (const char *p = name; *p; p++)
        h = (h ^ (unsigned char)*p) * 16777619u;
    return (int64_t)(h & 0x7ffffff0u);
}

static bool init_param(Expander *x, const Param *p, Role role, Node **value)
{
    x->key = key_of(p->name);
    Span user = x->user;
    x->user = p->span;
    *value = param_initial(x, p);
    x->user = user;
    if (!*value)
        return false;
    graph_output(x->g, role, p->name, *value);
    return true;
}

/* The graph's host scalar as a number: there is no step before the first. */
static void fix_scalar(Graph *g, const char *name, double value)
{
    Node *n = graph_find_input(g, ROLE_scalar, name);
    if (!n)
        return;
    graph_replace(g, n, make_const_of(g, n->dtype, value));
    int k = 0;
    for (int i = 0; i < g->inputs.n; i++)
        if (g->inputs.at[i] != n)
            g->inputs.at[k++] = g->inputs.at[i];
    g->inputs.n = k;
}

/* The optimizer's body runs over the initial weights; only its slots are kept. */
static bool init_slots(Unit *u, Graph *g, Node *const *weight)
{
    int n = u->state->params.n;
    Expander *x = expander_new(u, g, FORWARD_train, true);
    Node **grad = NEW_ARRAY(x->a, Node *, n + 1);
    for (int i = 0; i < n; i++) {
        const Param *p = u->state->params.at[i];
        if (p->trainable)
            grad[i] = make_broadcast(g, make_const_of(g, p->dtype, 0), p->shape);
    }
    x->key = key_of("optimizer");
    bool ok = optimizer_expand(x, weight, grad, true);
    fix_scalar(g, "step", 1);
    fix_scalar(g, "epoch", 0);
    fix_scalar(g, "learning_rate_scale", 1);
    return ok;
}

Graph *unit_init(Unit *u)
{
    UnitState *st = u->state;
    Graph *g = graph_new(st->a, arena_printf(st->a, "%s_init", u->name ? u->name : "model"));
    graph_input(g, ROLE_scalar, "seed", DT_i32, (Shape){0}, u->span);
    Expander *x = expander_new(u, g, FORWARD_train, true);
    x->no_batch = true;
    Node **weight = NEW_ARRAY(st->a, Node *, st->params.n + 1);
    bool ok = true;
    for (int i = 0; i < st->params.n; i++)
        ok &= init_param(x, st->params.at[i], ROLE_param, &weight[i]);
    for (int i = 0; i < st->buffers.n; i++) {
        Node *value;
        ok &= init_param(x, st->buffers.at[i], ROLE_buffer, &value);
    }
    if (ok && u->train)
        ok = init_slots(u, g, weight);
    if (!ok)
        return NULL;
    graph_compact(g);
    return g;
}
