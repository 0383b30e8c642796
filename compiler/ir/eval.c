/* The interpreter's walk: a frame holds a value for every node of a graph, and
 * is run node by node, in order. A scan owns a frame for its body, whose memory
 * serves every step: only what the scan stacks grows with its length. */
#include "ir/eval_in.h"

#include <inttypes.h>
#include <string.h>

typedef struct Frame Frame;

/* What a scan node owns. Carries live in two buffers that take turns. */
typedef struct {
    Frame *body;
    Value *result;   /* final carries, then stacks */
    void **next;     /* carry i after the step */
} Loop;

struct Frame {
    const Graph *g;
    Value *value;    /* by node id */
    bool *live;      /* an output needs it */
    bool *fixed;     /* in a body: the same in every step */
    bool *finite;    /* with `check`: without NaN and infinity */
    Loop *loop;      /* of scan nodes */
    const Value **in;/* room for a node's operands */
};

/* ---- the table ---- */

static const EvalFn functions[NOP] = {
#define MAP1(name, ...) [OP_##name] = eval_map,
#define MAP2(name, ...) [OP_##name] = eval_map,
#define MAP3(name, ...) [OP_##name] = eval_map,
#include "ir/op.def"
    [OP_const] = eval_const,
    [OP_tensor] = eval_tensor,
    [OP_iota] = eval_iota,
    [OP_dim] = eval_dim,
    [OP_row] = eval_row,
    [OP_random] = eval_random,
    [OP_orthogonal] = eval_orthogonal,
    [OP_cast] = eval_cast,
    [OP_broadcast] = eval_broadcast,
    [OP_transpose] = eval_transpose,
    [OP_slice] = eval_slice,
    [OP_pad] = eval_pad,
    [OP_concat] = eval_concat,
    [OP_reduce_sum] = eval_reduce,
    [OP_reduce_max] = eval_reduce,
    [OP_reduce_min] = eval_reduce,
    [OP_argmax] = eval_reduce,
    [OP_contract] = eval_contract,
    [OP_batch_contract] = eval_batch_contract,
    [OP_sum_shards] = eval_sum_shards,
    [OP_gather] = eval_gather,
    [OP_scatter_add] = eval_scatter_add,
};

/* Operations whose value is an operand's memory, or is bound from outside. */
static bool is_alias(Op op)
{
    return op == OP_input || op == OP_reshape || op == OP_result || op == OP_scan;
}

/* ---- values ---- */

static size_t value_bytes(const Value *v)
{
    return (size_t)v->count * (size_t)dtype_size(v->dtype);
}

Value value_new(Arena *a, Dtype dt, int rank, const int64_t *dim)
{
    Value v = {.dtype = dt, .rank = rank, .count = 1};
    for (int i = 0; i < rank; i++) {
        v.dim[i] = dim[i];
        if (dim[i] < 0 || __builtin_mul_overflow(v.count, dim[i], &v.count) ||
            v.count > INT64_MAX / 16)
            bug("a value cannot have an extent of %" PRId64, dim[i]);
    }
    v.data = arena_alloc(a, value_bytes(&v));
    return v;
}

/* The value of a node's dtype and shape, without memory. */
static Value value_of(const Eval *e, Dtype dt, const Shape *s)
{
    Value v = {.dtype = dt, .rank = s->rank, .count = 1};
    for (int i = 0; i < s->rank; i++) {
        v.dim[i] = dim_value(s->d[i], e->lengths);
        if (v.dim[i] < 0 || __builtin_mul_overflow(v.count, v.dim[i], &v.count) ||
            v.count > INT64_MAX / 16)
            bug("axis %d has an extent of %" PRId64, i, v.dim[i]);
    }
    return v;
}

/* ---- frames ---- */

static Frame *frame_new(Eval *e, const Graph *g, int nvarying);

static void loop_new(Eval *e, Loop *l, const Node *scan)
{
    const Graph *body = scan->body;
    int ncarry = (int)attr_int(scan, ATTR_ncarry, 0), nseq = (int)attr_int(scan, ATTR_nseq, 0);
    int64_t length = dim_value(attr_get(scan, ATTR_length)->u.dim, e->lengths);
    l->body = frame_new(e, body, ncarry + nseq);
    l->result = NEW_ARRAY(e->arena, Value, body->outputs.n);
    l->next = NEW_ARRAY(e->arena, void *, ncarry);
    for (int i = 0; i < body->outputs.n; i++) {
        const Node *o = body->outputs.at[i].node;
        Value v = value_of(e, o->dtype, &o->shape);
        if (i < ncarry)
            l->next[i] = arena_alloc(e->arena, value_bytes(&v));
        if (i >= ncarry) { /* [N, ...] becomes [N, T, ...] */
            int axis = shape_has_batch(&o->shape);
            for (int k = v.rank++; k > axis; k--)
                v.dim[k] = v.dim[k - 1];
            v.dim[axis] = length;
        }
        l->result[i] = value_new(e->arena, v.dtype, v.rank, v.dim);
    }
    for (int i = 0; i < ncarry + nseq; i++) {
        Value *v = &l->body->value[body->inputs.at[i]->id];
        v->data = arena_alloc(e->arena, value_bytes(v));
    }
}

/* `nvarying` inputs change from run to run. */
static Frame *frame_new(Eval *e, const Graph *g, int nvarying)
{
    Frame *f = NEW(e->arena, Frame);
    int most = 1;
    f->g = g;
    f->value = NEW_ARRAY(e->arena, Value, g->nodes.n);
    f->live = NEW_ARRAY(e->arena, bool, g->nodes.n);
    f->fixed = NEW_ARRAY(e->arena, bool, g->nodes.n);
    f->finite = NEW_ARRAY(e->arena, bool, g->nodes.n);
    f->loop = NEW_ARRAY(e->arena, Loop, g->nodes.n);
    for (int i = 0; i < g->outputs.n; i++)
        f->live[g->outputs.at[i].node->id] = true;
    for (int i = g->nodes.n - 1; i >= 0; i--)
        for (int k = 0; f->live[i] && k < g->nodes.at[i]->nin; k++)
            f->live[g->nodes.at[i]->in[k]->id] = true;
    memset(f->fixed, 1, sizeof(bool) * (size_t)g->nodes.n);
    for (int i = 0; i < nvarying; i++)
        f->fixed[g->inputs.at[i]->id] = false;
    for (int i = 0; i < g->nodes.n; i++) {
        const Node *n = g->nodes.at[i];
        if (n->op != OP_input && !f->live[i])
            continue;
        most = n->nin > most ? n->nin : most;
        for (int k = 0; k < n->nin; k++)
            f->fixed[i] &= f->fixed[n->in[k]->id];
        if (n->op == OP_scan)
            loop_new(e, &f->loop[i], n);
        else
            f->value[i] = value_of(e, n->dtype, &n->shape);
        if (!is_alias(n->op))
            f->value[i].data = arena_alloc(e->arena, value_bytes(&f->value[i]));
    }
    f->in = NEW_ARRAY(e->arena, const Value *, most);
    return f;
}

/* ---- running ---- */

static void frame_run(Eval *e, Frame *f, bool first);

static bool value_finite(const Value *v)
{
    return !dtype_is_float(v->dtype) || eval_real(v->dtype)->finite(v->data, v->count);
}

static void bind_input(Eval *e, Frame *f, int i, void *data)
{
    const Node *n = f->g->inputs.at[i];
    f->value[n->id].data = data;
    if (e->check)
        f->finite[n->id] = value_finite(&f->value[n->id]);
}

/* Copies step t between a stack and the step's value. */
static void copy_step(const Node *n, const Value *step, char *step_data, char *stack, int64_t t,
                      int64_t length, bool to_stack)
{
    int64_t rows = shape_has_batch(&n->shape) ? step->dim[0] : 1;
    size_t bytes = rows ? value_bytes(step) / (size_t)rows : 0;
    for (int64_t r = 0; r < rows; r++) {
        char *at = stack + (size_t)(r * length + t) * bytes, *s = step_data + (size_t)r * bytes;
        memcpy(to_stack ? at : s, to_stack ? s : at, bytes);
    }
}

/* After a step: stacks take their values, carries move on together. */
static void end_step(Eval *e, Loop *l, int ncarry, int64_t t, int64_t length)
{
    const Graph *body = l->body->g;
    for (int i = 0; i < body->outputs.n; i++) {
        const Node *o = body->outputs.at[i].node;
        const Value *v = &l->body->value[o->id];
        if (i < ncarry)
            memcpy(l->next[i], v->data, value_bytes(v));
        else
            copy_step(o, v, v->data, l->result[i].data, t, length, true);
    }
    for (int i = 0; i < ncarry; i++) {
        void *old = l->body->value[body->inputs.at[i]->id].data;
        bind_input(e, l->body, i, l->next[i]);
        l->next[i] = old;
    }
}

static void run_scan(Eval *e, Frame *f, const Node *n)
{
    Loop *l = &f->loop[n->id];
    const Graph *body = n->body;
    int ncarry = (int)attr_int(n, ATTR_ncarry, 0), nseq = (int)attr_int(n, ATTR_nseq, 0);
    int64_t length = dim_value(attr_get(n, ATTR_length)->u.dim, e->lengths);
    bool reverse = attr_int(n, ATTR_reverse, 0);
    for (int i = 0; i < n->nin; i++) {
        const Value *v = &f->value[n->in[i]->id];
        Value *inner = &l->body->value[body->inputs.at[i]->id];
        if (i < ncarry)
            memcpy(inner->data, v->data, value_bytes(v));
        if (i < ncarry || i >= ncarry + nseq)
            bind_input(e, l->body, i, i < ncarry ? inner->data : v->data);
    }
    for (int64_t step = 0; step < length; step++) {
        int64_t t = reverse ? length - 1 - step : step;
        for (int i = ncarry; i < ncarry + nseq; i++) {
            const Node *b = body->inputs.at[i];
            Value *inner = &l->body->value[b->id];
            copy_step(b, inner, inner->data, f->value[n->in[i]->id].data, t, length, false);
            bind_input(e, l->body, i, inner->data);
        }
        frame_run(e, l->body, step == 0);
        if (e->bad)
            return;
        end_step(e, l, ncarry, t, length);
    }
    for (int i = 0; i < ncarry; i++) {
        const Value *v = &l->body->value[body->inputs.at[i]->id];
        memcpy(l->result[i].data, v->data, value_bytes(v));
    }
}

static void run_node(Eval *e, Frame *f, const Node *n)
{
    Value *out = &f->value[n->id];
    for (int k = 0; k < n->nin; k++)
        f->in[k] = &f->value[n->in[k]->id];
    if (n->op == OP_scan)
        run_scan(e, f, n);
    else if (n->op == OP_reshape)
        out->data = f->in[0]->data;
    else if (n->op == OP_result)
        out->data = f->loop[n->in[0]->id].result[attr_int(n, ATTR_index, 0)].data;
    else
        functions[n->op](e, n, f->in, out);
}

static void check_node(Eval *e, Frame *f, const Node *n)
{
    bool inputs = true;
    for (int k = 0; k < n->nin; k++)
        inputs &= f->finite[n->in[k]->id];
    f->finite[n->id] = n->op == OP_scan ? inputs : value_finite(&f->value[n->id]);
    if (inputs && !f->finite[n->id] && op_info[n->op].kind != KIND_leaf && !is_alias(n->op))
        e->bad = n;
}

static void frame_run(Eval *e, Frame *f, bool first)
{
    for (int i = 0; i < f->g->nodes.n && !e->bad; i++) {
        const Node *n = f->g->nodes.at[i];
        if (!f->live[i] || n->op == OP_input || (f->fixed[i] && !first))
            continue;
        run_node(e, f, n);
        if (e->check && !e->bad)
            check_node(e, f, n);
    }
}

/* ---- denormal numbers count as zero ---- */

#if defined(__SSE__)
#include <xmmintrin.h>
static unsigned flush_begin(void)
{
    unsigned old = _mm_getcsr();
    _mm_setcsr(old | 0x8040); /* results (FTZ) and operands (DAZ) */
    return old;
}

static void flush_end(unsigned old)
{
    _mm_setcsr(old);
}
#elif defined(__aarch64__)
static unsigned long flush_begin(void)
{
    unsigned long old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" : : "r"(old | 1ul << 24));
    return old;
}

static void flush_end(unsigned long old)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(old));
}
#else
static int flush_begin(void)
{
    return 0;
}

static void flush_end(int old)
{
    (void)old;
}
#endif

/* ---- the entry ---- */

static void bind_inputs(Eval *e, Frame *f, const Value *in)
{
    for (int i = 0; i < f->g->inputs.n; i++) {
        const Node *n = f->g->inputs.at[i];
        const Value *v = &f->value[n->id];
        bool fits = in[i].dtype == v->dtype && in[i].rank == v->rank;
        for (int k = 0; fits && k < v->rank; k++)
            fits = in[i].dim[k] == v->dim[k];
        if (!fits)
            bug("the value for input %s does not fit its type", attr_str(n, ATTR_name));
        bind_input(e, f, i, in[i].data);
    }
}

const Node *graph_eval(Arena *a, const Graph *g, EvalSizes sizes, const Value *in, Value *out,
                       bool check)
{
    Eval e = {.check = check, .arena = arena_new()};
    for (int i = 0; i < sizes.nlengths && i < SYM_MOST; i++)
        e.lengths[i] = sizes.lengths[i];
    e.lengths[SYM_S] = shard_count(e.lengths[SYM_N]);
    __typeof__(flush_begin()) mode = flush_begin();
    Frame *f = frame_new(&e, g, g->inputs.n);
    bind_inputs(&e, f, in);
    frame_run(&e, f, true);
    flush_end(mode);
    for (int i = 0; i < g->outputs.n; i++) {
        const Value *v = &f->value[g->outputs.at[i].node->id];
        out[i] = (Value){0};
        if (!e.bad) {
            out[i] = value_new(a, v->dtype, v->rank, v->dim);
            memcpy(out[i].data, v->data, value_bytes(v));
        }
    }
    arena_free(e.arena);
    return e.bad;
}
