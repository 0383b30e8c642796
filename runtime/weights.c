/* Reading and writing safetensors.
 *
 * What a header says is used only after it was checked: its length against the file's and
 * against a limit, each tensor's offsets against its shape and type, all of them together
 * against overlaps and gaps (the format allows neither). JSON is jansson's, which bounds depth.
 */
#include "weights.h"

#include "system.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MOST = 100 << 20 }; /* the reference implementation's limit */

/* ---- the Weights ---- */

int64_t tensor_elements(const Tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->dim[i];
    return n;
}

size_t tensor_bytes(const Tensor *t)
{
    return (size_t)tensor_elements(t) * (size_t)dtype_size(t->dtype);
}

void weights_add(Arena *a, Weights *w, const char *name, Dtype dtype, int rank,
                 const int64_t *dim, const void *data)
{
    Tensor t = {.name = name, .dtype = dtype, .rank = rank, .data = data};
    for (int i = 0; i < rank; i++)
        t.dim[i] = dim[i];
    list_push(a, &w->tensors, t);
}

void weights_note(Arena *a, Weights *w, const char *key, const char *value)
{
    list_push(a, &w->notes, ((WeightsNote){key, value}));
}

const Tensor *weights_find(const Weights *w, const char *name)
{
    for (int i = 0; i < w->tensors.n; i++)
        if (!strcmp(w->tensors.at[i].name, name))
            return &w->tensors.at[i];
    return NULL;
}

const char *weights_get_note(const Weights *w, const char *key)
{
    for (int i = 0; i < w->notes.n; i++)
        if (!strcmp(w->notes.at[i].key, key))
            return w->notes.at[i].value;
    return NULL;
}

/* ---- writing ---- */

static const char *const written_dtype[NDTYPE] = {
    [DT_f32] = "F32", [DT_f64] = "F64", [DT_i32] = "I32",
    [DT_i16] = "I16", [DT_i8] = "I8",   [DT_u8] = "U8",   [DT_bool] = "BOOL"};

/* The header as JSON; *bytes is what stands behind it. */
static json_t *describe(const Weights *w, size_t *bytes)
{
    json_t *top = json_object(), *notes = json_object();
    *bytes = 0;
    for (int i = 0; i < w->notes.n; i++)
        json_object_set_new(notes, w->notes.at[i].key, json_string(w->notes.at[i].value));
    if (w->notes.n)
        json_object_set(top, "__metadata__", notes);
    json_decref(notes);
    for (int i = 0; i < w->tensors.n; i++) {
        const Tensor *t = &w->tensors.at[i];
        json_t *shape = json_array();
        for (int k = 0; k < t->rank; k++)
            json_array_append_new(shape, json_integer(t->dim[k]));
        size_t end = *bytes + tensor_bytes(t);
        json_object_set_new(top, t->name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", written_dtype[t->dtype],
                                      "shape", shape, "data_offsets", (json_int_t)*bytes,
                                      (json_int_t)end));
        *bytes = end;
    }
    return top;
}

/* Wider types first, so that every tensor is aligned to its elements without gaps. */
static Weights sorted(Arena *a, const Weights *w)
{
    Weights s = {.notes = {w->notes.at, w->notes.n, w->notes.cap}};
    for (int size = 8; size > 0; size /= 2)
        for (int i = 0; i < w->tensors.n; i++)
            if (dtype_size(w->tensors.at[i].dtype) == size)
                list_push(a, &s.tensors, w->tensors.at[i]);
    return s;
}

bool weights_write(Diag *d, Span at, const char *path, const Weights *w)
{
    Arena *scratch = arena_new();
    Weights s = sorted(scratch, w);
    size_t bytes;
    json_t *top = describe(&s, &bytes);
    char *text = json_dumps(top, JSON_COMPACT);
    json_decref(top);
    if (!text) {
        arena_free(scratch);
        return error_at(d, at, "cannot write '%s': a name in it is no UTF-8 text", path);
    }
    size_t n = strlen(text), padded = (n + 7) / 8 * 8;
    uint8_t *head = arena_alloc(scratch, 8 + padded);
    for (int i = 0; i < 8; i++)
        head[i] = (uint8_t)((uint64_t)padded >> 8 * i);
    memset(head + 8, ' ', padded);
    memcpy(head + 8, text, n);
    free(text);
    Bytes *parts = NEW_ARRAY(scratch, Bytes, s.tensors.n + 1);
    parts[0] = (Bytes){head, 8 + padded};
    for (int i = 0; i < s.tensors.n; i++)
        parts[i + 1] = (Bytes){s.tensors.at[i].data, tensor_bytes(&s.tensors.at[i])};
    bool ok = file_write(d, at, path, parts, s.tensors.n + 1);
    arena_free(scratch);
    return ok;
}

/* ---- reading ---- */

typedef struct { const char *name; int size; Dtype dtype; } StoredType;

static const StoredType stored_types[] = {
    {"F32", 4, DT_f32}, {"F64", 8, DT_f64}, {"I32", 4, DT_i32},  {"I64", 8, DT_i32},
    {"I16", 2, DT_i16}, {"U8", 1, DT_u8},   {"I8", 1, DT_i8},    {"BOOL", 1, DT_bool},
    {"F16", 2, DT_f32}, {"BF16", 2, DT_f32}};

typedef struct { uint64_t lo, hi; const char *name; } Range;

typedef struct {
    Arena *a;
    Diag *d;
    Span at;
    const char *path;
    const uint8_t *data;    /* behind the header */
    uint64_t size;          /* of it */
    LIST(Range) ranges;
    Weights *w;
} Reading;

static bool corrupt(Reading *r, const char *name, const char *why)
{
    if (name)
        return error_at(r->d, r->at, "'%s' is corrupt: tensor '%.200s' %s", r->path, name, why);
    return error_at(r->d, r->at, "'%s' is corrupt: %s", r->path, why);
}

static const StoredType *stored_type(const char *name)
{
    for (size_t i = 0; i < sizeof stored_types / sizeof *stored_types; i++)
        if (!strcmp(name, stored_types[i].name))
            return &stored_types[i];
    return NULL;
}

/* Half and brain floats to float by their bits; both fit exactly. */
static float widen(uint16_t v, bool brain)
{
    uint32_t sign = (uint32_t)(v & 0x8000) << 16, bits;
    float f;
    if (brain) {
        bits = (uint32_t)v << 16;
    } else if ((v & 0x7C00) == 0x7C00) {
        bits = sign | 0x7F800000 | (uint32_t)(v & 0x3FF) << 13;
    } else if ((v & 0x7C00) == 0) {
        f = (float)(v & 0x3FF) * 0x1p-24f;
        return sign ? -f : f;
    } else {
        bits = sign | (((uint32_t)(v & 0x7FFF) << 13) + (112u << 23));
    }
    memcpy(&f, &bits, 4);
    return f;
}

/* The elements in a type of ours, aligned. */
static bool convert(Reading *r, Tensor *t, const StoredType *s, const uint8_t *from)
{
    size_t n = (size_t)tensor_elements(t);
    void *to = arena_alloc(r->a, tensor_bytes(t) + 1);
    t->data = to;
    if (s->size == dtype_size(s->dtype)) {
        memcpy(to, from, tensor_bytes(t));
        for (size_t i = 0; t->dtype == DT_bool && i < n; i++)
            if (from[i] > 1)
                return corrupt(r, t->name, "is BOOL and has bytes that are neither 0 nor 1");
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        if (s->size == 2) {
            ((float *)to)[i] = widen((uint16_t)(from[2 * i] | from[2 * i + 1] << 8),
                                     s->name[0] == 'B');
        } else {
            int64_t v;
            memcpy(&v, from + 8 * i, 8);
            if (v < INT32_MIN || v > INT32_MAX)
                return unsupported_at(r->d, r->at, "'%s': element %zu of tensor '%.200s' is "
                                                   "%" PRId64 ", and 32 bits are kept",
                                      r->path, i, t->name, v);
            ((int32_t *)to)[i] = (int32_t)v;
        }
    }
    return true;
}

static bool read_shape(Reading *r, const char *name, const json_t *shape, Tensor *t, uint64_t *n)
{
    size_t rank = json_array_size(shape);
    if (!json_is_array(shape))
        return corrupt(r, name, "has no shape");
    if (rank > RANK_MOST)
        return unsupported_at(r->d, r->at, "'%s': tensor '%.200s' has rank %zu, and up to %d can "
                                           "be read",
                              r->path, name, rank, RANK_MOST);
    t->rank = (int)rank;
    uint64_t bound = 1; /* with extents of 0 taken as 1: they hide nothing absurd */
    *n = 1;
    for (size_t i = 0; i < rank; i++) {
        const json_t *e = json_array_get(shape, i);
        int64_t v = json_is_integer(e) ? json_integer_value(e) : -1;
        if (v < 0 || (v > 0 && __builtin_mul_overflow(bound, (uint64_t)v, &bound)) ||
            bound > (uint64_t)1 << 48)
            return corrupt(r, name, "has an impossible shape");
        t->dim[i] = v;
        *n *= (uint64_t)v;
    }
    return true;
}

static bool read_tensor(Reading *r, const char *name, const json_t *entry)
{
    Tensor t = {.name = arena_strdup(r->a, name)};
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *lo = json_array_get(offsets, 0), *hi = json_array_get(offsets, 1);
    uint64_t n = 0;
    if (!json_is_object(entry) || !dtype)
        return corrupt(r, name, "has no dtype");
    const StoredType *s = stored_type(dtype);
    if (!s)
        return unsupported_at(r->d, r->at, "'%s': tensor '%.200s' is %.40s, and F32, F64, F16, "
                                           "BF16, I16, I32, I64, U8 and BOOL can be read",
                              r->path, name, dtype);
    t.dtype = s->dtype;
    if (!read_shape(r, name, json_object_get(entry, "shape"), &t, &n))
        return false;
    if (json_array_size(offsets) != 2 || !json_is_integer(lo) || !json_is_integer(hi) ||
        json_integer_value(lo) < 0 || json_integer_value(hi) < json_integer_value(lo))
        return corrupt(r, name, "has no valid data_offsets");
    Range range = {(uint64_t)json_integer_value(lo), (uint64_t)json_integer_value(hi), t.name};
    if (range.hi > r->size)
        return error_at(r->d, r->at, "'%s' is truncated: tensor '%.200s' ends at byte %" PRIu64
                                     " of its data, and there are %" PRIu64,
                        r->path, name, range.hi, r->size);
    if (range.hi - range.lo != n * (uint64_t)s->size)
        return error_at(r->d, r->at, "'%s' is corrupt: tensor '%.200s' has %" PRIu64 " bytes, and "
                                     "its shape needs %" PRIu64,
                        r->path, name, range.hi - range.lo, n * (uint64_t)s->size);
    list_push(r->a, &r->ranges, range);
    if (!convert(r, &t, s, r->data + range.lo))
        return false;
    list_push(r->a, &r->w->tensors, t);
    return true;
}

static int compare_ranges(const void *a, const void *b)
{
    const Range *x = a, *y = b;
    return x->lo != y->lo ? (x->lo > y->lo) - (x->lo < y->lo) : (x->hi > y->hi) - (x->hi < y->hi);
}

/* Side by side from the first byte to the last. */
static bool check_ranges(Reading *r)
{
    uint64_t end = 0;
    if (r->ranges.n)
        qsort(r->ranges.at, (size_t)r->ranges.n, sizeof *r->ranges.at, compare_ranges);
    for (int i = 0; i < r->ranges.n; i++) {
        const Range *g = &r->ranges.at[i];
        if (g->lo < end)
            return corrupt(r, g->name, "overlaps another one");
        if (g->lo > end)
            return corrupt(r, g->name, "has unused bytes before it");
        end = g->hi;
    }
    if (end < r->size)
        return corrupt(r, NULL, "it has bytes behind its last tensor");
    return true;
}

static bool read_notes(Reading *r, const json_t *notes)
{
    if (!json_is_object(notes))
        return corrupt(r, NULL, "its metadata is no object");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)notes, key, value) {
        if (!json_is_string(value))
            return corrupt(r, NULL, "its metadata holds something else than texts");
        weights_note(r->a, r->w, arena_strdup(r->a, key),
                     arena_strdup(r->a, json_string_value(value)));
    }
    return true;
}

static bool read_header(Reading *r, const char *text, size_t size)
{
    json_error_t e;
    json_t *top = json_loadb(text, size, JSON_REJECT_DUPLICATES, &e);
    if (!top)
        return error_at(r->d, r->at, "'%s' is corrupt: its header is not JSON (%s at byte %d)",
                        r->path, e.text, e.position);
    bool ok = json_is_object(top) || corrupt(r, NULL, "its header is no JSON object");
    const char *key;
    json_t *value;
    if (ok)
        json_object_foreach(top, key, value) {
            ok = strcmp(key, "__metadata__") ? read_tensor(r, key, value) : read_notes(r, value);
            if (!ok)
                break;
        }
    json_decref(top);
    return ok && check_ranges(r);
}

Weights *weights_read(Arena *a, Diag *d, Span at, const char *path)
{
    Arena *scratch = arena_new();
    size_t size;
    Reading r = {.a = a, .d = d, .at = at, .path = path, .w = NEW(a, Weights)};
    const uint8_t *file = (const uint8_t *)file_read(scratch, d, at, path, (size_t)1 << 36, &size);
    uint64_t n = 0;
    bool ok = file != NULL;
    for (int i = 7; ok && size >= 8 && i >= 0; i--)
        n = n << 8 | file[i];
    if (ok && size < 8)
        ok = error_at(d, at, "'%s' is truncated: %zu bytes, and a safetensors file has at least 8",
                      path, size);
    else if (ok && n > HEADER_MOST)
        ok = error_at(d, at, "'%s' is no safetensors file: its first 8 bytes claim a header of "
                             "%" PRIu64 " bytes", path, n);
    else if (ok && n > size - 8)
        ok = error_at(d, at, "'%s' is truncated: its header has %" PRIu64 " bytes, and %zu are "
                             "left", path, n, size - 8);
    if (ok) {
        r.data = file + 8 + n;
        r.size = size - 8 - n;
        ok = read_header(&r, (const char *)file + 8, n);
    }
    arena_free(scratch);
    return ok ? r.w : NULL;
}
