/* Samples once made: kept as they lie in memory, and mapped the next time.
 *
 * An entry is the arrays of all fields that a reader's load makes, the training part of each
 * before its test part, every array at a multiple of 64 bytes. Its key holds what they are made
 * from: the content of the files, the reader's own recipe, shapes and counts, the program. Of a
 * reader that must read everything to know anything the entry is the whole data set: fields, counts
 * and classes stand before the arrays as JSON, and the key has none of them. */
#include "reader.h"

#include <jansson.h>
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
    const char *fields = s->whole ? "whole" : fields_text(a, ds);
    Bytes parts[] = {{"data", 4},
                     {s->build, strlen(s->build)},
                     {s->recipe, strlen(s->recipe)},
                     {fields, strlen(fields)},
                     {content, sizeof *content * (size_t)n}};
    s->key = cache_key(parts, sizeof parts / sizeof *parts);
    arena_free(a);
    return true;
}

void dataset_use_cache(Dataset *ds, const DataCache *cache)
{
    ds->state->cache = cache->cache;
    ds->state->build = cache->build;
}

/* Which fields the entry has, and the bytes of their arrays. */
static size_t find_arrays(Dataset *ds)
{
    struct DatasetState *s = ds->state;
    size_t size = 0;
    s->load_makes = NEW_ARRAY(s->arena, bool, ds->nfield + 1);
    for (int i = 0; i < ds->nfield; i++) {
        s->load_makes[i] = s->whole || !ds->field[i].train;
        for (int part = 0; s->load_makes[i] && part < 2; part++)
            size += aligned(part_bytes(ds, &ds->field[i], part));
    }
    return size;
}

/* The fields' arrays are those that begin at `at`. */
static void take_arrays(Dataset *ds, const char *at)
{
    for (int i = 0; i < ds->nfield; i++)
        for (int part = 0; ds->state->load_makes[i] && part < 2; part++) {
            *(part ? &ds->field[i].test : &ds->field[i].train) = at;
            at += aligned(part_bytes(ds, &ds->field[i], part));
        }
}

bool decoded_get(Dataset *ds)
{
    struct DatasetState *s = ds->state;
    if (s->whole)
        return dataset_from_cache(ds);
    if (!s->cache || !s->recipe || dataset_bytes(ds) < WORTH)
        return false;
    size_t size = find_arrays(ds);
    Bytes content;
    s->keyed = find_key(ds);
    if (!s->keyed || !cache_map(s->arena, s->cache, s->key, &content, &s->map))
        return false;
    if (content.size != size) {
        cache_unmap(&s->map);
        return false;
    }
    take_arrays(ds, content.at);
    return true;
}

/* ---- whole data sets ---- */

/* Fields, counts and classes as text with zeros up to a multiple of ALIGN; null when a class is
 * no text that JSON can hold. */
static char *head_text(Arena *a, const Dataset *ds, size_t *size)
{
    json_t *fields = json_array(), *classes = json_array();
    for (int i = 0; i < ds->nfield; i++) {
        const DataArray *f = &ds->field[i];
        json_t *dims = json_array();
        for (int k = 0; k < f->rank; k++)
            json_array_append_new(dims, json_integer(f->dim[k]));
        json_array_append_new(fields, json_pack("[s,i,o]", f->name, (int)f->dtype, dims));
    }
    bool ok = true;
    for (int i = 0; i < ds->nclass; i++)
        ok = json_array_append_new(classes, json_string(ds->classes[i])) == 0 && ok;
    json_t *root = json_pack("{s:I,s:I,s:i,s:o,s:o}", "count", (json_int_t)ds->count, "test_count",
                             (json_int_t)ds->test_count, "class_field", ds->class_field, "fields",
                             fields, "classes", classes);
    size_t n = json_dumpb(root, NULL, 0, JSON_COMPACT);
    *size = aligned(n + 1);
    char *text = arena_alloc(a, *size);
    memset(text, 0, *size);
    json_dumpb(root, text, n, JSON_COMPACT);
    json_decref(root);
    return ok ? text : NULL;
}

/* What head_text wrote; the entry's checksum says that it is that. */
static bool read_head(Arena *a, Dataset *ds, const char *text)
{
    json_t *root = json_loads(text, 0, NULL), *fields, *classes;
    json_int_t count, test_count;
    Opening o = {.a = a, .ds = ds};
    if (json_unpack(root, "{s:I,s:I,s:i,s:o,s:o}", "count", &count, "test_count", &test_count,
                    "class_field", &ds->class_field, "fields", &fields, "classes", &classes) != 0) {
        json_decref(root);
        return false;
    }
    int nfield = (int)json_array_size(fields);
    ds->count = count;
    ds->test_count = test_count;
    ds->nclass = (int)json_array_size(classes);
    const char **names = NEW_ARRAY(a, const char *, ds->nclass + 1);
    for (int i = 0; i < ds->nclass; i++)
        names[i] = arena_strdup(a, json_string_value(json_array_get(classes, (size_t)i)));
    ds->classes = ds->nclass ? names : NULL;
    for (int i = 0; i < nfield; i++) {
        const json_t *f = json_array_get(fields, (size_t)i), *dims = json_array_get(f, 2);
        int64_t dim[RANK_MOST];
        int rank = (int)json_array_size(dims);
        for (int k = 0; k < rank && k < RANK_MOST; k++)
            dim[k] = json_integer_value(json_array_get(dims, (size_t)k));
        opening_field(&o, arena_strdup(a, json_string_value(json_array_get(f, 0))),
                      (Dtype)json_integer_value(json_array_get(f, 1)), rank, dim);
    }
    json_decref(root);
    return nfield > 0;
}

bool decoded_open(Dataset *ds)
{
    struct DatasetState *s = ds->state;
    Bytes content;
    s->whole = true;
    if (!s->cache)
        return false;
    s->keyed = find_key(ds);
    if (!s->keyed || !cache_map(s->arena, s->cache, s->key, &content, &s->map))
        return false;
    const char *text = content.at;
    size_t head = aligned(strnlen(text, content.size) + 1);
    if (head <= content.size && read_head(s->arena, ds, text) &&
        head + find_arrays(ds) == content.size) {
        take_arrays(ds, text + head);
        return true;
    }
    cache_unmap(&s->map);
    ds->nfield = ds->nclass = 0;
    return false;
}

bool dataset_from_cache(const Dataset *ds)
{
    return ds->state->map.at != NULL;
}

void dataset_keep(const Dataset *ds)
{
    static const char zeros[ALIGN];
    const struct DatasetState *s = ds->state;
    if (!ds->loaded || !s->keyed || s->map.at || (s->whole && dataset_bytes(ds) < WORTH))
        return;
    Arena *a = arena_new();
    LIST(Bytes) parts = {0};
    Bytes head = {NULL, 0};
    if (s->whole)
        head.at = head_text(a, ds, &head.size);
    if (head.at)
        list_push(a, &parts, head);
    for (int i = 0; i < ds->nfield; i++)
        for (int part = 0; (s->whole || s->load_makes[i]) && part < 2; part++) {
            size_t size = part_bytes(ds, &ds->field[i], part);
            Bytes array = {part ? ds->field[i].test : ds->field[i].train, size};
            Bytes gap = {zeros, aligned(size) - size};
            list_push(a, &parts, array);
            list_push(a, &parts, gap);
        }
    if (head.at || !s->whole)
        cache_put(s->cache, s->key, parts.at, parts.n);
    arena_free(a);
}
