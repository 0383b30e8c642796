/* What the files of ir/ share among themselves: attribute names, and the
 * context in which an operation's shape rule runs. */
#ifndef WEFT_CHECK_H
#define WEFT_CHECK_H

#include "ir/graph.h"

const char *attr_key_name(AttrKey k);
AttrType attr_key_type(AttrKey k);
AttrKey attr_key_by_name(const char *name); /* NATTR when none */
bool attr_optional(AttrKey k);              /* absent means 0 */
bool op_takes(Op op, AttrKey key);
const Attr *attr_find(const Attr *attr, int nattr, AttrKey k);
Attr attr_copy(Arena *a, const Attr *from); /* deep */
/* Constants hold numbers of their dtype: node_new rounds value and values (of
 * a copy), the verifier looks that they stayed so. */
void attr_round(Attr *a, Dtype dt);
bool attr_is_rounded(const Attr *a, Dtype dt);

/* One question to a shape rule: in from `in` and `attr`, out to `dt` and `s`,
 * or false with a sentence in *why (see check_fail). */
typedef struct {
    Graph *g;
    Op op;
    Node *const *in;
    int nin;
    const Attr *attr;
    int nattr;
    Dtype dt;
    Shape s;
    const char *why;
} Check;

bool check_fail(Check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Attributes, which are known to be present and of their type. */
int64_t check_int(const Check *c, AttrKey k);
/* The operand's shape as users see it. */
const char *check_shape(const Check *c, int i);

/* Rules, one a kind of operation. */
bool check_map(Check *c);      /* shape.c */
bool check_reduce(Check *c);
bool check_contract(Check *c); /* contract.c, batch_contract too */
bool check_words(Check *c);
bool check_leaf(Check *c);     /* shape_view.c: these and the rest */
bool check_random(Check *c);
bool check_orthogonal(Check *c);
bool check_cast(Check *c);
bool check_broadcast(Check *c);
bool check_reshape(Check *c);
bool check_transpose(Check *c);
bool check_slice(Check *c);
bool check_pad(Check *c);
bool check_concat(Check *c);

/* The dtype that operands [from, nin) of a map meet in; false when they do not. */
bool map_meets(Node *const *in, int from, int nin, Dtype *dt);
/* A float64 scalar without N, which adapts to what it meets. */
bool is_weak(const Node *n);

/* Do body, initial values, sequences and constants of a scan fit? Null, or a
 * sentence. Used by make_scan and the verifier. */
const char *scan_check(Arena *a, const Graph *body, Node *const *in, int nin, const Attr *attr,
                       int nattr);
/* Dtype and shape of result `i` of a scan; false when it has no such result. */
bool scan_result(const Node *scan, int64_t i, Dtype *dt, Shape *s);

/* The graph that holds the run-time lengths of g. */
const Graph *graph_outermost(const Graph *g);
/* Is n one of g's nodes, at its id? (In a sound graph: n->graph == g.) */
bool graph_has(const Graph *g, const Node *n);
/* Inputs, then what outputs need, depth first, operands in order; returns how
 * many. `order` has room for all nodes. */
int graph_order(Arena *a, const Graph *g, Node **order);

/* As dim_text and type_text, but names that the text form could take for
 * something else ("N", "S", no identifier) are quoted. */
char *dim_text_quoted(Arena *a, const Graph *g, Dim d);
char *type_text_quoted(Arena *a, const Graph *g, const Node *n);
char *quoted(Arena *a, const char *s);
bool is_word(const char *s); /* a letter or _, then letters, digits, _ */

#endif
