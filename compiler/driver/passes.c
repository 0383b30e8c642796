/* The pass runner and the pipelines. */
#include "driver/passes.h"

#include "base/type.h"
#include "driver/bits.h"
#include "grad/grad.h"
#include "opt/opt.h"
#include "system.h"

#include <stdlib.h>
#include <string.h>

/* The facts of the table. */
enum { MADE = 1, GRADS = 2, UPDATE = 4, JOINED = 8 };

const PassInfo pass_info[NPASS] = {
#define PASS(name, needs, gives, breaks, rounding, doc) \
    {#name, doc, needs, gives, breaks, ROUND_##rounding},
#include "driver/pass.def"
};

/* One run of a pipeline. */
typedef struct {
    Unit *unit;
    Pipeline which;
    const PassOptions *options;
    Graph *graph;
    Node **grad;              /* by unit->param, between grad and optimizer */
    unsigned facts;
    int runs[NPASS];
    double seconds[NPASS];
    bool stopped;
} Runner;

static const Purpose purpose_of[] = {
    [PIPELINE_step] = FORWARD_train,      [PIPELINE_evaluate] = FORWARD_evaluate,
    [PIPELINE_predict] = FORWARD_predict, [PIPELINE_serve] = FORWARD_serve,
    [PIPELINE_prepare] = FORWARD_prepare, [PIPELINE_gradient] = FORWARD_train,
    [PIPELINE_watch] = FORWARD_watch,
};

/* ---- the passes ---- */

/* Evaluation wants figures, not the model's outputs: those would be computed
 * and stored for nothing. */
static void drop_outputs(Graph *g, Role role)
{
    int kept = 0;
    for (int i = 0; i < g->outputs.n; i++)
        if (g->outputs.at[i].role != role)
            g->outputs.at[kept++] = g->outputs.at[i];
    g->outputs.n = kept;
}

/* Does the command line watch "gradient/" or "" and this name? */
static bool is_watched(const PassOptions *o, const char *prefix, const char *name)
{
    size_t n = strlen(prefix);
    for (int i = 0; i < o->nwatch; i++)
        if (strncmp(o->watch[i], prefix, n) == 0 && (!name || strcmp(o->watch[i] + n, name) == 0))
            return true;
    return false;
}

/* Only what is watched; the loss where that needs it. */
static void keep_watched(Graph *g, const PassOptions *o)
{
    int kept = 0;
    for (int i = 0; i < g->outputs.n; i++) {
        const Output *out = &g->outputs.at[i];
        bool wanted = out->role == ROLE_result ? is_watched(o, "", out->name)
                      : out->role == ROLE_loss ? is_watched(o, WATCH_gradient, NULL)
                                               : false;
        if (wanted)
            g->outputs.at[kept++] = *out;
    }
    g->outputs.n = kept;
}

static bool run_forward(Runner *r)
{
    r->graph = unit_forward(r->unit, purpose_of[r->which]);
    if (!r->graph)
        return false;
    graph_drop_unused_inputs(r->graph, ROLE_data);
    if (r->which == PIPELINE_evaluate)
        drop_outputs(r->graph, ROLE_result);
    if (r->which == PIPELINE_watch)
        keep_watched(r->graph, r->options);
    return true;
}

static bool run_grad(Runner *r)
{
    Unit *u = r->unit;
    Graph *g = r->graph;
    Node *loss = graph_find_output(g, ROLE_loss, "loss");
    bool watch = r->which == PIPELINE_watch;
    if (watch && !loss)
        return true;
    if (!loss)
        bug("the training graph of %s has no loss", u->name);
    Node **wrt = NEW_ARRAY(g->arena, Node *, u->nparam + 1);
    Node **got = NEW_ARRAY(g->arena, Node *, u->nparam + 1);
    int *which = NEW_ARRAY(g->arena, int, u->nparam + 1);
    int n = 0;
    for (int i = 0; i < u->nparam; i++) {
        Node *p = u->param[i].trainable ? graph_find_input(g, ROLE_param, u->param[i].name) : NULL;
        if (p) {
            which[n] = i;
            wrt[n++] = p;
        }
    }
    grad_append(g, loss, wrt, n, got);
    r->grad = NEW_ARRAY(g->arena, Node *, u->nparam + 1);
    for (int i = 0; i < n; i++) {
        r->grad[which[i]] = got[i];
        if (!watch || is_watched(r->options, WATCH_gradient, u->param[which[i]].name))
            graph_output(g, ROLE_grad, u->param[which[i]].name, got[i]);
    }
    if (watch)
        drop_outputs(g, ROLE_loss);
    return true;
}

static bool run_optimizer(Runner *r)
{
    drop_outputs(r->graph, ROLE_grad);
    return unit_optimizer(r->unit, r->graph, r->grad);
}

static bool run_simplify(Runner *r)
{
    pass_simplify(r->graph);
    return true;
}

static bool run_quantize(Runner *r)
{
    if (r->options->quantize)
        pass_quantize(r->graph, r->options->quantize);
    return true;
}

static bool run_concat(Runner *r)
{
    pass_concat(r->graph);
    return true;
}

static bool run_sink(Runner *r)
{
    pass_sink(r->graph);
    return true;
}

static bool run_recompute(Runner *r)
{
    pass_recompute(r->graph);
    return true;
}

static bool run_segment(Runner *r)
{
    SegmentsFound *found = r->options->found;
    if (found)
        found->n = segment_loops(r->graph->arena, r->graph, found->loop, SEGMENT_LOOPS);
    pass_segment(r->graph, r->options->segment, r->options->nsegment);
    return true;
}

static bool run_defer(Runner *r)
{
    pass_defer(r->graph);
    return true;
}

static bool run_stream(Runner *r)
{
    const PassOptions *o = r->options;
    if (!stream_make(r->graph, r->unit->session->diag, o->stream))
        return false;
    r->graph = o->streaming == STREAM_block ? stream_block(o->stream) : o->stream->step;
    return true;
}

static bool run_bfloat16(Runner *r)
{
    if (r->unit->train && r->unit->train->bfloat16)
        pass_bfloat16(r->graph);
    return true;
}

static bool run_layout(Runner *r)
{
    int64_t rows = r->options->rows;
    if (!rows && r->unit->train)
        rows = r->unit->train->batch_size;
    pass_layout(r->graph, rows, r->options->layout);
    return true;
}

static bool (*const pass_function[NPASS])(Runner *) = {
#define PASS(name, ...) run_##name,
#include "driver/pass.def"
};

/* ---- the brackets ---- */

static void print_graph(Runner *r, Pass pass, FILE *f)
{
    Arena *scratch = arena_new();
    fprintf(f, "# after %s", pass_info[pass].name);
    if (r->runs[pass] > 1)
        fprintf(f, ".%d", r->runs[pass]);
    fprintf(f, "\n%s", graph_text(scratch, r->graph));
    fflush(f);
    arena_free(scratch);
}

static void verify(const Graph *g, const char *after)
{
    Arena *scratch = arena_new();
    const char *wrong = graph_verify(scratch, g);
    if (wrong) {
        fprintf(stderr, "%s\n", graph_text(scratch, g));
        fflush(stderr);
        bug("after pass %s: %s", after, wrong);
    }
    arena_free(scratch);
}

/* With --check-bits: what an exact pass made has the bits of `before`. */
static void check_bits(const Runner *r, Pass pass, Arena *scratch, const Graph *before)
{
    const char *wrong = bits_compare(scratch, before, r->graph, r->runs[pass]);
    if (!wrong)
        return;
    fprintf(stderr, "# before\n%s\n# after\n%s\n", graph_text(scratch, before),
            graph_text(scratch, r->graph));
    bug("pass %s is not exact: %s", pass_info[pass].name, wrong);
}

static bool is_run(int asked, int asked_run, Pass pass, int run)
{
    return asked == (int)pass && (!asked_run || asked_run == run);
}

/* A need that is not met comes from --disable, or is a mistake in a pipeline. */
static bool check_needs(Runner *r, Pass pass)
{
    unsigned missing = pass_info[pass].needs & ~r->facts;
    if (!missing)
        return true;
    for (int i = 0; i < NPASS; i++)
        if (pass_info[i].gives & missing && r->options->disabled & 1u << i)
            return error_at(r->unit->session->diag, (Span){0},
                            "--disable=%s: pass %s needs what it gives", pass_info[i].name,
                            pass_info[pass].name);
    bug("pass %s: its needs (%#x) are not met", pass_info[pass].name, missing);
}

static bool run_pass(Runner *r, Pass pass)
{
    const PassOptions *o = r->options;
    if (o->disabled & 1u << pass)
        return true;
    if (!check_needs(r, pass))
        return false;
    Arena *scratch = arena_new();
    bool prove = o->check_bits && pass_info[pass].rounding == ROUND_exact;
    const Graph *before = prove ? graph_copy(scratch, r->graph) : NULL;
    double start = system_seconds();
    bool ok = pass_function[pass](r);
    r->seconds[pass] += system_seconds() - start;
    if (ok && prove)
        check_bits(r, pass, scratch, before);
    arena_free(scratch);
    if (!ok)
        return false;
    r->runs[pass]++;
    r->facts = (r->facts & ~pass_info[pass].breaks) | pass_info[pass].gives;
    verify(r->graph, pass_info[pass].name);
    if (o->dump == NPASS || is_run(o->dump, o->dump_run, pass, r->runs[pass]))
        print_graph(r, pass, stderr);
    if (is_run(o->stop, o->stop_run, pass, r->runs[pass])) {
        print_graph(r, pass, stdout);
        r->stopped = true;
        return false;
    }
    return true;
}

static void print_times(const Runner *r)
{
    double total = 0;
    fprintf(stderr, "%-12s %5s %10s\n", "pass", "runs", "ms");
    for (int i = 0; i < NPASS; i++)
        if (r->runs[i]) {
            fprintf(stderr, "%-12s %5d %10.3f\n", pass_info[i].name, r->runs[i],
                    1e3 * r->seconds[i]);
            total += r->seconds[i];
        }
    fprintf(stderr, "%-12s %5s %10.3f  (%d nodes)\n", "total", "", 1e3 * total,
            r->graph ? r->graph->nodes.n : 0);
}

Graph *pipeline_run(Unit *u, Pipeline which, const PassOptions *p, bool *stopped)
{
    static const Pass step[] = {PASS_forward, PASS_simplify, PASS_grad,     PASS_optimizer,
                                PASS_simplify, PASS_concat,  PASS_sink,     PASS_simplify,
                                PASS_recompute, PASS_segment, PASS_defer,   PASS_simplify,
                                PASS_bfloat16, PASS_layout};
    static const Pass infer[] = {PASS_forward, PASS_simplify, PASS_quantize, PASS_concat,
                                 PASS_sink,    PASS_simplify, PASS_bfloat16, PASS_layout};
    static const Pass stream[] = {PASS_forward, PASS_simplify, PASS_quantize, PASS_concat,
                                  PASS_sink, PASS_simplify, PASS_stream, PASS_simplify,
                                  PASS_bfloat16, PASS_layout};
    static const Pass watch[] = {PASS_forward, PASS_simplify, PASS_grad,     PASS_simplify,
                                 PASS_concat,  PASS_sink,     PASS_simplify, PASS_recompute,
                                 PASS_segment, PASS_defer,    PASS_simplify, PASS_bfloat16,
                                 PASS_layout};
    static const Pass gradient[] = {PASS_forward, PASS_simplify, PASS_grad};
#define PASSES(list) {list, sizeof list / sizeof *list}
    static const struct { const Pass *at; int n; } lists[] = {
        [PIPELINE_step] = PASSES(step),     [PIPELINE_evaluate] = PASSES(infer),
        [PIPELINE_predict] = PASSES(infer), [PIPELINE_serve] = PASSES(infer),
        [PIPELINE_prepare] = PASSES(infer), [PIPELINE_watch] = PASSES(watch),
        [PIPELINE_gradient] = PASSES(gradient)}, streams = PASSES(stream);
#undef PASSES
    bool steps = p->streaming && (which == PIPELINE_predict || which == PIPELINE_serve);
    const Pass *passes = steps ? streams.at : lists[which].at;
    int n = steps ? streams.n : lists[which].n;
    Runner r = {.unit = u, .which = which, .options = p};
    bool ok = true;
    for (int i = 0; ok && i < n; i++)
        ok = run_pass(&r, passes[i]);
    if (p->time)
        print_times(&r);
    if (stopped)
        *stopped = r.stopped;
    return ok ? r.graph : NULL;
}

void pass_apply(Pass pass, Graph *g)
{
    static const Segment segment = {.steps = 2, .again = true};
    const PassOptions options = {.rows = 50, .layout = LAYOUT_columns, .segment = &segment,
                                 .nsegment = 1};
    Runner r = {.graph = g, .options = &options};
    if (pass < PASS_simplify || pass == PASS_quantize || pass == PASS_grad ||
        pass == PASS_optimizer || pass == PASS_bfloat16 || pass == PASS_stream)
        bug("pass %s cannot run on a graph alone", pass_info[pass].name);
    pass_function[pass](&r);
    verify(g, pass_info[pass].name);
}

/* ---- options ---- */

/* "sink" or "simplify.2": a pass and which run of it. */
static bool read_pass(Arena *a, Diag *d, OptionKey option, const char *text, int *pass, int *run)
{
    size_t n = strcspn(text, ".");
    *run = text[n] ? atoi(text + n + 1) : 0;
    const char *names[NPASS];
    for (int i = 0; i < NPASS; i++) {
        names[i] = pass_info[i].name;
        if (strlen(names[i]) == n && strncmp(names[i], text, n) == 0) {
            *pass = i;
            return true;
        }
    }
    const char *near = nearest_name(arena_strndup(a, text, n), names, NPASS);
    char *all = arena_strdup(a, names[0]);
    for (int i = 1; i < NPASS; i++)
        all = arena_printf(a, "%s, %s", all, names[i]);
    if (near)
        return error_at(d, (Span){0}, "--%s: there is no pass '%.*s'; did you mean '%s'?",
                        option_info[option].name, (int)n, text, near);
    return error_at(d, (Span){0}, "--%s: there is no pass '%.*s'; there are %s",
                    option_info[option].name, (int)n, text, all);
}

bool pass_options(Arena *a, Diag *d, const Options *o, PassOptions *p)
{
    *p = (PassOptions){.dump = -1, .stop = -1};
    p->time = option_on(o, OPT_time_passes);
    p->check_bits = option_on(o, OPT_check_bits);
    if (option_on(o, OPT_interpret)) /* segments are for compiled code's memory */
        p->disabled |= 1u << PASS_segment;
    p->streaming = option_on(o, OPT_stream) ? STREAM_step : STREAM_no;
    p->stream = NEW(a, Stream);
    p->rows = p->streaming ? 1 : 0;
    const char *dump = o->value[OPT_dump_after], *stop = o->value[OPT_stop_after];
    bool ok = true;
    const char *layout = o->value[OPT_layout];
    if (layout && strcmp(layout, "rows") != 0 && strcmp(layout, "columns") != 0)
        return error_at(d, (Span){0}, "--layout %s: expected rows or columns", layout);
    if (layout)
        p->layout = layout[0] == 'r' ? LAYOUT_rows : LAYOUT_columns;
    if (dump && strcmp(dump, "all") == 0)
        p->dump = NPASS;
    else if (dump)
        ok = read_pass(a, d, OPT_dump_after, dump, &p->dump, &p->dump_run);
    if (stop)
        ok = read_pass(a, d, OPT_stop_after, stop, &p->stop, &p->stop_run) && ok;
    for (const char *s = o->value[OPT_disable]; s && *s;) {
        size_t n = strcspn(s, ",");
        int pass, run;
        if (!read_pass(a, d, OPT_disable, arena_strndup(a, s, n), &pass, &run))
            return false;
        if (pass == PASS_forward)
            return error_at(d, (Span){0}, "--disable: without pass forward there is nothing");
        p->disabled |= 1u << pass;
        s += n + (s[n] == ',');
    }
    return ok;
}
