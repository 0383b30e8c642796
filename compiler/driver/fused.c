/* Which operations became which kernel: the loop trees of kernel/, without the code.
 *
 * What a kernel keeps in registers stands inside of it; what goes through memory is a flow from
 * the kernels that store a buffer to those that read it. Flows between the same two kernels are
 * one edge with several lines.
 */
#include "driver/fused.h"

#include "driver/text.h"
#include "kernel/kernel.h"

#include <string.h>

/* A buffer read or stored by a kernel: by the operation `by`, or by the kernel as such (null). */
typedef struct { Place place; const Node *by; } Access;

typedef struct {
    const Step *step;
    int phase;
    LIST(Access) reads;
    LIST(Access) stores;
} Part;

/* Values that go from one kernel to another; `round`: to a later turn of the loop around both. */
typedef struct {
    int from, to;
    const Access *store, *read;
    bool round;
} Flow;

typedef struct {
    Arena *a;
    const Kernel *k;
    const ProfileKernel *about;   /* by number, as part */
    Part *part;
    LIST(Flow) flows;
    Text out;
} Fused;

/* ---- what a kernel reads and stores ---- */

static void add_access(Fused *f, void *to, Place place, const Node *by)
{
    LIST(Access) *list = to;
    for (int i = 0; i < list->n; i++)
        if (list->at[i].place.buffer == place.buffer && list->at[i].place.slot == place.slot)
            return;
    Access x = {place, by};
    list_push(f->a, list, x);
}

/* A read ends at storage; what the nest itself makes stays in registers. */
static void add_read(Fused *f, Part *p, const Nest *nest, Node *n, const Node *by)
{
    if (nest && INFO(n)->nest == nest)
        return;
    const NodeInfo *base = INFO(kernel_base(n));
    if (base->place.buffer && base->cls != CLASS_host)
        add_access(f, &p->reads, base->place, by);
}

/* The operands of a step's operation, or of one turned around before. */
static void operand_accesses(Fused *f, Part *p, const Step *s)
{
    for (int i = 0; s->node && s->kind != STEP_transpose && i < s->node->nin; i++) {
        int operand = i - (attr_int(s->node, ATTR_acc, 0) != 0);
        bool turned = operand >= 0 && operand < 2 && s->across[operand].buffer;
        if (turned)
            add_access(f, &p->reads, s->across[operand], s->node);
        else
            add_read(f, p, NULL, s->node->in[i], s->node);
    }
}

static void nest_accesses(Fused *f, Part *p, const Nest *nest)
{
    for (int i = 0; i < nest_operations(nest); i++) {
        const Node *n = nest_operation(nest, i);
        if (INFO(n)->whole) {
            operand_accesses(f, p, INFO(n)->whole);
            continue;
        }
        for (int j = 0; j < n->nin; j++)
            add_read(f, p, nest, n->in[j], n);
    }
    for (int i = 0; i < nest->stores.n; i++) {
        const Store *s = &nest->stores.at[i];
        bool own = INFO(s->value)->nest == nest;
        add_read(f, p, nest, s->value, NULL);
        add_access(f, &p->stores, s->to, own ? s->value : NULL);
    }
}

/* Of a step that is no nest. */
static void step_accesses(Fused *f, Part *p, const Step *s)
{
    Place outside = {.buffer = s->outside, .loop = -1};
    if (s->kind == STEP_load)
        add_access(f, &p->reads, outside, NULL);
    if (s->kind == STEP_store)
        add_access(f, &p->reads, s->place, NULL);
    if (s->kind == STEP_transpose)
        add_read(f, p, NULL, s->node, NULL);
    operand_accesses(f, p, s);
    add_access(f, &p->stores, s->kind == STEP_store ? outside : s->place,
               s->kind == STEP_transpose ? NULL : s->node);
}

static void find_parts(Fused *f, Step *const *steps, int n, int phase)
{
    for (int i = 0; i < n; i++) {
        if (steps[i]->kind == STEP_loop) {
            find_parts(f, steps[i]->body.at, steps[i]->body.n, phase);
            continue;
        }
        Part *p = &f->part[steps[i]->number];
        p->step = steps[i];
        p->phase = phase;
        if (steps[i]->kind == STEP_nest)
            nest_accesses(f, p, steps[i]->nest);
        else
            step_accesses(f, p, steps[i]);
    }
}

/* ---- flows ---- */

/* Does a store fill what a read takes? Of a carry's two slots the first value and the last
 * turn's are read as `now`, what the last turn left as `final`. */
static bool feeds(const Place *store, const Place *read)
{
    if (store->buffer != read->buffer || store->buffer->mem == MEM_port)
        return false;
    if (read->slot == SLOT_now)
        return store->slot == SLOT_first || store->slot == SLOT_next;
    return read->slot != SLOT_final || store->slot == SLOT_next;
}

/* Zeros are for the kernels that add to them, or fill in the rest. */
static bool is_filled_later(const Fused *f, int from, const Buffer *b, int to)
{
    if (f->part[from].step->kind != STEP_zero)
        return false;
    for (int i = from + 1; i < f->k->nkernel; i++)
        for (int j = 0; i != to && j < f->part[i].stores.n; j++)
            if (f->part[i].stores.at[j].place.buffer == b)
                return true;
    return false;
}

static void add_flows(Fused *f, int from, int to)
{
    Part *p = &f->part[from], *q = &f->part[to];
    for (int i = 0; i < p->stores.n; i++) {
        const Access *store = &p->stores.at[i];
        bool found = false;
        for (int j = 0; !found && j < q->reads.n; j++) {
            const Access *read = &q->reads.at[j];
            found = feeds(&store->place, &read->place) &&
                    !is_filled_later(f, from, store->place.buffer, to);
            Flow flow = {from, to, store, read, from >= to};
            if (found && (from < to || read->place.slot == SLOT_now))
                list_push(f->a, &f->flows, flow);
        }
        for (int j = 0; !found && p->step->kind == STEP_zero && from < to && j < q->stores.n; j++) {
            Flow flow = {from, to, store, &q->stores.at[j], false};
            if (q->stores.at[j].place.buffer == store->place.buffer) {
                list_push(f->a, &f->flows, flow);
                break;
            }
        }
    }
}

/* ---- words ---- */

/* "h[t-1] [28, 50], 5.60 KB a row" */
static const char *buffer_text(const Fused *f, const Buffer *b)
{
    int64_t count;
    const char *of = b->lanes ? " a row" : b->mem == MEM_shard ? " a shard" : "";
    const char *bytes = "";
    if (shape_count(&b->shape, 0, &count))
        bytes = arena_printf(f->a, ", %s%s",
                             text_bytes(f->a, (double)count * dtype_size(b->dtype)), of);
    return arena_printf(f->a, "%s %s%s", b->name ? b->name : "",
                        shape_text(f->a, f->k->graph, &b->shape), bytes);
}

static const char *label(const Fused *f, const char *s)
{
    return dot_label(f->a, s, 72);
}

/* An operation with the constants that it takes. */
static const char *operation_text(const Fused *f, const Node *n)
{
    const char *text = dot_head(f->a, n);
    for (int i = 0; op_info[n->op].kind == KIND_map && i < n->nin; i++) {
        const Node *x = n->in[i];
        while (x->op == OP_broadcast || x->op == OP_cast || x->op == OP_reshape)
            x = x->in[0];
        if (x->op == OP_const)
            text = arena_printf(f->a, "%s %s%s", text, n->nin > 1 && i == 0 ? "of " : "",
                                dot_head(f->a, x));
    }
    return text;
}

static const char *where_text(const Fused *f, int number)
{
    const ProfileKernel *k = &f->about[number];
    const char *slash = strrchr(k->file, '/');
    return k->line ? arena_printf(f->a, "%s:%d", slash ? slash + 1 : k->file, k->line) : "";
}

static const char *loop_text(const Fused *f, const Step *s)
{
    return arena_printf(f->a, "%s steps%s", dim_text(f->a, f->k->graph, s->extent),
                        s->reverse ? ", the last first" : "");
}

static const char *phase_text(const Fused *f, int phase)
{
    const Phase *p = f->k->phases.at[phase];
    return arena_printf(f->a, "phase %d, %s", phase,
                        p->rows ? arena_printf(f->a, "each block of %d rows", f->k->block)
                                : "parameters");
}

/* The kernels that touch a port, besides `number`. */
static int other_users(const Fused *f, const Buffer *b, int number)
{
    int n = 0;
    for (int i = 0; i < f->k->nkernel; i++) {
        bool uses = false;
        for (int j = 0; j < f->part[i].reads.n; j++)
            uses |= f->part[i].reads.at[j].place.buffer == b;
        for (int j = 0; j < f->part[i].stores.n; j++)
            uses |= f->part[i].stores.at[j].place.buffer == b;
        n += uses && i != number;
    }
    return n;
}

/* ---- as text ---- */

static void print_accesses(Fused *f, const char *word, const Part *p, bool stores, int indent)
{
    const Access *at = stores ? p->stores.at : p->reads.at;
    for (int i = 0; i < (stores ? p->stores.n : p->reads.n); i++)
        text_add(&f->out, "%*s%s %s\n", indent, "", word, buffer_text(f, at[i].place.buffer));
}

static void print_kernel(Fused *f, const Step *s, int indent)
{
    const ProfileKernel *k = &f->about[s->number];
    const Part *p = &f->part[s->number];
    text_add(&f->out, "%*s%s  %s  %s\n", indent, "", k->name, where_text(f, s->number), k->what);
    print_accesses(f, "reads ", p, false, indent + 4);
    for (int i = 0; s->kind == STEP_nest && i < nest_operations(s->nest); i++) {
        const Node *n = nest_operation(s->nest, i);
        text_add(&f->out, "%*s%s%s%s\n", indent + 6, "", operation_text(f, n),
                 n->name ? " = " : "", n->name ? n->name : "");
    }
    if (s->kind != STEP_nest)
        text_add(&f->out, "%*s%s\n", indent + 6, "",
                 s->node && s->kind != STEP_transpose ? operation_text(f, s->node)
                                                      : step_kinds[s->kind]);
    print_accesses(f, "stores", p, true, indent + 4);
}

static void print_steps(Fused *f, Step *const *steps, int n, int indent)
{
    for (int i = 0; i < n; i++) {
        if (steps[i]->kind != STEP_loop) {
            print_kernel(f, steps[i], indent);
            continue;
        }
        text_add(&f->out, "%*sloop %s {\n", indent, "", loop_text(f, steps[i]));
        print_steps(f, steps[i]->body.at, steps[i]->body.n, indent + 2);
        text_add(&f->out, "%*s}\n", indent, "");
    }
}

static void print_text(Fused *f)
{
    const Kernel *k = f->k;
    text_add(&f->out, "%d kernels\n", k->nkernel);
    for (int i = 0; i < k->phases.n; i++) {
        if (k->phases.at[i]->steps.n == 0)
            continue;
        text_add(&f->out, "%s {\n", phase_text(f, i));
        print_steps(f, k->phases.at[i]->steps.at, k->phases.at[i]->steps.n, 2);
        text_add(&f->out, "}\n");
    }
}

/* ---- as a picture ---- */

/* A node of the picture: an operation by its place in the nest; -1: none of it. */
static int place_in(const Step *s, const Node *n)
{
    for (int i = 0; n && s->kind == STEP_nest && i < nest_operations(s->nest); i++)
        if (nest_operation(s->nest, i) == n)
            return i;
    return -1;
}

/* Where an edge between kernels ends: at that operation, or the first. */
static int end_in(const Step *s, const Node *n)
{
    int at = place_in(s, n);
    return at < 0 ? 0 : at;
}

/* The caller's memory that no other kernel touches stands inside of the kernel; what is
 * overwritten in place, too. */
static void draw_ports(Fused *f, const Step *s, int depth)
{
    const Part *p = &f->part[s->number];
    Text lines = {.arena = f->a};
    for (int i = 0; i < p->reads.n + p->stores.n; i++) {
        bool stores = i >= p->reads.n;
        const Buffer *b = (stores ? &p->stores.at[i - p->reads.n] : &p->reads.at[i])->place.buffer;
        bool both = false;
        for (int j = 0; !stores && j < p->stores.n; j++)
            both |= p->stores.at[j].place.buffer == b;
        if (b->mem == MEM_port && !both && (stores || !other_users(f, b, s->number)))
            text_add(&lines, "%s%s\\l", stores ? "stores " : "reads ",
                     label(f, buffer_text(f, b)));
    }
    if (lines.n)
        text_add(&f->out, "%*sk%d_ports [shape=note, style=filled, fillcolor=\"#dce9f7\", "
                 "label=\"%s\"];\n", 2 * depth, "", s->number, text_string(&lines));
}

static void draw_nest(Fused *f, const Step *s, int depth)
{
    const Nest *nest = s->nest;
    for (int i = 0; i < nest_operations(nest); i++) {
        const Node *n = nest_operation(nest, i);
        text_add(&f->out, "%*sk%d_%d [%s, label=\"%s", 2 * depth, "", s->number, i, dot_style(n),
                 label(f, operation_text(f, n)));
        text_add(&f->out, "%s%s\"];\n", n->name ? "\\n" : "", n->name ? label(f, n->name)
                                                                      : "");
        for (int j = 0; j < n->nin; j++)
            if (place_in(s, n->in[j]) >= 0)
                text_add(&f->out, "%*sk%d_%d -> k%d_%d;\n", 2 * depth, "", s->number,
                         place_in(s, n->in[j]), s->number, i);
    }
    if (nest_operations(nest) == 0)
        text_add(&f->out, "%*sk%d_0 [shape=plaintext, label=\"copy\"];\n", 2 * depth, "",
                 s->number);
}

static void draw_kernel(Fused *f, const Step *s, int depth)
{
    const char *where = where_text(f, s->number);
    text_add(&f->out, "%*ssubgraph cluster_k%d {\n", 2 * depth, "", s->number);
    text_add(&f->out, "%*slabel=\"%s%s%s\"; style=\"rounded,filled\"; color=\"#7f8ea3\"; "
             "fillcolor=\"#f6f8fa\";\n", 2 * depth + 2, "", f->about[s->number].name,
             *where ? "\\n" : "", label(f, where));
    if (s->kind == STEP_nest)
        draw_nest(f, s, depth + 1);
    else
        text_add(&f->out, "%*sk%d_0 [shape=box, style=rounded, label=\"%s\"];\n", 2 * depth + 2, "",
                 s->number,
                 label(f, s->node && s->kind != STEP_transpose ? operation_text(f, s->node)
                                                                      : step_kinds[s->kind]));
    draw_ports(f, s, depth + 1);
    text_add(&f->out, "%*s}\n", 2 * depth, "");
}

static void draw_steps(Fused *f, Step *const *steps, int n, int depth)
{
    for (int i = 0; i < n; i++) {
        const Step *s = steps[i];
        if (s->kind != STEP_loop) {
            draw_kernel(f, s, depth);
            continue;
        }
        text_add(&f->out, "%*ssubgraph cluster_loop%d {\n%*slabel=\"%s\"; style=dashed; "
                 "color=\"#444444\";\n", 2 * depth, "", s->loop, 2 * depth + 2, "",
                 label(f, loop_text(f, s)));
        draw_steps(f, s->body.at, s->body.n, depth + 1);
        text_add(&f->out, "%*s}\n", 2 * depth, "");
    }
}

/* One edge for all that goes from one kernel to another in the same round. */
static void draw_flows(Fused *f, bool round)
{
    for (int i = 0; i < f->flows.n; i++) {
        const Flow *first = &f->flows.at[i];
        bool drawn = first->round != round;
        for (int j = 0; !drawn && j < i; j++)
            drawn = f->flows.at[j].from == first->from && f->flows.at[j].to == first->to &&
                    f->flows.at[j].round == round;
        if (drawn)
            continue;
        text_add(&f->out, "  k%d_%d -> k%d_%d [", first->from,
                 end_in(f->part[first->from].step, first->store->by), first->to,
                 end_in(f->part[first->to].step, first->read->by));
        if (first->from != first->to)
            text_add(&f->out, "ltail=cluster_k%d, lhead=cluster_k%d, ", first->from, first->to);
        text_add(&f->out, "%spenwidth=2, color=\"#b5562b\", label=\"",
                 round ? "style=dashed, constraint=false, " : "");
        for (int j = i; j < f->flows.n; j++) {
            const Flow *flow = &f->flows.at[j];
            if (flow->from == first->from && flow->to == first->to && flow->round == round)
                text_add(&f->out, "%s%s\\l",
                         flow->read->place.slot == SLOT_final ? "last " : "",
                         label(f, buffer_text(f, flow->store->place.buffer)));
        }
        text_add(&f->out, "\"];\n");
    }
}

/* The caller's memory that several kernels read: a node, and an edge to each reader that does
 * not overwrite it. */
static void draw_shared_ports(Fused *f)
{
    for (int i = 0; i < f->k->buffers.n; i++) {
        const Buffer *b = f->k->buffers.at[i];
        if (b->mem != MEM_port || !other_users(f, b, -1) || other_users(f, b, -1) < 2)
            continue;
        text_add(&f->out, "  b%d [shape=box, style=filled, fillcolor=\"#dce9f7\", "
                 "label=\"%s\"];\n", b->id, label(f, buffer_text(f, b)));
        for (int j = 0; j < f->k->nkernel; j++) {
            const Part *p = &f->part[j];
            bool stores = false;
            for (int m = 0; m < p->stores.n; m++)
                stores |= p->stores.at[m].place.buffer == b;
            for (int m = 0; !stores && m < p->reads.n; m++)
                if (p->reads.at[m].place.buffer == b)
                    text_add(&f->out, "  b%d -> k%d_%d [lhead=cluster_k%d, color=\"#4e79a7\"];\n",
                             b->id, j, end_in(p->step, p->reads.at[m].by), j);
        }
    }
}

static void draw(Fused *f)
{
    const Kernel *k = f->k;
    text_add(&f->out, "digraph \"%s\" {\n  rankdir=TB; compound=true; fontname=\"sans-serif\"; "
             "fontsize=11;\n  node [fontname=\"sans-serif\", fontsize=10]; "
             "edge [fontname=\"sans-serif\", fontsize=9];\n",
             label(f, k->graph->name ? k->graph->name : "graph"));
    for (int i = 0; i < k->phases.n; i++) {
        if (k->phases.at[i]->steps.n == 0)
            continue;
        text_add(&f->out, "  subgraph cluster_phase%d {\n    label=\"%s\"; style=rounded; "
                 "color=\"#c0c0c0\"; fontsize=14;\n", i, phase_text(f, i));
        draw_steps(f, k->phases.at[i]->steps.at, k->phases.at[i]->steps.n, 2);
        text_add(&f->out, "  }\n");
    }
    draw_flows(f, false);
    draw_flows(f, true);
    draw_shared_ports(f);
    text_add(&f->out, "}\n");
}

/* ---- both ---- */

const char *fused_text(Arena *a, Diag *d, Span at, const Graph *g, int64_t rows, bool dot)
{
    Kernel *k = kernel_lower(a, graph_copy(a, g), rows ? (int)block_room(rows) : BLOCK_ROWS);
    if (k->why) {
        unsupported_at(d, at, "this cannot be compiled yet: %s", k->why);
        return NULL;
    }
    int64_t sizes[SYM_MOST] = {0};
    sizes[SYM_N] = rows ? rows : 1;
    sizes[SYM_S] = shard_count(sizes[SYM_N]);
    Fused f = {.a = a, .k = k, .about = kernel_describe(a, k, d, sizes), .out = {.arena = a}};
    f.part = NEW_ARRAY(a, Part, k->nkernel + 1);
    for (int i = 0; i < k->phases.n; i++)
        find_parts(&f, k->phases.at[i]->steps.at, k->phases.at[i]->steps.n, i);
    for (int i = 0; i < k->nkernel; i++)
        for (int j = 0; j < k->nkernel; j++)
            add_flows(&f, i, j);
    if (dot)
        draw(&f);
    else
        print_text(&f);
    return text_string(&f.out);
}
