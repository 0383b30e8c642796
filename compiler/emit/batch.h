/* A product over the batch while it is emitted: batch.c has its loops, batch_read.c its operands,
 * batch_tile.c the tile in memory. */
#ifndef WEFT_EMIT_BATCH_H
#define WEFT_EMIT_BATCH_H

#include "emit/emit.h"

enum { AHEAD_MOST = 8 };

typedef struct {
    const Step *s;
    const Node *n;
    Contract c;
    Dim extent[LABELS_MOST];
    Ix label[LABELS_MOST];
    int outer[LABELS_MOST], nouter;  /* summed labels but the rows, outermost first */
    int around;                      /* the first of them run around the tiles, not inside */
    bool down[LABELS_MOST];          /* of outer: from last to first */
    int keep[LABELS_MOST], nkeep;    /* the output's labels but s and, if any, the vector's */
    int fold;                        /* the last of them that the rows of a tile run through */
    int vector;                      /* label across the lanes, or -1 */
    int64_t m;                       /* its extent */
    V from, to;                      /* panel: rounds of outer[0] that it holds */
    V panel_row;                     /* panel: of this round's first row */
    V low, high;                     /* total: the kept label's range in this unit */
    V back;                          /* total: from the result to the unit's place in it */
    const Buffer *ahead[AHEAD_MOST]; /* total: what the nest will overwrite at the same elements */
    V turn[AHEAD_MOST];              /* 1: this shard fetches it */
    int nahead;
} Batch;

typedef struct { int rows, vectors, tail; V acc[64]; Ix m, k; } OutTile;

/* ---- batch_read.c: at the labels that are set ---- */
Node *batch_operand(const Batch *b, int o);
/* One row's element of an operand, as a scalar; in columns in all lanes. */
V batch_element(Emit *e, const Batch *b, int o, V row);
/* The same in all lanes; of two rows, in words (pair.c). */
V batch_splat(Emit *e, const Batch *b, int o, V row);
V batch_splat_pair(Emit *e, const Batch *b, int o, V row, V next);
/* `width` values of the operand across the lanes, at label m and this row. */
V batch_vector(Emit *e, const Batch *b, int o, V row, Ix m);

/* ---- batch.c ---- */
/* Position in the result, or in the unit's part of it, at the labels. */
Ix batch_out_linear(Emit *e, const Batch *b);
/* The kept labels at row r of the tile: the last one counts on, or several of which the tile
 * has all. */
void batch_set_row(Batch *b, const OutTile *t, int r);

/* ---- batch_tile.c ---- */
/* The rows of the result that are this call's, of a step with a total. */
void batch_enter_unit(Emit *e, Batch *b);
/* Vector i of the tile in memory; the mask (may be null) is for the last one of a row, which alone
 * can reach over the end. */
V tile_load(Emit *e, const OutTile *t, int i, LLVMTypeRef vector, V at, V mask);
void tile_store(Emit *e, const OutTile *t, int i, V value, V at, V mask);
/* The tile's sums so far: nothing in a shard's first block, else what lies at `at`. */
void tile_begin(Emit *e, OutTile *t, const V *at, V mask, LLVMTypeRef vector);
/* The tile at the end of a block: its shard's sums wait at `at` for the next block, or go into
 * the total: the first shard's as they are, others added in order. */
void tile_end(Emit *e, const Batch *b, const OutTile *t, const V *at, V mask, LLVMTypeRef vector);
/* What will be updated at the tile's elements comes into the cache while the sums are made, so
 * that a nest's updates need not wait for memory all at once. */
void tile_fetch(Emit *e, Batch *b, const OutTile *t);

#endif
