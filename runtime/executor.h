/* Programs and their execution by threads.
 *
 * A Program is compiled code with the description of its buffers and phases.
 * The caller binds memory to its ports (parameters and slots are updated in
 * place), prepares it for a number of rows, lengths and threads, and runs it
 * batch by batch. The result's bits depend on neither threads nor batch order
 * of blocks: see ir/contract.h for the order of sums.
 */
#ifndef WEFT_EXECUTOR_H
#define WEFT_EXECUTOR_H

#include "base/type.h"

#include <stddef.h>

typedef struct Program Program;

typedef struct {
    Role role;
    const char *name;
    Dtype dtype;
    Shape shape;       /* N first for per-sample ports */
    bool is_output;    /* an updated parameter is one port, input and output */
    bool is_input;
} Port;

int program_nport(const Program *p);
const Port *program_port(const Program *p, int i);
/* "x86-64 znver4 avx512": what the code was made for, and its bits are promised for. */
const char *program_target(const Program *p);
/* The port's index, -1 when the program has none of that role and name. */
int program_find(const Program *p, Role role, const char *name);

/* Memory of a port, row-major. ROLE_data: all samples of the data set, row r
 * at r * bytes of one sample; ROLE_metric, ROLE_result: at least `rows` rows;
 * ROLE_scalar: one element. Not owned. */
void program_bind(Program *p, int port, void *memory);

/* Plans and allocates for batches of up to `rows` rows (no more than it
 * was compiled for) with the given lengths
 * (lengths[SYM_length + i]; null when the program has none). threads 0: as many
 * as the affinity mask and cgroup allow. Returns false when memory is short. */
bool program_prepare(Program *p, int64_t rows, const int64_t *lengths, int threads);

/* Runs one batch of n rows: row i of the batch is sample order[i] of the data
 * ports (order null: sample i). When the loss is not finite, nothing is
 * updated and false is returned. */
bool program_run(Program *p, int64_t n, const int64_t *order);

/* Bytes of workspace for the prepared sizes; before prepare, 0. */
size_t program_bytes(const Program *p);
/* What each thread has of it; the rest, program_bytes - threads * this, is common. */
size_t program_worker_bytes(const Program *p);
/* Barriers of one run. */
int program_barriers(const Program *p);

/* ---- profiling: of programs compiled for it ---- */

/* A call of a kernel, or a wait for other threads, in the processor's cycles. */
typedef struct { int64_t kernel, start, end; } ProfileEvent;
enum { PROFILE_wait = -1 };

/* What a kernel is, and what a step's calls of it do together. */
typedef struct {
    const char *name;      /* of its function: k4_lstm */
    const char *what;      /* its operations: "4 contract, 3 sigmoid, 2 tanh" */
    const char *file;      /* "" when no place is known */
    int line;
    double products;       /* 2 a multiply-add */
    double arithmetic;     /* 1 an element of other operations */
    double functions;      /* values of exp, log, tanh, sigmoid and their like */
    double bytes;          /* of values read and written, each once a call */
    double call_bytes;     /* the same of one call */
} ProfileKernel;

/* The kernels of a step by number; 0 for a program that was not compiled for profiling. */
int program_kernels(const Program *p, const ProfileKernel **kernels);
/* A step of all threads: its beginning and end in cycles, and how long that took. */
typedef struct { int threads; int64_t begin, end; double seconds; } ProfileStep;
/* Runs a batch like program_run, with its events noted; more than once while there is no
 * place for all of them (so the first time). False when memory is short or the loss is not
 * finite. */
bool program_profile(Program *p, int64_t n, const int64_t *order, ProfileStep *step);
/* What a thread did in the last profiled step, in order of time; valid until the next. */
const ProfileEvent *program_events(const Program *p, int thread, int64_t *count);
/* Reads the counter that events are stamped with. */
int64_t profile_cycles(void);
/* What noting a call costs, in cycles: the mean of many. */
double profile_cost(void);
void program_free(Program *p);

#endif
