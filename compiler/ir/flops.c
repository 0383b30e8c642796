/* Counts the multiply-adds of a graph's products. */
#include "ir/flops.h"

#include "ir/contract.h"

#include <string.h>

static bool is_constant(const Node *n)
{
    while (n->op == OP_broadcast || n->op == OP_cast || n->op == OP_reshape)
        n = n->in[0];
    return n->op == OP_const;
}

double product_flops(const Node *n, const int64_t *at)
{
    Contract c;
    Dim extent[LABELS_MOST];
    contract_of(n, &c);
    contract_extents(n, &c, extent);
    int first = attr_int(n, ATTR_acc, 0) ? 1 : 0;
    double sum = 0;
    for (int t = 0; t < c.nterm; t++) {
        if (is_constant(n->in[first + 2 * t]) || is_constant(n->in[first + 2 * t + 1]))
            continue;
        double count = 1;
        for (int i = 0; i < c.nlabel; i++)
            if ((i < c.nout || contract_has(&c, t, 0, i) || contract_has(&c, t, 1, i)) &&
                !(c.batch && c.label[i] == 's'))
                count *= (double)dim_value(extent[i], at);
        sum += 2 * count;
    }
    return sum;
}

static double count(const Graph *g, const int64_t *at)
{
    double sum = 0;
    for (int i = 0; i < g->nodes.n; i++) {
        const Node *n = g->nodes.at[i];
        if (n->op == OP_contract || n->op == OP_batch_contract) {
            sum += product_flops(n, at);
        } else if (n->op == OP_scan) {
            const Attr *length = attr_get(n, ATTR_length);
            sum += count(n->body, at) * (double)dim_value(length->u.dim, at);
        }
    }
    return sum;
}

double graph_flops(const Graph *g, int64_t rows, const int64_t *lengths)
{
    int64_t at[SYM_MOST] = {0};
    if (lengths)
        memcpy(at, lengths, sizeof at);
    at[SYM_N] = rows;
    at[SYM_S] = shard_count(rows);
    return count(g, at);
}
