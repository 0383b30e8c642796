/* Synthetic data sets: the interpreter evaluates a data block's expressions. */
#include "driver/job.h"

#include "ir/eval.h"

#include <string.h>

/* Test samples are drawn at steps that no training sample has. */
enum { TEST_STEP = 0x40000000 };

static double scalar_of(const Node *in, int64_t seed, bool test, int64_t block)
{
    const char *name = attr_str(in, ATTR_name);
    if (!strcmp(name, "seed"))
        return (double)seed;
    return strcmp(name, "step") ? 0 : (double)(block + 1 + (test ? TEST_STEP : 0));
}

static void make(void *context, int64_t seed, bool test, int64_t block, int64_t rows,
                 void *const *to)
{
    const Graph *g = context;
    Arena *a = arena_new();
    int64_t lengths[SYM_MOST] = {[SYM_N] = rows, [SYM_S] = shard_count(rows)};
    Value *in = NEW_ARRAY(a, Value, g->inputs.n + 1);
    Value *out = NEW_ARRAY(a, Value, g->outputs.n + 1);
    for (int i = 0; i < g->inputs.n; i++) {
        in[i] = value_new(a, g->inputs.at[i]->dtype, 0, NULL);
        value_set(&in[i], 0, scalar_of(g->inputs.at[i], seed, test, block));
    }
    graph_eval(a, g, (EvalSizes){lengths, SYM_MOST}, in, out, false);
    for (int i = 0; i < g->outputs.n; i++)
        memcpy(to[i], out[i].data, (size_t)out[i].count * (size_t)dtype_size(out[i].dtype));
    arena_free(a);
}

Dataset *job_generate(Job *j, Diag *d, Span at, const Graph *g, const DataArg *args, int nargs)
{
    DataMaker *m = NEW(j->data_arena, DataMaker);
    DataArray *field = NEW_ARRAY(j->data_arena, DataArray, g->outputs.n + 1);
    for (int i = 0; i < g->outputs.n; i++) {
        const Node *n = g->outputs.at[i].node;
        field[i] = (DataArray){.name = g->outputs.at[i].name, .dtype = n->dtype,
                               .rank = n->shape.rank - 1};
        for (int k = 0; k < field[i].rank; k++)
            field[i].dim[k] = dim_value(n->shape.d[k + 1], NULL);
    }
    *m = (DataMaker){g->outputs.n, field, make, (void *)g, graph_text(j->data_arena, g)};
    return dataset_made(j->data_arena, d, at, m, args, nargs);
}
