/* mnist() and idx(): good files, and every way a file can be bad. */
#include "runtime_check.h"

typedef struct { uint8_t at[4096]; size_t n; } Buffer;

static Buffer idx_header(int code, int rank, const uint32_t *dim)
{
    Buffer b = {.n = 0};
    b.at[2] = (uint8_t)code;
    b.at[3] = (uint8_t)rank;
    b.n = 4;
    for (int i = 0; i < rank; i++)
        for (int k = 24; k >= 0; k -= 8)
            b.at[b.n++] = (uint8_t)(dim[i] >> k);
    return b;
}

/* n images of 3 by 2 with consecutive bytes, and n labels 0, 1, 2 ... */
static Buffer images(uint32_t n)
{
    Buffer b = idx_header(8, 3, (uint32_t[]){n, 3, 2});
    for (uint32_t i = 0; i < 6 * n; i++)
        b.at[b.n++] = (uint8_t)i;
    return b;
}

static Buffer labels(uint32_t n)
{
    Buffer b = idx_header(8, 1, &n);
    for (uint32_t i = 0; i < n; i++)
        b.at[b.n++] = (uint8_t)(i % 10);
    return b;
}

static void put_set(Check *c, uint32_t train, uint32_t test, bool gz)
{
    const char *(*p)(Check *, const char *, const void *, size_t) = gz ? put_gz : put;
    static const char *const names[2][4] = {
        {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
         "t10k-labels-idx1-ubyte"},
        {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz",
         "t10k-labels-idx1-ubyte.gz"}};
    Buffer b[4] = {images(train), labels(train), images(test), labels(test)};
    for (int i = 0; i < 4; i++) {
        unlink(path_of(c, names[!gz][i]));
        p(c, names[gz][i], b[i].at, b[i].n);
    }
}

static void test_mnist(Check *c)
{
    for (int gz = 0; gz < 2; gz++) {
        put_set(c, 20, 5, gz);
        Dataset *ds = OPEN(c, "mnist", text_arg(NULL, c->dir));
        EXPECT(c, ds && ds->count == 20 && ds->test_count == 5 && ds->nfield == 2);
        if (!ds)
            continue;
        EXPECT(c, !strcmp(ds->field[0].name, "image") && !strcmp(ds->field[1].name, "label"));
        EXPECT(c, ds->field[0].dtype == DT_u8 && ds->field[0].rank == 2);
        EXPECT(c, ds->field[0].dim[0] == 3 && ds->field[0].dim[1] == 2);
        EXPECT(c, ds->nclass == 10 && !strcmp(ds->classes[9], "9") && ds->class_field == 1);
        EXPECT(c, load(c, ds) && dataset_bytes(ds) == 25 * 7);
        EXPECT(c, dataset_value(ds, 0, false, 19, 5) == 119);
        EXPECT(c, dataset_value(ds, 1, true, 4, 0) == 4);
    }
    EXPECT(c, OPEN(c, "mnist", text_arg(NULL, "data/absent")) == NULL);
    REPORTED(c, "train-images-idx3-ubyte", "looked in", "data/absent", c->dir);
    /* a folder named for data stands for the path's leading part */
    char *sub = arena_printf(c->a, "%s/mnist", c->dir);
    EXPECT(c, symlink(".", sub) == 0);
    EXPECT(c, OPEN(c, "mnist", text_arg(NULL, "data/mnist")) != NULL);
    unlink(sub);
}

static void test_arguments(Check *c)
{
    EXPECT(c, !OPEN(c, "minst", text_arg(NULL, "x")));
    REPORTED(c, "no reader 'minst'", "did you mean 'mnist'");
    EXPECT(c, !OPEN(c, "mnist", number_arg("dir", 3)));
    REPORTED(c, "'dir' of mnist is a number, and a text is needed");
    EXPECT(c, !OPEN(c, "mnist", text_arg("dri", "x")));
    REPORTED(c, "no argument 'dri'", "did you mean 'dir'");
    EXPECT(c, !OPEN(c, "mnist", text_arg(NULL, "x"), text_arg(NULL, "y")));
    REPORTED(c, "at most 1 argument");
    EXPECT(c, !OPEN(c, "mnist", text_arg("dir", "x"), text_arg("dir", "y")));
    REPORTED(c, "given twice");
    EXPECT(c, !OPEN(c, "idx", text_arg("labels", "x")));
    REPORTED(c, "needs an argument 'images'");
}

static void bad_images(Check *c, const void *bytes, size_t n, const char *says)
{
    put(c, "bad", bytes, n);
    EXPECT(c, !load(c, OPEN(c, "idx", text_arg("images", "bad"))));
    REPORTED(c, "bad'", says);
    if (n && ((const uint8_t *)bytes)[0] == 0) {
        put_gz(c, "bad", bytes, n);
        EXPECT(c, !load(c, OPEN(c, "idx", text_arg("images", "bad"))));
        EXPECT(c, c->d.messages.n == 1);
        c->d.messages.n = c->d.nerror = c->d.nunsupported = 0;
    }
}

static void test_broken(Check *c)
{
    Buffer b = images(4);
    bad_images(c, "", 0, "is empty");
    bad_images(c, "\0\0\x08", 3, "truncated: 3 bytes");
    bad_images(c, "hello world", 11, "begins with bytes 68 65 6c 6c");
    bad_images(c, "\0\0\x07\x01\0\0\0\0", 8, "no IDX file");
    bad_images(c, "\0\0\x08\x09\0\0\0\0", 8, "rank 9");
    bad_images(c, "\0\0\x08\x03\0\0\0\x01\0\0", 10, "header has 10 of 16 bytes");
    for (size_t n = 16; n < b.n; n++)
        bad_images(c, b.at, n, "truncated");
    bad_images(c, b.at, b.n - 1, "39 bytes found, and 40 are needed for shape [4, 3, 2]");
    bad_images(c, b.at, b.n + 1, "too long");
    Buffer none = images(0);
    put(c, "none", none.at, none.n);
    EXPECT(c, !OPEN(c, "idx", text_arg("images", "none")));
    REPORTED(c, "the data set is empty");
    uint32_t huge[] = {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF};
    Buffer absurd = idx_header(8, 3, huge);
    bad_images(c, absurd.at, absurd.n, "header claims");
    Buffer large = idx_header(8, 3, (uint32_t[]){0xFFFFFFFF, 1000, 1000});
    bad_images(c, large.at, large.n, "truncated");
    EXPECT(c, !OPEN(c, "idx", text_arg("images", "nowhere")));
    REPORTED(c, "no images 'nowhere'", "looked for it at", "/nowhere");
    EXPECT(c, !OPEN(c, "idx", text_arg("images", c->dir)));
    REPORTED(c, "cannot read", "directory");
}

static void test_corrupt_gzip(Check *c)
{
    size_t n;
    Buffer b = images(100);
    char *z = get(c, put_gz(c, "good.gz", b.at, b.n), &n);
    for (size_t cut = 3; cut < n; cut++) {
        put(c, "cut.gz", z, cut);
        EXPECT(c, !load(c, OPEN(c, "idx", text_arg("images", "cut.gz"))));
        REPORTED(c, "cut.gz'");
    }
    for (size_t at = 10; at < n; at++) {
        z[at] ^= 0x10;
        put(c, "flip.gz", z, n);
        Dataset *ds = load(c, OPEN(c, "idx", text_arg("images", "flip.gz")));
        if (ds) /* a bit that is only padding */
            EXPECT(c, ds->count == 100 && !memcmp(ds->field[0].train, b.at + 16, 600));
        else
            REPORTED(c, "flip.gz'");
        z[at] ^= 0x10;
    }
}

static void test_pairs(Check *c)
{
    Buffer x = images(4), y = labels(3), z = labels(4), f = idx_header(8, 2, (uint32_t[]){4, 2});
    put(c, "x", x.at, x.n);
    put(c, "y", y.at, y.n);
    put(c, "z", z.at, z.n);
    f.n += 8;
    put(c, "f", f.at, f.n);
    EXPECT(c, !OPEN(c, "idx", text_arg(NULL, "x"), text_arg(NULL, "y")));
    REPORTED(c, "x' has 4 samples", "y' are 3");
    Dataset *ds = load(c, OPEN(c, "idx", text_arg(NULL, "x"), text_arg(NULL, "z")));
    EXPECT(c, ds && ds->nclass == 4 && ds->test_count == 0);
    EXPECT(c, !OPEN(c, "idx", text_arg(NULL, "x"), text_arg("test_images", "f")));
    REPORTED(c, "samples u8 [3, 2]", "u8 [2]");
    DataArg test = text_arg("test_images", "x");
    EXPECT(c, !OPEN(c, "idx", text_arg(NULL, "x"), text_arg(NULL, "z"), test));
    REPORTED(c, "test_images without test_labels");
    /* labels out of range: mnist has ten classes */
    put_set(c, 20, 5, false);
    z = labels(20);
    z.at[8 + 13] = 10;
    put(c, "train-labels-idx1-ubyte", z.at, z.n);
    EXPECT(c, !OPEN(c, "mnist", text_arg(NULL, c->dir)));
    REPORTED(c, "label of training sample 13 is 10", "from 0 to 9");
    put_set(c, 0, 0, false);
    EXPECT(c, !OPEN(c, "mnist", text_arg(NULL, c->dir)));
    REPORTED(c, "empty");
}

/* Each type: bytes as stored, big-endian, and what they mean. */
static void test_types(Check *c)
{
    static const struct { int code, size; Dtype dtype; uint8_t bytes[16]; double v[2]; } types[] = {
        {0x08, 1, DT_u8, {200, 3}, {200, 3}},
        {0x09, 1, DT_i16, {200, 3}, {-56, 3}},
        {0x0B, 2, DT_i16, {0xFF, 0xFE, 1, 2}, {-2, 258}},
        {0x0C, 4, DT_i32, {0xFF, 0xFF, 0xFF, 0xFE, 0, 1, 0, 2}, {-2, 65538}},
        {0x0D, 4, DT_f32, {0x3F, 0xC0, 0, 0, 0xC0, 0, 0, 0}, {1.5, -2}},
        {0x0E, 8, DT_f64, {0x3F, 0xF8, 0, 0, 0, 0, 0, 0, 0xC0, 0}, {1.5, -2}}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        Buffer b = idx_header(types[i].code, 1, (uint32_t[]){2});
        memcpy(b.at + b.n, types[i].bytes, 2 * (size_t)types[i].size);
        put(c, "t", b.at, b.n + 2 * (size_t)types[i].size);
        Dataset *ds = load(c, OPEN(c, "idx", text_arg(NULL, "t")));
        EXPECT(c, ds && ds->field[0].dtype == types[i].dtype && ds->field[0].rank == 0);
        for (int k = 0; ds && k < 2; k++)
            EXPECT(c, dataset_value(ds, 0, false, k, 0) == types[i].v[k]);
    }
    Buffer b = idx_header(0x0D, 2, (uint32_t[]){3, 2});
    memcpy(b.at + b.n + 4 * 3, "\x7F\xC0\0\0", 4);
    put(c, "nan", b.at, b.n + 24);
    EXPECT(c, !load(c, OPEN(c, "idx", text_arg(NULL, "nan"))));
    REPORTED(c, "element 1 of image of training sample 1 is not a number");
    memcpy(b.at + b.n + 4 * 3, "\xFF\x80\0\0", 4);
    put(c, "nan", b.at, b.n + 24);
    EXPECT(c, !load(c, OPEN(c, "idx", text_arg(NULL, "nan"))));
    REPORTED(c, "minus infinity");
}

int main(void)
{
    Check c = check_begin();
    test_mnist(&c);
    test_arguments(&c);
    test_broken(&c);
    test_corrupt_gzip(&c);
    test_pairs(&c);
    test_types(&c);
    return check_end(&c);
}
