/* Phases: a row phase is one function that calls the functions of its steps in
 * order, with the loops over time; a parameter phase is a list of functions. */
#include "emit/emit.h"

static V make_function(Emit *e, const Step *s, bool rows)
{
    e->span = s->node ? s->node->span : (Span){0};
    switch (s->kind) {
    case STEP_nest: return nest_emit(e, s, rows);
    case STEP_batch: return batch_emit(e, s);
    case STEP_transpose: return transpose_emit(e, s);
    case STEP_load: return rows_load_emit(e, s);
    case STEP_store: return rows_store_emit(e, s);
    case STEP_zero: return zero_emit(e, s);
    case STEP_scatter: return scatter_emit(e, s);
    case STEP_pack: return pack_emit(e, s);
    case STEP_orthogonal: return orthogonal_emit(e, s);
    default: bug("a step of kind %d has no function", (int)s->kind);
    }
}

/* Functions first, in the order of a walk; the caller then calls them in the
 * same order. */
static void make_functions(Emit *e, Step *const *steps, int n, V *fn, int *nfn)
{
    for (int i = 0; i < n; i++) {
        if (steps[i]->kind == STEP_loop)
            make_functions(e, steps[i]->body.at, steps[i]->body.n, fn, nfn);
        else
            fn[(*nfn)++] = make_function(e, steps[i], true);
    }
}

static int count_steps(Step *const *steps, int n)
{
    int count = 0;
    for (int i = 0; i < n; i++)
        count += steps[i]->kind == STEP_loop ? count_steps(steps[i]->body.at, steps[i]->body.n) : 1;
    return count;
}

static void call_steps(Emit *e, Step *const *steps, int n, const V *fn, int *at)
{
    for (int i = 0; i < n; i++) {
        const Step *s = steps[i];
        if (s->kind != STEP_loop) {
            profile_call(e, fn[(*at)++], s->number);
            continue;
        }
        V extent = dim_emit(e, s->extent);
        Loop l;
        V count = loop_begin(e, &l, const_i64(e, 0), extent, 1, NULL, 0), t = count;
        if (s->reverse)
            t = LLVMBuildSub(e->b, LLVMBuildSub(e->b, extent, const_i64(e, 1), ""), count, "");
        frame_store(e, const_i64(e, FRAME_t + s->loop), t);
        frame_store(e, const_i64(e, FRAME_count + s->loop), count);
        call_steps(e, s->body.at, s->body.n, fn, at);
        loop_end(e, &l, NULL);
    }
}

int phase_emit(Emit *e, const Phase *p, int number, const char **names, int64_t *units, int *levels)
{
    size_t length;
    if (p->rows) {
        int nfn = 0, at = 0;
        V *fn = NEW_ARRAY(e->arena, V, count_steps(p->steps.at, p->steps.n) + 1);
        e->is_entry = false;
        make_functions(e, p->steps.at, p->steps.n, fn, &nfn);
        e->is_entry = true;
        e->span = (Span){0};
        if (function_begin(e, arena_printf(e->arena, "phase%d_rows", number), MODE_scalar, false)) {
            call_steps(e, p->steps.at, p->steps.n, fn, &at);
            function_end(e);
        }
        names[0] = arena_strdup(e->arena, LLVMGetValueName2(e->fn, &length));
        units[0] = 1;
        levels[0] = 0;
        return 1;
    }
    e->is_entry = true;
    for (int i = 0; i < p->steps.n; i++) {
        const Step *s = p->steps.at[i];
        names[i] = arena_strdup(e->arena, LLVMGetValueName2(make_function(e, s, false), &length));
        units[i] = s->kind == STEP_nest      ? nest_units(e, s->nest)
                   : s->kind == STEP_scatter ? SCATTER_PARTS
                   : s->kind == STEP_pack    ? PACK_PARTS
                                             : 1;
        levels[i] = s->level;
    }
    return p->steps.n;
}
