/* Logarithms of probabilities, from the numbers that the probabilities came of.
 *
 *   p = e / sum(e), e = exp(u)        log p          = u - log(sum(e))
 *   p / sum(p) of such a p            the same       (sum(p) is 1)
 *   p = sigmoid(z)                    log p          = -softplus(-z)
 *                                     log(1 - p)     = -softplus(z)
 *
 * A clip of p to [lo, hi] within [0, 1e-4] and [1 - 1e-4, 1] is there to keep the
 * logarithm finite, which these forms are by themselves, and is dropped, as
 * Keras does on TensorFlow. softmax subtracts its maximum before exp: u is then
 * z - max(z), and nothing overflows. Elementwise f commutes with views, so that
 * a broadcast, reshape, transpose or slice in between does not hide p.
 */
#include "opt/rewrite.h"

static const double CLIP_MOST = 1e-4;

static bool is_view(const Node *n)
{
    return op_info[n->op].kind == KIND_view;
}

/* Through broadcasts, and reshapes, to the tensor they repeat. */
static Node *under_views(Node *n)
{
    while (n->op == OP_broadcast || n->op == OP_reshape || n->op == OP_stop_gradient)
        n = n->in[0];
    return n;
}

/* x of max(min(x, hi), lo), in either order and nesting; n itself when it is no clip. */
static Node *under_clip(Node *n)
{
    for (;;) {
        double c;
        int k;
        if (n->op != OP_max && n->op != OP_min)
            return n;
        if (is_number(n->in[1], &c))
            k = 0;
        else if (is_number(n->in[0], &c))
            k = 1;
        else
            return n;
        if (n->op == OP_max ? c < 0 || c > CLIP_MOST : c > 1 || c < 1 - CLIP_MOST)
            return n;
        if (!shape_equal(&n->in[k]->shape, &n->shape))
            return n;
        n = n->in[k];
    }
}

/* The softmax p = exp(u) / s: returns the sum over exp(u), or null. */
static Node *softmax_sum(const Node *p)
{
    if (p->op != OP_div)
        return NULL;
    Node *e = under_views(p->in[0]), *s = under_views(p->in[1]);
    return e->op == OP_exp && s->op == OP_reduce_sum && under_views(s->in[0]) == e ? s : NULL;
}

/* The softmax itself, or the one that n = p / sum(p) is of; null when neither. */
static Node *softmax_of(Node *n)
{
    n = under_clip(n);
    if (softmax_sum(n))
        return n;
    if (n->op != OP_div)
        return NULL;
    Node *p = under_views(n->in[0]), *total = under_views(n->in[1]);
    Node *s = softmax_sum(p);
    if (!s || total->op != OP_reduce_sum || under_views(total->in[0]) != p ||
        !attr_equal(attr_get(total, ATTR_axes), attr_get(s, ATTR_axes)) ||
        !shape_equal(&p->shape, &n->shape) || n->in[0] != p)
        return NULL;
    return p;
}

/* z of sigmoid(z), or null. */
static Node *sigmoid_of(Node *n)
{
    n = under_clip(n);
    return n->op == OP_sigmoid ? n->in[0] : NULL;
}

/* log(x) by a stable form, or null when x is no such probability. */
static Node *log_of(Graph *g, Node *x)
{
    Node *z, *p, *y = under_clip(x);
    if (is_view(y)) {
        Node *inner = log_of(g, y->in[0]);
        return inner ? node_on(g, y, &inner) : NULL;
    }
    if ((z = sigmoid_of(y)))
        return node1(g, OP_neg, node1(g, OP_softplus, node1(g, OP_neg, z)));
    if (y->op == OP_sub && is_number_of(y->in[0], 1) &&
        shape_equal(&y->in[1]->shape, &y->shape) && (z = sigmoid_of(y->in[1])))
        return node1(g, OP_neg, node1(g, OP_softplus, z));
    if (!(p = softmax_of(y)))
        return NULL;
    /* views between exp and the quotient are laid around its operand */
    Node *u = p->in[0];
    int depth = 0;
    Node *chain[RANK_MOST * 2];
    while (u->op != OP_exp) {
        if (depth == RANK_MOST * 2)
            return NULL;
        chain[depth++] = u;
        u = u->in[0];
    }
    u = u->in[0];
    while (depth)
        u = node_on(g, chain[--depth], &u);
    return node2(g, OP_sub, u, node1(g, OP_log, p->in[1]));
}

Node *stable_log(Rewrite *r, Node *n)
{
    Node *s = log_of(r->g, n->in[0]);
    return s && s->dtype == n->dtype && shape_equal(&s->shape, &n->shape) ? s : n;
}
