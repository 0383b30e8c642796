/* safetensors: round trip, the reference layout, and headers that lie. */
#include "runtime_check.h"
#include "weights.h"

#include <math.h>

static const Span nowhere = {0, 0, 0};

static Weights *read_bytes(Check *c, const void *bytes, size_t n)
{
    return weights_read(c->a, &c->d, nowhere, put(c, "w.safetensors", bytes, n));
}

/* A file with the header given and `size` bytes of data. */
static Weights *read_header(Check *c, const char *header, size_t size)
{
    uint8_t buf[1 << 14] = {0};
    size_t n = strlen(header);
    for (int i = 0; i < 8; i++)
        buf[i] = (uint8_t)(n >> 8 * i);
    memcpy(buf + 8, header, n);
    return read_bytes(c, buf, 8 + n + size);
}

static void test_round_trip(Check *c)
{
    float f[6] = {1, -2.5f, INFINITY, 1e-42f, 0.1f, -0.0f};
    double g[2] = {0.1, NAN};
    int32_t i[3] = {1, -2, INT32_MAX};
    int16_t s[1] = {-7};
    uint8_t u[3] = {1, 2, 255}, b[2] = {1, 0};
    Weights w = {0};
    weights_add(c->a, &w, "flag", DT_bool, 1, (int64_t[]){2}, b);
    weights_add(c->a, &w, "lstm/kernel", DT_f32, 2, (int64_t[]){2, 3}, f);
    weights_add(c->a, &w, "bytes", DT_u8, 1, (int64_t[]){3}, u);
    weights_add(c->a, &w, "Adam/m \"quoted\" \xC3\xA4", DT_f64, 1, (int64_t[]){2}, g);
    weights_add(c->a, &w, "none", DT_f32, 2, (int64_t[]){0, 5}, f);
    weights_add(c->a, &w, "scalar", DT_i16, 0, NULL, s);
    weights_add(c->a, &w, "ints", DT_i32, 1, (int64_t[]){3}, i);
    weights_note(c->a, &w, "epoch", "3");
    weights_note(c->a, &w, "text", "two\nlines");
    const char *path = path_of(c, "round.safetensors");
    EXPECT(c, weights_write(&c->d, nowhere, path, &w));
    Weights *r = weights_read(c->a, &c->d, nowhere, path);
    EXPECT(c, r && r->tensors.n == 7 && r->notes.n == 2);
    for (int k = 0; r && k < w.tensors.n; k++) {
        const Tensor *x = &w.tensors.at[k], *y = weights_find(r, x->name);
        EXPECT(c, y && y->dtype == x->dtype && y->rank == x->rank);
        EXPECT(c, y && !memcmp(x->dim, y->dim, sizeof x->dim));
        EXPECT(c, y && !memcmp(x->data, y->data, tensor_bytes(x)));
    }
    EXPECT(c, r && !strcmp(weights_get_note(r, "text"), "two\nlines"));
    EXPECT(c, r && !weights_get_note(r, "nothing") && !weights_find(r, "nothing"));
    size_t n;
    char *bytes = get(c, path, &n);
    EXPECT(c, n > 8 && ((uint8_t)bytes[0]) % 8 == 0);
    for (size_t cut = 0; cut < n; cut++) {
        EXPECT(c, !read_bytes(c, bytes, cut));
        REPORTED(c, "w.safetensors'");
    }
    for (size_t at = 0; at < n; at++) { /* well or one message, never a crash */
        bytes[at] ^= (char)(1 << at % 7);
        Weights *x = read_bytes(c, bytes, n);
        EXPECT(c, x ? c->d.messages.n == 0 : c->d.messages.n == 1);
        c->d.messages.n = c->d.nerror = c->d.nunsupported = 0;
        bytes[at] ^= (char)(1 << at % 7);
    }
    /* the folder holds the file alone: no temporary is left */
    EXPECT(c, !weights_write(&c->d, nowhere, path_of(c, "no/such/folder"), &w));
    REPORTED(c, "cannot write", "No such file");
}

#define F32(lo, hi, shape) \
    "{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" #lo "," #hi "]}"

static void bad(Check *c, const char *header, size_t size, const char *says)
{
    EXPECT(c, !read_header(c, header, size));
    REPORTED(c, "w.safetensors'", says);
}

static void test_hostile(Check *c)
{
    EXPECT(c, read_header(c, "{\"a\":" F32(0, 8, "[2]") "}  ", 8) != NULL);
    EXPECT(c, read_header(c, "{}", 0) != NULL);
    bad(c, "", 0, "not JSON");
    bad(c, "[]", 0, "no JSON object");
    bad(c, "{\"a\":1}", 0, "has no dtype");
    bad(c, "{\"a\":" F32(0, 8, "[3]") "}", 8, "has 8 bytes, and its shape needs 12");
    bad(c, "{\"a\":" F32(0, 16, "[4]") "}", 8, "ends at byte 16 of its data, and there are 8");
    bad(c, "{\"a\":" F32(8, 0, "[2]") "}", 8, "data_offsets");
    bad(c, "{\"a\":" F32(-8, 0, "[2]") "}", 8, "data_offsets");
    bad(c, "{\"a\":" F32(0, 8, "[-2]") "}", 8, "impossible shape");
    bad(c, "{\"a\":" F32(0, 8, "[2.0]") "}", 8, "impossible shape");
    bad(c, "{\"a\":" F32(0, 0, "[0,4294967296,4294967296]") "}", 0, "impossible shape");
    bad(c, "{\"a\":" F32(0, 8, "[9223372036854775807,2]") "}", 8, "impossible shape");
    bad(c, "{\"a\":" F32(0, 8, "[99999999999999999999]") "}", 8, "not JSON");
    bad(c, "{\"a\":" F32(0, 8, "7") "}", 8, "has no shape");
    bad(c, "{\"a\":" F32(0, 4, "[1,1,1,1,1,1,1,1,1]") "}", 4, "rank 9");
    bad(c, "{\"a\":" F32(0, 8, "[2]") ",\"a\":" F32(0, 8, "[2]") "}", 8, "not JSON (duplicate");
    bad(c, "{\"a\":" F32(0, 8, "[2]") ",\"b\":" F32(4, 12, "[2]") "}", 12, "overlaps");
    bad(c, "{\"a\":" F32(0, 4, "[1]") ",\"b\":" F32(8, 12, "[1]") "}", 12, "unused bytes");
    bad(c, "{\"a\":" F32(0, 4, "[1]") "}", 12, "behind its last tensor");
    bad(c, "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "F8_E4M3");
    bad(c, "{\"a\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[0,1]},\"b\":3}", 1, "dtype");
    bad(c, "{\"__metadata__\":{\"a\":1}}", 0, "something else than texts");
    bad(c, "{\"__metadata__\":3}", 0, "metadata is no object");
    char deep[8192];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    bad(c, deep, 0, "not JSON");
    uint8_t huge[16];
    memset(huge, 0xFF, sizeof huge);
    EXPECT(c, !read_bytes(c, huge, 16));
    REPORTED(c, "no safetensors file", "18446744073709551615");
    EXPECT(c, !read_bytes(c, "\x40\0\0\0\0\0\0\0{}", 10));
    REPORTED(c, "header has 64 bytes, and 2 are left");
    EXPECT(c, !weights_read(c->a, &c->d, nowhere, path_of(c, "nothing")));
    REPORTED(c, "cannot read", "No such file");
    EXPECT(c, !weights_read(c->a, &c->d, nowhere, c->dir));
    REPORTED(c, "folder");
}

/* Types that other programs write. */
static void test_foreign(Check *c)
{
    uint8_t file[256] = {0};
    const char *header = "{\"i\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[0,16]},"
                         "\"h\":{\"dtype\":\"F16\",\"shape\":[5],\"data_offsets\":[16,26]},"
                         "\"b\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[26,28]}}";
    size_t n = strlen(header);
    file[0] = (uint8_t)n;
    memcpy(file + 8, header, n);
    int64_t ints[2] = {-3, 70000};
    uint16_t half[6] = {0x3C00, 0xC500, 0x0001, 0x7C00, 0x8000, 0xC020};
    memcpy(file + 8 + n, ints, 16);
    memcpy(file + 24 + n, half, 12);
    Weights *w = read_bytes(c, file, 8 + n + 28);
    EXPECT(c, w != NULL);
    if (!w)
        return;
    const int32_t *i = weights_find(w, "i")->data;
    const float *h = weights_find(w, "h")->data, *b = weights_find(w, "b")->data;
    EXPECT(c, i[0] == -3 && i[1] == 70000 && weights_find(w, "i")->dtype == DT_i32);
    EXPECT(c, h[0] == 1 && h[1] == -5 && h[2] == 0x1p-24f && h[3] == INFINITY);
    EXPECT(c, h[4] == 0 && signbit(h[4]) && b[0] == -2.5f);
    file[8 + n + 7] = 1;
    EXPECT(c, !read_bytes(c, file, 8 + n + 28));
    REPORTED(c, "element 0 of tensor 'i'", "32 bits");
}

int main(void)
{
    Check c = check_begin();
    test_round_trip(&c);
    test_hostile(&c);
    test_foreign(&c);
    return check_end(&c);
}
