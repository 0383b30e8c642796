/* PNG through libpng, resizing, and plain NPY and CSV files. */
#include "image.h"

#include "system.h"

#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE_MOST = 1 << 15 };

/* ---- PNG ---- */

Image *image_read(Arena *a, Diag *d, Span at, const char *path)
{
    size_t size;
    char *bytes = file_read(a, d, at, path, (size_t)1 << 30, &size);
    if (!bytes)
        return NULL;
    const uint8_t *h = (const uint8_t *)bytes;
    if (size < 8 || memcmp(bytes, "\x89PNG\r\n\x1a\n", 8)) {
        error_at(d, at, "'%s' is no PNG picture: it begins with bytes %02x %02x, and 89 50 is "
                        "needed", path, size > 0 ? h[0] : 0, size > 1 ? h[1] : 0);
        return NULL;
    }
    png_image png = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_memory(&png, bytes, size)) {
        error_at(d, at, "'%s' cannot be read as PNG: %s", path, png.message);
        return NULL;
    }
    if (png.width > SIDE_MOST || png.height > SIDE_MOST ||
        (uint64_t)png.width * png.height > (1u << 28)) {
        error_at(d, at, "'%s' is %u by %u pixels, which is too large", path, png.width,
                 png.height);
        png_image_free(&png);
        return NULL;
    }
    bool color = png.format & PNG_FORMAT_FLAG_COLOR;
    png.format = color ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    Image *m = NEW(a, Image);
    uint8_t *data = arena_alloc(a, PNG_IMAGE_SIZE(png));
    *m = (Image){png.height, png.width, color ? 3 : 1, data};
    const png_color black = {0, 0, 0};
    if (!png_image_finish_read(&png, &black, data, 0, NULL)) {
        error_at(d, at, "'%s' cannot be read as PNG: %s", path, png.message);
        return NULL;
    }
    return m;
}

bool image_write(Diag *d, Span at, const char *path, const Image *m)
{
    png_image png = {.version = PNG_IMAGE_VERSION, .width = (png_uint_32)m->width,
                     .height = (png_uint_32)m->height,
                     .format = m->channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY};
    png_alloc_size_t size = 0;
    if (!png_image_write_to_memory(&png, NULL, &size, 0, m->data, 0, NULL))
        return error_at(d, at, "cannot write '%s': %s", path, png.message);
    uint8_t *bytes = arena_alloc(d->arena, size);
    if (!png_image_write_to_memory(&png, bytes, &size, 0, m->data, 0, NULL))
        return error_at(d, at, "cannot write '%s': %s", path, png.message);
    return file_write(d, at, path, &(Bytes){bytes, size}, 1);
}

const Image *image_channels(Arena *a, const Image *m, int channels)
{
    if (m->channels == channels)
        return m;
    Image *to = NEW(a, Image);
    int64_t n = m->height * m->width;
    uint8_t *data = arena_alloc(a, (size_t)n * (size_t)channels);
    *to = (Image){m->height, m->width, channels, data};
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *p = m->data + i * m->channels;
        if (channels == 3)
            data[3 * i] = data[3 * i + 1] = data[3 * i + 2] = p[0];
        else
            data[i] = (uint8_t)((299 * p[0] + 587 * p[1] + 114 * p[2] + 500) / 1000);
    }
    return to;
}

/* Weights of the source pixels first .. first + n - 1 for one pixel of the target: the part of
 * each that it covers when shrinking, nearness when growing. */
static int resize_weights(int64_t from, int64_t to, int64_t i, int64_t *first, double *w)
{
    double scale = (double)from / (double)to;
    if (scale <= 1) {
        double at = ((double)i + 0.5) * scale - 0.5;
        at = at < 0 ? 0 : at > (double)(from - 1) ? (double)(from - 1) : at;
        *first = (int64_t)at;
        w[1] = at - (double)*first;
        w[0] = 1 - w[1];
        return *first + 1 < from ? 2 : 1;
    }
    double lo = (double)i * scale, hi = lo + scale;
    int n = 0;
    *first = (int64_t)lo;
    for (int64_t k = *first; k < from && (double)k < hi; k++) {
        double begin = (double)k > lo ? (double)k : lo;
        double end = (double)k + 1 < hi ? (double)k + 1 : hi;
        w[n++] = (end - begin) / scale;
    }
    return n;
}

const Image *image_resize(Arena *a, const Image *m, int64_t height, int64_t width)
{
    if (m->height == height && m->width == width)
        return m;
    Arena *scratch = arena_new();
    int64_t most = m->height > m->width ? m->height : m->width, first;
    double *w = NEW_ARRAY(scratch, double, most + 2);
    double *rows = NEW_ARRAY(scratch, double, m->height * width * m->channels);
    int c = m->channels;
    for (int64_t x = 0; x < width; x++) {
        int n = resize_weights(m->width, width, x, &first, w);
        for (int64_t y = 0; y < m->height; y++)
            for (int k = 0; k < n * c; k++)
                rows[(y * width + x) * c + k % c] +=
                    w[k / c] * m->data[(y * m->width + first) * c + k];
    }
    Image *to = NEW(a, Image);
    uint8_t *data = arena_alloc(a, (size_t)(height * width * c));
    *to = (Image){height, width, c, data};
    for (int64_t y = 0; y < height; y++) {
        int n = resize_weights(m->height, height, y, &first, w);
        for (int64_t x = 0; x < width * c; x++) {
            double v = 0.5;
            for (int k = 0; k < n; k++)
                v += w[k] * rows[(first + k) * width * c + x];
            data[y * width * c + x] = (uint8_t)(v < 255 ? v : 255);
        }
    }
    arena_free(scratch);
    return to;
}

/* ---- arrays ---- */

bool npy_write(Diag *d, Span at, const char *path, Dtype dtype, int rank, const int64_t *dim,
               const void *data)
{
    static const char *const descr[NDTYPE] = {[DT_f32] = "<f4", [DT_f64] = "<f8",
                                              [DT_i32] = "<i4", [DT_i16] = "<i2",
                                              [DT_u8] = "|u1",  [DT_i8] = "|i1",
                                              [DT_bool] = "|b1"};
    Arena *a = d->arena;
    size_t bytes = (size_t)dtype_size(dtype);
    const char *shape = "";
    for (int i = 0; i < rank; i++) {
        shape = arena_printf(a, "%s%lld,%s", shape, (long long)dim[i], i + 1 < rank ? " " : "");
        bytes *= (size_t)dim[i];
    }
    char *text = arena_printf(a, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                              descr[dtype], shape);
    /* Spaces to a multiple of 64, so that the elements are aligned. */
    size_t n = strlen(text) + 1, total = (10 + n + 63) / 64 * 64;
    char *head = arena_alloc(a, total);
    memset(head, ' ', total);
    memcpy(head, "\x93NUMPY\x01\x00", 8);
    head[8] = (char)((total - 10) & 255);
    head[9] = (char)((total - 10) >> 8);
    memcpy(head + 10, text, n - 1);
    head[total - 1] = '\n';
    return file_write(d, at, path, (Bytes[]){{head, total}, {data, bytes}}, 2);
}

static size_t csv_cell(char *to, const char *cell, char behind)
{
    size_t n = 0;
    bool quote = cell[strcspn(cell, ",;\"\t\r\n")] || cell[0] == ' ';
    if (quote)
        to[n++] = '"';
    for (const char *p = cell; *p; p++) {
        if (*p == '"')
            to[n++] = '"';
        to[n++] = *p;
    }
    if (quote)
        to[n++] = '"';
    to[n++] = behind;
    return n;
}

bool csv_write(Diag *d, Span at, const char *path, const char *const *header, int ncol,
               const char *const *cells, int64_t nrow)
{
    Arena *scratch = arena_new();
    size_t most = 1;
    for (int64_t i = -ncol; i < nrow * ncol; i++)
        most += 2 * strlen(i < 0 ? header[ncol + i] : cells[i]) + 3;
    char *text = arena_alloc(scratch, most);
    size_t n = 0;
    for (int64_t i = -ncol; i < nrow * ncol; i++)
        n += csv_cell(text + n, i < 0 ? header[ncol + i] : cells[i],
                      (i + ncol + 1) % ncol ? ',' : '\n');
    bool ok = true;
    if (path)
        ok = file_write(d, at, path, &(Bytes){text, n}, 1);
    else if (fwrite(text, 1, n, stdout) != n || fflush(stdout))
        ok = error_at(d, at, "cannot write to the standard output: %s", strerror(errno));
    arena_free(scratch);
    return ok;
}
