/* A single file of samples for prediction, recognised by what is in it. */
#include "image.h"
#include "reader.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef enum { FORM_idx, FORM_gzip, FORM_npy, FORM_png, FORM_zip, FORM_text } Form;

static bool recognise(Diag *d, Span at, const char *path, Form *form)
{
    static const struct { Form form; const char *magic; size_t n; } known[] = {
        {FORM_gzip, "\x1f\x8b", 2},
        {FORM_npy, "\x93NUMPY", 6},
        {FORM_png, "\x89PNG", 4},
        {FORM_zip, "PK\x03\x04", 4},
        {FORM_idx, "\0\0", 2}};
    char head[8] = "";
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    bool bad = !f || ferror(f);
    int error = errno;
    if (f)
        fclose(f);
    if (bad)
        return error_at(d, at, "cannot read '%s': %s", path, strerror(error));
    if (n == 0)
        return error_at(d, at, "'%s' is empty", path);
    *form = FORM_text;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (n >= known[i].n && !memcmp(head, known[i].magic, known[i].n)) {
            *form = known[i].form;
            return true;
        }
    return true;
}

static bool load_nothing(Dataset *ds, Diag *d)
{
    (void)ds, (void)d;
    return true;
}

static const Reader reader_file = {"file", NULL, 0, NULL, NULL, NULL, load_nothing};

/* One field of `count` samples. */
static Dataset *single(Arena *a, Span at, const char *field, Dtype dtype, int rank,
                       const int64_t *dim, int64_t count, const void *data)
{
    Dataset *ds = NEW(a, Dataset);
    ds->state = NEW(a, struct DatasetState);
    *ds->state = (struct DatasetState){.arena = a, .reader = &reader_file, .at = at};
    ds->reader = "file";
    ds->class_field = -1;
    ds->count = count;
    opening_field(&(Opening){.a = a, .ds = ds}, field, dtype, rank, dim)->train = data;
    return ds;
}

static Dataset *open_idx(Arena *a, Diag *d, Span at, const char *path, const char *field)
{
    IdxFile f;
    const void *data = idx_open(a, d, at, path, &f) ? idx_load(a, d, &f) : NULL;
    return data ? single(a, at, field, f.dtype, f.rank - 1, f.dim + 1, f.dim[0], data) : NULL;
}

static Dataset *open_npy(Arena *a, Diag *d, Span at, const char *path, const char *field)
{
    NpyFile f;
    const void *data = npy_open(a, d, at, path, &f) ? npy_load(a, d, &f) : NULL;
    return data ? single(a, at, field, f.dtype, f.rank - 1, f.dim + 1, f.dim[0], data) : NULL;
}

static Dataset *open_png(Arena *a, Diag *d, Span at, const char *path, const char *field)
{
    const Image *m = image_read(a, d, at, path);
    return m ? single(a, at, field, DT_u8, m->channels == 3 ? 3 : 2,
                      (int64_t[]){m->height, m->width, 3}, 1, m->data)
             : NULL;
}

static Dataset *open_csv(Arena *a, Diag *d, Span at, const char *path, const char *field)
{
    const Dataset *csv = csv_open_numbers(a, d, at, path);
    if (!csv)
        return NULL;
    const DataArray *x = &csv->field[0];
    return single(a, at, field, x->dtype, x->rank, x->dim, csv->count, x->train);
}

Dataset *dataset_open_file(Arena *a, Diag *d, Span at, const char *path, const char *field)
{
    Form form;
    Dataset *ds = NULL;
    if (!recognise(d, at, path, &form))
        return NULL;
    switch (form) {
    case FORM_idx: case FORM_gzip: ds = open_idx(a, d, at, path, field); break;
    case FORM_npy: ds = open_npy(a, d, at, path, field); break;
    case FORM_png: ds = open_png(a, d, at, path, field); break;
    case FORM_text: ds = open_csv(a, d, at, path, field); break;
    case FORM_zip:
        unsupported_at(d, at, "'%s' is an archive; one array of it as .npy can be read", path);
        break;
    }
    if (!ds)
        return NULL;
    if (ds->count == 0 || ds->field[0].sample_bytes == 0) {
        error_at(d, at, "'%s' is empty: it holds %lld samples of shape %s", path,
                 (long long)ds->count, dims_text(d->arena, ds->field[0].rank, ds->field[0].dim));
        return NULL;
    }
    return dataset_load(ds, d) ? ds : NULL;
}
