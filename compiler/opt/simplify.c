/* pass_simplify: simpler nodes of equal value, each once, none unused.
 *
 * Rules are in simplify_map.c (numbers and elementwise operations),
 * simplify_view.c (index arithmetic), phases.c (windows over spread tensors) and
 * stable.c (logarithms of probabilities);
 * scan.c drops what a scan computes for nobody. Here is the walk that applies
 * them, with common subexpressions merged on the way: equal operation,
 * attributes and operands. Repeated until nothing changes.
 *
 * Values stay equal to the bit except for: x + 0 and x * 1 where x is -0, sums of -x that are 0,
 * pow(x, 2), pow(x, 3), pow(x, 4), pow(x, 0.5) and pow(x, -1), which become
 * products, a square root and a quotient, products with zeros that phases.c leaves
 * out where the other factor is not finite, the logarithms of stable.c, and
 * broadcasts of constants folded in the dtype they have.
 */
#include "opt/opt.h"

#include "opt/rewrite.h"

#include <string.h>

enum { ROUNDS_MOST = 64 };

/* ---- common subexpressions ---- */

typedef struct { Node **slot; int size; } Table;

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 29;
}

static uint64_t hash_attr(uint64_t h, const Attr *a)
{
    h = mix(h, (uint64_t)a->key);
    switch (a->type) {
    case AT_int:
        return mix(h, (uint64_t)a->u.i);
    case AT_dim:
        return mix(mix(h, (uint64_t)a->u.dim.sym), (uint64_t)a->u.dim.add);
    case AT_shape:
        for (int i = 0; i < a->u.shape.rank; i++)
            h = mix(mix(h, (uint64_t)a->u.shape.d[i].sym), (uint64_t)a->u.shape.d[i].add);
        return h;
    case AT_ints:
        for (int i = 0; i < a->n; i++)
            h = mix(h, (uint64_t)a->u.ints[i]);
        return h;
    case AT_float: {
        uint64_t bits;
        memcpy(&bits, &a->u.f, sizeof bits);
        return mix(h, bits);
    }
    default:
        return h;
    }
}

static uint64_t hash_node(const Node *n)
{
    uint64_t h = mix((uint64_t)n->op, (uint64_t)n->dtype);
    for (int k = 0; k < n->nin; k++)
        h = mix(h, (uint64_t)n->in[k]->id);
    for (int k = 0; k < n->nattr; k++)
        h = hash_attr(h, &n->attr[k]);
    return h;
}

static bool same_bits(const Attr *a, const Attr *b)
{
    if (a->type == AT_float && b->type == AT_float && a->key == b->key) /* 0 is not -0 */
        return !memcmp(&a->u.f, &b->u.f, sizeof a->u.f);
    return attr_equal(a, b);
}

static bool same_node(const Node *a, const Node *b)
{
    if (a->op != b->op || a->nin != b->nin || a->nattr != b->nattr || a->dtype != b->dtype)
        return false;
    for (int k = 0; k < a->nin; k++)
        if (a->in[k] != b->in[k])
            return false;
    for (int k = 0; k < a->nattr; k++)
        if (!same_bits(&a->attr[k], &b->attr[k]))
            return false;
    return true;
}

static void table_grow(Arena *a, Table *t, int nodes)
{
    if (2 * nodes < t->size)
        return;
    Table old = *t;
    t->size = 1024;
    while (t->size < 4 * nodes)
        t->size *= 2;
    t->slot = NEW_ARRAY(a, Node *, t->size);
    for (int i = 0; i < old.size; i++) {
        if (!old.slot[i])
            continue;
        int k = (int)(hash_node(old.slot[i]) & (uint64_t)(t->size - 1));
        while (t->slot[k])
            k = (k + 1) & (t->size - 1);
        t->slot[k] = old.slot[i];
    }
}

/* The first node made equal to n. */
static Node *find_equal(Rewrite *r, Node *n)
{
    Table *t = r->context;
    if (n->op == OP_input || n->op == OP_scan)
        return n;
    table_grow(r->scratch, t, r->g->nodes.n);
    int k = (int)(hash_node(n) & (uint64_t)(t->size - 1));
    for (; t->slot[k]; k = (k + 1) & (t->size - 1))
        if (same_node(t->slot[k], n))
            return t->slot[k];
    return t->slot[k] = n;
}

/* ---- the walk ---- */

/* The sum of -x is that of x, its sign changed: so x need not be made twice. */
static Node *simplify_sum(Rewrite *r, Node *n)
{
    if (n->in[0]->op != OP_neg)
        return n;
    Node *x = n->in[0]->in[0];
    return node1(r->g, OP_neg, node_on(r->g, n, &x));
}

static Node *rule(Rewrite *r, Node *n)
{
    if (op_info[n->op].kind == KIND_map)
        n = simplify_map(r, n);
    if (n->op == OP_reduce_sum)
        n = simplify_sum(r, n);
    n = simplify_view(r, n);
    n = simplify_window(r, n);
    if (n->op == OP_log)
        n = stable_log(r, n);
    return find_equal(r, n);
}

void pass_simplify(Graph *g)
{
    graph_compact(g);
    for (int round = 0; round < ROUNDS_MOST; round++) {
        Table t = {0};
        for_bodies(g, pass_simplify);
        bool pruned = prune_scans(g);
        if (pruned)
            graph_compact(g);
        if (!rewrite(g, rule, &t) && !pruned)
            return;
    }
}
