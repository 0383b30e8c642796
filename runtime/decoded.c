/* Samples once made: kept as they lie in memory, and mapped the next time.
 *
 * An entry is the arrays of all fields that a reader's load makes, the training part of each
 * before its test part, every array at a multiple of 64 bytes. Its key holds what they are made
 * from: the content of the files, the reader's own recipe, shapes and counts, the program. */
#include "reader.h"

#include <string.h>

enum { WORTH = 1 << 20, ALIGN = 64 };

static size_t aligned(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static size_t part_bytes(const Dataset *ds, const DataArray *f, int part)
{
    return f->sample_bytes * (size_t)(part ? ds->test_count : ds->count);
}

/* Fields as text: "image u8 [28, 28]; " and so on. */
static const char *fields_text(Arena *a, const Dataset *ds)
{
    const char *s = arena_printf(a, "%lld %lld", (long long)ds->count, (long long)ds->test_count);
    for (int i = 0; i < ds->nfield; i++)
        s = arena_printf(a, "%s; %s %s %s", s, ds->field[i].name, dtype_name(ds->field[i].dtype),
                         dims_text(a, ds->field[i].rank, ds->field[i].dim));
    return s;
}

static bool find_key(Dataset *ds)
{
    enum { SOURCES = sizeof ds->state->source / sizeof *ds->state->source };
    struct DatasetState *s = ds->state;
    CacheKey content[SOURCES];
    int n = 0;
    for (; n < SOURCES && s->source[n]; n++)
        if (!cache_key_file(s->source[n], &content[n]))
            return false;
    Arena *a = arena_new();
    const char *fields = fields_text(a, ds);
    Bytes parts[] = {{"data", 4},
                     {s->build, strlen(s->build)},
                     {s->recipe, strlen(s->recipe)},
                     {fields, strlen(fields)},
                     {content, sizeof *content * (size_t)n}};
    s->key = cache_key(parts, sizeof parts / sizeof *parts);
    arena_free(a);
    return true;
}

void dataset_use_cache(Dataset *ds, const Cache *cache, const char *build)
{
    ds->state->cache = cache;
    ds->state->build = build;
}

bool decoded_get(Dataset *ds)
{
    struct DatasetState *s = ds->state;
    if (!s->cache || !s->recipe || dataset_bytes(ds) < WORTH)
        return false;
    s->load_makes = NEW_ARRAY(s->arena, bool, ds->nfield + 1);
    size_t size = 0, at = 0;
    for (int i = 0; i < ds->nfield; i++) {
        s->load_makes[i] = !ds->field[i].train;
        for (int part = 0; s->load_makes[i] && part < 2; part++)
            size += aligned(part_bytes(ds, &ds->field[i], part));
    }
    Bytes content;
    s->keyed = find_key(ds);
    if (!s->keyed || !cache_map(s->arena, s->cache, s->key, &content, &s->map))
        return false;
    if (content.size != size) {
        cache_unmap(&s->map);
        return false;
    }
    for (int i = 0; i < ds->nfield; i++)
        for (int part = 0; s->load_makes[i] && part < 2; part++) {
            *(part ? &ds->field[i].test : &ds->field[i].train) = (const char *)content.at + at;
            at += aligned(part_bytes(ds, &ds->field[i], part));
        }
    return true;
}

bool dataset_from_cache(const Dataset *ds)
{
    return ds->state->map.at != NULL;
}

void dataset_keep(const Dataset *ds)
{
    static const char zeros[ALIGN];
    const struct DatasetState *s = ds->state;
    if (!ds->loaded || !s->keyed || s->map.at)
        return;
    Arena *a = arena_new();
    LIST(Bytes) parts = {0};
    for (int i = 0; i < ds->nfield; i++)
        for (int part = 0; s->load_makes[i] && part < 2; part++) {
            size_t size = part_bytes(ds, &ds->field[i], part);
            Bytes array = {part ? ds->field[i].test : ds->field[i].train, size};
            Bytes gap = {zeros, aligned(size) - size};
            list_push(a, &parts, array);
            list_push(a, &parts, gap);
        }
    cache_put(s->cache, s->key, parts.at, parts.n);
    arena_free(a);
}
