/* --memory-limit: how much of a training step is made again so that it fits.
 *
 * Nothing is changed where the step fits as it is. Else the loops over time forget what they
 * saved and make it again, segment by segment; of the lengths of segments around the root of
 * the number of steps, which balances the carries kept against a segment's values, the one that
 * needs least is taken, as the lay-out itself says. Then loops are left as they were while it
 * fits, those first that cost most to go through again (ir/cost.h).
 */
#include "driver/memory.h"

#include "driver/text.h"
#include "ir/flops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const Span nowhere;

/* A way to build the step, and what comes of it. */
typedef struct {
    Segment of[SEGMENT_LOOPS];
    SegmentsFound found;
    Graph *graph;
    Memory memory;
    double flops;
} Trial;

struct MemoryChoice {
    size_t limit;
    Trial before, after;
};

static bool read_size(Job *j, size_t *bytes)
{
    const char *text = j->options->value[OPT_memory_limit];
    static const struct { char letter; double bytes; } unit[] = {
        {'K', 1e3}, {'M', 1e6}, {'G', 1e9}, {'T', 1e12}};
    char *end;
    double v = strtod(text, &end);
    bool ok = end != text && v > 0 && text[0] != '+' && text[0] != '-' && isfinite(v);
    for (size_t i = 0; *end && i < sizeof unit / sizeof *unit; i++)
        if (end[0] == unit[i].letter || end[0] == unit[i].letter + ('a' - 'A')) {
            v *= unit[i].bytes;
            end += end[1] == 'B' ? 2 : 1;
            break;
        }
    if (!ok || *end || v < 1 || v > 1e18)
        return error_at(j->diag, nowhere, "--memory-limit %s: expected a size such as 500M: bytes, "
                        "or K, M or G of them", text);
    *bytes = (size_t)v;
    return true;
}

/* Lengths as the data have them; without data their bounds, or 1. */
static bool find_lengths(Job *j, const Graph *g, int64_t *lengths)
{
    if (j->data)
        return job_lengths(j, g, lengths);
    memset(lengths, 0, sizeof *lengths * SYM_MOST);
    for (int i = 0; i < g->lengths.n && SYM_length + i < SYM_MOST; i++)
        lengths[SYM_length + i] = g->length_most.at[i] ? g->length_most.at[i] : 1;
    return true;
}

/* Builds and measures the step with t->of. */
static bool try(Job *j, Trial *t)
{
    PassOptions o = j->passes;
    int64_t lengths[SYM_MOST] = {0}, rows = j->unit->train->batch_size;
    bool stopped = false;
    o.dump = o.stop = -1;
    o.time = o.check_bits = false;
    if (option_on(j->options, OPT_interpret)) /* what compiled code would take */
        o.disabled &= ~(1u << PASS_segment);
    o.segment = t->of;
    o.nsegment = SEGMENT_LOOPS;
    o.found = &t->found;
    t->graph = pipeline_run(j->unit, PIPELINE_step, &o, &stopped);
    if (!t->graph || !find_lengths(j, t->graph, lengths))
        return false;
    t->flops = graph_flops(t->graph, rows, lengths);
    return memory_find(j, t->graph, rows, lengths, &t->memory);
}

/* ---- the search ---- */

/* Segments of about `root` times the root of the number of steps in every loop. */
static void cut_all(Trial *t, const SegmentsFound *found, double root, bool again)
{
    for (int i = 0; i < found->n; i++) {
        const SegmentLoop *l = &found->loop[i];
        if (l->may)
            t->of[i] = (Segment){segment_near(l->length, root * sqrt((double)l->length)),
                                 again && l->forward};
    }
}

static bool fits(const MemoryChoice *c, const Trial *t)
{
    return memory_total(&t->memory) <= c->limit;
}

/* The loop that costs most to go through again and was not tried; -1: none. */
static int costliest(const MemoryChoice *c, const bool *tried)
{
    int at = -1;
    for (int i = 0; i < c->before.found.n; i++)
        if (!tried[i] && c->after.of[i].again &&
            (at < 0 || c->before.found.loop[i].again > c->before.found.loop[at].again))
            at = i;
    return at;
}

/* Loops go back to what they were while the rest will do. */
static bool leave_loops(Job *j, MemoryChoice *c)
{
    enum { TRIALS = 12 };
    bool tried[SEGMENT_LOOPS] = {false};
    if (c->before.found.n == 1)
        return true;
    for (int left = TRIALS, i; left > 0 && (i = costliest(c, tried)) >= 0; left--) {
        Trial t = c->after;
        t.of[i] = (Segment){0};
        tried[i] = true;
        if (!try(j, &t))
            return false;
        if (fits(c, &t))
            c->after = t;
    }
    return true;
}

/* c->after: what fits and has the least work, or what needs least. */
static bool search(Job *j, MemoryChoice *c)
{
    static const double root[] = {1, 2, 0.5, 0.25, 0.125, 0.0625};
    for (int again = 0; again < 2; again++) {
        for (size_t k = 0; k < sizeof root / sizeof *root; k++) {
            Trial t = {0};
            cut_all(&t, &c->before.found, root[k], again);
            if (!try(j, &t))
                return false;
            if (memory_total(&t.memory) < memory_total(&c->after.memory))
                c->after = t;
        }
        if (fits(c, &c->after))
            return leave_loops(j, c);
    }
    return true;
}

/* ---- what is said ---- */

static const char *loop_name(const SegmentLoop *l)
{
    const Node *scan = l->forward ? l->forward : l->backward;
    return scan->body->name ? scan->body->name : "scan";
}

static bool cannot(Job *j, const MemoryChoice *c)
{
    Arena *a = j->arena;
    Diag *d = j->diag;
    const Memory *m = &c->after.memory;
    error_at(d, j->unit->span, "--memory-limit %s: a training step of %lld samples needs at least "
             "%s (%s with nothing made again)", j->options->value[OPT_memory_limit],
             (long long)j->unit->train->batch_size, text_bytes(a, (double)memory_total(m)),
             text_bytes(a, (double)memory_total(&c->before.memory)));
    note_at(d, nowhere, "of that data are %s, parameters %s, the optimizer's %s, and the workspace "
            "of %d thread%s %s: %s", text_bytes(a, (double)m->data),
            text_bytes(a, (double)m->parameters), text_bytes(a, (double)m->slots), m->threads,
            m->threads == 1 ? "" : "s", text_bytes(a, (double)m->arena), m->largest);
    if (!c->before.found.n)
        note_at(d, nowhere, "there is no loop over time that could be cut into segments");
    note_at(d, nowhere, "%s", m->threads > 1 ? "a smaller batch_size or fewer --threads need less"
                                             : "a smaller batch_size needs less");
    return false;
}

void memory_report(const Job *j, FILE *f)
{
    const MemoryChoice *c = j->memory;
    if (!c)
        return;
    size_t before = memory_total(&c->before.memory), after = memory_total(&c->after.memory);
    double more = 100 * (c->after.flops / c->before.flops - 1);
    if (j->json) {
        JsonField field[] = {
            json_field_integer("limit", (int64_t)c->limit),
            json_field_integer("before", (int64_t)before),
            json_field_integer("after", (int64_t)after),
            json_field_integer("arena_bytes", (int64_t)c->after.memory.arena),
            json_field_number("more_work_percent", more),
        };
        json_line(f, "memory", field, sizeof field / sizeof *field);
        return;
    }
    Arena *a = arena_new();
    fprintf(f, "memory: %s of at most %s", text_bytes(a, (double)after),
            text_bytes(a, (double)c->limit));
    if (after == before)
        fprintf(f, "; nothing is made again\n");
    else
        fprintf(f, ", %s without the limit; %.1f %% more work\n", text_bytes(a, (double)before),
                more);
    for (int i = 0; i < c->before.found.n; i++) {
        const SegmentLoop *l = &c->before.found.loop[i];
        Segment s = c->after.of[i];
        if (s.steps)
            fprintf(f, "    the %lld steps of '%s' in segments of %lld%s\n", (long long)l->length,
                    loop_name(l), (long long)s.steps,
                    s.again ? ", forward again before each goes backward" : "");
    }
    arena_free(a);
}

/* ---- the step ---- */

Graph *memory_step(Job *j, bool *stopped)
{
    if (!option_on(j->options, OPT_memory_limit) || j->memory)
        return pipeline_run(j->unit, PIPELINE_step, &j->passes, stopped);
    MemoryChoice *c = NEW(j->arena, MemoryChoice);
    if (!read_size(j, &c->limit) || !try(j, &c->before))
        return NULL;
    c->after = c->before;
    if (!fits(c, &c->before) && !search(j, c))
        return NULL;
    if (!fits(c, &c->after)) {
        cannot(j, c);
        return NULL;
    }
    j->memory = c;
    j->passes.segment = c->after.of;
    j->passes.nsegment = SEGMENT_LOOPS;
    return pipeline_run(j->unit, PIPELINE_step, &j->passes, stopped);
}
