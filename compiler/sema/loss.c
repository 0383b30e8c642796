/* The loss: each output's loss over its target, their weighted sum, what
 * regularisers and add_loss put to it.
 *
 * A loss gives a value per entry left of the last axis; the number minimised is
 * the mean over all entries of the batch (Keras's sum_over_batch_size), or over
 * the entries that a mask leaves. Nothing broadcasts here: a target of another
 * shape than the output is the commonest silent mistake of all.
 */
#include "train.h"

#include <string.h>

/* ---- targets ---- */

static Val no_target(Expander *x, Scope *fields, const char *output)
{
    const TrainState *t = train_state(x->state);
    char *all = arena_strdup(x->a, "");
    for (int i = 0; i < fields->names.n; i++)
        all = arena_printf(x->a, "%s%s%s", all, i ? ", " : "", fields->names.at[i].name);
    Span at = t->attr[TRAIN_target] ? t->attr[TRAIN_target]->span : t->key_span[TRAIN_loss];
    if (t->attr[TRAIN_target])
        return fail(x, at, "the output '%s' has a loss but no target", output ? output : "");
    return fail(x, at, "there is a loss but no target; write target = FIELD (the data's fields "
                "are %s)", *all ? all : "none");
}

Val target_of(Expander *x, Scope *fields, const Expr *target, const char *const *names, int n,
              int i)
{
    if (n > 1 && target && target->kind != EX_dict)
        return fail(x, target->span, "the model has %d outputs; write target = {%s: field, ...}",
                    n, names[0] ? names[0] : "output");
    const Expr *e = for_output(target, names[i]);
    if (e && e->kind == EX_dict)
        e = NULL;
    if (!e)
        return no_target(x, fields, names[i]);
    const char *word = e->kind == EX_name || e->kind == EX_string ? e->text : NULL;
    const Binding *b = word ? scope_find(fields, word) : NULL;
    Val v = b ? b->val : eval_expr(x, fields, e);
    if (v.kind == VAL_string) {
        const char **all = NEW_ARRAY(x->a, const char *, fields->names.n + 1);
        char *list = arena_strdup(x->a, "");
        for (int k = 0; k < fields->names.n; k++) {
            all[k] = fields->names.at[k].name;
            list = arena_printf(x->a, "%s%s%s", list, k ? ", " : "", all[k]);
        }
        const char *near = v.u.text.s[1] ? nearest_name(v.u.text.s, all, fields->names.n) : NULL;
        return fail(x, e->span, "the data has no field '%s'%s%s; its fields are %s",
                    v.u.text.s, near ? "; did you mean " : "", near ? near : "",
                    *list ? list : "none");
    }
    Node *node = val_to_tensor(x, &v, e->span);
    if (!node)
        return val_poison();
    if (!shape_has_batch(&node->shape))
        return fail(x, e->span, "the target must be a field of the data or computed from one; "
                    "this is the same for every sample");
    Val out = val_tensor(node, e->span);
    out.u.t.mask = v.kind == VAL_tensor ? v.u.t.mask : NULL;
    return out;
}

/* ---- one loss ---- */

static bool is_integer(const Node *n)
{
    return !dtype_is_float(n->dtype);
}

static bool is_sparse(const Definition *d)
{
    return d->is_prelude && strncmp(d->name, "sparse_", 7) == 0;
}

static const char *own_name(Expander *x, const Node *n)
{
    return n->name ? arena_printf(x->a, " '%s'", n->name) : "";
}

/* Labels as the data stores them must have a place in the output. */
static bool classes_fit(Expander *x, const Node *t, const Node *p, Span at)
{
    const DataSchema *data = x->unit ? x->unit->data : NULL;
    int64_t n;
    bool stored = t->op == OP_input && is_integer(t) && t->shape.rank == 1;
    if (!data || !stored || !data->nclass || !dim_const(p->shape.d[p->shape.rank - 1], &n) ||
        data->nclass <= n)
        return true;
    fail(x, at, "the data '%s' has %d classes, but the output%s has only %lld entries",
         x->unit->data_name, data->nclass, own_name(x, p), (long long)n);
    return false;
}

/* A user's loss that declares its inputs' shapes may take different ones. */
static bool declares_shapes(const Definition *d)
{
    for (int i = 0; i < d->stmt->body.n; i++) {
        const Stmt *s = d->stmt->body.at[i];
        for (int k = 0; s->kind == ST_decl && !strcmp(s->word, "input") && k < s->decls.n; k++)
            if (s->decls.at[k].has_dims)
                return true;
    }
    return false;
}

/* p is t with an axis of steps before what t has. */
static bool last_kept(const Shape *t, const Shape *p)
{
    for (int i = 1; i < t->rank; i++)
        if (!dim_equal(t->d[i], p->d[i + 1]))
            return false;
    return true;
}

/* Equal but for the last size. */
static bool heads_equal(const Shape *t, const Shape *p)
{
    for (int i = 0; i + 1 < t->rank; i++)
        if (!dim_equal(t->d[i], p->d[i]))
            return false;
    return true;
}

static Val clash(Expander *x, const Definition *d, const Node *t, const Node *p, Span at)
{
    const char *tw = shape_words(x, t), *pw = shape_words(x, p), *hint = "";
    bool drop = p->shape.rank == t->shape.rank + 1;
    int pl = p->shape.rank - 1, tl = t->shape.rank - 1;
    Dim steps = p->shape.d[1];
    if (drop && d->is_prelude && pl >= 2 && tl >= 1 && last_kept(&t->shape, &p->shape))
        hint = arena_printf(x->a, "; the output has one for each of %s steps: end with a layer "
                            "that gives one, such as LSTM without return_sequences, or put "
                            "Flatten() before the last Dense", dim_text(x->a, x->top, steps));
    else if (is_sparse(d))
        hint = t->shape.rank == p->shape.rank
                   ? "; the target must be the class's number, without a dimension of its own "
                     "(categorical_crossentropy takes one_hot targets)"
                   : "; the target's shape must be the output's without its last dimension";
    else if (strstr(d->name, "categorical") && drop)
        hint = arena_printf(x->a, "; write label = one_hot(label, %s) in the data block, or use "
                            "the sparse_ form",
                            dim_text(x->a, x->top, p->shape.d[p->shape.rank - 1]));
    else if (d->is_prelude && pl == tl && pl >= 1 && heads_equal(&t->shape, &p->shape))
        hint = arena_printf(x->a, "; the last layer should give %s values",
                            dim_text(x->a, x->top, t->shape.d[tl]));
    else if (drop && dim_is(p->shape.d[p->shape.rank - 1], 1))
        hint = "; write target = reshape(FIELD, [..., 1]) or let the model's output drop its last "
               "dimension: shapes are never stretched here";
    fail(x, at, "the output%s is %s but its target%s is %s%s", own_name(x, p), pw,
         own_name(x, t), tw, hint);
    if (!d->is_prelude)
        note_at(x->d, d->stmt->name_span, "a loss that wants other shapes declares them: "
                "input y_true[...], y_pred[...]");
    return val_poison();
}

static bool last_dropped(const Shape *t, const Shape *p)
{
    if (t->rank != p->rank - 1)
        return false;
    for (int i = 0; i < t->rank; i++)
        if (!dim_equal(t->d[i], p->d[i]))
            return false;
    return true;
}

static bool shapes_suit(const Definition *d, const Node *t, const Node *p)
{
    if (is_sparse(d))
        return last_dropped(&t->shape, &p->shape);
    if (shape_equal(&t->shape, &p->shape))
        return true;
    if (d->is_prelude)
        return false;
    return declares_shapes(d) || (is_integer(t) && last_dropped(&t->shape, &p->shape));
}

Node *with_axis(Expander *x, Node *n)
{
    Shape s = shape_of(2, dim_sym(SYM_N), dim_int(1));
    return n->shape.rank == 1 ? make_reshape(x->g, n, s) : n;
}

Val loss_values(Expander *x, const Recipe *r, Val y_true, Val y_pred, Span at)
{
    Node *t = val_to_tensor(x, &y_true, at), *p = val_to_tensor(x, &y_pred, at);
    if (!t || !p)
        return val_poison();
    const Definition *d = r->def;
    if (!shape_has_batch(&p->shape))
        return fail(x, at, "the model's output does not depend on its inputs");
    if (!shapes_suit(d, t, p))
        return clash(x, d, t, p, at);
    if (is_sparse(d) && !classes_fit(x, t, p, at))
        return val_poison();
    p = to_real(x, p);
    if (is_sparse(d))
        t = make_cast(x->g, t, DT_i32);
    else if (d->is_prelude)
        t = to_real(x, t);
    if (p->shape.rank == 1 && shape_equal(&t->shape, &p->shape) && !declares_shapes(d)) {
        t = with_axis(x, t);
        p = with_axis(x, p);
    }
    Val vt = val_tensor(t, y_true.span), vp = val_tensor(p, y_pred.span);
    Val callee = {.kind = VAL_recipe, .span = at};
    callee.u.recipe = (Recipe *)r;
    Val v = apply2(x, &callee, 1u << DEF_loss, vt, vp, at);
    Node *n = val_to_tensor(x, &v, at);
    if (!n)
        return val_poison();
    if (!shape_has_batch(&n->shape)) {
        fail(x, at, "the loss %s gives one number, not one for each sample", d->name);
        note_at(x->d, blame(x, d->stmt->name_span), "it is defined here");
        return val_poison();
    }
    v = val_tensor(to_real(x, n), at);
    v.u.t.mask = y_pred.kind == VAL_tensor ? y_pred.u.t.mask : NULL;
    return v;
}

/* ---- accuracy and crossentropy, by the shapes ---- */

static const char *chosen(const char *word, const Node *t, const Node *p)
{
    bool accuracy = !strcmp(word, "accuracy") || !strcmp(word, "acc") || !strcmp(word, "Accuracy");
    if (!accuracy && strcmp(word, "crossentropy") && strcmp(word, "ce"))
        return NULL;
    int last = p->shape.rank - 1;
    if (last < 1 || (dim_is(p->shape.d[last], 1) && t->shape.rank == p->shape.rank))
        return accuracy ? "binary_accuracy" : "binary_crossentropy";
    if (t->shape.rank < p->shape.rank)
        return accuracy ? "sparse_categorical_accuracy" : "sparse_categorical_crossentropy";
    return accuracy ? "categorical_accuracy" : "categorical_crossentropy";
}

Val resolve_by_shapes(Expander *x, Scope *s, const Expr *e, const Node *y_true,
                      const Node *y_pred, unsigned kinds)
{
    const char *word = e->kind == EX_call && !e->args.n ? e->kid[0]->text : e->text;
    bool plain = e->kind == EX_name || e->kind == EX_string || (e->kind == EX_call && word);
    const char *name = plain && word ? chosen(word, y_true, y_pred) : NULL;
    if (!name || definition_find(x->state->defs, word, kinds))
        return eval_expr_as(x, s, e, kinds);
    Val v = {.kind = VAL_definition, .span = e->span};
    v.u.def = definition_find(x->state->defs, name, kinds);
    return v.u.def ? v : eval_expr_as(x, s, e, kinds);
}

/* ---- means ---- */

Node *mask_values(Expander *x, Node *values, Node *mask)
{
    const Shape *v = &values->shape;
    if (!mask || v->rank < 2 || !dim_equal(v->d[1], mask->shape.d[1]))
        return values;
    Shape s = mask->shape;
    while (s.rank < v->rank)
        s.d[s.rank++] = dim_int(1);
    Node *zero = make_const_of(x->g, values->dtype, 0);
    return node3(x->g, OP_select, make_reshape(x->g, mask, s), values, zero);
}

static Node *sum_rest(Expander *x, Node *n)
{
    int axes[RANK_MOST];
    for (int i = 1; i < n->shape.rank; i++)
        axes[i - 1] = i;
    return n->shape.rank > 1 ? make_reduce(x->g, OP_reduce_sum, n, axes, n->shape.rank - 1) : n;
}

/* class_weight = {0: 1, 1: 5} as a list of weights; false after reporting. */
static bool class_weights(Expander *x, const Expr *e, int64_t classes, double *weight)
{
    Scope *s = train_scope(x);
    for (int64_t c = 0; c < classes; c++)
        weight[c] = 1;
    for (int i = 0; i < e->args.n; i++) {
        const Expr *key = e->args.at[i].key;
        int64_t c;
        if (!key)
            return error_at(x->d, e->span, "the keys of class_weight are the classes' numbers");
        if (!eval_int(x, s, key, "a class", &c))
            return false;
        if (c < 0 || c >= classes)
            return error_at(x->d, key->span, "class_weight names class %lld, but there are %lld "
                            "classes", (long long)c, (long long)classes);
        if (!eval_number(x, s, e->args.at[i].value, "a class's weight", &weight[c]))
            return false;
    }
    return true;
}

/* The number of the class in a target that is one-hot, a number, or 0 and 1. */
static Node *class_of(Expander *x, Node *target, const Node *output, Span at)
{
    int last = output->shape.rank - 1;
    if (target->shape.rank == output->shape.rank && !dim_is(output->shape.d[last], 1)) {
        Attr axis = attr_of_int(ATTR_axis, last);
        if (!dtype_is_float(target->dtype)) /* a field of bytes */
            target = make_cast(x->g, target, DT_i32);
        target = node_new(x->g, OP_argmax, at, &target, 1, &axis, 1);
    } else if (target->shape.rank == output->shape.rank) {
        Shape flat = target->shape;
        flat.rank--;
        target = make_reshape(x->g, target, flat);
    }
    return make_cast(x->g, target, DT_i32);
}

/* Each value times the weight of its target's class. Null after reporting. */
static Node *weigh_classes(Expander *x, Node *values, Node *target, const Node *output)
{
    const Expr *e = train_state(x->state)->attr[TRAIN_class_weight];
    int64_t classes = 0;
    int last = output->shape.rank - 1;
    if (!e)
        return values;
    if (e->kind != EX_dict || last < 1 || !dim_const(output->shape.d[last], &classes)) {
        fail(x, e->span, "class_weight must be {0: weight, 1: weight, ...}");
        return NULL;
    }
    classes = classes == 1 ? 2 : classes;
    double *weight = NEW_ARRAY(x->a, double, classes);
    if (!class_weights(x, e, classes, weight))
        return NULL;
    Node *c = class_of(x, target, output, e->span);
    if (!shape_equal(&c->shape, &values->shape)) {
        fail(x, e->span, "class_weight needs a class for every value of the loss");
        return NULL;
    }
    Node *factor = make_broadcast(x->g, make_const_of(x->g, x->real, 1), values->shape);
    for (int64_t i = 0; i < classes; i++) {
        if (weight[i] == 1)
            continue;
        Node *is = node2(x->g, OP_eq, c, make_const_of(x->g, DT_i32, (double)i));
        factor = node3(x->g, OP_select, is, make_const_of(x->g, x->real, weight[i]), factor);
    }
    return node2(x->g, OP_mul, values, factor);
}

/* The mean over the batch's entries, or over those that the mask leaves. */
static Node *mean_of(Expander *x, Node *values, Node *mask)
{
    Graph *g = x->g;
    bool masked = mask && values->shape.rank >= 2 &&
                  dim_equal(values->shape.d[1], mask->shape.d[1]);
    Node *sum = make_batch_sum(g, sum_rest(x, mask_values(x, values, masked ? mask : NULL)));
    if (masked) {
        Node *ones = make_broadcast(g, make_const_of(g, x->real, 1), values->shape);
        Node *count = make_batch_sum(g, sum_rest(x, mask_values(x, ones, mask)));
        return node2(g, OP_div, sum, node2(g, OP_max, count, make_const(g, 1)));
    }
    Node *count = make_dim(g, dim_sym(SYM_N));
    for (int i = 1; i < values->shape.rank; i++)
        count = node2(g, OP_mul, count, make_dim(g, values->shape.d[i]));
    return node2(g, OP_div, sum, count);
}

/* ---- the whole ---- */

static Node *add_to(Expander *x, Node *total, Node *n)
{
    n = to_real(x, n);
    return total ? node2(x->g, OP_add, total, n) : n;
}

static bool one_output(Expander *x, Scope *fields, const Val *outputs, const char *const *names,
                       int n, int i, Node **total)
{
    TrainState *t = train_state(x->state);
    const Expr *e = for_output(t->attr[TRAIN_loss], names[i]);
    if (!e || e->kind == EX_dict)
        return true; /* an output without a loss */
    Scope *s = train_scope(x);
    Val target = target_of(x, fields, t->attr[TRAIN_target], names, n, i);
    Node *tn = val_to_tensor(x, &target, e->span);
    Node *pn = val_to_tensor(x, &outputs[i], e->span);
    if (!tn || !pn)
        return false;
    Val v = resolve_by_shapes(x, s, e, tn, pn, 1u << DEF_loss);
    const Recipe *r = recipe_of(x, &v, 1u << DEF_loss, "loss", e->span);
    if (!r)
        return false;
    Val values = loss_values(x, r, target, outputs[i], e->span);
    if (values.kind != VAL_tensor)
        return false;
    Node *weighed = weigh_classes(x, values.u.t.node, tn, pn);
    if (!weighed)
        return false;
    Node *mean = mean_of(x, weighed, values.u.t.mask);
    const Expr *w = for_output(t->attr[TRAIN_loss_weights], names[i]);
    if (w && w->kind == EX_list)
        w = i < w->args.n ? w->args.at[i].value : NULL;
    if (w && w->kind != EX_dict) {
        double factor;
        if (!eval_number(x, s, w, "a loss weight", &factor))
            return false;
        mean = node2(x->g, OP_mul, mean, make_const(x->g, factor));
    }
    *total = add_to(x, *total, mean);
    return true;
}

/* Keras adds regularisation to the loss of evaluation as well. */
static bool add_regularizers(Expander *x, Node **total)
{
    bool ok = true;
    for (int i = 0; i < x->state->params.n; i++) {
        const Param *p = x->state->params.at[i];
        Node *w = graph_find_input(x->top, ROLE_param, p->name);
        if (!w || p->regularizer.kind == VAL_none || p->regularizer.kind == VAL_poison)
            continue;
        Val v = apply1(x, &p->regularizer, 1u << DEF_function, val_tensor(w, p->decl), p->span);
        Node *n = val_to_tensor(x, &v, p->span);
        if (!n) {
            ok = false;
        } else if (n->shape.rank != 0) {
            fail(x, p->regularizer.span, "a regularizer gives one number, not a tensor %s",
                 shape_words(x, n));
            ok = false;
        } else {
            *total = add_to(x, *total, n);
        }
    }
    return ok;
}

bool loss_expand(Expander *x, Scope *fields, const Val *outputs, const char *const *names, int n)
{
    TrainState *t = train_state(x->state);
    Node *total = NULL;
    static const TrainKey keyed[] = {TRAIN_loss, TRAIN_target, TRAIN_loss_weights};
    static const char *const what[] = {"loss", "target", "loss_weights"};
    bool ok = true;
    for (int k = 0; k < 3; k++)
        ok &= check_output_keys(x, t->attr[keyed[k]], what[k], names, n);
    for (int i = 0; ok && i < n; i++)
        ok &= one_output(x, fields, outputs, names, n, i, &total);
    if (!ok)
        return false;
    for (int i = 0; i < x->losses.n; i++)
        total = add_to(x, total, x->losses.at[i].node);
    if (!total)
        return error_at(x->d, t->info.span, "there is nothing to minimise; write loss = NAME, or "
                        "add_loss in the model");
    if (!add_regularizers(x, &total) || !optimizer_check(x))
        return false;
    graph_output(x->g, ROLE_loss, "loss", total);
    return true;
}
