/* pass_layout: rows or features in the vector lanes?
 *
 * Compiled code keeps the rows of a block in the lanes: no lane is wasted
 * whatever the number of features, but a batch of 50 rows costs as much as 64,
 * and a single one as much as 32. With features in the lanes (columns) rows
 * cost what they are, and layers of 50 units cost as much as 64. The choice
 * compares the two paddings, weighted by the products' work, for the batch that
 * is expected; no bit depends on it.
 *
 * In columns a product reads its weights along the output's last axis. Weights
 * that lie the other way round, as those of most gradients do, get a copy that
 * lies along it, made once a step. With rows in the lanes a product reads its
 * weights one by one along what it sums: there large weights that lie along the
 * output's last axis get a copy that does not. In columns large weights that lie
 * right get a copy, too: lowering packs what only products read (STEP_pack).
 */
#include "opt/opt.h"

#include "ir/contract.h"
#include "opt/rewrite.h"

#include <string.h>

enum { LANES = 16 };

/* ---- the choice ---- */

static double padded(double n, double to)
{
    int64_t whole = (int64_t)((n + to - 1) / to);
    return (double)whole * to;
}

typedef struct { double work, columns; } Cost;

/* Work of a product for one row, and what it costs with its last axis in the lanes. */
static void add_product(Cost *cost, const Node *n)
{
    Contract c;
    Dim extent[LABELS_MOST];
    contract_of(n, &c);
    contract_extents(n, &c, extent);
    for (int t = 0; t < c.nterm; t++) {
        double work = 1, last = 1;
        for (int l = 0; l < c.nlabel; l++) {
            int64_t count = 1;
            bool used = contract_has(&c, t, 0, l) || contract_has(&c, t, 1, l);
            if (used && c.label[l] != 'n' && !dim_const(extent[l], &count))
                count = LANES;
            work *= (double)count;
            if (l == c.nout - 1 && c.label[l] != 'n')
                last = (double)count;
        }
        cost->work += work;
        cost->columns += work * padded(last, LANES) / last;
    }
}

static void add_graph(Cost *cost, const Graph *g)
{
    for (int i = 0; i < g->nodes.n; i++) {
        const Node *n = g->nodes.at[i];
        if (n->body)
            add_graph(cost, n->body);
        else if ((n->op == OP_contract && shape_has_batch(&n->shape)) || n->op == OP_batch_contract)
            add_product(cost, n);
    }
}

/* Rows that are computed when rows lie in the lanes. */
static double rows_in_lanes(int64_t rows)
{
    int64_t shard = shard_rows(rows);
    double cost = 0;
    for (int64_t at = 0; at < rows; at += shard)
        cost += padded((double)(rows - at < shard ? rows - at : shard), (double)block_room(rows));
    return cost;
}

static bool columns_win(const Graph *g, int64_t rows)
{
    enum { CLOSE_CALL = 20 }; /* one part in so many: rows in the lanes stay */
    Cost cost = {0};
    add_graph(&cost, g);
    double lanes = cost.work * rows_in_lanes(rows) / (double)rows;
    return cost.columns * (1 + 1.0 / CLOSE_CALL) < lanes;
}

int64_t layout_columns_most(const Graph *g, int64_t most)
{
    int64_t n = 0;
    while (n < most && columns_win(g, n + 1))
        n++;
    return n;
}

/* ---- copies of weights ---- */

typedef struct { int from, to; } Move; /* of an operand's axis; from -1: no copy */
typedef struct Around {
    bool columns;
    Node *scan;    /* whose body is at hand, or null */
    int64_t reads; /* rows, times rounds of the loops: how often weights are read */
    const struct Around *outer; /* of scan */
} Around;

/* A parameter, or a view of one, seen through all loops; null where it is neither. */
static Node *outside_all(const Around *around, Node *x)
{
    for (; around->scan && x; around = around->outer)
        x = node_outside(around->scan, x);
    return x;
}

/* A value outside of all loops as the innermost body sees it. */
static Node *inside(const Around *around, Node *value)
{
    return around->scan ? scan_constant(around->scan, inside(around->outer, value)) : value;
}

/* Do few cache lines and pages not suffice for the weights, and are they read often
 * enough to be worth a copy? */
static bool is_large(const Node *n, const Contract *c, int t, int o, const Node *x, int64_t reads)
{
    enum { LARGE = 1 << 14, OFTEN = 1024 };
    Dim extent[LABELS_MOST];
    int64_t count;
    contract_extents(n, c, extent);
    for (int l = 0; l < c->nout; l++)
        if (c->label[l] != 'n' && !contract_has(c, t, o, l))
            reads *= dim_const(extent[l], &count) ? count : LANES;
    return shape_count(&x->shape, 0, &count) && count >= LARGE && reads >= OFTEN;
}

/* Where the axis of operand o that is the output's last label must go: in columns to
 * the end; else, of large weights, to the front. */
static Move wanted_move(const Node *n, const Contract *c, int t, int o, const Around *around)
{
    int last = c->term[t].rank[o] - 1, at = last;
    const Node *x = n->in[(attr_int(n, ATTR_acc, 0) != 0) + 2 * t + o];
    while (at >= 0 && axis_label(&c->term[t].axis[o][at]) != c->nout - 1)
        at--;
    if (at < 0 || shape_has_batch(&x->shape) || shape_has_shards(&x->shape))
        return (Move){-1, -1};
    if (around->columns && at < last)
        return (Move){at, last};
    if (last < 1 || at < last || contract_is_affine(c) || !is_large(n, c, t, o, x, around->reads))
        return (Move){-1, -1};
    return (Move){last, around->columns ? last : 0};
}

/* x with an axis elsewhere, as a copy in memory. */
static Node *moved(Graph *g, Node *x, Move m)
{
    int perm[RANK_MOST];
    for (int i = 0, k = 0; i < x->shape.rank; i++, k++) {
        if (i == m.to)
            k--;
        else if (k == m.from)
            k++;
        perm[i] = i == m.to ? m.from : k;
    }
    Node *turned = node1(g, OP_stop_gradient, m.from == m.to ? x : make_transpose(g, x, perm));
    turned->name = x->name;
    return turned;
}

static bool same_sums(const Contract *a, const Contract *b)
{
    for (int t = 0; t < a->nterm; t++) {
        if (a->term[t].nsum != b->term[t].nsum)
            return false;
        for (int i = 0; i < a->term[t].nsum; i++)
            if (a->label[a->term[t].sum[i]] != b->label[b->term[t].sum[i]])
                return false;
    }
    return true;
}

/* The product with its weights as it reads them best, or null. */
static Node *with_copies(Graph *g, const Node *n, const Around *around)
{
    Contract c, now;
    const char *why;
    bool changed = false;
    int acc = attr_int(n, ATTR_acc, 0) != 0;
    contract_of(n, &c);
    Node **in = NEW_ARRAY(g->arena, Node *, n->nin);
    memcpy(in, n->in, sizeof(Node *) * (size_t)n->nin);
    for (int t = 0; t < c.nterm; t++)
        for (int o = 0; o < 2; o++) {
            Node **x = &in[acc + 2 * t + o];
            Move m = wanted_move(n, &c, t, o, around);
            Node *home = m.from < 0 ? NULL : outside_all(around, *x);
            if (!home)
                continue;
            *x = inside(around, moved(home->graph, home, m));
            ContractAxis *axis = c.term[t].axis[o], it = axis[m.from];
            memmove(&axis[m.from], &axis[m.from + 1],
                    sizeof it * (size_t)(c.term[t].rank[o] - 1 - m.from));
            memmove(&axis[m.to + 1], &axis[m.to],
                    sizeof it * (size_t)(c.term[t].rank[o] - 1 - m.to));
            axis[m.to] = it;
            changed = true;
        }
    if (!changed)
        return NULL;
    const char *spec = contract_text(g->arena, &c);
    Contract before;
    contract_of(n, &before);
    if (!contract_parse(spec, &now, &why) || !same_sums(&before, &now))
        return NULL;
    Attr attr[8];
    memcpy(attr, n->attr, sizeof(Attr) * (size_t)n->nattr);
    for (int i = 0; i < n->nattr; i++)
        if (attr[i].key == ATTR_spec)
            attr[i] = attr_of_str(ATTR_spec, spec);
    Node *product = node_new(g, n->op, n->span, in, n->nin, attr, n->nattr);
    product->name = n->name;
    return product;
}

static void copy_weights(Graph *g, Around around)
{
    int64_t rounds = LANES;
    if (around.scan) {
        dim_const(attr_get(around.scan, ATTR_length)->u.dim, &rounds);
        around.reads *= rounds;
    }
    for (int i = 0, n = g->nodes.n; i < n; i++) {
        Node *old = g->nodes.at[i];
        if (old->op == OP_scan)
            copy_weights(old->body, (Around){around.columns, old, around.reads, &around});
        if (old->op != OP_contract || !shape_has_batch(&old->shape))
            continue;
        Node *product = with_copies(g, old, &around);
        if (product)
            graph_replace(g, old, product);
    }
    graph_compact(g);
}

void pass_layout(Graph *g, int64_t rows, Layout asked)
{
    if (rows < 1)
        return;
    if (asked == LAYOUT_columns || (asked == LAYOUT_auto && columns_win(g, rows)))
        g->columns = rows;
    copy_weights(g, (Around){g->columns > 0, NULL, rows, NULL});
}
