/* pass_bfloat16: products whose factors are bfloat16 and whose sums are float32.
 *
 * Each factor of a float32 product is rounded (operation bfloat16), once for all
 * products that read it, a scan's constants outside of the loop; the sum stays the
 * chain of ir/contract.h. Where the processor multiplies pairs of bfloat16 the
 * emitter does (emit/pair.c): the chain's bits are the same. Parameters, sums and
 * all other arithmetic are float32.
 */
#include "opt/opt.h"

#include "opt/rewrite.h"

#include <string.h>

static Node *rounded(Graph *g, Node *scan, Node *x)
{
    Node *home = scan ? node_outside(scan, x) : NULL;
    Graph *where = home ? home->graph : g;
    Node *from = home ? home : x;
    for (int i = 0; i < where->nodes.n; i++)
        if (where->nodes.at[i]->op == OP_bfloat16 && where->nodes.at[i]->in[0] == from)
            return home ? scan_constant(scan, where->nodes.at[i]) : where->nodes.at[i];
    Node *r = node1(where, OP_bfloat16, from);
    r->name = x->name;
    return home ? scan_constant(scan, r) : r;
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

static void round_factors(Graph *g, Node *scan)
{
    for (int i = 0, n = g->nodes.n; i < n; i++) {
        Node *old = g->nodes.at[i];
        if (old->op == OP_scan)
            round_factors(old->body, old);
        if (!is_product(old))
            continue;
        Node **in = NEW_ARRAY(g->arena, Node *, old->nin);
        memcpy(in, old->in, sizeof(Node *) * (size_t)old->nin);
        for (int j = attr_int(old, ATTR_acc, 0) != 0; j < old->nin; j++)
            in[j] = rounded(g, scan, in[j]);
        Node *product = node_on(g, old, in);
        product->name = old->name;
        graph_replace(g, old, product);
    }
    graph_compact(g);
}

void pass_bfloat16(Graph *g)
{
    round_factors(g, NULL);
}
