/* The walk that rewriting passes share, and questions they ask. */
#include "opt/rewrite.h"

#include "opt/opt.h"

#include <string.h>

static bool same_operands(const Node *n, Node *const *in)
{
    for (int k = 0; k < n->nin; k++)
        if (n->in[k] != in[k])
            return false;
    return true;
}

static Node *scan_on(Graph *g, const Node *n, Node *const *in)
{
    int ncarry = (int)attr_int(n, ATTR_ncarry, 0), nseq = (int)attr_int(n, ATTR_nseq, 0);
    return make_scan(g, n->span, n->body, in, ncarry, in + ncarry, nseq, in + ncarry + nseq,
                     n->nin - ncarry - nseq, attr_get(n, ATTR_length)->u.dim,
                     attr_int(n, ATTR_reverse, 0));
}

Node *node_on(Graph *g, const Node *n, Node *const *in)
{
    Node *c = n->op == OP_scan ? scan_on(g, n, in)
                               : node_new(g, n->op, n->span, in, n->nin, n->attr, n->nattr);
    c->name = n->name;
    return c;
}

bool rewrite(Graph *g, RewriteRule rule, void *context)
{
    Arena *scratch = arena_new();
    Rewrite r = {g, scratch, context};
    int n = g->nodes.n;
    bool changed = false;
    Node **map = NEW_ARRAY(scratch, Node *, n);
    for (int i = 0; i < n; i++) {
        Node *old = g->nodes.at[i];
        Node **in = NEW_ARRAY(scratch, Node *, old->nin);
        for (int k = 0; k < old->nin; k++)
            in[k] = map[old->in[k]->id];
        Node *now = same_operands(old, in) ? old : node_on(g, old, in);
        map[i] = rule(&r, now);
        changed |= map[i] != old;
        if (map[i] != old && !map[i]->name && map[i]->id >= n)
            map[i]->name = old->name;
    }
    for (int i = 0; i < g->outputs.n; i++)
        g->outputs.at[i].node = map[g->outputs.at[i].node->id];
    arena_free(scratch);
    if (changed)
        graph_compact(g);
    return changed;
}

void for_bodies(Graph *g, void (*pass)(Graph *))
{
    for (int i = 0; i < g->nodes.n; i++)
        if (g->nodes.at[i]->body)
            pass(g->nodes.at[i]->body);
}

static Node *final(Node *n, Node *const *to, int known)
{
    while (n->id < known && to[n->id])
        n = to[n->id];
    return n;
}

void replace_all(Graph *g, Node *const *to, int n)
{
    for (int i = 0; i < g->nodes.n; i++)
        for (int k = 0; k < g->nodes.at[i]->nin; k++)
            g->nodes.at[i]->in[k] = final(g->nodes.at[i]->in[k], to, n);
    for (int i = 0; i < g->outputs.n; i++)
        g->outputs.at[i].node = final(g->outputs.at[i].node, to, n);
}

int *count_uses(Arena *a, const Graph *g)
{
    int *uses = NEW_ARRAY(a, int, g->nodes.n);
    for (int i = 0; i < g->nodes.n; i++)
        for (int k = 0; k < g->nodes.at[i]->nin; k++)
            uses[g->nodes.at[i]->in[k]->id]++;
    for (int i = 0; i < g->outputs.n; i++)
        uses[g->outputs.at[i].node->id]++;
    return uses;
}

bool is_number(const Node *n, double *v)
{
    Dtype dt = n->dtype;
    while (n->op == OP_broadcast || n->op == OP_reshape || n->op == OP_cast)
        n = n->in[0];
    if (n->op != OP_const)
        return false;
    *v = attr_get(n, ATTR_value)->u.f;
    if (dt == DT_f32)
        *v = (float)*v;
    return dtype_is_float(dt) || *v == (double)(int64_t)*v;
}

bool is_number_of(const Node *n, double v)
{
    double found;
    return is_number(n, &found) && found == v;
}

int operand_axis(const Shape *x, const Shape *out, int axis)
{
    bool x_leads = shape_has_batch(x) || shape_has_shards(x);
    bool out_leads = shape_has_batch(out) || shape_has_shards(out);
    if (axis == 0 && out_leads)
        return x_leads ? 0 : -1;
    int k = axis - (out->rank - x->rank);
    return k >= (x_leads ? 1 : 0) ? k : -1;
}

Node *node_outside(Node *scan, Node *x)
{
    Graph *g = scan->graph;
    int moving = (int)(attr_int(scan, ATTR_ncarry, 0) + attr_int(scan, ATTR_nseq, 0));
    for (int i = moving; i < scan->nin; i++)
        if (scan->body->inputs.at[i] == x)
            return scan->in[i];
    if (x->nin != 1 || op_info[x->op].kind != KIND_view)
        return NULL;
    Node *in = node_outside(scan, x->in[0]);
    return in ? node_on(g, x, &in) : NULL;
}

Node *scan_constant(Node *scan, Node *value)
{
    Graph *g = scan->graph;
    int moving = (int)(attr_int(scan, ATTR_ncarry, 0) + attr_int(scan, ATTR_nseq, 0));
    for (int i = moving; i < scan->nin; i++)
        if (scan->in[i] == value)
            return scan->body->inputs.at[i];
    Node **in = NEW_ARRAY(g->arena, Node *, scan->nin + 1);
    memcpy(in, scan->in, sizeof(Node *) * (size_t)scan->nin);
    in[scan->nin++] = value;
    scan->in = in;
    const char *name = value->op == OP_input ? attr_str(value, ATTR_name)
                                             : arena_printf(g->arena, "along_%d", scan->nin);
    return graph_input(scan->body, ROLE_body, name, value->dtype, value->shape, value->span);
}

void graph_drop_unused_inputs(Graph *g, Role role)
{
    Arena *scratch = arena_new();
    graph_compact(g);
    int *uses = count_uses(scratch, g), kept = 0;
    for (int i = 0; i < g->inputs.n; i++) {
        Node *n = g->inputs.at[i];
        if (uses[n->id] || (role != NROLE && attr_int(n, ATTR_role, NROLE) != (int64_t)role))
            g->inputs.at[kept++] = n;
    }
    g->inputs.n = kept;
    arena_free(scratch);
    graph_compact(g);
}
