/* Lays a kernel out as the executor would, to know its memory without code for it. */
#include "kernel/memory.h"

#include "kernel/kernel.h"
#include "lay_out.h"

#include <string.h>

enum { VECTOR_BYTES = 64 }; /* the widest vectors: buffers of narrower ones are no larger */

/* The sum over the batch that the loss is made of. */
static const Node *loss_sum(Arena *a, const Graph *g)
{
    const Node *loss = graph_find_output(g, ROLE_loss, "loss");
    bool *behind = NEW_ARRAY(a, bool, g->nodes.n + 1);
    if (loss)
        behind[loss->id] = true;
    for (int i = g->nodes.n - 1; i >= 0; i--) {
        const Node *n = g->nodes.at[i];
        if (behind[i] && n->op == OP_batch_contract)
            return n;
        for (int k = 0; behind[i] && k < n->nin; k++)
            behind[n->in[k]->id] = true;
    }
    return NULL;
}

/* When it is made, as the lifetimes of a worker's buffers count; -1: nowhere. */
static int time_of(const Kernel *k, const Node *sum)
{
    for (int i = 0; i < k->phases.n; i++)
        for (int s = 0; s < k->phases.at[i]->steps.n; s++)
            if (sum && k->phases.at[i]->steps.at[s]->node == sum)
                return k->phases.at[i]->steps.at[s]->time;
    return -1;
}

static void find_largest(Arena *a, const Kernel *k, const LayOut *o, KernelMemory *m)
{
    bool *named = NEW_ARRAY(a, bool, k->buffers.n + 1);
    for (m->nlargest = 0; m->nlargest < MEMORY_LARGEST; m->nlargest++) {
        int next = -1;
        for (int i = 0; i < k->buffers.n; i++)
            if (k->buffers.at[i]->mem != MEM_port && !named[i] && o->room[i] > 0 &&
                (next < 0 || o->room[i] > o->room[next]))
                next = i;
        if (next < 0)
            return;
        const Buffer *b = k->buffers.at[next];
        m->largest[m->nlargest].name = b->name ? b->name : "";
        m->largest[m->nlargest].bytes = (size_t)o->room[next];
        m->largest[m->nlargest].of_worker = b->mem == MEM_worker;
        named[next] = true;
    }
}

bool kernel_memory(Arena *a, const Graph *g, int64_t rows, const int64_t *lengths, int threads,
                   KernelMemory *m)
{
    Graph *copy = graph_copy(a, g);
    const Node *sum = loss_sum(a, copy);
    Kernel *k = kernel_lower(a, copy, (int)block_room(rows));
    *m = (KernelMemory){0};
    if (k->why)
        return false;
    int n = k->buffers.n, now = time_of(k, sum);
    int64_t at[SYM_MOST] = {0};
    StoreInfo *store = kernel_stores(a, k, VECTOR_BYTES / dtype_size(k->real));
    const Program p = {.nstore = n, .store = store};
    LayOut o = {NEW_ARRAY(a, int64_t, n + 1), NEW_ARRAY(a, int64_t, n + 1),
                NEW_ARRAY(a, int64_t, n + 1), 0, 0};
    if (lengths)
        memcpy(at, lengths, sizeof at);
    at[SYM_N] = rows;
    at[SYM_S] = shard_count(rows);
    if (!lay_out(&p, rows, at, &o))
        return false;
    m->worker = lay_out_worker_bytes(&o);
    m->arena = lay_out_bytes(&o, threads);
    m->common = m->arena - m->worker * (size_t)threads;
    for (int i = 0; i < n; i++)
        if (store[i].kind == STORE_worker && store[i].first < now && store[i].last > now)
            m->saved += (size_t)o.room[i];
    find_largest(a, k, &o, m);
    return true;
}
