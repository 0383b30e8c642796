/* The gradient of a scan is a scan the other way.
 *
 *   forward step    carries, sequences, constants      -> next carries, stacks
 *   backward step   d next carries, d stacks, forward  -> d carries, d sequences
 *                   values of that step                   (stacked), sums for d constants
 *
 * The body is differentiated like any graph, into a new body. A forward value
 * that a rule asks for is an input sequence or constant again, or else stacked by
 * the forward scan, the carries as a step found them. Which stacks pay, and what is
 * rather computed again, is pass_recompute's choice.
 *
 * A sum over the batch that reaches a constant is a carry [S, ...] that its
 * product continues; the shards are added after the loop. pass_defer turns such
 * a carry into one product after the loop. A sum of products of elements (a gain's,
 * a peephole's gradient) is a carry [N, ...], added up over the batch after the loop.
 * For a constant with N, and for anything else, the carry is what arrives, added up
 * step by step.
 */
#include "grad/diff.h"

#include <stdlib.h>
#include <string.h>

/* An input of the backward body that stands for a forward node or a gradient. */
typedef struct { Node *from, *input, *outer; } Binding;
typedef LIST(Binding) Bindings;

/* How the backward body has forward values. */
typedef struct Saved {
    Diff *outer;
    Node *scan;
    int ncarry, nseq, nbody;
    Bindings seqs, consts;
    LIST(Node *) value;     /* by id of the forward body */
} Saved;

/* ---- forward values ---- */

/* Numbers, indices and views are written again; their operands are had like other values. */
static bool is_written_again(const Node *n)
{
    OpKind kind = op_info[n->op].kind;
    return kind == KIND_leaf || kind == KIND_view;
}

static Node *bind(Diff *d, Bindings *list, Node *from, Node *outer)
{
    const char *name = arena_printf(d->arena, "of_%d", from->id);
    Node *input = graph_input(d->to, ROLE_body, name, from->dtype, from->shape, from->span);
    list_push(d->arena, list, ((Binding){from, input, outer}));
    return input;
}

/* An input of the forward body: sequences and constants are bound again, a
 * carry is stacked as the step found it. */
static Node *value_of_input(Diff *d, Node *n)
{
    Saved *s = d->saved;
    int p = 0;
    while (p < s->scan->nin && s->scan->body->inputs.at[p] != n)
        p++;
    if (p < s->ncarry)
        return bind(d, &s->seqs, n, NULL);
    Node *outer = diff_value(s->outer, s->scan->in[p]);
    return bind(d, p < s->ncarry + s->nseq ? &s->seqs : &s->consts, n, outer);
}

static Node *value_at(Diff *d, const Node *n)
{
    Saved *s = d->saved;
    while (s->value.n <= n->id)
        list_push(d->arena, &s->value, NULL);
    return s->value.at[n->id];
}

/* An operand whose value is not there yet, or null. */
static Node *missing_operand(Diff *d, const Node *n)
{
    for (int k = 0; k < n->nin; k++)
        if (!value_at(d, n->in[k]))
            return n->in[k];
    return NULL;
}

static Node *recompute(Diff *d, const Node *n)
{
    Node **in = NEW_ARRAY(d->arena, Node *, n->nin);
    for (int k = 0; k < n->nin; k++)
        in[k] = value_at(d, n->in[k]);
    return node_new(d->to, n->op, n->span, in, n->nin, n->attr, n->nattr);
}

/* The stack is explicit: views may be a long chain. */
Node *diff_value(Diff *d, Node *n)
{
    Saved *s = d->saved;
    LIST(Node *) stack = {0};
    if (!s)
        return n;
    list_push(d->arena, &stack, n);
    while (stack.n) {
        Node *x = stack.at[stack.n - 1], *operand;
        if (!value_at(d, x)) {
            if (x->op == OP_own_gradient) { /* has the value of y */
                if (!value_at(d, x->in[0])) {
                    list_push(d->arena, &stack, x->in[0]);
                    continue;
                }
                s->value.at[x->id] = s->value.at[x->in[0]->id];
            } else if (x->op == OP_input) {
                s->value.at[x->id] = value_of_input(d, x);
            } else if (!is_written_again(x)) {
                s->value.at[x->id] = bind(d, &s->seqs, x, NULL);
            } else if ((operand = missing_operand(d, x))) {
                list_push(d->arena, &stack, operand);
                continue;
            } else {
                s->value.at[x->id] = recompute(d, x);
            }
        }
        stack.n--;
    }
    return s->value.at[n->id];
}

/* Stacks what the backward body asked for: new results of the forward scan. */
static void stack_saved(Diff *outer, Saved *s)
{
    Graph *body = s->scan->body;
    for (int i = 0; i < s->seqs.n; i++) {
        Binding *b = &s->seqs.at[i];
        if (b->outer)
            continue;
        int at = s->ncarry;
        while (at < body->outputs.n && body->outputs.at[at].node != b->from)
            at++;
        if (at == body->outputs.n)
            graph_output(body, ROLE_body, arena_printf(body->arena, "saved_%d", b->from->id),
                         b->from);
        b->outer = diff_value(outer, make_result(outer->from, s->scan, at));
    }
}

static int binding_order(const void *a, const void *b)
{
    return ((const Binding *)a)->from->id - ((const Binding *)b)->from->id;
}

/* By the forward node, so that the order does not depend on the order in which
 * the host's compiler evaluates a formula's arguments. */
static void sort_bindings(Bindings *list)
{
    if (list->n > 1)
        qsort(list->at, (size_t)list->n, sizeof(Binding), binding_order);
}

/* ---- which carries get a gradient ---- */

/* Marks the nodes of the body that a gradient at an output reaches. */
static void reach(const Graph *body, const Active *act, bool *hit)
{
    for (int i = body->nodes.n - 1; i >= 0; i--) {
        const Node *n = body->nodes.at[i];
        if (!hit[i] || !act->node[i])
            continue;
        for (int k = 0; k < n->nin; k++)
            if (n->op == OP_scan || n->op == OP_result || grad_flows(n, k))
                hit[n->in[k]->id] = true;
    }
}

/* carried[i]: carry i is active and a gradient may reach it. */
static bool *find_carried(Arena *a, const Node *scan, const Active *act, Node *const *dresult,
                          int ncarry)
{
    const Graph *body = scan->body;
    bool *hit = NEW_ARRAY(a, bool, body->nodes.n), *carried = NEW_ARRAY(a, bool, ncarry);
    for (int i = 0; i < body->outputs.n; i++)
        if (dresult[i])
            hit[body->outputs.at[i].node->id] = true;
    for (bool changed = true; changed;) {
        changed = false;
        reach(body, act, hit);
        for (int i = 0; i < ncarry; i++) {
            int in = body->inputs.at[i]->id;
            if (!carried[i] && act->node[in] && (dresult[i] || hit[in])) {
                carried[i] = changed = true;
                hit[body->outputs.at[i].node->id] = true;
            }
        }
    }
    return carried;
}

/* ---- the backward scan ---- */

typedef struct { Node *init, *input, *next; } Carry;
/* Where the end of carry i, or stack i, goes: to operand p of the forward scan. rows: yet to be
 * added up over the batch. */
typedef struct { int p; bool shard, rows; Shape keep; } Target;

typedef struct {
    Diff *d, *in;           /* around the scan; inside its body */
    Saved *s;
    LIST(Carry) carries;
    LIST(Target) ends;      /* of the carries */
    Bindings dstacks;       /* gradients of stacks, as sequences */
    LIST(Node *) stacks;
    LIST(Target) stack_ends;
} Back;

static Node *add_carry(Back *b, Node *init, Target end)
{
    const char *name = arena_printf(b->d->arena, "d_%d", b->carries.n);
    Node *input = graph_input(b->in->to, ROLE_body, name, init->dtype, init->shape, init->span);
    list_push(b->d->arena, &b->carries, ((Carry){init, input, input}));
    list_push(b->d->arena, &b->ends, end);
    return input;
}

static void seed(Back *b, Node *const *dresult, const bool *carried)
{
    Graph *body = b->s->scan->body;
    int nout = body->outputs.n;
    for (int i = 0; i < b->s->ncarry; i++) {
        Node *x = body->inputs.at[i];
        if (!carried[i])
            continue;
        Node *init = dresult[i] ? dresult[i] : zeros_of(b->d->to, x->dtype, x->shape);
        arrive_plain(b->in, body->outputs.at[i].node, add_carry(b, init, (Target){.p = i}));
    }
    for (int i = b->s->ncarry; i < nout; i++) {
        Node *y = body->outputs.at[i].node;
        if (!dresult[i])
            continue;
        const char *name = arena_printf(b->d->arena, "d_stack_%d", i);
        Node *dy = graph_input(b->in->to, ROLE_body, name, y->dtype, y->shape, y->span);
        list_push(b->d->arena, &b->dstacks, ((Binding){y, dy, dresult[i]}));
        arrive_plain(b->in, y, dy);
    }
}

static const Node *behind_views(const Node *n)
{
    while (op_info[n->op].kind == KIND_view)
        n = n->in[0];
    return n;
}

/* Are a's factors (but for a 1) of the sum's shape, with rows for shards? */
static bool is_by_element(const Arrival *a)
{
    const char *comma = strchr(a->spec, ','), *out = strstr(a->spec, "->s") + 3;
    size_t n = strlen(out), first = (size_t)(comma - a->spec);
    return comma[1] == 'n' && strncmp(comma + 2, out, n) == 0 && comma[2 + n] == '-' &&
           (first == 1 || (first == n + 1 && strncmp(a->spec + 1, out, n) == 0));
}

/* Do rows gain from being added up over time first, each by itself? Then nothing is stacked and
 * turned round for the sum over the batch, unless a plain sum's operand is for a product anyway. */
static bool is_row_sum(const Back *b, const Arrival *a)
{
    const Graph *body = b->s->scan->body;
    if (a->kind != ARRIVE_batch || !is_by_element(a))
        return false;
    if (a->spec[1] != ',')
        return true;
    for (int p = b->s->ncarry + b->s->nseq; p < body->inputs.n; p++) {
        const Arrivals *all = &b->in->arrived[body->inputs.at[p]->id];
        for (int i = 0; i < all->n; i++) {
            const Arrival *x = &all->at[i];
            if (x->kind == ARRIVE_batch && !is_by_element(x) &&
                (behind_views(x->a) == behind_views(a->b) ||
                 behind_views(x->b) == behind_views(a->b)))
                return false;
        }
    }
    return true;
}

/* Such a sum: a carry [N, ...], which is added up over the batch after the loop. */
static void accumulate_rows(Back *b, int p, const Arrival *a)
{
    Graph *to = b->in->to;
    Node *g = a->spec[1] == ',' ? a->b : node2(to, OP_mul, a->a, a->b);
    Target end = {.p = p, .rows = true, .keep = a->keep};
    Node *acc = add_carry(b, zeros_of(b->d->to, g->dtype, g->shape), end);
    b->carries.at[b->carries.n - 1].next = node2(to, OP_add, acc, g);
}

/* A sum over the batch that arrives at constant p: a carry [S, ...] of its own. */
static void accumulate_shards(Back *b, int p, const Arrival *a)
{
    Graph *to = b->in->to;
    Shape s = a->kind == ARRIVE_batch ? product_shape(a->spec, a->a, a->b) : a->grad->shape;
    Dtype dt = a->kind == ARRIVE_batch ? a->a->dtype : a->grad->dtype;
    Target end = {.p = p, .shard = true, .keep = a->keep};
    Node *acc = add_carry(b, zeros_of(b->d->to, dt, s), end);
    b->carries.at[b->carries.n - 1].next =
        a->kind == ARRIVE_batch ? make_batch_contract(to, a->spec, acc, a->a, a->b)
                                : node2(to, OP_add, acc, a->grad);
}

static void constant_gradient(Back *b, int p)
{
    Node *x = b->s->scan->body->inputs.at[p];
    Arrivals rest = {0}, *all = &b->in->arrived[x->id];
    for (int i = 0; i < all->n; i++) {
        Arrival *a = &all->at[i];
        bool sum = a->kind == ARRIVE_batch || a->kind == ARRIVE_shard;
        if (!sum || shape_has_batch(&x->shape))
            list_push(b->d->arena, &rest, *a);
        else if (is_row_sum(b, a))
            accumulate_rows(b, p, a);
        else
            accumulate_shards(b, p, a);
    }
    Node *g = arrivals_total(b->in, x, &rest);
    if (!g)
        return;
    Node *acc = add_carry(b, zeros_of(b->d->to, x->dtype, x->shape), (Target){.p = p});
    b->carries.at[b->carries.n - 1].next = node2(b->in->to, OP_add, acc, g);
}

static void collect(Back *b, const bool *carried)
{
    Node *scan = b->s->scan;
    int first_const = b->s->ncarry + b->s->nseq, c = 0;
    for (int i = 0; i < b->s->ncarry; i++) {
        Node *x = scan->body->inputs.at[i];
        if (!carried[i])
            continue;
        Node *g = diff_total(b->in, x);
        b->carries.at[c++].next = g ? g : zeros_of(b->in->to, x->dtype, x->shape);
    }
    for (int p = b->s->ncarry; p < scan->nin; p++) {
        Node *x = scan->body->inputs.at[p];
        if (!b->in->active->node[x->id])
            continue;
        if (p >= first_const) {
            constant_gradient(b, p);
        } else {
            Node *g = diff_total(b->in, x);
            if (g) {
                list_push(b->d->arena, &b->stacks, g);
                list_push(b->d->arena, &b->stack_ends, ((Target){.p = p}));
            }
        }
    }
}

/* Orders the body's inputs and outputs and makes the scan. */
static Node *build(Back *b)
{
    Arena *a = b->d->arena;
    Graph *back = b->in->to;
    Saved *s = b->s;
    LIST(Node *) init = {0}, seq = {0}, consts = {0}, inputs = {0};
    sort_bindings(&s->seqs);
    sort_bindings(&s->consts);
    stack_saved(b->d, s);
    for (int i = 0; i < b->carries.n; i++) {
        list_push(a, &init, b->carries.at[i].init);
        list_push(a, &inputs, b->carries.at[i].input);
        graph_output(back, ROLE_body, b->carries.at[i].input->name, b->carries.at[i].next);
    }
    for (int i = 0; i < b->stacks.n; i++)
        graph_output(back, ROLE_body, arena_printf(a, "d_seq_%d", b->stack_ends.at[i].p),
                     b->stacks.at[i]);
    const Bindings *const groups[] = {&b->dstacks, &s->seqs, &s->consts};
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < groups[k]->n; i++) {
            if (k < 2)
                list_push(a, &seq, groups[k]->at[i].outer);
            else
                list_push(a, &consts, groups[k]->at[i].outer);
            list_push(a, &inputs, groups[k]->at[i].input);
        }
    for (int i = 0; i < inputs.n; i++)
        back->inputs.at[i] = inputs.at[i];
    return make_scan(b->d->to, s->scan->span, back, init.at, init.n, seq.at, seq.n, consts.at,
                     consts.n, attr_get(s->scan, ATTR_length)->u.dim,
                     !attr_int(s->scan, ATTR_reverse, 0));
}

static void deliver(Back *b, Node *back)
{
    Diff *d = b->d;
    Node *scan = b->s->scan;
    for (int i = 0; i < b->carries.n + b->stacks.n; i++) {
        Target t = i < b->carries.n ? b->ends.at[i] : b->stack_ends.at[i - b->carries.n];
        Node *x = scan->in[t.p];
        if (!d->active->node[x->id])
            continue;
        Node *g = make_result(d->to, back, i);
        if (t.rows)
            arrive_rows(d, x, g, t.keep);
        else if (t.shard)
            arrive(d, x, (Arrival){.kind = ARRIVE_shard, .grad = g, .keep = t.keep});
        else
            arrive_plain(d, x, g);
    }
}

void scan_rule(Diff *d, Node *scan)
{
    Graph *body = scan->body;
    int nout = body->outputs.n;
    Node **dresult = NEW_ARRAY(d->arena, Node *, nout);
    for (int i = 0; i < nout; i++) {
        const Arrivals *r = &d->results[scan->id][i];
        for (int k = 0; k < r->n; k++)
            dresult[i] = k ? node2(d->to, OP_add, dresult[i], r->at[k].grad) : r->at[k].grad;
    }
    Saved s = {.outer = d, .scan = scan};
    s.ncarry = (int)attr_int(scan, ATTR_ncarry, 0);
    s.nseq = (int)attr_int(scan, ATTR_nseq, 0);
    Graph *back = graph_new(d->arena, "backward");
    back->outer = d->to;
    Back b = {.d = d, .s = &s};
    b.in = diff_new(d->arena, body, back, d->active->body[scan->id]);
    b.in->saved = &s;
    bool *carried = find_carried(d->arena, scan, b.in->active, dresult, s.ncarry);
    seed(&b, dresult, carried);
    diff_run(b.in);
    collect(&b, carried);
    deliver(&b, build(&b));
}
