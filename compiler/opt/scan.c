/* What a scan computes for nobody is dropped.
 *
 * A stack lives when a result asks for it; a carry when its final value is asked
 * for or when something alive reads it; sequences and constants when something
 * alive reads them. All is done in place: the scan's operands, its body's inputs
 * and outputs, and the indices of its results are filtered alike.
 */
#include "opt/rewrite.h"

#include <string.h>

typedef struct {
    Graph *g;
    Node *scan;
    Arena *scratch;
    int ncarry, nseq, nout;
    LIST(Node *) results;
    bool changed;
} Prune;

static void set_int(Node *n, AttrKey key, int64_t v)
{
    for (int i = 0; i < n->nattr; i++)
        if (n->attr[i].key == key)
            n->attr[i].u.i = v;
}

static int result_index(const Node *result)
{
    return (int)attr_int(result, ATTR_index, 0);
}

static int const_from(const Prune *p)
{
    return p->ncarry + p->nseq;
}

/* ---- merging ---- */

static void become(Prune *p, Node *inner, Node *other)
{
    graph_replace(p->scan->body, inner, other);
    p->changed = true;
}

static bool is_used(const Graph *g, const Node *n)
{
    for (int i = 0; i < g->nodes.n; i++)
        for (int k = 0; k < g->nodes.at[i]->nin; k++)
            if (g->nodes.at[i]->in[k] == n)
                return true;
    for (int i = 0; i < g->outputs.n; i++)
        if (g->outputs.at[i].node == n)
            return true;
    return false;
}

/* Equal sequences and constants are one; a number is written in the body. */
static void merge_inputs(Prune *p)
{
    Graph *body = p->scan->body;
    for (int i = p->ncarry; i < p->scan->nin; i++) {
        Node *inner = body->inputs.at[i], *outer = p->scan->in[i];
        bool is_const = i >= const_from(p);
        if (!is_used(body, inner))
            continue;
        if (is_const && outer->op == OP_const) {
            become(p, inner, node_on(body, outer, NULL));
            continue;
        }
        for (int k = is_const ? const_from(p) : p->ncarry; k < i; k++)
            if (p->scan->in[k] == outer) {
                become(p, inner, body->inputs.at[k]);
                break;
            }
    }
}

/* A carry that is handed on as it is, is a constant. */
static void freeze_carries(Prune *p)
{
    Graph *body = p->scan->body;
    for (int i = 0; i < p->ncarry; i++) {
        Node *inner = body->inputs.at[i];
        if (body->outputs.at[i].node != inner)
            continue;
        for (int k = 0; k < p->results.n; k++)
            if (result_index(p->results.at[k]) == i)
                graph_replace(p->g, p->results.at[k], p->scan->in[i]);
        Node **in = NEW_ARRAY(p->g->arena, Node *, p->scan->nin + 1);
        memcpy(in, p->scan->in, sizeof(Node *) * (size_t)p->scan->nin);
        in[p->scan->nin++] = p->scan->in[i];
        p->scan->in = in;
        const char *name = arena_printf(body->arena, "frozen_%d", p->scan->nin);
        Node *fixed = graph_input(body, ROLE_body, name, inner->dtype, inner->shape, inner->span);
        become(p, inner, fixed);
    }
}

/* Results that stack the same node are one. */
static void merge_stacks(Prune *p)
{
    Graph *body = p->scan->body;
    for (int i = 0; i < p->results.n; i++) {
        Node *r = p->results.at[i];
        int at = result_index(r);
        for (int k = p->ncarry; k < at; k++)
            if (body->outputs.at[k].node == body->outputs.at[at].node) {
                set_int(r, ATTR_index, k);
                p->changed = true;
                break;
            }
    }
}

/* ---- dropping ---- */

static void mark(const Graph *body, bool *live)
{
    for (int i = body->nodes.n - 1; i >= 0; i--)
        for (int k = 0; live[i] && k < body->nodes.at[i]->nin; k++)
            live[body->nodes.at[i]->in[k]->id] = true;
}

/* keep_out[i]: output i of the body is asked for; returns the live nodes. */
static bool *find_live(Prune *p, bool *keep_out)
{
    Graph *body = p->scan->body;
    bool *live = NEW_ARRAY(p->scratch, bool, body->nodes.n);
    for (int i = 0; i < p->results.n; i++)
        keep_out[result_index(p->results.at[i])] = true;
    for (bool more = true; more;) {
        for (int i = 0; i < p->nout; i++)
            if (keep_out[i])
                live[body->outputs.at[i].node->id] = true;
        mark(body, live);
        more = false;
        for (int i = 0; i < p->ncarry; i++)
            if (live[body->inputs.at[i]->id] && !keep_out[i])
                more = keep_out[i] = true;
    }
    return live;
}

static void filter_inputs(Prune *p, const bool *live, const bool *keep_out)
{
    Graph *body = p->scan->body;
    int n = 0, ncarry = 0, nseq = 0;
    for (int i = 0; i < p->scan->nin; i++) {
        if (i < p->ncarry ? !keep_out[i] : !live[body->inputs.at[i]->id])
            continue;
        ncarry += i < p->ncarry;
        nseq += i >= p->ncarry && i < const_from(p);
        p->scan->in[n] = p->scan->in[i];
        body->inputs.at[n++] = body->inputs.at[i];
    }
    p->changed |= n < p->scan->nin;
    p->scan->nin = body->inputs.n = n;
    set_int(p->scan, ATTR_ncarry, ncarry);
    set_int(p->scan, ATTR_nseq, nseq);
}

static void filter_outputs(Prune *p, const bool *keep_out)
{
    Graph *body = p->scan->body;
    int n = 0, *now = NEW_ARRAY(p->scratch, int, p->nout);
    for (int i = 0; i < p->nout; i++) {
        now[i] = n;
        if (keep_out[i])
            body->outputs.at[n++] = body->outputs.at[i];
    }
    p->changed |= n < p->nout;
    body->outputs.n = n;
    for (int i = 0; i < p->results.n; i++)
        set_int(p->results.at[i], ATTR_index, now[result_index(p->results.at[i])]);
}

static void find_results(Prune *p, const Users *users)
{
    p->results.n = 0;
    for (int i = 0; i < users->at.n; i++)
        if (is_used(p->g, users->at.at[i]))
            list_push(p->scratch, &p->results, users->at.at[i]);
}

bool prune_scans(Graph *g)
{
    Arena *scratch = arena_new();
    Users *users = graph_users(scratch, g);
    bool changed = false;
    for (int i = 0, n = g->nodes.n; i < n; i++) {
        Node *scan = g->nodes.at[i];
        if (scan->op != OP_scan)
            continue;
        Prune p = {.g = g, .scan = scan, .scratch = scratch, .nout = scan->body->outputs.n};
        p.ncarry = (int)attr_int(scan, ATTR_ncarry, 0);
        p.nseq = (int)attr_int(scan, ATTR_nseq, 0);
        find_results(&p, &users[scan->id]);
        if (p.results.n == 0) /* dead: graph_compact's business */
            continue;
        merge_inputs(&p);
        freeze_carries(&p);
        find_results(&p, &users[scan->id]);
        merge_stacks(&p);
        if (p.results.n) {
            graph_compact(scan->body); /* in order again, for marking */
            bool *keep_out = NEW_ARRAY(scratch, bool, p.nout);
            bool *live = find_live(&p, keep_out);
            filter_inputs(&p, live, keep_out);
            filter_outputs(&p, keep_out);
        }
        changed |= p.changed;
    }
    arena_free(scratch);
    return changed;
}

int scan_stack(Node *scan, Node *n)
{
    Graph *body = scan->body;
    for (int i = (int)attr_int(scan, ATTR_ncarry, 0); i < body->outputs.n; i++)
        if (body->outputs.at[i].node == n)
            return i;
    graph_output(body, ROLE_body, arena_printf(body->arena, "stack_%d", body->outputs.n), n);
    return body->outputs.n - 1;
}

Node *scan_sequence(Node *scan, Node *value)
{
    Graph *g = scan->graph, *body = scan->body;
    int ncarry = (int)attr_int(scan, ATTR_ncarry, 0), nseq = (int)attr_int(scan, ATTR_nseq, 0);
    int at = ncarry + nseq, axis = shape_has_batch(&value->shape);
    for (int i = ncarry; i < at; i++)
        if (scan->in[i] == value)
            return body->inputs.at[i];
    Shape step = value->shape;
    step.rank--;
    memmove(step.d + axis, step.d + axis + 1, sizeof(Dim) * (size_t)(step.rank - axis));
    const char *name = arena_printf(g->arena, "step_%d", at);
    Node *input = graph_input(body, ROLE_body, name, value->dtype, step, value->span);
    Node **in = NEW_ARRAY(g->arena, Node *, scan->nin + 1);
    memcpy(in, scan->in, sizeof(Node *) * (size_t)at);
    memcpy(in + at + 1, scan->in + at, sizeof(Node *) * (size_t)(scan->nin - at));
    in[at] = value;
    scan->in = in;
    scan->nin++;
    memmove(body->inputs.at + at + 1, body->inputs.at + at,
            sizeof(Node *) * (size_t)(body->inputs.n - 1 - at));
    body->inputs.at[at] = input;
    set_int(scan, ATTR_nseq, nseq + 1);
    return input;
}
