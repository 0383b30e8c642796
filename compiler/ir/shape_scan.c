/* What fits into a scan: its body's inputs against initial values, sequences
 * and constants, its body's outputs against its carries; and what comes out. */
#include "ir/check.h"

static int scan_int(const Attr *attr, int nattr, AttrKey k)
{
    const Attr *a = attr_find(attr, nattr, k);
    return a ? (int)a->u.i : 0;
}

/* [N, T, ...] seen at one step is [N, ...]; [T, ...] is [...]. */
static bool step_of(const Shape *s, Dim length, Shape *out)
{
    int axis = shape_has_batch(s);
    if (s->rank <= axis || shape_has_shards(s) || !dim_equal(s->d[axis], length))
        return false;
    out->rank = s->rank - 1;
    for (int i = 0, k = 0; i < s->rank; i++)
        if (i != axis)
            out->d[k++] = s->d[i];
    return true;
}

/* The inverse: values of all steps. */
static bool stack_of(const Shape *s, Dim length, Shape *out)
{
    int axis = shape_has_batch(s);
    if (s->rank == RANK_MOST || shape_has_shards(s))
        return false;
    out->rank = s->rank + 1;
    for (int i = 0, k = 0; i < out->rank; i++)
        out->d[i] = i == axis ? length : s->d[k++];
    return true;
}

static const char *type_of(Arena *a, const Graph *g, Dtype dt, const Shape *s)
{
    Node n = {.op = OP_input, .dtype = dt, .shape = *s};
    return type_text(a, g, &n);
}

static const char *check_inputs(Arena *a, const Graph *body, Node *const *in, int nin, int ncarry,
                                int nseq, Dim length)
{
    for (int i = 0; i < nin; i++) {
        const Node *x = in[i], *b = body->inputs.at[i];
        const char *what = i < ncarry ? "carry" : i < ncarry + nseq ? "sequence" : "constant";
        int k = i < ncarry ? i : i < ncarry + nseq ? i - ncarry : i - ncarry - nseq;
        Shape s = x->shape;
        if (attr_int(b, ATTR_role, NROLE) != ROLE_body)
            return arena_printf(a, "input %d of the body has role %s", i,
                                role_name((Role)attr_int(b, ATTR_role, 0)));
        if (i >= ncarry && i < ncarry + nseq && !step_of(&x->shape, length, &s))
            return arena_printf(a, "sequence %d is %s: its length is not %s", k,
                                type_of(a, body, x->dtype, &x->shape), dim_text(a, body, length));
        if (x->dtype != b->dtype || !shape_equal(&s, &b->shape))
            return arena_printf(a, "%s %d is %s, the body takes %s", what, k,
                                type_of(a, body, x->dtype, &s),
                                type_of(a, body, b->dtype, &b->shape));
    }
    return NULL;
}

const char *scan_check(Arena *a, const Graph *body, Node *const *in, int nin, const Attr *attr,
                       int nattr)
{
    int ncarry = scan_int(attr, nattr, ATTR_ncarry), nseq = scan_int(attr, nattr, ATTR_nseq);
    Dim length = attr_find(attr, nattr, ATTR_length)->u.dim;
    int64_t steps;
    if (dim_const(length, &steps) && steps < 1)
        return arena_printf(a, "a scan of %d steps", (int)steps);
    if (length.sym == SYM_N || length.sym == SYM_S)
        return "a scan does not walk along the batch";
    if (ncarry < 0 || nseq < 0 || ncarry > nin || nseq > nin - ncarry)
        return arena_printf(a, "%d carries and %d sequences in %d operands", ncarry, nseq, nin);
    if (body->inputs.n != nin)
        return arena_printf(a, "%d operands for %d inputs of the body", nin, body->inputs.n);
    if (body->outputs.n < ncarry)
        return arena_printf(a, "the body has %d outputs for %d carries", body->outputs.n, ncarry);
    const char *why = check_inputs(a, body, in, nin, ncarry, nseq, length);
    if (why)
        return why;
    for (int i = 0; i < body->outputs.n; i++) {
        const Node *o = body->outputs.at[i].node, *b = i < ncarry ? body->inputs.at[i] : NULL;
        Shape s;
        if (b && (o->dtype != b->dtype || !shape_equal(&o->shape, &b->shape)))
            return arena_printf(a, "carry %d is %s at first and %s after a step", i,
                                type_of(a, body, b->dtype, &b->shape),
                                type_of(a, body, o->dtype, &o->shape));
        if (!b && !stack_of(&o->shape, length, &s))
            return arena_printf(a, "output %d of the body, %s, cannot be stacked", i,
                                type_of(a, body, o->dtype, &o->shape));
    }
    return NULL;
}

bool scan_result(const Node *scan, int64_t i, Dtype *dt, Shape *s)
{
    if (i < 0 || i >= scan->body->outputs.n)
        return false;
    const Node *o = scan->body->outputs.at[i].node;
    *dt = o->dtype;
    *s = o->shape;
    return i < attr_int(scan, ATTR_ncarry, 0) ||
           stack_of(&o->shape, attr_get(scan, ATTR_length)->u.dim, s);
}
