/* Sums that gradients need: un-broadcasting, once for all operations, and the
 * products that come of products.
 *
 * A sum over the batch is one batch_contract that contracts all other summed
 * axes with it: the gradient of W in x[N, T, k] @ W[k, m] is "ntk,ntm->skm" and
 * that of a bias "n,ntm->sm" with a constant 1 of shape [N].
 */
#include "grad/diff.h"

#include "ir/contract.h"

#include <string.h>

/* Labels for axes that need names, from the last axis on: 'n' and 's' are the
 * batch and the shards. */
static const char letters[] = "mkjihgfedcba";

static Shape batch_only(void)
{
    return shape_of(1, dim_sym(SYM_N));
}

static void push(char *text, char c)
{
    size_t n = strlen(text);
    text[n] = c;
    text[n + 1] = 0;
}

Shape product_shape(const char *spec, Node *a, Node *b)
{
    const char *why;
    Contract c;
    Dim extent[LABELS_MOST];
    if (!contract_parse(spec, &c, &why))
        bug("product %s: %s", spec, why);
    contract_extents_of((Node *[]){a, b}, &c, extent);
    Shape s = {.rank = c.nout};
    memcpy(s.d, extent, sizeof(Dim) * (size_t)c.nout);
    return s;
}

/* ---- un-broadcasting ---- */

/* The axis of x that axis i of the broadcast shape comes from, or -1. */
static int source_axis(const Shape *x, const Shape *out, int i)
{
    bool x_leads = shape_has_batch(x) || shape_has_shards(x);
    bool out_leads = shape_has_batch(out) || shape_has_shards(out);
    if (i == 0 && out_leads)
        return x_leads ? 0 : -1;
    int k = i - (out->rank - x->rank);
    return k >= (x_leads ? 1 : 0) ? k : -1;
}

static bool is_summed(const Shape *x, const Shape *out, int i)
{
    int k = source_axis(x, out, i);
    return k < 0 || (dim_is(x->d[k], 1) && !dim_is(out->d[i], 1));
}

/* A factor of a product that is summed away is a factor of the contraction:
 * the gradient of p in p[m] * x[N, m] is "nm,nm->sm" of dy and x. */
static bool is_plain_product(const Node *g)
{
    return g->op == OP_mul && shape_equal(&g->in[0]->shape, &g->shape) &&
           shape_equal(&g->in[1]->shape, &g->shape);
}

/* 1 for each row: with it a sum over the batch is a product. */
static Node *ones(Diff *d, Dtype dt)
{
    return make_broadcast(d->to, make_const_of(d->to, dt, 1), batch_only());
}

void arrive_rows(Diff *d, Node *x, Node *g, Shape keep)
{
    char labels[RANK_MOST + 1] = "";
    for (int i = 1; i < g->shape.rank; i++)
        push(labels, letters[g->shape.rank - 1 - i]);
    arrive(d, x, (Arrival){.kind = ARRIVE_batch, .keep = keep, .a = ones(d, g->dtype), .b = g,
                           .spec = arena_printf(d->arena, "n,n%s->s%s", labels, labels)});
}

static void arrive_batch_sum(Diff *d, Node *x, Node *g, bool is_own)
{
    char labels[RANK_MOST + 1] = "n", spec[4 * RANK_MOST] = "", out[RANK_MOST + 2] = "s";
    for (int i = 1; i < g->shape.rank; i++) {
        char label = letters[g->shape.rank - 1 - i];
        push(labels, label);
        if (!is_summed(&x->shape, &g->shape, i))
            push(out, label);
    }
    Arrival a = {.kind = ARRIVE_batch, .keep = x->shape};
    if (is_own && is_plain_product(g)) {
        strcat(spec, labels);
        a.a = g->in[0];
        a.b = g->in[1];
    } else {
        strcat(spec, "n");
        a.a = ones(d, g->dtype);
        a.b = g;
    }
    a.spec = arena_printf(d->arena, "%s,%s->%s", spec, labels, out);
    arrive(d, x, a);
}

void arrive_broadcast(Diff *d, Node *x, Node *g, bool is_own)
{
    if (!d->active->node[x->id])
        return;
    if (shape_equal(&x->shape, &g->shape)) {
        arrive_plain(d, x, g);
        return;
    }
    if (shape_has_batch(&g->shape) && !shape_has_batch(&x->shape)) {
        arrive_batch_sum(d, x, g, is_own);
        return;
    }
    int axes[RANK_MOST], n = 0;
    for (int i = 0; i < g->shape.rank; i++)
        if (is_summed(&x->shape, &g->shape, i))
            axes[n++] = i;
    if (n)
        g = make_reduce(d->to, OP_reduce_sum, g, axes, n);
    arrive_plain(d, x, make_reshape(d->to, g, x->shape));
}

/* ---- products ---- */

static bool all_in(const char *labels, const char *set)
{
    return strspn(labels, set) == strlen(labels);
}

/* x, with axes named by l, as an operand whose axes are those of out that l has,
 * extent 1 for those it lacks. */
static Node *align_to(Graph *g, Node *x, const char *l, const char *out)
{
    int perm[RANK_MOST], n = 0;
    Shape s = {.rank = 0};
    if (x->shape.rank == 0)
        return x;
    for (const char *c = out; *c; c++) {
        const char *at = strchr(l, *c);
        if (at)
            perm[n++] = (int)(at - l);
        if (at || *c != 'n') /* a missing batch needs no axis */
            s.d[s.rank++] = at ? x->shape.d[at - l] : dim_int(1);
    }
    return make_reshape(g, make_transpose(g, x, perm), s);
}

void arrive_product(Diff *d, Node *x, const char *lx, Node *a, const char *la, Node *b,
                    const char *lb)
{
    char have[RANK_MOST + 1] = "";
    Shape keep = {.rank = 0};
    for (int i = 0; lx[i]; i++) {
        bool found = strchr(la, lx[i]) || strchr(lb, lx[i]);
        if (found)
            push(have, lx[i]);
        if (found || lx[i] != 'n') /* a missing batch is broadcast from nothing */
            keep.d[keep.rank++] = found ? x->shape.d[i] : dim_int(1);
    }
    bool batch = !strchr(lx, 'n') && (strchr(la, 'n') || strchr(lb, 'n'));
    if (batch) {
        Arrival r = {.kind = ARRIVE_batch, .a = a, .b = b, .keep = keep};
        r.spec = arena_printf(d->arena, "%s,%s->s%s", la, lb, have);
        arrive(d, x, r);
        return;
    }
    Node *g;
    if (all_in(la, have) && all_in(lb, have)) {
        /* nothing is summed: a product of elements, which fuses with its neighbours */
        g = node2(d->to, OP_mul, align_to(d->to, a, la, have), align_to(d->to, b, lb, have));
    } else {
        const char *spec = arena_printf(d->arena, "%s,%s->%s", la, lb, have);
        g = make_contract(d->to, spec, (Node *[]){a, b}, 2);
    }
    g = make_reshape(d->to, g, keep);
    arrive_plain(d, x, make_broadcast(d->to, g, x->shape));
}
