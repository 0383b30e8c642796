/* The memory of a training step: what its graph and its kernel take. */
#include "driver/memory.h"

#include "driver/text.h"
#include "kernel/memory.h"
#include "system.h"

#include <string.h>

/* "'image' 3.2 MB a thread, ...". */
static const char *largest_text(Arena *a, const KernelMemory *k)
{
    const char *text = "";
    for (int i = 0; i < k->nlargest; i++)
        text = arena_printf(a, "%s%s'%s' %s%s", text, i ? ", " : "", k->largest[i].name,
                            text_bytes(a, (double)k->largest[i].bytes),
                            k->largest[i].of_worker ? " a thread" : "");
    return text;
}

static void add_inputs(const Graph *g, int64_t rows, const int64_t *lengths, Memory *m)
{
    for (int i = 0; i < g->inputs.n; i++) {
        const Node *n = g->inputs.at[i];
        Role role = (Role)attr_int(n, ATTR_role, ROLE_data);
        size_t bytes = (size_t)dtype_size(n->dtype);
        for (int k = 0; k < n->shape.rank; k++)
            bytes *= (size_t)(k == 0 && shape_has_batch(&n->shape)
                                  ? rows : dim_value(n->shape.d[k], lengths));
        if (role == ROLE_slot)
            m->slots += bytes;
        else if (role == ROLE_param || role == ROLE_buffer || role == ROLE_state)
            m->parameters += bytes;
    }
}

bool memory_find(Job *j, const Graph *g, int64_t rows, const int64_t *lengths, Memory *m)
{
    Arena *a = arena_new();
    KernelMemory k;
    *m = (Memory){.threads = j->threads ? j->threads : system_threads()};
    bool ok = kernel_memory(a, g, rows, lengths, m->threads, &k);
    if (ok) {
        m->worker = k.worker;
        m->common = k.common;
        m->arena = k.arena;
        m->saved = k.saved;
        m->largest = largest_text(j->arena, &k);
        m->data = j->data ? dataset_bytes(j->data) : 0;
        add_inputs(g, rows, lengths, m);
    }
    arena_free(a);
    return ok;
}

size_t memory_total(const Memory *m)
{
    return m->data + m->parameters + m->slots + m->arena;
}
