/* pass_concat: sums of products become one product of several terms.
 *
 *   x @ W + h @ U + b   ->   contract("nk,km+nj,jm->nm", x, W, h, U) + b
 *
 * Found are trees of additions whose inner additions nobody else uses; their
 * products (of the tree's shape, without acc, used here alone) become terms of
 * one product in the order of the text, the rest is added to it in order. One
 * chain of fma takes the place of several and their additions: this
 * reassociates, as the definition of `x @ W + h @ U` in contract.h asks.
 */
#include "opt/opt.h"

#include "ir/contract.h"
#include "opt/rewrite.h"

#include <string.h>

typedef LIST(Node *) Nodes;

typedef struct {
    Graph *g;
    Arena *scratch;
    int *uses;
    bool *absorbed;   /* by id: an addition inside a tree that was seen */
    Node **to;        /* by id: what takes the place of a tree */
} Concat;

static bool same_type(const Node *a, const Node *b)
{
    return a->dtype == b->dtype && shape_equal(&a->shape, &b->shape);
}

static bool is_inner(const Concat *c, const Node *top, const Node *n)
{
    return n->op == OP_add && c->uses[n->id] == 1 && same_type(n, top);
}

/* The leaves of the tree of additions under `top`, from left to right. */
static Nodes find_leaves(Concat *c, Node *top)
{
    Nodes leaves = {0}, stack = {0};
    list_push(c->scratch, &stack, top);
    while (stack.n) {
        Node *n = stack.at[--stack.n];
        if (n != top && !is_inner(c, top, n)) {
            list_push(c->scratch, &leaves, n);
            continue;
        }
        c->absorbed[n->id] |= n != top;
        list_push(c->scratch, &stack, n->in[1]);
        list_push(c->scratch, &stack, n->in[0]);
    }
    return leaves;
}

static bool is_term(const Concat *c, const Node *top, const Node *n)
{
    return n->op == OP_contract && c->uses[n->id] == 1 && same_type(n, top) &&
           !attr_int(n, ATTR_acc, 0);
}

/* ---- joining the index notations ---- */

typedef struct {
    char letter[LABELS_MOST]; /* of the joined product; the output's first */
    int n, nout;
    bool taken[256];
} Letters;

static char fresh_letter(Letters *l)
{
    for (const char *c = "kjitmabcdefghlopqruvwxyz"; *c; c++)
        if (!l->taken[(unsigned char)*c]) {
            l->taken[(unsigned char)*c] = true;
            return *c;
        }
    return 0;
}

/* Letters for product p: its output's are the joined product's, its summed ones
 * are new. False when there are not enough. */
static bool rename_labels(Letters *l, Contract *p)
{
    if (l->n + p->nlabel - p->nout > LABELS_MOST)
        return false;
    for (int i = 0; i < p->nlabel; i++) {
        char c = i < p->nout ? l->letter[i] : fresh_letter(l);
        if (!c)
            return false;
        if (i >= p->nout)
            l->letter[l->n++] = c;
        p->label[i] = c;
    }
    return true;
}

static void begin_letters(Letters *l, const Contract *p)
{
    memset(l, 0, sizeof *l);
    l->taken['n'] = l->taken['s'] = true;
    l->n = l->nout = p->nout;
    for (int i = 0; i < p->nout; i++) {
        l->letter[i] = p->label[i];
        l->taken[(unsigned char)p->label[i]] = true;
    }
}

/* "nk,km" of "nk,km->nm": the terms alone. */
static const char *terms_text(Arena *a, const Contract *p)
{
    char *text = contract_text(a, p);
    *strstr(text, "->") = 0;
    return text;
}

static bool is_lead_label(const Contract *p, int i)
{
    return p->label[i] == 'n' || p->label[i] == 's';
}

/* Joins as many of the products as letters and terms suffice for; those joined
 * are taken out of `terms`. */
static Node *join(Concat *c, Nodes *terms)
{
    Arena *a = c->scratch;
    Letters l;
    Nodes in = {0}, rest = {0};
    const char *spec = NULL, *out = NULL;
    int nterm = 0;
    for (int i = 0; i < terms->n; i++) {
        Node *n = terms->at[i];
        Contract p;
        contract_of(n, &p);
        if (!spec)
            begin_letters(&l, &p);
        bool lead = p.nout > 0 && is_lead_label(&p, 0);
        if (nterm + p.nterm > TERMS_MOST || (lead && p.label[0] != l.letter[0]) ||
            !rename_labels(&l, &p)) {
            list_push(a, &rest, n);
            continue;
        }
        nterm += p.nterm;
        spec = spec ? arena_printf(a, "%s+%s", spec, terms_text(a, &p)) : terms_text(a, &p);
        out = strstr(contract_text(a, &p), "->");
        for (int k = 0; k < n->nin; k++)
            list_push(a, &in, n->in[k]);
    }
    *terms = rest;
    return make_contract(c->g, arena_printf(a, "%s%s", spec, out), in.at, in.n);
}

/* ---- the pass ---- */

static bool join_tree(Concat *c, Node *top)
{
    Nodes leaves = find_leaves(c, top), terms = {0}, others = {0};
    for (int i = 0; i < leaves.n; i++) {
        Node *n = leaves.at[i];
        if (is_term(c, top, n))
            list_push(c->scratch, &terms, n);
        else
            list_push(c->scratch, &others, n);
    }
    if (terms.n < 2)
        return false;
    Node *sum = join(c, &terms);
    sum->span = top->span;
    for (int i = 0; i < terms.n + others.n; i++) {
        Node *y = i < terms.n ? terms.at[i] : others.at[i - terms.n];
        sum = node2(c->g, OP_add, sum, y);
        sum->span = top->span;
    }
    if (!same_type(sum, top))
        bug("concat: the joined sum has another shape");
    c->to[top->id] = sum;
    return true;
}

void pass_concat(Graph *g)
{
    graph_compact(g);
    for_bodies(g, pass_concat);
    int n = g->nodes.n;
    Arena *scratch = arena_new();
    Concat c = {g, scratch, count_uses(scratch, g), NEW_ARRAY(scratch, bool, n),
                NEW_ARRAY(scratch, Node *, n)};
    bool changed = false;
    for (int i = n - 1; i >= 0; i--)
        if (g->nodes.at[i]->op == OP_add && !c.absorbed[i] && c.uses[i])
            changed |= join_tree(&c, g->nodes.at[i]);
    replace_all(g, c.to, n);
    arena_free(scratch);
    if (changed)
        graph_compact(g);
}
