/* The language's meaning: models written in two ways that must compute the same
 * (a cell and its steps written out, a layer and its equations), names of
 * weights, layers, lengths, settings. Values are float64, by the interpreter;
 * parameters are bound in their order, so that the two ways may name them
 * differently. */
#include "ir/eval.h"
#include "sema/sema.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int failed;

/* ---- units from text ---- */

typedef struct {
    Arena *a;
    Diag d;
    Session *s;
    Unit *u;
} Case;

static bool open_case(Case *c, const char *text, const Setting *set)
{
    *c = (Case){.a = arena_new()};
    c->d.arena = c->a;
    c->s = session_new(c->a, &c->d, DT_f64);
    if (set)
        list_push(c->a, &c->s->settings, *set);
    char path[] = "/tmp/weft_core_XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    fputs(text, f);
    fclose(f);
    c->u = unit_open(c->s, path);
    unlink(path);
    if (!c->u) {
        printf("FAILED: does not open\n%s", text);
        diag_print(&c->d, stdout);
        failed++;
    }
    return c->u != NULL;
}

/* Numbers that look arbitrary and are the same everywhere. */
static double number(int key, int64_t i)
{
    uint64_t h =
        (uint64_t)(key * 7919 + 13) * 0x9E3779B97F4A7C15u + (uint64_t)i * 0xBF58476D1CE4E5B9u;
    h ^= h >> 31;
    h *= 0x94D049BB133111EBu;
    h ^= h >> 29;
    return (double)(h >> 11) * 0x1p-53 - 0.5;
}

enum { ROWS = 3, LENGTH = 7 };

/* All outputs of g, one after the other. */
static double *evaluate(Case *c, const Graph *g, int64_t *count)
{
    int64_t lengths[SYM_MOST];
    for (int i = 0; i < SYM_MOST; i++)
        lengths[i] = LENGTH;
    lengths[SYM_N] = ROWS;
    Value *in = NEW_ARRAY(c->a, Value, g->inputs.n + 1);
    Value *out = NEW_ARRAY(c->a, Value, g->outputs.n + 1);
    int nparam = 0, ndata = 0, nbuffer = 0;
    for (int i = 0; i < g->inputs.n; i++) {
        const Node *n = g->inputs.at[i];
        int64_t dim[RANK_MOST], role = attr_int(n, ATTR_role, NROLE);
        for (int k = 0; k < n->shape.rank; k++)
            dim[k] = dim_value(n->shape.d[k], lengths);
        in[i] = value_new(c->a, n->dtype, n->shape.rank, dim);
        int key = role == ROLE_param  ? nparam++
                  : role == ROLE_data ? 100 + ndata++
                                      : 200 + nbuffer++;
        for (int64_t k = 0; k < in[i].count; k++) {
            double v = number(key, k);
            if (role == ROLE_scalar)
                v = 1;
            else if (role == ROLE_buffer)
                v += 1;
            else if (n->dtype == DT_i32)
                v = floor((v + 0.5) * 4);
            value_set(&in[i], k, v);
        }
    }
    graph_eval(c->a, g, (EvalSizes){lengths, SYM_MOST}, in, out, false);
    *count = 0;
    for (int i = 0; i < g->outputs.n; i++)
        *count += out[i].count;
    double *all = NEW_ARRAY(c->a, double, *count + 1), *end = all;
    for (int i = 0; i < g->outputs.n; i++)
        for (int64_t k = 0; k < out[i].count; k++)
            *end++ = value_get(&out[i], k);
    return all;
}

static Graph *predict(Case *c)
{
    Graph *g = c->u ? unit_forward(c->u, FORWARD_predict) : NULL;
    const char *why = g ? graph_verify(c->a, g) : NULL;
    if (why) {
        printf("FAILED: %s\n", why);
        failed++;
    }
    return g;
}

/* Both models compute the same from the same inputs and weights. */
static void same(const char *what, const char *one, const char *two)
{
    Case a, b;
    int64_t na, nb;
    if (open_case(&a, one, NULL) & open_case(&b, two, NULL)) {
        Graph *ga = predict(&a), *gb = predict(&b);
        double *x = ga ? evaluate(&a, ga, &na) : NULL, *y = gb ? evaluate(&b, gb, &nb) : NULL;
        bool ok = x && y && na == nb;
        double worst = 0;
        for (int64_t i = 0; ok && i < na; i++)
            worst = fmax(worst, isfinite(x[i]) ? fabs(x[i] - y[i]) : INFINITY);
        if (!ok || worst > 1e-12) {
            printf("FAILED %s: %lld and %lld values, difference %g\n", what, (long long)na,
                   (long long)nb, worst);
            failed++;
        }
    }
    arena_free(a.a);
    arena_free(b.a);
}

static void expect_text(const char *what, const char *got, const char *want)
{
    if (!strcmp(got, want))
        return;
    printf("FAILED %s:\n%s\nwanted\n%s\n", what, got, want);
    failed++;
}

/* ---- cells against their steps written out ---- */

static void test_cells(void)
{
    same("a cell is its equations at every step",
         "cell C(n) { input x[k]\n state h[n]\n param W[k, n] = zeros, U[n, n] = zeros\n"
         "h[t] = tanh(x @ W + h[t-1] @ U)\n output h[t] }\n"
         "model m { input x[4, 3]\n C(5) }\n",
         "model m { input x[4, 3]\n param W[3, 5] = zeros, U[5, 5] = zeros\n h = zeros(5)\n"
         "for i in range(4) { h = tanh(x[i] @ W + h @ U) }\n output h }\n");
    same("states further back and past inputs",
         "cell C(n) { input x[k]\n state h[n], s[n] = 1\n param W[k, n] = zeros\n"
         "s[t] = s[t-2] * 0.5 + x[t-1] @ W\n h[t] = s[t] + h[t-3] + x @ W + t\n output h[t] }\n"
         "model m { input x[4, 3]\n C(5, return_sequences=true) }\n",
         "model m { input x[4, 3]\n param W[3, 5] = zeros\n"
         "s1 = 0.5 * ones(5)\n"
         "s2 = 0.5 * ones(5) + x[0] @ W\n s3 = 0.5 * s1 + x[1] @ W\n s4 = 0.5 * s2 + x[2] @ W\n"
         "h1 = s1 + x[0] @ W + 1\n h2 = s2 + x[1] @ W + 2\n h3 = s3 + x[2] @ W + 3\n"
         "h4 = s4 + h1 + x[3] @ W + 4\n"
         "output concat(expand(h1, axis=1), expand(h2, axis=1), expand(h3, axis=1),"
         "              expand(h4, axis=1), axis=1) }\n");
    same("the textbook's W h",
         "cell C(n) { input x[k]\n state h[n]\n param W[n, k] = zeros, U[n, n] = zeros\n"
         "h[t] = tanh(W @ x + U @ h[t-1])\n output h[t] }\n model m { input x[4, 3]\n C(5) }\n",
         "cell C(n) { input x[k]\n state h[n]\n param W[n, k] = zeros, U[n, n] = zeros\n"
         "h[t] = tanh(x @ transpose(W) + h[t-1] @ transpose(U))\n output h[t] }\n"
         "model m { input x[4, 3]\n C(5) }\n");
    same("an initial state that is learnt, and one given",
         "cell C(n) { input x\n param a[n] = zeros\n state h[n] = a\n h[t] = h[t-1] * 0.5 + x\n"
         "output h[t] }\n model m { input x[4, 3]\n C(3) }\n",
         "cell C(n) { input x\n state h[n]\n h[t] = h[t-1] * 0.5 + x\n output h[t] }\n"
         "model m { input x[4, 3]\n param a[3] = zeros\n output x -> C(3, initial_state=[a]) }\n");
    same("static inputs",
         "cell C(n) { input x\n static w[k]\n state h[n]\n h[t] = h[t-1] + x * w\n output h[t] }\n"
         "model m { input x[4, 3]\n input w[3]\n output (x, w) -> C(3) }\n",
         "model m { input x[4, 3]\n input w[3]\n output sum(x, axis=time) * w }\n");
    same(
        "layers in cells",
        "cell C(n) { input x\n state h[n]\n h[t] = concat(x, h[t-1]) -> Dense(n, activation=tanh)\n"
        "output h[t] }\n model m { input x[2, 3]\n C(4) }\n",
        "model m { input x[2, 3]\n d = Dense(4, activation=tanh)\n a = concat(x[0], zeros(4)) -> "
        "d\n"
        "output concat(x[1], a) -> d }\n");
}

static void test_nesting(void)
{
    same("a cell in a cell makes one step",
         "cell C(n) { input x\n y = x -> LSTM(n)\n output y -> GRU(n) }\n"
         "model m { input x[5, 3]\n C(4, return_sequences=true) }\n",
         "model m { input x[5, 3]\n LSTM(4, return_sequences=true)\n GRU(4, return_sequences=true) "
         "}\n");
    same(
        "RNN in a cell is a loop of its own",
        "cell C(n) { input x[k, f]\n state h[n]\n h[t] = h[t-1] + RNN(LSTM(n))(x)\n output h[t] }\n"
        "model m { input x[2, 4, 3]\n C(5) }\n",
        "model m { input x[2, 4, 3]\n l = LSTM(5)\n output l(x[0]) + l(x[1]) }\n");
    same("outer tensors are seen in inner loops",
         "cell C(n) { input x[k, f]\n param W[f, n] = zeros\n state h[n]\n"
         "h[t] = h[t-1] + RNN(D(n, W))(x)\n output h[t] }\n"
         "cell D(n, W) { input x\n state s[n]\n s[t] = s[t-1] * 0.5 + x @ W\n output s[t] }\n"
         "model m { input x[2, 4, 3]\n C(5) }\n",
         "cell D(n, W) { input x\n state s[n]\n s[t] = s[t-1] * 0.5 + x @ W\n output s[t] }\n"
         "model m { input x[2, 4, 3]\n param W[3, 5] = zeros\n"
         "output (x[0] -> D(5, W)) + (x[1] -> D(5, W)) }\n");
    same("cells on top of each other",
         "model m { input x[5, 3]\n RNN([LSTMCell(4), GRUCell(2)], return_sequences=true) }\n",
         "model m { input x[5, 3]\n LSTM(4, return_sequences=true)\n GRU(2, return_sequences=true) "
         "}\n");
    same("both directions",
         "model m { input x[5, 3]\n Bidirectional(LSTM(4, return_sequences=true)) }\n",
         "model m { input x[5, 3]\n f = LSTM(4, return_sequences=true)(x)\n"
         "b = LSTM(4, return_sequences=true, go_backwards=true)(x)\n"
         "output concat(f, reverse(b, axis=time)) }\n");
    same("go_backwards reads from the end",
         "model m { input x[5, 3]\n GRU(4, go_backwards=true, return_sequences=true) }\n",
         "model m { input x[5, 3]\n output x[::-1] -> GRU(4, return_sequences=true) }\n");
    same(
        "return_state",
        "model m { input x[5, 3]\n y, h, c = LSTM(4, return_state=true, return_sequences=true)(x)\n"
        "output concat(y[-1], h, c) }\n",
        "model m { input x[5, 3]\n l = LSTM(4, return_state=true)\n y, h, c = l(x)\n"
        "output concat(y, y, c) }\n");
    same("the state goes on where it stopped", "model m { input x[6, 3]\n LSTM(4) }\n",
         "model m { input x[6, 3]\n l = LSTM(4, return_state=true)\n y, h, c = x[:4] -> l\n"
         "y, h, c = l(x[4:], initial_state=[h, c])\n output y }\n");
}

/* ---- masks, lengths ---- */

static void test_masks(void)
{
    same("masked steps do not count",
         "model m { input x[5, 3]\n z = concat(x[:3], zeros(2, 3), axis=time)\n"
         "output z -> Masking() -> LSTM(4) }\n",
         "model m { input x[5, 3]\n output x[:3] -> LSTM(4) }\n");
    same("on masked steps the output repeats",
         "model m { input x[5, 3]\n z = concat(x[:3], zeros(1, 3), x[4:], axis=time)\n"
         "output z -> Masking() -> GRU(4, return_sequences=true) }\n",
         "model m { input x[5, 3]\n z = concat(x[:3], x[4:], axis=time)\n"
         "y = z -> GRU(4, return_sequences=true)\n"
         "output concat(y[:3], y[2:3], y[3:], axis=time) }\n");
    same("a mask passes layers that work step by step, and can be read",
         "model m { input x[5, 3]\n z = concat(x[:3], zeros(2, 3), axis=time)\n"
         "y = z -> Masking() -> Dense(3, activation=tanh) -> Dropout(0.3)\n"
         "output where(expand(mask(y)), 1, 0) * ones(5, 3) }\n",
         "model m { input x[5, 3]\n z = x * 0 + 1\n"
         "output concat(z[:3], z[3:] * 0, axis=time) }\n");
    same("a mask of one's own",
         "layer Half() { input x[time, n]\n output x : mask = x[:, 0] > 0 }\n"
         "model m { input x[6, 2]\n output x -> Half() -> GlobalAveragePooling1D() }\n",
         "model m { input x[6, 2]\n w = expand(float(x[:, 0] > 0))\n"
         "output sum(x * w, axis=time) / sum(w, axis=time) }\n");
    same("a length known at run time only",
         "model m { input x[T<=200, 3]\n LSTM(4, return_sequences=true)\n GlobalMaxPooling1D() }\n",
         "model m { input x[7, 3]\n LSTM(4, return_sequences=true)\n GlobalMaxPooling1D() }\n");
    same("arithmetic on lengths",
         "model m { input x[time, 3]\n y = x[1:] - x[:-1]\n output sum(y, axis=time) / (dim(x, 1) "
         "- 1)"
         " + x[-1] + mean(x, axis=time) }\n",
         "model m { input x[7, 3]\n output (x[6] - x[0]) / 6 + x[6] + sum(x, axis=1) / 7 }\n");
}

/* ---- layers and functions ---- */

static void test_layers(void)
{
    same(
        "a sequence of layers and its names",
        "model m { input x[6]\n Dense(5, activation=relu)\n Dense(2, activation=\"softmax\") }\n",
        "model m { input x[6]\n h = x -> Dense(5) -> relu\n output y = softmax(h -> Dense(2)) }\n");
    same("a named layer shares its weights",
         "model m { input a[4]\n input b[4]\n d = Dense(3)\n output d(a) + d(b) }\n",
         "model m { input a[4]\n input b[4]\n param W[4, 3] = zeros, c[3] = zeros\n"
         "output a @ W + b @ W + 2 * c }\n");
    same("repeat, for and if are unrolled",
         "let deep = true\n model m { input x[4]\n y = x\n repeat 2 { y = y -> Dense(4) }\n"
         "for i, f in [3, 2] { y = y -> Dense(f)\n y = y + i }\n"
         "if deep { y = tanh(y) } else { y = relu(y) }\n output y }\n",
         "model m { input x[4]\n output tanh((x -> Dense(4) -> Dense(4) -> Dense(3) -> Dense(2)) + "
         "1) }\n");
    same("if on tensors chooses by element",
         "model m { input x[4]\n output if x > 0 then x * 2 else exp(x) if x < -0.1 else 0 }\n",
         "model m { input x[4]\n output where(x > 0, 2 * x, where(x < -0.1, exp(x), 0)) }\n");
    same("layers as arguments, copies",
         "layer Twice(layer) { input x\n output copy(layer)(x) + copy(layer, units=3)(x) }\n"
         "model m { input x[4]\n Twice(Dense(3)) }\n",
         "model m { input x[4]\n output Dense(3)(x) + Dense(3)(x) }\n");
    same("definitions are values",
         "let Layer = Dense\n function act(x) = x * 2\n let f = act\n"
         "model m { input x[4]\n Layer(3, activation=f) }\n",
         "model m { input x[4]\n output 2 * Dense(3)(x) }\n");
    same("batch normalisation at inference", "model m { input x[4]\n BatchNormalization() }\n",
         "model m { input x[4]\n param g[4] = ones, b[4] = zeros\n"
         "buffer m[4] = zeros, v[4] = ones\n"
         "output (x - m) / sqrt(v + 0.001) * g + b }\n");
    same("products of every rank",
         "model m { input a[5]\n input b[4, 5]\n input c[2, 4, 5]\n param W[5, 3] = zeros, v[5] = "
         "zeros\n"
         "output concat(a @ W, b @ W -> flatten, c @ W -> flatten, b @ a, c @ transpose(b) -> "
         "flatten,"
         "  (c @ transpose(c)) -> flatten, b @ v, reshape(a @ v, [1]), reshape(a @ a, [1])) }\n",
         "model m { input a[5]\n input b[4, 5]\n input c[2, 4, 5]\n param W[5, 3] = zeros, v[5] = "
         "zeros\n"
         "aw = sum(expand(a) * W, axis=1)\n bw = sum(expand(b) * W, axis=2)\n"
         "cw = sum(expand(c) * W, axis=3)\n"
         "cb = sum(expand(c, axis=3) * expand(expand(b, axis=1), axis=1), axis=-1)\n"
         "cc = sum(expand(c, axis=3) * expand(c, axis=2), axis=-1)\n"
         "output concat(aw, flatten(bw), flatten(cw), sum(b * expand(a, axis=1), axis=-1), "
         "flatten(cb),"
         " flatten(cc), sum(b * v, axis=-1), reshape(sum(a * v), [1]), reshape(sum(a * a), [1])) "
         "}\n");
    same("embedding is a lookup", "model m { input i[3] : int\n Embedding(4, 2) }\n",
         "model m { input i[3] : int\n param E[4, 2] = zeros\n output one_hot(i, 4) @ E }\n");
}

/* ---- what a unit tells ---- */

static void test_names(void)
{
    Case c;
    char *s;
    if (!open_case(
            &c,
            "cell Mine(n) { input x\n state h[n]\n param w[n] = ones\n h[t] = x * w\n output h[t] "
            "}\n"
            "model m { input x[6, 3]\n LSTM(4, return_sequences=true)\n"
            "Bidirectional(LSTM(2, return_sequences=true))\n LSTM(3, return_sequences=true)\n"
            "Mine(3)\n Dense(2, name=\"head\")\n Dense(2)\n freeze(Dense(1)) }\n",
            NULL))
        return;
    s = arena_strdup(c.a, "");
    for (int i = 0; i < c.u->nparam; i++)
        s = arena_printf(c.a, "%s%s%s\n", s, c.u->param[i].name,
                         c.u->param[i].trainable ? "" : " fixed");
    expect_text(
        "names of weights", s,
        "lstm/kernel\nlstm/recurrent_kernel\nlstm/bias\n"
        "bidirectional/forward_lstm/kernel\nbidirectional/forward_lstm/recurrent_kernel\n"
        "bidirectional/forward_lstm/bias\nbidirectional/backward_lstm/kernel\n"
        "bidirectional/backward_lstm/recurrent_kernel\nbidirectional/backward_lstm/bias\n"
        "lstm_1/kernel\nlstm_1/recurrent_kernel\nlstm_1/bias\nmine/w\nhead/kernel\nhead/bias\n"
        "dense/kernel\ndense/bias\ndense_1/kernel fixed\ndense_1/bias fixed\n");
    s = arena_strdup(c.a, "");
    for (int i = 0; i < c.u->nlayer; i++)
        s = arena_printf(c.a, "%s%d %s %s %s %lld/%lld <- %s\n", s, c.u->layer[i].depth,
                         c.u->layer[i].name, c.u->layer[i].type, c.u->layer[i].output,
                         (long long)c.u->layer[i].ntrainable, (long long)c.u->layer[i].nparam,
                         c.u->layer[i].inputs);
    expect_text("layers", s,
                "0 lstm LSTM [6, 4] 128/128 <- x\n"
                "0 bidirectional Bidirectional [6, 4] 112/112 <- lstm\n"
                "1 forward_lstm LSTM [6, 2] 56/56 <- lstm\n"
                "1 backward_lstm LSTM [6, 2] 56/56 <- lstm\n"
                "0 lstm_1 LSTM [6, 3] 96/96 <- bidirectional\n"
                "0 mine Mine [3] 3/3 <- lstm_1\n"
                "0 head Dense [2] 8/8 <- mine\n0 dense Dense [2] 6/6 <- head\n"
                "0 dense_1 Dense [1] 0/3 <- dense\n");
    Graph *one = unit_forward(c.u, FORWARD_predict), *two = unit_forward(c.u, FORWARD_predict);
    expect_text("a second expansion is the same", graph_text(c.a, one), graph_text(c.a, two));
    arena_free(c.a);
}

static void test_settings(void)
{
    Case c;
    Setting width = {"width", "7", {0}}, cell = {"Cell", "GRU", {0}};
    const char *text = "let width = 256\n let Cell = LSTM\n"
                       "model m { input x[5, 3]\n Cell(4)\n Dense(width) }\n";
    if (open_case(&c, text, &width))
        expect_text("--set of a size", shape_text(c.a, NULL, &c.u->param[3].shape), "[4, 7]");
    arena_free(c.a);
    if (open_case(&c, text, &cell))
        expect_text("--set of a definition", c.u->param[0].name, "gru/kernel");
    arena_free(c.a);
}

/* Initial values: shapes, ranges, and the forget gate's ones. */
static void test_initial(void)
{
    Case c;
    if (!open_case(
            &c,
            "model m { input x[5, 30]\n LSTM(40)\n"
            "Dense(50, kernel_initializer=HeNormal(), bias_initializer=Constant(0.25) * 2)\n"
            "Dense(50, kernel_initializer=\"identity\", bias_initializer=RandomUniform(-1, 1)) }\n",
            NULL))
        return;
    Graph *g = unit_init(c.u);
    int64_t n;
    double *v = g ? evaluate(&c, g, &n) : NULL;
    if (v) {
        double limit = sqrt(6.0 / (30 + 160)), most = 0, sum = 0;
        for (int i = 0; i < 30 * 160; i++)
            most = fmax(most, fabs(v[i])), sum += v[i];
        bool ok = most <= limit && most > 0.99 * limit && fabs(sum / 4800) < 0.01;
        double *u = v + 30 * 160, *b = u + 40 * 160;
        for (int i = 0; i < 40; i++)
            for (int k = 0; k < 40; k++) {
                double dot = 0;
                for (int j = 0; j < 160; j++)
                    dot += u[i * 160 + j] * u[k * 160 + j];
                ok = ok && fabs(dot - (i == k)) < 1e-9;
            }
        for (int i = 0; i < 160; i++)
            ok = ok && b[i] == (i >= 40 && i < 80);
        double *w = b + 160, *e = w + 2000 + 50, stddev = sqrt(2.0 / 40) / 0.87962566103423978;
        most = sum = 0;
        for (int i = 0; i < 2000; i++)
            most = fmax(most, fabs(w[i])), sum += w[i] * w[i];
        ok = ok && most <= 2 * stddev + 1e-9 && fabs(sqrt(sum / 2000) - sqrt(2.0 / 40)) < 0.01;
        for (int i = 0; i < 50; i++)
            ok = ok && w[2000 + i] == 0.5;
        for (int i = 0; i < 2500; i++)
            ok = ok && e[i] == (i % 51 == 0);
        if (!ok) {
            printf("FAILED: initial values\n");
            failed++;
        }
    }
    arena_free(c.a);
}

int main(void)
{
    test_cells();
    test_nesting();
    test_masks();
    test_layers();
    test_names();
    test_settings();
    test_initial();
    printf("%d failed\n", failed);
    return failed != 0;
}
