/* NPZ: a ZIP archive of NPY arrays, stored or deflated. npz(path, test=path).
 *
 * Only the archive's directory at its end is believed, and only after it was held against the
 * file; an array's own local header is used for its length alone (NumPy writes a ZIP64 one).
 * Names pair as Keras's own sets do: x_train and x_test are the two parts of field x.
 */
#include "reader.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { MEMBERS_MOST = 4096 };

typedef struct {
    const char *name;       /* without .npy */
    int method;             /* 0 stored, 8 deflated */
    uint32_t crc;
    uint64_t packed, size, offset;
    NpyFile npy;
} Member;

typedef struct {
    const char *path;
    Span at;
    const uint8_t *bytes;   /* the whole file: small beside what it unpacks to */
    size_t size;
    LIST(Member) members;
} Archive;

static uint64_t little(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int i = n; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static bool corrupt(Diag *d, const Archive *z, const char *why)
{
    return error_at(d, z->at, "'%s' is corrupt: %s", z->path, why);
}

/* Sizes of 2^32 - 1 in the directory stand in the ZIP64 field, in this order. */
static bool read_zip64(const uint8_t *extra, size_t n, Member *m)
{
    uint64_t *wanted[3], lacking = 0;
    if (m->size == UINT32_MAX)
        wanted[lacking++] = &m->size;
    if (m->packed == UINT32_MAX)
        wanted[lacking++] = &m->packed;
    if (m->offset == UINT32_MAX)
        wanted[lacking++] = &m->offset;
    if (!lacking)
        return true;
    while (n >= 4) {
        size_t id = little(extra, 2), len = little(extra + 2, 2);
        if (len > n - 4)
            return false;
        if (id == 1) {
            if (len < 8 * lacking)
                return false;
            for (uint64_t i = 0; i < lacking; i++)
                *wanted[i] = little(extra + 4 + 8 * i, 8);
            return true;
        }
        extra += 4 + len;
        n -= 4 + len;
    }
    return false;
}

/* The end record lies in the last 64 KB, before a comment. */
static bool find_directory(Diag *d, const Archive *z, uint64_t *start, uint64_t *count)
{
    if (z->size < 4 || little(z->bytes, 4) != 0x04034b50)
        return error_at(d, z->at,
                        "'%s' is no NPZ archive: it begins with bytes %02x %02x %02x %02x, and "
                        "50 4b 03 04 is needed",
                        z->path, z->bytes[0], z->size > 1 ? z->bytes[1] : 0,
                        z->size > 2 ? z->bytes[2] : 0, z->size > 3 ? z->bytes[3] : 0);
    for (size_t back = 22; back <= z->size && back < 22 + 65536; back++) {
        const uint8_t *e = z->bytes + z->size - back;
        if (little(e, 4) != 0x06054b50)
            continue;
        *count = little(e + 10, 2);
        *start = little(e + 16, 4);
        if (*start == UINT32_MAX || *count == 0xFFFF) {
            const uint8_t *l = e - 20; /* the ZIP64 locator */
            uint64_t at = back + 20 <= z->size && little(l, 4) == 0x07064b50 ? little(l + 8, 8)
                                                                            : UINT64_MAX;
            if (z->size < 56 || at > z->size - 56 || little(z->bytes + at, 4) != 0x06064b50)
                return corrupt(d, z, "its ZIP64 directory cannot be found");
            *count = little(z->bytes + at + 32, 8);
            *start = little(z->bytes + at + 48, 8);
        }
        return true;
    }
    return error_at(d, z->at, "'%s' is truncated: its %zu bytes end without a directory", z->path,
                    z->size);
}

static bool read_directory(Arena *a, Diag *d, Archive *z)
{
    uint64_t at = 0, count = 0;
    if (!find_directory(d, z, &at, &count))
        return false;
    if (count > MEMBERS_MOST)
        return unsupported_at(d, z->at, "'%s' has %llu arrays, and up to %d can be read", z->path,
                              (unsigned long long)count, MEMBERS_MOST);
    for (uint64_t i = 0; i < count; i++) {
        if (z->size < 46 || at > z->size - 46 || little(z->bytes + at, 4) != 0x02014b50)
            return corrupt(d, z, "its directory ends early");
        const uint8_t *e = z->bytes + at;
        size_t nname = little(e + 28, 2), nextra = little(e + 30, 2), note = little(e + 32, 2);
        if (nname + nextra + note > z->size - at - 46)
            return corrupt(d, z, "its directory ends early");
        Member m = {.method = (int)little(e + 10, 2), .crc = (uint32_t)little(e + 16, 4),
                    .packed = little(e + 20, 4), .size = little(e + 24, 4),
                    .offset = little(e + 42, 4)};
        if (!read_zip64(e + 46 + nname, nextra, &m))
            return corrupt(d, z, "a ZIP64 field is missing");
        const char *name = (const char *)e + 46;
        bool is_npy = nname > 4 && !memcmp(name + nname - 4, ".npy", 4);
        m.name = arena_strndup(a, name, is_npy ? nname - 4 : nname);
        if (is_npy)
            list_push(a, &z->members, m);
        if (little(e + 8, 2) & 1)
            return unsupported_at(d, z->at, "'%s' in '%s' is encrypted", m.name, z->path);
        if (is_npy && m.method != 0 && m.method != 8)
            return unsupported_at(d, z->at,
                                  "'%s' in '%s' is packed by method %d, and stored and deflated "
                                  "can be read",
                                  m.name, z->path, m.method);
        at += 46 + nname + nextra + note;
    }
    if (!z->members.n)
        return error_at(d, z->at, "'%s' holds no arrays", z->path);
    return true;
}

/* Where a member's packed bytes lie; false when that is not inside the file. */
static bool locate(Diag *d, const Archive *z, const Member *m, const uint8_t **from)
{
    const uint8_t *h = z->bytes + m->offset;
    if (z->size < 30 || m->offset > z->size - 30 || little(h, 4) != 0x04034b50)
        return corrupt(d, z, "its directory points to where no array is");
    size_t skip = 30 + little(h + 26, 2) + little(h + 28, 2), left = z->size - m->offset;
    if (skip > left || m->packed > left - skip || (m->method == 0 && m->packed != m->size))
        return error_at(d, z->at, "'%s' is truncated: array '%s' has %llu bytes in it, and %zu are "
                                  "left of the file",
                        z->path, m->name, (unsigned long long)m->packed,
                        left > skip ? left - skip : 0);
    *from = h + skip;
    return true;
}

/* The first `want` bytes of a member, unpacked. Fewer when it is shorter. */
static bool unpack(Diag *d, const Archive *z, const Member *m, uint8_t *to, size_t want,
                   size_t *got)
{
    const uint8_t *from = NULL;
    if (!locate(d, z, m, &from))
        return false;
    if (m->method == 0) {
        *got = want < m->size ? want : (size_t)m->size;
        memcpy(to, from, *got);
        return true;
    }
    z_stream s = {.next_in = (Bytef *)from};
    if (inflateInit2(&s, -MAX_WBITS) != Z_OK)
        return error_at(d, z->at, "cannot unpack '%s': no memory", z->path);
    size_t in = (size_t)m->packed, out = want;
    int code = Z_OK;
    s.next_out = to;
    while (code == Z_OK && out) {
        uInt give = in < 1u << 30 ? (uInt)in : 1u << 30;
        uInt room = out < 1u << 30 ? (uInt)out : 1u << 30;
        s.avail_in = give;
        s.avail_out = room;
        code = inflate(&s, Z_NO_FLUSH);
        in -= give - s.avail_in;
        out -= room - s.avail_out;
    }
    inflateEnd(&s);
    *got = want - out;
    if (code == Z_OK || code == Z_STREAM_END || (code == Z_BUF_ERROR && !in))
        return true;
    return error_at(d, z->at, "'%s' is corrupt: array '%s' does not unpack", z->path, m->name);
}

static bool member_open(Arena *a, Diag *d, const Archive *z, Member *m)
{
    uint8_t *head = NULL;
    size_t want = 256, got, need;
    m->npy = (NpyFile){.path = z->path, .member = m->name, .at = z->at};
    for (;;) {
        head = arena_alloc(a, want);
        if (!unpack(d, z, m, head, want, &got))
            return false;
        if (npy_header(a, d, &m->npy, head, got, &need))
            break;
        if (!need)
            return false;
        if (got < want)
            return error_at(d, z->at, "array '%s' in '%s' is truncated: %zu bytes, and its header "
                                      "alone has %zu",
                            m->name, z->path, got, need);
        want = need;
    }
    uint64_t needed = m->npy.header + m->npy.bytes;
    if (needed != m->size || (m->method == 8 && m->size / 1040 > m->packed))
        return error_at(d, z->at, "array '%s' in '%s' is truncated or corrupt: %llu bytes found, "
                                  "and %llu are needed for shape %s",
                        m->name, z->path, (unsigned long long)m->size, (unsigned long long)needed,
                        dims_text(a, m->npy.rank, m->npy.dim));
    return true;
}

static const void *member_load(Arena *a, Diag *d, const Archive *z, const Member *m)
{
    if (!memory_suffices(d, z->at, z->path, 2 * m->size))
        return NULL;
    Arena *scratch = arena_new();
    uint8_t *raw = arena_alloc(scratch, m->size + 1);
    size_t got = 0;
    const void *data = NULL;
    bool ok = unpack(d, z, m, raw, m->size, &got);
    if (ok && got < m->size)
        error_at(d, z->at, "array '%s' in '%s' is truncated: %zu bytes found, and %llu are needed",
                 m->name, z->path, got, (unsigned long long)m->size);
    else if (ok && crc32_z(0, raw, m->size) != m->crc)
        error_at(d, z->at, "'%s' is corrupt: array '%s' has another checksum than was noted",
                 z->path, m->name);
    else if (ok)
        data = npy_convert(a, d, &m->npy, raw + m->npy.header);
    arena_free(scratch);
    return data;
}

static bool archive_open(Opening *o, const DataArg *arg, Archive *z)
{
    z->at = arg->span.file ? arg->span : o->at;
    if (!(z->path = opening_find(o, arg, "file", NULL, 0)))
        return false;
    struct DatasetState *state = o->ds->state;
    Arena *packed = state->packed = state->packed ? state->packed : arena_new();
    z->bytes = (const uint8_t *)file_read(packed, o->d, z->at, z->path, (size_t)1 << 36,
                                           &z->size);
    if (!z->bytes || !read_directory(o->a, o->d, z))
        return false;
    for (int i = 0; i < z->members.n; i++)
        if (!member_open(o->a, o->d, z, &z->members.at[i]))
            return false;
    return true;
}

/* ---- fields ---- */

typedef struct { const char *name; const Archive *archive[2]; const Member *part[2]; } NpzField;
typedef struct { Archive archive[2]; LIST(NpzField) fields; } NpzSet;

/* "x_test" and "test_x" are part 1 of x, "x_train" and "train_x" part 0, "x" part 0. */
static const char *split_name(Arena *a, const char *name, int *part)
{
    static const char *const word[2] = {"train", "test"};
    size_t n = strlen(name);
    for (*part = 0; *part < 2; ++*part) {
        size_t w = strlen(word[*part]);
        if (n > w + 1 && !strncmp(name, word[*part], w) && name[w] == '_')
            return identifier(a, name + w + 1, n - w - 1);
        if (n > w + 1 && !strcmp(name + n - w, word[*part]) && name[n - w - 1] == '_')
            return identifier(a, name, n - w - 1);
    }
    *part = 0;
    return identifier(a, name, n);
}

static bool add_members(Opening *o, NpzSet *s, int which)
{
    const Archive *z = &s->archive[which];
    for (int i = 0; i < z->members.n; i++) {
        const Member *m = &z->members.at[i];
        int part;
        const char *name = split_name(o->a, m->name, &part);
        NpzField *f = NULL;
        if (which) /* the file named by test= */
            part = 1;
        for (int k = 0; k < s->fields.n; k++)
            if (!strcmp(s->fields.at[k].name, name))
                f = &s->fields.at[k];
        if (!f) {
            list_push(o->a, &s->fields, ((NpzField){.name = name}));
            f = &s->fields.at[s->fields.n - 1];
        }
        if (f->part[part])
            return error_at(o->d, z->at, "arrays '%s' and '%s' both are the %s part of field '%s'",
                            f->part[part]->name, m->name, part ? "test" : "training", name);
        f->part[part] = m;
        f->archive[part] = z;
    }
    return true;
}

static bool check_part(Opening *o, const NpzField *first, const NpzField *f, int part)
{
    const NpyFile *x = &f->part[part]->npy, *lead = &first->part[part]->npy;
    Span at = f->archive[part]->at;
    if (!x->rank)
        return error_at(o->d, at, "array '%s' in '%s' is a single number, and samples are needed",
                        x->member, x->path);
    if (lead->rank && x->dim[0] != lead->dim[0])
        return error_at(o->d, at, "array '%s' in '%s' has %lld samples, and '%s' has %lld",
                        lead->member, lead->path, (long long)lead->dim[0], x->member,
                        (long long)x->dim[0]);
    const NpyFile *t = &f->part[0]->npy;
    bool same = t->rank == x->rank && t->dtype == x->dtype;
    for (int k = 1; same && k < t->rank; k++)
        same = t->dim[k] == x->dim[k];
    return same || error_at(o->d, at, "array '%s' has samples %s %s, and '%s' has %s %s", t->member,
                            dtype_name(t->dtype), dims_text(o->a, t->rank - 1, t->dim + 1),
                            x->member, dtype_name(x->dtype),
                            dims_text(o->a, x->rank - 1, x->dim + 1));
}

static bool npz_open(Opening *o)
{
    NpzSet *s = NEW(o->a, NpzSet);
    for (int i = 0; i < 2; i++)
        if (o->bound[i] &&
            (!archive_open(o, o->bound[i], &s->archive[i]) || !add_members(o, s, i)))
            return false;
    for (int i = 0; i < 2 && o->bound[i]; i++) {
        o->ds->state->source[i] = s->archive[i].path;
        for (int k = 0; k < s->archive[i].members.n; k++)
            if (s->archive[i].members.at[k].method)
                o->ds->state->recipe = "npz";
    }
    const NpzField *first = &s->fields.at[0];
    for (int i = 0; i < s->fields.n; i++) {
        const NpzField *f = &s->fields.at[i];
        int lacks = !f->part[0] ? 0 : !f->part[1] && first->part[1] ? 1 : -1;
        if (lacks < 0 && f->part[1] && !first->part[1])
            lacks = 1, f = first;
        if (lacks >= 0)
            return error_at(o->d, o->at, "field '%s' of '%s' has no %s part", f->name,
                            s->archive[0].path, lacks ? "test" : "training");
        for (int part = 0; part < 1 + (f->part[1] != NULL); part++)
            if (!check_part(o, first, f, part))
                return false;
        const NpyFile *x = &f->part[0]->npy;
        opening_field(o, f->name, x->dtype, x->rank - 1, x->dim + 1);
    }
    o->ds->count = first->part[0]->npy.dim[0];
    o->ds->test_count = first->part[1] ? first->part[1]->npy.dim[0] : 0;
    o->ds->state->own = s;
    return true;
}

static bool npz_load(Dataset *ds, Diag *d)
{
    NpzSet *s = ds->state->own;
    for (int i = 0; i < s->fields.n; i++) {
        const NpzField *f = &s->fields.at[i];
        for (int part = 0; part < 1 + (f->part[1] != NULL); part++) {
            const void *data = member_load(ds->state->arena, d, f->archive[part], f->part[part]);
            if (!data)
                return false;
            *(part ? &ds->field[i].test : &ds->field[i].train) = data;
        }
    }
    return true;
}

static const ReaderParam npz_params[] = {
    {"path", TAKES_text, true, NULL, "the archive"},
    {"test", TAKES_text, false, NULL, "an archive of the same arrays, as the test set"}};

const Reader reader_npz = {
    "npz", npz_params, 2,
    "Reads an archive of NumPy's. The first axis of every array counts the samples.",
    "each array by its name; x_train and x_test are both parts of the field x.",
    npz_open, npz_load};
