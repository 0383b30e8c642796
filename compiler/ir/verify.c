/* The verifier: every invariant of a graph, each with its sentence.
 *
 * What node_new establishes is inferred again and compared, so that a pass
 * which edits nodes in place is caught. The order of checks matters: operands
 * are known to be sound before a rule looks at them. */
#include "ir/check.h"

#include <string.h>

typedef struct {
    Arena *a;
    LIST(const Node *) random; /* of the graph and its bodies */
} Verifier;

static const char *verify_graph(Verifier *v, const Graph *g);

static const char *node_text(Arena *a, const Node *n)
{
    const char *op = n->op >= 0 && n->op < NOP ? op_info[n->op].name : "?";
    if (n->name)
        return arena_printf(a, "node %d (%s '%s')", n->id, op, n->name);
    return arena_printf(a, "node %d (%s)", n->id, op);
}

static const char *verify_place(Verifier *v, const Graph *g, int i)
{
    const Node *n = g->nodes.at[i];
    const char *who = node_text(v->a, n);
    if (n->id != i)
        return arena_printf(v->a, "%s stands at place %d", who, i);
    if (n->graph != g)
        return arena_printf(v->a, "%s says that it is of another graph", who);
    if (n->op < 0 || n->op >= NOP)
        return arena_printf(v->a, "%s has no operation", who);
    for (int k = 0; k < n->nin; k++) {
        if (!n->in[k])
            return arena_printf(v->a, "%s: operand %d is missing", who, k);
        if (n->in[k]->graph != g || !graph_has(g, n->in[k]))
            return arena_printf(v->a, "%s: operand %d is not in the graph", who, k);
        if (n->in[k]->id >= i)
            return arena_printf(v->a, "%s: operand %d, node %d, comes later", who, k,
                                n->in[k]->id);
    }
    return NULL;
}

static bool is_normal(const Graph *g, Dim d)
{
    Dim again;
    if (d.sym == SYM_none)
        return true;
    if (d.sym < 0 || d.sym >= SYM_length + graph_outermost(g)->lengths.n || d.div <= 0)
        return false;
    return dim_affine(dim_sym(d.sym), d.mul, d.add, d.div, &again) && dim_equal(d, again);
}

static const char *verify_dims(Verifier *v, const Graph *g, const Node *n)
{
    bool ok = n->shape.rank >= 0 && n->shape.rank <= RANK_MOST;
    for (int i = 0; ok && i < n->shape.rank; i++)
        ok = is_normal(g, n->shape.d[i]);
    for (int i = 0; ok && i < n->nattr; i++)
        if (n->attr[i].type == AT_dim)
            ok = is_normal(g, n->attr[i].u.dim);
    return ok ? NULL
              : arena_printf(v->a, "%s: an extent is not in normal form or of no declared length",
                             node_text(v->a, n));
}

/* Dtype and shape as the rule infers them; adapted operands. */
static const char *verify_type(Verifier *v, const Graph *g, const Node *n)
{
    Graph scratch = *g; /* sentences go to the verifier's arena */
    Node inferred = *n;
    const char *why, *who = node_text(v->a, n);
    scratch.arena = v->a;
    if (!shape_check(&scratch, n->op, n->in, n->nin, n->attr, n->nattr, &inferred.dtype,
                     &inferred.shape, &why))
        return arena_printf(v->a, "%s: %s", who, why);
    if (n->dtype != inferred.dtype || !shape_equal(&n->shape, &inferred.shape))
        return arena_printf(v->a, "%s is stored as %s, its rule gives %s", who,
                            type_text(v->a, g, n), type_text(v->a, g, &inferred));
    for (int i = 0; i < n->nattr; i++)
        if (!attr_is_rounded(&n->attr[i], n->dtype))
            return arena_printf(v->a, "%s: a number is not one of %s", who, dtype_name(n->dtype));
    if (op_info[n->op].kind == KIND_map)
        for (int k = n->op == OP_select; k + 1 < n->nin; k++)
            if (n->in[k]->dtype != n->in[k + 1]->dtype)
                return arena_printf(v->a, "%s: operands %s and %s were not adapted", who,
                                    dtype_name(n->in[k]->dtype), dtype_name(n->in[k + 1]->dtype));
    return NULL;
}

static const char *verify_body(Verifier *v, const Graph *g, const Node *n)
{
    const char *who = node_text(v->a, n);
    if ((n->op == OP_scan) != (n->body != NULL))
        return arena_printf(v->a, n->body ? "%s owns a body" : "%s has no body", who);
    if (!n->body)
        return NULL;
    if (n->body->outer != g)
        return arena_printf(v->a, "%s: the body's outer graph is another one", who);
    const char *why = verify_graph(v, n->body);
    if (why)
        return arena_printf(v->a, "%s: in the body: %s", who, why);
    why = scan_check(v->a, n->body, n->in, n->nin, n->attr, n->nattr);
    return why ? arena_printf(v->a, "%s: %s", who, why) : NULL;
}

/* Equal keys are the same numbers, so they must be copies of one node. */
static const char *verify_random(Verifier *v, const Node *n)
{
    if (n->op != OP_random)
        return NULL;
    for (int i = 0; i < v->random.n; i++) {
        const Node *o = v->random.at[i];
        if (attr_int(o, ATTR_key, 0) == attr_int(n, ATTR_key, 0) &&
            (o->dtype != n->dtype || !shape_equal(&o->shape, &n->shape) || o->nin != n->nin))
            return arena_printf(v->a, "%s: its key %d is also that of node %d, which differs",
                                node_text(v->a, n), (int)attr_int(n, ATTR_key, 0), o->id);
    }
    list_push(v->a, &v->random, n);
    return NULL;
}

static const char *verify_inputs(Verifier *v, const Graph *g)
{
    int ninput = 0;
    for (int i = 0; i < g->nodes.n; i++)
        ninput += g->nodes.at[i]->op == OP_input;
    if (ninput != g->inputs.n)
        return arena_printf(v->a, "the graph lists %d inputs and holds %d", g->inputs.n, ninput);
    for (int i = 0; i < g->inputs.n; i++) {
        const Node *n = g->inputs.at[i];
        if (!graph_has(g, n) || n->op != OP_input)
            return arena_printf(v->a, "input %d of the list is not an input of the graph", i);
        const char *name = attr_str(n, ATTR_name), *who = node_text(v->a, n);
        int64_t role = attr_int(n, ATTR_role, 0);
        if ((role == ROLE_body) != (g->outer != NULL))
            return arena_printf(v->a, "%s has role %s %s", who, role_name((Role)role),
                                g->outer ? "in a body" : "outside of a body");
        for (int k = 0; k < i; k++) {
            const Node *o = g->inputs.at[k];
            if (o == n)
                return arena_printf(v->a, "%s is listed twice", who);
            if (!g->outer && attr_int(o, ATTR_role, 0) == role &&
                !strcmp(attr_str(o, ATTR_name), name))
                return arena_printf(v->a, "%s: two inputs of role %s are named '%s'", who,
                                    role_name((Role)role), name);
        }
    }
    return NULL;
}

/* An output that is bound where an input is has the input's type. */
static const char *verify_update(Verifier *v, const Graph *g, const Output *o)
{
    Role role = o->role == ROLE_grad ? ROLE_param : o->role;
    if (role != ROLE_param && role != ROLE_slot && role != ROLE_buffer && role != ROLE_state)
        return NULL;
    const Node *in = graph_find_input(g, role, o->name);
    if (in && (in->dtype != o->node->dtype || !shape_equal(&in->shape, &o->node->shape)))
        return arena_printf(v->a, "output %s '%s' is %s, the input of that name %s",
                            role_name(o->role), o->name, type_text(v->a, g, o->node),
                            type_text(v->a, g, in));
    return NULL;
}

static const char *verify_outputs(Verifier *v, const Graph *g)
{
    for (int i = 0; i < g->outputs.n; i++) {
        const Output *o = &g->outputs.at[i];
        if (o->role < 0 || o->role >= NROLE || !o->name)
            return arena_printf(v->a, "output %d has no role or no name", i);
        if (!graph_has(g, o->node) || o->node->op == OP_scan)
            return arena_printf(v->a, "output '%s' is no value of the graph", o->name);
        if ((o->role == ROLE_body) != (g->outer != NULL))
            return arena_printf(v->a, "output '%s' has role %s %s", o->name, role_name(o->role),
                                g->outer ? "in a body" : "outside of a body");
        if (o->role == ROLE_loss && (o->node->shape.rank || !dtype_is_float(o->node->dtype)))
            return arena_printf(v->a, "the loss is %s, needed a float scalar",
                                type_text(v->a, g, o->node));
        const char *why = verify_update(v, g, o);
        if (why)
            return why;
        for (int k = 0; !g->outer && k < i; k++)
            if (g->outputs.at[k].role == o->role && !strcmp(g->outputs.at[k].name, o->name))
                return arena_printf(v->a, "two outputs of role %s are named '%s'",
                                    role_name(o->role), o->name);
    }
    return NULL;
}

static const char *verify_graph(Verifier *v, const Graph *g)
{
    const char *why = NULL;
    for (int i = 0; !why && i < g->nodes.n; i++) {
        const Node *n = g->nodes.at[i];
        if ((why = verify_place(v, g, i)) || (why = verify_dims(v, g, n)) ||
            (why = verify_type(v, g, n)) || (why = verify_body(v, g, n)))
            break;
        why = verify_random(v, n);
    }
    if (!why)
        why = verify_inputs(v, g);
    return why ? why : verify_outputs(v, g);
}

const char *graph_verify(Arena *a, const Graph *g)
{
    Verifier v = {.a = a};
    return verify_graph(&v, g);
}
