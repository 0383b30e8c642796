/* When each buffer of a worker is in use: from the first top-level step of its
 * phase that writes or reads it to the last. The executor lays buffers whose
 * times do not meet over each other. A loop counts as one step, since what it
 * reads in its first round may be written in its last. */
#include "kernel/kernel.h"

static void use(Buffer *b, int at)
{
    if (!b)
        return;
    if (b->first < 0 || at < b->first)
        b->first = at;
    if (at > b->last)
        b->last = at;
}

static void use_value(Node *n, int at)
{
    use(INFO(kernel_base(n))->place.buffer, at);
}

static void use_inputs(const Node *n, int at)
{
    for (int i = 0; i < n->nin; i++)
        use_value(n->in[i], at);
}

static void visit(const Step *s, int at)
{
    use(s->place.buffer, at);
    use(s->across[0].buffer, at);
    use(s->across[1].buffer, at);
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
    int at = 0;
    for (int i = 0; i < k->buffers.n; i++)
        k->buffers.at[i]->first = k->buffers.at[i]->last = -1;
    for (int i = 0; i < k->phases.n; i++)
        for (int j = 0; j < k->phases.at[i]->steps.n; j++)
            visit(k->phases.at[i]->steps.at[j], at++);
}
