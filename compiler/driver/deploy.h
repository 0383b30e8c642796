/* weft compile: what goes into an object, and the files that tell of it. */
#ifndef WEFT_DEPLOY_H
#define WEFT_DEPLOY_H

#include "driver/job.h"
#include "driver/text.h"
#include "emit/object.h"

#include <jansson.h>

typedef struct {
    Job *job;
    Arena *arena;
    Unit *unit;
    ObjectSpec spec;
    const char *upper;          /* the name in capitals, for macros */
    Graph *init;
    Store *store;               /* the weights; null: none are given */
    bool train;
    int64_t batch;              /* the most rows of a call */
    int64_t time;               /* the most of a length without a bound; 0: not given */
    LIST(ObjectEntry) entries;
    LIST(ObjectTensor) tensors[NBLOB];
    LIST(ObjectTensor) sums;
    bool scales_rate;           /* learning_rate is a factor: the model has no single one */
    const char *const *figure;  /* names: loss, then metrics */
    int nfigure;
    const char *length_name[SYM_MOST];
} Deploy;

/* ---- deploy.c: entries ---- */

/* Memory that the model keeps, laid out; with values where weights are given. False after a
 * report. */
bool deploy_blobs(Deploy *d);
/* predict and, with --train, what trains. False after a report. */
bool deploy_entries(Deploy *d);
/* Bytes of workspace that every entry finds enough, of one worker. */
int64_t deploy_workspace(const Deploy *d);

/* ---- compile.c ---- */

/* Opens the command's one argument, after `check` (null: none) of what the options say. Null after
 * a report. */
Deploy *deploy_open(Job *j, bool (*check)(Deploy *));
/* Reads the weights that --weights or a run names. False after a report. */
bool deploy_weights(Deploy *d);
/* With --quantize: from here on, parameters of products are bytes. False after a report. */
bool deploy_quantize(Deploy *d);

/* ---- pack.c ---- */

/* The head of a file of the object's parameters (packed.h), its sum aside. The parameters are
 * not embedded: those have no place in a file. */
const uint8_t *pack_head(const Deploy *d);

/* ---- what its files share ---- */

/* The ports of a role, in the graph's order. */
int deploy_ports(Arena *a, const Graph *g, Role role, const Port **out);
/* Makes room for the graph's ROLE_state ports. */
void deploy_states(Deploy *d, const Graph *g);
/* Makes room for a tensor in memory of the caller's. */
ObjectTensor *deploy_tensor(Deploy *d, BlobKind kind, Role role, const char *name, Dtype dtype,
                            int rank, const int64_t *dim);
/* Takes out of a graph what comes from embedded parameters alone: it becomes parameters, whose
 * names begin with `name`. */
void deploy_derive(Deploy *d, Graph *g, const char *name);
/* deploy_stream.c: reset, step, run. */
bool deploy_stream(Deploy *d);
/* Bytes of a stream's state with the workspace of its entries; 0 without a stream. */
int64_t deploy_stream_bytes(const Deploy *d);
/* deploy_train.c: init, train_step, loss, figures. */
bool deploy_training(Deploy *d);

/* deploy_test.c: a self test; its outputs may be off by `tolerance` of the largest. The
 * parameters are embedded. */
void deploy_test(Deploy *d, double tolerance);

/* ---- form.c: the object written as a library; false after a report ---- */

bool form_static(Deploy *d, const char *path);
bool form_shared(Deploy *d, const char *path);
/* A WebAssembly module with every function exported, linked beside `dir`'s files. */
bool form_wasm(Deploy *d, const char *dir, Bytes *out);

/* ---- web.c: --web; false after a report ---- */

/* Does the rest of the command line go with --web? */
bool web_check(const Deploy *d);
/* The module, its loader with types, and a page. */
bool web_write(Deploy *d);

/* ---- size.c ---- */

/* --max-ram; false after a report. */
bool size_check(const Deploy *d);
/* A table, or with --json a line. */
void size_report(const Deploy *d);

/* ---- header.c ---- */

char *deploy_header(const Deploy *d);

/* ---- deploy_json.c ---- */

/* The value's text with jansson's flags, in the arena; takes the value. */
char *deploy_json(Arena *a, json_t *value, size_t flags);
/* Ports as NAME_info() tells of them. */
json_t *deploy_ports_json(const Deploy *d, const Port *p, int n);
/* The text of NAME_info(). */
char *deploy_info(const Deploy *d);
/* How an entry is called: {"arguments": kinds in their order, "in", "out": [{"name", "type": by
 * the table, "dims": extents of a row, "still": with steps, the same for all}]}. */
json_t *deploy_entry_json(const Deploy *d, const ObjectEntry *e, const char *const type[NDTYPE]);

/* python.c: the text of NAME.py, a class that calls the shared library. */
char *deploy_python(const Deploy *d, const char *library);

#endif
