/* What cell.c (states of a cell: read, defined) and rnn.c (its loop) share. */
#ifndef WEFT_SEMA_CELL_H
#define WEFT_SEMA_CELL_H

#include "sema/internal.h"

enum { DELAY_MOST = 64, STATES_MOST = 64, OUTPUTS_MOST = 16, VALUES_MOST = 80 };

/* A state, or an input whose past may be read. */
typedef struct {
    const char *name;
    Span decl, defined;
    bool is_input, is_defined;
    Shape shape; /* with N */
    Dtype dtype;
    Node *now;  /* name[t] */
    Node *init; /* around the loop; null: zeros */
    int ncarry;
    int carry[DELAY_MOST]; /* carry[k-1]: that of name[t-k], in the loop's list */
} State;

struct CellState {
    Loop *loop;
    Instance *self;
    LIST(State) states;
};

Shape with_batch(Shape s);
Shape without_axis(Shape s, int axis);

/* Where nodes are made: go_around moves to the graph around the loop. */
typedef struct {
    Graph *g;
    Loop *loop;
} Place;
Place go_around(Expander *x, Loop *l);
void go_back(Expander *x, Place p);

Node *zeros_node(Expander *x, Shape s, Dtype dt);
/* A new carry; its index in the loop's list. */
int add_carry(Expander *x, Loop *l, const char *name, Node *init);
/* The body's input for name[t-k], k >= 1; made when new, with those before it. */
Node *state_carry(Expander *x, Loop *l, State *st, int k);

#endif
