/* What targets.c writes about the programs of an object, and run.c reads on the
 * target: Program without its strings. */
#ifndef WEFT_TARGETS_RUN_H
#define WEFT_TARGETS_RUN_H

typedef struct { void (*run)(void *); int units, level; } TargetTask;
typedef struct { int rows, ntask, nlevel; const TargetTask *task; } TargetPhase;
/* kind: StoreKind; bytes of one block or shard, of all of them; offset in its region. */
typedef struct { int kind, port; unsigned size, offset; } TargetStore;
/* value: 4-byte words that it begins with, null for zeros. */
typedef struct { const unsigned *value; unsigned bytes; int is_output; } TargetPort;

typedef struct {
    int n, block, per, shards;     /* rows, of a block, of a shard; shards */
    const long long *lengths;            /* by symbol */
    unsigned worker, common;             /* bytes of the regions */
    int nstore, nport, nphase, words;    /* words: of the frame before its buffers */
    const TargetStore *store;
    const TargetPort *port;
    const TargetPhase *phase;
} TargetCase;

extern const TargetCase target_cases[];
extern const int target_ncase;

/* Runs all cases; the bytes of every output, in order, go to `put`. */
void target_run(void (*put)(const void *, unsigned));

#endif
