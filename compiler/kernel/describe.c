/* What each kernel is and does: its name, its line of the model, its operations and their work,
 * counted as ir/flops.h says; bytes of the values that a call reads and writes, each once,
 * whatever cache they lie in.
 */
#include "kernel/kernel.h"

#include "ir/flops.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

char *step_name(Arena *a, const Step *s)
{
    const char *letter = s->kind == STEP_nest        ? "k"
                         : s->kind == STEP_loop      ? "loop"
                         : s->kind == STEP_transpose ? "across"
                                                     : step_kinds[s->kind];
    const char *name = s->kind == STEP_nest ? s->nest->name : s->name;
    char *text = arena_printf(a, "%s%d_%s", letter, s->number, name ? name : "");
    for (char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p))
            *p = '_';
    return text;
}

Span step_span(const Step *s)
{
    if (s->kind != STEP_nest)
        return s->node ? s->node->span : (Span){0};
    for (int i = 0; i < s->nest->nodes.n; i++)
        if (s->nest->nodes.at[i]->op == OP_contract)
            return s->nest->nodes.at[i]->span;
    return s->nest->span;
}

enum { READS_MOST = 128 };

typedef struct {
    Arena *arena;
    const Kernel *k;
    const Diag *diag;
    const int64_t *at;     /* the value of every symbol */
    double calls;          /* of the step at hand; 1 in a parameter phase */
    double rounds;         /* of the loops around it */
    ProfileKernel *to;
    int count[NOP];        /* operations of the kernel at hand, and their work */
    Work work;
    struct { const Node *base; double bytes, most; } read[READS_MOST];
    int nread;
    const char *layer;
} Describe;

static double elements(const Describe *d, const Shape *s)
{
    double n = 1;
    for (int i = 0; i < s->rank; i++)
        n *= (double)dim_value(s->d[i], d->at);
    return n;
}

static double bytes_of(const Describe *d, const Node *n)
{
    return elements(d, &n->shape) * dtype_size(n->dtype);
}

static void add_work(Describe *d, const Node *n)
{
    d->count[n->op]++;
    node_work(n, d->at, d->rounds, &d->work);
}

/* The name of a parameter begins with its layer's. */
static void name_layer(Describe *d, const char *name)
{
    size_t n = name ? strcspn(name, "/") : 0;
    if (!d->layer && n && name[n])
        d->layer = arena_strndup(d->arena, name, n);
}

/* A read ends at storage; views and loops narrow what is seen of it. */
static void add_read(Describe *d, const Nest *nest, const Node *reader, Node *n)
{
    double seen = bytes_of(d, n);
    if (nest && INFO(n)->nest == nest)
        return;
    while (INFO(n)->outer || kernel_is_view(n)) {
        n = INFO(n)->outer ? INFO(n)->outer : n->in[0];
        double all = bytes_of(d, n);
        seen = all < seen ? all : seen;
    }
    if (n->op == OP_input && attr_int(n, ATTR_role, ROLE_data) == ROLE_param)
        name_layer(d, attr_str(n, ATTR_name));
    if (INFO(n)->cls == CLASS_host || !INFO(n)->place.buffer)
        return;
    if (reader && reader->op == OP_gather && n == reader->in[0])
        seen = bytes_of(d, reader);
    int i = 0;
    while (i < d->nread && d->read[i].base != n)
        i++;
    if (i == READS_MOST)
        return;
    if (i == d->nread) {
        d->read[i].base = n;
        d->read[i].bytes = 0;
        d->read[i].most = reader && reader->op == OP_gather ? seen : bytes_of(d, n);
        d->nread++;
    }
    double sum = d->read[i].bytes + seen;
    d->read[i].bytes = sum < d->read[i].most ? sum : d->read[i].most;
}

static void add_store(Describe *d, const Store *s)
{
    const Buffer *b = s->to.buffer;
    d->to->bytes += d->rounds * bytes_of(d, s->value);
    if (b->port >= 0 && d->k->ports.at[b->port].role == ROLE_param)
        name_layer(d, d->k->ports.at[b->port].name);
}

static void describe_nest(Describe *d, const Nest *nest)
{
    for (int i = 0; i < nest_operations(nest); i++) {
        Node *n = nest_operation(nest, i);
        add_work(d, n);
        for (int j = 0; j < n->nin; j++)
            add_read(d, nest, n, n->in[j]);
    }
    for (int i = 0; i < nest->stores.n; i++) {
        add_read(d, nest, NULL, nest->stores.at[i].value);
        add_store(d, &nest->stores.at[i]);
    }
}

/* Steps that are no nest: what they move. */
static void describe_move(Describe *d, const Step *s)
{
    Node *n = s->node;
    double inner = elements(d, &s->place.buffer->shape) * dtype_size(s->place.buffer->dtype);
    if (n && s->kind != STEP_transpose) {
        add_work(d, n);
        for (int i = 0; i < n->nin; i++)
            add_read(d, NULL, n, n->in[i]);
    } else if (n) {
        add_read(d, NULL, NULL, n);
        d->to->bytes += d->rounds * bytes_of(d, n);
    }
    if (s->kind == STEP_batch) /* a partial sum goes on where it lies */
        d->to->bytes += 2 * d->calls * inner;
    else if (s->kind == STEP_load || s->kind == STEP_store)
        d->to->bytes += 2 * d->rounds * inner * (double)d->at[SYM_N];
    else if (s->kind == STEP_zero)
        d->to->bytes += inner * (double)(s->place.buffer->lanes ? d->at[SYM_N] : d->at[SYM_S]);
    else if (s->kind == STEP_scatter || s->kind == STEP_pack)
        d->to->bytes += inner;
}

/* "lstm: 4 contract, 3 sigmoid, 2 tanh", in the order of the table of operations. */
static const char *what_text(Describe *d, const Step *s)
{
    char text[512] = "";
    size_t n = 0;
    for (int op = NOP - 1; op >= 0; op--)
        if (d->count[op] && n + 40 < sizeof text)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%d %s", n ? ", " : "",
                                  d->count[op], op_info[op].name);
    const char *what = n ? text : s->kind == STEP_nest ? "copy" : step_kinds[s->kind];
    const char *name = d->layer ? d->layer : s->kind == STEP_nest ? s->nest->name : s->name;
    if (n && name && op_by_name(name) != NOP)
        name = NULL;
    return arena_printf(d->arena, "%s%s%s", name ? name : "", name ? ": " : "", what);
}

static ProfileKernel describe_step(Describe *d, const Step *s)
{
    ProfileKernel k = {.name = step_name(d->arena, s), .file = ""};
    d->to = &k;
    memset(d->count, 0, sizeof d->count);
    d->work = (Work){0};
    d->nread = 0;
    d->layer = NULL;
    if (s->kind == STEP_nest)
        describe_nest(d, s->nest);
    else
        describe_move(d, s);
    for (int i = 0; i < d->nread; i++)
        k.bytes += d->rounds * d->read[i].bytes;
    k.call_bytes = k.bytes / d->calls;
    k.products = d->work.products;
    k.arithmetic = d->work.arithmetic;
    k.functions = d->work.functions;
    k.what = what_text(d, s);
    Span span = step_span(s);
    if (span.file && d->diag) {
        int column;
        k.file = arena_strdup(d->arena, diag_file(d->diag, span));
        diag_line_column(d->diag, span, &k.line, &column);
    }
    return k;
}

static void describe_steps(Describe *d, Step *const *steps, int n, ProfileKernel *all)
{
    for (int i = 0; i < n; i++) {
        const Step *s = steps[i];
        if (s->kind != STEP_loop) {
            all[s->number] = describe_step(d, s);
            continue;
        }
        Describe inner = *d;
        double extent = (double)dim_value(s->extent, d->at);
        inner.rounds *= extent;
        inner.calls *= extent;
        describe_steps(&inner, s->body.at, s->body.n, all);
    }
}

ProfileKernel *kernel_describe(Arena *a, const Kernel *k, const Diag *diag, const int64_t *at)
{
    ProfileKernel *all = NEW_ARRAY(a, ProfileKernel, k->nkernel + 1);
    Describe *d = NEW(a, Describe);
    *d = (Describe){.arena = a, .k = k, .diag = diag, .at = at};
    for (int i = 0; i < k->phases.n; i++) {
        const Phase *p = k->phases.at[i];
        int64_t per = block_rows(at[SYM_N]), blocks = (at[SYM_N] + per - 1) / per;
        d->calls = p->rows ? (double)blocks : 1;
        d->rounds = 1;
        describe_steps(d, p->steps.at, p->steps.n, all);
    }
    return all;
}
