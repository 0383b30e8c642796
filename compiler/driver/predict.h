/* Prediction: samples from files, fitted to a model's inputs, and what comes out. */
#ifndef WEFT_PREDICT_H
#define WEFT_PREDICT_H

#include "driver/job.h"

/* What is fed to one ROLE_data input: samples of the input's own shape and dtype. */
typedef struct {
    const char *name;
    Dtype dtype;
    Shape shape;          /* [N, ...] as the graph says */
    int64_t count;        /* samples so far */
    LIST(const Dataset *) files;
    LIST(const char *) paths;
    char *memory;         /* count samples, once gathered */
} Feed;

/* The model's answers for all samples. */
typedef struct {
    const char *name;
    Dtype dtype;
    int rank;             /* of one sample */
    int64_t dim[RANK_MOST];
    int64_t elements;
    char *memory;
} Answer;

/* Opens the files of the command line for the feeds; NAME=FILE or, for a sole
 * input, FILE. */
bool feeds_open(Job *j, Feed *feed, int n);
/* True when every file looks like what feed wants in its raw form: pictures,
 * text, or the same kind of number. */
bool feeds_are_raw(const Feed *feed, int n);
/* Fits files to the inputs: pictures scaled, flat rows shaped, numbers
 * converted; run-time lengths are found. Reports what does not fit. */
bool feeds_gather(Job *j, const Graph *g, Feed *feed, int n, int64_t lengths[SYM_MOST]);

/* Element i of memory of the dtype becomes v; false where it has no such value. */
bool feed_value(char *to, Dtype dtype, int64_t i, double v);

/* To --out, --json or a table on stdout. */
bool answers_write(Job *j, const Answer *answer, int n, int64_t count);

/* One after another to stdout, at once: lines of CSV below the names, or --json's. The
 * answers hold one sample, that of step `step`, counted from 1. */
void answers_begin(const Job *j, const Answer *answer, int n);
void answers_step(const Job *j, const Answer *answer, int n, int64_t step);

/* weft predict --stream, once the model is open: steps from stdin. */
bool predict_stream(Job *j, Store *store, bool *stopped);

#endif
