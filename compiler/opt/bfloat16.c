/* pass_bfloat16: products whose factors are bfloat16 and whose sums are float32.
 *
 * Each factor of a float32 product is rounded (operation bfloat16), once for all
 * products that read it, what is constant in loops outside of all of them; the sum
 * stays the chain of ir/contract.h. Where the processor multiplies pairs of bfloat16 the
 * emitter does (emit/pair.c): the chain's bits are the same. Parameters, sums and
 * all other arithmetic are float32.
 */
#include "opt/opt.h"

#include "opt/rewrite.h"

#include <string.h>

/* A loop whose body is at hand, or none, and what is around it. */
typedef struct Around { Node *scan; const struct Around *outer; } Around;

static Node *rounded(const Around *around, Graph *g, Node *x)
{
    Node *home = around->scan ? node_outside(around->scan, x) : NULL;
    if (home)
        return scan_constant(around->scan, rounded(around->outer, home->graph, home));
    for (int i = 0; i < g->nodes.n; i++)
        if (g->nodes.at[i]->op == OP_bfloat16 && g->nodes.at[i]->in[0] == x)
            return g->nodes.at[i];
    Node *r = node1(g, OP_bfloat16, x);
    r->name = x->name;
    return r;
}

/* A factor that is a number, such as the 1 of a bias's sum, is exact or not worth it. */
static bool is_product(const Node *n)
{
    double v;
    int acc = attr_int(n, ATTR_acc, 0) != 0;
    if ((n->op != OP_contract && n->op != OP_batch_contract) || n->dtype != DT_f32)
        return false;
    for (int i = acc; i < n->nin; i++)
        if (n->in[i]->dtype != DT_f32 || is_number(n->in[i], &v))
            return false;
    return true;
}

static void round_factors(Graph *g, Around around)
{
    for (int i = 0, n = g->nodes.n; i < n; i++) {
        Node *old = g->nodes.at[i];
        if (old->op == OP_scan)
            round_factors(old->body, (Around){old, &around});
        if (!is_product(old))
            continue;
        Node **in = NEW_ARRAY(g->arena, Node *, old->nin);
        memcpy(in, old->in, sizeof(Node *) * (size_t)old->nin);
        for (int j = attr_int(old, ATTR_acc, 0) != 0; j < old->nin; j++)
            in[j] = rounded(&around, g, in[j]);
        Node *product = node_on(g, old, in);
        product->name = old->name;
        graph_replace(g, old, product);
    }
    graph_compact(g);
}

void pass_bfloat16(Graph *g)
{
    round_factors(g, (Around){NULL, NULL});
}
