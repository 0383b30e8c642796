/* standardize(x) in a data block: (x - mean) / deviation, both fitted to the
 * training samples before training begins.
 *
 * The two are buffers of the unit, so that they go into weights files and come
 * back with them. The driver fits them one use after the other, since a use may
 * stand on the result of an earlier one: unit_fit gives it the value's graph.
 */
#include "sema/builtin.h"

#include <string.h>

/* Is the expansion inside the data block, or in a function called there? */
static bool in_data_block(const Expander *x)
{
    const Frame *f = x->frame;
    while (f && f->outer)
        f = f->outer;
    return f && x->state && x->state->data && f->stmt == x->state->data;
}

/* Which axes keep a statistic each: by default the last one. */
static bool kept_axes(Args *a, const Node *n, bool kept[RANK_MOST])
{
    Val last = val_int(-1, a->at);
    const Val *axis = a->given[1] ? &a->arg[1] : &last;
    memset(kept, 0, sizeof *kept * RANK_MOST);
    if (axis->kind == VAL_none || n->shape.rank == 1)
        return true;
    bool list = axis->kind == VAL_list || axis->kind == VAL_tuple;
    for (int i = 0; i < (list ? axis->u.list.n : 1); i++) {
        int k = axis_of(a->x, list ? &axis->u.list.at[i] : axis, n, a->at, NULL);
        if (k < 0)
            return false;
        kept[k] = true;
    }
    return true;
}

static Param *statistic(Args *a, const char *name, Shape shape, double initial)
{
    Expander *x = a->x;
    const char *path = x->fitted.n ? arena_printf(x->a, "data/standardize_%d/%s", x->fitted.n, name)
                                   : arena_printf(x->a, "data/standardize/%s", name);
    Param *p = param_make(x, ROLE_buffer, path, shape, x->real, a->at);
    if (p && p->fresh) {
        p->init_val = val_number(initial, a->at);
        p->fresh = false;
    }
    return p;
}

Val run_standardize(Args *a)
{
    Expander *x = a->x;
    bool kept[RANK_MOST];
    if (!in_data_block(x))
        return fail(x, a->at, "standardize belongs to a data block: its mean and deviation are "
                    "fitted to the training samples");
    Node *n = val_to_tensor(x, &a->arg[0], a->at);
    if (!n)
        return val_poison();
    n = to_real(x, n);
    if (!shape_has_batch(&n->shape))
        return fail(x, a->at, "standardize needs a value that depends on the sample");
    if (!kept_axes(a, n, kept))
        return val_poison();
    Shape s = {.rank = n->shape.rank - 1};
    for (int i = 0; i < s.rank; i++)
        s.d[i] = kept[i + 1] ? n->shape.d[i + 1] : dim_int(1);
    const Param *mean = statistic(a, "mean", s, 0);
    const Param *deviation = mean ? statistic(a, "deviation", s, 1) : NULL;
    if (!deviation)
        return val_poison();
    Fitted f = {n, mean, deviation, a->at};
    list_push(x->a, &x->fitted, f);
    Val d = make_op2(x, OP_sub, val_tensor(n, a->at), val_tensor(param_node(x, mean), a->at),
                     a->at);
    return make_op2(x, OP_div, d, val_tensor(param_node(x, deviation), a->at), a->at);
}

bool unit_fit(Unit *u, int i, FitInfo *fit)
{
    if (!u->data)
        return false;
    Graph *g = graph_new(u->session->arena, arena_printf(u->session->arena, "fit_%d", i));
    Expander *x = expander_new(u, g, FORWARD_serve, false);
    if (!data_expand(x, scope_new(x->a, NULL, u->state->defs)) || i >= x->fitted.n)
        return false;
    const Fitted *f = &x->fitted.at[i];
    graph_output(g, ROLE_result, "value", f->value);
    graph_compact(g);
    *fit = (FitInfo){g, f->mean->name, f->deviation->name, f->span};
    return true;
}
