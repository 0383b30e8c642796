/* Values before and after each pass: what the tests of opt share. */
#ifndef WEFT_OPT_CHECK_H
#define WEFT_OPT_CHECK_H

#include "grad_cells.h"
#include "opt/opt.h"

static int failures;

#define CHECK(ok, ...)                                                        \
    do {                                                                      \
        if (!(ok)) {                                                          \
            printf("%s:%d: ", __FILE__, __LINE__);                            \
            printf(__VA_ARGS__);                                              \
            printf("\n");                                                     \
            failures++;                                                       \
        }                                                                     \
    } while (0)

typedef struct { const char *name; void (*run)(Graph *); bool exact; } PassRow;

static const PassRow passes[] = {
    {"simplify", pass_simplify, false}, {"concat", pass_concat, false}, {"sink", pass_sink, true},
    {"simplify", pass_simplify, false}, {"defer", pass_defer, true},
    {"simplify", pass_simplify, false},
};

enum { OUTPUTS_MOST = 64 };

static inline Value *evaluate(Case *c, int64_t n)
{
    Value *out = NEW_ARRAY(c->arena, Value, OUTPUTS_MOST);
    case_lengths(c, n, 5);
    graph_eval(c->arena, c->g, case_sizes(c), case_values(c, 7), out, false);
    return out;
}

static inline void compare_values(Case *c, const char *pass, bool exact, const Value *a,
                                  const Value *b)
{
    for (int i = 0; i < c->g->outputs.n; i++) {
        double largest = 1e-300, off = 0;
        for (int64_t e = 0; e < a[i].count; e++)
            largest = fmax(largest, fabs(value_get(&a[i], e)));
        for (int64_t e = 0; e < a[i].count; e++)
            off = fmax(off, fabs(value_get(&a[i], e) - value_get(&b[i], e)) / largest);
        size_t bytes = (size_t)(a[i].count * dtype_size(a[i].dtype));
        bool same = a[i].count == b[i].count && !memcmp(a[i].data, b[i].data, bytes);
        if (exact ? same : off <= 1e-12)
            continue;
        printf("%s: after %s output %d (%s) is off by %g\n", c->name, pass, i,
               c->g->outputs.at[i].name, off);
        failures++;
        return;
    }
}

static inline void run_passes(Case *c)
{
    const int64_t rows[] = {1, 33, 70};
    Value *before[3], *after[3];
    for (int i = 0; i < 3; i++)
        before[i] = evaluate(c, rows[i]);
    for (size_t p = 0; p < sizeof passes / sizeof *passes; p++) {
        passes[p].run(c->g);
        const char *why = graph_verify(c->arena, c->g);
        CHECK(!why, "%s: after %s: %s", c->name, passes[p].name, why);
        for (int i = 0; i < 3 && !why; i++) {
            after[i] = evaluate(c, rows[i]);
            compare_values(c, passes[p].name, passes[p].exact, before[i], after[i]);
            before[i] = after[i];
        }
        const char *text = graph_text(c->arena, c->g);
        passes[p].run(c->g);
        if (strcmp(text, graph_text(c->arena, c->g))) {
            printf("%s: %s has more to do the second time\n", c->name, passes[p].name);
            failures++;
        }
    }
}

#endif
