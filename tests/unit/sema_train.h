/* What the tests of train and data blocks share: units from text, a schema of
 * given fields, programs run step by step in the interpreter. */
#ifndef TEST_SEMA_TRAIN_H
#define TEST_SEMA_TRAIN_H

#include "ir/eval.h"
#include "sema/sema.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct { Arena *a; Diag *d; Session *s; DataSchema schema; int failed; } Test;

static inline const DataSchema *test_schema(void *context, Diag *d, Span at, const char *reader,
                                            const ReaderArg *args, int nargs)
{
    (void)args, (void)nargs;
    Test *t = context;
    if (strcmp(reader, "set") != 0)
        return error_at(d, at, "unknown reader '%s'", reader), NULL;
    return &t->schema;
}

static inline void test_begin(Test *t, const DataField *field, int nfield)
{
    t->a = arena_new();
    t->d = NEW(t->a, Diag);
    t->d->arena = t->a;
    t->schema = (DataSchema){.nfield = nfield, .field = field, .count = 600, .test_count = 100};
}

/* The unit of a file with this text, in t->s or else a float64 session; null
 * after errors. */
static inline Unit *test_open(Test *t, const char *text)
{
    char path[] = "/tmp/weft_test_XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    fputs(text, f);
    fclose(f);
    if (!t->s)
        t->s = session_new(t->a, t->d, DT_f64);
    t->s->schema = test_schema;
    t->s->schema_context = t;
    Unit *u = unit_open(t->s, path);
    unlink(path);
    return u;
}

static inline void test_fail(Test *t, const char *what, const char *text)
{
    printf("FAILED %s\n%s\n", what, text);
    diag_print(t->d, stdout);
    t->failed++;
}

static inline void test_near(Test *t, const char *what, double got, double want, double rel)
{
    if (fabs(got - want) <= rel * (fabs(want) + 1e-12))
        return;
    printf("FAILED %s: got %.17g, wanted %.17g\n", what, got, want);
    t->failed++;
}

/* Evaluates g for n rows; `bind` gives an input's value by role and name. */
typedef void (*BindFn)(void *context, const Node *input, Value *v);
static inline Value *test_eval(Arena *a, const Graph *g, int64_t n, BindFn bind, void *context)
{
    int64_t lengths[SYM_MOST] = {0};
    lengths[SYM_N] = n;
    Value *in = NEW_ARRAY(a, Value, g->inputs.n + 1), *out = NEW_ARRAY(a, Value, g->outputs.n + 1);
    for (int i = 0; i < g->inputs.n; i++) {
        const Node *node = g->inputs.at[i];
        int64_t dim[RANK_MOST];
        for (int k = 0; k < node->shape.rank; k++)
            dim[k] = dim_value(node->shape.d[k], lengths);
        in[i] = value_new(a, node->dtype, node->shape.rank, dim);
        bind(context, node, &in[i]);
    }
    graph_eval(a, g, (EvalSizes){lengths, SYM_MOST}, in, out, false);
    return out;
}

static inline const Value *test_output(const Graph *g, const Value *out, Role role,
                                       const char *name)
{
    for (int i = 0; i < g->outputs.n; i++)
        if (g->outputs.at[i].role == role && strcmp(g->outputs.at[i].name, name) == 0)
            return &out[i];
    return NULL;
}

#endif
