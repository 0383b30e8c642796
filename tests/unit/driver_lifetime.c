/* Gradients die as soon as their updates have used them, as the memory plan says: what an
 * update reads is in use no longer than that, and of the gradients between layers the room
 * serves again, so that a deeper network needs more of a worker's memory for what it saves
 * alone. */
#include "driver/passes.h"
#include "kernel/kernel.h"
#include "kernel/memory.h"
#include "sema_train.h"

static int failures;

static void expect(bool ok, const char *what)
{
    if (!ok) {
        printf("failed: %s\n", what);
        failures++;
    }
}

enum { ROWS = 128 };

/* The training step of dense layers of `units`. */
static Graph *step_of(Test *t, int layers, int units, const char *optimizer)
{
    const DataField field[] = {{.name = "x", .dtype = DT_f32, .rank = 1, .dim = {units}},
                               {.name = "y", .dtype = DT_f32, .rank = 1, .dim = {units}}};
    const PassOptions options = {.dump = -1, .stop = -1};
    bool stopped = false;
    test_begin(t, field, 2);
    t->s = session_new(t->a, t->d, DT_f32);
    Unit *u = test_open(t, arena_printf(t->a, "data d = set()\nmodel deep {\n    input x[%d]\n"
        "    repeat %d {\n        Dense(%d, activation=tanh)\n    }\n}\n"
        "train {\n    data = d\n    target = y\n    loss = mean_squared_error\n"
        "    optimizer = %s\n    batch_size = %d\n}\n", units, layers, units, optimizer, ROWS));
    return u ? pipeline_run(u, PIPELINE_step, &options, &stopped) : NULL;
}

/* ---- what reads what, and when ---- */

static bool stores_update(const Kernel *k, const Step *s)
{
    for (int i = 0; s->nest && i < s->nest->stores.n; i++) {
        const Buffer *b = s->nest->stores.at[i].to.buffer;
        if (b->mem == MEM_port && k->ports.at[b->port].is_output &&
            (k->ports.at[b->port].role == ROLE_param || k->ports.at[b->port].role == ROLE_slot))
            return true;
    }
    return false;
}

static bool reads(const Step *s, const Buffer *b)
{
    for (int i = 0; s->nest && i < s->nest->nodes.n; i++)
        for (int m = 0; m < s->nest->nodes.at[i]->nin; m++)
            if (INFO(kernel_base(s->nest->nodes.at[i]->in[m]))->place.buffer == b)
                return true;
    for (int m = 0; s->node && m < s->node->nin; m++)
        if (INFO(kernel_base(s->node->in[m]))->place.buffer == b)
            return true;
    return s->across[0].buffer == b || s->across[1].buffer == b || s->place.buffer == b;
}

/* Buffers that updates read and that are no caller's: the last reader is the end. Returns how
 * many there are. */
static int check_ends(const Kernel *k)
{
    int found = 0;
    for (int i = 0; i < k->buffers.n; i++) {
        const Buffer *b = k->buffers.at[i];
        int barrier = 0, end = -1;
        bool update = false;
        if (b->mem != MEM_shard && b->mem != MEM_shared)
            continue;
        for (int p = 0; p < k->phases.n; p++) {
            const Phase *phase = k->phases.at[p];
            for (int s = 0; s < phase->steps.n; s++) {
                const Step *step = phase->steps.at[s];
                if (!reads(step, b))
                    continue;
                update |= stores_update(k, step);
                end = barrier + (phase->rows ? 0 : step->level);
            }
            barrier += phase->rows ? 1 : phase->nlevel;
        }
        if (!update)
            continue;
        found++;
        expect(b->first >= 0 && b->last == end, "a gradient's end is its update");
    }
    return found;
}

typedef struct { KernelMemory memory; int gradients; } Plan;

static Plan plan_of(int layers, int units, const char *optimizer)
{
    Test t = {0};
    Plan plan = {.gradients = 0};
    Graph *g = step_of(&t, layers, units, optimizer);
    expect(g != NULL, "a training step");
    if (g) {
        expect(kernel_memory(t.a, g, ROWS, NULL, 1, &plan.memory), "a plan");
        Kernel *k = kernel_lower(t.a, graph_copy(t.a, g), BLOCK_ROWS);
        expect(!k->why, "a kernel");
        plan.gradients = check_ends(k);
    }
    diag_print(t.d, stdout);
    arena_free(t.a);
    return plan;
}

int main(void)
{
    static const char *const optimizer[] = {"Adam()", "Adam(global_clipnorm=1)"};
    for (int i = 0; i < 2; i++) {
        Plan four = plan_of(4, 48, optimizer[i]), eight = plan_of(8, 48, optimizer[i]);
        expect(four.gradients > 0 && eight.gradients > four.gradients, "gradients in memory");
        /* Row by row: the gradient of a layer's output lives from one layer to the next. */
        expect(eight.memory.saved > four.memory.saved, "more layers save more");
        expect(eight.memory.worker - four.memory.worker <=
                   eight.memory.saved - four.memory.saved,
               "more layers need room for what they save alone");
    }
    return failures != 0;
}
