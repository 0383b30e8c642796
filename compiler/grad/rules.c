/* The gradient of every operation but scan.
 *
 * Elementwise operations read their formulas from op.def: the scalar algebra
 * makes nodes here. A formula is only read for an operand that is active, and
 * X, Y, R are only asked for where they stand in it, since in a scan's body a
 * forward value costs memory. The result is as large as the operation's; one
 * place, arrive_broadcast, sums it down to the operand. The other operations
 * have a function each, in a table indexed by the operation.
 */
#include "grad/diff.h"

#include "ir/contract.h"

#include <string.h>

/* ---- where gradients flow ---- */

/* The formulas as text tell which operands get nothing. */
static const char *const formula[NOP][3] = {
#define MAP1(name, forward, dx, ...) [OP_##name] = {#dx},
#define MAP2(name, forward, dx, dy, ...) [OP_##name] = {#dx, #dy},
#define MAP3(name, forward, dx, dy, dz, ...) [OP_##name] = {#dx, #dy, #dz},
#include "ir/op.def"
};

bool grad_flows(const Node *n, int k)
{
    if (!dtype_is_float(n->in[k]->dtype))
        return false;
    if (formula[n->op][0])
        return strcmp(formula[n->op][k], "ZERO");
    switch (n->op) {
    case OP_random:
    case OP_orthogonal:
    case OP_argmax:
    case OP_words:
    case OP_arriving:
        return false;
    case OP_own_gradient: /* y, arriving, then pairs x, dx */
        return k >= 2 && k % 2 == 0;
    default:
        return true;
    }
}

/* ---- elementwise ---- */

/* a / b. Where b repeats along axes of a, it is 1 / b that is divided for, once for all of them:
 * a division takes as long as many products. */
static Node *divide(Graph *to, Node *a, Node *b)
{
    if (b->shape.rank == 0 || shape_equal(&a->shape, &b->shape))
        return node2(to, OP_div, a, b);
    return node2(to, OP_mul, a, node2(to, OP_div, make_const_of(to, b->dtype, 1), b));
}

#define X diff_value(d, n->in[0])
#define Y diff_value(d, n->in[1])
#define R diff_value(d, n)
#define G g
#define ZERO NULL
#define K(v) make_const_of(d->to, g->dtype, v)
#define NEG(a) node1(d->to, OP_neg, a)
#define EXP(a) node1(d->to, OP_exp, a)
#define LOG(a) node1(d->to, OP_log, a)
#define SIGMOID(a) node1(d->to, OP_sigmoid, a)
#define SIN(a) node1(d->to, OP_sin, a)
#define COS(a) node1(d->to, OP_cos, a)
#define FLOOR(a) node1(d->to, OP_floor, a)
#define ADD(a, b) node2(d->to, OP_add, a, b)
#define SUB(a, b) node2(d->to, OP_sub, a, b)
#define MUL(a, b) node2(d->to, OP_mul, a, b)
#define DIV(a, b) divide(d->to, a, b)
#define POW(a, b) node2(d->to, OP_pow, a, b)
#define LT(a, b) node2(d->to, OP_lt, a, b)
#define LE(a, b) node2(d->to, OP_le, a, b)
#define GT(a, b) node2(d->to, OP_gt, a, b)
#define GE(a, b) node2(d->to, OP_ge, a, b)
#define SEL(c, a, b) node3(d->to, OP_select, c, a, b)

static Node *map_gradient(Diff *d, Node *n, int k, Node *g)
{
    switch (n->op) {
#define MAP1(name, forward, dx, ...) \
    case OP_##name:                  \
        return dx;
#define MAP2(name, forward, dx, dy, ...) \
    case OP_##name:                      \
        if (k == 0)                      \
            return dx;                   \
        return dy;
#define MAP3(name, forward, dx, dy, dz, ...) \
    case OP_##name:                          \
        if (k == 0)                          \
            return dx;                       \
        if (k == 1)                          \
            return dy;                       \
        return dz;
#include "ir/op.def"
    default:
        return NULL;
    }
}

static void rule_map(Diff *d, Node *n, Node *g)
{
    for (int k = 0; k < n->nin; k++)
        if (d->active->node[n->in[k]->id] && grad_flows(n, k)) {
            Node *dx = map_gradient(d, n, k, g);
            arrive_broadcast(d, n->in[k], dx, dx != g);
        }
}

/* ---- types and views ---- */

static void rule_cast(Diff *d, Node *n, Node *g)
{
    arrive_plain(d, n->in[0], make_cast(d->to, g, n->in[0]->dtype));
}

static void rule_broadcast(Diff *d, Node *n, Node *g)
{
    arrive_broadcast(d, n->in[0], g, false);
}

static void rule_reshape(Diff *d, Node *n, Node *g)
{
    arrive_plain(d, n->in[0], make_reshape(d->to, g, n->in[0]->shape));
}

static void rule_transpose(Diff *d, Node *n, Node *g)
{
    const Attr *perm = attr_get(n, ATTR_perm);
    int inverse[RANK_MOST];
    for (int i = 0; i < perm->n; i++)
        inverse[perm->u.ints[i]] = i;
    arrive_plain(d, n->in[0], make_transpose(d->to, g, inverse));
}

static void rule_slice(Diff *d, Node *n, Node *g)
{
    arrive(d, n->in[0], (Arrival){.kind = ARRIVE_slice, .grad = g, .slice = n});
}

static void rule_pad(Diff *d, Node *n, Node *g)
{
    int axis = (int)attr_int(n, ATTR_axis, 0);
    arrive_plain(d, n->in[0],
                 make_slice(d->to, g, axis, attr_get(n, ATTR_start)->u.dim,
                            n->in[0]->shape.d[axis], (int)attr_int(n, ATTR_step, 1)));
}

static void rule_concat(Diff *d, Node *n, Node *g)
{
    int axis = (int)attr_int(n, ATTR_axis, 0);
    Dim start = dim_int(0);
    for (int k = 0; k < n->nin; k++) {
        Dim size = n->in[k]->shape.d[axis];
        if (d->active->node[n->in[k]->id])
            arrive_plain(d, n->in[k], make_slice(d->to, g, axis, start, size, 1));
        if (!dim_add(start, size, &start))
            bug("the offset of part %d of a concat has no form", k + 1);
    }
}

/* ---- reductions ---- */

/* g without the reduced axes, with extent 1 there. */
static Node *with_ones(Graph *to, Node *g, const Shape *x, const int64_t *axes, int naxes)
{
    Shape s = *x;
    for (int i = 0; i < naxes; i++)
        s.d[axes[i]] = dim_int(1);
    return make_reshape(to, g, s);
}

static void rule_reduce_sum(Diff *d, Node *n, Node *g)
{
    const Attr *axes = attr_get(n, ATTR_axes);
    Node *x = n->in[0];
    g = with_ones(d->to, g, &x->shape, axes->u.ints, axes->n);
    arrive_plain(d, x, make_broadcast(d->to, g, x->shape));
}

/* g where x has its first extremum along the axis, else 0. */
static Node *to_first_extremum(Graph *to, bool is_max, Node *x, int axis, Node *g)
{
    Dim extent = x->shape.d[axis];
    Shape line = shape_of(1, extent), tail = {.rank = x->shape.rank - axis};
    int64_t at[] = {axis};
    tail.d[0] = extent;
    for (int i = 1; i < tail.rank; i++)
        tail.d[i] = dim_int(1);
    Attr attr[] = {attr_of_shape(ATTR_shape, line), attr_of_int(ATTR_axis, 0),
                   attr_of_int(ATTR_dtype, DT_i32)};
    Node *index = make_reshape(to, node_new(to, OP_iota, x->span, NULL, 0, attr, 3), tail);
    Node *first = make_reduce(to, OP_argmax, is_max ? x : node1(to, OP_neg, x), &axis, 1);
    first = with_ones(to, first, &x->shape, at, 1);
    g = with_ones(to, g, &x->shape, at, 1);
    return node3(to, OP_select, node2(to, OP_eq, index, first), g, make_const_of(to, g->dtype, 0));
}

/* Several axes are reduced one by one, the last first, so that the first of
 * equals in row-major order is the first along each. */
static void rule_reduce_extremum(Diff *d, Node *n, Node *g)
{
    const Attr *axes = attr_get(n, ATTR_axes);
    Node *x[RANK_MOST + 1] = {[RANK_MOST] = NULL};
    x[axes->n] = diff_value(d, n->in[0]);
    for (int i = axes->n - 1; i > 0; i--) {
        int axis = (int)axes->u.ints[i];
        x[i] = make_reduce(d->to, n->op, x[i + 1], &axis, 1);
    }
    for (int i = 0; i < axes->n; i++)
        g = to_first_extremum(d->to, n->op == OP_reduce_max, x[i + 1], (int)axes->u.ints[i], g);
    arrive_plain(d, n->in[0], g);
}

/* ---- products ---- */

/* A factor of a product: its value and its axes' notation. */
typedef struct { Node *x; const char *axes; } Factor;

/* Which axis of the factor is this label alone; -1: none. */
static int axis_of_label(const char *axes, char label)
{
    int axis = 0;
    for (const char *p = axes; *p; p++, axis++) {
        if (*p == label)
            return axis;
        if (*p == '(')
            p += strcspn(p, ")");
    }
    return -1;
}

/* The text with the axis that is `label` alone replaced by `by`. */
static const char *replace_label(Arena *a, const char *axes, char label, const char *by)
{
    const char *at = strchr(axes, label);
    return arena_printf(a, "%.*s%s%s", (int)(at - axes), axes, by, at + 1);
}

/* One axis s p + d q of an operand that is differentiated, p being a label of f
 * and q (if there is one) of g: at u it is the sum over q of f[(u - d q) / s] g[q],
 * that is, over r = Q - 1 - q, of F[u + d r] g[Q - 1 - r], where F is f with zeros
 * between its elements and around them. The axis's label becomes p: returned. */
static char turn_window(Diff *d, const Contract *c, const ContractAxis *axis, Dim size, Factor *f,
                        Factor *g)
{
    int p = 0;
    while (p < axis->n && axis_of_label(f->axes, c->label[axis->label[p]]) < 0)
        p++;
    if (p == axis->n || axis->n > 2)
        bug("no gradient through these windows");
    char label = c->label[axis->label[p]];
    int at = axis_of_label(f->axes, label);
    Dim start = dim_int(0), whole = size, last;
    if (axis->n == 2) {
        char other = c->label[axis->label[!p]];
        int by = axis_of_label(g->axes, other), step = axis->coef[!p];
        Dim n = by < 0 ? dim_int(0) : g->x->shape.d[by];
        if (by < 0 || !dim_affine(n, 1, -1, 1, &last) || !dim_affine(n, step, -step, 1, &start) ||
            !dim_add(size, start, &whole))
            bug("no gradient through these windows");
        g->x = make_slice(d->to, g->x, by, last, n, -1);
        const char *sum = step == 1 ? arena_printf(d->arena, "(%c+%c)", label, other)
                                    : arena_printf(d->arena, "(%c+%d%c)", label, step, other);
        f->axes = replace_label(d->arena, f->axes, label, sum);
    }
    f->x = make_pad(d->to, f->x, at, start, whole, axis->coef[p]);
    return label;
}

/* The axes of the other operand in the product with dy that is a gradient: a
 * label that only its sums have, and so is the gradient's, brings its extent. */
static const char *other_axes(Diff *d, const Node *n, const Contract *c, int t, int o,
                              const char *dy)
{
    Dim extent[LABELS_MOST];
    Contract with = *c;
    contract_extents(n, c, extent);
    for (int l = 0; l < c->nlabel; l++) {
        int64_t v;
        bool fixed = dim_const(extent[l], &v) && v <= COEF_MOST && !strchr(dy, c->label[l]);
        with.written[l] = fixed ? (int32_t)v : 0;
    }
    return contract_operand(d->arena, &with, t, o);
}

/* The gradient of operand o of term t is the product of dy and the other operand,
 * in the operands' order. Where its axes are sums, windows slide over dy, or over
 * the other one when dy has no batch. */
static void arrive_factor(Diff *d, Node *n, const Contract *c, int t, int o, Factor dy)
{
    Node **in = n->in + attr_int(n, ATTR_acc, 0) + 2 * t, *x = in[o];
    Factor other = {diff_value(d, in[!o]), other_axes(d, n, c, t, !o, dy.axes)};
    bool dy_slides = strchr(dy.axes, 'n') || !strchr(other.axes, 'n');
    char lx[RANK_MOST + 1] = "";
    for (int i = 0; i < x->shape.rank; i++) {
        const ContractAxis *axis = &c->term[t].axis[o][i];
        lx[i] = axis_label(axis) >= 0 ? c->label[axis_label(axis)]
                : dy_slides           ? turn_window(d, c, axis, x->shape.d[i], &dy, &other)
                                      : turn_window(d, c, axis, x->shape.d[i], &other, &dy);
        lx[i + 1] = 0;
    }
    if (o == 0)
        arrive_product(d, x, lx, dy.x, dy.axes, other.x, other.axes);
    else
        arrive_product(d, x, lx, other.x, other.axes, dy.x, dy.axes);
}

/* The factor's place is taken by the gradient, the sum is over what the factor
 * lacks: dW of "nk,km->nm" is "nk,nm->skm". The gradient of a batch_contract
 * is the same for all shards and carries no s. */
static void rule_contract(Diff *d, Node *n, Node *g)
{
    Contract c;
    char out[RANK_MOST + 1];
    int acc = (int)attr_int(n, ATTR_acc, 0);
    contract_of(n, &c);
    memcpy(out, c.label + c.batch, (size_t)(c.nout - c.batch));
    out[c.nout - c.batch] = 0;
    if (acc)
        arrive_plain(d, n->in[0], g);
    for (int t = 0; t < c.nterm; t++)
        for (int o = 0; o < 2; o++)
            if (d->active->node[n->in[acc + 2 * t + o]->id])
                arrive_factor(d, n, &c, t, o, (Factor){g, out});
}

static void rule_sum_shards(Diff *d, Node *n, Node *g)
{
    arrive_plain(d, n->in[0], g);
}

/* ---- indexed ---- */

static void rule_gather(Diff *d, Node *n, Node *g)
{
    Attr shape = attr_of_shape(ATTR_shape, n->in[0]->shape);
    Node *in[] = {diff_value(d, n->in[1]), g};
    arrive_plain(d, n->in[0], node_new(d->to, OP_scatter_add, n->span, in, 2, &shape, 1));
}

static void rule_scatter_add(Diff *d, Node *n, Node *g)
{
    arrive_plain(d, n->in[1], node2(d->to, OP_gather, g, diff_value(d, n->in[0])));
}

/* ---- the table ---- */

typedef void (*Rule)(Diff *d, Node *n, Node *g);

static const Rule rules[NOP] = {
#define MAP1(name, ...) [OP_##name] = rule_map,
#define MAP2(name, ...) [OP_##name] = rule_map,
#define MAP3(name, ...) [OP_##name] = rule_map,
#include "ir/op.def"
    [OP_own_gradient] = rule_own_gradient,
    [OP_cast] = rule_cast,
    [OP_broadcast] = rule_broadcast,
    [OP_reshape] = rule_reshape,
    [OP_transpose] = rule_transpose,
    [OP_slice] = rule_slice,
    [OP_pad] = rule_pad,
    [OP_concat] = rule_concat,
    [OP_reduce_sum] = rule_reduce_sum,
    [OP_reduce_max] = rule_reduce_extremum,
    [OP_reduce_min] = rule_reduce_extremum,
    [OP_contract] = rule_contract,
    [OP_batch_contract] = rule_contract,
    [OP_sum_shards] = rule_sum_shards,
    [OP_gather] = rule_gather,
    [OP_scatter_add] = rule_scatter_add,
};

void grad_rule(Diff *d, Node *n, Node *g)
{
    if (!rules[n->op])
        return;
    if (shape_has_shards(&n->shape) && n->op != OP_batch_contract)
        bug("no gradient through %s of a tensor of shards", op_info[n->op].name);
    rules[n->op](d, n, g);
}
