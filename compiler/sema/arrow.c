/* f(...), x -> L(...), a.b: the syntax of calls, on top of call.c. */
#include "sema/internal.h"

#include <string.h>

/* ---- evaluated arguments ---- */

typedef struct {
    CallArg *at;
    int n;
    bool bad;
} Args;

/* kernel_initializer=2 * he_normal(): means something for a given shape only. */
static bool is_later(const Arg *a)
{
    size_t n = a->name ? strlen(a->name) : 0;
    ExprKind k = a->value->kind;
    return n >= 11 && !strcmp(a->name + n - 11, "initializer") &&
           (k == EX_call || k == EX_binary || k == EX_unary);
}

static Val later(Scope *s, const Expr *e)
{
    Val v = {.kind = VAL_later, .span = e->span};
    v.u.later.value = e;
    v.u.later.scope = s;
    return v;
}

static Args eval_args(Expander *x, Scope *s, const Expr *call)
{
    Args out = {NEW_ARRAY(x->a, CallArg, call->args.n + 1), 0, false};
    unsigned prefer = x->prefer;
    x->prefer = 0;
    for (int i = 0; i < call->args.n; i++) {
        const Arg *a = &call->args.at[i];
        CallArg c = {a->name, a->name_span,
                     is_later(a) ? later(s, a->value) : eval_expr(x, s, a->value), a->value->span};
        if (c.value.kind == VAL_poison)
            out.bad = true;
        out.at[out.n++] = c;
    }
    x->prefer = prefer;
    return out;
}

/* The recipe that a value stands for, or null: it is a function or an instance. */
static const Definition *constructor_of(const Val *callee)
{
    if (callee->kind == VAL_definition &&
        (callee->u.def->kind != DEF_function || callee->u.def->has_inputs))
        return callee->u.def;
    return NULL;
}

/* copy(recipe, name=value ...) */
static Val eval_copy(Expander *x, Scope *s, const Expr *e)
{
    Args args = eval_args(x, s, e);
    if (args.bad)
        return val_poison();
    if (!args.n || args.at[0].name)
        return fail(x, e->span, "copy takes a layer and the arguments to change");
    const Val *v = &args.at[0].value;
    const Recipe *old = v->kind == VAL_recipe     ? v->u.recipe
                        : v->kind == VAL_instance ? v->u.instance->recipe
                                                  : NULL;
    Recipe *made;
    if (old)
        made = recipe_copy(x, old, args.at + 1, args.n - 1, e->span);
    else if (constructor_of(v))
        made = recipe_bind(x, constructor_of(v), args.at + 1, args.n - 1, e->span);
    else
        return fail(x, e->span, "%s takes a layer, found %s", prelude_caller(x, "copy"),
                    val_text(x, v));
    Val out = {.kind = VAL_recipe, .span = e->span};
    out.u.recipe = made;
    return made ? out : val_poison();
}

static bool is_copy(Expander *x, Scope *s, const Expr *callee)
{
    (void)x;
    return callee->kind == EX_name && !strcmp(callee->text, "copy") && !scope_find(s, "copy");
}

/* floor((T - k) / s) is a length again, where the quotient alone is none. */
static bool floor_of_length(Expander *x, Scope *s, const Expr *e, Val *out)
{
    const Expr *f = e->kid[0], *q = e->args.n == 1 ? e->args.at[0].value : NULL;
    if (f->kind != EX_name || strcmp(f->text, "floor") || scope_find(s, "floor") || !q ||
        q->kind != EX_binary || q->op != BIN_div)
        return false;
    Val top = eval_expr(x, s, q->kid[0]);
    if (top.kind != VAL_extent)
        return false;
    *out = binary_values(x, BIN_floordiv, top, eval_expr(x, s, q->kid[1]), e->span);
    return true;
}

Val eval_call(Expander *x, Scope *s, const Expr *e)
{
    Val out;
    if (is_copy(x, s, e->kid[0]))
        return eval_copy(x, s, e);
    if (floor_of_length(x, s, e, &out))
        return out;
    Val callee = eval_expr(x, s, e->kid[0]);
    if (callee.kind == VAL_string && callee.u.text.bare) /* before the arguments' mistakes */
        return call_value(x, &callee, NULL, 0, e->span);
    Args args = eval_args(x, s, e);
    if (args.bad || callee.kind == VAL_poison)
        return val_poison();
    return call_value(x, &callee, args.at, args.n, e->span);
}

/* x -> L(a, b): constructor arguments and further inputs are told by name. */
static Val arrow_to_call(Expander *x, Scope *s, const Val *left, const Expr *right, Span at)
{
    CallArg first = {NULL, {0}, *left, at};
    if (is_copy(x, s, right->kid[0])) {
        Val made = eval_copy(x, s, right);
        return made.kind == VAL_poison ? made : call_value(x, &made, &first, 1, at);
    }
    Val callee = eval_expr(x, s, right->kid[0]);
    if (callee.kind == VAL_string && callee.u.text.bare)
        return call_value(x, &callee, NULL, 0, at);
    Args args = eval_args(x, s, right);
    if (args.bad || callee.kind == VAL_poison)
        return val_poison();
    LIST(CallArg) make = {0}, call = {0};
    list_push(x->a, &call, first);
    const Definition *d = constructor_of(&callee);
    for (int i = 0; i < args.n; i++) {
        bool input = !d || (args.at[i].name && !definition_takes(d, args.at[i].name) &&
                            takes_input(x, d, args.at[i].name));
        if (input)
            list_push(x->a, &call, args.at[i]);
        else
            list_push(x->a, &make, args.at[i]);
    }
    if (!d)
        return call_value(x, &callee, call.at, call.n, at);
    Recipe *r = recipe_bind(x, d, make.at, make.n, right->span);
    if (!r)
        return val_poison();
    Val layer = {.kind = VAL_recipe, .span = right->span};
    layer.u.recipe = r;
    return call_value(x, &layer, call.at, call.n, right->span);
}

Val eval_arrow(Expander *x, Scope *s, const Expr *e)
{
    Val left = eval_expr(x, s, e->kid[0]);
    const Expr *right = e->kid[1];
    if (left.kind == VAL_poison) {
        return left;
    }
    bool tensors = left.kind == VAL_tensor || left.kind == VAL_tuple || left.kind == VAL_list ||
                   left.kind == VAL_int || left.kind == VAL_number || left.kind == VAL_step ||
                   left.kind == VAL_bool || left.kind == VAL_extent;
    if (!tensors) {
        val_to_tensor(x, &left, e->kid[0]->span); /* says what is wrong */
        return val_poison();
    }
    if (right->kind == EX_call)
        return arrow_to_call(x, s, &left, right, e->span);
    Val callee = eval_expr(x, s, right);
    if (callee.kind == VAL_poison)
        return callee;
    if (callee.kind == VAL_tensor)
        return fail(x, right->span, "-> needs a layer on its right, found %s",
                    val_text(x, &callee));
    CallArg in = {NULL, {0}, left, e->kid[0]->span};
    return apply(x, &callee, 0, &in, 1, right->span);
}

/* ---- a.b ---- */

static Val tensor_attr(Expander *x, const Val *v, const Expr *e)
{
    const Node *n = v->u.t.node;
    if (!strcmp(e->text, "shape"))
        return shape_list(x, n, e->span);
    if (!strcmp(e->text, "dtype")) {
        Val d = {.kind = VAL_dtype, .span = e->span};
        d.u.dtype = n->dtype;
        return d;
    }
    if (builtin_find(x->a, e->text))
        return fail(x, e->op_span, "a tensor has no '%s' of its own; write %s(x, ...)", e->text,
                    e->text);
    return fail(x, e->op_span, "a tensor has no '%s'; it has shape and dtype", e->text);
}

/* keras.layers.LSTM, tf.nn.relu: names of Python's modules. */
static bool is_module(const char *name)
{
    static const char *const modules[] = {"keras", "tf", "tensorflow", "layers", "optimizers",
                                          "losses", "metrics", "regularizers", "initializers",
                                          "activations", "constraints", "callbacks", "nn", "np",
                                          "torch"};
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
        if (!strcmp(modules[i], name))
            return true;
    return false;
}

Val eval_attr(Expander *x, Scope *s, const Expr *e)
{
    Val v = eval_expr(x, s, e->kid[0]), out;
    const Recipe *r = v.kind == VAL_recipe     ? v.u.recipe
                      : v.kind == VAL_instance ? v.u.instance->recipe
                                               : NULL;
    if (v.kind == VAL_poison)
        return v;
    if (r) {
        if (v.kind == VAL_instance && param_of_instance(x, v.u.instance, e->text, e->span, &out))
            return out;
        if (recipe_attr(r, e->text, e->span, &out))
            return out;
        if (!strcmp(e->text, "name"))
            return val_string(r->name ? r->name : snake_case(x->a, r->def->name), e->span);
        return fail(x, e->op_span, "%s has no argument '%s'", r->def->name, e->text);
    }
    switch (v.kind) {
    case VAL_data:
        return data_fact(x, &v, e->text, e->op_span);
    case VAL_tensor:
        return tensor_attr(x, &v, e);
    case VAL_dict:
        for (int i = 0; i < v.u.dict.n; i++)
            if (!strcmp(v.u.dict.at[i].key, e->text))
                return *v.u.dict.at[i].value;
        return fail(x, e->op_span, "the dictionary has no '%s'", e->text);
    default:
        break;
    }
    if (v.kind == VAL_string && v.u.text.bare && is_module(v.u.text.s))
        return fail(x, e->kid[0]->span, "names stand alone here, without '%s.' before them",
                    v.u.text.s);
    if (unknown_name(x, &v, e->kid[0]->span))
        return val_poison();
    return fail(x, e->op_span, "%s has no '%s'", val_text(x, &v), e->text);
}
