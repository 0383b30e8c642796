/* Builtin functions: what the language can do that no definition could. The
 * elementwise operations of op.def are functions under their own names. */
#include "sema/builtin.h"

#include <math.h>
#include <string.h>

/* ---- numbers known when compiling ---- */

static double sigmoid(double v)
{
    return 1 / (1 + exp(-v));
}

static bool plain_unary(Op op, double v, double *out)
{
    switch (op) {
    case OP_abs:
        *out = fabs(v);
        break;
    case OP_sign:
        *out = v > 0 ? 1 : v < 0 ? -1 : v;
        break;
    case OP_exp:
        *out = exp(v);
        break;
    case OP_expm1:
        *out = expm1(v);
        break;
    case OP_log:
        *out = log(v);
        break;
    case OP_log1p:
        *out = log1p(v);
        break;
    case OP_sqrt:
        *out = sqrt(v);
        break;
    case OP_tanh:
        *out = tanh(v);
        break;
    case OP_sigmoid:
        *out = sigmoid(v);
        break;
    case OP_softplus:
        *out = v > 0 ? v + log1p(exp(-v)) : log1p(exp(v));
        break;
    case OP_erf:
        *out = erf(v);
        break;
    case OP_sin:
        *out = sin(v);
        break;
    case OP_cos:
        *out = cos(v);
        break;
    case OP_floor:
        *out = floor(v);
        break;
    default:
        return false;
    }
    return true;
}

static bool is_plain(const Val *v)
{
    return v->kind == VAL_int || v->kind == VAL_number;
}

static double plain(const Val *v)
{
    return v->kind == VAL_int ? (double)v->u.i : v->u.f;
}

/* A number that is whole after floor, abs or sign is an integer. */
static Val whole(double v, Span at)
{
    return fabs(v) < 9e15 && v == floor(v) ? val_int((int64_t)v, at) : val_number(v, at);
}

static Val run_op(Args *a)
{
    Op op = a->self->op;
    double v;
    if (op_info[op].arity == 1 && is_plain(&a->arg[0]) && plain_unary(op, plain(&a->arg[0]), &v))
        return op == OP_floor || (a->arg[0].kind == VAL_int && (op == OP_abs || op == OP_sign))
                   ? whole(v, a->at)
                   : val_number(v, a->at);
    static const struct {
        Op op;
        AstOp ast;
    } same[] = {
        {OP_add, BIN_add}, {OP_sub, BIN_sub}, {OP_mul, BIN_mul},
        {OP_div, BIN_div}, {OP_mod, BIN_mod}, {OP_pow, BIN_pow},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (same[i].op == op)
            return binary_values(a->x, same[i].ast, a->arg[0], a->arg[1], a->at);
    return make_op(a->x, op, a->arg, op_info[op].arity, NULL, 0, a->at);
}

static Val run_round(Args *a)
{
    if (is_plain(&a->arg[0]))
        return whole(nearbyint(plain(&a->arg[0])), a->at);
    Val half = make_op2(a->x, OP_add, a->arg[0], val_number(0.5, a->at), a->at);
    return half.kind == VAL_poison ? half : make_op1(a->x, OP_floor, half, a->at);
}

static Val run_ceil(Args *a)
{
    if (is_plain(&a->arg[0]))
        return whole(ceil(plain(&a->arg[0])), a->at);
    Val v = make_op1(a->x, OP_neg, a->arg[0], a->at);
    v = v.kind == VAL_poison ? v : make_op1(a->x, OP_floor, v, a->at);
    return v.kind == VAL_poison ? v : make_op1(a->x, OP_neg, v, a->at);
}

/* ---- lists ---- */

static Val run_len(Args *a)
{
    const Val *v = &a->arg[0];
    if (v->kind == VAL_list || v->kind == VAL_tuple)
        return val_int(v->u.list.n, a->at);
    if (v->kind == VAL_tensor) {
        const Shape *s = &v->u.t.node->shape;
        int axis = shape_has_batch(s);
        if (s->rank > axis)
            return val_dim(s->d[axis], a->at);
    }
    return fail(a->x, a->at, "%s has no length", val_text(a->x, v));
}

static Val run_range(Args *a)
{
    enum { RANGE_MOST = 65536 };
    int64_t v[3] = {0, 0, 1};
    if (a->nrest < 1 || a->nrest > 3)
        return fail(a->x, a->at, "range takes 1 to 3 integers");
    for (int i = 0; i < a->nrest; i++)
        if (!val_as_int(a->x, &a->rest[i], a->at, "a bound of range", &v[i]))
            return val_poison();
    int64_t lo = a->nrest == 1 ? 0 : v[0], hi = a->nrest == 1 ? v[0] : v[1], by = v[2];
    if (!by || lo < -1000000000 || lo > 1000000000 || hi < -1000000000 || hi > 1000000000)
        return fail(a->x, a->at, by ? "these bounds of range are too large" : "range's step is 0");
    LIST(Val) out = {0};
    for (int64_t i = lo; by > 0 ? i < hi : i > hi; i += by) {
        if (out.n >= RANGE_MOST)
            return unsupported(a->x, a->at, "a range of more than %d numbers", RANGE_MOST);
        list_push(a->x->a, &out, val_int(i, a->at));
    }
    return val_list(a->x->a, VAL_list, out.at, out.n, a->at);
}

static Val run_list(Args *a)
{
    Val v = a->arg[0];
    if (v.kind != VAL_list && v.kind != VAL_tuple)
        return val_list(a->x->a, VAL_list, &v, 1, a->at);
    v.kind = strcmp(a->self->name, "tuple") ? VAL_list : VAL_tuple;
    return v;
}

static Val run_is_list(Args *a)
{
    return val_bool(a->arg[0].kind == VAL_list || a->arg[0].kind == VAL_tuple, a->at);
}

/* ---- statements in the dress of functions ---- */

static const char *plain_text(Expander *x, const Val *v)
{
    return v->kind == VAL_number ? arena_printf(x->a, "%.10g", v->u.f)
           : v->kind == VAL_int  ? arena_printf(x->a, "%lld", (long long)v->u.i)
                                 : val_text(x, v);
}

/* require(condition, text, value): `value` is what the text says is wrong. */
static Val run_require(Args *a)
{
    bool ok;
    if (!val_as_bool(a->x, &a->arg[0], a->at, "the condition of require", &ok))
        return val_poison();
    if (ok)
        return val_none(a->at);
    const Frame *f = a->x->frame; /* the one the user called, not the prelude's helper */
    while (f && f->def && f->def->is_prelude && f->outer && f->outer->def &&
           f->outer->def->is_prelude)
        f = f->outer;
    const char *who = f && f->def ? f->def->name : NULL;
    return fail(a->x, a->at, "%s%s%s%s%s", who ? who : "", who ? ": " : "",
                a->given[1] && val_name(&a->arg[1]) ? val_name(&a->arg[1])
                                                    : "a requirement does not hold",
                a->given[2] ? ", found " : "", a->given[2] ? plain_text(a->x, &a->arg[2]) : "");
}

bool add_loss(Expander *x, Val v, const char *name, Span at)
{
    Node *n = val_to_tensor(x, &v, at);
    if (!n)
        return false;
    if (x->loop) {
        unsupported(x, at, "add_loss inside a loop over time");
        return false;
    }
    v = val_tensor(n, at);
    if (n->shape.rank > (shape_has_batch(&n->shape) ? 1 : 0)) {
        fail(x, at, "a loss is a number (or one a sample), found %s; take its sum or mean",
             shape_words(x, n));
        return false;
    }
    Val batch = val_string("batch", at);
    if (shape_has_batch(&n->shape))
        v = make_reduction(x, OP_reduce_sum, v, &batch, false, true, at);
    if (v.kind != VAL_tensor)
        return false;
    AddedLoss added = {name, v.u.t.node, blame(x, at)};
    list_push(x->a, &x->losses, added);
    return true;
}

static Val run_add_loss(Args *a)
{
    const char *name = a->given[1] ? val_name(&a->arg[1]) : NULL;
    return add_loss(a->x, a->arg[0], name, a->at) ? val_none(a->at) : val_poison();
}

/* ---- layers as values ---- */

static Val run_freeze(Args *a)
{
    Val v = a->arg[0];
    Expander *x = a->x;
    if (v.kind == VAL_definition) {
        Recipe *r = recipe_of(x, &v, 1u << DEF_layer | 1u << DEF_cell, "layer", a->at);
        if (!r)
            return val_poison();
        v.kind = VAL_recipe;
        v.u.recipe = r;
    }
    Recipe *frozen = NEW(x->a, Recipe);
    if (v.kind == VAL_recipe) {
        *frozen = *v.u.recipe;
        v.u.recipe = frozen;
    } else if (v.kind == VAL_instance) {
        Instance *in = NEW(x->a, Instance);
        if (!instance_place(x, v.u.instance, a->at))
            return val_poison();
        *in = *v.u.instance;
        *frozen = *in->recipe;
        in->recipe = frozen;
        v.u.instance = in;
    } else {
        return fail(x, a->at,
                    "freeze takes a layer, found %s; for a tensor write "
                    "stop_gradient(x)",
                    val_text(x, &v));
    }
    frozen->frozen = true;
    return v;
}

/* over_time(cell, x, initial_state): a loop over x, also inside a cell. */
static Val run_over_time(Args *a)
{
    Expander *x = a->x;
    Instance *in = NULL;
    if (a->arg[0].kind == VAL_instance) {
        in = a->arg[0].u.instance;
    } else {
        Recipe *r = recipe_of(x, &a->arg[0], 1u << DEF_cell, "cell", a->at);
        in = r ? instance_new(x, r, a->at) : NULL;
    }
    if (!in)
        return val_poison();
    if (in->recipe->def->kind != DEF_cell)
        return fail(x, a->at, "a cell is needed here, found the layer %s", in->recipe->def->name);
    CallArg args[2] = {{NULL, {0}, a->arg[1], a->at}, {"initial_state", a->at, a->arg[2], a->at}};
    bool state = a->given[2] && a->arg[2].kind != VAL_none;
    return apply_instance(x, in, args, state ? 2 : 1, a->at, true);
}

static Val run_initial(Args *a)
{
    Shape s;
    if (!sizes_of(a, &a->arg[1], a->span[1], &s))
        return val_poison();
    Node *n = initial_value(a->x, a->arg[0], s, a->x->real, a->at);
    return n ? val_tensor(n, a->at) : val_poison();
}

static const Builtin builtins[] = {
    {"round", "x", run_round, NOP},
    {"ceil", "x", run_ceil, NOP},
    {"len", "x", run_len, NOP},
    {"range", "*bounds", run_range, NOP},
    {"list", "x", run_list, NOP},
    {"tuple", "x", run_list, NOP},
    {"is_list", "x", run_is_list, NOP},
    {"require", "condition, text?, found?", run_require, NOP},
    {"add_loss", "value, name?", run_add_loss, NOP},
    {"freeze", "layer", run_freeze, NOP},
    {"over_time", "cell, x, initial_state?", run_over_time, NOP},
    {"initial", "initializer, shape", run_initial, NOP},
    {"standardize", "x; axis?", run_standardize, NOP},
    {"standardize", "x; axis?", run_standardize, NOP},
    {NULL, NULL, NULL, NOP},
};

/* ---- the table ---- */

const char *builtin_name(const Builtin *b)
{
    return b->name;
}

static const Builtin *table_find(const Builtin *t, const char *name)
{
    for (; t->name; t++)
        if (!strcmp(t->name, name))
            return t;
    return NULL;
}

static bool op_is_function(Op op)
{
    return op != NOP && op_info[op].kind == KIND_map && op != OP_cast && op != OP_not &&
           op != OP_and && op != OP_or;
}

const Builtin *builtin_find(Arena *a, const char *name)
{
    const Builtin *b = table_find(builtins, name);
    if (!b)
        b = table_find(tensor_builtins, name);
    if (!b)
        b = table_find(draw_builtins, name);
    if (!b)
        b = table_find(window_builtins, name);
    if (b)
        return b;
    Op op = op_by_name(name);
    if (op_is_function(op)) {
        static const char *const signatures[] = {"", "x", "x, y", "condition, x, y"};
        Builtin *made = NEW(a, Builtin);
        *made = (Builtin){op_info[op].name, signatures[op_info[op].arity], NULL, op};
        return made;
    }
    const char *snake = strlen(name) < 100 ? snake_case(a, name) : name;
    return strcmp(snake, name) ? builtin_find(a, snake) : NULL;
}

const char *const *builtin_names(Arena *a, int *n)
{
    LIST(const char *) all = {0};
    for (const Builtin *b = builtins; b->name; b++)
        list_push(a, &all, b->name);
    for (const Builtin *b = tensor_builtins; b->name; b++)
        list_push(a, &all, b->name);
    for (const Builtin *b = draw_builtins; b->name; b++)
        list_push(a, &all, b->name);
    for (const Builtin *b = window_builtins; b->name; b++)
        list_push(a, &all, b->name);
    for (int i = 0; i < NOP; i++)
        if (op_is_function((Op)i))
            list_push(a, &all, op_info[i].name);
    *n = all.n;
    return all.at;
}

/* ---- binding arguments to a signature ---- */

typedef struct {
    char name[24];
    bool optional, by_name, rest;
} Slot;

static int read_signature(const char *s, Slot *slot)
{
    int n = 0;
    bool by_name = false;
    while (*s) {
        while (*s == ' ' || *s == ',' || *s == ';')
            by_name = *s++ == ';' || by_name;
        Slot *k = &slot[n++];
        *k = (Slot){.by_name = by_name, .rest = *s == '*'};
        s += *s == '*';
        size_t len = strcspn(s, "?,;");
        memcpy(k->name, s, len);
        s += len;
        k->optional = *s == '?' || k->rest;
        s += *s == '?';
    }
    return n;
}

static Val bad_argument(Expander *x, const Builtin *b, const Slot *slot, int n, const CallArg *c)
{
    const char *names[BUILTIN_ARGS + 1];
    for (int i = 0; i < n; i++)
        names[i] = slot[i].name;
    const char *near = nearest_name(c->name, names, n);
    return fail(x, c->name_span, "%s has no argument '%s'%s%s%s", b->name, c->name,
                near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

Val builtin_call(Expander *x, const Builtin *b, const CallArg *args, int nargs, Span at)
{
    Slot slot[BUILTIN_ARGS + 1];
    int n = read_signature(b->signature, slot), position = 0;
    Args a = {.x = x, .at = at, .self = b};
    bool rest = n && slot[0].rest;
    a.rest = NEW_ARRAY(x->a, Val, nargs + 1);
    for (int i = 0; i < nargs; i++) {
        const CallArg *c = &args[i];
        if (c->value.kind == VAL_poison)
            return c->value;
        if (!c->name && rest) {
            a.rest[a.nrest++] = c->value;
            continue;
        }
        int k = 0;
        while (k < n && (c->name ? strcmp(slot[k].name, c->name) != 0 : k != position))
            k++;
        if (k == n || (!c->name && slot[k].by_name)) {
            if (c->name)
                return bad_argument(x, b, slot, n, c);
            bool named = k < n;
            return fail(x, c->span, "%s(%s): too many arguments%s%s%s", b->name, b->signature,
                        named ? "; write " : "", named ? slot[k].name : "", named ? "=..." : "");
        }
        if (a.given[k])
            return fail(x, c->span, "argument '%s' of %s is given twice", slot[k].name, b->name);
        position += !c->name;
        a.arg[k] = c->value;
        a.span[k] = c->span;
        a.given[k] = true;
    }
    for (int i = 0; i < n; i++)
        if (!slot[i].optional && !a.given[i])
            return fail(x, at, "%s needs the argument '%s'", b->name, slot[i].name);
    return b->run ? b->run(&a) : run_op(&a);
}
