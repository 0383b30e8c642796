/* What the readers of data sets share. Not for use outside runtime/. */
#ifndef WEFT_READER_H
#define WEFT_READER_H

#include "dataset.h"

/* A parameter of a reader: positional arguments fill them in order. */
typedef struct {
    const char *name;
    unsigned kinds;      /* bits 1 << DATA_...; lists are also taken as one element */
    bool required;
    const char *standard;  /* what counts when it is left out, as written; null: nothing does */
    const char *doc;
} ReaderParam;

enum {
    TAKES_number = 1 << DATA_number,
    TAKES_text = 1 << DATA_text,
    TAKES_bool = 1 << DATA_bool,
    TAKES_texts = 1 << DATA_text | 1 << DATA_list_text
};

enum { READER_PARAMS_MOST = 12 };

typedef struct {
    Arena *a;
    Diag *d;
    Span at;                    /* of the reader's name */
    const DataPlaces *places;
    const DataCache *cache;     /* null: none, or not yet */
    const DataMaker *maker;     /* of generate; null for all others */
    const DataArg *args;        /* as given: for readers without a list of parameters */
    int nargs;
    const DataArg *bound[READER_PARAMS_MOST]; /* by parameter; null: not given */
    Dataset *ds;
} Opening;

typedef struct {
    const char *name;
    const ReaderParam *params;  /* null: the reader looks at args itself */
    int nparam;
    const char *doc;            /* for help: what it reads, and which fields that gives */
    const char *fields;
    bool (*open)(Opening *o);
    bool (*load)(Dataset *ds, Diag *d);
} Reader;

struct DatasetState {
    Arena *arena;
    const Reader *reader;
    Span at;
    void *own;                  /* of the reader, from open to load */
    Arena *packed;              /* what is no longer needed after load; may be null */
    /* What decides the samples: set by open where making them takes time, see decoded.c */
    const char *recipe;         /* null: they are not kept */
    const char *source[4];      /* files whose content does; null-ended unless full */
    const Cache *cache;         /* where samples once made are kept; null: nowhere */
    const char *build;
    bool whole;                 /* what is kept holds all that open finds, not samples alone */
    CacheKey key;
    bool keyed;                 /* there is a key: the samples come from there, or can be kept */
    bool *load_makes;           /* by field: left to load by open */
    CacheMap map;               /* samples that came from there */
};

extern const Reader reader_mnist, reader_idx, reader_csv, reader_npy, reader_npz, reader_digits,
                    reader_generate;

/* The argument's integer, `otherwise` when it was not given. Reports one out of range. */
bool opening_integer(Opening *o, int param, int64_t lo, int64_t hi, int64_t otherwise,
                     int64_t *value);
/* The file of a text argument, found in the data folders; reports and returns null. */
const char *opening_find(Opening *o, const DataArg *arg, const char *what,
                         const char *const *suffixes, int nsuffix);
/* A new field of the data set; its arrays come later. */
DataArray *opening_field(Opening *o, const char *name, Dtype dtype, int rank, const int64_t *dim);
/* The names "0" ... "n-1". */
const char *const *number_names(Arena *a, int n);
/* A name that can be written in a model: other characters become '_'. */
char *identifier(Arena *a, const char *name, size_t n);
/* "[28, 28]"; "a number" for rank 0. */
const char *dims_text(Arena *a, int rank, const int64_t *dim);

/* Product of dims and element size; false when it overflows or a dim is negative. */
bool shape_bytes(int rank, const int64_t *dim, size_t element, size_t *bytes);
/* False after a report when `bytes` are more than the machine has free. */
bool memory_suffices(Diag *d, Span at, const char *path, size_t bytes);

/* ---- samples once made: decoded.c ---- */

/* The samples from the cache: fills the fields that open left empty. False where there is no
 * cache, nothing in it, or too little to be kept. */
bool decoded_get(Dataset *ds);
/* For an open that must read everything to know anything, once the recipe and sources are set: the
 * whole data set from the cache, fields, counts and classes with the samples. False where it is
 * not there; what open then finds is kept. */
bool decoded_open(Dataset *ds);

/* ---- one file ---- */

typedef struct { int rank; int64_t dim[RANK_MOST]; Dtype dtype; const void *data; } Loaded;

/* IDX, plain or compressed: header, then samples. */
typedef struct {
    const char *path;
    Span at;
    int code;                   /* 0x08 u8, 0x09 i8, 0x0B i16, 0x0C i32, 0x0D f32, 0x0E f64 */
    Dtype dtype;                /* as kept: i8 becomes i16 */
    int rank;                   /* with the samples' axis */
    int64_t dim[RANK_MOST];
    bool compressed;
} IdxFile;
bool idx_open(Arena *a, Diag *d, Span at, const char *path, IdxFile *f);
const void *idx_load(Arena *a, Diag *d, const IdxFile *f);

/* NPY: header text (behind the magic) to dtype and shape, then bytes to elements. */
typedef struct {
    const char *path, *member;  /* member: array of an npz, or null */
    Span at;
    char kind;                  /* 'f', 'i', 'u', 'b' */
    int size;                   /* bytes of a stored element */
    bool swapped, fortran;
    Dtype dtype;                /* as kept */
    int rank;
    int64_t dim[RANK_MOST];
    size_t header, bytes;       /* of the header with magic, and of the elements behind it */
} NpyFile;
/* From the first bytes of the array, at least 10 of them; *need is the header's size when more
 * are wanted. Reports and returns false. */
bool npy_header(Arena *a, Diag *d, NpyFile *f, const uint8_t *at, size_t size, size_t *need);
/* Converts f->bytes stored bytes to elements in C order. Reports i64 that do not fit. */
const void *npy_convert(Arena *a, Diag *d, const NpyFile *f, const uint8_t *stored);
bool npy_open(Arena *a, Diag *d, Span at, const char *path, NpyFile *f);
const void *npy_load(Arena *a, Diag *d, const NpyFile *f);

/* A CSV file at `path` of numbers alone, as the field `features`; for prediction. */
Dataset *csv_open_numbers(Arena *a, Diag *d, Span at, const char *path);

#endif
