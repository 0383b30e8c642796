/* The text form of a graph.
 *
 *   graph step {
 *     length T <= 200
 *     %image = input {role=data, name="image"} : u8[N, 28, 28]
 *     %1 = cast %image : f32[N, 28, 28]
 *     %2 = scan %0, %1 {ncarry=1, nseq=1, length=28} body step {
 *       ...
 *     }
 *     %3 = result %2 {index=0} : f32[N, 50]
 *     output loss "loss" %9
 *   }
 *
 * Inputs come first, in their order, then what the outputs need, depth first:
 * the text does not depend on the order in which nodes were made. The dtype and
 * shape attributes are those of the type after the colon. */
#include "ir/check.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    Arena *a;
    LIST(char) out;
} Printer;

static void put(Printer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(Printer *p, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    const char *s = arena_vprintf(p->a, format, ap);
    va_end(ap);
    for (; *s; s++)
        list_push(p->a, &p->out, *s);
}

static const char *name_or_quoted(Arena *a, const char *s)
{
    return is_word(s) ? s : quoted(a, s);
}

/* The shortest decimal that reads back to the same bits of the dtype. */
static void put_float(Printer *p, double v, Dtype dt)
{
    char text[40];
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    if (isnan(v)) {
        put(p, "nan(%016" PRIx64 ")", bits);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        double back = strtod(text, NULL);
        if (back == v || (dt == DT_f32 && (float)back == v))
            break;
    }
    put(p, "%s", text);
}

static void put_attr(Printer *p, const Node *n, const Attr *a)
{
    put(p, "%s=", attr_key_name(a->key));
    switch (a->type) {
    case AT_int:
        if (a->key == ATTR_role && a->u.i >= 0 && a->u.i < NROLE)
            put(p, "%s", role_name((Role)a->u.i));
        else
            put(p, "%" PRId64, a->u.i);
        break;
    case AT_float:
        put_float(p, a->u.f, n->dtype);
        break;
    case AT_str:
        put(p, "%s", quoted(p->a, a->u.s));
        break;
    case AT_ints:
        for (int i = 0; i < a->n; i++)
            put(p, "%s%" PRId64, i ? ", " : "[", a->u.ints[i]);
        put(p, a->n ? "]" : "[]");
        break;
    case AT_floats:
        for (int i = 0; i < a->n; i++) {
            put(p, i ? ", " : "[");
            put_float(p, a->u.floats[i], n->dtype);
        }
        put(p, a->n ? "]" : "[]");
        break;
    case AT_dim:
        put(p, "%s", dim_text_quoted(p->a, n->graph, a->u.dim));
        break;
    default:
        break;
    }
}

static void put_attrs(Printer *p, const Node *n)
{
    bool any = false;
    for (int i = 0; i < n->nattr; i++) {
        if (n->attr[i].key == ATTR_dtype || n->attr[i].key == ATTR_shape)
            continue;
        put(p, any ? ", " : " {");
        put_attr(p, n, &n->attr[i]);
        any = true;
    }
    if (any)
        put(p, "}");
}

/* An input's name where it is a word that no other input has, else null. */
static const char *input_label(const Graph *g, const Node *n)
{
    const char *name = n->op == OP_input ? attr_str(n, ATTR_name) : NULL;
    if (!name || !is_word(name))
        return NULL;
    for (int i = 0; i < g->inputs.n; i++) {
        const char *other = attr_str(g->inputs.at[i], ATTR_name);
        if (g->inputs.at[i] != n && other && !strcmp(name, other))
            return NULL;
    }
    return name;
}

static const char *label_of(const Graph *g, const char *const *label, const Node *n)
{
    return graph_has(g, n) && label[n->id] ? label[n->id] : "?";
}

static void put_graph(Printer *p, const Graph *g, int depth);

static void put_node(Printer *p, const Graph *g, const Node *n, const char *const *label, int depth)
{
    put(p, "%*s%%%s = %s", 2 * depth, "", label[n->id], op_info[n->op].name);
    for (int i = 0; i < n->nin; i++)
        put(p, "%s%%%s", i ? ", " : " ", label_of(g, label, n->in[i]));
    put_attrs(p, n);
    if (n->op != OP_scan)
        put(p, " : %s", type_text_quoted(p->a, g, n));
    if (n->name && n->op != OP_input)
        put(p, " as %s", quoted(p->a, n->name));
    if (n->body) {
        put(p, " body %s {\n", name_or_quoted(p->a, n->body->name ? n->body->name : ""));
        put_graph(p, n->body, depth + 1);
        put(p, "%*s}", 2 * depth, "");
    }
    put(p, "\n");
}

static void put_graph(Printer *p, const Graph *g, int depth)
{
    Node **order = NEW_ARRAY(p->a, Node *, g->nodes.n);
    const char **label = NEW_ARRAY(p->a, const char *, g->nodes.n);
    int n = graph_order(p->a, g, order);
    for (int i = 0; i < n; i++) {
        const char *name = input_label(g, order[i]);
        label[order[i]->id] = name ? name : arena_printf(p->a, "%d", i);
    }
    for (int i = 0; i < g->lengths.n; i++) {
        put(p, "%*slength %s", 2 * depth, "", name_or_quoted(p->a, g->lengths.at[i]));
        put(p, g->length_most.at[i] ? " <= %" PRId64 "\n" : "\n", g->length_most.at[i]);
    }
    for (int i = 0; i < n; i++)
        put_node(p, g, order[i], label, depth);
    for (int i = 0; i < g->outputs.n; i++) {
        const Output *o = &g->outputs.at[i];
        put(p, "%*soutput %s %s %%%s\n", 2 * depth, "", role_name(o->role),
            quoted(p->a, o->name ? o->name : ""), label_of(g, label, o->node));
    }
}

char *graph_text(Arena *a, const Graph *g)
{
    Printer p = {.a = arena_new()};
    put(&p, "graph %s", name_or_quoted(p.a, g->name ? g->name : ""));
    put(&p, g->columns ? " columns %" PRId64 " {\n" : " {\n", g->columns);
    put_graph(&p, g, 1);
    put(&p, "}\n");
    char *text = arena_strndup(a, p.out.at, (size_t)p.out.n);
    arena_free(p.a);
    return text;
}
