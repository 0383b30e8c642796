/* Job: what a command works on: a model file or run folder, its data, its
 * weights, and what the command line says about them. */
#ifndef WEFT_JOB_H
#define WEFT_JOB_H

#include "dataset.h"
#include "driver/engine.h"
#include "driver/options.h"
#include "driver/passes.h"
#include "driver/store.h"
#include "run.h"
#include "sema/sema.h"

typedef struct Loader Loader;
typedef struct MemoryChoice MemoryChoice;

typedef struct {
    Arena *arena;
    Diag *diag;
    const Options *options;
    double started;           /* system_seconds when the process began */
    Stages *stages;           /* --time-start: what the start is made of; else null */
    PassOptions passes;
    const char *path;         /* as the user gave it; null before job_open */
    const Run *run;           /* where path is a run folder */
    Session *session;
    Unit *unit;
    Arena *data_arena;        /* of the data set alone: it may be read by another thread */
    Dataset *data;            /* null: no data block, or only its recorded facts are known */
    DataPlaces places;
    Loader *loader;
    const Cache *cache;       /* of compiled code; null: none */
    DataCache data_cache;     /* of samples once made; its cache null: none */
    bool cache_known;
    int compiled;             /* programs that did not come from there */
    const MemoryChoice *memory; /* of --memory-limit; null: none yet */
    bool json, quiet;
    int threads;              /* as asked, 0: all */
} Job;

/* Reads the common options. */
bool job_begin(Job *j);

/* Opens FILE.model or a run folder; `real` is the float type. With
 * `facts_suffice`, a run folder's recorded facts stand in for data that cannot
 * be found. Reports and returns false. */
bool job_open(Job *j, const char *path, Dtype real, bool facts_suffice);
/* The float type of --dtype, else what a run folder at path was trained in, else f32. */
bool job_dtype(Job *j, const char *path, Dtype *real);

/* The facts of the data block as text, for a run's description; null: none. */
char *job_data_facts(const Job *j, Arena *a);
/* Absolute path of the folder where the model's relative data paths begin. */
char *job_model_dir(const Job *j, Arena *a);

/* Begins to read the samples in a thread of its own; job_data waits for it (or
 * reads now). Reports at the data block and returns false; also when there are no data. */
void job_load_data(Job *j);
bool job_data(Job *j);
/* Where samples are kept; null: nowhere. */
const DataCache *job_data_cache(Job *j);
/* Waits for the threads and frees the data. */
void job_end(Job *j);

/* Binds all ROLE_data ports to the fields of a part of the data. */
void job_bind_data(const Job *j, Engine *e, bool test);
/* Values of the run-time lengths of g when fed with the data; false after a report. */
bool job_lengths(const Job *j, const Graph *g, int64_t lengths[SYM_MOST]);
/* Reports labels that a graph's one_hot or Embedding cannot take. */
bool job_check_labels(const Job *j, const Graph *g);

/* The caches that the options name, once; warns where they cannot be used. */
void job_open_caches(Job *j);
/* How code is made or found for this job: through the cache that the options name. */
CodeOptions job_code(Job *j);
/* An engine for a pipeline of the unit. *stopped: --stop-after was reached. */
Engine *job_engine(Job *j, Pipeline which, bool *stopped);

/* The weights file for a command: --weights, else the run's average, else best (unless early
 * stopping was told not to restore them), else last.
 * Null after a report. */
const char *job_weights_path(Job *j);
/* Reads parameters and buffers; warns where the model's definitions have changed since. */
bool job_read_weights(Job *j, Store *s, const char *path);

/* pack.c: is it a file of weft pack, and its tensors for the parameters and buffers of the store
 * (null after a report). */
bool pack_is(const char *path);
Weights *pack_read(Job *j, const Store *s, const char *path);

/* Hash of the model's expanded definitions in hexadecimal. */
char *job_hash(const Job *j, Arena *a);

/* The data set of generate(...), whose fields are the outputs of g; null after a report. */
Dataset *job_generate(Job *j, Diag *d, Span at, const Graph *g, const DataArg *args, int nargs);

/* Fits the data block's standardize() to the first `samples` training samples: fills their
 * buffers in the store, which is initialised. */
bool job_fit(Job *j, Store *s, int64_t samples);

/* Scalars (step, epoch, seed, ...) of an engine: memory bound, set by name. */
typedef struct { Arena *arena; LIST(void *) memory; LIST(const Port *) port; } Scalars;
void scalars_bind(Arena *a, Scalars *s, Engine *e);
void scalars_set(Scalars *s, const char *name, double v); /* nothing when there is none */

extern const char weft_version[];

/* The commands. Each gives the process's exit code, messages left in the diag. */
#define COMMAND(name, ...) int command_##name(Job *j);
#include "driver/command.def"

#endif
