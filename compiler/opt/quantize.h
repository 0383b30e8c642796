/* What is known of a quantisation: which products, how large their factors are. */
#ifndef WEFT_QUANTIZE_H
#define WEFT_QUANTIZE_H

#include "ir/graph.h"

/* A product of rows with a parameter. */
typedef struct {
    const char *param;   /* its name */
    int use;             /* which of the parameter's products, in the graph's order */
    int rank;
    int64_t dim[RANK_MOST]; /* the parameter's shape */
    int axis;            /* of the parameter: a scale for each index; -1: one for all */
    const char *range;   /* ROLE_metric output: the other factor's largest magnitude, a row each */
    const char *values;  /* i8 parameter of the same shape that takes the float one's place */
    const char *scale;   /* float parameter [dim[axis]], or [] */
    double most;         /* the largest magnitude met; not above 0: left as it is */
} QuantizeSite;

/* How the processor multiplies bytes best: one by one; words of four with signs; such words with
 * one factor's bytes unsigned. */
typedef enum { BYTES_single, BYTES_words, BYTES_unsigned } ByteForm;

typedef struct {
    Arena *arena;
    bool observe;        /* find the products and give their ranges out; else replace them */
    ByteForm bytes;
    LIST(QuantizeSite) sites;
} Quantize;

/* A channel has a scale of its own where it has at least as many values; words are made along an
 * axis that has at least as many bytes. */
enum { CHANNEL_LEAST = 64, WORDS_LEAST = 3, QUANTUM_MOST = 127 };

#endif
