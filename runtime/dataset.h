/* Data sets: named fields of samples in memory, as stored (bytes stay bytes).
 *
 * dataset_open looks at arguments and headers and knows fields, shapes and counts;
 * dataset_load brings the samples. Conversion to float happens in compiled code, batch by
 * batch.
 *
 *   mnist(dir)                       image u8 [28, 28], label u8; train and test; 10 classes
 *   idx(images=, labels=, test_images=, test_labels=)   IDX or IDX.gz of any rank and type
 *   csv(path, target=, columns=[], header=, separator=, missing=, test=)
 *   npy(x, y, ..., test_<name>=)     one .npy file a field: npy(x="a.npy", y="b.npy")
 *   npz(path, test=)                 one field an array
 *   digits(train=60000, test=10000, seed=1, size=28)    generated handwriting
 *   generate(count, test=0, seed=0)  made by the caller's function: dataset_made
 */
#ifndef WEFT_DATASET_H
#define WEFT_DATASET_H

#include "base/diag.h"
#include "base/type.h"
#include "cache.h"
#include "system.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An argument of a reader, as the user wrote it. Same layout and order of kinds as
 * sema's ReaderArg, which runtime/ may not include. */
typedef enum { DATA_number, DATA_text, DATA_bool, DATA_list_text, DATA_list_number } DataArgKind;
typedef struct {
    const char *name; /* null when positional */
    Span span;
    DataArgKind kind;
    double number;    /* also of a bool: 0 or 1 */
    const char *text;
    int n;
    const double *numbers;
    const char *const *texts;
} DataArg;

typedef struct {
    const char *name;
    Dtype dtype;
    int rank;                /* of one sample */
    int64_t dim[RANK_MOST];
    size_t sample_bytes;
    const void *train;       /* count samples, row-major; null until dataset_load */
    const void *test;        /* test_count samples */
} DataArray;

typedef struct Dataset {
    const char *reader;      /* "mnist" */
    int nfield;
    DataArray *field;
    int64_t count, test_count;   /* samples; test_count 0: no test part */
    int nclass;              /* 0: unknown */
    const char *const *classes;  /* nclass names */
    int class_field;         /* which field they name; -1: none */
    bool loaded;
    struct DatasetState *state;  /* the reader's own */
} Dataset;

/* Where samples that took time to make are kept; `build` names the program. */
typedef struct { const Cache *cache; const char *build; } DataCache;

/* Checks the arguments, finds the files, reads their headers (of a CSV file: all of it, or what is
 * kept of it in the cache; null: none). Everything lives in a. Reports at `at`, or at an
 * argument's span, and returns null. */
Dataset *dataset_open(Arena *a, Diag *d, Span at, const DataPlaces *places, const char *reader,
                      const DataArg *args, int nargs, const DataCache *cache);

/* What makes the samples of generate(count, test=, seed=): fields by name, type and shape of a
 * sample; `make`, which several threads may call, writes rows (block, rows beginning at
 * block * 1024) of every field to to[field]. */
typedef struct {
    int nfield;
    const DataArray *field;
    void (*make)(void *context, int64_t seed, bool test, int64_t block, int64_t rows,
                 void *const *to);
    void *context;
    const char *recipe;      /* what decides the samples, beside count, test and seed */
} DataMaker;

/* The same for the reader `generate`; the maker must live as long as the data set. */
Dataset *dataset_made(Arena *a, Diag *d, Span at, const DataMaker *maker, const DataArg *args,
                      int nargs);

/* Samples that take time to make (inflated, drawn, computed) are kept in `cache`, decoded, and
 * come from there the next time: the key is the content of their files and all that decides
 * them, `build` among it, which names the program. For dataset_load; all live as long as ds. */
void dataset_use_cache(Dataset *ds, const DataCache *cache);
/* Keeps the samples there, if they were made anew: after dataset_load, by any one thread. */
void dataset_keep(const Dataset *ds);
/* Whether that is where the samples came from. */
bool dataset_from_cache(const Dataset *ds);
/* Gives back what is not in the arena; then the samples are gone. */
void dataset_close(Dataset *ds);

/* Reads or generates the samples of both parts; checks labels, NaN and infinity. Does nothing
 * when done already. May run in a thread of its own as long as nobody else uses the arena and
 * the diag. Reports and returns false. */
bool dataset_load(Dataset *ds, Diag *d);

/* A single file for `predict`: recognised by its first bytes (IDX, IDX.gz, NPY, PNG) or else
 * read as CSV with numbers only; one field, named `field`. A PNG is one sample u8 [h, w] or
 * [h, w, 3]; see image.h to fit it. Loaded. Path as the user gave it, relative to here. */
Dataset *dataset_open_file(Arena *a, Diag *d, Span at, const char *path, const char *field);

/* Index of a field by name, -1 when there is none. */
int dataset_field(const Dataset *ds, const char *name);
/* Bytes of all samples, of both parts. */
size_t dataset_bytes(const Dataset *ds);

/* Element e of sample i as a double. */
double dataset_value(const Dataset *ds, int field, bool test, int64_t sample, int64_t element);
/* Smallest and largest element of a loaded part; false when it is empty. */
bool dataset_range(const Dataset *ds, int field, bool test, double *lo, double *hi);
/* Reports the first sample of either part whose element is not an integer in [0, nclass):
 * for labels that go into one_hot or a sparse loss. */
bool dataset_check_classes(const Dataset *ds, Diag *d, Span at, int field, int64_t nclass);

/* All readers' names, for suggestions and help. */
const char *const *dataset_readers(int *n);
/* Signature, arguments and fields of a reader, for people; null when there is none so named. */
char *dataset_reader_help(Arena *a, const char *name);
/* The reader's parameter that positional argument `index` fills; null when it has none. */
const char *dataset_reader_param(const char *name, int index);

#endif
