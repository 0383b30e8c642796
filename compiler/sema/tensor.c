/* From values to nodes: conversions, elementwise operations, broadcasting.
 *
 * A node may be used in the graph that it lives in and in the bodies of scans
 * inside it: import_node makes it a constant of each body on the way. */
#include "sema/internal.h"

#include <string.h>

char *shape_words(Expander *x, const Node *n)
{
    return shape_text(x->a, x->top, &n->shape);
}

/* ---- weak scalars and conversions ---- */

/* Rank 0 in double: rounded to the other operand's type where it meets a tensor. */
static bool is_weak(const Node *n)
{
    return n->dtype == DT_f64 && n->shape.rank == 0;
}

static bool whole_const(const Node *n, double *v)
{
    if (n->op != OP_const)
        return false;
    const Attr *a = attr_get(n, ATTR_value);
    *v = a->u.f;
    return *v == (double)(int32_t)*v;
}

Node *to_real(Expander *x, Node *n)
{
    return make_cast(n->graph, n, x->real);
}

/* Integers and bools become the real type; floats of other width too; weak stays. */
static Node *to_float(Expander *x, Node *n)
{
    return is_weak(n) || n->dtype == x->real ? n : make_cast(x->g, n, x->real);
}

static Node *to_bool(Expander *x, Node *n, Span at)
{
    if (n->dtype == DT_bool)
        return n;
    Node *zero =
        is_weak(n) || n->dtype == x->real ? make_const(x->g, 0) : make_const_of(x->g, n->dtype, 0);
    Node *in[2] = {n, zero};
    return node_new(x->g, OP_ne, blame(x, at), in, 2, NULL, 0);
}

/* Operands of arithmetic, a comparison or the branches of a select in one type. */
static void unify(Expander *x, Node **in, int n, bool arithmetic)
{
    bool floats = false, all_weak = true, all_bool = true;
    for (int i = 0; i < n; i++) {
        double v;
        bool weak = is_weak(in[i]);
        all_weak = all_weak && weak;
        all_bool = all_bool && in[i]->dtype == DT_bool;
        if (weak ? !whole_const(in[i], &v) : dtype_is_float(in[i]->dtype))
            floats = true;
        if (!weak && in[i]->dtype == DT_bool && arithmetic)
            floats = true;
    }
    if (all_weak || (all_bool && !arithmetic))
        return;
    for (int i = 0; i < n; i++) {
        double v;
        if (floats)
            in[i] = to_float(x, in[i]);
        else if (is_weak(in[i]) && whole_const(in[i], &v))
            in[i] = make_const_of(x->g, DT_i32, v);
        else
            in[i] = make_cast(x->g, in[i], DT_i32);
    }
}

/* Converts operands to what the elementwise operation wants. */
static void convert(Expander *x, Op op, Node **in, int nin, Span at)
{
    switch (op) {
    case OP_stop_gradient:
        break;
    case OP_not:
        in[0] = to_bool(x, in[0], at);
        break;
    case OP_and:
    case OP_or:
        in[0] = to_bool(x, in[0], at);
        in[1] = to_bool(x, in[1], at);
        break;
    case OP_neg:
    case OP_abs:
    case OP_sign:
    case OP_floor:
        unify(x, in, 1, true);
        break;
    case OP_add:
    case OP_sub:
    case OP_mul:
    case OP_max:
    case OP_min:
    case OP_mod:
        unify(x, in, 2, true);
        break;
    case OP_lt:
    case OP_le:
    case OP_gt:
    case OP_ge:
    case OP_eq:
    case OP_ne:
        unify(x, in, 2, false);
        for (int i = 0; i < 2; i++)
            in[i] = in[i]->dtype == DT_bool ? make_cast(x->g, in[i], DT_i32) : in[i];
        break;
    case OP_select:
        in[0] = to_bool(x, in[0], at);
        unify(x, in + 1, 2, false);
        if (is_weak(in[1]) && is_weak(in[2]) && in[0]->shape.rank > 0) {
            in[1] = make_cast(x->g, in[1], x->real);
            in[2] = make_cast(x->g, in[2], x->real);
        }
        break;
    default:
        if (op_info[op].kind == KIND_map)
            for (int i = 0; i < nin; i++)
                in[i] = to_float(x, in[i]);
    }
}

/* ---- values as nodes ---- */

static Node *take(Expander *x, Loop *l, Node *n, Span at);

/* n as a node of graph g, the body of loop l (null: g is the outermost). */
static Node *seen_from(Expander *x, Loop *l, const Graph *g, Node *n, Span at)
{
    if (n->graph == g)
        return n;
    if (!l)
        return NULL;
    return take(x, l, n, at);
}

static Node *take(Expander *x, Loop *l, Node *n, Span at)
{
    Node *near = seen_from(x, l->outer, l->around, n, at);
    if (!near)
        return NULL;
    for (int i = 0; i < l->consts.n; i++)
        if (l->consts.at[i].around == near)
            return l->consts.at[i].in;
    const char *name = near->op == OP_input ? attr_str(near, ATTR_name) : near->name;
    Taken t = {near, graph_input(l->body, ROLE_body, name ? name : "outer", near->dtype,
                                 near->shape, near->span)};
    t.in->name = near->name;
    list_push(x->a, &l->consts, t);
    return t.in;
}

Node *import_node(Expander *x, Node *n, Span at)
{
    if (n->graph == x->g)
        return n;
    if (n->op == OP_const)
        return node_new(x->g, OP_const, n->span, NULL, 0, n->attr, n->nattr);
    if (n->op == OP_dim)
        return make_dim(x->g, attr_get(n, ATTR_dim)->u.dim);
    Node *in = seen_from(x, x->loop, x->g, n, at);
    if (!in) {
        fail(x, at,
             "what is computed before the loop over time (an initial value, `once`, an "
             "initialiser) cannot depend on '%s', which belongs to the step",
             n->name ? n->name : op_info[n->op].name);
        note(x, blame(x, n->span), "it is computed here");
    }
    return in;
}

static bool count_numbers(const Val *v, Shape *s, int depth, int64_t *n)
{
    if (v->kind == VAL_int || v->kind == VAL_number) {
        ++*n;
        return depth == s->rank;
    }
    if ((v->kind != VAL_list && v->kind != VAL_tuple) || depth >= RANK_MOST || !v->u.list.n)
        return false;
    if (depth == s->rank && *n == 0)
        s->d[s->rank++] = dim_int(v->u.list.n);
    if (depth >= s->rank || !dim_is(s->d[depth], v->u.list.n))
        return false;
    for (int i = 0; i < v->u.list.n; i++)
        if (!count_numbers(&v->u.list.at[i], s, depth + 1, n))
            return false;
    return true;
}

static void store_numbers(const Val *v, double **out)
{
    if (v->kind == VAL_int)
        *(*out)++ = (double)v->u.i;
    else if (v->kind == VAL_number)
        *(*out)++ = v->u.f;
    else
        for (int i = 0; i < v->u.list.n; i++)
            store_numbers(&v->u.list.at[i], out);
}

/* Stacks a list of tensors of one shape along a new first written axis. */
static Node *stack_list(Expander *x, const Val *v, Span at)
{
    Val parts[64];
    if (v->u.list.n < 1 || v->u.list.n > 64)
        return NULL;
    for (int i = 0; i < v->u.list.n; i++) {
        Node *n = val_to_tensor(x, &v->u.list.at[i], at);
        if (!n)
            return NULL;
        Shape s = n->shape;
        int lead = shape_has_batch(&s) ? 1 : 0;
        if (s.rank >= RANK_MOST) {
            fail(x, at, "more than %d dimensions", RANK_MOST);
            return NULL;
        }
        for (int k = s.rank; k > lead; k--)
            s.d[k] = s.d[k - 1];
        s.d[lead] = dim_int(1);
        s.rank++;
        parts[i] = val_tensor(make_reshape(x->g, is_weak(n) ? to_real(x, n) : n, s), at);
    }
    Val all = concat_values(x, parts, v->u.list.n, 0, at);
    return all.kind == VAL_tensor ? all.u.t.node : NULL;
}

static Node *list_tensor(Expander *x, const Val *v, Span at)
{
    Shape s = {0};
    int64_t n = 0;
    if (!count_numbers(v, &s, 0, &n)) {
        bool tensors = v->u.list.n > 0;
        for (int i = 0; i < v->u.list.n; i++)
            tensors =
                tensors && (v->u.list.at[i].kind == VAL_tensor || v->u.list.at[i].kind == VAL_int ||
                            v->u.list.at[i].kind == VAL_number);
        if (tensors)
            return stack_list(x, v, at);
        fail(x, at, "%s is no tensor: its elements are not numbers in even rows", val_text(x, v));
        return NULL;
    }
    double *values = NEW_ARRAY(x->a, double, n), *end = values;
    store_numbers(v, &end);
    return make_tensor(x->g, x->real, s, values, (int)n, blame(x, at));
}

/* A layer where a tensor is wanted: says how to apply it. */
static void fail_layer(Expander *x, const Val *v, Span at)
{
    const Definition *d = v->kind == VAL_definition ? v->u.def
                          : v->kind == VAL_recipe   ? v->u.recipe->def
                                                    : v->u.instance->recipe->def;
    if (d->kind == DEF_function)
        fail(x, at, "the function %s is used as a tensor; call it, as in %s(x)", d->name, d->name);
    else
        fail(x, at, "the %s %s is used as a tensor; apply it in parentheses: (x -> %s(...))",
             def_kind_name(d->kind), d->name, d->name);
}

Node *val_to_tensor(Expander *x, const Val *v, Span at)
{
    switch (v->kind) {
    case VAL_poison:
        return NULL;
    case VAL_tensor:
        return import_node(x, v->u.t.node, at);
    case VAL_int:
        return make_const(x->g, (double)v->u.i);
    case VAL_number:
        return make_const(x->g, v->u.f);
    case VAL_bool:
        return make_const_of(x->g, DT_bool, v->u.b);
    case VAL_extent:
        return make_dim(x->g, v->u.dim);
    case VAL_step:
        return step_tensor(x, v->u.back, at);
    case VAL_list:
        return list_tensor(x, v, at);
    case VAL_tuple:
        fail(x, at, "one tensor is needed here, found %d; take one as in x[0], or give all names",
             v->u.list.n);
        return NULL;
    case VAL_definition:
    case VAL_recipe:
    case VAL_instance:
        fail_layer(x, v, at);
        return NULL;
    case VAL_state:
        fail(x, at,
             "a state is read at a time: write %s[t-1] for the last step's value, or %s[t] "
             "after its definition",
             state_name(v), state_name(v));
        return NULL;
    case VAL_string:
        if (unknown_name(x, v, at))
            return NULL;
        break;
    default:
        break;
    }
    fail(x, at, "a tensor or a number is needed here, found %s", val_text(x, v));
    return NULL;
}

/* ---- elementwise operations ---- */

static const char *op_phrase(Op op)
{
    switch (op) {
    case OP_add:
        return "add";
    case OP_sub:
        return "subtract";
    case OP_mul:
        return "multiply";
    case OP_div:
        return "divide";
    case OP_pow:
        return "raise to a power";
    case OP_lt:
    case OP_le:
    case OP_gt:
    case OP_ge:
    case OP_eq:
    case OP_ne:
        return "compare";
    case OP_select:
        return "choose between";
    default:
        return "combine";
    }
}

void note_operand(Expander *x, const Val *v, Span at, const char *words)
{
    Span where = blame(x, v->span);
    if (v->kind == VAL_tensor && where.file && (where.lo != at.lo || where.hi != at.hi))
        note(x, where, "%s comes from here", words);
}

/* Two operands that do not broadcast: names the sizes that clash. */
static Val fail_broadcast(Expander *x, Op op, const Val *in, Node *const *n, int nin, Span at)
{
    for (int i = 0; i < nin; i++)
        for (int k = i + 1; k < nin; k++) {
            Shape s;
            if (shape_broadcast(&n[i]->shape, &n[k]->shape, &s))
                continue;
            const char *a = shape_words(x, n[i]), *b = shape_words(x, n[k]);
            Span where = blame(x, at);
            fail(x, at, "cannot %s %s and %s: the sizes must be equal or 1, aligned on the right",
                 op_phrase(op), a, b);
            note_operand(x, &in[i], where, a);
            note_operand(x, &in[k], where, b);
            return val_poison();
        }
    return fail(x, at, "cannot %s these", op_phrase(op));
}

/* The mask goes on where the time axis does. */
static void pass_mask(Val *out, const Val *in, int nin)
{
    const Shape *s = &out->u.t.node->shape;
    if (s->rank < 2 || !shape_has_batch(s))
        return;
    for (int i = 0; i < nin; i++)
        if (in[i].kind == VAL_tensor && in[i].u.t.mask && in[i].u.t.node->shape.rank >= 2 &&
            dim_equal(in[i].u.t.mask->shape.d[1], s->d[1])) {
            out->u.t.mask = in[i].u.t.mask;
            return;
        }
}

enum { WORK_MOST = 400000 };

bool work_left(Expander *x, Span at)
{
    if (++x->work < WORK_MOST)
        return true;
    if (!x->too_much)
        unsupported(x, at, "the model expands to more than %d operations (a layer counts 100)",
                    WORK_MOST);
    x->too_much = true;
    return false;
}

Val make_op(Expander *x, Op op, const Val *in, int nin, const Attr *attr, int nattr, Span at)
{
    Node **n = NEW_ARRAY(x->a, Node *, nin > 0 ? nin : 1);
    for (int i = 0; i < nin; i++)
        if (!(n[i] = val_to_tensor(x, &in[i], at)))
            return val_poison();
    if (!work_left(x, at))
        return val_poison();
    convert(x, op, n, nin, at);
    Dtype dt;
    Shape s;
    const char *why = NULL;
    if (!shape_check(x->g, op, n, nin, attr, nattr, &dt, &s, &why)) {
        if (op_info[op].kind == KIND_map)
            return fail_broadcast(x, op, in, n, nin, at);
        return fail(x, at, "%s", why ? why : "the operands do not suit");
    }
    Val out = val_tensor(node_new(x->g, op, blame(x, at), n, nin, attr, nattr), at);
    pass_mask(&out, in, nin);
    return out;
}

Val make_op1(Expander *x, Op op, Val a, Span at)
{
    return make_op(x, op, &a, 1, NULL, 0, at);
}

Val make_op2(Expander *x, Op op, Val a, Val b, Span at)
{
    return make_op(x, op, (Val[]){a, b}, 2, NULL, 0, at);
}

Node *broadcast_to(Expander *x, Node *n, Shape s, Span at, const char *what)
{
    Shape joined;
    if (!shape_broadcast(&n->shape, &s, &joined) || !shape_equal(&joined, &s)) {
        fail(x, at, "%s has the shape %s, wanted is %s", what, shape_words(x, n),
             shape_text(x->a, x->top, &s));
        return NULL;
    }
    return make_broadcast(x->g, n, s);
}

/* ---- axes ---- */

int axis_of(Expander *x, const Val *axis, const Node *n, Span at, bool *is_batch)
{
    bool batch = shape_has_batch(&n->shape);
    int written = n->shape.rank - (batch ? 1 : 0);
    if (is_batch)
        *is_batch = false;
    if (val_is_string(axis, "batch") || (axis->kind == VAL_int && axis->u.i == 0 && batch)) {
        if (axis->kind == VAL_int)
            fail(x, at, "axis 0 is the batch; the first written dimension is axis 1%s",
                 is_batch ? " (a sum over the batch is written axis=batch)" : "");
        else if (!batch)
            fail(x, at, "this tensor has no batch: it depends on parameters alone");
        else if (is_batch)
            *is_batch = true;
        else
            fail(x, at, "axis=batch is possible in sum and mean alone");
        return -1;
    }
    if (val_is_string(axis, "time")) {
        if (!batch || written < 1) {
            fail(x, at, "there is no time axis in %s", shape_words(x, n));
            return -1;
        }
        return 1;
    }
    if (axis->kind == VAL_string) {
        static const char *const all[] = {"time", "batch"};
        const char *near = nearest_name(axis->u.text.s, all, 2);
        fail(x, axis->span, "unknown axis '%s': an axis is a number, time or batch%s%s%s",
             axis->u.text.s, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        return -1;
    }
    int64_t i;
    if (!val_as_int(x, axis, at, "axis", &i))
        return -1;
    int64_t k = i < 0 ? i + n->shape.rank : i;
    if (k < (batch ? 1 : 0) || k >= n->shape.rank) {
        fail(x, at, "axis %lld is out of range: %s has %d %s", (long long)i, shape_words(x, n),
             written, written == 1 ? "dimension" : "dimensions");
        return -1;
    }
    return (int)k;
}

/* ---- random numbers, host scalars ---- */

Node *scalar_input(Expander *x, const char *name)
{
    Dtype dt = !strcmp(name, "seed") ? DT_i32 : DT_f64;
    Node *n = graph_find_input(x->top, ROLE_scalar, name);
    if (!n)
        n = graph_input(x->top, ROLE_scalar, name, dt, (Shape){0}, (Span){0});
    return import_node(x, n, x->user);
}

/* random_new with the key given. */
Node *random_keyed(Expander *x, Shape s, int64_t key, Span at)
{
    Node *in[3] = {scalar_input(x, "seed"), NULL, NULL};
    int nin = 2;
    if (x->no_batch)
        in[1] = make_const_of(x->g, DT_i32, 0);
    else
        in[1] = make_cast(x->g, scalar_input(x, "step"), DT_i32);
    if (x->loop)
        in[nin++] = loop_time(x);
    Attr attr[3] = {attr_of_int(ATTR_key, key), attr_of_shape(ATTR_shape, s),
                    attr_of_int(ATTR_dtype, x->real)};
    return node_new(x->g, OP_random, blame(x, at), in, nin, attr, 3);
}

Node *random_uniform(Expander *x, Shape s, Span at)
{
    return random_keyed(x, s, x->key++, at);
}
