/* What computing and keeping a value cost, for passes that choose between ways to have
 * the same bits: one table, in picoseconds of one core of a machine of reference with
 * vectors of 512 bits. The choice is a property of the graph: no machine is asked. */
#ifndef WEFT_COST_H
#define WEFT_COST_H

#include "ir/graph.h"

/* Where values are that lie between being written and being read. */
typedef enum { LEVEL_near, LEVEL_far, LEVEL_memory } Level;

/* Bytes that a core's own cache holds; beyond COST_BEYOND they are in memory. */
enum { COST_WITHIN = 1 << 20, COST_BEYOND = 8 << 20 };

/* Of so many bytes in use at once. */
Level cost_level(double bytes);
/* To write a byte and read it again; to read it alone. */
double cost_keep(Level level);
double cost_read(Level level);

/* To compute the node once for one row of the batch, a run-time length counted as COST_LENGTH;
 * views, what is written into the code and scans cost nothing. */
enum { COST_LENGTH = 16 };
double cost_node(const Node *n);
/* Is it elementwise and as fast as an addition? */
bool cost_is_least(Op op);
/* The same for all nodes of a graph and its loops' bodies, each as often as its loop runs. */
double cost_graph(const Graph *g);
/* Bytes of the node for one row; of what has no rows, its part of a block's. */
double cost_bytes(const Node *n);

#endif
