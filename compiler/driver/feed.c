/* Files of samples, fitted to the inputs of a model. */
#include "driver/predict.h"

#include "driver/text.h"
#include "image.h"

#include <math.h>
#include <string.h>

static const Span nowhere;

static const char *names_of(Arena *a, const Feed *feed, int n)
{
    Text t = {.arena = a};
    for (int i = 0; i < n; i++)
        text_add(&t, "%s%s", i ? ", " : "", feed[i].name);
    return text_string(&t);
}

static const char *dims_text(Arena *a, int rank, const int64_t *dim)
{
    Text t = {.arena = a};
    text_add(&t, "[");
    for (int i = 0; i < rank; i++)
        text_add(&t, "%s%lld", i ? ", " : "", (long long)dim[i]);
    text_add(&t, "]");
    return text_string(&t);
}

/* ---- opening ---- */

static bool add_file(Job *j, Feed *f, const char *path)
{
    const Dataset *ds = dataset_open_file(j->data_arena, j->diag, nowhere, path, f->name);
    if (!ds)
        return false;
    list_push(j->arena, &f->files, ds);
    list_push(j->arena, &f->paths, path);
    return true;
}

bool feeds_open(Job *j, Feed *feed, int n)
{
    const Options *o = j->options;
    for (int i = 1; i < o->args.n; i++) {
        const char *arg = o->args.at[i], *equal = strchr(arg, '=');
        Feed *to = NULL;
        for (int k = 0; equal && k < n; k++)
            if (strlen(feed[k].name) == (size_t)(equal - arg) &&
                strncmp(feed[k].name, arg, (size_t)(equal - arg)) == 0)
                to = &feed[k];
        if (to)
            arg = equal + 1;
        else if (n == 1)
            to = &feed[0];
        else
            return error_at(j->diag, nowhere, "%s: the model has %d inputs (%s); write NAME=FILE",
                            arg, n, names_of(j->arena, feed, n));
        if (!add_file(j, to, arg))
            return false;
    }
    for (int k = 0; k < n; k++)
        if (feed[k].files.n == 0)
            return error_at(j->diag, nowhere, "the input %s gets no file; write %s=FILE",
                            feed[k].name, feed[k].name);
    return true;
}

/* 0.5 in a file for a field of bytes, or nothing above 1: scaled already. */
static bool is_scaled(const Dataset *ds, Dtype wanted)
{
    const DataArray *x = &ds->field[0];
    if (!dtype_is_float(x->dtype) || dtype_is_float(wanted))
        return false;
    int64_t each = 1;
    for (int d = 0; d < x->rank; d++)
        each *= x->dim[d];
    double most = 0;
    for (int64_t s = 0; s < ds->count * each; s++) {
        double v = dataset_value(ds, 0, false, s / each, s % each);
        if (v != floor(v))
            return true;
        most = v > most ? v : most;
    }
    return wanted == DT_u8 && most <= 1;
}

bool feeds_are_raw(const Feed *feed, int n)
{
    for (int k = 0; k < n; k++)
        for (int i = 0; i < feed[k].files.n; i++)
            if (is_scaled(feed[k].files.at[i], feed[k].dtype))
                return false;
    return true;
}

/* ---- fitting ---- */

/* The extents that the input wants of a file's sample; false when it cannot be. */
static bool wanted_dims(const Feed *f, const DataArray *x, int64_t lengths[SYM_MOST], int64_t *want)
{
    int rank = f->shape.rank - 1;
    for (int i = 0; i < rank; i++) {
        Dim d = f->shape.d[i + 1];
        if (d.sym >= SYM_length && d.mul == 1 && d.add == 0 && d.div == 1 && !lengths[d.sym]) {
            if (x->rank != rank)
                return false;
            lengths[d.sym] = x->dim[i];
        }
        want[i] = dim_value(d, lengths);
    }
    return true;
}

static int64_t product(const int64_t *dim, int rank)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dim[i];
    return n;
}

/* A picture of one sample as the input wants it; null when it wants none. */
static const Image *fit_picture(Arena *a, const DataArray *x, const int64_t *want, int rank)
{
    bool colour = x->rank == 3 && x->dim[2] == 3;
    if (x->dtype != DT_u8 || (x->rank != 2 && !colour) || rank < 2 || rank > 3 ||
        (rank == 3 && want[2] != 1 && want[2] != 3))
        return NULL;
    Image m = {x->dim[0], x->dim[1], colour ? 3 : 1, x->train};
    const Image *fit = image_channels(a, &m, rank == 3 ? (int)want[2] : 1);
    return image_resize(a, fit, want[0], want[1]);
}

bool feed_value(char *to, Dtype dtype, int64_t i, double v)
{
    switch (dtype) {
    case DT_f32: ((float *)to)[i] = (float)v; return true;
    case DT_f64: ((double *)to)[i] = v; return true;
    case DT_i32: ((int32_t *)to)[i] = (int32_t)v; return v == floor(v) && fabs(v) <= INT32_MAX;
    case DT_i16: ((int16_t *)to)[i] = (int16_t)v; return v == floor(v) && fabs(v) <= INT16_MAX;
    case DT_i8: ((int8_t *)to)[i] = (int8_t)v; return v == floor(v) && fabs(v) <= INT8_MAX;
    case DT_u8: ((uint8_t *)to)[i] = (uint8_t)v; return v == floor(v) && v >= 0 && v <= 255;
    case DT_bool: ((uint8_t *)to)[i] = v != 0; return v == 0 || v == 1;
    default: return false;
    }
}

/* The samples of one file behind those that are there. */
static bool gather_file(Job *j, Feed *f, int file, const int64_t *want, int64_t *done)
{
    const Dataset *ds = f->files.at[file];
    const DataArray *x = &ds->field[0];
    int rank = f->shape.rank - 1;
    int64_t wanted = product(want, rank), have = product(x->dim, x->rank), count = ds->count;
    const Image *picture = NULL;
    if (wanted == have * count && wanted != have) {
        have = wanted; /* one sample without the axis of samples */
        count = 1;
    } else if (wanted != have) {
        picture = ds->count == 1 ? fit_picture(j->data_arena, x, want, rank) : NULL;
        if (!picture)
            return error_at(j->diag, nowhere, "%s holds samples of shape %s; the input %s wants %s",
                            f->paths.at[file], dims_text(j->arena, x->rank, x->dim), f->name,
                            dims_text(j->arena, rank, want));
    }
    int size = dtype_size(f->dtype);
    for (int64_t i = 0; i < count * wanted; i++) {
        double v = picture ? picture->data[i]
                           : dataset_value(ds, 0, false, i / product(x->dim, x->rank),
                                           i % product(x->dim, x->rank));
        if (!feed_value(f->memory + (*done * wanted + i) * size, f->dtype, 0, v))
            return error_at(j->diag, nowhere, "%s: sample %lld holds %g, which is no %s as the "
                            "input %s wants it", f->paths.at[file], (long long)(i / wanted), v,
                            dtype_name(f->dtype), f->name);
    }
    *done += count;
    return true;
}

/* Samples in a file, seen as the input wants them. */
static int64_t samples_in(const Dataset *ds, int64_t wanted)
{
    int64_t have = product(ds->field[0].dim, ds->field[0].rank);
    return wanted == have * ds->count && wanted != have ? 1 : ds->count;
}

bool feeds_gather(Job *j, const Graph *g, Feed *feed, int n, int64_t lengths[SYM_MOST])
{
    for (int k = 0; k < n; k++) {
        Feed *f = &feed[k];
        int64_t want[RANK_MOST], done = 0;
        if (!wanted_dims(f, &f->files.at[0]->field[0], lengths, want))
            return error_at(j->diag, nowhere, "%s holds samples of shape %s; the input %s wants %s",
                            f->paths.at[0],
                            dims_text(j->arena, f->files.at[0]->field[0].rank,
                                      f->files.at[0]->field[0].dim),
                            f->name, shape_text(j->arena, g, &f->shape));
        int64_t wanted = product(want, f->shape.rank - 1);
        for (int i = 0; i < f->files.n; i++)
            f->count += samples_in(f->files.at[i], wanted);
        f->memory = aligned_memory(j->data_arena,
                                   (size_t)(f->count * wanted) * (size_t)dtype_size(f->dtype));
        for (int i = 0; i < f->files.n; i++)
            if (!gather_file(j, f, i, want, &done))
                return false;
        if (f->count != feed[0].count)
            return error_at(j->diag, nowhere, "%lld samples for the input %s, but %lld for %s",
                            (long long)f->count, f->name, (long long)feed[0].count, feed[0].name);
    }
    return true;
}
