/* A product over the batch being emitted: what batch.c and batch_read.c share. */
#ifndef WEFT_EMIT_BATCH_H
#define WEFT_EMIT_BATCH_H

#include "emit/emit.h"

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
} Batch;

/* ---- batch_read.c: at the labels that are set ---- */
Node *batch_operand(const Batch *b, int o);
/* One row's element of an operand, as a scalar; in columns in all lanes. */
V batch_element(Emit *e, const Batch *b, int o, V row);
/* The same in all lanes; of two rows, in words (pair.c). */
V batch_splat(Emit *e, const Batch *b, int o, V row);
V batch_splat_pair(Emit *e, const Batch *b, int o, V row, V next);
/* `width` values of the operand across the lanes, at label m and this row. */
V batch_vector(Emit *e, const Batch *b, int o, V row, Ix m);

#endif
