/* The pass runner: from a unit to an optimised graph.
 *
 * Every pass is a row of pass.def and runs between the same brackets: are its
 * needs met, run, time, note the facts, verify the whole graph, dump, stop.
 * What fails verification is a mistake of ours and names the pass.
 */
#ifndef WEFT_PASSES_H
#define WEFT_PASSES_H

#include "driver/options.h"
#include "opt/opt.h"
#include "opt/stream.h"
#include "sema/sema.h"

typedef enum {
#define PASS(name, ...) PASS_##name,
#include "driver/pass.def"
    NPASS
} Pass;

typedef enum { ROUND_exact, ROUND_reassociates, ROUND_extends } Rounding;
typedef struct {
    const char *name, *doc;
    unsigned needs, gives, breaks;
    Rounding rounding;
} PassInfo;
extern const PassInfo pass_info[NPASS];

/* Of an inference graph: all of it, one time step, or a run-time number of them. */
typedef enum { STREAM_no, STREAM_step, STREAM_block } Streaming;

/* The loops that pass segment saw before it changed them. */
typedef struct {
    int n;
    SegmentLoop loop[SEGMENT_LOOPS];
} SegmentsFound;

/* What the command line asks of the runner. */
typedef struct {
    unsigned disabled;       /* bit by Pass */
    int dump, dump_run;      /* Pass, NPASS: after each, -1: none; which run of it, 0: each */
    int stop, stop_run;      /* Pass, or -1 */
    bool time;
    bool check_bits;         /* prove that exact passes are */
    Layout layout;           /* for pass layout */
    const Segment *segment;  /* nsegment of them, for pass segment; null: loops stay whole */
    int nsegment;
    SegmentsFound *found;    /* filled in by pass segment where it is not null */
    int64_t rows;            /* of the batches expected; 0: the train block's batch_size */
    Quantize *quantize;      /* null: floats; of pipelines without a gradient */
    const char *const *watch; /* for the pipeline watch: nwatch names */
    int nwatch;
    Streaming streaming;     /* for the pipelines predict and serve */
    Stream *stream;          /* filled then */
} PassOptions;

/* Reads --dump-after, --stop-after, --disable, --time-passes, --check-bits. */
bool pass_options(Arena *a, Diag *d, const Options *o, PassOptions *p);

/* Before a parameter's name in PassOptions.watch: its gradient. */
#define WATCH_gradient "gradient/"

typedef enum {
    PIPELINE_step,      /* a training step: loss, metrics, new parameters */
    PIPELINE_evaluate,  /* loss and metrics */
    PIPELINE_predict,   /* model inputs to results */
    PIPELINE_serve,     /* raw fields to results */
    PIPELINE_prepare,   /* raw fields to the model's inputs */
    PIPELINE_watch,     /* what PassOptions.watch names of a step's tensors and gradients */
    PIPELINE_gradient   /* loss and ROLE_grad outputs, not optimised: for gradcheck */
} Pipeline;

/* Builds and optimises a graph. Null after a report; also when --stop-after
 * was reached: then *stopped is set and the graph was printed to stdout. */
Graph *pipeline_run(Unit *u, Pipeline which, const PassOptions *p, bool *stopped);

/* Runs one pass that is a function of the graph alone (simplify, concat, sink,
 * defer) between the runner's brackets; for tests. */
void pass_apply(Pass pass, Graph *g);

#endif
