/* Graphviz: inputs are ellipses, parameters boxes, outputs bold; the body of a
 * scan is a cluster, entered and left by dashed edges. */
#include "ir/check.h"

#include <string.h>


typedef struct {
    Arena *a;
    LIST(char) out;
    int ngraph; /* numbers the graphs, so that node names are unique */
} Dot;

static void put(Dot *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(Dot *d, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    const char *s = arena_vprintf(d->a, format, ap);
    va_end(ap);
    for (; *s; s++)
        list_push(d->a, &d->out, *s);
}

/* Cut to the width (between characters), with what Graphviz reads specially escaped. */
const char *dot_label(Arena *a, const char *s, int width)
{
    char *out = arena_alloc(a, 2 * strlen(s) + 4), *p = out;
    for (int n = 0; *s; s++) {
        bool begins = (*s & 0xC0) != 0x80;
        if (begins && n++ == width) {
            strcpy(p, "...");
            break;
        }
        if (*s == '"' || *s == '\\')
            *p++ = '\\';
        *p++ = (unsigned char)*s < ' ' ? ' ' : *s;
    }
    return out;
}

static const char *label(Dot *d, const char *s)
{
    return dot_label(d->a, s, 24);
}

const char *dot_style(const Node *n)
{
    if (n->op == OP_input) {
        int64_t role = attr_int(n, ATTR_role, NROLE);
        return role == ROLE_param  ? "shape=box, style=filled, fillcolor=\"#dce9f7\""
               : role == ROLE_data ? "shape=ellipse, style=filled, fillcolor=\"#e2f2dc\""
                                   : "shape=ellipse";
    }
    switch (op_info[n->op].kind) {
    case KIND_leaf:
        return "shape=plaintext";
    case KIND_contract:
    case KIND_batch:
        return "shape=box, style=\"rounded,filled\", fillcolor=\"#f7e3d0\"";
    case KIND_scan:
        return "shape=box3d";
    default:
        return "shape=box, style=rounded";
    }
}

const char *dot_head(Arena *a, const Node *n)
{
    const char *name = op_info[n->op].name;
    if (n->op == OP_const)
        return arena_printf(a, "%g", attr_get(n, ATTR_value)->u.f);
    if (n->op == OP_contract || n->op == OP_batch_contract)
        return arena_printf(a, "%s %s", name, attr_str(n, ATTR_spec));
    if (n->op == OP_result)
        return arena_printf(a, "result %d", (int)attr_int(n, ATTR_index, 0));
    return name;
}

/* First line: the name or operation (a constant's value); second: the type. */
static void put_node(Dot *d, const Graph *g, const Node *n, int id, int depth)
{
    put(d, "%*sg%d_%d [%s, label=\"", 2 * depth, "", id, n->id, dot_style(n));
    if (n->name)
        put(d, "%s\\n", label(d, n->name));
    if (n->op != OP_input)
        put(d, "%s\\n", label(d, dot_head(d->a, n)));
    if (n->op == OP_scan)
        put(d, "%s steps\"];\n", dim_text(d->a, g, attr_get(n, ATTR_length)->u.dim));
    else
        put(d, "%s\"];\n", label(d, type_text(d->a, g, n)));
}

static void put_graph(Dot *d, const Graph *g, int id, int depth);

/* The cluster of a scan's body, and the edges into and out of it. */
static void put_body(Dot *d, const Node *n, int id, int depth)
{
    int body = ++d->ngraph;
    put(d, "%*ssubgraph cluster_%d {\n%*slabel=\"%s\"; color=\"#888888\";\n", 2 * depth, "", body,
        2 * depth + 2, "", label(d, n->body->name ? n->body->name : "body"));
    put_graph(d, n->body, body, depth + 1);
    put(d, "%*s}\n", 2 * depth, "");
    for (int i = 0; i < n->nin && i < n->body->inputs.n; i++)
        put(d, "%*sg%d_%d -> g%d_%d [style=dashed];\n", 2 * depth, "", id, n->in[i]->id, body,
            n->body->inputs.at[i]->id);
    for (int i = 0; i < n->body->outputs.n; i++)
        put(d, "%*sg%d_%d -> g%d_%d [style=dashed, label=\"%d\"];\n", 2 * depth, "", body,
            n->body->outputs.at[i].node->id, id, n->id, i);
}

static void put_graph(Dot *d, const Graph *g, int id, int depth)
{
    Node **order = NEW_ARRAY(d->a, Node *, g->nodes.n);
    int n = graph_order(d->a, g, order);
    for (int i = 0; i < n; i++) {
        put_node(d, g, order[i], id, depth);
        if (order[i]->body)
            put_body(d, order[i], id, depth);
        for (int k = 0; !order[i]->body && k < order[i]->nin; k++)
            put(d, "%*sg%d_%d -> g%d_%d;\n", 2 * depth, "", id, order[i]->in[k]->id, id,
                order[i]->id);
    }
    for (int i = 0; i < g->outputs.n; i++) {
        const Output *o = &g->outputs.at[i];
        put(d, "%*sg%d_out%d [shape=ellipse, style=bold, label=\"%s\\n%s\"];\n", 2 * depth, "", id,
            i, role_name(o->role), label(d, o->name));
        put(d, "%*sg%d_%d -> g%d_out%d;\n", 2 * depth, "", id, o->node->id, id, i);
    }
}

char *graph_dot(Arena *a, const Graph *g)
{
    Dot d = {.a = arena_new()};
    put(&d, "digraph \"%s\" {\n", label(&d, g->name ? g->name : "graph"));
    put(&d, "  rankdir=TB; node [fontname=\"sans-serif\", fontsize=10];\n");
    put_graph(&d, g, 0, 1);
    put(&d, "}\n");
    char *text = arena_strndup(a, d.out.at, (size_t)d.out.n);
    arena_free(d.a);
    return text;
}
