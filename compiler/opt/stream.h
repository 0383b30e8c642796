/* One step of a model of sequences, for streams.
 *
 * The whole-sequence graph computes outputs from sequences [N, T, ...]. Its
 * step takes one time step of each sequence, [N, 1, ...], and what the model
 * remembers of those before (ROLE_state), and gives the outputs that the whole
 * function gives for the sequence so far, to the bit, and the new state.
 */
#ifndef WEFT_STREAM_H
#define WEFT_STREAM_H

#include "ir/contract.h"
#include "ir/graph.h"

typedef struct {
    Graph *step;       /* its ROLE_state inputs and outputs have the same names, in one order */
    Graph *reset;      /* the state before the first step: ROLE_state outputs, for N streams;
                          inputs: the parameters and buffers that this depends on */
    int *input_axis;   /* by step->inputs: the axis of time, of extent 1; -1: none */
    int *output_axis;  /* by step->outputs, the same */
    Dim length;        /* a block's run-time number of steps, once stream_block made one */
} Stream;

/* The step of an inference graph, in g's arena; g stays as it is. Reports at the
 * layer's place what cannot be had step by step, and returns false. */
bool stream_make(Graph *g, Diag *d, Stream *out);

/* A run-time number of steps in one graph: sequences [N, length, ...] in, [N, length, ...]
 * out, also of outputs that the step has without time. Fills s->length. */
Graph *stream_block(Stream *s);

/* ---- between the files of the pass ---- */

/* How a node of the whole-sequence graph moves with time. */
typedef struct {
    int axis;          /* of time; -1: it has none, or is a value of the newest step */
    int64_t shift;     /* at step t (from 0) its newest element has index t + shift, shift >= 0 */
    int64_t depth;     /* so many steps before the newest are read */
    bool varies;       /* depends on an input of the model or on a state */
    bool late;         /* depends on the last of all steps: without time, of the newest so far */
    bool walks;        /* a scan over time */
} Motion;

typedef struct {
    Graph *g;
    Diag *diag;
    Arena *scratch;
    Motion *at;        /* by node id */
    Dim steps;         /* extent of time */
    const char *input; /* that has it */
    bool failed;
} Flow;

/* stream_flow.c: fills f->at for all of f->g; false after a report. */
bool stream_flow(Flow *f);
/* Reports at n's place, once; returns false. */
bool stream_fails(Flow *f, const Node *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The axis of operand k that is the result's axis `axis`, -1 when there is none
 * of its extent. */
int stream_axis(const Node *n, int k, int axis);
/* The node in whose past n's lies: through slices and padding along time. */
Node *stream_source(const Flow *f, Node *n);
/* Operand o of term t of a product moves with time along `axis`: how many steps
 * before an output's own the window reaches back, the label of the output's time,
 * -1 where steps are summed, and the label's coefficient. */
int64_t stream_reach(const Node *n, const Contract *c, int t, int o, int axis, int *label,
                     int *stride);
/* How many steps behind its newest element the operand is read, window aside. */
int64_t stream_delay(const Flow *f, const Node *n, int k);

/* stream.c: n's operation on operands in another graph; a scan's body is copied. */
Node *stream_copy(Graph *to, const Node *n, Node *const *in);

#endif
