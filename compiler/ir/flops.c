/* Counts the work of a graph. */
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

/* Values that cost a polynomial, or rounds of a generator. */
static bool is_function(Op op)
{
    static const bool functions[NOP] = {
        [OP_exp] = true,  [OP_expm1] = true,   [OP_log] = true,      [OP_log1p] = true,
        [OP_tanh] = true, [OP_sigmoid] = true, [OP_softplus] = true, [OP_erf] = true,
        [OP_sin] = true,  [OP_cos] = true,     [OP_probit] = true,   [OP_pow] = true,
        [OP_random] = true};
    return functions[op];
}

/* Of floats: what moves, converts or selects is none. */
static bool is_arithmetic(const Node *n)
{
    bool real = n->dtype == DT_f32 || n->dtype == DT_f64;
    return real && op_info[n->op].kind == KIND_map && n->op != OP_cast &&
           n->op != OP_stop_gradient && n->op != OP_select;
}

static double elements(const Node *n, const int64_t *at)
{
    double count = 1;
    for (int i = 0; i < n->shape.rank; i++)
        count *= (double)dim_value(n->shape.d[i], at);
    return count;
}

void node_work(const Node *n, const int64_t *at, double times, Work *w)
{
    if (is_function(n->op))
        w->functions += times * elements(n, at);
    else if (n->op == OP_contract || n->op == OP_batch_contract)
        w->products += times * product_flops(n, at);
    else if (n->op == OP_scatter_add)
        w->arithmetic += times * elements(n->in[1], at);
    else if (op_info[n->op].kind == KIND_reduce || n->op == OP_sum_shards)
        w->arithmetic += times * elements(n->in[0], at);
    else if (is_arithmetic(n))
        w->arithmetic += times * elements(n, at);
}

static void add_work(const Graph *g, const int64_t *at, double times, Work *w)
{
    for (int i = 0; i < g->nodes.n; i++) {
        const Node *n = g->nodes.at[i];
        if (n->op == OP_scan)
            add_work(n->body, at, times * (double)dim_value(attr_get(n, ATTR_length)->u.dim, at),
                     w);
        else
            node_work(n, at, times, w);
    }
}

Work graph_work(const Graph *g, int64_t rows, const int64_t *lengths)
{
    Work w = {0};
    int64_t at[SYM_MOST] = {0};
    if (lengths)
        memcpy(at, lengths, sizeof at);
    at[SYM_N] = rows;
    at[SYM_S] = shard_count(rows);
    add_work(g, at, 1, &w);
    return w;
}

double graph_flops(const Graph *g, int64_t rows, const int64_t *lengths)
{
    return graph_work(g, rows, lengths).products;
}
