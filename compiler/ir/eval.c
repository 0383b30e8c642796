/* The interpreter's walk: a frame holds a value for every node of a graph, and
 * is run node by node, in order. A scan owns a frame for its body, whose memory
 * serves every step: only what the scan stacks grows with its length.
 *
 * Rows do not mix in a body, so all of them go through the loop together. The
 * one exception is a carry of shards that have several blocks (above 2048 rows):
 * its sums go through the loop block by block (ir/contract.h), and so does then
 * everything else in that body. */
#include "ir/eval_in.h"
#include "ir/flush.h"

#include <inttypes.h>
#include <string.h>

typedef struct Frame Frame;

/* A scan's body for some number of rows. Carries live in two buffers that take turns. */
typedef struct {
    Frame *frame;
    void **next;     /* carry i after the step */
} Body;

/* What a scan node owns. */
typedef struct {
    bool blocks;     /* goes through the loop by blocks: `body` has BLOCK_ROWS rows */
    Body body, rest; /* `rest`: what is left of the last block */
    Value *result;   /* final carries, then stacks */
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
    [OP_words] = eval_words,
    [OP_batch_contract] = eval_batch_contract,
    [OP_sum_shards] = eval_sum_shards,
    [OP_gather] = eval_gather,
    [OP_scatter_add] = eval_scatter_add,
};

/* Operations whose value is an operand's memory, or is bound from outside. */
static bool is_alias(Op op)
{
    return op == OP_input || op == OP_reshape || op == OP_result || op == OP_scan ||
           op == OP_own_gradient || op == OP_arriving;
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

/* Does a body need all rows at once? */
static bool joins_rows(const Graph *g)
{
    for (int i = 0; i < g->nodes.n; i++) {
        const Node *n = g->nodes.at[i];
        if (n->op == OP_sum_shards || n->op == OP_scatter_add || (n->body && joins_rows(n->body)))
            return true;
    }
    return false;
}

/* Does a sum of the body go on over several blocks of a shard? */
static bool needs_blocks(const Eval *e, const Node *scan)
{
    int ncarry = (int)attr_int(scan, ATTR_ncarry, 0);
    bool shards = false;
    for (int i = 0; i < ncarry; i++)
        shards |= shape_has_shards(&scan->in[i]->shape);
    return shards && shard_rows(e->lengths[SYM_N]) > BLOCK_ROWS && !joins_rows(scan->body);
}

static Body body_new(Eval *e, const Node *scan)
{
    const Graph *g = scan->body;
    int ncarry = (int)attr_int(scan, ATTR_ncarry, 0), nseq = (int)attr_int(scan, ATTR_nseq, 0);
    Body b = {frame_new(e, g, ncarry + nseq), NEW_ARRAY(e->arena, void *, ncarry)};
    for (int i = 0; i < ncarry + nseq; i++) {
        Value *v = &b.frame->value[g->inputs.at[i]->id];
        v->data = arena_alloc(e->arena, value_bytes(v));
        if (i < ncarry)
            b.next[i] = arena_alloc(e->arena, value_bytes(v));
    }
    return b;
}

/* From here to block_end, N is a block's rows and S is 1. */
static void block_begin(Eval *e, int64_t row, int64_t rows)
{
    e->row = row;
    e->lengths[SYM_N] = rows;
    e->lengths[SYM_S] = 1;
}

static void block_end(Eval *e)
{
    e->row = 0;
    memcpy(e->lengths, e->whole, sizeof e->lengths);
}

static void loop_new(Eval *e, Loop *l, const Node *scan)
{
    const Graph *body = scan->body;
    int ncarry = (int)attr_int(scan, ATTR_ncarry, 0);
    int64_t length = dim_value(attr_get(scan, ATTR_length)->u.dim, e->lengths);
    int64_t rows = e->lengths[SYM_N], rest = rows % BLOCK_ROWS;
    l->blocks = needs_blocks(e, scan);
    l->result = NEW_ARRAY(e->arena, Value, body->outputs.n);
    for (int i = 0; i < body->outputs.n; i++) {
        const Node *o = body->outputs.at[i].node;
        Value v = value_of(e, o->dtype, &o->shape);
        if (i >= ncarry) { /* [N, ...] becomes [N, T, ...] */
            int axis = shape_has_batch(&o->shape);
            for (int k = v.rank++; k > axis; k--)
                v.dim[k] = v.dim[k - 1];
            v.dim[axis] = length;
        }
        l->result[i] = value_new(e->arena, v.dtype, v.rank, v.dim);
    }
    if (l->blocks)
        block_begin(e, 0, BLOCK_ROWS);
    l->body = body_new(e, scan);
    if (l->blocks && rest) {
        block_begin(e, rows - rest, rest);
        l->rest = body_new(e, scan);
    }
    if (l->blocks)
        block_end(e);
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

/* Where the rows that are being evaluated, or their shard, begin in a value of
 * all rows; the whole value when it has neither axis. */
static char *rows_of(const Eval *e, const Loop *l, const Shape *s, const Value *whole)
{
    char *data = whole->data;
    if (!l->blocks || (!shape_has_batch(s) && !shape_has_shards(s)))
        return data;
    int64_t at = shape_has_batch(s) ? e->row : e->row / shard_rows(e->whole[SYM_N]);
    return data + value_bytes(whole) / (size_t)whole->dim[0] * (size_t)at;
}

/* After a step: stacks take their values, carries move on together. */
static void end_step(Eval *e, Loop *l, Body *b, int ncarry, int64_t t, int64_t length)
{
    const Graph *g = b->frame->g;
    for (int i = 0; i < g->outputs.n; i++) {
        const Node *o = g->outputs.at[i].node;
        const Value *v = &b->frame->value[o->id];
        if (i < ncarry)
            memcpy(b->next[i], v->data, value_bytes(v));
        else
            copy_step(o, v, v->data, rows_of(e, l, &o->shape, &l->result[i]), t, length, true);
    }
    for (int i = 0; i < ncarry; i++) {
        void *old = b->frame->value[g->inputs.at[i]->id].data;
        bind_input(e, b->frame, i, b->next[i]);
        b->next[i] = old;
    }
}

/* Binds what the loop begins with. The results of carries begin as the initial
 * values, so that a block goes on where the one before it in its shard ended. */
static void begin_scan(Eval *e, Frame *f, const Node *n, Loop *l, Body *b)
{
    const Graph *g = n->body;
    int ncarry = (int)attr_int(n, ATTR_ncarry, 0), nseq = (int)attr_int(n, ATTR_nseq, 0);
    for (int i = 0; i < n->nin; i++) {
        const Shape *s = &n->in[i]->shape;
        const Value *v = &f->value[n->in[i]->id];
        Value *inner = &b->frame->value[g->inputs.at[i]->id];
        if (i < ncarry) {
            const Value *from = l->blocks && shape_has_shards(s) ? &l->result[i] : v;
            memcpy(inner->data, rows_of(e, l, s, from), value_bytes(inner));
            bind_input(e, b->frame, i, inner->data);
        } else if (i >= ncarry + nseq) {
            bind_input(e, b->frame, i, rows_of(e, l, s, v));
        }
    }
}

/* The loop over time for the rows of one body. */
static void run_body(Eval *e, Frame *f, const Node *n, Loop *l, Body *b)
{
    const Graph *g = n->body;
    int ncarry = (int)attr_int(n, ATTR_ncarry, 0), nseq = (int)attr_int(n, ATTR_nseq, 0);
    int64_t length = dim_value(attr_get(n, ATTR_length)->u.dim, e->lengths);
    bool reverse = attr_int(n, ATTR_reverse, 0);
    begin_scan(e, f, n, l, b);
    for (int64_t step = 0; step < length; step++) {
        int64_t t = reverse ? length - 1 - step : step;
        for (int i = ncarry; i < ncarry + nseq; i++) {
            const Node *in = g->inputs.at[i];
            Value *inner = &b->frame->value[in->id];
            char *stack = rows_of(e, l, &in->shape, &f->value[n->in[i]->id]);
            copy_step(in, inner, inner->data, stack, t, length, false);
            bind_input(e, b->frame, i, inner->data);
        }
        frame_run(e, b->frame, step == 0);
        if (e->bad)
            return;
        end_step(e, l, b, ncarry, t, length);
    }
    for (int i = 0; i < ncarry; i++) {
        const Value *v = &b->frame->value[g->inputs.at[i]->id];
        memcpy(rows_of(e, l, &n->in[i]->shape, &l->result[i]), v->data, value_bytes(v));
    }
}

static void run_scan(Eval *e, Frame *f, const Node *n)
{
    Loop *l = &f->loop[n->id];
    int64_t rows = e->lengths[SYM_N];
    if (!l->blocks) {
        run_body(e, f, n, l, &l->body);
        return;
    }
    for (int i = 0; i < attr_int(n, ATTR_ncarry, 0); i++)
        memcpy(l->result[i].data, f->value[n->in[i]->id].data, value_bytes(&l->result[i]));
    for (int64_t row = 0; row < rows && !e->bad; row += BLOCK_ROWS) {
        bool whole = rows - row >= BLOCK_ROWS;
        block_begin(e, row, whole ? BLOCK_ROWS : rows - row);
        run_body(e, f, n, l, whole ? &l->body : &l->rest);
        block_end(e);
    }
}

static void run_node(Eval *e, Frame *f, const Node *n)
{
    Value *out = &f->value[n->id];
    for (int k = 0; k < n->nin; k++)
        f->in[k] = &f->value[n->in[k]->id];
    if (n->op == OP_scan)
        run_scan(e, f, n);
    else if (n->op == OP_reshape || n->op == OP_own_gradient || n->op == OP_arriving)
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
    memcpy(e.whole, e.lengths, sizeof e.whole);
    FlushMode mode = flush_begin();
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
