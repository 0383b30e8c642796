/* npy() and npz(): types, orders, archives stored and deflated, and broken ones. */
#include "image.h"
#include "runtime_check.h"

typedef struct { uint8_t *at; size_t n; } Buffer;

static Buffer npy(Check *c, const char *dict, const void *data, size_t size)
{
    size_t n = strlen(dict) + 1;
    Buffer b = {arena_alloc(c->a, 10 + n + size), 10 + n + size};
    memcpy(b.at, "\x93NUMPY\x01\x00", 8);
    b.at[8] = (uint8_t)n;
    b.at[9] = (uint8_t)(n >> 8);
    memcpy(b.at + 10, dict, n - 1);
    b.at[10 + n - 1] = '\n';
    if (size)
        memcpy(b.at + 10 + n, data, size);
    return b;
}

#define DICT(type, order, shape) \
    "{'descr': '" type "', 'fortran_order': " order ", 'shape': " shape ", }"

static Dataset *open_bytes(Check *c, Buffer b)
{
    put(c, "x.npy", b.at, b.n);
    return load(c, OPEN(c, "npy", text_arg(NULL, "x.npy")));
}

static void test_types(Check *c)
{
    static const struct {
        const char *dict;
        uint8_t bytes[16];
        size_t n;
        Dtype t;
        double v[2];
    } k[] = {
        {DICT("|u1", "False", "(2,)"), {200, 1}, 2, DT_u8, {200, 1}},
        {DICT("|i1", "False", "(2,)"), {200, 1}, 2, DT_i16, {-56, 1}},
        {DICT("<i2", "False", "(2,)"), {0xFE, 0xFF, 2, 1}, 4, DT_i16, {-2, 258}},
        {DICT(">i2", "False", "(2,)"), {0xFF, 0xFE, 1, 2}, 4, DT_i16, {-2, 258}},
        {DICT("<u2", "False", "(2,)"), {0xFE, 0xFF, 2, 1}, 4, DT_i32, {65534, 258}},
        {DICT("<i4", "False", "(2,)"), {0xFE, 0xFF, 0xFF, 0xFF, 1}, 8, DT_i32, {-2, 1}},
        {DICT("<i8", "False", "(2,)"), {0xFE, 255, 255, 255, 255, 255, 255, 255, 1}, 16, DT_i32,
         {-2, 1}},
        {DICT("<u8", "False", "(2,)"), {7, 0, 0, 0, 0, 0, 0, 0, 1}, 16, DT_i32, {7, 1}},
        {DICT("|b1", "False", "(2,)"), {1, 0}, 2, DT_bool, {1, 0}},
        {DICT("<f4", "False", "(2,)"), {0, 0, 0xC0, 0x3F, 0, 0, 0, 0xC0}, 8, DT_f32, {1.5, -2}},
        {DICT(">f4", "False", "(2,)"), {0x3F, 0xC0, 0, 0, 0xC0}, 8, DT_f32, {1.5, -2}},
        {DICT("<f8", "False", "(2,)"), {0, 0, 0, 0, 0, 0, 0xF8, 0x3F}, 16, DT_f64, {1.5, 0}}};
    for (size_t i = 0; i < sizeof k / sizeof *k; i++) {
        Dataset *ds = open_bytes(c, npy(c, k[i].dict, k[i].bytes, k[i].n));
        EXPECT(c, ds && ds->count == 2 && ds->field[0].dtype == k[i].t && !ds->field[0].rank);
        EXPECT(c, ds && !strcmp(ds->field[0].name, "x"));
        for (int e = 0; ds && e < 2; e++)
            EXPECT(c, dataset_value(ds, 0, false, e, 0) == k[i].v[e]);
    }
    uint8_t f[6] = {0, 1, 2, 3, 4, 5}; /* [[0, 2, 4], [1, 3, 5]] in Fortran's order */
    Dataset *ds = open_bytes(c, npy(c, DICT("|u1", "True", "(2, 3)"), f, 6));
    EXPECT(c, ds && ds->field[0].dim[0] == 3 && dataset_value(ds, 0, false, 1, 0) == 1);
    EXPECT(c, ds && dataset_value(ds, 0, false, 0, 2) == 4);
    EXPECT(c, ds && dataset_value(ds, 0, false, 1, 1) == 3);
    ds = open_bytes(c, npy(c, "{\"shape\":(1,2,3),'descr':'|u1','fortran_order':False}", f, 6));
    EXPECT(c, ds && ds->count == 1 && ds->field[0].rank == 2);
}

static void bad(Check *c, Buffer b, const char *says)
{
    EXPECT(c, !open_bytes(c, b));
    REPORTED(c, "x.npy", says);
}

static void test_broken(Check *c)
{
    uint8_t data[64] = {0};
    Buffer good = npy(c, DICT("<f4", "False", "(3, 2)"), data, 24);
    for (size_t n = 0; n < good.n; n++)
        bad(c, (Buffer){good.at, n}, "");
    bad(c, (Buffer){good.at, good.n - 1}, "is truncated");
    bad(c, npy(c, DICT("<f4", "False", "(3, 2)"), data, 25), "is too long");
    bad(c, (Buffer){(uint8_t *)"hello world, this is text", 25}, "begins with bytes 68 65 6c 6c");
    bad(c, npy(c, DICT("<c8", "False", "(3,)"), data, 24), "type '<c8'");
    bad(c, npy(c, DICT("|O", "False", "(3,)"), data, 24), "type '|O'");
    bad(c, npy(c, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}", data, 24),
        "holds records");
    bad(c, npy(c, DICT("<f4", "False", "()"), data, 4), "a single number");
    bad(c, npy(c, DICT("<f4", "False", "(-1, 2)"), data, 4), "header cannot be read");
    bad(c, npy(c, DICT("<f4", "False", "(99999999999999999999,)"), data, 4), "cannot be read");
    bad(c, npy(c, DICT("<f4", "False", "(9999999999999, 9999999999999)"), data, 4), "claims shape");
    bad(c, npy(c, DICT("<f4", "False", "(0, 9999999999999, 9999999999999)"), data, 0), "claims");
    bad(c, npy(c, DICT("<f4", "False", "(1,1,1,1,1,1,1,1,1)"), data, 4), "cannot be read");
    bad(c, npy(c, DICT("<f4", "Maybe", "(1,)"), data, 4), "cannot be read");
    bad(c, npy(c, "{'descr': '<f4', 'shape': (1,)}", data, 4), "cannot be read");
    EXPECT(c, !open_bytes(c, npy(c, DICT("<f4", "False", "(0, 2)"), data, 0)));
    REPORTED(c, "is empty");
    memset(data, 0xFF, 16);
    EXPECT(c, !open_bytes(c, npy(c, DICT("<f4", "False", "(2, 2)"), data, 16)));
    REPORTED(c, "element 0 of x of training sample 0 is not a number");
    data[4] = data[7] = 0;
    bad(c, npy(c, DICT("<u8", "False", "(2,)"), data, 16), "element 0 of");
    for (size_t at = 0; at < good.n - 24; at++) { /* anything but a crash */
        good.at[at] ^= (uint8_t)(1 << at % 7);
        open_bytes(c, good);
        c->d.messages.n = c->d.nerror = c->d.nunsupported = 0;
        good.at[at] ^= (uint8_t)(1 << at % 7);
    }
}

static void test_several(Check *c)
{
    float x[6] = {1, 2, 3, 4, 5, 6};
    int32_t y[3] = {0, 1, 2};
    EXPECT(c, npy_write(&c->d, (Span){0}, path_of(c, "a.npy"), DT_f32, 2, (int64_t[]){3, 2}, x));
    EXPECT(c, npy_write(&c->d, (Span){0}, path_of(c, "b.npy"), DT_i32, 1, (int64_t[]){3}, y));
    EXPECT(c, npy_write(&c->d, (Span){0}, path_of(c, "c.npy"), DT_i32, 1, (int64_t[]){2}, y));
    Dataset *ds = load(c, OPEN(c, "npy", text_arg("x", "a.npy"), text_arg("y", "b.npy")));
    EXPECT(c, ds && ds->nfield == 2 && dataset_value(ds, 0, false, 2, 1) == 6);
    EXPECT(c, ds && dataset_field(ds, "y") == 1 && dataset_value(ds, 1, false, 2, 0) == 2);
    ds = load(c, OPEN(c, "npy", text_arg("y", "b.npy"), text_arg("test_y", "c.npy")));
    EXPECT(c, ds && ds->test_count == 2 && dataset_value(ds, 0, true, 1, 0) == 1);
    EXPECT(c, !OPEN(c, "npy", text_arg("x", "a.npy"), text_arg("y", "c.npy")));
    REPORTED(c, "a.npy' has 3 samples", "c.npy' has 2");
    EXPECT(c, !OPEN(c, "npy", text_arg("x", "a.npy"), text_arg("test_x", "c.npy")));
    REPORTED(c, "f32 [2]", "i32 a number");
    EXPECT(c, !OPEN(c, "npy", text_arg("x", "a.npy"), text_arg("test_y", "c.npy")));
    REPORTED(c, "test_y");
    EXPECT(c, !OPEN(c, "npy", number_arg("x", 1)));
    REPORTED(c, "npy takes paths");
}

/* ---- archives ---- */

typedef struct { uint8_t at[1 << 16]; size_t n; } Zip;

static void word(Zip *z, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        z->at[z->n++] = (uint8_t)(v >> 8 * i);
}

static void zip_entry(Zip *z, bool central, const char *name, int method, uint32_t crc,
                      size_t packed, size_t size, size_t offset)
{
    word(z, central ? 0x02014b50 : 0x04034b50, 4);
    if (central)
        word(z, 20, 2);
    word(z, 20, 2), word(z, 0, 2), word(z, (uint64_t)method, 2), word(z, 0, 4), word(z, crc, 4);
    /* the local header as NumPy writes it: sizes in a ZIP64 field */
    word(z, central ? packed : UINT32_MAX, 4), word(z, central ? size : UINT32_MAX, 4);
    word(z, strlen(name), 2), word(z, central ? 0 : 20, 2);
    if (central)
        word(z, 0, 2), word(z, 0, 2), word(z, 0, 2), word(z, 0, 4), word(z, offset, 4);
    memcpy(z->at + z->n, name, strlen(name));
    z->n += strlen(name);
    if (!central)
        word(z, 1, 2), word(z, 16, 2), word(z, size, 8), word(z, packed, 8);
}

static void make_zip(Zip *z, int n, const char *const *names, const Buffer *arrays, bool deflated)
{
    size_t offset[8], packed[8];
    z->n = 0;
    for (int i = 0; i < n; i++) {
        uint8_t out[8192];
        z_stream s = {.next_in = arrays[i].at, .avail_in = (uInt)arrays[i].n, .next_out = out,
                      .avail_out = sizeof out};
        deflateInit2(&s, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY);
        deflate(&s, Z_FINISH);
        packed[i] = deflated ? s.total_out : arrays[i].n;
        deflateEnd(&s);
        offset[i] = z->n;
        zip_entry(z, false, names[i], deflated ? 8 : 0, 0, packed[i], arrays[i].n, 0);
        memcpy(z->at + z->n, deflated ? out : arrays[i].at, packed[i]);
        z->n += packed[i];
    }
    size_t start = z->n;
    for (int i = 0; i < n; i++)
        zip_entry(z, true, names[i], deflated ? 8 : 0,
                  (uint32_t)crc32(0, arrays[i].at, (uInt)arrays[i].n), packed[i], arrays[i].n,
                  offset[i]);
    size_t size = z->n - start;
    word(z, 0x06054b50, 4), word(z, 0, 4), word(z, (uint64_t)n, 2), word(z, (uint64_t)n, 2);
    word(z, size, 4), word(z, start, 4), word(z, 0, 2);
}

static Dataset *open_zip(Check *c, const Zip *z, size_t n)
{
    put(c, "z.npz", z->at, n);
    return load(c, OPEN(c, "npz", text_arg(NULL, "z.npz")));
}

static void test_zip(Check *c)
{
    static Zip z;
    uint8_t data[120];
    for (int i = 0; i < 120; i++)
        data[i] = (uint8_t)(i / 3);
    static const char *const names[] = {"x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy"};
    Buffer arrays[] = {npy(c, DICT("|u1", "False", "(4, 5, 6)"), data, 120),
                       npy(c, DICT("<i8", "False", "(4,)"), (int64_t[]){3, 1, 4, 1}, 32),
                       npy(c, DICT("|u1", "True", "(2, 5, 6)"), data, 60),
                       npy(c, DICT("<i8", "False", "(2,)"), (int64_t[]){5, 9}, 16)};
    for (int deflated = 0; deflated < 2; deflated++) {
        make_zip(&z, 4, names, arrays, deflated);
        Dataset *ds = open_zip(c, &z, z.n);
        EXPECT(c, ds && ds->count == 4 && ds->test_count == 2 && ds->nfield == 2);
        EXPECT(c, ds && !strcmp(ds->field[0].name, "x") && ds->field[0].rank == 2);
        EXPECT(c, ds && dataset_value(ds, 0, false, 3, 29) == 39);
        EXPECT(c, ds && dataset_value(ds, 1, true, 1, 0) == 9);
        EXPECT(c, ds && dataset_value(ds, 0, true, 1, 0) == 0);
        EXPECT(c, ds && dataset_value(ds, 0, true, 0, 1) == 3);
        for (size_t n = 0; n < z.n; n += 7) {
            EXPECT(c, !open_zip(c, &z, n));
            REPORTED(c, "z.npz'");
        }
        for (size_t at = 0; at < z.n; at += 3) {
            z.at[at] ^= 0x20;
            Dataset *flipped = open_zip(c, &z, z.n); /* may be well when only a date changed */
            EXPECT(c, flipped || c->d.messages.n == 1);
            c->d.messages.n = c->d.nerror = c->d.nunsupported = 0;
            z.at[at] ^= 0x20;
        }
    }
    make_zip(&z, 3, names, arrays, true);
    EXPECT(c, !open_zip(c, &z, z.n));
    REPORTED(c, "field 'y'", "no test part");
    arrays[1] = arrays[3];
    make_zip(&z, 2, names, arrays, true);
    EXPECT(c, !open_zip(c, &z, z.n));
    REPORTED(c, "'x_train' in", "has 4 samples", "'y_train' has 2");
    put_text(c, "z.npz", "hello");
    EXPECT(c, !OPEN(c, "npz", text_arg(NULL, "z.npz")));
    REPORTED(c, "no NPZ archive", "68 65 6c 6c");
    put(c, "train.npz", z.at, (make_zip(&z, 1, names, arrays, false), z.n));
    put(c, "test.npz", z.at, (make_zip(&z, 1, names + 2, arrays + 2, true), z.n));
    DataArg test = text_arg("test", "test.npz");
    Dataset *ds = load(c, OPEN(c, "npz", text_arg(NULL, "train.npz"), test));
    EXPECT(c, ds && ds->count == 4 && ds->test_count == 2 && ds->nfield == 1);
}

int main(void)
{
    Check c = check_begin();
    test_types(&c);
    test_broken(&c);
    test_several(&c);
    test_zip(&c);
    return check_end(&c);
}
