/* Gradients against central differences: what the tests of grad and opt share.
 *
 * A Case holds a graph in float64 with inputs and a scalar loss. The loss is the
 * sum of the result's elements times given weights, so that no gradient is
 * symmetric by accident. Values are drawn by the input's domain, the same in
 * every run. */
#ifndef WEFT_GRAD_CHECK_H
#define WEFT_GRAD_CHECK_H

#include "grad/grad.h"
#include "ir/eval.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS_MOST = 24 };

typedef struct {
    Arena *arena;
    const char *name;
    Graph *g;
    const char *domain[INPUTS_MOST]; /* of each input; null: a weight */
    Node *wrt[INPUTS_MOST];
    int nwrt;
    int64_t lengths[SYM_MOST];       /* by symbol */
    double quantum;                  /* >0: values and steps are multiples of it */
    int failed;
} Case;

static inline Dim dN(void)
{
    return dim_sym(SYM_N);
}

/* "N3x4": the batch, then extents. "T": the graph's first length. */
static inline Shape shape_by(const char *text)
{
    Shape s = {.rank = 0};
    while (*text) {
        if (*text == 'N' || *text == 'T') {
            s.d[s.rank++] = dim_sym(*text == 'N' ? SYM_N : SYM_length);
            text++;
        } else if (*text == 'x') {
            text++;
        } else {
            int used, v;
            sscanf(text, "%d%n", &v, &used);
            text += used;
            s.d[s.rank++] = dim_int(v);
        }
    }
    return s;
}

static inline Case *case_new(Arena *a, const char *name)
{
    Case *c = NEW(a, Case);
    c->arena = a;
    c->name = name;
    c->g = graph_new(a, "test");
    graph_length(c->g, "T", 0);
    return c;
}

static inline Node *case_input_of(Case *c, Dtype dt, Shape s, const char *domain, bool wrt)
{
    Role role = shape_has_batch(&s) ? ROLE_data : ROLE_param;
    int i = c->g->inputs.n;
    Node *n = graph_input(c->g, role, arena_printf(c->arena, "x%d", i), dt, s, (Span){0});
    c->domain[i] = domain;
    if (wrt)
        c->wrt[c->nwrt++] = n;
    return n;
}

static inline Node *case_input(Case *c, const char *shape, const char *domain)
{
    return case_input_of(c, DT_f64, shape_by(shape), domain, true);
}

/* The weighted sum of y's elements. */
static inline Node *case_loss(Case *c, Node *y)
{
    int axes[RANK_MOST], n = 0;
    if (!dtype_is_float(y->dtype) || y->dtype == DT_f32)
        y = make_cast(c->g, y, DT_f64);
    y = node2(c->g, OP_mul, y, case_input_of(c, DT_f64, y->shape, NULL, false));
    for (int i = shape_has_batch(&y->shape); i < y->shape.rank; i++)
        axes[n++] = i;
    y = make_reduce(c->g, OP_reduce_sum, y, axes, n);
    return y->shape.rank ? make_batch_sum(c->g, y) : y;
}

/* ---- values ---- */

static inline double draw(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) / 9007199254740992.0;
}

static inline double draw_in(const char *domain, uint64_t *state)
{
    double u = draw(state), sign = draw(state) < 0.5 ? -1 : 1;
    if (!domain || !strcmp(domain, "any"))
        return 4 * u - 2;
    if (!strcmp(domain, "positive"))
        return 0.3 + 2 * u;
    if (!strcmp(domain, "unit"))
        return 0.1 + 0.8 * u;
    if (!strcmp(domain, "angle"))
        return 16 * u - 8;
    if (!strcmp(domain, "bool"))
        return u < 0.5;
    if (!strncmp(domain, "index", 5))
        return floor(u * atof(domain + 5));
    return sign * (0.2 + 2 * u); /* nonzero, kink, int */
}

static inline Value *case_values(Case *c, uint64_t seed)
{
    uint64_t state = seed * 2654435761u + 12345;
    Value *in = NEW_ARRAY(c->arena, Value, c->g->inputs.n);
    for (int i = 0; i < c->g->inputs.n; i++) {
        const Node *n = c->g->inputs.at[i];
        int64_t dim[RANK_MOST] = {0};
        for (int k = 0; k < n->shape.rank; k++)
            dim[k] = dim_value(n->shape.d[k], c->lengths);
        in[i] = value_new(c->arena, n->dtype, n->shape.rank, dim);
        for (int64_t e = 0; e < in[i].count; e++) {
            double v = draw_in(c->domain[i], &state);
            if (c->quantum > 0 && n->dtype == DT_f64)
                v = c->quantum * rint(v / c->quantum);
            value_set(&in[i], e, v);
        }
    }
    return in;
}

static inline EvalSizes case_sizes(Case *c)
{
    return (EvalSizes){c->lengths, SYM_MOST};
}

static inline void case_lengths(Case *c, int64_t n, int64_t t)
{
    c->lengths[SYM_N] = n;
    c->lengths[SYM_S] = shard_count(n);
    c->lengths[SYM_length] = t;
}

/* ---- the check ---- */

static inline double loss_at(Case *c, const Graph *forward, const Value *in)
{
    Arena *a = arena_new();
    Value out;
    graph_eval(a, forward, case_sizes(c), in, &out, false);
    double v = value_get(&out, 0);
    arena_free(a);
    return v;
}

/* `picks` elements of input k by central differences against grad. */
static inline void compare(Case *c, const Graph *forward, Value *in, int k, const Value *grad,
                           int picks)
{
    Value *x = &in[k];
    double largest = 1e-3, worst = 0;
    int64_t at = 0;
    for (int64_t e = 0; e < grad->count; e++)
        largest = fmax(largest, fabs(value_get(grad, e)));
    int64_t stride = x->count > picks ? x->count / picks : 1;
    for (int64_t e = 0; e < x->count; e += stride) {
        double v = value_get(x, e), h = c->quantum > 0 ? c->quantum : 1e-5;
        value_set(x, e, v + h);
        double hi = loss_at(c, forward, in);
        value_set(x, e, v - h);
        double lo = loss_at(c, forward, in);
        value_set(x, e, v);
        double error = fabs((hi - lo) / (2 * h) - value_get(grad, e)) / largest;
        if (!(error <= worst)) {
            worst = error;
            at = e;
        }
    }
    if (!(worst < 1e-6)) {
        printf("%s: n = %d: gradient of input %d is off by %g of its largest magnitude at "
               "element %d\n", c->name, (int)c->lengths[SYM_N], k, worst, (int)at);
        c->failed++;
    }
}

static inline int input_index(const Graph *g, const Node *n)
{
    for (int i = 0; i < g->inputs.n; i++)
        if (g->inputs.at[i] == n)
            return i;
    return -1;
}

static inline bool case_verify(Case *c)
{
    const char *why = graph_verify(c->arena, c->g);
    if (why) {
        printf("%s: %s\n%s\n", c->name, why, graph_text(c->arena, c->g));
        c->failed++;
    }
    return !why;
}

/* Appends the gradient of `loss`: outputs are the loss, then the gradients. The
 * forward graph, with the loss alone, is returned. */
static inline Graph *case_differentiate(Case *c, Node *loss)
{
    Node *grad[INPUTS_MOST];
    graph_output(c->g, ROLE_loss, "loss", loss);
    Graph *forward = graph_copy(c->arena, c->g);
    grad_append(c->g, loss, c->wrt, c->nwrt, grad);
    for (int i = 0; i < c->nwrt; i++)
        graph_output(c->g, ROLE_grad, attr_str(c->wrt[i], ATTR_name), grad[i]);
    graph_compact(c->g);
    return forward;
}

static inline int case_compare(Case *c, const Graph *forward, int64_t n, int64_t t, int picks)
{
    case_lengths(c, n, t);
    Value *in = case_values(c, (uint64_t)(n + 100 * t)), out[INPUTS_MOST + 1];
    graph_eval(c->arena, c->g, case_sizes(c), in, out, false);
    double loss = loss_at(c, forward, in);
    if (!(fabs(value_get(&out[0], 0) - loss) <= 1e-12 * (1 + fabs(loss)))) {
        printf("%s: the loss was %.17g and is %.17g\n", c->name, loss, value_get(&out[0], 0));
        c->failed++;
    }
    for (int i = 0; i < c->nwrt; i++)
        compare(c, forward, in, input_index(c->g, c->wrt[i]), &out[1 + i], picks);
    return c->failed;
}

/* The whole check for one result: n = 1, 3 and 33 rows. */
static inline int case_check(Case *c, Node *y)
{
    Graph *forward = case_differentiate(c, case_loss(c, y));
    if (!case_verify(c))
        return c->failed;
    const int64_t rows[] = {1, 3, 33};
    for (int i = 0; i < 3; i++)
        case_compare(c, forward, rows[i], 4, 12);
    return c->failed;
}

#endif
