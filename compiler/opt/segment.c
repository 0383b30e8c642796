/* pass_segment: the loop of a gradient goes through time in segments.
 *
 * The scan of a gradient needs, of each of T steps, what the scan forward saved,
 * and leaves as much behind for the products after it. In segments of K steps an
 * outer scan has the scan of one segment in its body, and what a segment leaves
 * (pass_defer takes products out of the inner loop alone) has its room again in
 * the next one. That costs nothing, and where all steps do not fit into a core's
 * cache and those of a segment do, it is faster.
 *
 * Where a plan says so, the values saved are made again as well: the scan forward
 * becomes segments, too, and stacks only its carries as each segment begins; the
 * gradient's segment first runs its steps forward again and saves their values.
 *
 *   forward    outer scan over T / K segments, stacks the carries
 *                  scan of K steps
 *   backward   outer scan the other way
 *                  scan of K steps forward, stacks what the gradient needs
 *                  scan of K steps backward
 *
 * The T mod K steps at the end are loops of their own, and are not made again: the
 * gradient begins with them. A length that is known only at run time stays whole.
 *
 * Exact: every carry, so also a sum over the batch, goes through the same steps in
 * the same order. (But for the interpreter, shards of more than one block, in batches
 * above 2048 rows, with steps at the end: compiled code takes a block through both
 * loops, the interpreter all blocks through one and then the other. --interpret goes
 * without this pass.)
 */
#include "opt/opt.h"

#include "ir/cost.h"
#include "opt/rewrite.h"

#include <string.h>

typedef struct {
    Graph *g;
    Node *forward, *backward; /* forward: null when nothing is made again */
    int64_t steps, count, rest;
    bool *dropped;            /* by output of forward's body: only the gradient reads it */
} Cut;

/* The body of an outer loop being made, and what goes into it. */
typedef struct {
    Graph *body;
    LIST(Node *) in;
    int ncarry, nseq;
} Outer;

static Dim length_of(const Node *scan)
{
    return attr_get(scan, ATTR_length)->u.dim;
}

/* ---- which loops ---- */

static bool is_gradient(const Node *n)
{
    return n->op == OP_scan && attr_int(n, ATTR_reverse, 0);
}

/* Do the operands and results of a scan have room for one more axis? */
static bool has_rank(const Node *scan)
{
    for (int i = 0; i < moving(scan); i++)
        if (scan->in[i]->shape.rank >= RANK_MOST)
            return false;
    for (int i = carries(scan); i < scan->body->outputs.n; i++)
        if (scan->body->outputs.at[i].node->shape.rank + 2 > RANK_MOST)
            return false;
    return true;
}

/* dropped[i]: output i of the forward scan's body is stacked for `back` alone; how many. */
static int read_by_alone(const Graph *g, const Node *scan, const Node *back, bool *dropped)
{
    int n = 0, nout = scan->body->outputs.n;
    for (int i = 0; i < nout; i++)
        dropped[i] = false;
    for (int round = 0; round < 2; round++) /* who reads it; who else */
        for (int i = 0; i < g->nodes.n; i++)
            for (int k = 0; k < g->nodes.at[i]->nin; k++) {
                const Node *user = g->nodes.at[i], *r = user->in[k];
                if (r->op != OP_result || r->in[0] != scan)
                    continue;
                bool as_sequence = user == back && k >= carries(back) && k < moving(back);
                if (as_sequence == (round == 0))
                    dropped[attr_int(r, ATTR_index, 0)] = as_sequence;
            }
    for (int i = 0; i < g->outputs.n; i++) {
        const Node *r = g->outputs.at[i].node;
        if (r->op == OP_result && r->in[0] == scan)
            dropped[attr_int(r, ATTR_index, 0)] = false;
    }
    for (int i = 0; i < nout; i++)
        n += dropped[i] &= i >= carries(scan);
    return n;
}

/* Can the carries be kept as each segment begins? Sums over the batch cannot. */
static bool has_borders(const Node *scan)
{
    for (int i = 0; i < carries(scan); i++)
        if (shape_has_shards(&scan->in[i]->shape))
            return false;
    return true;
}

/* The scan whose values the gradient's scan `back` reads, or null. */
static Node *find_forward(Arena *a, const Graph *g, const Node *back)
{
    for (int k = carries(back); k < moving(back); k++) {
        const Node *r = back->in[k];
        Node *scan = r->op == OP_result ? r->in[0] : NULL;
        if (scan && !attr_int(scan, ATTR_reverse, 0) && has_rank(scan) && has_borders(scan) &&
            dim_equal(length_of(scan), length_of(back)) &&
            read_by_alone(g, scan, back, NEW_ARRAY(a, bool, scan->body->outputs.n + 1)))
            return scan;
    }
    return NULL;
}

/* ---- parts of time ---- */

/* [N, T, ...]: the steps at the end. */
static Node *at_end(const Cut *c, Node *x)
{
    return make_slice(c->g, x, shape_has_batch(&x->shape), dim_int(c->steps * c->count),
                      dim_int(c->rest), 1);
}

/* [N, T, ...] to [N, count, steps, ...] without the steps at the end. */
static Node *in_segments(const Cut *c, Node *x)
{
    int axis = shape_has_batch(&x->shape);
    if (c->rest)
        x = make_slice(c->g, x, axis, dim_int(0), dim_int(c->steps * c->count), 1);
    Shape s = x->shape;
    memmove(s.d + axis + 1, s.d + axis, sizeof(Dim) * (size_t)(s.rank++ - axis));
    s.d[axis] = dim_int(c->count);
    s.d[axis + 1] = dim_int(c->steps);
    return make_reshape(c->g, x, s);
}

/* The inverse, the steps at the end joined to it. */
static Node *whole(const Cut *c, Node *x, Node *end)
{
    Shape s = x->shape;
    int axis = shape_has_batch(&s);
    s.rank--;
    memmove(s.d + axis + 1, s.d + axis + 2, sizeof(Dim) * (size_t)(s.rank - axis - 1));
    s.d[axis] = dim_int(c->count * c->steps);
    x = make_reshape(c->g, x, s);
    return end ? make_concat(c->g, (Node *[]){x, end}, 2, axis) : x;
}

/* ---- loops ---- */

static Node *loop_like(Graph *g, const Node *scan, Node *const *in, int64_t steps)
{
    int ncarry = carries(scan), first_const = moving(scan);
    Node *n = make_scan(g, scan->span, graph_copy(g->arena, scan->body), in, ncarry, in + ncarry,
                        first_const - ncarry, in + first_const, scan->nin - first_const,
                        dim_int(steps), attr_int(scan, ATTR_reverse, 0));
    n->name = scan->name;
    return n;
}

static Outer outer_new(const Cut *c, const char *name)
{
    Outer o = {.body = graph_new(c->g->arena, name)};
    o.body->outer = c->g;
    return o;
}

static Node *take(Outer *o, Node *outside, Shape inside)
{
    const char *name = arena_printf(o->body->arena, "of_%d", o->in.n);
    list_push(o->body->arena, &o->in, outside);
    return graph_input(o->body, ROLE_body, name, outside->dtype, inside, outside->span);
}

static Node *take_carry(Outer *o, Node *init)
{
    o->ncarry++;
    return take(o, init, init->shape);
}

/* One element along the leading axis of time. */
static Node *take_sequence(Outer *o, Node *x)
{
    Shape s = x->shape;
    int axis = shape_has_batch(&s);
    s.rank--;
    memmove(s.d + axis, s.d + axis + 1, sizeof(Dim) * (size_t)(s.rank - axis));
    o->nseq++;
    return take(o, x, s);
}

static Node *outer_loop(const Cut *c, Outer *o, const Node *scan)
{
    int moving = o->ncarry + o->nseq;
    Node *n = make_scan(c->g, scan->span, o->body, o->in.at, o->ncarry, o->in.at + o->ncarry,
                        o->nseq, o->in.at + moving, o->in.n - moving, dim_int(c->count),
                        attr_int(scan, ATTR_reverse, 0));
    n->name = scan->name;
    return n;
}

/* Points the results of a scan at their new values, by index. */
static void hand_over(const Cut *c, const Node *scan, Node *const *value)
{
    for (int i = 0, n = c->g->nodes.n; i < n; i++) {
        Node *r = c->g->nodes.at[i];
        if (r->op == OP_result && r->in[0] == scan && value[attr_int(r, ATTR_index, 0)])
            graph_replace(c->g, r, value[attr_int(r, ATTR_index, 0)]);
    }
}

/* ---- forward ---- */

typedef struct { Node *outer, *end; int first_border; } Forward;

static Forward cut_forward(const Cut *c)
{
    Node *scan = c->forward;
    Arena *a = c->g->arena;
    int ncarry = carries(scan), nout = scan->body->outputs.n;
    Outer o = outer_new(c, "segment");
    Node **in = NEW_ARRAY(a, Node *, scan->nin + 1), **value = NEW_ARRAY(a, Node *, nout + 1);
    for (int i = 0; i < scan->nin; i++)
        in[i] = i < ncarry          ? take_carry(&o, scan->in[i])
                : i < moving(scan) ? take_sequence(&o, in_segments(c, scan->in[i]))
                                   : take(&o, scan->in[i], scan->in[i]->shape);
    Node *inner = loop_like(o.body, scan, in, c->steps);
    Forward f = {.first_border = ncarry};
    for (int i = 0; i < nout; i++) {
        if (i >= ncarry && c->dropped[i])
            continue;
        f.first_border += i >= ncarry;
        graph_output(o.body, ROLE_body, arena_printf(a, "out_%d", i),
                     make_result(o.body, inner, i));
    }
    for (int i = 0; i < ncarry; i++)
        graph_output(o.body, ROLE_body, arena_printf(a, "border_%d", i), in[i]);
    f.outer = outer_loop(c, &o, scan);
    for (int i = 0; c->rest && i < scan->nin; i++)
        in[i] = i < ncarry         ? make_result(c->g, f.outer, i)
                : i < moving(scan) ? at_end(c, scan->in[i])
                                   : scan->in[i];
    f.end = c->rest ? loop_like(c->g, scan, in, c->rest) : NULL;
    for (int i = 0, at = 0; i < nout; i++) {
        if (i >= ncarry && c->dropped[i])
            continue;
        Node *end = f.end ? make_result(c->g, f.end, i) : NULL;
        Node *r = make_result(c->g, f.outer, at++);
        value[i] = i >= ncarry ? whole(c, r, end) : end ? end : r;
    }
    hand_over(c, scan, value);
    return f;
}

/* ---- backward ---- */

/* The output of the forward body that sequence k of the gradient's scan stacks and
 * that is made again, or -1. */
static int made_again(const Cut *c, int k)
{
    const Node *r = c->backward->in[k];
    if (!c->forward || k < carries(c->backward) || k >= moving(c->backward) ||
        r->op != OP_result || r->in[0] != c->forward)
        return -1;
    int i = (int)attr_int(r, ATTR_index, 0);
    return c->dropped[i] ? i : -1;
}

/* The loop over the steps at the end. */
static Node *backward_end(const Cut *c, const Forward *f)
{
    Node *scan = c->backward, **in = NEW_ARRAY(c->g->arena, Node *, scan->nin + 1);
    for (int i = 0; i < scan->nin; i++) {
        int again = made_again(c, i);
        in[i] = again >= 0 ? make_result(c->g, f->end, again)
                : i >= carries(scan) && i < moving(scan) ? at_end(c, scan->in[i])
                                                         : scan->in[i];
    }
    return loop_like(c->g, scan, in, c->rest);
}

/* The steps of a segment forward again: the scan in the body of the outer loop. */
static Node *forward_again(const Cut *c, Outer *o, Node *const *moved)
{
    Node *scan = c->forward, **in = NEW_ARRAY(c->g->arena, Node *, scan->nin + 1);
    for (int i = 0; i < scan->nin; i++)
        in[i] = i < moving(scan) ? moved[i] : take(o, scan->in[i], scan->in[i]->shape);
    return loop_like(o->body, scan, in, c->steps);
}

static void cut_backward(const Cut *c, const Forward *f)
{
    Node *scan = c->backward, *end = c->rest ? backward_end(c, f) : NULL, *again = NULL;
    Arena *a = c->g->arena;
    int ncarry = carries(scan), nout = scan->body->outputs.n;
    int nmoved = c->forward ? moving(c->forward) : 0;
    Outer o = outer_new(c, "segment_back");
    Node **in = NEW_ARRAY(a, Node *, scan->nin + 1), **value = NEW_ARRAY(a, Node *, nout + 1);
    Node **moved = NEW_ARRAY(a, Node *, nmoved + 1);
    for (int i = 0; i < ncarry; i++)
        in[i] = take_carry(&o, end ? make_result(c->g, end, i) : scan->in[i]);
    for (int i = 0; i < nmoved; i++)
        moved[i] = take_sequence(&o, i < carries(c->forward)
                                         ? make_result(c->g, f->outer, f->first_border + i)
                                         : in_segments(c, c->forward->in[i]));
    for (int i = ncarry; i < moving(scan); i++)
        if (made_again(c, i) < 0)
            in[i] = take_sequence(&o, in_segments(c, scan->in[i]));
    if (c->forward)
        again = forward_again(c, &o, moved);
    for (int i = ncarry; i < scan->nin; i++) {
        int output = made_again(c, i);
        if (output >= 0)
            in[i] = make_result(o.body, again, output);
        else if (i >= moving(scan))
            in[i] = take(&o, scan->in[i], scan->in[i]->shape);
    }
    Node *inner = loop_like(o.body, scan, in, c->steps);
    for (int i = 0; i < nout; i++)
        graph_output(o.body, ROLE_body, arena_printf(a, "out_%d", i),
                     make_result(o.body, inner, i));
    Node *outer = outer_loop(c, &o, scan);
    for (int i = 0; i < nout; i++) {
        Node *r = make_result(c->g, outer, i);
        value[i] = i < ncarry ? r : whole(c, r, end ? make_result(c->g, end, i) : NULL);
    }
    hand_over(c, scan, value);
}

/* ---- how long a segment is ---- */

static double elements(const Node *n)
{
    int64_t count;
    int lead = shape_has_batch(&n->shape) || shape_has_shards(&n->shape);
    return shape_count(&n->shape, lead, &count) ? (double)count * dtype_size(n->dtype) : 0;
}

/* Bytes that go through a step of a gradient's loop for one block of rows: what it reads, what
 * it leaves for sums over the batch (which turn it round), what it stacks. sums: bytes of these. */
static double step_bytes(const Node *scan, double *sums)
{
    const Graph *body = scan->body;
    double bytes = 0;
    *sums = 0;
    for (int i = carries(scan); i < moving(scan); i++)
        bytes += elements(body->inputs.at[i]);
    for (int i = carries(scan); i < body->outputs.n; i++)
        bytes += elements(body->outputs.at[i].node);
    for (int i = 0; i < carries(scan); i++) {
        const Node *next = body->outputs.at[i].node;
        if (next->op != OP_batch_contract)
            continue;
        *sums += elements(next);
        for (int k = 0; k < 2; k++) {
            const Node *x = next->in[next->nin - 2 + k];
            bool seen = false;
            for (int j = 0; j < i; j++) {
                const Node *other = body->outputs.at[j].node;
                seen |= other->op == OP_batch_contract &&
                        (other->in[other->nin - 2] == x || other->in[other->nin - 1] == x);
            }
            bytes += seen ? 0 : (x->op == OP_input ? 1 : 2) * elements(x);
        }
    }
    return BLOCK_ROWS * bytes;
}

int64_t segment_near(int64_t length, double about)
{
    int64_t k = about < 1 ? 1 : about > (double)length ? length : (int64_t)about;
    for (int64_t off = 0; off <= k; off++) {
        if (k - off >= (k + 1) / 2 && length % (k - off) == 0)
            return k - off;
        if (k + off < length && length % (k + off) == 0)
            return k + off;
    }
    return k;
}

/* Segments that cost nothing pay where all steps together are beyond a core's own cache and one
 * segment's are within. A segment also reads and writes the sums over the batch once: it has as
 * many steps as make that the smaller part. */
static Segment own_choice(const SegmentLoop *l)
{
    enum { FEWEST = 8, SEGMENTS = 3 };
    double sums, step = step_bytes(l->backward, &sums);
    Segment s = {0, false};
    if (!l->may || cost_level(step * (double)l->length) < LEVEL_memory)
        return s;
    double about = COST_WITHIN / step;
    if (about < 4 * sums / step)
        about = 4 * sums / step;
    if (about < FEWEST)
        about = FEWEST;
    if (about * SEGMENTS <= (double)l->length)
        s.steps = segment_near(l->length, about);
    return s;
}

/* ---- the pass ---- */

static void cut(Graph *g, Node *back, Segment s, int64_t length)
{
    Cut c = {.g = g, .backward = back, .steps = s.steps};
    c.count = length / s.steps;
    c.rest = length % s.steps;
    c.forward = s.again ? find_forward(g->arena, g, back) : NULL;
    Forward f = {0};
    if (c.forward) {
        c.dropped = NEW_ARRAY(g->arena, bool, c.forward->body->outputs.n + 1);
        read_by_alone(g, c.forward, back, c.dropped);
        f = cut_forward(&c);
    }
    cut_backward(&c, &f);
    graph_compact(g);
    for (bool more = true; more;) { /* what an outer loop takes and its body does not need */
        for (int i = 0; i < g->nodes.n; i++)
            if (g->nodes.at[i]->body)
                prune_scans(g->nodes.at[i]->body);
        more = prune_scans(g);
        graph_compact(g);
    }
}

int segment_loops(Arena *a, Graph *g, SegmentLoop *loop, int most)
{
    int n = 0;
    for (int i = 0; i < g->nodes.n; i++) {
        Node *back = g->nodes.at[i];
        if (!is_gradient(back) || n == most)
            continue;
        SegmentLoop *l = &loop[n++];
        *l = (SegmentLoop){.backward = back, .forward = find_forward(a, g, back)};
        if (!dim_const(length_of(back), &l->length))
            l->length = 0;
        l->may = l->length > 1 && has_rank(back);
        l->again = l->forward ? cost_graph(l->forward->body) * (double)l->length : 0;
    }
    return n;
}

void pass_segment(Graph *g, const Segment *plan, int n)
{
    Arena *scratch = arena_new();
    SegmentLoop loop[SEGMENT_LOOPS];
    graph_compact(g);
    int found = segment_loops(scratch, g, loop, SEGMENT_LOOPS);
    for (int i = 0; i < found; i++) {
        Segment s = i < n && plan[i].steps ? plan[i] : own_choice(&loop[i]);
        if (loop[i].may && s.steps > 0 && s.steps < loop[i].length)
            cut(g, loop[i].backward, s, loop[i].length);
    }
    arena_free(scratch);
}
