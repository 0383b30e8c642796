/* A block of steps: a scan whose body is the step.
 *
 * Its carries are the states, its sequences what the step reads along time. What
 * depends on parameters alone is computed around the loop, once. */
#include "opt/stream.h"

#include "opt/rewrite.h"

#include <string.h>

typedef LIST(Node *) Nodes;

typedef struct {
    const Stream *s;
    Arena *scratch;
    Graph *around, *body;
    Dim length;
    Node **outside, **inside; /* by id in the step: its copies, null: not made */
    bool *moves;              /* by id: depends on a state or a sequence */
    bool *plain;              /* by id: a constant, or a view of one */
    Nodes carries, seqs, consts, consts_in;
} Block;

static Shape without_axis(Shape s, int axis)
{
    for (int i = axis; axis >= 0 && i + 1 < s.rank; i++)
        s.d[i] = s.d[i + 1];
    s.rank -= axis >= 0;
    return s;
}

static Shape with_length(Shape s, Dim length)
{
    int lead = shape_has_batch(&s);
    memmove(s.d + lead + 1, s.d + lead, sizeof *s.d * (size_t)(s.rank - lead));
    s.d[lead] = length;
    s.rank++;
    return s;
}

static Node *inner_input(Block *b, const Node *n, Shape s)
{
    return graph_input(b->body, ROLE_body, attr_str(n, ATTR_name), n->dtype, s, n->span);
}

/* Inputs that change from step to step. Body inputs are put in order at the end. */
static void enter(Block *b, int i)
{
    Node *n = b->s->step->inputs.at[i];
    int axis = b->s->input_axis[i];
    Role role = (Role)attr_int(n, ATTR_role, NROLE);
    Shape inner = without_axis(n->shape, axis);
    Shape outer = axis >= 0 ? with_length(inner, b->length) : n->shape;
    Node *in = graph_input(b->around, role, attr_str(n, ATTR_name), n->dtype, outer, n->span);
    b->outside[n->id] = in;
    b->moves[n->id] = axis >= 0 || role == ROLE_state;
    if (!b->moves[n->id])
        return;
    Node *body_in = inner_input(b, n, inner);
    list_push(b->scratch, role == ROLE_state ? &b->carries : &b->seqs, body_in);
    b->inside[n->id] = axis >= 0 ? make_reshape(b->body, body_in, n->shape) : body_in;
}

/* The step's node n in the body. */
static Node *inner(Block *b, Node *n)
{
    if (b->inside[n->id])
        return b->inside[n->id];
    if (b->plain[n->id]) {
        Node *in = n->nin ? inner(b, n->in[0]) : NULL;
        return b->inside[n->id] = stream_copy(b->body, n, &in);
    }
    const char *name = n->op == OP_input ? attr_str(n, ATTR_name)
                                         : arena_printf(b->scratch, "fixed_%d", n->id);
    Node *in = graph_input(b->body, ROLE_body, name, n->dtype, n->shape, n->span);
    list_push(b->scratch, &b->consts, b->outside[n->id]);
    list_push(b->scratch, &b->consts_in, in);
    return b->inside[n->id] = in;
}

/* A scan and its results stand together, on one side. */
static void place(Block *b, Node *n)
{
    bool moves = false;
    for (int k = 0; k < n->nin; k++)
        moves |= b->moves[n->in[k]->id];
    moves |= n->op == OP_random;
    b->moves[n->id] = moves;
    b->plain[n->id] = n->nin ? n->nin == 1 && b->plain[n->in[0]->id] &&
                                   op_info[n->op].kind == KIND_view
                             : op_info[n->op].kind == KIND_leaf;
    Node **in = NEW_ARRAY(b->scratch, Node *, n->nin + 1);
    for (int k = 0; k < n->nin; k++)
        in[k] = moves ? inner(b, n->in[k]) : b->outside[n->in[k]->id];
    (moves ? b->inside : b->outside)[n->id] = stream_copy(moves ? b->body : b->around, n, in);
}

static void order_inputs(Block *b)
{
    const Nodes *each[] = {&b->carries, &b->seqs, &b->consts_in};
    b->body->inputs.n = 0;
    for (int l = 0; l < 3; l++)
        for (int i = 0; i < each[l]->n; i++)
            list_push(b->body->arena, &b->body->inputs, each[l]->at[i]);
}

static void close(Block *b)
{
    const Graph *step = b->s->step;
    Nodes init = {0}, seq = {0};
    order_inputs(b);
    for (int i = 0; i < step->inputs.n; i++) {
        const Node *n = step->inputs.at[i];
        const char *name = attr_str(n, ATTR_name);
        if (!b->moves[n->id])
            continue;
        bool state = attr_int(n, ATTR_role, NROLE) == ROLE_state;
        list_push(b->scratch, state ? &init : &seq, b->outside[n->id]);
        Node *next = state ? graph_find_output(step, ROLE_state, name) : NULL;
        if (state)
            graph_output(b->body, ROLE_body, name, inner(b, next ? next : (Node *)n));
    }
    for (int i = 0; i < step->outputs.n; i++) {
        const Output *o = &step->outputs.at[i];
        Node *x = o->role == ROLE_state ? NULL : inner(b, o->node);
        if (x)
            graph_output(b->body, ROLE_body, o->name,
                         make_reshape(b->body, x, without_axis(x->shape, b->s->output_axis[i])));
    }
    order_inputs(b); /* inner() may have made new constants */
    Node *scan = make_scan(b->around, (Span){0}, b->body, init.at, init.n, seq.at, seq.n,
                           b->consts.at, b->consts.n, b->length, false);
    for (int i = 0, k = init.n; i < step->outputs.n; i++)
        if (step->outputs.at[i].role != ROLE_state)
            graph_output(b->around, step->outputs.at[i].role, step->outputs.at[i].name,
                         make_result(b->around, scan, k++));
    for (int i = 0; i < b->carries.n; i++)
        graph_output(b->around, ROLE_state, attr_str(b->carries.at[i], ATTR_name),
                     make_result(b->around, scan, i));
}

Graph *stream_block(Stream *s)
{
    Graph *step = s->step;
    Arena *scratch = arena_new();
    char name[16] = "steps"; /* or steps_, where the model has a length of that name */
    int n = step->nodes.n;
    Block b = {.s = s, .scratch = scratch, .around = graph_new(step->arena, step->name),
               .body = graph_new(step->arena, "step"),
               .outside = NEW_ARRAY(scratch, Node *, n), .inside = NEW_ARRAY(scratch, Node *, n),
               .moves = NEW_ARRAY(scratch, bool, n), .plain = NEW_ARRAY(scratch, bool, n)};
    for (int i = 0; i < step->lengths.n; i++)
        graph_length(b.around, step->lengths.at[i], step->length_most.at[i]);
    for (int i = 0; i < step->lengths.n; i++)
        if (!strcmp(step->lengths.at[i], name) && strlen(name) + 1 < sizeof name)
            strcat(name, "_");
    s->length = b.length = dim_sym(graph_length(b.around, name, 0));
    b.body->outer = b.around;
    for (int i = 0; i < step->inputs.n; i++)
        enter(&b, i);
    for (int i = 0; i < n; i++)
        if (step->nodes.at[i]->op != OP_input)
            place(&b, step->nodes.at[i]);
    close(&b);
    graph_compact(b.around);
    arena_free(scratch);
    return b.around;
}
