/* Data sets in general: arguments to parameters, files to places, and what holds for every
 * reader: no sample is lost, no number is not finite, no label is none. */
#include "reader.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

static const Reader *const readers[] = {&reader_mnist, &reader_idx, &reader_csv,
                                        &reader_npy,   &reader_npz, &reader_digits,
                                        &reader_generate};
enum { NREADER = sizeof readers / sizeof *readers };

const char *const *dataset_readers(int *n)
{
    static const char *const names[NREADER] = {"mnist", "idx",    "csv",     "npy",
                                               "npz",   "digits", "generate"};
    *n = NREADER;
    return names;
}

static const Reader *find_reader(const char *name)
{
    for (int i = 0; i < NREADER; i++)
        if (!strcmp(readers[i]->name, name))
            return readers[i];
    return NULL;
}

const char *dataset_reader_param(const char *name, int index)
{
    const Reader *r = find_reader(name);
    return r && index >= 0 && index < r->nparam ? r->params[index].name : NULL;
}

/* ---- arguments ---- */

static const char *kinds_text(unsigned kinds)
{
    return kinds == TAKES_number  ? "a number"
           : kinds == TAKES_text  ? "a text"
           : kinds == TAKES_bool  ? "true or false"
           : kinds == TAKES_texts ? "a list of texts"
           : kinds & TAKES_bool   ? "true, false or a text"
                                  : "a number or a text";
}

char *dataset_reader_help(Arena *a, const char *name)
{
    const Reader *r = find_reader(name);
    if (!r)
        return NULL;
    char *s = arena_printf(a, "%s (data reader)\n\n%s\n\n%s(", name, r->doc, name);
    for (int i = 0; i < r->nparam; i++) {
        const ReaderParam *p = &r->params[i];
        s = arena_printf(a, "%s%s%s%s%s", s, i ? ", " : "", p->name, p->required ? "" : "=",
                         p->required ? "" : p->standard ? p->standard : "none");
    }
    s = arena_printf(a, "%s)\n", r->params ? s : arena_printf(a, "%sNAME=\"FILE\", ...", s));
    for (int i = 0; i < r->nparam; i++) {
        const ReaderParam *p = &r->params[i];
        s = arena_printf(a, "%s    %-12s %s: %s\n", s, p->name, kinds_text(p->kinds), p->doc);
    }
    return arena_printf(a, "%s\nfields: %s\n", s, r->fields);
}

static const char *given_text(DataArgKind kind)
{
    static const char *const text[] = {
        [DATA_number] = "a number",          [DATA_text] = "a text", [DATA_bool] = "true or false",
        [DATA_list_text] = "a list of texts", [DATA_list_number] = "a list of numbers"};
    return text[kind];
}

static Span place_of(const Opening *o, const DataArg *arg)
{
    return arg && arg->span.file ? arg->span : o->at;
}

/* The parameter that an argument means, -1 after a report. */
static int find_param(Opening *o, const Reader *r, const DataArg *arg, int *positional)
{
    if (!arg->name) {
        if (*positional < r->nparam)
            return (*positional)++;
        error_at(o->d, place_of(o, arg), "%s takes at most %d arguments", r->name, r->nparam);
        return -1;
    }
    const char *names[READER_PARAMS_MOST], *list = "";
    for (int i = 0; i < r->nparam; i++) {
        names[i] = r->params[i].name;
        if (!strcmp(names[i], arg->name))
            return i;
        list = arena_printf(o->d->arena, "%s%s%s", list, i ? ", " : "", names[i]);
    }
    const char *near = nearest_name(arg->name, names, r->nparam);
    if (near)
        error_at(o->d, place_of(o, arg), "%s has no argument '%s'; did you mean '%s'?", r->name,
                 arg->name, near);
    else
        error_at(o->d, place_of(o, arg), "%s has no argument '%s'; it has %s", r->name, arg->name,
                 list);
    return -1;
}

static bool bind_args(Opening *o, const Reader *r)
{
    int positional = 0;
    bool ok = true;
    for (int i = 0; i < o->nargs; i++) {
        const DataArg *arg = &o->args[i];
        int p = find_param(o, r, arg, &positional);
        if (p < 0) {
            ok = false;
        } else if (o->bound[p]) {
            ok = error_at(o->d, place_of(o, arg), "argument '%s' of %s is given twice",
                          r->params[p].name, r->name);
        } else if (!(r->params[p].kinds >> arg->kind & 1)) {
            ok = error_at(o->d, place_of(o, arg), "argument '%s' of %s is %s, and %s is needed",
                          r->params[p].name, r->name, given_text(arg->kind),
                          kinds_text(r->params[p].kinds));
            o->bound[p] = arg;
        } else {
            o->bound[p] = arg;
        }
    }
    for (int p = 0; p < r->nparam; p++)
        if (r->params[p].required && !o->bound[p] && ok)
            ok = error_at(o->d, o->at, "%s needs an argument '%s'", r->name, r->params[p].name);
    return ok;
}

bool opening_integer(Opening *o, int param, int64_t lo, int64_t hi, int64_t otherwise,
                     int64_t *value)
{
    const DataArg *arg = o->bound[param];
    *value = otherwise;
    if (!arg)
        return true;
    const Reader *r = o->ds->state->reader;
    double v = arg->number;
    if (!(v >= (double)lo && v <= (double)hi && v == floor(v)))
        return error_at(o->d, place_of(o, arg),
                        "argument '%s' of %s is %.15g, and a whole number from %lld to %lld is "
                        "needed",
                        r->params[param].name, r->name, v, (long long)lo, (long long)hi);
    *value = (int64_t)v;
    return true;
}

const char *opening_find(Opening *o, const DataArg *arg, const char *what,
                         const char *const *suffixes, int nsuffix)
{
    const char *tried = "";
    if (!*arg->text) {
        error_at(o->d, place_of(o, arg), "the path of the %s is empty", what);
        return NULL;
    }
    const char *path = data_find(o->a, o->places, arg->text, suffixes, nsuffix, &tried);
    if (!path)
        error_at(o->d, place_of(o, arg), "there is no %s '%s'; looked for it at %s", what,
                 arg->text, tried);
    return path;
}

/* ---- fields ---- */

DataArray *opening_field(Opening *o, const char *name, Dtype dtype, int rank, const int64_t *dim)
{
    Dataset *ds = o->ds;
    if ((ds->nfield & (ds->nfield - 1)) == 0)
        ds->field = arena_grow(o->a, ds->field, sizeof *ds->field * (size_t)ds->nfield,
                               sizeof *ds->field * (size_t)(ds->nfield ? 2 * ds->nfield : 1));
    DataArray *f = &ds->field[ds->nfield++];
    *f = (DataArray){.name = name, .dtype = dtype, .rank = rank};
    for (int i = 0; i < rank; i++)
        f->dim[i] = dim[i];
    if (!shape_bytes(rank, dim, (size_t)dtype_size(dtype), &f->sample_bytes))
        bug("field %s: its sample's size was not checked", name);
    return f;
}

const char *const *number_names(Arena *a, int n)
{
    const char **names = NEW_ARRAY(a, const char *, n);
    for (int i = 0; i < n; i++)
        names[i] = arena_printf(a, "%d", i);
    return names;
}

char *identifier(Arena *a, const char *name, size_t n)
{
    bool digit = n > 0 && isdigit((unsigned char)name[0]);
    char *s = arena_alloc(a, n + 3), *p = s;
    if (digit || n == 0)
        *p++ = 'x';
    for (size_t i = 0; i < n; i++) {
        bool plain = isalnum((unsigned char)name[i]) && (unsigned char)name[i] < 128;
        if (plain)
            *p++ = name[i];
        else if (p > s && p[-1] != '_')
            *p++ = '_';
    }
    while (p > s + 1 && p[-1] == '_')
        *--p = 0;
    if (p == s)
        *p++ = 'x';
    *p = 0;
    return s;
}

const char *dims_text(Arena *a, int rank, const int64_t *dim)
{
    if (!rank)
        return "a number";
    char *s = arena_strdup(a, "[");
    for (int i = 0; i < rank; i++)
        s = arena_printf(a, "%s%s%lld", s, i ? ", " : "", (long long)dim[i]);
    return arena_printf(a, "%s]", s);
}

bool shape_bytes(int rank, const int64_t *dim, size_t element, size_t *bytes)
{
    size_t n = element;
    bool zero = false; /* an extent of 0 must not hide an absurd one */
    for (int i = 0; i < rank; i++) {
        zero |= dim[i] == 0;
        if (dim[i] < 0 || (dim[i] > 0 && __builtin_mul_overflow(n, (size_t)dim[i], &n)))
            return false;
    }
    *bytes = zero ? 0 : n;
    return n <= PTRDIFF_MAX / 4;
}

bool memory_suffices(Diag *d, Span at, const char *path, size_t bytes)
{
    size_t left = system_memory();
    if (bytes < (size_t)1 << 20 || !left || bytes <= left)
        return true;
    return error_at(d, at, "'%s' needs %.1f GB of memory, and %.1f GB are free", path,
                    (double)bytes * 1e-9, (double)left * 1e-9);
}

int dataset_field(const Dataset *ds, const char *name)
{
    for (int i = 0; i < ds->nfield; i++)
        if (!strcmp(ds->field[i].name, name))
            return i;
    return -1;
}

size_t dataset_bytes(const Dataset *ds)
{
    size_t n = 0;
    for (int i = 0; i < ds->nfield; i++)
        n += ds->field[i].sample_bytes * (size_t)(ds->count + ds->test_count);
    return n;
}

/* ---- values ---- */

static double value_at(const void *data, Dtype dt, int64_t i)
{
    switch (dt) {
    case DT_f32: return (double)((const float *)data)[i];
    case DT_f64: return ((const double *)data)[i];
    case DT_i32: return ((const int32_t *)data)[i];
    case DT_i16: return ((const int16_t *)data)[i];
    case DT_i8: return ((const int8_t *)data)[i];
    default: return ((const uint8_t *)data)[i];
    }
}

static int64_t sample_elements(const DataArray *f)
{
    return (int64_t)f->sample_bytes / dtype_size(f->dtype);
}

double dataset_value(const Dataset *ds, int field, bool test, int64_t sample, int64_t element)
{
    const DataArray *f = &ds->field[field];
    return value_at(test ? f->test : f->train, f->dtype, sample * sample_elements(f) + element);
}

bool dataset_range(const Dataset *ds, int field, bool test, double *lo, double *hi)
{
    const DataArray *f = &ds->field[field];
    const void *data = test ? f->test : f->train;
    int64_t n = sample_elements(f) * (test ? ds->test_count : ds->count);
    if (n == 0 || !data)
        return false;
    *lo = INFINITY;
    *hi = -INFINITY;
    if (f->dtype == DT_u8 || f->dtype == DT_bool) { /* many, and seldom anything else */
        const uint8_t *p = data;
        uint8_t least = 255, most = 0;
        for (int64_t i = 0; i < n; i++) {
            least = p[i] < least ? p[i] : least;
            most = p[i] > most ? p[i] : most;
        }
        *lo = least;
        *hi = most;
        return true;
    }
    for (int64_t i = 0; i < n; i++) {
        double v = value_at(data, f->dtype, i);
        *lo = v < *lo ? v : *lo;
        *hi = v > *hi ? v : *hi;
    }
    return true;
}

bool dataset_check_classes(const Dataset *ds, Diag *d, Span at, int field, int64_t nclass)
{
    const DataArray *f = &ds->field[field];
    int64_t each = sample_elements(f);
    for (int part = 0; part < 2; part++) {
        const void *data = part ? f->test : f->train;
        int64_t n = each * (part ? ds->test_count : ds->count);
        for (int64_t i = 0; data && i < n; i++) {
            double v = value_at(data, f->dtype, i);
            if (!(v >= 0 && v < (double)nclass && v == floor(v)))
                return error_at(d, at,
                                "%s of %s sample %lld is %.9g, and a whole number from 0 to %lld "
                                "is needed",
                                f->name, part ? "test" : "training", (long long)(i / each), v,
                                (long long)nclass - 1);
        }
    }
    return true;
}

static bool check_finite(const Dataset *ds, Diag *d, const DataArray *f, bool test)
{
    const void *data = test ? f->test : f->train;
    int64_t each = sample_elements(f), n = each * (test ? ds->test_count : ds->count);
    for (int64_t i = 0; i < n; i++) {
        double v = value_at(data, f->dtype, i);
        if (!isfinite(v))
            return error_at(d, ds->state->at, "element %lld of %s of %s sample %lld is %s",
                            (long long)(i % each), f->name, test ? "test" : "training",
                            (long long)(i / each),
                            isnan(v) ? "not a number" : v > 0 ? "infinite" : "minus infinity");
    }
    return true;
}

/* ---- opening and loading ---- */

static Dataset *dataset_new(Arena *a, const Reader *r, Span at)
{
    Dataset *ds = NEW(a, Dataset);
    ds->reader = r->name;
    ds->class_field = -1;
    ds->state = NEW(a, struct DatasetState);
    *ds->state = (struct DatasetState){.arena = a, .reader = r, .at = at};
    return ds;
}

/* Fields need names of their own and samples that are something. */
static bool check_fields(const Dataset *ds, Diag *d, Span at)
{
    if (ds->count == 0)
        return error_at(d, at, "the data set is empty: %s found no training samples", ds->reader);
    for (int i = 0; i < ds->nfield; i++) {
        const DataArray *f = &ds->field[i];
        if (f->sample_bytes == 0)
            return error_at(d, at, "field '%s' has samples of shape %s, which hold nothing",
                            f->name, dims_text(d->arena, f->rank, f->dim));
        if (dataset_field(ds, f->name) != i)
            return error_at(d, at, "two fields would be named '%s'", f->name);
    }
    return true;
}

static Dataset *open_with(Opening *o, const Reader *r)
{
    o->ds = dataset_new(o->a, r, o->at);
    if (o->cache)
        dataset_use_cache(o->ds, o->cache);
    if (r->params && !bind_args(o, r))
        return NULL;
    if (r->open(o) && check_fields(o->ds, o->d, o->at))
        return o->ds;
    dataset_close(o->ds);
    return NULL;
}

Dataset *dataset_open(Arena *a, Diag *d, Span at, const DataPlaces *places, const char *reader,
                      const DataArg *args, int nargs, const DataCache *cache)
{
    const Reader *r = find_reader(reader);
    if (!r) {
        int n;
        const char *const *names = dataset_readers(&n);
        const char *near = nearest_name(reader, names, n);
        if (near)
            error_at(d, at, "there is no reader '%s'; did you mean '%s'?", reader, near);
        else
            error_at(d, at, "there is no reader '%s'; there are mnist, idx, csv, npy, npz, "
                            "digits and generate", reader);
        return NULL;
    }
    Opening o = {.a = a, .d = d, .at = at, .places = places, .args = args, .nargs = nargs,
                 .cache = cache};
    return open_with(&o, r);
}

Dataset *dataset_made(Arena *a, Diag *d, Span at, const DataMaker *maker, const DataArg *args,
                      int nargs)
{
    Opening o = {.a = a, .d = d, .at = at, .maker = maker, .args = args, .nargs = nargs};
    return open_with(&o, &reader_generate);
}

bool dataset_load(Dataset *ds, Diag *d)
{
    if (ds->loaded)
        return true;
    struct DatasetState *s = ds->state;
    bool kept = decoded_get(ds), ok = kept || s->reader->load(ds, d);
    arena_free(s->packed);
    s->packed = NULL;
    if (!ok)
        return false;
    for (int i = 0; !kept && i < ds->nfield; i++)
        if (dtype_is_float(ds->field[i].dtype))
            for (int part = 0; part < 2; part++)
                if (!check_finite(ds, d, &ds->field[i], part))
                    return false;
    if (ds->class_field >= 0 && ds->nclass > 0 &&
        !dataset_check_classes(ds, d, ds->state->at, ds->class_field, ds->nclass))
        return false;
    ds->loaded = true;
    return true;
}

void dataset_close(Dataset *ds)
{
    cache_unmap(&ds->state->map);
    arena_free(ds->state->packed);
    ds->state->packed = NULL;
}
