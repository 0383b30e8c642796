/* What stands around every optimizer: the accumulation of gradients, clipping, weight
 * decay, moving average, the rate's reduction. Formulas as in Keras's base optimizer. */
#include "train.h"

#include <float.h>
#include <math.h>
#include <string.h>

static bool number_arg(Expander *x, Scope *s, const char *name, Span at, double *out)
{
    const Binding *b = scope_find(s, name);
    *out = 0;
    if (!b || b->val.kind == VAL_none)
        return true;
    if (b->val.kind == VAL_bool) {
        *out = b->val.u.b;
        return true;
    }
    if (!val_as_number(x, &b->val, at, name, out))
        return false;
    return *out >= 0 || error_at(x->d, at, "%s is %g; it must not be negative", name, *out);
}

/* How much of a running mean stays: with 1 or more it would grow without end. */
static bool factors_fit(Expander *x, Scope *formals, Span at)
{
    static const char *const names[] = {"momentum", "beta_1", "beta_2", "rho"};
    for (int i = 0; i < 4; i++) {
        const Binding *b = scope_find(formals, names[i]);
        if (!b || (b->val.kind != VAL_int && b->val.kind != VAL_number))
            continue;
        double v = b->val.kind == VAL_int ? (double)b->val.u.i : b->val.u.f;
        if (!(v >= 0 && v < 1))
            return error_at(x->d, b->val.span.file ? blame(x, b->val.span) : at,
                            "%s is %g; it must be at least 0 and less than 1", names[i], v);
    }
    return true;
}

/* The rate times what ReduceLROnPlateau has made of it, but not under min_lr. */
static bool scale_rate(Expander *x, Wrap *w, Scope *formals, Span at)
{
    const ReduceOnPlateau *p = &train_state(x->state)->info.plateau;
    Binding *b = scope_find(formals, "learning_rate");
    if (!b)
        return !p->on || error_at(x->d, at, "reduce_lr needs an optimizer with an argument "
                                  "learning_rate");
    Val rate = b->val;
    at = rate.span.file ? blame(x, rate.span) : at;
    double plain = rate.kind == VAL_int ? (double)rate.u.i : rate.u.f;
    if ((rate.kind == VAL_int || rate.kind == VAL_number) && !(plain > 0 && plain <= DBL_MAX))
        return error_at(x->d, at, "learning_rate is %g; it must be positive",
                        isnan(plain) ? fabs(plain) : plain);
    if (rate.kind == VAL_string || rate.kind == VAL_none || rate.kind == VAL_bool)
        return error_at(x->d, at, "learning_rate must be a number or an expression in step and "
                        "epoch, not %s", val_text(x, &rate));
    if (!(w->rate = val_to_tensor(x, &rate, at)))
        return false;
    if (w->rate->shape.rank != 0)
        return error_at(x->d, at, "learning_rate must be one number, not %s",
                        shape_words(x, w->rate));
    if (!p->on && !x->session->scales_rate)
        return true;
    Node *scale = graph_find_input(x->g, ROLE_scalar, "learning_rate_scale");
    if (!scale)
        scale = graph_input(x->g, ROLE_scalar, "learning_rate_scale", DT_f64, (Shape){0}, at);
    Node *scaled = node2(x->g, OP_mul, w->rate, scale);
    if (x->session->scales_rate)
        w->rate = scaled;
    else
        w->rate = node2(x->g, OP_min, node2(x->g, OP_max, scaled, make_const(x->g, p->min_lr)),
                        w->rate);
    scope_set(x->a, formals, "learning_rate", val_tensor(w->rate, at));
    return true;
}

/* Every k-th step updates; iterations count the updates, a schedule's `step` the batches. */
static bool open_accumulation(Expander *x, Wrap *w, Span at)
{
    Graph *g = x->g;
    Node *step = w->count = scalar_input(x, "step");
    if (w->accumulate != floor(w->accumulate) || w->accumulate > 1e9)
        return error_at(x->d, at, "gradient_accumulation_steps is %g; it must be a whole number",
                        w->accumulate);
    if (w->accumulate < 2)
        return true;
    Node *k = make_const(g, w->accumulate), *one = make_const(g, 1);
    w->due = node2(g, OP_eq, node2(g, OP_mod, step, k), make_const(g, 0));
    Node *done = node1(g, OP_floor, node2(g, OP_div, node2(g, OP_sub, step, one), k));
    w->count = node2(g, OP_add, done, one);
    return true;
}

bool wrap_open(Expander *x, Wrap *w, const Definition *def, Scope *formals, Span at)
{
    double unused, ema = 0;
    *w = (Wrap){.span = at};
    bool ok = number_arg(x, formals, "clipnorm", at, &w->clipnorm) &&
              number_arg(x, formals, "clipvalue", at, &w->clipvalue) &&
              number_arg(x, formals, "global_clipnorm", at, &w->global_clipnorm) &&
              number_arg(x, formals, "weight_decay", at, &w->decay) &&
              number_arg(x, formals, "use_ema", at, &ema) &&
              number_arg(x, formals, "ema_momentum", at, &w->momentum) &&
              number_arg(x, formals, "ema_overwrite_frequency", at, &w->overwrite) &&
              number_arg(x, formals, "loss_scale_factor", at, &unused) &&
              number_arg(x, formals, "gradient_accumulation_steps", at, &w->accumulate) &&
              open_accumulation(x, w, at) &&
              scale_rate(x, w, formals, at);
    if (!ok)
        return false;
    w->average = ema != 0;
    train_state(x->state)->info.average |= w->average;
    if ((w->clipnorm > 0) + (w->clipvalue > 0) + (w->global_clipnorm > 0) > 1)
        return error_at(x->d, at, "only one of clipnorm, clipvalue and global_clipnorm can be "
                        "given");
    if (unused != 0)
        return unsupported_at(x->d, at, "loss_scale_factor: there are no 16-bit gradients to "
                              "rescue");
    if (def->is_prelude && !factors_fit(x, formals, at))
        return false;
    if (w->momentum > 1)
        return error_at(x->d, at, "ema_momentum is %g; it must lie between 0 and 1", w->momentum);
    if (w->decay > 0 && !w->rate)
        return error_at(x->d, at, "weight_decay is scaled by learning_rate, which %s does not "
                        "have", def->name);
    return true;
}

Node *wrap_accumulate(Expander *x, const Wrap *w, const Param *p, Node *grad, bool init)
{
    if (!w->due)
        return grad;
    Graph *g = x->g;
    const char *name = arena_printf(x->state->a, "%s/gradient_accumulator", p->name);
    Node *zero = make_broadcast(g, make_const_of(g, grad->dtype, 0), grad->shape);
    if (init) {
        graph_output(g, ROLE_slot, name, zero);
        return grad;
    }
    Node *before = graph_input(g, ROLE_slot, name, grad->dtype, grad->shape, w->span);
    Node *sum = node2(g, OP_add, grad, before);
    graph_output(g, ROLE_slot, name, node3(g, OP_select, w->due, zero, sum));
    return node2(g, OP_div, sum, make_const(g, w->accumulate));
}

Node *wrap_due(Expander *x, const Wrap *w, Node *next, Node *before)
{
    return w->due ? node3(x->g, OP_select, w->due, next, before) : next;
}

/* The sum of squares of all elements, rank 0. */
static Node *squares(Expander *x, Node *n)
{
    int axes[RANK_MOST];
    for (int i = 0; i < n->shape.rank; i++)
        axes[i] = i;
    Node *sq = node2(x->g, OP_mul, n, n);
    return n->shape.rank ? make_reduce(x->g, OP_reduce_sum, sq, axes, n->shape.rank) : sq;
}

void wrap_collect(Expander *x, Wrap *w, Node *grad)
{
    if (w->global_clipnorm <= 0)
        return;
    Node *sq = squares(x, grad);
    w->total = w->total ? node2(x->g, OP_add, w->total, sq) : sq;
}

/* clip / max(norm, clip), which is 1 for gradients that are short enough. */
static Node *clip_scale(Expander *x, Node *sum, double clip)
{
    Node *norm = node1(x->g, OP_sqrt, sum);
    Node *limit = make_const(x->g, clip);
    return node2(x->g, OP_div, limit, node2(x->g, OP_max, norm, limit));
}

void wrap_norm(Expander *x, Wrap *w)
{
    if (w->total)
        w->scale = clip_scale(x, w->total, w->global_clipnorm);
}

Node *wrap_clip(Expander *x, const Wrap *w, Node *grad)
{
    if (w->clipnorm > 0)
        return node2(x->g, OP_mul, grad, clip_scale(x, squares(x, grad), w->clipnorm));
    if (w->scale)
        return node2(x->g, OP_mul, grad, w->scale);
    if (w->clipvalue > 0) {
        Node *low = node2(x->g, OP_max, grad, make_const(x->g, -w->clipvalue));
        return node2(x->g, OP_min, low, make_const(x->g, w->clipvalue));
    }
    return grad;
}

Node *wrap_decay(Expander *x, const Wrap *w, Node *weight)
{
    if (w->decay <= 0)
        return weight;
    Node *factor = node2(x->g, OP_mul, make_const(x->g, w->decay), w->rate);
    return node2(x->g, OP_sub, weight, node2(x->g, OP_mul, weight, factor));
}

Node *wrap_average(Expander *x, const Wrap *w, const Param *p, Node *weight, Node *next, bool init)
{
    if (!w->average)
        return next;
    Graph *g = x->g;
    const char *name = arena_printf(x->state->a, "%s/ema", p->name);
    if (init) {
        graph_output(g, ROLE_slot, name, weight);
        return next;
    }
    Node *before = graph_input(g, ROLE_slot, name, next->dtype, next->shape, w->span);
    /* At the first step the average is the weight itself. */
    Node *later = node2(g, OP_gt, w->count, make_const(g, 1));
    Node *m = node3(g, OP_select, later, make_const(g, w->momentum), make_const(g, 0));
    Node *rest = node2(g, OP_sub, make_const(g, 1), m);
    Node *average = node2(g, OP_add, node2(g, OP_mul, m, before), node2(g, OP_mul, rest, next));
    graph_output(g, ROLE_slot, name, average);
    if (w->overwrite < 1)
        return next;
    Node *due = node2(g, OP_eq, node2(g, OP_mod, w->count, make_const(g, w->overwrite)),
                      make_const(g, 0));
    return node3(g, OP_select, due, average, next);
}
