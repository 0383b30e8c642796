/* weft summary: the layers as a table in Keras's style, then what a sample and
 * a training step cost. */
#include "ir/flops.h"
#include "driver/job.h"
#include "driver/memory.h"
#include "driver/text.h"

#include <stdio.h>
#include <string.h>

static const Span nowhere;

enum { COLUMNS = 4 };
typedef struct { const char *cell[COLUMNS]; } Row;

static void rule(Text *t, const int *width, const char *left, const char *line, const char *cross,
                 const char *right)
{
    text_add(t, "%s", left);
    for (int c = 0; c < COLUMNS; c++) {
        for (int i = 0; i < width[c] + 2; i++)
            text_add(t, "%s", line);
        text_add(t, "%s", c + 1 < COLUMNS ? cross : right);
    }
    text_add(t, "\n");
}

static void row(Text *t, const int *width, const Row *r, const char *bar)
{
    for (int c = 0; c < COLUMNS; c++) {
        int pad = width[c] - text_columns(r->cell[c]);
        bool right = c == 2;
        text_add(t, "%s %*s%s%*s ", bar, right ? pad : 0, "", r->cell[c], right ? 0 : pad, "");
    }
    text_add(t, "%s\n", bar);
}

static void table(Text *t, const Row *rows, int n)
{
    int width[COLUMNS] = {0};
    for (int i = 0; i < n; i++)
        for (int c = 0; c < COLUMNS; c++) {
            int w = text_columns(rows[i].cell[c]);
            width[c] = w > width[c] ? w : width[c];
        }
    rule(t, width, "┏", "━", "┳", "┓");
    row(t, width, &rows[0], "┃");
    rule(t, width, "┡", "━", "╇", "┩");
    for (int i = 1; i < n; i++) {
        row(t, width, &rows[i], "│");
        if (i + 1 < n)
            rule(t, width, "├", "─", "┼", "┤");
    }
    rule(t, width, "└", "─", "┴", "┘");
}

static void layers(Job *j, Text *t, const Graph *g)
{
    Arena *a = j->arena;
    const Unit *u = j->unit;
    Row *rows = NEW_ARRAY(a, Row, u->ninput + u->nlayer + 1);
    int n = 0;
    rows[n++] = (Row){{"layer (type)", "output shape", "parameters", "connected to"}};
    for (int i = 0; i < u->ninput; i++)
        rows[n++] = (Row){{arena_printf(a, "%s (input)", u->input[i].name),
                           shape_text(a, g, &u->input[i].shape), "0", "-"}};
    for (int i = 0; i < u->nlayer; i++) {
        const LayerInfo *l = &u->layer[i];
        rows[n++] = (Row){{arena_printf(a, "%*s%s (%s)", 2 * l->depth, "", l->name, l->type),
                           l->output ? l->output : "", text_count(a, l->nparam),
                           l->inputs && l->inputs[0] ? l->inputs : "-"}};
    }
    table(t, rows, n);
}

typedef struct {
    int64_t total, trainable;
    size_t bytes, slots, data;
    double forward;                /* FLOP of a sample */
    double step;                   /* FLOP of a training step; 0: no training */
    int64_t batch;
    bool laid_out;                 /* memory is known */
    Memory memory;                 /* of a training step */
    const Graph *graph;            /* forward */
} Cost;

/* FLOP of a forward pass need the lengths; run-time ones count as their bound, or 1. */
static void bounds(const Graph *g, int64_t *lengths)
{
    memset(lengths, 0, sizeof *lengths * SYM_MOST);
    for (int i = 0; i < g->lengths.n && SYM_length + i < SYM_MOST; i++)
        lengths[SYM_length + i] = g->length_most.at[i] ? g->length_most.at[i] : 1;
}

static bool measure(Job *j, Cost *c, bool *stopped)
{
    Unit *u = j->unit;
    int64_t lengths[SYM_MOST], count;
    for (int i = 0; i < u->nparam; i++)
        if (shape_count(&u->param[i].shape, 0, &count)) {
            c->total += count;
            c->trainable += u->param[i].trainable ? count : 0;
        }
    Graph *g = pipeline_run(u, PIPELINE_predict, &j->passes, stopped);
    if (!g)
        return false;
    c->graph = g;
    bounds(g, lengths);
    c->forward = graph_flops(g, 1, lengths);
    c->bytes = (size_t)c->total * (size_t)dtype_size(j->session->real);
    if (!u->train || !u->data)
        return true;
    c->batch = u->train->batch_size;
    Graph *step = memory_step(j, stopped);
    Graph *init = step ? unit_init(u) : NULL;
    if (!init)
        return false;
    bounds(step, lengths);
    c->step = graph_flops(step, c->batch, lengths);
    c->laid_out = memory_find(j, step, c->batch, lengths, &c->memory);
    c->bytes = store_new(j->arena, init, false)->bytes;
    c->slots = store_new(j->arena, init, true)->bytes - c->bytes;
    c->data = j->data ? dataset_bytes(j->data) : 0;
    return true;
}

/* What a batch needs beside data and parameters: for each thread, and for all. */
static void workspace(Text *t, const Memory *m, int64_t batch)
{
    Arena *a = t->arena;
    text_add(t, "workspace of a training step of %lld samples: %s a thread", (long long)batch,
             text_bytes(a, (double)m->worker));
    if (m->saved)
        text_add(t, " (%s kept from the forward to the backward pass)",
                 text_bytes(a, (double)m->saved));
    text_add(t, ", %s for all; %s with %d thread%s, %s in all\n",
             text_bytes(a, (double)m->common), text_bytes(a, (double)m->arena), m->threads,
             m->threads == 1 ? "" : "s", text_bytes(a, (double)memory_total(m)));
}

static void costs(Job *j, Text *t, const Cost *c)
{
    Arena *a = j->arena;
    text_add(t, "parameters: %s (%s)", text_count(a, c->total), text_bytes(a, (double)c->bytes));
    if (c->trainable != c->total)
        text_add(t, ", of them %s trainable", text_count(a, c->trainable));
    text_add(t, "\nwork: %.3f MFLOP a sample forward", 1e-6 * c->forward);
    if (c->step > 0)
        text_add(t, ", %.3f GFLOP a training step of %lld samples", 1e-9 * c->step,
                 (long long)c->batch);
    text_add(t, "\n");
    if (c->step > 0) {
        const TrainInfo *i = j->unit->train;
        text_add(t, "memory: optimizer %s, data %s\n", text_bytes(a, (double)c->slots),
                 text_bytes(a, (double)c->data));
        if (c->laid_out)
            workspace(t, &c->memory, c->batch);
        text_add(t, "training: %s, %s, %lld epochs\n", i->loss ? i->loss : "",
                 i->optimizer ? i->optimizer : "", (long long)i->epochs);
    }
}

static void print_json(Job *j, const Cost *c)
{
    const Unit *u = j->unit;
    for (int i = 0; i < u->nlayer; i++) {
        const LayerInfo *l = &u->layer[i];
        JsonField f[] = {
            json_field_text("name", l->name),        json_field_text("type", l->type),
            json_field_text("output", l->output),    json_field_integer("depth", l->depth),
            json_field_integer("parameters", l->nparam),
            json_field_integer("trainable", l->ntrainable),
            json_field_text("inputs", l->inputs),
        };
        json_line(stdout, "layer", f, sizeof f / sizeof *f);
    }
    JsonField f[] = {
        json_field_text("model", u->name),
        json_field_integer("parameters", c->total),
        json_field_integer("trainable", c->trainable),
        json_field_integer("parameter_bytes", (int64_t)c->bytes),
        json_field_integer("optimizer_bytes", (int64_t)c->slots),
        json_field_integer("data_bytes", (int64_t)c->data),
        json_field_number("mflop_forward_per_sample", 1e-6 * c->forward),
        json_field_number("gflop_per_step", 1e-9 * c->step),
        json_field_integer("batch_size", c->batch),
        json_field_integer("arena_bytes", (int64_t)c->memory.arena),
        json_field_integer("arena_bytes_per_thread", (int64_t)c->memory.worker),
        json_field_integer("saved_bytes_per_thread", (int64_t)c->memory.saved),
        json_field_integer("threads", c->memory.threads),
    };
    memory_report(j, stdout);
    json_line(stdout, "summary", f, sizeof f / sizeof *f);
}

int command_summary(Job *j)
{
    const Options *o = j->options;
    Dtype real;
    bool stopped = false;
    if (o->args.n != 1) {
        error_at(j->diag, nowhere, "weft summary takes one FILE.model, found %d arguments",
                 o->args.n);
        return 1;
    }
    Cost c = {0};
    if (!job_dtype(j, o->args.at[0], &real) || !job_open(j, o->args.at[0], real, true) ||
        !measure(j, &c, &stopped))
        return stopped ? 0 : 1;
    if (j->json) {
        print_json(j, &c);
        return 0;
    }
    Text t = {.arena = j->arena};
    text_add(&t, "model %s\n", j->unit->name);
    layers(j, &t, c.graph);
    costs(j, &t, &c);
    fputs(text_string(&t), stdout);
    memory_report(j, stdout);
    return 0;
}
