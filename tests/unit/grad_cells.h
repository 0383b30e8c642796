/* Recurrent cells as scans, for the tests of grad and opt. */
#ifndef WEFT_GRAD_CELLS_H
#define WEFT_GRAD_CELLS_H

#include "grad_check.h"

/* A scan being put together: inputs are declared in any order. */
typedef struct {
    Case *c;
    Graph *g, *body;      /* around; inside */
    int n[3];
    Node *outer[3][16], *inner[3][16]; /* carries, sequences, constants */
    Node *next[16];
    int nstack;
    Node *stack[16];
} Cell;

enum { CELL_carry, CELL_seq, CELL_const };

static inline Cell cell_begin(Case *c, Graph *around)
{
    Cell s = {.c = c, .g = around, .body = graph_new(c->arena, "step")};
    s.body->outer = around;
    return s;
}

/* Declares an input with the outer value x; returns what the body sees. */
static inline Node *cell_input(Cell *s, int kind, Node *x)
{
    Shape shape = x->shape;
    int i = s->n[kind]++, axis = shape_has_batch(&shape);
    if (kind == CELL_seq) {
        shape.rank--;
        for (int k = axis; k < shape.rank; k++)
            shape.d[k] = shape.d[k + 1];
    }
    const char *name = arena_printf(s->c->arena, "%c%d", "hxw"[kind], i);
    s->outer[kind][i] = x;
    s->inner[kind][i] = graph_input(s->body, ROLE_body, name, x->dtype, shape, (Span){0});
    return s->inner[kind][i];
}

static inline Node *cell_zeros(Cell *s, const char *shape)
{
    return make_broadcast(s->g, make_const_of(s->g, DT_f64, 0), shape_by(shape));
}

static inline Node *cell_scan(Cell *s, Dim length, bool reverse)
{
    int at = 0;
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < s->n[k]; i++)
            s->body->inputs.at[at++] = s->inner[k][i];
    for (int i = 0; i < s->n[CELL_carry]; i++)
        graph_output(s->body, ROLE_body, "next", s->next[i]);
    for (int i = 0; i < s->nstack; i++)
        graph_output(s->body, ROLE_body, "stack", s->stack[i]);
    return make_scan(s->g, (Span){0}, s->body, s->outer[0], s->n[0], s->outer[1], s->n[1],
                     s->outer[2], s->n[2], length, reverse);
}

/* x @ W + h @ U + b */
static inline Node *affine(Graph *g, Node *x, Node *w, Node *h, Node *u, Node *b)
{
    Node *xw = make_contract(g, "nk,km->nm", (Node *[]){x, w}, 2);
    Node *hu = make_contract(g, "nk,km->nm", (Node *[]){h, u}, 2);
    return node2(g, OP_add, node2(g, OP_add, xw, hu), b);
}

static inline Node *gate(Graph *g, Node *z, int i, int units)
{
    return make_slice(g, z, 1, dim_int(i * units), dim_int(units), 1);
}

/* The peephole LSTM of the language's introduction over x [N, T, k], `units` wide:
 * its scan, whose results are h, c at the end and h at every step. */
static inline Node *lstm_scan(Case *c, Node *x, int units, bool peephole)
{
    Graph *g = c->g;
    Arena *a = c->arena;
    int k = (int)x->shape.d[2].add;
    Cell s = cell_begin(c, g);
    Node *W = case_input(c, arena_printf(a, "%dx%d", k, 4 * units), "unit");
    Node *U = case_input(c, arena_printf(a, "%dx%d", units, 4 * units), "unit");
    Node *b = case_input(c, arena_printf(a, "%d", 4 * units), "any");
    Node *p = peephole ? case_input(c, arena_printf(a, "3x%d", units), "any") : NULL;
    const char *state = arena_printf(a, "Nx%d", units);
    Node *h = cell_input(&s, CELL_carry, cell_zeros(&s, state));
    Node *cell = cell_input(&s, CELL_carry, cell_zeros(&s, state));
    Node *xt = cell_input(&s, CELL_seq, x);
    Graph *t = s.body;
    Node *wt = cell_input(&s, CELL_const, W), *ut = cell_input(&s, CELL_const, U);
    Node *z = affine(t, xt, wt, h, ut, cell_input(&s, CELL_const, b));
    Node *zi = gate(t, z, 0, units), *zf = gate(t, z, 1, units), *zo = gate(t, z, 3, units);
    Node *peep[3] = {NULL};
    if (peephole) {
        Node *pt = cell_input(&s, CELL_const, p);
        for (int i = 0; i < 3; i++)
            peep[i] = make_reshape(t, make_slice(t, pt, 0, dim_int(i), dim_int(1), 1),
                                   shape_of(1, dim_int(units)));
        zi = node2(t, OP_add, zi, node2(t, OP_mul, peep[0], cell));
        zf = node2(t, OP_add, zf, node2(t, OP_mul, peep[1], cell));
    }
    Node *i = node1(t, OP_sigmoid, zi);
    Node *f = node1(t, OP_sigmoid, node2(t, OP_add, zf, make_const(t, 1)));
    Node *c2 = node2(t, OP_add, node2(t, OP_mul, f, cell),
                     node2(t, OP_mul, i, node1(t, OP_tanh, gate(t, z, 2, units))));
    if (peephole)
        zo = node2(t, OP_add, zo, node2(t, OP_mul, peep[2], c2));
    Node *h2 = node2(t, OP_mul, node1(t, OP_sigmoid, zo), node1(t, OP_tanh, c2));
    s.next[0] = h2;
    s.next[1] = c2;
    s.stack[s.nstack++] = h2;
    return cell_scan(&s, x->shape.d[1], false);
}

#endif
