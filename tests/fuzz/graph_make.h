/* Random well-typed graphs, from the table of operations.
 *
 * A maker keeps a pool of nodes and adds to it by trying: it picks an operation,
 * operands from the pool and attributes, and asks shape_check whether they suit
 * each other. What does not is dropped. A scan's body is made by a maker of its own. */
#ifndef WEFT_FUZZ_GRAPH_MAKE_H
#define WEFT_FUZZ_GRAPH_MAKE_H

#include "ir/contract.h"

#include <stdlib.h>
#include <string.h>

/* Where decisions come from: bytes while there are some, then a generator. */
typedef struct {
    const uint8_t *at, *end;
    uint64_t state;
} Choices;

typedef struct {
    Arena *arena;
    Choices *from;
    Graph *g;
    Dtype real;
    bool tame;             /* no value blows up, few jump: passes may round differently */
    int depth;             /* of scans */
    int *key;              /* the last random sequence's */
    int64_t most;          /* elements of a tensor, a length counting as 5 */
    LIST(Node *) pool;
    Node *seed, *step, *t; /* i32 scalars; t in a body, may be null */
} Maker;

static inline uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static inline int choose(Choices *c, int n)
{
    if (n < 2)
        return 0;
    if (c->at < c->end)
        return *c->at++ % n;
    return (int)(splitmix(&c->state) % (uint64_t)n);
}

static inline int pick(Maker *m, int n)
{
    return choose(m->from, n);
}

static inline Node *any(Maker *m)
{
    /* Late nodes twice as often: graphs become deep. */
    int n = m->pool.n;
    return m->pool.at[pick(m, 2) && n > 8 ? n - 1 - pick(m, 8) : pick(m, n)];
}

static inline Node *any_float(Maker *m)
{
    for (int i = 0; i < 20; i++) {
        Node *n = any(m);
        if (n->dtype == m->real)
            return n;
    }
    return m->pool.at[0];
}

static inline bool small_enough(const Maker *m, const Shape *s)
{
    int64_t count = 1, v;
    for (int i = 0; i < s->rank; i++)
        if (s->d[i].sym != SYM_N && s->d[i].sym != SYM_S)
            count *= dim_const(s->d[i], &v) ? v : 5;
    return count <= m->most;
}

static inline Node *keep(Maker *m, Node *n)
{
    list_push(m->arena, &m->pool, n);
    return n;
}

/* The node, or null when it would not be well typed or be too large. */
static inline Node *attempt(Maker *m, Op op, Node *const *in, int nin, const Attr *attr, int nattr)
{
    Dtype dt;
    Shape s;
    const char *why;
    if (!shape_check(m->g, op, in, nin, attr, nattr, &dt, &s, &why) || !small_enough(m, &s))
        return NULL;
    return keep(m, node_new(m->g, op, (Span){0}, in, nin, attr, nattr));
}

/* ---- elementwise ---- */

static inline Node *constant(Maker *m, Dtype dt)
{
    static const double values[] = {0, 1, 2, -1, 0.5, 3, -0.25, 1e-3};
    double v = values[pick(m, 8)];
    return make_const_of(m->g, dt, dtype_is_float(dt) ? v : (double)(int)v);
}

/* Is an operation's derivative or value without jumps and poles? */
static inline bool is_tame(Op op)
{
    return op == OP_neg || op == OP_tanh || op == OP_sigmoid || op == OP_softplus ||
           op == OP_erf || op == OP_sin || op == OP_cos || op == OP_add || op == OP_sub ||
           op == OP_mul || op == OP_stop_gradient;
}

static inline Node *random_map(Maker *m)
{
    static const Op ops[] = {
#define MAP1(name, ...) OP_##name,
#define MAP2(name, ...) OP_##name,
#define MAP3(name, ...) OP_##name,
#include "ir/op.def"
        OP_add, OP_sub, OP_mul, OP_mul, OP_tanh, OP_sigmoid, OP_select, OP_select,
    };
    Op op = ops[pick(m, sizeof ops / sizeof *ops)];
    if (m->tame && !is_tame(op))
        return NULL;
    Node *in[3];
    for (int i = 0; i < op_info[op].arity; i++) {
        bool weak = pick(m, 8) == 0;
        in[i] = weak && !(op == OP_select && i == 0) ? constant(m, DT_f64) : any(m);
        if (op == OP_select && i == 0 && in[0]->dtype != DT_bool && dtype_is_float(in[0]->dtype))
            in[0] = node2(m->g, OP_lt, in[0], constant(m, DT_f64));
    }
    Node *n = attempt(m, op, in, op_info[op].arity, NULL, 0);
    if (n && m->tame && n->dtype == m->real && op != OP_tanh && pick(m, 2))
        n = keep(m, node1(m->g, OP_tanh, n));
    return n;
}

static inline Node *random_cast(Maker *m)
{
    static const Dtype types[] = {DT_f32, DT_f64, DT_i32, DT_u8, DT_i8, DT_i16};
    Node *x = any(m);
    Dtype dt = dtype_is_float(x->dtype) && (m->tame || pick(m, 3)) ? m->real : types[pick(m, 6)];
    if (!dtype_is_float(x->dtype) && pick(m, 3))
        dt = m->real;
    if (dt == x->dtype || (dtype_is_float(dt) && dt != m->real && pick(m, 8)))
        return NULL;
    Attr attr = attr_of_int(ATTR_dtype, dt);
    return attempt(m, OP_cast, &x, 1, &attr, 1);
}

/* ---- views ---- */

static inline int lead_of(const Shape *s)
{
    return shape_has_batch(s) || shape_has_shards(s);
}

static inline Node *random_transpose(Maker *m, Node *x)
{
    int lead = lead_of(&x->shape);
    int64_t perm[RANK_MOST] = {0};
    for (int i = 0; i < x->shape.rank; i++)
        perm[i] = i;
    for (int i = x->shape.rank - 1; i > lead; i--) {
        int j = lead + pick(m, i - lead + 1);
        int64_t t = perm[i];
        perm[i] = perm[j];
        perm[j] = t;
    }
    Attr attr = attr_of_ints(ATTR_perm, perm, x->shape.rank);
    return attempt(m, OP_transpose, &x, 1, &attr, 1);
}

/* Splits an axis, joins two, or puts in an axis of extent 1. */
static inline Node *random_reshape(Maker *m, Node *x)
{
    Shape s = x->shape, to = {0};
    int lead = lead_of(&s);
    int axis = lead + pick(m, s.rank - lead + 1), how = pick(m, 3);
    int64_t v, w;
    for (int i = 0; i <= s.rank && to.rank < RANK_MOST - 1; i++) {
        if (i == axis && how == 0)
            to.d[to.rank++] = dim_int(1);
        if (i == s.rank)
            break;
        bool known = dim_const(s.d[i], &v);
        if (i == axis && how == 1 && known && i + 1 < s.rank && dim_const(s.d[i + 1], &w)) {
            to.d[to.rank++] = dim_int(v * w);
            i++;
            continue;
        }
        int64_t by = 2 + pick(m, 2);
        if (i == axis && how == 2 && known && v % by == 0) {
            to.d[to.rank++] = dim_int(by);
            to.d[to.rank++] = dim_int(v / by);
            continue;
        }
        to.d[to.rank++] = s.d[i];
    }
    Attr attr = attr_of_shape(ATTR_shape, to);
    return shape_equal(&to, &s) ? NULL : attempt(m, OP_reshape, &x, 1, &attr, 1);
}

static inline Node *random_slice(Maker *m, Node *x, bool pads)
{
    int lead = lead_of(&x->shape);
    if (x->shape.rank == lead)
        return NULL;
    int axis = lead + pick(m, x->shape.rank - lead), step = 1 + (pick(m, 3) == 0) * pick(m, 3);
    int64_t v;
    Dim start = dim_int(0), size = x->shape.d[axis];
    if (pads && dim_const(size, &v)) {
        start = dim_int(pick(m, 3));
        size = dim_int(start.add + (v - 1) * step + 1 + pick(m, 3));
        if (pick(m, 4) == 0) {
            start = dim_int(start.add + (v - 1) * step);
            step = -step;
        }
    } else if (pads) {
        start = dim_int(pick(m, 3));
        step = 1;
        if (!dim_affine(size, 1, start.add + pick(m, 2), 1, &size))
            return NULL;
    } else if (dim_const(size, &v)) {
        int first = pick(m, (int)v), count = 1 + pick(m, (int)((v - first - 1) / step) + 1);
        start = dim_int(first);
        size = dim_int(count);
        if (pick(m, 3) == 0) {
            start = dim_int(first + (count - 1) * step);
            step = -step;
        }
    } else { /* along a run-time length: backwards, or its first or last */
        int how = pick(m, 3);
        step = how == 0 ? -1 : 1;
        if (how < 2 && !dim_affine(size, 1, -1, 1, &start))
            return NULL;
        if (how > 0)
            size = dim_int(1);
    }
    Attr attr[] = {attr_of_int(ATTR_axis, axis), attr_of_dim(ATTR_start, start),
                   attr_of_dim(ATTR_size, size), attr_of_int(ATTR_step, step)};
    return attempt(m, pads ? OP_pad : OP_slice, &x, 1, attr, 4);
}

static inline Node *random_broadcast(Maker *m, Node *x)
{
    Shape to = x->shape;
    for (int i = 0; i < to.rank; i++)
        if (dim_is(to.d[i], 1) && pick(m, 2))
            to.d[i] = dim_int(1 + pick(m, 4));
    if (!lead_of(&to) && to.rank < RANK_MOST && pick(m, 2)) {
        memmove(to.d + 1, to.d, sizeof(Dim) * (size_t)to.rank++);
        to.d[0] = pick(m, 2) ? dim_sym(SYM_N) : dim_int(2);
    }
    Attr attr = attr_of_shape(ATTR_shape, to);
    return shape_equal(&to, &x->shape) ? NULL : attempt(m, OP_broadcast, &x, 1, &attr, 1);
}

static inline Node *random_concat(Maker *m, Node *x)
{
    int lead = lead_of(&x->shape), n = 1;
    if (x->shape.rank == lead)
        return NULL;
    Node *in[4] = {x};
    for (int i = 0; i < 6 && n < 4; i++) {
        Node *y = any(m);
        if (y->dtype == x->dtype && y->shape.rank == x->shape.rank)
            in[n++] = y;
    }
    for (int axis = lead; axis < x->shape.rank; axis++) {
        Attr attr = attr_of_int(ATTR_axis, axis);
        for (int k = n; k >= 2; k--) {
            Node *got = attempt(m, OP_concat, in, k, &attr, 1);
            if (got)
                return got;
        }
    }
    Attr attr = attr_of_int(ATTR_axis, lead + pick(m, x->shape.rank - lead));
    return attempt(m, OP_concat, (Node *[]){x, x}, 2, &attr, 1);
}

static inline Node *random_view(Maker *m)
{
    if (!m->pool.n) /* a body of a loop without sequences and constants */
        return NULL;
    Node *x = any(m);
    switch (pick(m, 7)) {
    case 0: return random_transpose(m, x);
    case 1: return random_reshape(m, x);
    case 2:
    case 3: return random_slice(m, x, false);
    case 4: return random_slice(m, x, true);
    case 5: return random_broadcast(m, x);
    default: return random_concat(m, x);
    }
}

/* ---- sums and products ---- */

static inline Node *random_reduce(Maker *m)
{
    static const Op ops[] = {OP_reduce_sum, OP_reduce_sum, OP_reduce_max, OP_reduce_min, OP_argmax};
    Op op = ops[m->tame ? 0 : pick(m, 5)];
    Node *x = any(m);
    int lead = lead_of(&x->shape), n = 0;
    /* Partial sums of the batch have no gradient but through their sum: sema makes none. */
    if (x->shape.rank == lead || shape_has_shards(&x->shape))
        return NULL;
    int64_t axes[RANK_MOST];
    int one = lead + pick(m, x->shape.rank - lead);
    for (int i = lead; i < x->shape.rank; i++)
        if (i == one || pick(m, 3) == 0)
            axes[n++] = i;
    Attr attr = op == OP_argmax ? attr_of_int(ATTR_axis, one) : attr_of_ints(ATTR_axes, axes, n);
    return attempt(m, op, &x, 1, &attr, 1);
}

typedef struct { char label; Dim d; bool used, out; } Label;
typedef struct { Label at[LABELS_MOST]; int n; } Labels;

/* Writes an operand's labels: known ones of equal extent, or new ones. */
static inline bool label_operand(Maker *m, Labels *l, const Node *x, char **p)
{
    for (int i = 0; i < l->n; i++)
        l->at[i].used = false;
    for (int i = 0; i < x->shape.rank; i++) {
        Dim d = x->shape.d[i];
        if (i == 0 && lead_of(&x->shape)) {
            *(*p)++ = d.sym == SYM_N ? 'n' : 's';
            continue;
        }
        int same = -1;
        for (int k = 0; k < l->n; k++)
            if (!l->at[k].used && dim_equal(l->at[k].d, d) && pick(m, 4))
                same = k;
        if (same < 0) {
            if (l->n >= 12)
                return false;
            same = l->n++;
            l->at[same] = (Label){"abcdefghijkl"[same], d, false, false};
        }
        l->at[same].used = true;
        *(*p)++ = l->at[same].label;
    }
    return true;
}

static inline void shuffle_labels(Maker *m, Labels *l)
{
    for (int i = l->n - 1; i > 0 && pick(m, 2); i--) {
        int j = pick(m, i + 1);
        Label t = l->at[i];
        l->at[i] = l->at[j];
        l->at[j] = t;
    }
}

static inline Node *random_contract(Maker *m, bool batch)
{
    Labels l = {0};
    char spec[256], *p = spec;
    Node *in[9], *acc = NULL;
    int n = 0, nterm = batch ? 1 : 1 + (pick(m, 3) == 0) + (pick(m, 6) == 0);
    bool rows = false;
    for (int t = 0; t < nterm; t++) {
        for (int o = 0; o < 2; o++) {
            Node *x = in[n++] = any_float(m);
            rows |= shape_has_batch(&x->shape);
            if (!label_operand(m, &l, x, &p))
                return NULL;
            *p++ = o ? '+' : ',';
        }
        if (t == 0)
            for (int i = 0; i < l.n; i++)
                l.at[i].out = pick(m, 2);
    }
    shuffle_labels(m, &l);
    p[-1] = '-';
    *p++ = '>';
    if (batch || rows)
        *p++ = batch ? 's' : 'n';
    for (int i = 0; i < l.n; i++)
        if (l.at[i].out)
            *p++ = l.at[i].label;
    *p = 0;
    Attr attr[] = {attr_of_str(ATTR_spec, spec), attr_of_int(ATTR_acc, 1)};
    Node *y = attempt(m, batch ? OP_batch_contract : OP_contract, in, n, attr, 1);
    if (!y || pick(m, 4))
        return y && m->tame && !batch ? keep(m, node1(m->g, OP_tanh, y)) : y;
    for (int i = 0; i < m->pool.n; i++)
        if (m->pool.at[i] != y && m->pool.at[i]->dtype == y->dtype &&
            shape_equal(&m->pool.at[i]->shape, &y->shape))
            acc = m->pool.at[i];
    if (!acc)
        return y;
    memmove(in + 1, in, sizeof *in * (size_t)n);
    in[0] = acc;
    y = attempt(m, batch ? OP_batch_contract : OP_contract, in, n + 1, attr, 2);
    return y && m->tame && !batch ? keep(m, node1(m->g, OP_tanh, y)) : y;
}

static inline Node *random_batch_sum(Maker *m)
{
    Node *x = any_float(m), *y = NULL;
    if (pick(m, 2) && shape_has_batch(&x->shape) && x->shape.rank <= 4)
        y = make_batch_sum(m->g, x);
    else if ((x = random_contract(m, true)))
        y = node1(m->g, OP_sum_shards, x);
    if (!y)
        return NULL;
    if (m->tame) /* a mean's size */
        y = node2(m->g, OP_div, y, make_dim(m->g, dim_sym(SYM_N)));
    return keep(m, y);
}

/* ---- the others ---- */

static inline Node *random_gather(Maker *m)
{
    Node *table = any(m), *index = any(m);
    for (int i = 0; i < 10 && index->dtype != DT_i32; i++)
        index = any(m);
    if (pick(m, 12) == 0) {
        Attr attr = attr_of_shape(ATTR_shape, table->shape);
        return attempt(m, OP_scatter_add, (Node *[]){index, any(m)}, 2, &attr, 1);
    }
    return attempt(m, OP_gather, (Node *[]){table, index}, 2, NULL, 0);
}

static inline Node *random_leaf(Maker *m)
{
    Node *x = any(m);
    Shape s = x->shape;
    double values[12];
    switch (pick(m, 6)) {
    case 0: {
        Attr attr[] = {attr_of_int(ATTR_key, ++*m->key), attr_of_shape(ATTR_shape, s),
                       attr_of_int(ATTR_dtype, m->real)};
        Node *in[] = {m->seed, m->step, m->t};
        return m->seed ? attempt(m, OP_random, in, m->t ? 3 : 2, attr, 3) : NULL;
    }
    case 1: {
        Attr attr[] = {attr_of_shape(ATTR_shape, s), attr_of_int(ATTR_axis, pick(m, s.rank + 1)),
                       attr_of_int(ATTR_dtype, pick(m, 2) ? DT_i32 : m->real)};
        return shape_has_shards(&s) ? NULL : attempt(m, OP_iota, NULL, 0, attr, 3);
    }
    case 2:
        return keep(m, node_new(m->g, OP_row, (Span){0}, NULL, 0, NULL, 0));
    case 3:
        return s.rank ? keep(m, make_dim(m->g, s.d[pick(m, s.rank)])) : NULL;
    case 4:
        for (int i = 0; i < 12; i++)
            values[i] = 0.25 * (pick(m, 17) - 8);
        s = pick(m, 2) ? shape_of(2, dim_int(3), dim_int(4)) : shape_of(1, dim_int(3));
        return keep(m, make_tensor(m->g, m->real, s, values, s.rank == 2 ? 12 : 3, (Span){0}));
    default:
        return keep(m, constant(m, pick(m, 2) ? m->real : DT_f64));
    }
}

/* ---- scan ---- */

static inline void grow(Maker *m, int steps);

/* A node of x's type in m's pool, the latest; one made for it when there is none. */
static inline Node *like(Maker *m, Node *x)
{
    for (int i = m->pool.n - 1; i >= 0; i--) {
        Node *n = m->pool.at[i];
        if (n == x || n->dtype != x->dtype || !shape_equal(&n->shape, &x->shape))
            continue;
        return n->dtype == m->real && (m->tame || pick(m, 2)) ? node1(m->g, OP_tanh, n) : n;
    }
    return x->dtype == m->real && pick(m, 4) ? node2(m->g, OP_mul, x, constant(m, DT_f64)) : x;
}

static inline Node *body_input(Maker *b, Node *outside, const Shape *s)
{
    const char *name = arena_printf(b->arena, "b%d", b->g->inputs.n);
    return graph_input(b->g, ROLE_body, name, outside->dtype, *s, (Span){0});
}

static inline bool is_sequence(const Node *x, Dim length)
{
    int axis = shape_has_batch(&x->shape);
    return !shape_has_shards(&x->shape) && x->shape.rank > axis &&
           dim_equal(x->shape.d[axis], length);
}

typedef struct { Node *in[32]; int n, ncarry, nseq; } ScanInputs;

static inline void scan_carries(Maker *m, Maker *b, ScanInputs *s, int most)
{
    for (int i = 0; i < most; i++) {
        Node *init = any(m);
        if (i == 0)
            init = any_float(m);
        if (shape_has_shards(&init->shape) && pick(m, 4))
            continue;
        if (init->dtype == m->real && pick(m, 2))
            init = make_broadcast(m->g, make_const_of(m->g, m->real, 0), init->shape);
        s->in[s->n++] = init;
        keep(b, body_input(b, init, &init->shape));
    }
    s->ncarry = s->n;
}

static inline void scan_sequences(Maker *m, Maker *b, ScanInputs *s, Dim length)
{
    for (int i = 0; i < 16 && s->nseq < 3; i++) {
        Node *x = any(m);
        if (!is_sequence(x, length))
            continue;
        Shape inner = x->shape;
        int axis = shape_has_batch(&inner);
        inner.rank--;
        memmove(inner.d + axis, inner.d + axis + 1, sizeof(Dim) * (size_t)(inner.rank - axis));
        s->in[s->n++] = x;
        s->nseq++;
        keep(b, body_input(b, x, &inner));
    }
    if (m->seed && pick(m, 3) == 0) {
        Attr attr[] = {attr_of_shape(ATTR_shape, shape_of(1, length)), attr_of_int(ATTR_axis, 0),
                       attr_of_int(ATTR_dtype, DT_i32)};
        Node *t = s->in[s->n++] = node_new(m->g, OP_iota, (Span){0}, NULL, 0, attr, 3);
        Shape none = {0};
        s->nseq++;
        b->t = body_input(b, t, &none);
    }
}

static inline void scan_constants(Maker *m, Maker *b, ScanInputs *s)
{
    for (int i = pick(m, 4); i > 0; i--) {
        Node *x = any(m);
        if (shape_has_shards(&x->shape))
            continue;
        s->in[s->n++] = x;
        keep(b, body_input(b, x, &x->shape));
    }
    if (b->t) {
        s->in[s->n++] = m->seed;
        b->seed = body_input(b, m->seed, &m->seed->shape);
        s->in[s->n++] = m->step;
        b->step = body_input(b, m->step, &m->step->shape);
    }
}

static inline Node *random_scan(Maker *m)
{
    if (m->depth >= 2)
        return NULL;
    Dim length = dim_int(1 + pick(m, 4));
    for (int i = 0; i < 12; i++) {
        Node *x = any(m);
        int axis = shape_has_batch(&x->shape);
        if (x->shape.rank > axis && (x->shape.d[axis].sym >= SYM_length || pick(m, 4) == 0) &&
            x->shape.d[axis].sym != SYM_S)
            length = x->shape.d[axis];
    }
    Maker b = {.arena = m->arena, .from = m->from, .real = m->real, .tame = m->tame,
               .depth = m->depth + 1, .key = m->key, .most = m->most};
    b.g = graph_new(m->arena, "body");
    b.g->outer = m->g;
    ScanInputs s = {0};
    scan_carries(m, &b, &s, 1 + pick(m, 3));
    scan_sequences(m, &b, &s, length);
    scan_constants(m, &b, &s);
    if (b.pool.n == 0)
        return NULL;
    grow(&b, 3 + pick(m, 9));
    for (int i = 0; i < s.ncarry; i++) {
        /* A delay now and then: the next value is another carry. */
        Node *x = b.g->inputs.at[i], *y = b.g->inputs.at[pick(m, s.ncarry)];
        bool delay = pick(m, 5) == 0 && x->dtype == y->dtype && shape_equal(&x->shape, &y->shape);
        graph_output(b.g, ROLE_body, arena_printf(m->arena, "c%d", i), delay ? y : like(&b, x));
    }
    int nstack = pick(m, 4);
    for (int i = 0; i < nstack; i++) {
        Node *x = any(&b);
        if (!shape_has_shards(&x->shape) && x->shape.rank < RANK_MOST - 1 &&
            small_enough(m, &x->shape))
            graph_output(b.g, ROLE_body, arena_printf(m->arena, "s%d", i), x);
    }
    int nout = b.g->outputs.n;
    Node *scan = make_scan(m->g, (Span){0}, b.g, s.in, s.ncarry, s.in + s.ncarry, s.nseq,
                           s.in + s.ncarry + s.nseq, s.n - s.ncarry - s.nseq, length,
                           pick(m, 3) == 0);
    for (int i = 0; i < nout; i++)
        keep(m, make_result(m->g, scan, i));
    return m->pool.at[m->pool.n - 1];
}

/* Tries `steps` times to add a node. */
static inline void grow(Maker *m, int steps)
{
    for (int i = 0; i < steps; i++) {
        int kind = pick(m, 32);
        if (kind < 12)
            random_map(m);
        else if (kind < 18)
            random_view(m);
        else if (kind < 21)
            random_reduce(m);
        else if (kind < 25)
            random_contract(m, false);
        else if (kind < 26)
            m->depth ? (void)random_contract(m, true) : (void)random_batch_sum(m);
        else if (kind < 27)
            random_gather(m);
        else if (kind < 29)
            random_leaf(m);
        else if (kind < 30)
            random_cast(m);
        else
            random_scan(m);
    }
}

#endif
