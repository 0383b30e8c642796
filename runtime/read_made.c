/* generate(count, test=, seed=): samples that a function of the caller's makes.
 *
 * Blocks of a fixed number of rows are made, each by itself; the maker knows seed, part and
 * block, so that a sample does not depend on how many there are, nor on who makes it.
 */
#include "parallel.h"
#include "reader.h"

typedef struct { const DataMaker *maker; int64_t seed; } Made;

enum { ROWS = 1024 };

static bool made_open(Opening *o)
{
    Made *m = NEW(o->a, Made);
    int64_t count, test;
    if (!o->maker)
        return error_at(o->d, o->at, "generate needs a block that says what the fields are");
    if (!opening_integer(o, 0, 1, INT32_MAX, 0, &count) ||
        !opening_integer(o, 1, 0, INT32_MAX, 0, &test) ||
        !opening_integer(o, 2, 0, INT32_MAX, 0, &m->seed))
        return false;
    m->maker = o->maker;
    for (int i = 0; i < o->maker->nfield; i++) {
        const DataArray *f = &o->maker->field[i];
        opening_field(o, f->name, f->dtype, f->rank, f->dim);
    }
    o->ds->count = count;
    o->ds->test_count = test;
    o->ds->state->own = m;
    o->ds->state->recipe = arena_printf(o->a, "generate %lld\n%s", (long long)m->seed,
                                        o->maker->recipe);
    return true;
}

typedef struct { const Dataset *ds; int part; } Making;

static void make_block(void *context, int block)
{
    const Making *w = context;
    const Made *m = w->ds->state->own;
    int64_t at = (int64_t)block * ROWS, left = (w->part ? w->ds->test_count : w->ds->count) - at;
    Arena *a = arena_new();
    void **to = NEW_ARRAY(a, void *, w->ds->nfield + 1);
    for (int i = 0; i < w->ds->nfield; i++) {
        const DataArray *f = &w->ds->field[i];
        to[i] = (char *)(w->part ? f->test : f->train) + f->sample_bytes * (size_t)at;
    }
    m->maker->make(m->maker->context, m->seed, w->part, block, left < ROWS ? left : ROWS, to);
    arena_free(a);
}

static bool made_load(Dataset *ds, Diag *d)
{
    if (!memory_suffices(d, ds->state->at, "generate()", dataset_bytes(ds)))
        return false;
    for (int part = 0; part < 2; part++) {
        int64_t n = part ? ds->test_count : ds->count;
        for (int i = 0; i < ds->nfield; i++) {
            DataArray *f = &ds->field[i];
            const void *memory = arena_alloc(ds->state->arena, f->sample_bytes * (size_t)n + 1);
            *(part ? &f->test : &f->train) = memory;
        }
        parallel_each((int)((n + ROWS - 1) / ROWS), make_block, &(Making){ds, part});
    }
    return true;
}

static const ReaderParam made_params[] = {
    {"count", TAKES_number, true, NULL, "how many training samples"},
    {"test", TAKES_number, false, "0", "how many test samples"},
    {"seed", TAKES_number, false, "0", "the same seed gives the same samples"}};

const Reader reader_generate = {
    "generate", made_params, sizeof made_params / sizeof *made_params,
    "Makes samples, once, from the expressions in its block, which may draw: uniform(0, 1), "
    "normal(0, 1).",
    "each line `name = e` of the block.", made_open, made_load};
