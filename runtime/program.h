/* What compiled code and the executor agree on. Compiled functions take one
 * argument, the Frame of the thread that runs them. */
#ifndef WEFT_PROGRAM_H
#define WEFT_PROGRAM_H

#include "executor.h"

enum { LOOPS_MOST = 32 };

/* Read and written by compiled code as an array of 8-byte words. */
typedef struct {
    int64_t n;               /* rows of the batch */
    int64_t row0, rows;      /* the block: its first row, how many are real */
    int64_t first;           /* 1: the first block of its shard */
    int64_t ends;            /* set by compiled code: the block is its shard's last, an ENDS_ */
    int64_t unit;            /* parameter phase: which chunk */
    int64_t shards;
    const int64_t *order;    /* row -> sample, null: the same */
    const int64_t *lengths;  /* by symbol */
    int64_t t[LOOPS_MOST];   /* a loop's index */
    int64_t count[LOOPS_MOST]; /* steps it has made */
    ProfileEvent *log;       /* of profiled code: where calls are noted, log_most + 1 events */
    int64_t log_count;       /* calls since the step began, noted or not */
    int64_t log_most;
    char *buffer[];
} Frame;

enum { FRAME_n, FRAME_row0, FRAME_rows, FRAME_first, FRAME_ends, FRAME_unit, FRAME_shards,
       FRAME_order, FRAME_lengths, FRAME_t, FRAME_count = FRAME_t + LOOPS_MOST,
       FRAME_log = FRAME_count + LOOPS_MOST, FRAME_log_count, FRAME_log_most, FRAME_buffer };

enum { ENDS_none, ENDS_first, ENDS_later }; /* no shard; the batch's first; another */

typedef void (*KernelFn)(Frame *);

typedef enum { STORE_port, STORE_worker, STORE_block, STORE_shard, STORE_shared } StoreKind;

typedef struct {
    StoreKind kind;
    int port;              /* STORE_port */
    int64_t unit;          /* bytes of an element (times lanes and slots) */
    int ndim;
    Dim dim[RANK_MOST];    /* its extents; bytes = unit * product, rounded up to 64 */
    int first, last;       /* times between which it is in use; -1: never. Of a worker's
                              they are steps, of the others barriers */
} StoreInfo;

typedef struct {
    const char *name;
    KernelFn run;
    int64_t units;         /* chunks, each a call */
    int level;
    int64_t code;          /* where its function begins in the image (code.h) */
    int number;            /* of its kernel; a row phase's function has many: -1 */
} Task;

typedef struct {
    bool rows;             /* run once a block: task[0] */
    int ntask, nlevel;
    Task *task;
} ProgramPhase;

struct Program {
    const char *target;           /* what the code, and so the bits, were made for */
    int nport, nstore, nphase;
    int block;                    /* rows that the code takes at once */
    int loss_port;                /* -1: none */
    int loss_phase, loss_level;   /* behind which it is known, and decides about updates */
    Port *port;
    StoreInfo *store;
    ProgramPhase *phase;
    int nkernel;                  /* described when profiled, else 0 */
    ProfileKernel *kernel;
    void (*release)(void *owner); /* frees what owns code and tables */
    void *owner;
    struct ProgramState *state;   /* the executor's */
};

/* Of a prepared program: its threads and the frame of each. */
int program_threads(const Program *p);
Frame *program_frame(const Program *p, int thread);

/* Notes a call that began at `start` and ends now in a frame that has a log. Compiled code
 * does the same. */
static inline void profile_note(Frame *f, int64_t kernel, int64_t start)
{
    int64_t at = f->log_count < f->log_most ? f->log_count : f->log_most;
    f->log[at] = (ProfileEvent){kernel, start, profile_cycles()};
    f->log_count++;
}

#endif
