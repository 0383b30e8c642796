/* The IDX format of the MNIST files, plain or gzip: mnist(dir) and idx(images=, labels=).
 *
 *   00 00 type rank | rank big-endian u32 extents, the samples' first | elements, big-endian
 *
 * The header is read when opened, and its claim is held against the size of the file before
 * any memory is taken.
 */
#include "parallel.h"
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* Deflate cannot do better: one bit for 258 bytes, rounded up. */
enum { DEFLATE_MOST = 1040 };

static gzFile open_gz(Diag *d, Span at, const char *path, int64_t *size, bool *compressed)
{
    struct stat st;
    gzFile z = NULL;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        errno = EISDIR;
    else
        z = gzopen(path, "rb");
    if (!z) {
        error_at(d, at, "cannot read '%s': %s", path, strerror(errno ? errno : ENOMEM));
        return NULL;
    }
    gzbuffer(z, 1 << 17);
    *compressed = !gzdirect(z);
    *size = (int64_t)st.st_size;
    return z;
}

/* Bytes read, at most `size`; -1 after a report. Short only at the end of the file. */
static int64_t read_gz(gzFile z, Diag *d, const IdxFile *f, void *to, size_t size)
{
    size_t got = 0;
    while (got < size) {
        size_t want = size - got < 1 << 24 ? size - got : 1 << 24;
        int n = gzread(z, (char *)to + got, (unsigned)want), code;
        if (n <= 0) {
            const char *why = gzerror(z, &code);
            if (code == Z_BUF_ERROR) /* the compressed stream has no end: a cut file */
                break;
            if (code == Z_DATA_ERROR)
                return error_at(d, f->at, "'%s' is corrupt: its gzip data do not decode (%s)",
                                f->path, why), -1;
            if (n < 0)
                return error_at(d, f->at, "cannot read '%s': %s", f->path, why), -1;
            break;
        }
        got += (size_t)n;
    }
    return (int64_t)got;
}

static uint32_t big32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int stored_size(int code)
{
    switch (code) {
    case 0x08: case 0x09: return 1;
    case 0x0B: return 2;
    case 0x0C: case 0x0D: return 4;
    case 0x0E: return 8;
    default: return 0;
    }
}

static Dtype kept_dtype(int code)
{
    return code == 0x08   ? DT_u8
           : code <= 0x0B ? DT_i16
           : code == 0x0C ? DT_i32
           : code == 0x0D ? DT_f32
                          : DT_f64;
}

static bool check_magic(Diag *d, const IdxFile *f, const uint8_t *h, int64_t got)
{
    if (got == 0)
        return error_at(d, f->at, "'%s' is empty", f->path);
    if (got < 4)
        return error_at(d, f->at, "'%s' is truncated: %lld bytes, and an IDX header has at least 4",
                        f->path, (long long)got);
    if (h[0] || h[1] || !stored_size(h[2]))
        return error_at(d, f->at,
                        "'%s' is no IDX file: it begins with bytes %02x %02x %02x %02x, and 00 00, "
                        "a type (08, 09, 0b, 0c, 0d or 0e) and a rank are needed",
                        f->path, h[0], h[1], h[2], h[3]);
    if (h[3] < 1 || h[3] > RANK_MOST)
        return error_at(d, f->at, "'%s' has rank %d, and 1 to %d are possible", f->path, h[3],
                        RANK_MOST);
    return true;
}

bool idx_open(Arena *a, Diag *d, Span at, const char *path, IdxFile *f)
{
    int64_t size;
    *f = (IdxFile){.path = path, .at = at};
    gzFile z = open_gz(d, at, path, &size, &f->compressed);
    if (!z)
        return false;
    uint8_t h[4 + 4 * RANK_MOST];
    int64_t got = read_gz(z, d, f, h, 4);
    bool ok = got >= 0 && check_magic(d, f, h, got);
    if (ok) {
        f->code = h[2];
        f->rank = h[3];
        f->dtype = kept_dtype(f->code);
        got = read_gz(z, d, f, h + 4, 4 * (size_t)f->rank);
        ok = got >= 0;
        if (ok && got < 4 * f->rank)
            ok = error_at(d, at, "'%s' is truncated: its header has %lld of %d bytes", path,
                          (long long)got + 4, 4 + 4 * f->rank);
    }
    gzclose_r(z);
    if (!ok)
        return false;
    for (int i = 0; i < f->rank; i++)
        f->dim[i] = big32(h + 4 + 4 * i);
    size_t bytes, header = 4 + 4 * (size_t)f->rank;
    if (!shape_bytes(f->rank, f->dim, (size_t)stored_size(f->code), &bytes))
        return error_at(d, at, "'%s' is corrupt: its header claims samples of shape %s", path,
                        dims_text(a, f->rank, f->dim));
    if (!f->compressed && (size_t)size != bytes + header)
        return error_at(d, at, "'%s' %s: %lld bytes found, and %zu are needed for shape %s", path,
                        (size_t)size < bytes + header ? "is truncated" : "is too long",
                        (long long)size, bytes + header, dims_text(a, f->rank, f->dim));
    if (f->compressed && bytes / DEFLATE_MOST > (size_t)size)
        return error_at(d, at,
                        "'%s' is corrupt or truncated: its header claims shape %s, which is %zu "
                        "bytes, and %lld compressed bytes cannot hold them",
                        path, dims_text(a, f->rank, f->dim), bytes, (long long)size);
    return true;
}

/* From big-endian, in place. */
static void to_host(void *data, size_t n, int size)
{
    if (size == 2)
        for (uint16_t *p = data; n--; p++)
            *p = (uint16_t)(((uint8_t *)p)[0] << 8 | ((uint8_t *)p)[1]);
    else if (size == 4)
        for (uint32_t *p = data; n--; p++)
            *p = big32((uint8_t *)p);
    else if (size == 8)
        for (uint64_t *p = data; n--; p++)
            *p = (uint64_t)big32((uint8_t *)p) << 32 | big32((uint8_t *)p + 4);
}

/* Room for the elements as they are kept; null after a report. */
static uint8_t *room_for(Arena *a, Diag *d, const IdxFile *f, size_t *bytes)
{
    if (!shape_bytes(f->rank, f->dim, (size_t)stored_size(f->code), bytes) ||
        !memory_suffices(d, f->at, f->path, *bytes))
        return NULL;
    return arena_alloc(a, (f->code == 0x09 ? 2 : 1) * *bytes + 1);
}

/* From elements as stored to elements as kept, in place. */
static void convert(const IdxFile *f, void *data, size_t bytes)
{
    if (f->code == 0x09) /* every byte is read before its two are written over others */
        for (size_t i = bytes; i-- > 0;)
            ((int16_t *)data)[i] = ((const int8_t *)data)[i];
    else
        to_host(data, bytes / (size_t)stored_size(f->code), stored_size(f->code));
}

/* All elements as stored, the file's checks made. */
static bool read_whole(Diag *d, const IdxFile *f, uint8_t *data, size_t bytes)
{
    size_t header = 4 + 4 * (size_t)f->rank;
    int64_t file_size;
    bool compressed;
    uint8_t skip[4 + 4 * RANK_MOST], more;
    gzFile z = open_gz(d, f->at, f->path, &file_size, &compressed);
    if (!z)
        return false;
    bool ok = read_gz(z, d, f, skip, header) == (int64_t)header;
    int64_t got = ok ? read_gz(z, d, f, data, bytes) : -1;
    /* One more byte: reaching the end makes zlib check the sum of the whole stream. */
    int64_t extra = got == (int64_t)bytes ? read_gz(z, d, f, &more, 1) : 0;
    bool cut = gzclose_r(z) == Z_BUF_ERROR;
    if (got < 0 || extra < 0)
        return false;
    const char *dims = dims_text(d->arena, f->rank, f->dim);
    if (got < (int64_t)bytes || cut)
        return error_at(d, f->at, "'%s' is truncated: %lld bytes found%s, and %zu are needed for "
                        "shape %s", f->path, (long long)got + (long long)header,
                        compressed ? " in its gzip data" : "", bytes + header, dims);
    if (extra)
        return error_at(d, f->at, "'%s' is too long: more than %zu bytes found, which is all of "
                        "shape %s", f->path, bytes + header, dims);
    return true;
}

const void *idx_load(Arena *a, Diag *d, const IdxFile *f)
{
    size_t bytes;
    uint8_t *data = room_for(a, d, f, &bytes);
    if (!data || !read_whole(d, f, data, bytes))
        return NULL;
    convert(f, data, bytes);
    return data;
}

/* ---- several files at once ---- */

/* A stretch of a plain file, or all of a compressed one: what one thread reads. */
typedef struct {
    const IdxFile *file;
    uint8_t *data;        /* of the whole file */
    size_t bytes;         /* of all its elements */
    size_t from, size;    /* the stretch */
    bool ok;
    Diag diag;            /* the thread's */
} Piece;

static void read_piece(void *pieces, int i)
{
    Piece *p = (Piece *)pieces + i;
    if (p->file->compressed) {
        p->ok = read_whole(&p->diag, p->file, p->data, p->bytes);
        return;
    }
    int fd = open(p->file->path, O_RDONLY | O_CLOEXEC);
    off_t at = (off_t)(4 + 4 * (size_t)p->file->rank + p->from);
    p->ok = fd >= 0 && lseek(fd, at, SEEK_SET) == at &&
            fd_read(fd, p->data + p->from, p->size) == (int64_t)p->size;
    if (fd >= 0)
        close(fd);
}

typedef LIST(Piece) PieceList;

static void cut_file(Arena *a, const Diag *d, const IdxFile *f, uint8_t *data, size_t bytes,
                     PieceList *all)
{
    enum { STRETCH = 8 << 20 };
    size_t each = f->compressed ? bytes + 1 : STRETCH;
    for (size_t at = 0; at < bytes || at == 0; at += each) {
        Piece p = {.file = f, .data = data, .bytes = bytes, .from = at,
                   .size = bytes - at < each ? bytes - at : each,
                   .diag = {.arena = arena_new(), .sources = d->sources}};
        list_push(a, all, p);
    }
}

/* The elements of n files, read by several threads. */
static bool read_files(Arena *a, Diag *d, const IdxFile *f, int n, const void **data)
{
    Arena *scratch = arena_new();
    PieceList all = {0};
    bool ok = true;
    for (int i = 0; ok && i < n; i++) {
        size_t bytes;
        uint8_t *room = room_for(a, d, &f[i], &bytes);
        data[i] = room;
        ok = room != NULL;
        if (ok)
            cut_file(scratch, d, &f[i], room, bytes, &all);
    }
    if (ok)
        parallel_each(all.n, read_piece, all.at);
    for (int i = 0; i < all.n; i++) {
        Piece *p = &all.at[i];
        /* A plain file that is not what it was when it was opened: reading it anew tells how. */
        if (ok && !p->ok && !p->file->compressed)
            p->ok = read_whole(d, p->file, p->data, p->bytes);
        ok = ok && p->ok;
        diag_move(d, &p->diag);
        arena_free(p->diag.arena);
        if (ok && p->from + p->size == p->bytes)
            convert(p->file, p->data, p->bytes);
    }
    arena_free(scratch);
    return ok;
}

/* ---- the two readers ---- */

/* [0] training, [1] test. Labels are small and are read at once: they tell the classes. */
typedef struct {
    bool has_labels, has_test;
    IdxFile images[2], labels[2];
    const void *label_data[2];
} IdxSet;

static bool check_pair(Opening *o, const IdxSet *s, int part)
{
    const IdxFile *x = &s->images[part], *y = &s->labels[part];
    if (s->has_labels && x->dim[0] != y->dim[0])
        return error_at(o->d, y->at, "'%s' has %lld samples, and its labels '%s' are %lld", x->path,
                        (long long)x->dim[0], y->path, (long long)y->dim[0]);
    if (part == 0)
        return true;
    for (int k = 0; k < 1 + s->has_labels; k++) {
        const IdxFile *a = k ? &s->labels[0] : &s->images[0], *b = k ? y : x;
        bool same = a->rank == b->rank && a->dtype == b->dtype;
        for (int i = 1; same && i < a->rank; i++)
            same = a->dim[i] == b->dim[i];
        if (!same)
            return error_at(o->d, b->at, "'%s' has samples %s %s, and '%s' has %s %s", a->path,
                            dtype_name(a->dtype), dims_text(o->a, a->rank - 1, a->dim + 1),
                            b->path, dtype_name(b->dtype),
                            dims_text(o->a, b->rank - 1, b->dim + 1));
    }
    return true;
}

static bool idx_set_open(Opening *o, IdxSet *s)
{
    for (int part = 0; part < 1 + s->has_test; part++) {
        if (!check_pair(o, s, part))
            return false;
        if (s->has_labels && !(s->label_data[part] = idx_load(o->a, o->d, &s->labels[part])))
            return false;
    }
    o->ds->count = s->images[0].dim[0];
    o->ds->test_count = s->has_test ? s->images[1].dim[0] : 0;
    for (int k = 0; k < 1 + s->has_labels; k++) {
        const IdxFile *f = k ? &s->labels[0] : &s->images[0];
        DataArray *x = opening_field(o, k ? "label" : "image", f->dtype, f->rank - 1, f->dim + 1);
        if (k) {
            x->train = s->label_data[0];
            x->test = s->label_data[1];
        }
    }
    o->ds->state->own = s;
    for (int part = 0; part < 1 + s->has_test; part++) {
        o->ds->state->source[part] = s->images[part].path;
        if (s->images[part].compressed)
            o->ds->state->recipe = "idx";
    }
    return true;
}

static bool idx_set_load(Dataset *ds, Diag *d)
{
    IdxSet *s = ds->state->own;
    const void *data[2] = {NULL};
    if (!read_files(ds->state->arena, d, s->images, 1 + s->has_test, data))
        return false;
    ds->field[0].train = data[0];
    ds->field[0].test = data[1];
    return true;
}

static bool find_mnist(Opening *o, const char *what, IdxFile *f)
{
    const char *suffixes[4], *dir = o->bound[0]->text;
    int idx = strstr(what, "images") ? 3 : 1;
    for (int i = 0; i < 4; i++)
        suffixes[i] = arena_printf(o->a, "/%s%cidx%d-ubyte%s", what, i & 2 ? '.' : '-', idx,
                                   i & 1 ? ".gz" : "");
    const char *tried = "", *path = data_find(o->a, o->places, dir, suffixes, 4, &tried);
    Span at = o->bound[0]->span.file ? o->bound[0]->span : o->at;
    if (!path)
        return error_at(o->d, at,
                        "there is no %s or %s.gz in '%s'; looked in %s (tools/get-mnist downloads "
                        "the set, and digits() needs none)",
                        suffixes[0] + 1, suffixes[0] + 1, dir, tried);
    return idx_open(o->a, o->d, at, path, f);
}

static bool mnist_open(Opening *o)
{
    IdxSet *s = NEW(o->a, IdxSet);
    s->has_labels = s->has_test = true;
    if (!find_mnist(o, "train-images", &s->images[0]) ||
        !find_mnist(o, "train-labels", &s->labels[0]) ||
        !find_mnist(o, "t10k-images", &s->images[1]) ||
        !find_mnist(o, "t10k-labels", &s->labels[1]))
        return false;
    for (int part = 0; part < 2; part++) {
        const IdxFile *x = &s->images[part], *y = &s->labels[part];
        if (x->code != 0x08 || x->rank != 3)
            return error_at(o->d, x->at, "'%s' has samples %s %s, and u8 [28, 28] are needed",
                            x->path, dtype_name(x->dtype),
                            dims_text(o->a, x->rank - 1, x->dim + 1));
        if (y->code != 0x08 || y->rank != 1)
            return error_at(o->d, y->at, "'%s' has labels %s %s, and one u8 each is needed",
                            y->path, dtype_name(y->dtype),
                            dims_text(o->a, y->rank - 1, y->dim + 1));
    }
    if (!idx_set_open(o, s))
        return false;
    o->ds->nclass = 10;
    o->ds->classes = number_names(o->a, 10);
    o->ds->class_field = 1;
    return dataset_check_classes(o->ds, o->d, s->labels[0].at, 1, 10);
}

static bool idx_reader_open(Opening *o)
{
    static const char *const gz[] = {"", ".gz"};
    static const char *const what[] = {"images", "labels", "test images", "test labels"};
    IdxSet *s = NEW(o->a, IdxSet);
    IdxFile *file[] = {&s->images[0], &s->labels[0], &s->images[1], &s->labels[1]};
    s->has_labels = o->bound[1] != NULL;
    s->has_test = o->bound[2] != NULL;
    if (s->has_labels && s->has_test != (o->bound[3] != NULL))
        return error_at(o->d, o->at, "idx is given test_%s without test_%s",
                        s->has_test ? "images" : "labels", s->has_test ? "labels" : "images");
    if (!s->has_labels && o->bound[3])
        return error_at(o->d, o->at, "idx is given test_labels without labels");
    for (int i = 0; i < 4; i++) {
        const DataArg *arg = o->bound[i];
        const char *path = arg ? opening_find(o, arg, what[i], gz, 2) : NULL;
        if (arg && (!path || !idx_open(o->a, o->d, arg->span.file ? arg->span : o->at, path,
                                       file[i])))
            return false;
    }
    if (!idx_set_open(o, s))
        return false;
    double lo, hi, most = -1;
    const DataArray *label = s->has_labels ? &o->ds->field[1] : NULL;
    if (!label || label->rank || dtype_is_float(label->dtype))
        return true;
    for (int part = 0; part < 2; part++)
        if (dataset_range(o->ds, 1, part, &lo, &hi)) {
            if (lo < 0)
                return true; /* numbers, not classes */
            most = hi > most ? hi : most;
        }
    if (most >= 0 && most < 65536) {
        o->ds->nclass = (int)most + 1;
        o->ds->classes = number_names(o->a, o->ds->nclass);
        o->ds->class_field = 1;
    }
    return true;
}

static const ReaderParam mnist_params[] = {
    {"dir", TAKES_text, true, NULL, "the folder of the four files, plain or .gz"}};
static const ReaderParam idx_params[] = {
    {"images", TAKES_text, true, NULL, "IDX of any rank and type, plain or .gz: the samples"},
    {"labels", TAKES_text, false, NULL, "IDX with as many labels"},
    {"test_images", TAKES_text, false, NULL, "the same for the test set"},
    {"test_labels", TAKES_text, false, NULL, "the same for the test set; needed with labels"}};

const Reader reader_mnist = {
    "mnist", mnist_params, 1, "Reads the files of MNIST, or of a set like it.",
    "image [28, 28] u8 (0 to 255), label u8 (0 to 9); with a test set.", mnist_open, idx_set_load};
const Reader reader_idx = {
    "idx", idx_params, sizeof idx_params / sizeof *idx_params,
    "Reads IDX files, the form of MNIST's.",
    "image, and label where labels are given, of the files' shapes and types.",
    idx_reader_open, idx_set_load};
