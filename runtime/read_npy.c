/* NumPy's arrays: the NPY header, elements of any byte order and either axis order, and the
 * reader npy(x="a.npy", y="b.npy", test_x=..., test_y=...).
 *
 *   93 "NUMPY" major minor | header size (u16, from version 2 u32) | a Python dictionary | data
 */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_MOST = 1 << 16 };

static const char *name_of(Arena *a, const NpyFile *f)
{
    return f->member ? arena_printf(a, "%s' in '%s", f->member, f->path) : f->path;
}

/* ---- the header's dictionary ---- */

static void skip_space(const char **p)
{
    while (**p == ' ' || **p == '\n' || **p == '\t')
        ++*p;
}

static bool take(const char **p, char c)
{
    skip_space(p);
    if (**p != c)
        return false;
    ++*p;
    return true;
}

/* A quoted text without escapes into buf. */
static bool take_text(const char **p, char *buf, size_t size)
{
    skip_space(p);
    char quote = **p;
    if (quote != '\'' && quote != '"')
        return false;
    const char *end = strchr(++*p, quote);
    if (!end || (size_t)(end - *p) >= size)
        return false;
    memcpy(buf, *p, (size_t)(end - *p));
    buf[end - *p] = 0;
    *p = end + 1;
    return true;
}

static bool take_shape(const char **p, NpyFile *f)
{
    if (!take(p, '('))
        return false;
    for (f->rank = 0; !take(p, ')'); f->rank++) {
        if (f->rank == RANK_MOST || (f->rank && !take(p, ',')))
            return false;
        if (take(p, ')')) /* a comma behind the last one */
            return true;
        skip_space(p);
        int64_t v = 0;
        const char *begin = *p;
        for (; **p >= '0' && **p <= '9'; ++*p)
            if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, **p - '0', &v))
                return false;
        if (*p == begin)
            return false;
        f->dim[f->rank] = v;
    }
    return true;
}

static bool set_dtype(Diag *d, NpyFile *f, const char *descr)
{
    static const struct { char kind; int size; Dtype dtype; } known[] = {
        {'f', 4, DT_f32}, {'f', 8, DT_f64}, {'i', 1, DT_i16}, {'i', 2, DT_i16},  {'i', 4, DT_i32},
        {'i', 8, DT_i32}, {'u', 1, DT_u8},  {'u', 2, DT_i32}, {'u', 4, DT_i32}, {'u', 8, DT_i32},
        {'b', 1, DT_bool}};
    size_t n = strlen(descr);
    for (size_t i = 0; n == 3 && strchr("<>|=", descr[0]) && i < sizeof known / sizeof *known; i++)
        if (descr[1] == known[i].kind && descr[2] == '0' + known[i].size) {
            f->kind = known[i].kind;
            f->size = known[i].size;
            f->dtype = known[i].dtype;
            f->swapped = descr[0] == '>';
            return true;
        }
    return unsupported_at(d, f->at,
                          "'%s' has elements of type '%s', and f4, f8, i1 to i8, u1 to u8 and b1 "
                          "can be read",
                          name_of(d->arena, f), descr);
}

/* Any order of the three keys; anything else in it is malformed. */
static bool parse_dictionary(Diag *d, NpyFile *f, const char *text)
{
    const char *p = text;
    char key[32], descr[64] = "";
    unsigned seen = 0;
    bool ok = take(&p, '{');
    while (ok && !take(&p, '}')) {
        ok = take_text(&p, key, sizeof key) && take(&p, ':');
        if (!ok)
            break;
        if (!strcmp(key, "descr")) {
            seen |= 1;
            skip_space(&p);
            if (*p == '[')
                return unsupported_at(d, f->at, "'%s' holds records, and plain numbers are needed",
                                      name_of(d->arena, f));
            ok = take_text(&p, descr, sizeof descr);
        } else if (!strcmp(key, "fortran_order")) {
            seen |= 2;
            skip_space(&p);
            f->fortran = !strncmp(p, "True", 4);
            ok = f->fortran || !strncmp(p, "False", 5);
            p += ok ? (f->fortran ? 4 : 5) : 0;
        } else if (!strcmp(key, "shape")) {
            seen |= 4;
            ok = take_shape(&p, f);
        } else {
            ok = false;
        }
        ok = ok && (take(&p, ',') || (skip_space(&p), *p == '}'));
    }
    skip_space(&p);
    if (!ok || *p || seen != 7)
        return error_at(d, f->at, "'%s' is corrupt: its NPY header cannot be read",
                        name_of(d->arena, f));
    return set_dtype(d, f, descr);
}

bool npy_header(Arena *a, Diag *d, NpyFile *f, const uint8_t *at, size_t size, size_t *need)
{
    *need = 0;
    const char *name = name_of(d->arena, f);
    if (size < 10)
        return error_at(d, f->at, "'%s' is truncated: %zu bytes, and an NPY header has more", name,
                        size);
    if (memcmp(at, "\x93NUMPY", 6))
        return error_at(d, f->at,
                        "'%s' is no NPY array: it begins with bytes %02x %02x %02x %02x, and "
                        "93 4e 55 4d is needed",
                        name, at[0], at[1], at[2], at[3]);
    if (at[6] < 1 || at[6] > 3)
        return unsupported_at(d, f->at, "'%s' has NPY version %d, and 1 to 3 can be read", name,
                              at[6]);
    size_t lead = at[6] == 1 ? 10 : 12, n = at[8] | (size_t)at[9] << 8;
    if (at[6] > 1) {
        if (size < lead) {
            *need = lead;
            return false;
        }
        n |= (size_t)at[10] << 16 | (size_t)at[11] << 24;
    }
    if (n > HEADER_MOST)
        return error_at(d, f->at, "'%s' is corrupt: its NPY header claims %zu bytes", name, n);
    f->header = lead + n;
    if (size < f->header) {
        *need = f->header;
        return false;
    }
    char *text = arena_strndup(a, (const char *)at + lead, n);
    if (!parse_dictionary(d, f, text))
        return false;
    size_t kept;
    if (!shape_bytes(f->rank, f->dim, (size_t)f->size, &f->bytes) ||
        !shape_bytes(f->rank, f->dim, (size_t)dtype_size(f->dtype), &kept))
        return error_at(d, f->at, "'%s' is corrupt: its header claims shape %s", name,
                        dims_text(a, f->rank, f->dim));
    return true;
}

/* ---- elements ---- */

static uint64_t stored_bits(const NpyFile *f, const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < f->size; i++)
        v |= (uint64_t)p[f->swapped ? f->size - 1 - i : i] << 8 * i;
    return v;
}

/* One stored element to the kept type; false when an integer does not fit. */
static bool convert_one(const NpyFile *f, uint64_t bits, void *to, size_t i)
{
    int shift = 64 - 8 * f->size;
    int64_t v = f->kind == 'i' ? (int64_t)(bits << shift) >> shift : (int64_t)bits;
    if (f->kind == 'u' && bits > INT32_MAX)
        return false;
    switch (f->dtype) {
    case DT_f32: ((uint32_t *)to)[i] = (uint32_t)bits; return true;
    case DT_f64: ((uint64_t *)to)[i] = bits; return true;
    case DT_i16: ((int16_t *)to)[i] = (int16_t)v; return true;
    case DT_i32: ((int32_t *)to)[i] = (int32_t)v; return v >= INT32_MIN && v <= INT32_MAX;
    case DT_bool: ((uint8_t *)to)[i] = bits != 0; return true;
    default: ((uint8_t *)to)[i] = (uint8_t)bits; return true;
    }
}

const void *npy_convert(Arena *a, Diag *d, const NpyFile *f, const uint8_t *stored)
{
    size_t n = f->bytes / (size_t)f->size;
    uint8_t *to = arena_alloc(a, n * (size_t)dtype_size(f->dtype) + 1);
    bool straight = !f->fortran || f->rank < 2;
    if (straight && !f->swapped && f->size == dtype_size(f->dtype) && f->kind != 'b' &&
        f->kind != 'u') {
        memcpy(to, stored, f->bytes);
        return to;
    }
    /* `from` walks the stored order while the index counts in C order. */
    size_t stride[RANK_MOST], from = 0, s = 1;
    int64_t index[RANK_MOST] = {0};
    for (int k = 0; k < f->rank; k++) {
        stride[k] = s;
        s *= (size_t)f->dim[k];
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = stored_bits(f, stored + (straight ? i : from) * (size_t)f->size);
        if (!convert_one(f, bits, to, i)) {
            error_at(d, f->at, "element %zu of '%s' is %lld, and 32 bits with sign are kept", i,
                     name_of(d->arena, f), (long long)bits);
            return NULL;
        }
        for (int k = f->rank - 1; !straight && k >= 0; k--) {
            from += stride[k];
            if (++index[k] < f->dim[k])
                break;
            from -= stride[k] * (size_t)f->dim[k];
            index[k] = 0;
        }
    }
    return to;
}

/* ---- files ---- */

static bool read_at(int fd, void *to, size_t size, size_t offset, size_t *got)
{
    *got = 0;
    while (*got < size) {
        ssize_t n = pread(fd, (char *)to + *got, size - *got, (off_t)(offset + *got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return true;
}

static int open_file(Diag *d, Span at, const char *path, size_t *size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        *size = (size_t)st.st_size;
        return fd;
    }
    error_at(d, at, "cannot read '%s': %s", path,
             fd < 0 ? strerror(errno) : "it is not a regular file");
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool open_header(Arena *a, Diag *d, NpyFile *f, int fd, size_t size)
{
    size_t want = size < 256 ? size : 256, got = 0, need = 0;
    for (;;) {
        uint8_t *head = arena_alloc(a, want + 1);
        if (!read_at(fd, head, want, 0, &got))
            return error_at(d, f->at, "cannot read '%s': %s", f->path, strerror(errno));
        if (npy_header(a, d, f, head, got, &need))
            break;
        if (!need)
            return false;
        if (need > size || got < want)
            return error_at(d, f->at, "'%s' is truncated: %zu bytes, and its header alone has %zu",
                            f->path, size, need);
        want = need;
    }
    if (size - f->header != f->bytes)
        return error_at(d, f->at, "'%s' %s: %zu bytes found, and %zu are needed for shape %s",
                        f->path, size - f->header < f->bytes ? "is truncated" : "is too long", size,
                        f->header + f->bytes, dims_text(a, f->rank, f->dim));
    if (f->rank == 0)
        return error_at(d, f->at, "'%s' is a single number, and an array of samples is needed",
                        f->path);
    return true;
}

bool npy_open(Arena *a, Diag *d, Span at, const char *path, NpyFile *f)
{
    size_t size;
    *f = (NpyFile){.path = path, .at = at};
    int fd = open_file(d, at, path, &size);
    if (fd < 0)
        return false;
    bool ok = open_header(a, d, f, fd, size);
    close(fd);
    return ok;
}

const void *npy_load(Arena *a, Diag *d, const NpyFile *f)
{
    size_t size, got = 0;
    bool direct = !f->swapped && !f->fortran && f->size == dtype_size(f->dtype) &&
                  (f->kind == 'f' || f->kind == 'i' || f->size == 1) && f->kind != 'b';
    if (!memory_suffices(d, f->at, f->path, direct ? f->bytes : 2 * f->bytes))
        return NULL;
    int fd = open_file(d, f->at, f->path, &size);
    if (fd < 0)
        return NULL;
    Arena *scratch = direct ? NULL : arena_new();
    uint8_t *stored = arena_alloc(direct ? a : scratch, f->bytes + 1);
    bool ok = read_at(fd, stored, f->bytes, f->header, &got);
    close(fd);
    const void *data = NULL;
    if (!ok || got < f->bytes)
        error_at(d, f->at, "cannot read '%s': it changed while it was read", f->path);
    else
        data = direct ? stored : npy_convert(a, d, f, stored);
    arena_free(scratch);
    return data;
}

/* ---- npy(...) ---- */

typedef struct { NpyFile part[2]; bool has[2]; const char *name; Span at; } NpyField;
typedef struct { LIST(NpyField) fields; } NpySet;

static bool check_fields(Opening *o, const NpySet *s)
{
    const NpyField *first = &s->fields.at[0];
    for (int i = 0; i < s->fields.n; i++) {
        const NpyField *f = &s->fields.at[i];
        if (!f->has[0])
            return error_at(o->d, f->at, "npy is given test_%s without %s", f->name, f->name);
        if (f->has[1] != first->has[1])
            return error_at(o->d, f->at, "npy is given test_%s, and no test_%s",
                            (f->has[1] ? f : first)->name, (f->has[1] ? first : f)->name);
        for (int part = 0; part < 1 + f->has[1]; part++)
            if (f->part[part].dim[0] != first->part[part].dim[0])
                return error_at(o->d, f->at, "'%s' has %lld samples, and '%s' has %lld",
                                first->part[part].path, (long long)first->part[part].dim[0],
                                f->part[part].path, (long long)f->part[part].dim[0]);
        const NpyFile *x = &f->part[0], *y = &f->part[1];
        bool same = !f->has[1] || (x->rank == y->rank && x->dtype == y->dtype);
        for (int k = 1; same && f->has[1] && k < x->rank; k++)
            same = x->dim[k] == y->dim[k];
        if (!same)
            return error_at(o->d, f->at, "'%s' has samples %s %s, and '%s' has %s %s", x->path,
                            dtype_name(x->dtype), dims_text(o->a, x->rank - 1, x->dim + 1),
                            y->path, dtype_name(y->dtype),
                            dims_text(o->a, y->rank - 1, y->dim + 1));
    }
    return true;
}

static bool npy_add(Opening *o, NpySet *s, const DataArg *arg)
{
    Span at = arg->span.file ? arg->span : o->at;
    if (arg->kind != DATA_text)
        return error_at(o->d, at, "npy takes paths of .npy files, one a field: "
                                  "npy(x=\"x.npy\", y=\"y.npy\")");
    const char *path = opening_find(o, arg, "file", NULL, 0), *name = arg->name;
    if (!path)
        return false;
    if (!name) { /* the file's own name */
        const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
        const char *dot = strrchr(base, '.');
        name = identifier(o->a, base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
    }
    bool test = !strncmp(name, "test_", 5) && name[5];
    name += test ? 5 : 0;
    NpyField *f = NULL;
    for (int i = 0; i < s->fields.n; i++)
        if (!strcmp(s->fields.at[i].name, name))
            f = &s->fields.at[i];
    if (!f) {
        list_push(o->a, &s->fields, ((NpyField){.name = name, .at = at}));
        f = &s->fields.at[s->fields.n - 1];
    }
    if (f->has[test])
        return error_at(o->d, at, "field '%s%s' is given twice", test ? "test_" : "", name);
    f->has[test] = true;
    return npy_open(o->a, o->d, at, path, &f->part[test]);
}

static bool npy_reader_open(Opening *o)
{
    NpySet *s = NEW(o->a, NpySet);
    if (!o->nargs)
        return error_at(o->d, o->at, "npy needs the path of a .npy file: npy(x=\"x.npy\")");
    for (int i = 0; i < o->nargs; i++)
        if (!npy_add(o, s, &o->args[i]))
            return false;
    if (!check_fields(o, s))
        return false;
    for (int i = 0; i < s->fields.n; i++) {
        const NpyField *f = &s->fields.at[i];
        opening_field(o, f->name, f->part[0].dtype, f->part[0].rank - 1, f->part[0].dim + 1);
    }
    o->ds->count = s->fields.at[0].part[0].dim[0];
    o->ds->test_count = s->fields.at[0].has[1] ? s->fields.at[0].part[1].dim[0] : 0;
    o->ds->state->own = s;
    return true;
}

static bool npy_reader_load(Dataset *ds, Diag *d)
{
    NpySet *s = ds->state->own;
    for (int i = 0; i < s->fields.n; i++)
        for (int part = 0; part < 1 + s->fields.at[i].has[1]; part++) {
            const void *data = npy_load(ds->state->arena, d, &s->fields.at[i].part[part]);
            if (!data)
                return false;
            *(part ? &ds->field[i].test : &ds->field[i].train) = data;
        }
    return true;
}

const Reader reader_npy = {
    "npy", NULL, 0,
    "Reads .npy files, as many as are given. The first axis of each counts the samples.",
    "each argument's name, its file as the samples: npy(x=\"x.npy\", y=\"y.npy\", "
    "test_x=\"tx.npy\", test_y=\"ty.npy\"); test_x is the test set of x.",
    npy_reader_open, npy_reader_load};
