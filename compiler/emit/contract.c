/* Products inside a nest: a register tile of accumulators carried through the
 * loops over the summed labels, each element one fma chain in the order of
 * ir/contract.h. Products of equal loops are computed together, so that the
 * gates of a cell share the loads of its input. */
#include "emit/emit.h"

#include <string.h>

enum { GROUP_MOST = 16, ACC_MOST = 64 };

typedef struct {
    Node *const *group;
    int n, points, term;
    Contract c[GROUP_MOST];
    Dim extent[GROUP_MOST][LABELS_MOST];
    Ix label[GROUP_MOST][LABELS_MOST];     /* summed labels: the same for all rows */
    Ix (*index)[RANK_MOST];                /* of each point of the tile */
    V acc[ACC_MOST];
} Tile;

static bool has_acc(const Node *n)
{
    return attr_int(n, ATTR_acc, 0) != 0;
}

bool contract_joins(const Node *a, const Node *b)
{
    Contract x, y;
    Dim dx[LABELS_MOST], dy[LABELS_MOST];
    contract_of(a, &x);
    contract_of(b, &y);
    contract_extents(a, &x, dx);
    contract_extents(b, &y, dy);
    if (x.nterm != y.nterm)
        return false;
    for (int t = 0; t < x.nterm; t++) {
        if (x.term[t].nsum != y.term[t].nsum)
            return false;
        for (int i = 0; i < x.term[t].nsum; i++)
            if (!dim_equal(dx[x.term[t].sum[i]], dy[y.term[t].sum[i]]))
                return false;
    }
    return true;
}

/* Operand o of the term at hand for product g, at point r of the tile. */
static V operand(Emit *e, Tile *t, int g, int o, int r)
{
    const Node *n = t->group[g];
    const Contract *c = &t->c[g];
    Node *x = n->in[2 * t->term + o + has_acc(n)];
    Ix at[RANK_MOST];
    int skip = kernel_lead(x), out_skip = kernel_lead(n);
    for (int i = skip; i < x->shape.rank; i++) {
        const ContractAxis *axis = &c->term[t->term].axis[o][i];
        at[i - skip] = ix_const(0);
        for (int k = 0; k < axis->n; k++) {
            int l = axis->label[k];
            Ix by = l < c->nout ? t->index[r][l - out_skip] : t->label[g][l];
            at[i - skip] = ix_add(e, at[i - skip], ix_scale(e, by, ix_const(axis->coef[k])));
        }
    }
    return value_at(e, x, at);
}

/* One step of a chain: floats are fused, bytes multiplied and added in 32 bits, words of bytes
 * four at a time. */
static V chain_step(Emit *e, const Node *n, V x, V y, V acc)
{
    if (dtype_is_float(n->dtype))
        return fma_emit(e, x, y, acc);
    if (n->in[n->nin - 1]->dtype == DT_i32)
        return words_step(e, x, y, acc, (unsigned)attr_int(n, ATTR_unsigned, 0));
    x = cast_emit(e, DT_i8, n->dtype, x);
    y = cast_emit(e, DT_i8, n->dtype, y);
    return LLVMBuildAdd(e->b, acc, LLVMBuildMul(e->b, x, y, ""), "");
}

/* ---- pairs of bfloat16 ---- */

/* May steps k and k + 1 of the term be one instruction? */
static bool takes_pairs(const Emit *e, const Tile *t)
{
    for (int g = 0; g < t->n; g++)
        for (int o = 0; o < 2; o++)
            if (!pair_suits(e, t->group[g]->in[2 * t->term + o + has_acc(t->group[g])]))
                return false;
    return true;
}

static void set_label(Tile *t, int level, Ix at)
{
    for (int g = 0; g < t->n; g++)
        t->label[g][t->c[g].term[t->term].sum[level]] = at;
}

static void multiply_pair(Emit *e, Tile *t, int level, Ix k)
{
    Ix next = {k.v, k.c + 1, 0};
    for (int g = 0; g < t->n; g++)
        for (int p = 0; p < t->points; p++) {
            V x[2], y[2], *acc = &t->acc[g * t->points + p];
            point_enter(e, p);
            for (int i = 0; i < 2; i++) {
                set_label(t, level, i ? next : k);
                x[i] = operand(e, t, g, 0, p);
                y[i] = operand(e, t, g, 1, p);
            }
            *acc = pair_emit(e, pair_words(e, x[0], x[1]), pair_words(e, y[0], y[1]), *acc);
        }
}

/* ---- the loops ---- */

static void multiply(Emit *e, Tile *t)
{
    for (int g = 0; g < t->n; g++)
        for (int p = 0; p < t->points; p++) {
            point_enter(e, p);
            V *acc = &t->acc[g * t->points + p];
            *acc = chain_step(e, t->group[g], operand(e, t, g, 0, p), operand(e, t, g, 1, p), *acc);
        }
}

/* The loops over the summed labels from `level` inwards. */
static void sum_loops(Emit *e, Tile *t, int level)
{
    if (level == t->c[0].term[t->term].nsum) {
        multiply(e, t);
        return;
    }
    bool innermost = level + 1 == t->c[0].term[t->term].nsum;
    int nacc = t->n * t->points;
    Dim extent = t->extent[0][t->c[0].term[t->term].sum[level]];
    int64_t count = 0, unroll = 1;
    bool known = dim_const(extent, &count), pairs = innermost && takes_pairs(e, t);
    if (known && innermost && !e->target->small)
        unroll = count <= 4 ? count : 2;
    int64_t whole = known && unroll ? count / unroll * unroll : 0;
    if (!known || whole > unroll) {
        V to = known ? const_i64(e, whole) : dim_emit(e, extent);
        Loop l;
        V i = loop_begin(e, &l, const_i64(e, 0), to, unroll, t->acc, nacc);
        for (int u = 0; u < unroll; u++) {
            if (pairs && u + 1 < unroll) {
                multiply_pair(e, t, level, (Ix){i, u++, 0});
                continue;
            }
            set_label(t, level, (Ix){i, u, 0});
            sum_loops(e, t, level + 1);
        }
        loop_end(e, &l, t->acc);
    } else {
        whole = 0;
    }
    for (int64_t i = whole; known && i < count; i++) {
        if (pairs && i + 1 < count) {
            multiply_pair(e, t, level, ix_const(i++));
            continue;
        }
        set_label(t, level, ix_const(i));
        sum_loops(e, t, level + 1);
    }
}

void contract_emit(Emit *e, Node *const *group, int n, Ix (*index)[RANK_MOST], int points)
{
    Tile *t = NEW(e->arena, Tile);
    t->group = group;
    t->n = n;
    t->points = points;
    t->index = index;
    for (int g = 0; g < n; g++) {
        contract_of(group[g], &t->c[g]);
        contract_extents(group[g], &t->c[g], t->extent[g]);
        for (int p = 0; p < points; p++) {
            point_enter(e, p);
            t->acc[g * points + p] = has_acc(group[g]) ? value_at(e, group[g]->in[0], index[p])
                                                       : const_value(e, group[g]->dtype, 0);
        }
    }
    for (t->term = 0; t->term < t->c[0].nterm; t->term++)
        sum_loops(e, t, 0);
    for (int g = 0; g < n; g++)
        memcpy(&e->memo[INFO(group[g])->local * e->points], &t->acc[g * points],
               sizeof(V) * (size_t)points);
}
