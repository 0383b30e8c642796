/* The two engines behind one interface. The interpreted one keeps a list of
 * ports made from the graph's inputs and outputs; a run gathers the batch's
 * rows, evaluates, and copies what is updated back. */
#include "driver/engine.h"

#include "ir/eval.h"

#include <math.h>
#include <string.h>

struct Engine {
    Arena *arena;
    const Graph *graph;
    Program *program;          /* null: interpreted */
    LIST(Port) ports;          /* of the graph, also of a compiled one: to look for trouble */
    LIST(void *) memory;       /* what is bound to them */
    int *in_port, *out_port;   /* ports of the graph's inputs and outputs */
    int64_t lengths[SYM_MOST];
};

void *aligned_memory(Arena *a, size_t bytes)
{
    char *p = arena_alloc(a, bytes + 64);
    return p + (64 - (uintptr_t)p % 64) % 64;
}

int64_t port_elements(const Port *p, const int64_t *lengths)
{
    static const int64_t none[SYM_MOST];
    int64_t n = 1;
    for (int i = shape_has_batch(&p->shape); i < p->shape.rank; i++)
        n *= dim_value(p->shape.d[i], lengths ? lengths : none);
    return n;
}

size_t port_bytes(const Port *p, const int64_t *lengths)
{
    return (size_t)port_elements(p, lengths) * (size_t)dtype_size(p->dtype);
}

/* ---- ports of a graph ---- */

static int add_port(Engine *e, Role role, const char *name, const Node *n, bool is_input)
{
    for (int i = 0; i < e->ports.n; i++) {
        Port *p = &e->ports.at[i];
        if (p->role == role && strcmp(p->name, name) == 0) {
            p->is_input |= is_input;
            p->is_output |= !is_input;
            return i;
        }
    }
    Port p = {role, name, n->dtype, n->shape, !is_input, is_input};
    list_push(e->arena, &e->ports, p);
    list_push(e->arena, &e->memory, (void *)NULL);
    return e->ports.n - 1;
}

/* Ports of the graph, and which input and output each is. */
static void find_ports(Engine *e)
{
    const Graph *g = e->graph;
    e->in_port = NEW_ARRAY(e->arena, int, g->inputs.n + 1);
    e->out_port = NEW_ARRAY(e->arena, int, g->outputs.n + 1);
    for (int i = 0; i < g->inputs.n; i++) {
        const Node *n = g->inputs.at[i];
        Role role = (Role)attr_int(n, ATTR_role, ROLE_data);
        e->in_port[i] = add_port(e, role, attr_str(n, ATTR_name), n, true);
    }
    for (int i = 0; i < g->outputs.n; i++) {
        const Output *o = &g->outputs.at[i];
        e->out_port[i] = add_port(e, o->role, o->name, o->node, false);
    }
}

Engine *engine_new(Arena *a, Diag *d, Span at, const Graph *g, bool interpret,
                   const CodeOptions *code)
{
    Engine *e = NEW(a, Engine);
    e->arena = a;
    e->graph = g;
    if (!interpret) {
        e->program = code_program(d, at, g, code);
        if (!e->program)
            return NULL;
    }
    find_ports(e);
    return e;
}

void engine_free(Engine *e)
{
    if (e && e->program)
        program_free(e->program);
}

const Graph *engine_graph(const Engine *e)
{
    return e->graph;
}

bool engine_interprets(const Engine *e)
{
    return !e->program;
}

const char *engine_target(const Engine *e)
{
    return e->program ? program_target(e->program) : "reference interpreter";
}

Program *engine_program(const Engine *e)
{
    return e->program;
}

int engine_nport(const Engine *e)
{
    return e->program ? program_nport(e->program) : e->ports.n;
}

const Port *engine_port(const Engine *e, int i)
{
    return e->program ? program_port(e->program, i) : &e->ports.at[i];
}

static int find_own(const Engine *e, Role role, const char *name)
{
    for (int i = 0; i < e->ports.n; i++)
        if (e->ports.at[i].role == role && strcmp(e->ports.at[i].name, name) == 0)
            return i;
    return -1;
}

int engine_find(const Engine *e, Role role, const char *name)
{
    return e->program ? program_find(e->program, role, name) : find_own(e, role, name);
}

void engine_bind(Engine *e, int port, void *memory)
{
    const Port *p = engine_port(e, port);
    int own = find_own(e, p->role, p->name);
    if (own >= 0)
        e->memory.at[own] = memory;
    if (e->program)
        program_bind(e->program, port, memory);
}

bool engine_prepare(Engine *e, int64_t rows, const int64_t *lengths, int threads)
{
    memset(e->lengths, 0, sizeof e->lengths);
    for (int i = SYM_length; lengths && i < SYM_MOST; i++)
        e->lengths[i] = lengths[i];
    return e->program ? program_prepare(e->program, rows, lengths, threads) : true;
}

size_t engine_bytes(const Engine *e)
{
    return e->program ? program_bytes(e->program) : 0;
}

size_t engine_worker_bytes(const Engine *e)
{
    return e->program ? program_worker_bytes(e->program) : 0;
}

/* ---- the interpreter ---- */

/* The value of an input: row ports of the data set are gathered by order. */
static Value input_value(Arena *a, const Engine *e, const Port *p, void *memory, int64_t n,
                         const int64_t *order)
{
    bool rows = shape_has_batch(&p->shape);
    Value v = {.dtype = p->dtype, .rank = p->shape.rank, .count = 1, .data = memory};
    for (int i = 0; i < v.rank; i++) {
        v.dim[i] = i == 0 && rows ? n : dim_value(p->shape.d[i], e->lengths);
        v.count *= v.dim[i];
    }
    if (p->role != ROLE_data || !order)
        return v;
    size_t bytes = port_bytes(p, e->lengths);
    char *to = aligned_memory(a, bytes * (size_t)n);
    for (int64_t r = 0; r < n; r++)
        memcpy(to + bytes * (size_t)r, (const char *)memory + bytes * (size_t)order[r], bytes);
    v.data = to;
    return v;
}

static const Node *evaluate(Engine *e, Arena *a, int64_t n, const int64_t *order, Value *out,
                            bool check)
{
    const Graph *g = e->graph;
    e->lengths[SYM_N] = n;
    e->lengths[SYM_S] = shard_count(n);
    Value *in = NEW_ARRAY(a, Value, g->inputs.n + 1);
    for (int i = 0; i < g->inputs.n; i++) {
        int port = e->in_port[i];
        const Port *p = &e->ports.at[port];
        if (!e->memory.at[port])
            bug("port %s %s is not bound", role_name(p->role), p->name);
        in[i] = input_value(a, e, p, e->memory.at[port], n, order);
    }
    EvalSizes sizes = {e->lengths, SYM_MOST};
    return graph_eval(a, g, sizes, in, out, check);
}

static bool loss_is_finite(const Graph *g, const Value *out)
{
    for (int i = 0; i < g->outputs.n; i++)
        if (g->outputs.at[i].role == ROLE_loss && !isfinite(value_get(&out[i], 0)))
            return false;
    return true;
}

static bool interpret(Engine *e, int64_t n, const int64_t *order)
{
    const Graph *g = e->graph;
    Arena *a = arena_new();
    Value *out = NEW_ARRAY(a, Value, g->outputs.n + 1);
    evaluate(e, a, n, order, out, false);
    bool ok = loss_is_finite(g, out);
    for (int i = 0; i < g->outputs.n; i++) {
        const Port *p = &e->ports.at[e->out_port[i]];
        void *memory = e->memory.at[e->out_port[i]];
        bool update = p->role == ROLE_param || p->role == ROLE_slot || p->role == ROLE_buffer ||
                      p->role == ROLE_state;
        if (memory && (ok || !update))
            memcpy(memory, out[i].data, (size_t)out[i].count * (size_t)dtype_size(out[i].dtype));
    }
    arena_free(a);
    return ok;
}

bool engine_run(Engine *e, int64_t n, const int64_t *order)
{
    return e->program ? program_run(e->program, n, order) : interpret(e, n, order);
}

const Node *engine_find_trouble(Engine *e, int64_t n, const int64_t *order)
{
    Arena *a = arena_new();
    Value *out = NEW_ARRAY(a, Value, e->graph->outputs.n + 1);
    const Node *trouble = evaluate(e, a, n, order, out, true);
    arena_free(a);
    return trouble;
}
