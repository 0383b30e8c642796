/* Pictures in, arrays out: what `predict` reads and writes besides data sets. */
#ifndef WEFT_IMAGE_H
#define WEFT_IMAGE_H

#include "base/diag.h"
#include "base/type.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int64_t height, width;
    int channels;        /* 1 or 3; alpha is laid on black */
    const uint8_t *data; /* [height, width, channels] */
} Image;

/* Reports (missing, no PNG, truncated, too large) and returns null. */
Image *image_read(Arena *a, Diag *d, Span at, const char *path);
/* Same picture with 1 channel (luma 0.299, 0.587, 0.114) or 3. */
const Image *image_channels(Arena *a, const Image *m, int channels);
/* Averages over areas when shrinking, interpolates linearly when growing. */
const Image *image_resize(Arena *a, const Image *m, int64_t height, int64_t width);
/* Reports and returns false. */
bool image_write(Diag *d, Span at, const char *path, const Image *m);

/* A .npy file (version 1.0, C order) of f32, f64, i32, i16, u8 or bool. */
bool npy_write(Diag *d, Span at, const char *path, Dtype dtype, int rank, const int64_t *dim,
               const void *data);

/* A CSV file of text cells, quoted where needed, header first; path null: stdout. */
bool csv_write(Diag *d, Span at, const char *path, const char *const *header, int ncol,
               const char *const *cells, int64_t nrow);

#endif
