/* The table of costs: rates of one Zen 4 core at 3.64 GHz, as its loops were measured. */
#include "ir/cost.h"

#include "ir/flops.h"

/* Gigabytes a second. */
static const double read_rate[] = {[LEVEL_near] = 100, [LEVEL_far] = 80, [LEVEL_memory] = 27.5};

/* A line that is written to memory is read first. */
static const double trips[] = {[LEVEL_near] = 2, [LEVEL_far] = 2, [LEVEL_memory] = 3};

enum { PICO = 1000 }; /* picoseconds of one of a thousand millions a second */

Level cost_level(double bytes)
{
    return bytes <= COST_WITHIN ? LEVEL_near : bytes < COST_BEYOND ? LEVEL_far : LEVEL_memory;
}

double cost_keep(Level level)
{
    return trips[level] * cost_read(level);
}

double cost_read(Level level)
{
    return PICO / read_rate[level];
}

/* Values of float32 a nanosecond; 0: as many as additions, or as Work says. */
static const double value_rate[NOP] = {
    [OP_div] = 5.8,    [OP_sqrt] = 3.9,     [OP_mod] = 3,   [OP_exp] = 5.3,  [OP_expm1] = 4.4,
    [OP_log] = 4.4,    [OP_log1p] = 4.4,    [OP_tanh] = 4.4, [OP_sigmoid] = 4, [OP_erf] = 3,
    [OP_softplus] = 2, [OP_sin] = 4.4,      [OP_cos] = 4.4, [OP_probit] = 2, [OP_pow] = 2,
    [OP_random] = 1.7,
};
enum { ADD_RATE = 116, FLOP_RATE = 117 };

bool cost_is_least(Op op)
{
    return op_info[op].kind == KIND_map && value_rate[op] == 0;
}

static double elements(const Node *n)
{
    double count = 1;
    for (int i = 0; i < n->shape.rank; i++) {
        int64_t extent;
        bool known = dim_const(n->shape.d[i], &extent);
        bool rows = i == 0 && (shape_has_batch(&n->shape) || shape_has_shards(&n->shape));
        count *= rows ? 1 : known ? (double)extent : COST_LENGTH;
    }
    return count;
}

double cost_bytes(const Node *n)
{
    double bytes = elements(n) * dtype_size(n->dtype);
    return shape_has_batch(&n->shape) ? bytes : bytes / BLOCK_ROWS;
}

/* As many values of float64 take two vectors. */
static double vectors(Dtype dt)
{
    return dt == DT_f64 ? 2 : 1;
}

static void one_row(int64_t *at)
{
    for (int i = 0; i < SYM_MOST; i++)
        at[i] = i >= SYM_length ? COST_LENGTH : 1;
}

/* What is gathered, joined or padded is read and written. */
static double cost_move(const Node *n)
{
    return cost_bytes(n) * cost_keep(LEVEL_near);
}

double cost_node(const Node *n)
{
    int64_t at[SYM_MOST];
    Work w = {0};
    double share = (shape_has_batch(&n->shape) ? 1 : 1.0 / BLOCK_ROWS) * vectors(n->dtype);
    one_row(at);
    switch (op_info[n->op].kind) {
    case KIND_leaf:
    case KIND_view:
    case KIND_scan:
        return 0;
    case KIND_contract:
    case KIND_batch:
    case KIND_reduce:
        node_work(n, at, 1, &w);
        return share * PICO * (w.products / FLOP_RATE + w.arithmetic / ADD_RATE) +
               cost_bytes(n->in[0]) * cost_read(LEVEL_near);
    case KIND_gather:
    case KIND_scatter:
        return cost_move(n);
    default:
        if (n->op == OP_result)
            return 0;
        if (n->op == OP_pad || n->op == OP_concat)
            return cost_move(n);
        return share * PICO * elements(n) / (value_rate[n->op] > 0 ? value_rate[n->op] : ADD_RATE);
    }
}

double cost_graph(const Graph *g)
{
    double sum = 0;
    for (int i = 0; i < g->nodes.n; i++) {
        const Node *n = g->nodes.at[i];
        int64_t steps;
        if (n->op != OP_scan)
            sum += cost_node(n);
        else
            sum += cost_graph(n->body) *
                   (dim_const(attr_get(n, ATTR_length)->u.dim, &steps) ? (double)steps
                                                                       : COST_LENGTH);
    }
    return sum;
}
