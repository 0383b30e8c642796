/* `gradient x = e`: a function states its own gradient.
 *
 * The statements stand behind the output, since they are written in terms of
 * `grad`, the gradient that arrives at it. Once the body is done its value is
 * wrapped in own_gradient (ir/op.def), which only differentiation looks into.
 */
#include "sema/internal.h"

#include <string.h>

/* The argument called `name` as the function was given it; null when it has none. */
static const Val *argument_of(const Frame *f, const char *name)
{
    if (!definition_takes(f->def, name)) {
        for (int i = 0; i < f->nin && i < OWN_MOST; i++)
            if (f->in_decl[i] && !strcmp(f->in_decl[i]->name, name))
                return &f->in[i];
        return NULL;
    }
    const Binding *b = scope_find(f->scope->parent, name);
    return b ? &b->val : NULL;
}

static bool is_differentiable(const Expander *x, const Val *v)
{
    return v->kind == VAL_tensor && v->u.t.node->dtype == x->real &&
           (v->u.t.node->shape.rank > 0 || x->real != DT_f64 || v->u.t.node->op == OP_input);
}

/* Makes `grad` from the one output; null after reporting. */
static Node *arriving(Expander *x, Frame *f, const Stmt *s)
{
    if (f->own.n)
        return f->own.at[0].arriving;
    if (f->outputs.n != 1 || f->outputs.at[0].kind != VAL_tensor) {
        fail(x, s->span, f->outputs.n
                 ? "a function that states its gradient has one output, a tensor"
                 : "`gradient` stands behind the output, since `grad` is the output's gradient");
        return NULL;
    }
    Node *y = import_node(x, to_real(x, f->outputs.at[0].u.t.node), s->span);
    Node *g = node1(x->g, OP_arriving, y);
    scope_set(x->a, f->scope, "grad", val_tensor(g, s->span));
    return g;
}

/* Does a loop over time lie between `grad` and dx? */
static bool passes_a_loop(Expander *x, const Node *grad, const Node *dx)
{
    const Graph *g = grad->graph;
    bool *needed = NEW_ARRAY(x->a, bool, g->nodes.n);
    bool *depends = NEW_ARRAY(x->a, bool, g->nodes.n);
    needed[dx->id] = depends[grad->id] = true;
    for (int i = g->nodes.n - 1; i > grad->id; i--)
        for (int k = 0; needed[i] && k < g->nodes.at[i]->nin; k++)
            needed[g->nodes.at[i]->in[k]->id] = true;
    for (int i = grad->id + 1; i < g->nodes.n; i++) {
        const Node *n = g->nodes.at[i];
        for (int k = 0; k < n->nin; k++)
            depends[i] |= depends[n->in[k]->id];
        if (n->op == OP_scan && needed[i] && depends[i])
            return true;
    }
    return false;
}

bool run_gradient(Expander *x, Frame *f, const Stmt *s)
{
    const Expr *target = s->targets.at[0];
    if (f->kind != DEF_function && f->kind != DEF_loss) {
        fail(x, s->span, "`gradient` belongs to a function, which states with it its own gradient");
        return false;
    }
    const Val *arg = target->kind == EX_name ? argument_of(f, target->text) : NULL;
    if (!arg) {
        fail(x, target->span, "the gradient of an argument is meant; '%s' is none of %s",
             target->kind == EX_name ? target->text : "this", f->def->name);
        return false;
    }
    for (int i = 0; i < f->own.n; i++)
        if (!strcmp(f->own.at[i].name, target->text)) {
            fail(x, s->span, "the gradient of '%s' is stated twice", target->text);
            note(x, blame(x, f->own.at[i].span), "it is stated here already");
            return false;
        }
    Node *g = arriving(x, f, s);
    Val v = g ? eval_expr(x, f->scope, s->value) : val_poison();
    Node *dx = v.kind == VAL_poison ? NULL : val_to_tensor(x, &v, s->value->span);
    if (!dx)
        return false;
    Own own = {.name = target->text, .span = s->span, .arriving = g};
    if (is_differentiable(x, arg)) {
        Shape shape;
        own.x = import_node(x, arg->u.t.node, target->span);
        dx = import_node(x, to_real(x, dx), s->value->span);
        if (!shape_broadcast(&own.x->shape, &dx->shape, &shape) ||
            (!shape_has_batch(&own.x->shape) && !shape_has_batch(&g->shape) &&
             !shape_equal(&shape, &own.x->shape)) ||
            (shape_has_batch(&own.x->shape) && !shape_equal(&shape, &own.x->shape))) {
            fail(x, s->value->span, "the gradient of '%s' %s is %s", target->text,
                 shape_words(x, own.x), shape_words(x, dx));
            return false;
        }
        if (passes_a_loop(x, g, dx)) {
            unsupported(x, s->value->span, "a stated gradient that passes `grad` through a loop "
                        "over time is not supported");
            return false;
        }
        own.dx = make_broadcast(x->g, dx, shape);
    }
    list_push(x->a, &f->own, own);
    return true;
}

/* Every tensor among the arguments has its gradient stated. */
static bool all_stated(Expander *x, const Frame *f, const char *name, const Val *v)
{
    for (int i = 0; i < f->own.n; i++)
        if (!strcmp(f->own.at[i].name, name))
            return true;
    if (!is_differentiable(x, v))
        return true;
    fail(x, f->own.at[0].span, "%s states the gradient of '%s' and not that of '%s'; write "
         "`gradient %s = 0` if there is none", f->def->name, f->own.at[0].name, name, name);
    return false;
}

Val own_gradient(Expander *x, const Frame *f, Val out)
{
    if (!f->own.n || out.kind != VAL_tensor)
        return out;
    bool ok = true;
    for (int i = 0; ok && i < f->def->stmt->formals.n; i++) {
        const char *name = f->def->stmt->formals.at[i].name;
        ok = all_stated(x, f, name, argument_of(f, name));
    }
    for (int i = 0; ok && i < f->nin; i++)
        ok = !f->in_decl[i] || all_stated(x, f, f->in_decl[i]->name, &f->in[i]);
    if (!ok)
        return val_poison();
    if (!x->differentiated)
        return out;
    Node *in[2 + 2 * OWN_MOST];
    int nin = 2;
    in[1] = f->own.at[0].arriving;
    in[0] = in[1]->in[0];
    for (int i = 0; i < f->own.n && nin < 2 + 2 * OWN_MOST; i++)
        if (f->own.at[i].x) {
            in[nin++] = f->own.at[i].x;
            in[nin++] = f->own.at[i].dx;
        }
    out.u.t.node = node_new(x->g, OP_own_gradient, f->own.at[0].span, in, nin, NULL, 0);
    return out;
}
