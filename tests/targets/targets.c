/* Code for other processors against the interpreter: targets TARGET DIR SCRIPTS MODEL [size]
 * (or: targets run TARGET DIR SCRIPTS SOURCE..., which only runs DIR/object.o)
 *
 * Every definition of MODEL becomes a scalar function of its inputs and parameters
 * with its gradient (as in weft gradcheck), goes through the passes and is compiled
 * for TARGET, all into one object. SCRIPTS/run.sh links it with run.c,
 * which walks through the programs on the target, and leaves the outputs in DIR.
 * They may differ from the interpreter's by 1e-6 of a tensor's largest magnitude,
 * by 1e-5 where the target has no fused multiply-add. Where it has, and is this machine's kind,
 * object, interpreter and the JIT for the same target agree to the bit.
 */
#include "driver/passes.h"
#include "emit/compile.h"
#include "emit/module.h"
#include "grad/grad.h"
#include "ir/eval.h"
#include "lay_out.h"
#include "../unit/emit_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { ROWS = 19, LENGTH = 4, SKIPPED = 77, INSPECTED = 78 };

typedef struct {
    Arena *arena;
    Graph *graph;
    const char *name, *prefix;
    int64_t lengths[SYM_MOST];
    Value *in, *out;         /* of the graph; out: the interpreter's */
    Program *program;
} Case;

typedef struct {
    Arena *arena;
    const Target *target;
    const char *dir;
    LIST(Case *) cases;
    int tensors, equal, wrong;
    double worst;
} Trial;

/* ---- cases ---- */

/* Appends the gradient and runs the passes. */
static void add_gradient(Graph *g, bool columns)
{
    static const Pass passes[] = {PASS_simplify, PASS_concat, PASS_sink, PASS_defer};
    Node *wrt[64] = {NULL}, *grad[64], *loss = NULL;
    const char *name[64];
    int n = 0;
    for (int i = 0; i < g->inputs.n && n < 64; i++)
        if (attr_int(g->inputs.at[i], ATTR_role, -1) == ROLE_param &&
            dtype_is_float(g->inputs.at[i]->dtype)) {
            name[n] = attr_str(g->inputs.at[i], ATTR_name);
            wrt[n++] = g->inputs.at[i];
        }
    for (int i = 0; i < g->outputs.n; i++)
        if (g->outputs.at[i].role == ROLE_loss)
            loss = g->outputs.at[i].node;
    grad_append(g, loss, wrt, n, grad);
    for (int i = 0; i < n; i++)
        graph_output(g, ROLE_grad, name[i], grad[i]);
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++)
        pass_apply(passes[i], g);
    if (columns) {
        pass_apply(PASS_layout, g);
        g->columns = ROWS;
    }
}

static void fill_inputs(Case *c, int seed)
{
    uint64_t state = (uint64_t)seed * 7919 + 1;
    for (int i = 0; i < c->graph->inputs.n; i++) {
        const Node *n = c->graph->inputs.at[i];
        int64_t dim[RANK_MOST], role = attr_int(n, ATTR_role, -1);
        for (int k = 0; k < n->shape.rank; k++)
            dim[k] = dim_value(n->shape.d[k], c->lengths);
        c->in[i] = value_new(c->arena, n->dtype, n->shape.rank, dim);
        for (int64_t e = 0; e < c->in[i].count && role != ROLE_scalar; e++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            double v = (double)(state >> 40) * 0x1p-23 - 1; /* a float: [-1, 1) */
            if (dtype_is_float(n->dtype)) /* a buffer may be a variance */
                value_set(&c->in[i], e, role == ROLE_buffer ? fabs(v) : v);
        }
    }
}

static Case *case_new(Trial *r, Graph *g, int number)
{
    Case *c = NEW(r->arena, Case);
    *c = (Case){.arena = r->arena, .graph = g, .name = g->name,
                .prefix = arena_printf(r->arena, "c%d_", number)};
    add_gradient(g, number % 2); /* both layouts */
    c->lengths[SYM_N] = ROWS;
    c->lengths[SYM_S] = shard_count(ROWS);
    for (int i = SYM_length; i < SYM_MOST; i++)
        c->lengths[i] = LENGTH;
    c->in = NEW_ARRAY(r->arena, Value, g->inputs.n + 1);
    c->out = NEW_ARRAY(r->arena, Value, g->outputs.n + 1);
    fill_inputs(c, number);
    graph_eval(r->arena, g, (EvalSizes){c->lengths, SYM_MOST}, c->in, c->out, false);
    return c;
}

static bool open_model(Trial *r, const char *path)
{
    Diag *d = NEW(r->arena, Diag);
    d->arena = r->arena;
    Session *session = session_new(r->arena, d, DT_f32);
    Unit *unit = unit_open(session, path);
    Graph **graph = NULL;
    int n = unit ? unit_gradchecks(unit, &graph) : 0;
    for (int i = 0; i < n; i++)
        list_push(r->arena, &r->cases, case_new(r, graph[i], i));
    diag_print(d, stderr);
    return n > 0;
}

/* ---- the object and its description ---- */

static FILE *create(const Trial *r, const char *name)
{
    FILE *f = fopen(arena_printf(r->arena, "%s/%s", r->dir, name), "wb");
    if (!f) {
        perror(name);
        exit(1);
    }
    return f;
}

static bool write_object(Trial *r)
{
    JitOptions options = {.target = r->target, .rows = ROWS};
    Module m;
    module_begin(&m, r->target);
    for (int i = 0; i < r->cases.n; i++) {
        Case *c = r->cases.at[i];
        const char *why = NULL;
        c->program = module_add(r->arena, &m, c->graph, &options, c->prefix, &why);
        if (!c->program) {
            printf("%s is not compiled: %s\n", c->name, why);
            return false;
        }
    }
    Bytes object;
    soft_doubles(r->arena, &m);
    module_finish(r->arena, &m, FORM_object, &object);
    module_end(&m);
    FILE *f = create(r, "object.o");
    fwrite(object.at, 1, object.size, f);
    return fclose(f) == 0;
}

static void write_words(FILE *f, const char *name, int i, const Value *v)
{
    int64_t bytes = v->count * dtype_size(v->dtype);
    fprintf(f, "static const unsigned %sv%d[] = {", name, i);
    for (int64_t at = 0; at < bytes; at += 4) {
        uint32_t word = 0;
        memcpy(&word, (const char *)v->data + at, (size_t)(bytes - at < 4 ? bytes - at : 4));
        fprintf(f, "%#x,%s", word, at % 64 == 60 ? "\n" : "");
    }
    fprintf(f, "};\n");
}

/* The graph's value at a port: an input's, or an output's shape alone. */
static const Value *port_value(const Case *c, const Port *p, bool *is_input)
{
    *is_input = true;
    for (int i = 0; i < c->graph->inputs.n; i++) {
        const Node *n = c->graph->inputs.at[i];
        if (attr_int(n, ATTR_role, -1) == (int64_t)p->role &&
            !strcmp(attr_str(n, ATTR_name), p->name))
            return &c->in[i];
    }
    *is_input = false;
    for (int i = 0; i < c->graph->outputs.n; i++)
        if (c->graph->outputs.at[i].role == p->role &&
            !strcmp(c->graph->outputs.at[i].name, p->name))
            return &c->out[i];
    bug("port %s is neither input nor output", p->name);
}

static void write_ports(FILE *f, const Case *c)
{
    const Program *p = c->program;
    bool is_input;
    for (int i = 0; i < p->nport; i++) {
        const Value *v = port_value(c, &p->port[i], &is_input);
        if (is_input)
            write_words(f, c->prefix, i, v);
    }
    fprintf(f, "static const TargetPort %sport[] = {", c->prefix);
    for (int i = 0; i < p->nport; i++) {
        const Value *v = port_value(c, &p->port[i], &is_input);
        const char *value = is_input ? arena_printf(c->arena, "%sv%d", c->prefix, i) : "0";
        fprintf(f, "{%s, %lld, %d},\n", value, (long long)(v->count * dtype_size(v->dtype)),
                p->port[i].is_output);
    }
    fprintf(f, "{0, 0, 0}};\n");
}

static void write_stores(FILE *f, const Case *c, const LayOut *l)
{
    fprintf(f, "static const TargetStore %sstore[] = {", c->prefix);
    for (int i = 0; i < c->program->nstore; i++) {
        const StoreInfo *s = &c->program->store[i];
        fprintf(f, "{%d, %d, %lld, %lld},\n", (int)s->kind, s->port,
                (long long)(s->kind == STORE_port ? 0 : l->size[i]),
                (long long)(s->kind == STORE_port ? 0 : l->offset[i]));
    }
    fprintf(f, "{0, 0, 0, 0}};\n");
}

static void write_phases(FILE *f, const Case *c)
{
    const Program *p = c->program;
    for (int i = 0; i < p->nphase; i++)
        for (int k = 0; k < p->phase[i].ntask; k++)
            fprintf(f, "void %s(void *);\n", p->phase[i].task[k].name);
    for (int i = 0; i < p->nphase; i++) {
        fprintf(f, "static const TargetTask %stask%d[] = {", c->prefix, i);
        for (int k = 0; k < p->phase[i].ntask; k++) {
            const Task *t = &p->phase[i].task[k];
            fprintf(f, "{%s, %lld, %d},\n", t->name, (long long)t->units, t->level);
        }
        fprintf(f, "{0, 0, 0}};\n");
    }
    fprintf(f, "static const TargetPhase %sphase[] = {", c->prefix);
    for (int i = 0; i < p->nphase; i++)
        fprintf(f, "{%d, %d, %d, %stask%d},\n", p->phase[i].rows, p->phase[i].ntask,
                p->phase[i].nlevel, c->prefix, i);
    fprintf(f, "{0, 0, 0, 0}};\n");
}

/* The words of a frame that run.c fills. */
static void write_frame(Trial *r)
{
    FILE *f = create(r, "frame.h");
#define WORD(name) fprintf(f, "enum { " #name " = %d };\n", (int)name)
    WORD(FRAME_n);
    WORD(FRAME_row0);
    WORD(FRAME_rows);
    WORD(FRAME_first);
    WORD(FRAME_unit);
    WORD(FRAME_shards);
    WORD(FRAME_lengths);
#undef WORD
    fclose(f);
}

static void write_cases(Trial *r)
{
    FILE *f = create(r, "cases.c");
    fprintf(f, "#include \"run.h\"\n");
    LayOut *l = NEW_ARRAY(r->arena, LayOut, r->cases.n);
    for (int i = 0; i < r->cases.n; i++) {
        const Case *c = r->cases.at[i];
        int n = c->program->nstore + 1;
        l[i] = (LayOut){.size = NEW_ARRAY(r->arena, int64_t, n),
                        .room = NEW_ARRAY(r->arena, int64_t, n),
                        .offset = NEW_ARRAY(r->arena, int64_t, n)};
        if (!lay_out(c->program, ROWS, c->lengths, &l[i]))
            bug("no memory");
        write_ports(f, c);
        write_stores(f, c, &l[i]);
        write_phases(f, c);
    }
    fprintf(f, "static const long long lengths[] = {");
    for (int i = 0; i < SYM_MOST; i++)
        fprintf(f, "%lld, ", (long long)r->cases.at[0]->lengths[i]);
    fprintf(f, "};\nconst TargetCase target_cases[] = {");
    for (int i = 0; i < r->cases.n; i++) {
        const Case *c = r->cases.at[i];
        const char *p = c->prefix;
        fprintf(f, "{%d, %lld, %lld, %lld, lengths, %lld, %lld, %d, %d, %d, %d, %sstore, %sport, "
                "%sphase},\n", ROWS, (long long)block_rows(ROWS), (long long)shard_rows(ROWS),
                (long long)shard_count(ROWS), (long long)l[i].worker, (long long)l[i].common,
                c->program->nstore, c->program->nport, c->program->nphase, (int)FRAME_buffer, p, p,
                p);
    }
    fprintf(f, "};\nconst int target_ncase = %d;\n", r->cases.n);
    fclose(f);
}

/* ---- running and comparing ---- */

/* Links r->dir/object.o with sources and runs it; flags may follow them. */
static int run(const Trial *r, const char *scripts, char *const *sources)
{
    const Target *t = r->target;
    char *command = arena_printf(r->arena, "bash '%s/run.sh' '%s' %u '%s' '%s' '%s' '%s'", scripts,
                                 r->dir, t->floats, t->triple, t->cpu, t->abi,
                                 t->run ? t->run : "");
    for (; *sources; sources++)
        command = arena_printf(r->arena, "%s '%s'", command, *sources);
    fflush(stdout);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void compare(Trial *r, const Case *c, const char *name, const Value *want, const Value *got)
{
    double scale = 0, worst = 0, tolerance = r->target->fma & REAL_f32 ? 1e-6 : 1e-5;
    int64_t at = 0, bits = 0;
    for (int64_t i = 0; i < want->count; i++)
        scale = fmax(scale, fabs(value_get(want, i)));
    for (int64_t i = 0; i < want->count; i++) {
        double a = value_get(want, i), b = value_get(got, i), error = fabs(a - b);
        if (isnan(a) && isnan(b))
            continue;
        bits += a != b;
        if (isnan(error) || error > worst) {
            worst = isnan(error) ? INFINITY : error;
            at = i;
        }
    }
    r->tensors++;
    r->equal += bits == 0;
    if (scale > 0 && worst / scale > r->worst)
        r->worst = worst / scale;
    if (worst <= tolerance * scale)
        return;
    r->wrong++;
    printf("%s: %s[%lld] is %.9g, the interpreter's %.9g, of at most %.3g\n", c->name, name,
           (long long)at, value_get(got, at), value_get(want, at), scale);
}

static void compare_all(Trial *r)
{
    FILE *f = fopen(arena_printf(r->arena, "%s/out.bin", r->dir), "rb");
    for (int i = 0; i < r->cases.n; i++) {
        const Case *c = r->cases.at[i];
        for (int k = 0; k < c->program->nport; k++) {
            const Port *p = &c->program->port[k];
            if (!p->is_output)
                continue;
            const Output *o = NULL;
            int at = 0;
            for (; at < c->graph->outputs.n && !o; at++)
                if (c->graph->outputs.at[at].role == p->role &&
                    !strcmp(c->graph->outputs.at[at].name, p->name))
                    o = &c->graph->outputs.at[at];
            const Value *want = &c->out[at - 1];
            Value got = value_new(r->arena, want->dtype, want->rank, want->dim);
            size_t bytes = (size_t)(want->count * dtype_size(want->dtype));
            if (!o || !f || fread(got.data, 1, bytes, f) != bytes) {
                printf("%s: its output '%s' is not there\n", c->name, p->name);
                r->wrong++;
                return;
            }
            compare(r, c, p->name, want, &got);
        }
    }
    fclose(f);
}

/* Runs code for it natively, and its bits are the interpreter's? */
static bool is_native(const Target *t)
{
    return t->fma & REAL_f32 && (!strcmp(t->name, "host") || (t->run && !*t->run));
}

/* Every definition by the JIT's code for the same target; the number of outputs that differ. */
static int differing_jit(const Trial *r)
{
    int wrong = 0;
    check_target = r->target;
    for (int i = 0; i < r->cases.n; i++) {
        const Case *c = r->cases.at[i];
        check_columns = c->graph->columns;
        wrong += check_compiled(c->graph, c->name, "", ROWS, LENGTH, 2, c->in);
    }
    return wrong;
}

static int run_cases(Trial *r, const char *scripts)
{
    char *sources[] = {arena_printf(r->arena, "%s/run.c", scripts), "cases.c", NULL};
    write_frame(r);
    write_cases(r);
    int code = run(r, scripts, sources);
    if (code == INSPECTED) {
        printf("%s: %d definitions, looked at but not run\n", r->target->name, r->cases.n);
        return 0;
    }
    if (code) {
        printf("%s: %s\n", r->target->name, code == SKIPPED ? "not run" : "did not run");
        return code;
    }
    compare_all(r);
    printf("%s: %d tensors of %d definitions, %d with the interpreter's bits, largest error %.2g, "
           "%d wrong\n", r->target->name, r->tensors, r->cases.n, r->equal, r->worst, r->wrong);
    if (r->wrong || !r->tensors || !is_native(r->target))
        return r->wrong || !r->tensors;
    int jit = differing_jit(r);
    printf("%s: %d tensors differ from the JIT's\n", r->target->name, jit);
    return jit || r->equal != r->tensors;
}

int main(int argc, char **argv)
{
    bool only = argc > 1 && !strcmp(argv[1], "run");
    bool small = !only && argc == 6 && !strcmp(argv[5], "size");
    if (only ? argc < 6 : argc != 5 + small) {
        fprintf(stderr, "targets TARGET DIR SCRIPTS MODEL [size]\n"
                        "targets run TARGET DIR SCRIPTS SOURCE... [FLAG...]\n");
        return 2;
    }
    argv += only;
    Trial r = {.arena = arena_new(), .dir = argv[2]};
    const char *why = NULL;
    r.target = target_find(r.arena, argv[1], NULL, NULL, &why);
    if (!r.target) {
        printf("%s\n", why);
        return 1;
    }
    if (small)
        r.target = target_small(r.arena, r.target);
    int code = only                                           ? run(&r, argv[3], argv + 4)
               : open_model(&r, argv[4]) && write_object(&r) ? run_cases(&r, argv[3])
                                                              : 1;
    arena_free(r.arena);
    return code;
}
