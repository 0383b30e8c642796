/* When each buffer is in use: from the first time it is written or read to the
 * last. The executor lays buffers whose times do not meet over each other, so a
 * gradient's room serves again as soon as its update has used it.
 *
 * A worker's buffers count top-level steps, which one thread runs in order; a
 * loop is one step, since what it reads in its first round may be written in its
 * last. The others count barriers: between two, any step may run beside any
 * other, so that a row phase, and a level of a parameter phase, is one time. */
#include "kernel/kernel.h"

typedef struct { int step, barrier; } Time;

static void use(Buffer *b, Time now)
{
    if (!b)
        return;
    int at = b->mem == MEM_worker ? now.step : now.barrier;
    if (b->first < 0 || at < b->first)
        b->first = at;
    if (at > b->last)
        b->last = at;
}

static void use_value(Node *n, Time at)
{
    use(INFO(kernel_base(n))->place.buffer, at);
}

static void use_inputs(const Node *n, Time at)
{
    for (int i = 0; i < n->nin; i++)
        use_value(n->in[i], at);
}

static void visit(const Step *s, Time at)
{
    use(s->place.buffer, at);
    use(s->across[0].buffer, at);
    use(s->across[1].buffer, at);
    use(s->panel, at);
    if (s->kind == STEP_transpose)
        use_value(s->node, at);
    else if (s->node)
        use_inputs(s->node, at);
    for (int i = 0; s->nest && i < s->nest->nodes.n; i++)
        use_inputs(s->nest->nodes.at[i], at);
    for (int i = 0; s->nest && i < s->nest->stores.n; i++) {
        use(s->nest->stores.at[i].to.buffer, at);
        use_value(s->nest->stores.at[i].value, at);
    }
    for (int i = 0; i < s->body.n; i++)
        visit(s->body.at[i], at);
}

void kernel_lifetimes(Kernel *k)
{
    Time at = {0, 0};
    for (int i = 0; i < k->buffers.n; i++)
        k->buffers.at[i]->first = k->buffers.at[i]->last = -1;
    for (int i = 0; i < k->phases.n; i++) {
        const Phase *p = k->phases.at[i];
        int begin = at.barrier;
        for (int j = 0; j < p->steps.n; j++, at.step++) {
            at.barrier = p->rows ? begin : begin + p->steps.at[j]->level;
            visit(p->steps.at[j], at);
        }
        at.barrier = begin + (p->rows ? 1 : p->nlevel);
    }
}
