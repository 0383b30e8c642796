/* The work of a graph, as it stands: what summary, profile and the benchmark count. */
#ifndef WEFT_FLOPS_H
#define WEFT_FLOPS_H

#include "ir/graph.h"

typedef struct {
    double products;   /* 2 a multiply-add; sums written as products with a constant are none */
    double arithmetic; /* 1 an element of +, -, *, /, sqrt, max and the like, and of what a
                          reduction or a sum over shards or indices reads */
    double functions;  /* values of exp, log, tanh, sigmoid and their like, random numbers */
} Work;

/* For a batch of `rows` rows; lengths by symbol (from SYM_length on; may be null). What a scan
 * holds counts once a step. */
Work graph_work(const Graph *g, int64_t rows, const int64_t *lengths);
/* Its products alone. */
double graph_flops(const Graph *g, int64_t rows, const int64_t *lengths);
/* Adds the work of `times` evaluations of a node; at: the value of every symbol, N and S too. A
 * scan has none of its own. */
void node_work(const Node *n, const int64_t *at, double times, Work *w);
/* The multiply-adds of one product, times 2. */
double product_flops(const Node *n, const int64_t *at);

#endif
