/* Lowering: classes and phases. A node is computed on the host's scalars, once
 * for parameters, or once for each row; parameter phases are even, row phases
 * odd, and a node's phase is the first behind all it needs. */
#include "kernel/lower.h"

#include <string.h>

Shape shape_inner(const Shape *s)
{
    Shape out = *s;
    if (shape_has_batch(s) || shape_has_shards(s)) {
        out.rank--;
        memmove(out.d, s->d + 1, sizeof(Dim) * (size_t)out.rank);
    }
    return out;
}

int kernel_lead(const Node *n)
{
    return shape_has_batch(&n->shape) || shape_has_shards(&n->shape);
}

bool kernel_is_view(const Node *n)
{
    return n->op == OP_broadcast || n->op == OP_reshape || n->op == OP_transpose ||
           n->op == OP_slice;
}

bool lower_is_leaf(const Node *n)
{
    return n->op == OP_const || n->op == OP_dim || n->op == OP_iota || n->op == OP_row;
}

bool lower_fails(Kernel *k, const Node *n, const char *what)
{
    if (!k->why)
        k->why = arena_printf(k->arena, "%s (operation %s)", what, op_info[n->op].name);
    return false;
}

/* ---- classes and phases ---- */

static Class class_of(const Node *n)
{
    if (shape_has_batch(&n->shape))
        return CLASS_row;
    if (shape_has_shards(&n->shape))
        return CLASS_shard;
    if (n->op == OP_const || n->op == OP_dim)
        return CLASS_host;
    if (n->op == OP_input)
        return attr_int(n, ATTR_role, 0) == ROLE_scalar && n->shape.rank == 0 ? CLASS_host
                                                                              : CLASS_param;
    if (n->op == OP_scan)
        return CLASS_row;
    OpKind kind = op_info[n->op].kind;
    if (n->shape.rank == 0 && kind == KIND_map) {
        for (int i = 0; i < n->nin; i++)
            if (INFO(n->in[i])->cls != CLASS_host)
                return CLASS_param;
        return CLASS_host;
    }
    return CLASS_param;
}

/* Parameter phases are even, row phases odd. */
int lower_phase(const Node *n, Class cls)
{
    bool row = cls == CLASS_row || cls == CLASS_shard;
    int p = row ? 1 : 0;
    for (int i = 0; i < n->nin; i++) {
        const NodeInfo *in = INFO(n->in[i]);
        if (in->cls == CLASS_host)
            continue;
        int least = in->phase;
        if ((least & 1) != row)
            least++;
        if (least > p)
            p = least;
    }
    return p;
}

void lower_classify(Kernel *k, const Graph *g)
{
    for (int i = 0; i < g->nodes.n; i++) {
        Node *n = g->nodes.at[i];
        n->aux = NEW(k->arena, NodeInfo);
        NodeInfo *info = INFO(n);
        info->loop = info->place.loop = -1;
        info->cls = class_of(n);
        if (n->op == OP_result)
            info->cls = shape_has_shards(&n->shape) ? CLASS_shard : CLASS_row;
        info->phase = lower_phase(n, info->cls);
    }
}

/* Nodes of a body: all are computed by the row phase of their scan. */
void lower_classify_body(Kernel *k, const Node *scan, int phase, int loop)
{
    const Graph *g = scan->body;
    int ncarry = (int)attr_int(scan, ATTR_ncarry, 0), nseq = (int)attr_int(scan, ATTR_nseq, 0);
    for (int i = 0; i < g->nodes.n; i++) {
        Node *n = g->nodes.at[i];
        n->aux = NEW(k->arena, NodeInfo);
        NodeInfo *info = INFO(n);
        info->loop = info->place.loop = -1;
        info->phase = phase;
        info->cls = shape_has_shards(&n->shape) ? CLASS_shard : CLASS_row;
        bool host = n->op == OP_const || n->op == OP_dim ||
                    (n->op != OP_input && n->shape.rank == 0 && op_info[n->op].kind == KIND_map);
        for (int j = 0; host && j < n->nin; j++)
            host = INFO(n->in[j])->cls == CLASS_host;
        if (host)
            info->cls = CLASS_host;
        for (int j = ncarry; n->op == OP_input && j < g->inputs.n; j++) {
            if (g->inputs.at[j] != n)
                continue;
            info->outer = scan->in[j];
            info->loop = j < ncarry + nseq ? loop : -1;
            if (INFO(info->outer)->cls == CLASS_host)
                info->cls = CLASS_host;
        }
    }
}
