/* pass_recompute: what the gradient of a loop needs of each step is saved, or computed
 * again from what is saved, whichever costs less.
 *
 * grad saves every value that a rule asks for: the loop forward stacks it, the loop
 * backward reads the stack. A stack costs bytes written and read, at the rate of
 * where the stacks of all steps will lie; computing a value again costs its
 * arithmetic, and whatever of its operands is not at hand must then be saved or
 * computed again, too (ir/cost.h).
 *
 * Of the best choice for all values at once this is exact. Let value v be at hand in
 * the loop backward or not, and made again or not; made again it is at hand, and so are
 * its operands. Being at hand costs its stack s(v), being made again gives back
 * s(v) - r(v). To find the set of such projects and what they need with the greatest
 * profit is a minimum cut (Picard 1976, "Maximal closure of a graph"; the way of
 * Chen et al. 2016 and of PyTorch's partitioner, here with costs on both sides).
 *
 * Exact: made again are the same operations in the same order.
 */
#include "opt/opt.h"

#include "ir/cost.h"
#include "opt/rewrite.h"

#include <string.h>

/* ---- the cut ---- */

enum { SOURCE, SINK, FIRST };
typedef struct { int to, back; int64_t room; } Edge; /* back: the other way, in the list of to */
typedef LIST(Edge) Edges;

typedef struct {
    Arena *arena;
    int n;
    Edges *edge;        /* by vertex */
    int *from, *by;     /* of a search: the vertex and edge by which one was reached; -1 */
} Flow;

static void flow_edge(Flow *f, int from, int to, int64_t room)
{
    list_push(f->arena, &f->edge[from], ((Edge){to, f->edge[to].n, room}));
    list_push(f->arena, &f->edge[to], ((Edge){from, f->edge[from].n - 1, 0}));
}

/* Marks what is reached from the source through edges with room, the nearest first. */
static bool flow_search(Flow *f, int *queue)
{
    int head = 0, tail = 0;
    for (int i = 0; i < f->n; i++)
        f->from[i] = -1;
    f->from[SOURCE] = SOURCE;
    queue[tail++] = SOURCE;
    while (head < tail) {
        int at = queue[head++];
        for (int i = 0; i < f->edge[at].n; i++) {
            const Edge *e = &f->edge[at].at[i];
            if (e->room <= 0 || f->from[e->to] >= 0)
                continue;
            f->from[e->to] = at;
            f->by[e->to] = i;
            queue[tail++] = e->to;
        }
    }
    return f->from[SINK] >= 0;
}

/* Edmonds and Karp: afterwards from[v] >= 0 says that v is on the source's side. */
static void flow_run(Flow *f)
{
    int *queue = NEW_ARRAY(f->arena, int, f->n);
    while (flow_search(f, queue)) {
        int64_t most = INT64_MAX;
        for (int v = SINK; v != SOURCE; v = f->from[v]) {
            int64_t room = f->edge[f->from[v]].at[f->by[v]].room;
            most = room < most ? room : most;
        }
        for (int v = SINK; v != SOURCE; v = f->from[v]) {
            Edge *e = &f->edge[f->from[v]].at[f->by[v]];
            e->room -= most;
            f->edge[v].at[e->back].room += most;
        }
    }
}

/* ---- a loop and its gradient ---- */

typedef struct {
    Arena *scratch;
    Graph *g;
    Node *forward, *back;
    Level level;
    Node **input;       /* by value of forward's body: the input of back's body that has it */
    Node **as;          /* by value: what it is in back's body, once it is there */
    bool *needed, *elsewhere; /* by value: back reads it; its stack is there for others, too */
    double *extra;      /* by value needed: the cost of having it in memory when made again */
} Pair;

/* The value that is stacked as sequence k of back, or null. */
static Node *stacked_as(const Pair *p, int k)
{
    const Node *r = p->back->in[k];
    if (r->op != OP_result || r->in[0] != p->forward)
        return NULL;
    int i = (int)attr_int(r, ATTR_index, 0);
    return i >= carries(p->forward) ? p->forward->body->outputs.at[i].node : NULL;
}

/* What it costs to have n, made again, where others than arithmetic at its own index read
 * it: room for a step, or for all steps, as a product over the batch and a stack want. */
static double reading_cost(const Pair *p, const Node *n)
{
    const Graph *body = p->back->body;
    double bytes = cost_bytes(n), cost = 0;
    for (int i = 0; i < body->outputs.n; i++)
        if (body->outputs.at[i].node == n)
            return bytes * cost_keep(p->level);
    for (int i = 0; i < body->nodes.n; i++) {
        const Node *user = body->nodes.at[i];
        double by = 0;
        for (int k = 0; k < user->nin; k++) {
            if (user->in[k] != n)
                continue;
            OpKind kind = op_info[user->op].kind;
            by = kind == KIND_map     ? 0
                 : kind == KIND_view  ? reading_cost(p, user)
                 : kind == KIND_batch ? bytes * cost_keep(p->level)
                                      : bytes * cost_keep(LEVEL_near);
        }
        cost = by > cost ? by : cost;
    }
    return cost;
}

/* Where back reads parts of a stack alone, these are what it needs. */
static bool need_views(Pair *p)
{
    Arena *a = arena_new();
    bool changed = false;
    Users *users = graph_users(a, p->back->body);
    for (int k = carries(p->back), end = moving(p->back); k < end; k++) {
        Node *v = stacked_as(p, k), *input = p->back->body->inputs.at[k];
        bool views = v != NULL;
        for (int i = 0; views && i < users[input->id].at.n; i++) {
            const Node *view = users[input->id].at.at[i];
            views = op_info[view->op].kind == KIND_view && view->shape.rank < RANK_MOST;
        }
        for (int i = 0; i < p->back->body->outputs.n; i++)
            views &= p->back->body->outputs.at[i].node != input;
        for (int i = 0; views && i < users[input->id].at.n; i++) {
            Node *view = users[input->id].at.at[i];
            int stack = scan_stack(p->forward, node_on(p->forward->body, view, &v));
            graph_replace(p->back->body, view,
                          scan_sequence(p->back, make_result(p->g, p->forward, stack)));
            changed = true;
        }
    }
    arena_free(a);
    graph_compact(p->back->body);
    return changed;
}

static void find_needed(Pair *p)
{
    int n = p->forward->body->nodes.n;
    p->input = NEW_ARRAY(p->scratch, Node *, n);
    p->as = NEW_ARRAY(p->scratch, Node *, n);
    p->needed = NEW_ARRAY(p->scratch, bool, n);
    p->elsewhere = NEW_ARRAY(p->scratch, bool, n);
    p->extra = NEW_ARRAY(p->scratch, double, n);
    const int *uses = count_uses(p->scratch, p->back->body);
    for (int k = carries(p->back); k < moving(p->back); k++) {
        const Node *v = stacked_as(p, k);
        Node *input = p->back->body->inputs.at[k];
        if (!v || !uses[input->id])
            continue;
        double extra = reading_cost(p, input);
        p->input[v->id] = input;
        p->needed[v->id] = true;
        p->extra[v->id] = extra > p->extra[v->id] ? extra : p->extra[v->id];
    }
    for (int i = carries(p->forward); i < moving(p->forward); i++) /* sequences read as they are */
        for (int k = carries(p->back); k < moving(p->back); k++)
            if (p->back->in[k] == p->forward->in[i])
                p->input[p->forward->body->inputs.at[i]->id] = p->back->body->inputs.at[k];
    for (int i = 0; i < p->g->nodes.n; i++) {
        const Node *user = p->g->nodes.at[i];
        for (int k = 0; user != p->back && k < user->nin; k++) {
            const Node *r = user->in[k];
            if (r->op == OP_result && r->in[0] == p->forward)
                p->elsewhere[p->forward->body->outputs.at[attr_int(r, ATTR_index, 0)].node->id] =
                    true;
        }
    }
    for (int i = 0; i < p->g->outputs.n; i++) {
        const Node *r = p->g->outputs.at[i].node;
        if (r->op == OP_result && r->in[0] == p->forward)
            p->elsewhere[p->forward->body->outputs.at[attr_int(r, ATTR_index, 0)].node->id] = true;
    }
}

/* The place of v among the loop forward's inputs, or -1. */
static int input_place(const Pair *p, const Node *v)
{
    for (int i = 0; v->op == OP_input && i < p->forward->nin; i++)
        if (p->forward->body->inputs.at[i] == v)
            return i;
    return -1;
}

/* Is it written into the code, or a constant of the loop? */
static bool is_at_hand(const Pair *p, const Node *v)
{
    int place = input_place(p, v);
    return place < 0 ? op_info[v->op].kind == KIND_leaf : place >= moving(p->forward);
}

enum { NEVER = 1 << 30 };

/* To save v, or, of what is there anyway, to read it. */
static double saving_cost(const Pair *p, const Node *v)
{
    int place = input_place(p, v);
    if (is_at_hand(p, v))
        return 0;
    if (place >= carries(p->forward))
        return p->input[v->id] ? 0 : cost_bytes(v) * cost_read(p->level);
    double copy = op_info[v->op].kind == KIND_view ? cost_keep(LEVEL_near) : 0;
    if (v->shape.rank == RANK_MOST)
        return NEVER;
    return cost_bytes(v) *
           (p->elsewhere[v->id] ? cost_read(p->level) : cost_keep(p->level) + copy);
}

static bool may_be_again(const Node *v)
{
    OpKind kind = op_info[v->op].kind;
    return kind != KIND_leaf && kind != KIND_scan && kind != KIND_batch && kind != KIND_scatter &&
           v->op != OP_result && v->op != OP_orthogonal && v->op != OP_own_gradient;
}

/* ---- the choice ---- */

/* Vertices: of each value at hand, and made again. */
static int at_hand(int v)
{
    return FIRST + 2 * v;
}

static int made_again(int v)
{
    return FIRST + 2 * v + 1;
}

/* Femtoseconds: whole numbers, so that the choice does not depend on how they are added. */
static int64_t whole(double picoseconds)
{
    return (int64_t)(1e3 * picoseconds);
}

/* again[v]: v is made again. */
static void choose(Pair *p, bool *again)
{
    const Graph *body = p->forward->body;
    int n = body->nodes.n;
    Flow f = {p->scratch, FIRST + 2 * n, NEW_ARRAY(p->scratch, Edges, FIRST + 2 * n),
              NEW_ARRAY(p->scratch, int, FIRST + 2 * n), NEW_ARRAY(p->scratch, int, FIRST + 2 * n)};
    bool *asked = NEW_ARRAY(p->scratch, bool, n);
    for (int i = n - 1; i >= 0; i--) { /* users before what they use */
        const Node *v = body->nodes.at[i];
        if (!p->needed[i] && !asked[i])
            continue;
        int64_t save = whole(saving_cost(p, v));
        if (!p->needed[i])
            flow_edge(&f, at_hand(i), SINK, save);
        int64_t profit = save - whole(cost_node(v) + p->extra[i]);
        if (!may_be_again(v) || profit <= 0)
            continue;
        flow_edge(&f, SOURCE, made_again(i), profit);
        flow_edge(&f, made_again(i), at_hand(i), INT64_MAX / 2);
        for (int k = 0; k < v->nin; k++) {
            asked[v->in[k]->id] = true;
            flow_edge(&f, made_again(i), at_hand(v->in[k]->id), INT64_MAX / 2);
        }
    }
    flow_run(&f);
    for (int i = 0; i < n; i++)
        again[i] = f.from[made_again(i)] >= 0;
}

/* ---- the change ---- */

/* A value that is not made again, in back's body. */
static Node *bound(Pair *p, Node *v)
{
    int place = input_place(p, v);
    if (p->input[v->id])
        return p->input[v->id];
    if (place < 0 && is_at_hand(p, v))
        return node_on(p->back->body, v, NULL);
    if (place >= moving(p->forward))
        return scan_constant(p->back, p->forward->in[place]);
    Node *outside = place >= carries(p->forward)
                        ? p->forward->in[place]
                        : make_result(p->g, p->forward, scan_stack(p->forward, v));
    return scan_sequence(p->back, outside);
}

static Node *have(Pair *p, Node *v)
{
    if (!p->as[v->id])
        p->as[v->id] = bound(p, v);
    return p->as[v->id];
}

static bool make_again(Pair *p, const bool *again)
{
    const Graph *body = p->forward->body;
    bool changed = false;
    for (int i = 0, n = body->nodes.n; i < n; i++) {
        Node *v = body->nodes.at[i];
        if (!again[i])
            continue;
        Node **in = NEW_ARRAY(p->scratch, Node *, v->nin);
        for (int k = 0; k < v->nin; k++)
            in[k] = have(p, v->in[k]);
        p->as[i] = node_on(p->back->body, v, in);
        if (p->needed[i])
            for (int k = carries(p->back); k < moving(p->back); k++)
                if (stacked_as(p, k) == v)
                    graph_replace(p->back->body, p->back->body->inputs.at[k], p->as[i]);
        changed = true;
    }
    return changed;
}

/* ---- the pass ---- */

static bool is_pair(const Node *forward, const Node *back)
{
    if (back->op != OP_scan || !attr_int(back, ATTR_reverse, 0) || forward->op != OP_scan ||
        attr_int(forward, ATTR_reverse, 0) ||
        !dim_equal(attr_get(forward, ATTR_length)->u.dim, attr_get(back, ATTR_length)->u.dim))
        return false;
    const Pair p = {.forward = (Node *)forward, .back = (Node *)back};
    for (int k = carries(back); k < moving(back); k++)
        if (stacked_as(&p, k))
            return true;
    return false;
}

/* Bytes that all loops of g save for their gradients, of a block of rows. */
static double bytes_saved(const Graph *g)
{
    double bytes = 0;
    for (int i = 0; i < g->nodes.n; i++) {
        const Node *back = g->nodes.at[i];
        int64_t steps = COST_LENGTH;
        if (back->op != OP_scan || !attr_int(back, ATTR_reverse, 0))
            continue;
        dim_const(attr_get(back, ATTR_length)->u.dim, &steps);
        for (int k = carries(back); k < moving(back); k++)
            if (back->in[k]->op == OP_result)
                bytes += BLOCK_ROWS * (double)steps * cost_bytes(back->body->inputs.at[k]);
    }
    return bytes;
}

static bool recompute_pair(Graph *g, Node *forward, Node *back, Level level)
{
    Pair p = {.scratch = arena_new(), .g = g, .forward = forward, .back = back, .level = level};
    bool changed = need_views(&p);
    find_needed(&p);
    bool *again = NEW_ARRAY(p.scratch, bool, forward->body->nodes.n);
    choose(&p, again);
    changed |= make_again(&p, again);
    graph_compact(back->body);
    arena_free(p.scratch);
    return changed;
}

void pass_recompute(Graph *g)
{
    graph_compact(g);
    for_bodies(g, pass_recompute);
    Level level = cost_level(bytes_saved(g));
    bool changed = false;
    for (int b = 0, n = g->nodes.n; b < n; b++)
        for (int f = 0; f < b; f++)
            if (is_pair(g->nodes.at[f], g->nodes.at[b]))
                changed |= recompute_pair(g, g->nodes.at[f], g->nodes.at[b], level);
    while (changed) { /* what back no longer reads, then what forward no longer stacks */
        graph_compact(g);
        changed = prune_scans(g);
    }
    graph_compact(g);
}
