/* When each buffer is in use: from the first time it is written or read to the
 * last. The executor lays buffers whose times do not meet over each other, so a
 * gradient's room serves again as soon as its update has used it.
 *
 * A worker's buffers count steps, which one thread runs in order, those in loops
 * one after the other as they stand. What is used in a loop and outside of it is
 * in use through the whole loop, since what it reads in its first round may be
 * written in its last. What is used in a loop alone, and written before it is
 * read, begins anew in each round. The others count barriers: between two, any
 * step may run beside any other, so that a row phase, and a level of a parameter
 * phase, is one time. */
#include "kernel/kernel.h"

/* A loop, or (number 0) what is around all loops; its steps are [first, last]. */
typedef struct { int outer, first, last; } Round;

/* Uses of a worker's buffer. */
typedef struct {
    int round;             /* the innermost that all uses lie in; -1: none yet */
    int first, last;       /* steps */
    int first_round, last_round;
    bool reads_first;
} Use;

typedef struct {
    Arena *arena;
    Use *use;              /* by buffer */
    LIST(Round) rounds;
    int round, step, barrier;
} Walk;

static int innermost(const Walk *w, int a, int b)
{
    while (a != b) /* an inner one has the higher number */
        if (a > b)
            a = w->rounds.at[a].outer;
        else
            b = w->rounds.at[b].outer;
    return a;
}

static void use(Walk *w, Buffer *b, bool writes)
{
    if (!b)
        return;
    if (b->mem != MEM_worker) {
        if (b->first < 0 || w->barrier < b->first)
            b->first = w->barrier;
        if (w->barrier > b->last)
            b->last = w->barrier;
        return;
    }
    Use *u = &w->use[b->id];
    if (u->round < 0)
        *u = (Use){w->round, w->step, w->step, w->round, w->round, !writes};
    u->round = innermost(w, u->round, w->round);
    u->last = w->step;
    u->last_round = w->round;
}

/* Reads of a step, or of the nest that is it: what the nest makes itself is in registers. */
static void read_value(Walk *w, const Nest *nest, Node *n)
{
    const NodeInfo *info = INFO(kernel_base(n));
    if (!nest || info->nest != nest)
        use(w, info->place.buffer, false);
}

static void read_inputs(Walk *w, const Nest *nest, const Node *n)
{
    for (int i = 0; i < n->nin; i++)
        read_value(w, nest, n->in[i]);
}

static void visit(Walk *w, Step *s);

static void visit_loop(Walk *w, Step *s)
{
    int outer = w->round;
    w->round = w->rounds.n;
    list_push(w->arena, &w->rounds, ((Round){outer, w->step, w->step}));
    for (int i = 0; i < s->body.n; i++)
        visit(w, s->body.at[i]);
    w->rounds.at[w->round].last = w->step;
    w->round = outer;
}

/* A product that the nest makes: what it reads, and its room. */
static void visit_whole(Walk *w, const Step *s)
{
    for (int o = 0; o < 2; o++)
        if (s->across[o].buffer)
            use(w, s->across[o].buffer, false);
        else
            read_value(w, NULL, s->node->in[o]);
    use(w, s->place.buffer, true);
    use(w, s->total, true);
}

static void visit(Walk *w, Step *s)
{
    s->time = ++w->step;
    if (s->kind == STEP_loop) {
        visit_loop(w, s);
        return;
    }
    use(w, s->across[0].buffer, false);
    use(w, s->across[1].buffer, false);
    use(w, s->panel, true);
    if (s->kind == STEP_transpose)
        read_value(w, NULL, s->node);
    else if (s->node)
        read_inputs(w, NULL, s->node);
    for (int i = 0; s->nest && i < nest_operations(s->nest); i++) {
        const Node *n = nest_operation(s->nest, i);
        if (INFO(n)->whole)
            visit_whole(w, INFO(n)->whole);
        else
            read_inputs(w, s->nest, n);
    }
    for (int i = 0; s->nest && i < s->nest->stores.n; i++)
        read_value(w, s->nest, s->nest->stores.at[i].value);
    use(w, s->place.buffer, s->kind != STEP_store);
    for (int i = 0; s->nest && i < s->nest->stores.n; i++)
        use(w, s->nest->stores.at[i].to.buffer, true);
}

/* The step, or the whole of the loop directly in `round` that holds it. */
static Round span_in(const Walk *w, int round, int step, int at)
{
    Round span = {round, step, step};
    for (; at != round; at = w->rounds.at[at].outer)
        span = w->rounds.at[at];
    return span;
}

static void finish(const Walk *w, Buffer *b)
{
    const Use *u = &w->use[b->id];
    if (b->mem != MEM_worker || u->round < 0)
        return;
    int round = u->reads_first ? 0 : u->round;
    b->first = span_in(w, round, u->first, u->first_round).first;
    b->last = span_in(w, round, u->last, u->last_round).last;
}

void kernel_lifetimes(Kernel *k)
{
    Walk w = {.arena = k->arena, .use = NEW_ARRAY(k->arena, Use, k->buffers.n + 1)};
    list_push(k->arena, &w.rounds, (Round){0});
    for (int i = 0; i < k->buffers.n; i++) {
        k->buffers.at[i]->first = k->buffers.at[i]->last = -1;
        w.use[i].round = -1;
    }
    for (int i = 0; i < k->phases.n; i++) {
        const Phase *p = k->phases.at[i];
        int begin = w.barrier;
        for (int j = 0; j < p->steps.n; j++) {
            w.barrier = p->rows ? begin : begin + p->steps.at[j]->level;
            visit(&w, p->steps.at[j]);
        }
        w.barrier = begin + (p->rows ? 1 : p->nlevel);
    }
    for (int i = 0; i < k->buffers.n; i++)
        finish(&w, k->buffers.at[i]);
}
