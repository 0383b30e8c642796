/* Data blocks, settings, the resolved file, initial values, masks in loss and
 * metrics, gradcheck graphs, help. */
#include "sema_train.h"

static const DataField fields[] = {
    {"image", DT_u8, 2, {2, 3}}, {"label", DT_u8, 0, {0}}, {"series", DT_f32, 2, {4, 2}},
    {"next", DT_f32, 2, {4, 2}}};

/* Bytes 0, 51, 102, ...; label r; the series' last steps are 0 in later rows. */
static void bind(void *context, const Node *n, Value *v)
{
    (void)context;
    const char *name = attr_str(n, ATTR_name);
    for (int64_t i = 0; i < v->count; i++) {
        int64_t row = i / 8, step = i % 8 / 2;
        value_set(v, i, !strcmp(name, "image")    ? (double)(i * 51 % 256)
                        : !strcmp(name, "label")  ? (double)i
                        : !strcmp(name, "series") ? (step < 4 - row ? 1 + (double)i : 0)
                                                  : 1);
    }
}

static void expect(Test *t, bool good, const char *what)
{
    if (!good)
        test_fail(t, what, "");
}

static const char *const facts_text =
    "let n = d.classes\n"
    "data d = set(\"somewhere\", part=3) {\n"
    "    image = image / 255\n"
    "    image = image * 2\n"
    "    both = flatten(image)\n"
    "    label = one_hot(label, n)\n"
    "}\n"
    "layer Fit { input x\n param w[6, n] = glorot_uniform\n output x @ w }\n"
    "model net { input both[6]\n Fit() }\n"
    "train { target = label\n loss = mse\n optimizer = Adagrad }\n";

/* Bytes become numbers, transforms follow one another, new fields feed inputs. */
static void test_data(Test *t)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    t->schema.nclass = 4;
    t->schema.classes = names;
    Unit *u = test_open(t, facts_text);
    if (!u) {
        test_fail(t, "facts and transforms", facts_text);
        return;
    }
    expect(t, dim_is(u->param[0].shape.d[1], 4), "d.classes is 4");
    expect(t, u->data == &t->schema && !strcmp(u->data_name, "d"), "the only data block is taken");
    expect(t, u->train->batch_size == 32 && u->train->epochs == 1 && u->train->shuffle,
           "Keras's defaults");
    expect(t, !strcmp(u->train->optimizer, "Adagrad") && !strcmp(u->train->loss, "mse"),
           "loss and optimizer as text");
    Graph *g = unit_forward(u, FORWARD_evaluate);
    Value *out = test_eval(t->a, g, 2, bind, NULL);
    /* Weights are bound to 1: an output is the sum of the row's numbers. */
    double want = 2 * (0 + 51 + 102 + 153 + 204 + 255) / 255.0;
    test_near(t, "image / 255 * 2", value_get(test_output(g, out, ROLE_result, "output"), 0), want,
              1e-12);
}

/* Another layer in front changes no other layer's first weights; slots start as told. */
static void test_init(Test *t)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    t->schema.nclass = 4;
    t->schema.classes = names;
    double first[2] = {0};
    for (int k = 0; k < 2; k++) {
        char *text = arena_printf(t->a, "%slayer Extra { input x\n param q[6] = random_normal\n"
                                  " output x * q }\n", facts_text);
        if (k) {
            char *at = strstr(text, "\n Fit()");
            text = arena_printf(t->a, "%.*s\n Extra()%s", (int)(at - text), text, at);
        }
        Unit *u = test_open(t, text);
        Graph *init = u ? unit_init(u) : NULL;
        if (!init) {
            test_fail(t, "an init graph", text);
            return;
        }
        Value *out = test_eval(t->a, init, 1, bind, NULL);
        first[k] = value_get(test_output(init, out, ROLE_param, "fit/w"), 5);
        test_near(t, "Adagrad's slot starts at 0.1",
                  value_get(test_output(init, out, ROLE_slot, "fit/w/accumulator"), 3), 0.1, 1e-12);
        expect(t, init->inputs.n == 1, "an init graph has the seed as its one input");
    }
    expect(t, first[0] == first[1] && first[0] != 0, "first weights depend on their name alone");
}

static const char *const masked_text =
    "data d = set()\n"
    "layer Hide { input x[time, n]\n output x : mask = any(x != 0, axis=-1) }\n"
    "layer Scale { input x\n param w[2] = ones\n output x * w }\n"
    "model net { input series[4, 2]\n Hide()\n Scale() }\n"
    "train { target = next\n loss = mse\n metrics = [mae, rmse] }\n";

/* Masked steps are left out of the mean, of losses and of metrics. */
static void test_mask(Test *t)
{
    Unit *u = test_open(t, masked_text);
    Graph *g = u ? unit_forward(u, FORWARD_evaluate) : NULL;
    if (!g) {
        test_fail(t, "a masked loss", masked_text);
        return;
    }
    Value *out = test_eval(t->a, g, 3, bind, NULL);
    double sum = 0, count = 0, absolute = 0;
    for (int i = 0; i < 24; i++)
        if (i % 8 / 2 < 4 - i / 8) {
            sum += (double)i * i;
            absolute += i;
            count++;
        }
    test_near(t, "masked mse", value_get(test_output(g, out, ROLE_loss, "loss"), 0), sum / count,
              1e-12);
    double total = 0, n = 0;
    for (int r = 0; r < 3; r++) {
        total += value_get(test_output(g, out, ROLE_metric, "mae/sum"), r);
        n += value_get(test_output(g, out, ROLE_metric, "mae/count"), r);
    }
    test_near(t, "masked mae", total / n, absolute / count, 1e-12);
    total = n = 0;
    for (int r = 0; r < 3; r++) {
        total += value_get(test_output(g, out, ROLE_metric, "rmse/squares"), r);
        n += value_get(test_output(g, out, ROLE_metric, "rmse/total"), r);
    }
    test_near(t, "masked rmse", total / n, sum / count, 1e-12);
}

static const char *const settings_text =
    "let width = 4 # as small as it goes\n"
    "data d = set(part=3)\n"
    "layer Fit { input x\n param w[2, width] = zeros\n output sum(x @ w, axis=-1) }\n"
    "model net { input series[4, 2]\n Fit() }\n"
    "train {\n"
    "    target = sum(next, axis=-1)\n"
    "    loss = mse\n"
    "    optimizer = Adam\n"
    "    validation_split = 0.5\n"
    "    early_stopping = EarlyStopping(patience=2)\n"
    "} # the end\n";

static const char *const resolved_text =
    "let width = 5 # as small as it goes\n"
    "data d = set(part=3, seed=8)\n"
    "layer Fit { input x\n param w[2, width] = zeros\n output sum(x @ w, axis=-1) }\n"
    "model net { input series[4, 2]\n Fit() }\n"
    "train {\n"
    "    target = sum(next, axis=-1)\n"
    "    loss = mse\n"
    "    optimizer = Adam(learning_rate=0.5, clipnorm=1)\n"
    "    validation_split = 0.5\n"
    "    early_stopping = EarlyStopping(patience=7, min_delta=0.25)\n"
    "    epochs = 9\n"
    "} # the end\n";

static void test_settings(Test *t)
{
    static const struct { const char *path, *value; } set[] = {
        {"width", "5"}, {"d.seed", "8"}, {"train.optimizer.learning_rate", "0.5"},
        {"train.optimizer.clipnorm", "1"}, {"train.early_stopping.patience", "7"},
        {"train.early_stopping.min_delta", "0.25"}, {"train.epochs", "3"}, {"train.epochs", "9"}};
    t->s = session_new(t->a, t->d, DT_f64);
    for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
        Setting s = {set[i].path, set[i].value, {0}};
        list_push(t->a, &t->s->settings, s);
    }
    Unit *u = test_open(t, settings_text);
    if (!u) {
        test_fail(t, "settings", settings_text);
        return;
    }
    expect(t, u->train->epochs == 9 && u->train->stop.patience == 7 &&
              u->train->stop.min_delta == 0.25 && u->train->stop.mode == STOP_min,
           "settings reach the train block, the last one counts");
    expect(t, dim_is(u->param[0].shape.d[1], 5), "a setting reaches a let");
    char *text = unit_resolved(u, t->a);
    if (strcmp(text, resolved_text) != 0)
        test_fail(t, "the resolved file", text);
}

static const char *const checks_text =
    "function bent(x) = x * tanh(x)\n"
    "layer Half(units, rate=2) {\n    input x\n    param w[dim(x), units] = ones\n"
    "    output bent(x @ w) / rate\n}\n"
    "cell Slow(units) {\n    input x\n    state h[units]\n    param w[dim(x), units] = ones\n"
    "    h[t] = 0.5 * h[t-1] + tanh(x @ w)\n    output h[t]\n}\n"
    "loss cubic() {\n    input y_true, y_pred\n"
    "    output mean(abs(y_true - y_pred)**3, axis=-1)\n}\n"
    "model net { input series[4, 2]\n Slow(3) }\n";

static void test_gradchecks(Test *t)
{
    Unit *u = test_open(t, checks_text);
    Graph **graphs;
    int n = u ? unit_gradchecks(u, &graphs) : 0;
    expect(t, n == 4, "four definitions are checked");
    expect(t, u && u->nparam == 1, "gradchecks leave the unit's parameters alone");
    for (int i = 0; i < n; i++) {
        const char *why = graph_verify(t->a, graphs[i]);
        if (why)
            test_fail(t, why, graphs[i]->name);
        expect(t, graphs[i]->outputs.n == 1 && graphs[i]->outputs.at[0].role == ROLE_loss,
               "a gradcheck has the loss as its output");
        Value *out = test_eval(t->a, graphs[i], 3, bind, NULL);
        expect(t, isfinite(value_get(&out[0], 0)), "a gradcheck's value is finite");
    }
}

/* Labels as stored, more classes than the output has entries. */
static void test_classes(Test *t)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    t->schema.nclass = 4;
    t->schema.classes = names;
    Unit *u = test_open(t, "data d = set()\nlayer Fit { input x\n param w[2, 3] = zeros\n"
                           " output (x @ w)[-1] }\nmodel net { input series[4, 2]\n Fit() }\n"
                           "train { target = label\n loss = sparse_categorical_crossentropy }\n");
    expect(t, !u && t->d->messages.n > 0 &&
              !strcmp(t->d->messages.at[0].text, "the data 'd' has 4 classes, but the output has "
                      "only 3 entries"), "classes that do not fit");
}

static void test_help(Test *t)
{
    t->s = session_new(t->a, t->d, DT_f32);
    const char *near, *const *names;
    char *text = definition_help(t->s, t->a, "Adam", &near);
    expect(t, text && strstr(text, "optimizer Adam(learning_rate=0.001") &&
              strstr(text, "clipnorm") && strstr(text, "update -rate * m[t]") &&
              strstr(text, "Kingma"), "help of Adam");
    expect(t, !strstr(text ? text : "", "AdamW"), "help of Adam alone");
    text = definition_help(t->s, t->a, "MeanSquaredError", &near);
    expect(t, text && strstr(text, "mean((y_true - y_pred)**2, axis=-1)"), "help by Keras's name");
    text = definition_help(t->s, t->a, "Adamm", &near);
    expect(t, !text && near && !strcmp(near, "Adam"), "a near name");
    int n = definition_names(t->s, "loss", &names);
    expect(t, n >= 17 && !strcmp(names[0], "binary_crossentropy"), "names of losses, sorted");
    expect(t, definition_names(t->s, "schedule", &names) == 5, "names of schedules");
    expect(t, definition_names(t->s, NULL, &names) > 60, "all names");
}

int main(void)
{
    static void (*const tests[])(Test *) = {test_data, test_init, test_mask, test_settings,
                                            test_gradchecks, test_classes, test_help};
    int failed = 0;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        Test t = {0};
        test_begin(&t, fields, 4);
        tests[i](&t);
        failed += t.failed;
        arena_free(t.a);
    }
    return failed != 0;
}
