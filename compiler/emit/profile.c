/* Profiling: stamps around the calls of kernels, and what each kernel does.
 *
 * Work is counted as the graph has it: 2 a multiply-add of a product, 1 an element of other
 * arithmetic; functions (exp, tanh, ...) apart; bytes of the values that a call reads and
 * writes, each once, whatever cache they lie in.
 */
#include "emit/emit.h"

#include "ir/flops.h"

#include <string.h>

/* ---- stamps ---- */

static V cycles_emit(Emit *e)
{
    return call_intrinsic(e, "llvm.readcyclecounter", NULL, 0, NULL, 0);
}

static V frame_at(Emit *e, int word)
{
    V i = const_i64(e, word);
    return LLVMBuildGEP2(e->b, e->i64, e->frame, &i, 1, "");
}

/* Notes {number, start, end}; a full log's last place takes what has none. */
static void note_emit(Emit *e, int number, V start, V end)
{
    V at = frame_at(e, FRAME_log_count);
    V count = LLVMBuildLoad2(e->b, e->i64, at, "");
    V most = LLVMBuildLoad2(e->b, e->i64, frame_at(e, FRAME_log_most), "");
    V log = LLVMBuildLoad2(e->b, e->ptr, frame_at(e, FRAME_log), "");
    V fits = LLVMBuildICmp(e->b, LLVMIntSLT, count, most, "");
    V place = LLVMBuildSelect(e->b, fits, count, most, "");
    V word[] = {const_i64(e, number), start, end};
    for (int i = 0; i < 3; i++) {
        V index = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, place, const_i64(e, 3), ""),
                               const_i64(e, i), "");
        LLVMBuildStore(e->b, word[i], LLVMBuildGEP2(e->b, e->i64, log, &index, 1, ""));
    }
    LLVMBuildStore(e->b, LLVMBuildAdd(e->b, count, const_i64(e, 1), ""), at);
}

void profile_call(Emit *e, V fn, int number)
{
    V start = e->called ? cycles_emit(e) : NULL;
    LLVMBuildCall2(e->b, e->kernel_type, fn, &e->frame, 1, "");
    if (e->called)
        note_emit(e, number, start, cycles_emit(e));
}

/* ---- descriptions ---- */

enum { READS_MOST = 128 };

typedef struct {
    Arena *arena;
    const Emit *e;
    const int64_t *at;     /* the value of every symbol */
    double calls;          /* of the step at hand; 1 in a parameter phase */
    double rounds;         /* of the loops around it */
    ProfileKernel *to;
    int count[NOP];        /* operations of the kernel at hand */
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

/* Values that cost a polynomial, or rounds of a generator. */
static bool is_function(Op op)
{
    static const bool functions[NOP] = {
        [OP_exp] = true,  [OP_expm1] = true,   [OP_log] = true,      [OP_log1p] = true,
        [OP_tanh] = true, [OP_sigmoid] = true, [OP_softplus] = true, [OP_erf] = true,
        [OP_sin] = true,  [OP_cos] = true,     [OP_probit] = true,   [OP_pow] = true,
        [OP_random] = true};
    return functions[op];
}

static void add_work(Describe *d, const Node *n)
{
    ProfileKernel *k = d->to;
    OpKind kind = op_info[n->op].kind;
    d->count[n->op]++;
    if (is_function(n->op))
        k->functions += d->rounds * elements(d, &n->shape);
    else if (n->op == OP_contract || n->op == OP_batch_contract)
        k->products += d->rounds * product_flops(n, d->at);
    else if (n->op == OP_scatter_add)
        k->arithmetic += d->rounds * elements(d, &n->in[1]->shape);
    else if (kind == KIND_reduce || n->op == OP_sum_shards)
        k->arithmetic += d->rounds * elements(d, &n->in[0]->shape);
    else if (kind == KIND_map && n->op != OP_cast && n->op != OP_stop_gradient)
        k->arithmetic += d->rounds * elements(d, &n->shape);
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
    if (b->port >= 0 && d->e->k->ports.at[b->port].role == ROLE_param)
        name_layer(d, d->e->k->ports.at[b->port].name);
}

static Span describe_nest(Describe *d, const Nest *nest)
{
    Span span = nest->span;
    for (int i = nest->nodes.n - 1; i >= 0; i--) {
        Node *n = nest->nodes.at[i];
        add_work(d, n);
        for (int j = 0; j < n->nin; j++)
            add_read(d, nest, n, n->in[j]);
        if (n->op == OP_contract)
            span = n->span;
    }
    for (int i = 0; i < nest->stores.n; i++) {
        add_read(d, nest, NULL, nest->stores.at[i].value);
        add_store(d, &nest->stores.at[i]);
    }
    return span;
}

/* Steps that are no nest: what they move. */
static Span describe_move(Describe *d, const Step *s)
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
    else if (s->kind == STEP_scatter)
        d->to->bytes += inner;
    return n ? n->span : (Span){0};
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

static void describe_step(Describe *d, const Step *s)
{
    d->to = NEW(d->arena, ProfileKernel);
    memset(d->count, 0, sizeof d->count);
    d->nread = 0;
    d->layer = NULL;
    Span span = s->kind == STEP_nest ? describe_nest(d, s->nest) : describe_move(d, s);
    for (int i = 0; i < d->nread; i++)
        d->to->bytes += d->rounds * d->read[i].bytes;
    d->to->call_bytes = d->to->bytes / d->calls;
    d->to->name = arena_strdup(d->arena, d->e->called[s->number]);
    d->to->what = what_text(d, s);
    d->to->file = "";
    if (span.file && d->e->diag) {
        int column;
        d->to->file = arena_strdup(d->arena, diag_file(d->e->diag, span));
        diag_line_column(d->e->diag, span, &d->to->line, &column);
    }
}

static void describe_steps(Describe *d, Step *const *steps, int n, ProfileKernel *all)
{
    for (int i = 0; i < n; i++) {
        const Step *s = steps[i];
        if (s->kind != STEP_loop) {
            describe_step(d, s);
            all[s->number] = *d->to;
            continue;
        }
        Describe inner = *d;
        double extent = (double)dim_value(s->extent, d->at);
        inner.rounds *= extent;
        inner.calls *= extent;
        describe_steps(&inner, s->body.at, s->body.n, all);
    }
}

ProfileKernel *profile_describe(Arena *a, const Emit *e, const int64_t *at)
{
    ProfileKernel *all = NEW_ARRAY(a, ProfileKernel, e->k->nkernel + 1);
    Describe *d = NEW(a, Describe);
    *d = (Describe){.arena = a, .e = e, .at = at};
    for (int i = 0; i < e->k->phases.n; i++) {
        const Phase *p = e->k->phases.at[i];
        int64_t blocks = (at[SYM_N] + BLOCK_ROWS - 1) / BLOCK_ROWS;
        d->calls = p->rows ? (double)blocks : 1;
        d->rounds = 1;
        describe_steps(d, p->steps.at, p->steps.n, all);
    }
    return all;
}
