/* generate(count, test=, seed=): samples that a function of the caller's makes.
 *
 * Blocks of a fixed number of rows are made one by one; the maker knows seed,
 * part and block, so that a sample does not depend on how many there are.
 */
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
    return true;
}

static bool made_load(Dataset *ds, Diag *d)
{
    const Made *m = ds->state->own;
    Arena *a = ds->state->arena;
    if (!memory_suffices(d, ds->state->at, "generate()", dataset_bytes(ds)))
        return false;
    void **to = NEW_ARRAY(a, void *, ds->nfield + 1);
    for (int part = 0; part < 2; part++) {
        int64_t n = part ? ds->test_count : ds->count;
        for (int i = 0; i < ds->nfield; i++) {
            DataArray *f = &ds->field[i];
            to[i] = arena_alloc(a, f->sample_bytes * (size_t)n + 1);
            *(part ? &f->test : &f->train) = to[i];
        }
        for (int64_t at = 0; at < n; at += ROWS) {
            int64_t rows = n - at < ROWS ? n - at : ROWS;
            m->maker->make(m->maker->context, m->seed, part, at / ROWS, rows, to);
            for (int i = 0; i < ds->nfield; i++)
                to[i] = (char *)to[i] + ds->field[i].sample_bytes * (size_t)rows;
        }
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
