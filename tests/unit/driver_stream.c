/* Streams: for every layer that goes step by step, blocks of 1, 3 and all steps give
 * the bits of the function of the whole sequence, in the interpreter and compiled.
 * Outputs without time are those of the sequence so far. */
#include "driver/engine.h"
#include "driver/passes.h"
#include "driver/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 3, STEPS = 7, VALUES = 16 }; /* VALUES: the most for a step of the input */

/* A model's body; `input` x[time, 4] stands before it unless it begins with "input". */
static const struct { const char *name, *text; } cases[] = {
    {"lstm", "LSTM(5)\nDense(3, activation=softmax)"},
    {"lstm of all steps", "LSTM(5, return_sequences=true)\nDense(3)"},
    {"lstm of 28 steps", "input x[7, 4]\nLSTM(5)\nDense(3)"},
    {"lstm without forget bias", "LSTM(5, unit_forget_bias=false, use_bias=false)"},
    {"gru", "GRU(5)\nDense(2)"},
    {"gru, reset before", "GRU(5, reset_after=false, return_sequences=true)"},
    {"simple rnn", "SimpleRNN(6)\nDense(2)"},
    {"stacked", "LSTM(5, return_sequences=true)\nGRU(4, return_sequences=true)\nSimpleRNN(3)"},
    {"stacked cells", "RNN([LSTM(4), GRU(5)], return_sequences=true)\nDense(2)"},
    {"peephole", "Peephole(5)\nDense(2)"},
    {"two steps back", "TwoBack(4)\nDense(2)"},
    {"past input", "PastInput(return_sequences=true)"},
    {"time in a cell", "Clock(3, return_sequences=true)"},
    {"a learnt first state", "Learnt(4)\nDense(2)"},
    {"stateful", "LSTM(4, stateful=true)\nDense(2)"},
    {"final states", "input x[time, 4]\ny, h, c = x -> LSTM(4, return_sequences=true, "
                     "return_state=true)\noutput z = y -> Dense(2)\noutput s = h + c"},
    {"conv", "Conv1D(6, 3, padding=causal, activation=relu)"},
    {"dilated", "Conv1D(6, 3, padding=causal, dilation_rate=4)\n"
                "Conv1D(5, 2, padding=causal, dilation_rate=2, activation=tanh)"},
    {"groups", "Conv1D(6, 2, padding=causal, groups=2)"},
    {"conv of one", "Conv1D(6, 1, padding=same)"},
    {"zero padding", "ZeroPadding1D([2, 0])\nConv1D(3, 3)"},
    {"conv and lstm", "Conv1D(6, 3, padding=causal, activation=relu)\nLSTM(5)\nDense(2)"},
    {"lstm and conv", "LSTM(5, return_sequences=true)\nConv1D(6, 4, padding=causal)"},
    {"after padding", "ZeroPadding1D([4, 0])\nDense(3, activation=sigmoid)\n"
                      "Conv1D(2, 3)\nConv1D(2, 3, activation=tanh)"},
    {"padding twice", "ZeroPadding1D([1, 0])\nDense(3)\nZeroPadding1D([1, 0])\nConv1D(2, 3)"},
    {"pooling", "ZeroPadding1D([2, 0])\nAveragePooling1D(3, strides=1)"},
    {"residual", "input x[time, 4]\ny = x -> Conv1D(4, 3, padding=causal, activation=relu) -> "
                 "Conv1D(4, 3, padding=causal, dilation_rate=3)\noutput z = relu(x + y)"},
    {"different delays", "input x[time, 4]\ny = pad(x, 1, 0, axis=1)[0:-1]\n"
                         "output z = concat(x, y - x) -> LSTM(3, return_sequences=true)"},
    {"norms", "LayerNormalization()\nLSTM(4, return_sequences=true)\nRMSNormalization()\n"
              "BatchNormalization()\nUnitNormalization()"},
    {"per step", "input x[7, 4]\nTimeDistributed(Dense(6, activation=gelu))\nDropout(0.5)\n"
                 "Reshape([7, 2, 3])\nSoftmax()\nReshape([7, 6])\nGRU(3)"},
    {"embedding", "input x[time] : int\nEmbedding(9, 4, mask_zero=true)\nLSTM(5)\nDense(2)"},
    {"embedding of all steps", "input x[time] : int\nEmbedding(9, 4, mask_zero=true)\n"
                               "GRU(5, return_sequences=true)\nDense(2)"},
    {"embedding alone", "input x[7] : int\nEmbedding(9, 4)\nDense(2)"},
    {"masking", "Masking()\nLSTM(5)"},
    {"two inputs", "input x[time, 4]\ninput y[time, 3]\nh = concat(x -> LSTM(3, "
                   "return_sequences=true), y) -> GRU(4)\noutput z = h -> Dense(2)"},
    {"one input for each step", "input x[time, 4]\ninput c[3]\nh = x -> LSTM(3)\n"
                                "output z = concat(h, c) -> Dense(2)"},
    {"two outputs", "input x[time, 4]\nh = x -> LSTM(3, return_sequences=true)\n"
                    "output z = h -> Dense(2)\noutput last = h -> GRU(2)"},
    {"permuted", "input x[7, 2, 2]\nPermute([2, 1, 3])\nPermute([2, 1, 3])\n"
                 "Reshape([7, 4])\nLSTM(3)"},
    {"convolutions in space", "input x[time, 4, 1]\nConvLSTM1D(2, 3, padding=same)\nFlatten()"},
    {"last step", "input x[time, 4]\noutput z = (x -> GRU(3, return_sequences=true))[-1]"},
    {"decoder", "LSTM(3)\nRepeatVector(4)\nGRU(2, return_sequences=true)"},
};

static const char cells[] =
    "cell Peephole(units) {\n"
    "    input x\n"
    "    state h[units], c[units]\n"
    "    param W[dim(x), 4*units] = glorot_uniform, U[units, 4*units] = orthogonal\n"
    "    param b[4*units] = zeros, p[3, units] = zeros\n"
    "    zi, zf, zg, zo = split(x @ W + h[t-1] @ U + b, 4)\n"
    "    i = sigmoid(zi + p[0] * c[t-1])\n"
    "    f = sigmoid(zf + p[1] * c[t-1] + 1)\n"
    "    c[t] = f * c[t-1] + i * tanh(zg)\n"
    "    h[t] = sigmoid(zo + p[2] * c[t]) * tanh(c[t])\n"
    "    output h[t]\n"
    "}\n"
    "cell TwoBack(units) {\n"
    "    input x\n"
    "    state h[units]\n"
    "    param W[dim(x), units] = glorot_uniform, U[units, units] = orthogonal\n"
    "    h[t] = tanh(x @ W + h[t-2] @ U + h[t-1])\n"
    "    output h[t]\n"
    "}\n"
    "cell PastInput() {\n"
    "    input x\n"
    "    state s[dim(x)]\n"
    "    s[t] = s[t-1] + x * x[t-3]\n"
    "    output s[t] - x[t-1]\n"
    "}\n"
    "cell Clock(units) {\n"
    "    input x\n"
    "    state h[units]\n"
    "    param W[dim(x), units] = glorot_uniform\n"
    "    h[t] = h[t-1] * (1 - 1 / t) + x @ W / t\n"
    "    output h[t]\n"
    "}\n"
    "cell Learnt(units) {\n"
    "    input x\n"
    "    param first[units] = ones\n"
    "    state h[units] = first * 2\n"
    "    param W[dim(x), units] = glorot_uniform\n"
    "    h[t] = tanh(h[t-1] + x @ W)\n"
    "    output h[t]\n"
    "}\n";

static int failures, compared;

static void expect(bool ok, const char *name, const char *what)
{
    failures += !ok;
    if (!ok)
        printf("%s: %s\n", name, what);
}

/* ---- a model and its values ---- */

typedef struct {
    Arena *a;
    Diag *d;
    Unit *u;
    Store *store;
    const char *name;
} Model;

static bool model_open(Model *m, const char *name, const char *text)
{
    char path[] = "/tmp/weft_stream_XXXXXX";
    FILE *f = fdopen(mkstemp(path), "w");
    bool own = strncmp(text, "input", 5) == 0;
    fprintf(f, "%smodel m {\n%s%s\n}\n", cells, own ? "" : "input x[time, 4]\n", text);
    fclose(f);
    m->a = arena_new();
    m->name = name;
    m->d = NEW(m->a, Diag);
    m->d->arena = m->a;
    m->u = unit_open(session_new(m->a, m->d, DT_f32), path);
    unlink(path);
    Graph *init = m->u ? unit_init(m->u) : NULL;
    if (!init)
        return false;
    m->store = store_new(m->a, init, false);
    store_init(m->store, init, 1);
    for (int i = 0; i < m->store->at.n; i++) { /* biases too are something */
        const Kept *k = &m->store->at.at[i];
        for (size_t e = 0; e < k->bytes / sizeof(float); e++)
            ((float *)k->memory)[e] += 0.25f * (float)((e * 37 + (size_t)i * 11) % 17) / 17;
    }
    return true;
}

/* Element e of step t of a row's input. */
static double sample(int row, int64_t t, int64_t e, bool integer)
{
    uint32_t h = (uint32_t)(row * 1009 + t * 131 + e * 17 + 5) * 2654435761u;
    if (integer)
        return h >> 29;
    return t % 3 == 2 && row == 1 ? 0 : (double)(int32_t)(h ^ h >> 15) * 0x1p-31;
}

static void put(Dtype dt, void *to, int64_t i, double v)
{
    if (dt == DT_i32)
        ((int32_t *)to)[i] = (int32_t)v;
    else
        ((float *)to)[i] = (float)v;
}

/* Memory of an input from step `from` on, or of one that has no time, at step `from`. */
static void *input_memory(Arena *a, const Port *p, const int64_t *lengths, int64_t from,
                          int64_t steps, bool moves)
{
    int64_t all = port_elements(p, lengths), each = moves ? all / steps : all;
    void *memory = aligned_memory(a, (size_t)(ROWS * all) * 4);
    for (int r = 0; r < ROWS; r++)
        for (int64_t i = 0; i < all; i++)
            put(p->dtype, memory, r * all + i,
                sample(r, moves ? from + i / each : 0, i % each, p->dtype == DT_i32));
    return memory;
}

/* ---- running ---- */

typedef struct { const char *name; int64_t elements; float *memory; } Result;
enum { RESULTS = 4 };

/* An engine with everything bound but what changes from run to run. */
static Engine *engine_of(Model *m, const Graph *g, bool interpret, Store *states)
{
    CodeOptions code = {.jit = {.rows = g->columns}};
    Engine *e = engine_new(m->a, m->d, (Span){0}, g, interpret, &code);
    if (!e)
        return NULL;
    store_add_states(states, e, ROWS, NULL);
    store_reset_states(states);
    store_bind(m->store, states, e);
    return e;
}

/* Runs `steps` steps from `from` on; the results of all rows. */
static int run(Model *m, Engine *e, const int64_t *lengths, int64_t from, int64_t steps,
               const bool *moves, Result *out)
{
    int n = 0;
    for (int i = 0; i < engine_nport(e); i++) {
        const Port *p = engine_port(e, i);
        if (p->role == ROLE_data)
            engine_bind(e, i, input_memory(m->a, p, lengths, from, steps, moves[i]));
        if (p->role != ROLE_result)
            continue;
        out[n] = (Result){p->name, port_elements(p, lengths), NULL};
        out[n].memory = aligned_memory(m->a, (size_t)(ROWS * out[n].elements) * 4);
        engine_bind(e, i, out[n++].memory);
    }
    expect(engine_prepare(e, ROWS, lengths, 1) && engine_run(e, ROWS, NULL), m->name, "a run");
    return n;
}

/* Which ports have time: those that a graph says by the run-time or fixed length. */
static bool *moving(Model *m, Engine *e, const Stream *s)
{
    bool *moves = NEW_ARRAY(m->a, bool, engine_nport(e) + 1);
    for (int i = 0; i < s->step->inputs.n; i++) {
        const Node *n = s->step->inputs.at[i];
        int port = engine_find(e, (Role)attr_int(n, ATTR_role, 0), attr_str(n, ATTR_name));
        if (port >= 0)
            moves[port] = s->input_axis[i] >= 0;
    }
    return moves;
}

static bool has_time(const Stream *s, const char *result)
{
    for (int i = 0; i < s->step->outputs.n; i++)
        if (s->step->outputs.at[i].role == ROLE_result &&
            strcmp(s->step->outputs.at[i].name, result) == 0)
            return s->output_axis[i] >= 0;
    return false;
}

typedef struct { Result at[RESULTS]; int n; } Answers;

/* What the whole-sequence function says of the first 1, 2, ... steps: [length - 1]. */
static bool whole_answers(Model *m, const Stream *s, Answers *of)
{
    PassOptions options = {.dump = -1, .stop = -1};
    Graph *g = pipeline_run(m->u, PIPELINE_predict, &options, NULL);
    Store states = {.arena = m->a};
    Engine *e = g ? engine_of(m, g, true, &states) : NULL;
    if (!e)
        return false;
    bool *moves = moving(m, e, s);
    for (int64_t steps = g->lengths.n ? 1 : STEPS; steps <= STEPS; steps++) {
        int64_t lengths[SYM_MOST];
        for (int i = 0; i < SYM_MOST; i++)
            lengths[i] = steps;
        store_reset_states(&states);
        of[steps - 1].n = run(m, e, lengths, 0, steps, moves, of[steps - 1].at);
    }
    engine_free(e);
    return true;
}

/* Compares results of the steps [from, from + steps) with the whole's. */
static void compare(Model *m, const Stream *s, const Answers *whole, const Result *r, int64_t from,
                    int64_t steps, const char *how)
{
    int64_t each = r->elements / steps;
    for (int64_t t = from; t < from + steps; t++) {
        const Answers *w = &whole[has_time(s, r->name) ? STEPS - 1 : t];
        const Result *want = NULL;
        for (int i = 0; i < w->n; i++)
            want = strcmp(w->at[i].name, r->name) == 0 ? &w->at[i] : want;
        if (!want) /* of a fixed length, and not its last step */
            continue;
        int64_t stride = want->elements, at = has_time(s, r->name) ? t * each : 0;
        for (int row = 0; row < ROWS; row++) {
            compared++;
            if (memcmp(r->memory + row * r->elements + (t - from) * each,
                       want->memory + row * stride + at, sizeof(float) * (size_t)each) == 0)
                continue;
            failures++;
            printf("%s: %s: %s differs at step %d of row %d: %.9g, whole %.9g\n", m->name, how,
                   r->name, (int)t, row, r->memory[row * r->elements + (t - from) * each],
                   want->memory[row * stride + at]);
            return;
        }
    }
}

/* All steps in blocks of `block`; the states are set to what a stream begins with first. */
static void check_stream(Model *m, Stream *s, const Graph *g, Engine *e, Store *states,
                         const Answers *whole, int64_t block, const char *how)
{
    bool *moves = moving(m, e, s);
    int64_t lengths[SYM_MOST] = {0};
    (void)g;
    store_begin_streams(states, m->store, s->reset, ROWS);
    for (int64_t t = 0; t < STEPS; t += block) {
        int64_t now = STEPS - t < block ? STEPS - t : block;
        Result out[RESULTS];
        if (s->length.sym)
            lengths[s->length.sym] = now;
        int n = run(m, e, lengths, t, now, moves, out);
        for (int i = 0; i < n; i++)
            compare(m, s, whole, &out[i], t, now, how);
    }
}

static void check_engines(Model *m, Streaming streaming, bool interpret, Layout layout)
{
    static const int64_t blocks[] = {1, 3, STEPS};
    Stream s;
    PassOptions options = {.dump = -1, .stop = -1, .rows = ROWS, .layout = layout,
                           .streaming = streaming, .stream = &s};
    Graph *g = pipeline_run(m->u, PIPELINE_predict, &options, NULL);
    Answers whole[STEPS] = {0};
    Store states = {.arena = m->a};
    Engine *e = g ? engine_of(m, g, interpret, &states) : NULL;
    expect(e && whole_answers(m, &s, whole), m->name, "cannot be made");
    for (int i = 0; e && i < (streaming == STREAM_block ? 3 : 1); i++) {
        char how[64];
        snprintf(how, sizeof how, "%s in blocks of %d, %s%s",
                 streaming == STREAM_block ? "block" : "step", (int)blocks[i],
                 interpret ? "interpreted" : "compiled", g->columns ? " in columns" : "");
        check_stream(m, &s, g, e, &states, whole, blocks[i], how);
    }
    engine_free(e);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Model m;
        if (argc > 1 && !strstr(cases[i].name, argv[1]))
            continue;
        bool ok = model_open(&m, cases[i].name, cases[i].text);
        int before = failures;
        for (int streaming = STREAM_step; ok && streaming <= STREAM_block; streaming++) {
            check_engines(&m, (Streaming)streaming, true, LAYOUT_rows);
            check_engines(&m, (Streaming)streaming, false, i % 2 ? LAYOUT_rows : LAYOUT_columns);
        }
        expect(ok, m.name, "no model");
        if (!ok || failures > before)
            diag_print(m.d, stdout);
        arena_free(m.a);
    }
    printf("%d comparisons, %d failures\n", compared, failures);
    return failures != 0 || compared == 0;
}
