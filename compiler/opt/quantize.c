/* pass_quantize: products of rows with a parameter become products of bytes.
 *
 *   contract(x, W)  ->  cast(contract(q(x), W'))  *  (scale  *  step)
 *   q(x) = x / step rounded, within -127 and 127,  step = most / 127,  W ~ W' * scale
 *
 * symmetric about 0, so that padding stays 0. Where the processor multiplies words
 * of four bytes at once, both factors become words along a summed axis (operation
 * words); where it does so with one factor unsigned alone, x is taken 128 larger and
 * the product begins with -128 * sum of W'. These sums are exact: the same bits (the
 * scheme of Jacob et al., "Quantization and Training of Neural Networks for
 * Efficient Integer-Arithmetic-Only Inference", 2018, without zero points). The
 * ranges come from a calibration: with `observe` the pass finds the products and
 * adds an output for each, the largest magnitude of x in each row. It runs before
 * products are joined, on graphs that are not differentiated.
 */
#include "opt/quantize.h"

#include "ir/contract.h"
#include "opt/opt.h"
#include "opt/rewrite.h"

#include <string.h>

/* ---- through the edges of bodies ---- */

static Node *scan_of(const Graph *body)
{
    for (int i = 0; i < body->outer->nodes.n; i++)
        if (body->outer->nodes.at[i]->body == body)
            return body->outer->nodes.at[i];
    bug("a body without a scan");
}

/* The parameter that n is, looked up through bodies; null for anything else. */
static Node *param_of(Node *n)
{
    while (n && n->op == OP_input && n->graph->outer)
        n = node_outside(scan_of(n->graph), n);
    return n && n->op == OP_input && attr_int(n, ATTR_role, -1) == ROLE_param ? n : NULL;
}

/* A node of the outermost graph as seen in g: an input of each body on the way. */
static Node *seen_in(Graph *g, Node *n)
{
    return g->outer ? scan_constant(scan_of(g), seen_in(g->outer, n)) : n;
}

/* A row value of a body for all steps, in the outermost graph. */
static Node *seen_outside(Node *n)
{
    while (n->graph->outer) {
        Node *scan = scan_of(n->graph);
        n = make_result(n->graph->outer, scan, scan_stack(scan, n));
    }
    return n;
}

/* ---- which products ---- */

/* The operand that is a parameter, when the other one is a row value; -1: none. */
static int param_operand(const Node *n)
{
    Contract c;
    if (n->op != OP_contract || n->dtype != DT_f32 || attr_int(n, ATTR_acc, 0))
        return -1;
    contract_of(n, &c);
    for (int o = 0; c.nterm == 1 && o < 2; o++)
        if (shape_has_batch(&n->in[!o]->shape) && param_of(n->in[o]))
            return o;
    return -1;
}

/* The parameter's one axis that the output has as it is and x has not, if a scale for each of its
 * indices pays; *out is that axis of the output. */
static int channel_axis(const Node *n, int o, int *out)
{
    Contract c;
    int64_t count = 1, extent = 0, channels = 0;
    int found = -1;
    contract_of(n, &c);
    for (int i = 0; i < c.term[0].rank[o]; i++) {
        int l = axis_label(&c.term[0].axis[o][i]);
        if (!dim_const(n->in[o]->shape.d[i], &extent))
            return -1;
        count *= extent;
        if (l < 0 || l >= c.nout || contract_has(&c, 0, !o, l))
            continue;
        if (found >= 0)
            return -1;
        found = i;
        channels = extent;
        *out = l;
    }
    return found >= 0 && count >= CHANNEL_LEAST * channels ? found : -1;
}

/* The product's entry; made when there is none and the pass observes. */
static QuantizeSite *site_of(Quantize *q, const Node *n, int o, int use)
{
    const Node *w = param_of(n->in[o]);
    const char *name = attr_str(w, ATTR_name);
    int out;
    for (int i = 0; i < q->sites.n; i++)
        if (q->sites.at[i].use == use && !strcmp(q->sites.at[i].param, name))
            return &q->sites.at[i];
    if (!q->observe)
        return NULL;
    QuantizeSite s = {.use = use, .rank = w->shape.rank, .axis = channel_axis(n, o, &out)};
    for (int i = 0; i < s.rank; i++)
        if (!dim_const(w->shape.d[i], &s.dim[i]))
            return NULL;
    s.param = arena_strdup(q->arena, name);
    s.range = arena_printf(q->arena, "range/%s/%d", name, use);
    s.values = arena_printf(q->arena, "%s/int8", name);
    s.scale = use ? arena_printf(q->arena, "%s/scale%d", name, use)
                  : arena_printf(q->arena, "%s/scale", name);
    list_push(q->arena, &q->sites, s);
    return &q->sites.at[q->sites.n - 1];
}

/* ---- observing ---- */

static void observe(Graph *top, const QuantizeSite *s, Node *x)
{
    int axes[RANK_MOST], n = 0;
    Node *y = node1(x->graph, OP_abs, x);
    for (int i = 1; i < x->shape.rank; i++)
        axes[n++] = i;
    if (n)
        y = make_reduce(x->graph, OP_reduce_max, y, axes, n);
    y = seen_outside(y);
    for (n = 0; n + 1 < y->shape.rank; n++)
        axes[n] = n + 1;
    if (n)
        y = make_reduce(top, OP_reduce_max, y, axes, n);
    graph_output(top, ROLE_metric, arena_strdup(top->arena, s->range), y);
}

/* ---- replacing ---- */

static Node *given(Graph *top, const char *name, Dtype dt, Shape shape, Span at)
{
    Node *n = graph_find_input(top, ROLE_param, name);
    return n ? n : graph_input(top, ROLE_param, arena_strdup(top->arena, name), dt, shape, at);
}

/* The factor x in bytes, rounded as operation words does it: the numbers from `magic` on are
 * whole. */
static Node *in_bytes(Graph *g, Node *x, double step)
{
    const double magic = 0x1.8p23;
    Node *y = node2(g, OP_mul, x, make_const(g, 1 / step));
    Node *least = make_const_of(g, DT_f32, -QUANTUM_MOST);
    Node *most = make_const_of(g, DT_f32, QUANTUM_MOST);
    y = node3(g, OP_select, node2(g, OP_gt, y, least), y, least);
    y = node3(g, OP_select, node2(g, OP_lt, y, most), y, most);
    y = node2(g, OP_sub, node2(g, OP_add, y, make_const(g, magic)), make_const(g, magic));
    return make_cast(g, y, DT_i8);
}

static Node *in_words(Graph *g, Node *x, int axis, double by, bool is_unsigned)
{
    Attr attr[] = {attr_of_int(ATTR_axis, axis), attr_of_float(ATTR_value, (float)by),
                   attr_of_int(ATTR_unsigned, is_unsigned)};
    return node_new(g, OP_words, x->span, &x, 1, attr, 2 + is_unsigned);
}

/* The axes of a product's two factors along which their bytes can be taken four at a time: the
 * longest that is summed. */
static bool word_axes(const Node *n, const Contract *c, int axis[2])
{
    int64_t longest = 0, extent;
    for (int k = 0; k < c->term[0].nsum; k++) {
        int at[2] = {-1, -1};
        for (int o = 0; o < 2; o++)
            for (int i = 0; i < c->term[0].rank[o]; i++)
                if (axis_label(&c->term[0].axis[o][i]) == c->term[0].sum[k])
                    at[o] = i;
        if (at[0] >= 0 && at[1] >= 0 && dim_const(n->in[0]->shape.d[at[0]], &extent) &&
            extent > longest) {
            longest = extent;
            memcpy(axis, at, sizeof at);
        }
    }
    return longest >= WORDS_LEAST;
}

/* A parameter's value with axes where the output has them, ones between; `label` are its axes'.
 * Null where they come in another order. */
static Node *along_output(const Node *n, Node *value, const int *label)
{
    Shape s = {.rank = 0};
    int k = 0;
    for (int l = value->shape.rank ? label[0] : n->shape.rank; l < n->shape.rank; l++)
        s.d[s.rank++] = k < value->shape.rank && label[k] == l ? value->shape.d[k++] : dim_int(1);
    if (k < value->shape.rank)
        return NULL;
    return shape_equal(&s, &value->shape) ? value : make_reshape(value->graph, value, s);
}

/* What products of bytes that are 128 too large exceed the others by, negative: parameter w's
 * bytes summed. In n's shape; null where w's axes come in another order than there. */
static Node *excess(const Node *n, const Contract *c, int o, Node *w)
{
    Graph *g = n->graph;
    int summed[RANK_MOST], kept[RANK_MOST], ns = 0, nk = 0;
    for (int i = 0; i < w->shape.rank; i++) {
        int l = axis_label(&c->term[0].axis[o][i]);
        if (l >= 0 && l < c->nout)
            kept[nk++] = l;
        else
            summed[ns++] = i;
    }
    Node *sum = make_reduce(w->graph, OP_reduce_sum, make_cast(w->graph, w, DT_i32), summed, ns);
    sum = node2(w->graph, OP_mul, sum, make_const_of(w->graph, DT_i32, -(QUANTUM_MOST + 1)));
    sum = along_output(n, seen_in(g, sum), kept);
    return sum ? make_broadcast(g, sum, n->shape) : NULL;
}

/* The product of bytes, in words where the processor has instructions for them. */
static Node *product(const Quantize *q, const Node *n, int o, Node *w, double step)
{
    Graph *g = n->graph;
    Contract c;
    Node *in[3] = {NULL};
    int axis[2], nattr = 1;
    contract_of(n, &c);
    Attr attr[3] = {attr_of_str(ATTR_spec, attr_str(n, ATTR_spec))};
    bool words = q->bytes != BYTES_single && word_axes(n, &c, axis);
    bool is_unsigned = words && q->bytes == BYTES_unsigned &&
                       (in[0] = excess(n, &c, o, w)) != NULL;
    if (words) {
        in[1 + o] = seen_in(g, in_words(w->graph, w, axis[o], 1, false));
        in[2 - o] = in_words(g, n->in[!o], axis[!o], 1 / step, is_unsigned);
    } else {
        in[1 + o] = seen_in(g, w);
        in[2 - o] = in_bytes(g, n->in[!o], step);
    }
    if (is_unsigned) {
        attr[nattr++] = attr_of_int(ATTR_acc, 1);
        attr[nattr++] = attr_of_int(ATTR_unsigned, 1 << !o);
    }
    return node_new(g, OP_contract, n->span, in + !is_unsigned, 2 + is_unsigned, attr, nattr);
}

static Node *replaced(Graph *top, const Quantize *q, const QuantizeSite *s, Node *n, int o)
{
    Graph *g = n->graph;
    double step = s->most / QUANTUM_MOST;
    int out = -1, axis = channel_axis(n, o, &out);
    if (axis != s->axis)
        axis = out = -1;
    Shape channels = {.rank = axis >= 0};
    if (axis >= 0)
        channels.d[0] = n->in[o]->shape.d[axis];
    Node *w = given(top, s->values, DT_i8, n->in[o]->shape, n->in[o]->span);
    Node *scale = given(top, s->scale, DT_f32, channels, n->in[o]->span);
    scale = seen_in(g, node2(top, OP_mul, scale, make_const(top, step)));
    Node *y = make_cast(g, product(q, n, o, w, step), DT_f32);
    y = node2(g, OP_mul, y, along_output(n, scale, &out));
    y->span = n->span;
    y->name = n->name;
    return y;
}

/* ---- the walk ---- */

typedef struct { Graph *top; Quantize *q; LIST(const char *) seen; Arena *scratch; } Walk;

static int uses_before(Walk *w, const char *param)
{
    int n = 0;
    for (int i = 0; i < w->seen.n; i++)
        n += !strcmp(w->seen.at[i], param);
    list_push(w->scratch, &w->seen, param);
    return n;
}

static void walk(Walk *w, Graph *g)
{
    for (int i = 0, n = g->nodes.n; i < n; i++) {
        Node *x = g->nodes.at[i];
        if (x->body)
            walk(w, x->body);
        int o = param_operand(x);
        if (o < 0)
            continue;
        int use = uses_before(w, attr_str(param_of(x->in[o]), ATTR_name));
        QuantizeSite *s = site_of(w->q, x, o, use);
        if (s && w->q->observe)
            observe(w->top, s, x->in[!o]);
        else if (s && s->most > 0)
            graph_replace(g, x, replaced(w->top, w->q, s, x, o));
    }
}

static void compact_all(Graph *g)
{
    for_bodies(g, compact_all);
    graph_compact(g);
}

void pass_quantize(Graph *g, Quantize *q)
{
    Walk w = {.top = g, .q = q, .scratch = arena_new()};
    compact_all(g);
    walk(&w, g);
    compact_all(g);
    prune_scans(g);
    compact_all(g);
    if (!q->observe)
        graph_drop_unused_inputs(g, ROLE_param); /* the floats that bytes stand for now */
    arena_free(w.scratch);
}
