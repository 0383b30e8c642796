/* Lowering's own contract, shared by its files. */
#ifndef WEFT_LOWER_H
#define WEFT_LOWER_H

#include "kernel/kernel.h"

typedef LIST(Step *) Steps;

/* A sequence of steps being filled: a phase, or the body of a loop. */
typedef struct {
    Kernel *k;
    Steps *steps;
    int phase;
    bool rows;
    int depth;      /* loops around it: the number of the next one */
} Seq;

/* ---- class.c: what kind of value a node is, and in which phase it is made ---- */

bool lower_is_leaf(const Node *n);  /* made wherever it is read */
int lower_phase(const Node *n, Class cls);
/* Attach a NodeInfo with class and phase to every node of a graph, of a body. */
void lower_classify(Kernel *k, const Graph *g);
void lower_classify_body(Kernel *k, const Node *scan, int phase, int loop);
/* Notes a limit (the first stays) and returns false. */
bool lower_fails(Kernel *k, const Node *n, const char *what);

/* ---- again.c: what is computed wherever it is read ---- */

/* Sets NodeInfo.again for the nodes of a loop's body that has been classified. Outside of loops
 * a value read again much later would keep others in memory until then. */
void lower_again(const Graph *g);

/* ---- place.c: buffers, and the nest in which a node is computed ---- */

const char *lower_label(const Node *n);
Buffer *lower_buffer(Kernel *k, MemKind mem, Dtype dt, bool lanes, Shape shape, const char *name);
/* The port of that role and name, made when new; the buffer of a port. */
int lower_port(Kernel *k, Role role, const char *name, const Node *n, bool is_output);
Buffer *lower_port_buffer(Kernel *k, int port);
Step *lower_step(Seq *q, StepKind kind);
/* Gives a node storage, written by its nest. */
void lower_need_buffer(Kernel *k, Node *n);
/* Is operand i of n read at n's own index? */
bool lower_same_index(const Node *n, int i);
/* Records that a nest (null: another step) of q reads n; same_index says that
 * it is read at the nest's own index. */
void lower_touch(Seq *q, Nest *nest, Node *n, bool same_index);
/* The first step of q that may read n: steps before it may not. */
int lower_bound(const Seq *q, Node *n, bool same_index);
/* The first nest of that domain at or behind step `least`, made when there is none. */
int lower_nest(Seq *q, Shape domain, int least, Span span);
/* Puts a node into a nest. */
/* n is computed in the nest that is step `at`; returns the nest. */
Nest *lower_into(Seq *q, int at, Node *n);
void lower_item(Seq *q, Node *n);
/* Stores a value into a place (through cuts: see Store), by the nest that makes it
 * where that can be. Returns the step's index. */
int lower_place_store(Seq *q, Node *value, Place to, const Cut *cut, int ncut);
/* concat and pad: the pieces are stored where they belong. */
void lower_pieces(Seq *q, Node *n);

/* ---- product.c: products over the batch ---- */

void lower_batch_contract(Seq *q, Node *n);
/* The sum of a product that its nest makes itself (NodeInfo.whole): puts both into a nest. */
void lower_whole_sum(Seq *q, Node *sum);
/* Products whose nest turned out not to be flat: they are noted, to be made by shards when the
 * graph is lowered again. Were there any? */
bool lower_splits_whole(Kernel *k);
/* Is a value read once, through views? A sum that goes on where it lies overwrites what it
 * began with. */
bool lower_is_read_once(const Node *x);

/* ---- lower.c: the walk ---- */

/* A step that makes n, in n's place. */
Step *lower_maker(Seq *q, StepKind kind, Node *n);
void lower_node(Seq *q, Node *n);

/* ---- output.c: outputs, levels of parameter phases, flat nests ---- */

Seq lower_seq(Kernel *k, int phase);
bool lower_is_persistent(Role r);
/* An output that is no persistent one; a persistent one (`early`: only where the
 * nest that makes it may overwrite the old value). */
void lower_output(Kernel *k, const Output *o);
void lower_persistent(Kernel *k, const Graph *g, int last, const Output *o, bool early);
void lower_levels(Kernel *k, Phase *p, int number);
bool lower_is_flat(const Nest *nest);

#endif
