/* Reverse-mode differentiation on the graph.
 *
 * Appends to g the gradient of the scalar `loss` with respect to each wrt[i];
 * grad[i] is the node, of wrt[i]'s shape (zeros where loss does not depend on
 * it). The gradient of a scan is a scan in reverse over saved values; sums over
 * the batch go through batch_contract and sum_shards, so that parameters get
 * their gradient in the order fixed by ir/contract.h.
 *
 * New nodes carry the span of the node that they differentiate.
 */
#ifndef WEFT_GRAD_H
#define WEFT_GRAD_H

#include "ir/graph.h"

void grad_append(Graph *g, Node *loss, Node *const *wrt, int nwrt, Node **grad);

#endif
