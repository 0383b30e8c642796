/* Floating-point work of a graph: 2 x the multiply-adds of its products. */
#ifndef WEFT_FLOPS_H
#define WEFT_FLOPS_H

#include "ir/graph.h"

/* For a batch of `rows` rows; lengths by symbol (from SYM_length on; may be null). Products of
 * a scan count once a step. Sums written as products with a constant do not count. */
double graph_flops(const Graph *g, int64_t rows, const int64_t *lengths);
/* The same of one product; `at`: the value of every symbol, N and S as well. */
double product_flops(const Node *n, const int64_t *at);

#endif
