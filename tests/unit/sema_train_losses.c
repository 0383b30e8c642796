/* Losses, metrics, regularisers and masks of a whole train block, evaluated for
 * a few samples against closed forms worked out here in double. */
#include "sema_train.h"

enum { ROWS = 5, WIDE = 3 };

typedef double (*RowFn)(const double *y, const double *p);

static double clip(double p)
{
    return fmin(fmax(p, 1e-7), 1 - 1e-7);
}

/* ---- closed forms, for one sample of WIDE entries ---- */

static double cce(const double *y, const double *p)
{
    double total = p[0] + p[1] + p[2], loss = 0;
    for (int i = 0; i < WIDE; i++)
        loss -= y[i] * log(clip(p[i] / total));
    return loss;
}

static double log_softmax(const double *z, int i)
{
    return z[i] - log(exp(z[0]) + exp(z[1]) + exp(z[2]));
}

static double cce_logits(const double *y, const double *z)
{
    double loss = 0;
    for (int i = 0; i < WIDE; i++)
        loss -= y[i] * log_softmax(z, i);
    return loss;
}

static double cce_smooth(const double *y, const double *z)
{
    double loss = 0;
    for (int i = 0; i < WIDE; i++)
        loss -= (y[i] * 0.9 + 0.1 / 3) * log_softmax(z, i);
    return loss;
}

static double sparse(const double *y, const double *p)
{
    double total = p[0] + p[1] + p[2];
    return -log(clip(p[(int)y[0]] / total));
}

static double bce(const double *y, const double *p)
{
    double sum = 0;
    for (int i = 0; i < WIDE; i++)
        sum -= y[i] * log(clip(p[i])) + (1 - y[i]) * log(1 - clip(p[i]));
    return sum / WIDE;
}

static double bce_logits(const double *y, const double *z)
{
    double sum = 0;
    for (int i = 0; i < WIDE; i++)
        sum += fmax(z[i], 0) - z[i] * y[i] + log1p(exp(-fabs(z[i])));
    return sum / WIDE;
}

static double focal(const double *y, const double *p)
{
    double sum = 0;
    for (int i = 0; i < WIDE; i++) {
        double truth = y[i] * p[i] + (1 - y[i]) * (1 - p[i]), q = clip(p[i]);
        double ce = -(y[i] * log(q) + (1 - y[i]) * log(1 - q));
        sum += pow(1 - truth, 2) * ce;
    }
    return sum / WIDE;
}

#define MEAN_OF(name, expression)                            \
    static double name(const double *y, const double *p)     \
    {                                                        \
        double sum = 0;                                      \
        for (int i = 0; i < WIDE; i++)                       \
            sum += (expression);                             \
        return sum / WIDE;                                   \
    }

MEAN_OF(mse, (y[i] - p[i]) * (y[i] - p[i]))
MEAN_OF(mae, fabs(y[i] - p[i]))
MEAN_OF(mape, 100 * fabs(y[i] - p[i]) / fmax(fabs(y[i]), 1e-7))
MEAN_OF(msle, pow(log(fmax(p[i], 1e-7) + 1) - log(fmax(y[i], 1e-7) + 1), 2))
MEAN_OF(huber, fabs(y[i] - p[i]) <= 0.5 ? 0.5 * pow(y[i] - p[i], 2)
                                        : 0.5 * (fabs(y[i] - p[i]) - 0.25))
MEAN_OF(log_cosh, log(cosh(p[i] - y[i])))
MEAN_OF(hinge, fmax(1 - (y[i] == 0 ? -1 : y[i]) * p[i], 0))
MEAN_OF(squared_hinge, pow(fmax(1 - (y[i] == 0 ? -1 : y[i]) * p[i], 0), 2))
MEAN_OF(poisson, p[i] - y[i] * log(p[i] + 1e-7))
MEAN_OF(own, fabs(p[i] - y[i]) * 2)

static double kld(const double *y, const double *p)
{
    double sum = 0;
    for (int i = 0; i < WIDE; i++) {
        double a = fmin(fmax(y[i], 1e-7), 1), b = fmin(fmax(p[i], 1e-7), 1);
        sum += a * log(a / b);
    }
    return sum;
}

static double categorical_hinge(const double *y, const double *p)
{
    double right = 0, wrong = -INFINITY;
    for (int i = 0; i < WIDE; i++) {
        right += y[i] * p[i];
        wrong = fmax(wrong, (1 - y[i]) * p[i]);
    }
    return fmax(wrong - right + 1, 0);
}

static double cosine(const double *y, const double *p)
{
    double dot = 0, a = 0, b = 0;
    for (int i = 0; i < WIDE; i++) {
        dot += y[i] * p[i];
        a += y[i] * y[i];
        b += p[i] * p[i];
    }
    return -dot / sqrt(a) / sqrt(b);
}

static const struct { const char *text; RowFn row; bool label; } cases[] = {
    {"categorical_crossentropy", cce, false},
    {"'categorical_crossentropy'", cce, false},
    {"crossentropy", cce, false},
    {"crossentropy", sparse, true},
    {"CategoricalCrossentropy(from_logits=True)", cce_logits, false},
    {"categorical_crossentropy(from_logits=true, label_smoothing=0.1)", cce_smooth, false},
    {"sparse_categorical_crossentropy", sparse, true},
    {"binary_crossentropy", bce, false},
    {"BinaryCrossentropy(from_logits=true)", bce_logits, false},
    {"binary_focal_crossentropy", focal, false},
    {"mse", mse, false},
    {"MeanSquaredError()", mse, false},
    {"mae", mae, false},
    {"mape", mape, false},
    {"mean_squared_logarithmic_error", msle, false},
    {"Huber(0.5)", huber, false},
    {"huber(delta=0.5)", huber, false},
    {"LogCosh()", log_cosh, false},
    {"hinge", hinge, false},
    {"squared_hinge", squared_hinge, false},
    {"poisson", poisson, false},
    {"kl_divergence", kld, false},
    {"categorical_hinge", categorical_hinge, false},
    {"cosine_similarity", cosine, false},
    {"own(2)", own, false},
};

/* ---- the same through the language ---- */

static const char *const model_text =
    "data d = set()\n"
    "layer Pass { input x\n output x }\n"
    "loss own(k) {\n"
    "    input y_true, y_pred\n"
    "    output mean(abs(y_true - y_pred) * k, axis=-1)\n"
    "}\n"
    "metric spread { input y_true, y_pred\n"
    "    sum total[3] = y_pred\n"
    "    sum n = 1\n"
    "    each = total / n\n"
    "    output max(each) - min(each)\n"
    "}\n"
    "model net { input x[3]\n Pass() }\n"
    "train {\n"
    "    data = d\n"
    "    target = %s\n"
    "    loss = %s\n"
    "    optimizer = Adam\n"
    "    metrics = %s\n"
    "}\n";

static const double outputs[ROWS][WIDE] = {
    {0.7, 0.2, 0.1}, {0.1, 0.3, 0.6}, {0.4, 0.35, 0.25}, {0.05, 0.9, 0.05}, {0.3, 0.3, 0.4}};
static const int labels[ROWS] = {0, 1, 2, 1, 2};

static double truth(int r, int i)
{
    return labels[r] == i;
}

static void bind(void *context, const Node *n, Value *v)
{
    (void)context;
    const char *name = attr_str(n, ATTR_name);
    for (int64_t i = 0; i < v->count; i++)
        value_set(v, i, !strcmp(name, "x")       ? outputs[i / WIDE][i % WIDE]
                        : !strcmp(name, "y")     ? truth((int)(i / WIDE), (int)(i % WIDE))
                        : !strcmp(name, "label") ? labels[i]
                                                 : 1);
}

static double mean_of(RowFn row, bool label)
{
    double sum = 0;
    for (int r = 0; r < ROWS; r++) {
        double y[WIDE];
        for (int i = 0; i < WIDE; i++)
            y[i] = label ? labels[r] : truth(r, i);
        sum += row(y, outputs[r]);
    }
    return sum / ROWS;
}

static const DataField fields[] = {
    {"x", DT_f32, 1, {3}}, {"y", DT_f32, 1, {3}}, {"label", DT_u8, 0, {0}}};

static Value *run(Test *t, const char *text, Unit **u, Graph **g)
{
    *u = test_open(t, text);
    *g = *u ? unit_forward(*u, FORWARD_evaluate) : NULL;
    if (!*g)
        return test_fail(t, "a train block that should be taken", text), NULL;
    const char *why = graph_verify(t->a, *g);
    if (why)
        return test_fail(t, why, text), NULL;
    return test_eval(t->a, *g, ROWS, bind, NULL);
}

static void loss_case(Test *t, const char *text, RowFn row, bool label)
{
    Unit *u;
    Graph *g;
    const char *target = label ? "label" : "y";
    Value *out = run(t, arena_printf(t->a, model_text, target, text, "none"), &u, &g);
    if (out) /* outputs are float32 data: their rounding is the tolerance */
        test_near(t, text, value_get(test_output(g, out, ROLE_loss, "loss"), 0),
                  mean_of(row, label), 1e-6);
}

/* ---- metrics ---- */

static double metric_value(Test *t, const Graph *g, const Value *out, const MetricInfo *m)
{
    Value in[8], result;
    for (int i = 0; i < m->nsum; i++) {
        const Value *v = test_output(g, out, ROLE_metric, m->sum[i]);
        in[i] = value_new(t->a, DT_f64, v->rank - 1, v->dim + 1);
        for (int64_t k = 0; k < in[i].count; k++) {
            double sum = 0;
            for (int64_t r = 0; r < v->dim[0]; r++)
                sum += value_get(v, r * in[i].count + k);
            value_set(&in[i], k, sum);
        }
    }
    int64_t lengths[SYM_MOST] = {0};
    graph_eval(t->a, m->finish, (EvalSizes){lengths, SYM_MOST}, in, &result, false);
    return value_get(&result, 0);
}

static const struct { const char *text, *name; bool label; double want; } metrics[] = {
    {"[accuracy]", "accuracy", false, 3.0 / 5},
    {"accuracy", "accuracy", true, 3.0 / 5},
    {"['acc']", "acc", false, 3.0 / 5},
    {"CategoricalAccuracy()", "categorical_accuracy", false, 3.0 / 5},
    {"[sparse_categorical_accuracy]", "sparse_categorical_accuracy", true, 3.0 / 5},
    {"[binary_accuracy]", "binary_accuracy", false, 11.0 / 15},
    {"[TopKCategoricalAccuracy(k=2, name=\"top2\")]", "top2", false, 4.0 / 5},
    {"[sparse_top_k_categorical_accuracy(k=2)]", "sparse_top_k_categorical_accuracy", true, 0.8},
    {"[precision]", "precision", false, 2.0 / 3},
    {"[Recall()]", "recall", false, 2.0 / 5},
    {"[AUC(num_thresholds=5)]", "auc", false, 0.72},
    {"[R2Score()]", "r2_score", false, 0.284375},
    {"[rmse]", "rmse", false, 0.4},
    {"[spread]", "spread", false, (2.05 - 1.4) / 5},
};

static void metric_case(Test *t, size_t i)
{
    Unit *u;
    Graph *g;
    bool label = metrics[i].label;
    const char *loss = label ? "sparse_categorical_crossentropy" : "mse";
    Value *out = run(t, arena_printf(t->a, model_text, label ? "label" : "y", loss,
                                     metrics[i].text), &u, &g);
    if (!out)
        return;
    if (u->nmetric != 1 || strcmp(u->metric[0].name, metrics[i].name) != 0)
        test_fail(t, u->nmetric ? u->metric[0].name : "no metric", metrics[i].text);
    else
        test_near(t, metrics[i].text, metric_value(t, g, out, &u->metric[0]), metrics[i].want,
                  1e-6);
}

static void mse_metric(Test *t)
{
    Unit *u;
    Graph *g;
    Value *out = run(t, arena_printf(t->a, model_text, "y", "mae", "[mse, mae, mse]"), &u, &g);
    if (!out)
        return;
    test_near(t, "mse as a metric", metric_value(t, g, out, &u->metric[0]), mean_of(mse, false),
              1e-6);
    test_near(t, "mae as a metric", metric_value(t, g, out, &u->metric[1]), mean_of(mae, false),
              1e-6);
    if (strcmp(u->metric[2].name, "mse_1") != 0)
        test_fail(t, "a metric given twice has a name of its own", u->metric[2].name);
}

/* ---- weights, regularisers, several outputs ---- */

static const char *const two_text =
    "data d = set() { double = y * 2 }\n"
    "layer Twice {\n"
    "    input x\n"
    "    param w[3] = ones { regularizer = L2(0.5) }\n"
    "    output x * w * 2\n"
    "}\n"
    "model net {\n"
    "    input x[3]\n"
    "    output a = x\n"
    "    output b = Twice()(x)\n"
    "}\n"
    "train {\n"
    "    target = {a: y, b: double}\n"
    "    loss = {a: mse, b: mae}\n"
    "    loss_weights = {b: 0.25}\n"
    "    metrics = {b: [mae]}\n"
    "}\n";

static void two_outputs(Test *t)
{
    Unit *u;
    Graph *g;
    Value *out = run(t, two_text, &u, &g);
    if (!out)
        return;
    /* w is bound to 1: the regulariser adds 0.5 * 3. */
    test_near(t, "two outputs, weights, L2", value_get(test_output(g, out, ROLE_loss, "loss"), 0),
              mean_of(mse, false) + 0.25 * 2 * mean_of(mae, false) + 1.5, 1e-6);
    static const char *const names[] = {"a_loss", "b_loss", "b_mae"};
    for (int i = 0; i < 3; i++)
        if (u->nmetric != 3 || strcmp(u->metric[i].name, names[i]) != 0)
            test_fail(t, "a metric's name starts with its output's", names[i]);
    test_near(t, "a_loss", metric_value(t, g, out, &u->metric[0]), mean_of(mse, false), 1e-6);
    test_near(t, "b_mae", metric_value(t, g, out, &u->metric[2]), 2 * mean_of(mae, false), 1e-6);
}

static void class_weights(Test *t)
{
    Unit *u;
    Graph *g;
    const char *loss = "categorical_crossentropy\n    class_weight = {0: 3, 2: 0.5}";
    Value *out = run(t, arena_printf(t->a, model_text, "y", loss, "none"), &u, &g);
    double want = 0;
    for (int r = 0; r < ROWS; r++) {
        double y[WIDE] = {truth(r, 0), truth(r, 1), truth(r, 2)};
        want += cce(y, outputs[r]) * (labels[r] == 0 ? 3 : labels[r] == 2 ? 0.5 : 1) / ROWS;
    }
    if (out)
        test_near(t, "class_weight", value_get(test_output(g, out, ROLE_loss, "loss"), 0), want,
                  1e-6);
}

int main(void)
{
    Test t = {0};
    int failed = 0;
    enum { OTHERS = 3 };
    size_t nloss = sizeof cases / sizeof *cases, nmetric = sizeof metrics / sizeof *metrics;
    static void (*const others[OTHERS])(Test *) = {mse_metric, two_outputs, class_weights};
    for (size_t i = 0; i < nloss + nmetric + OTHERS; i++) {
        t = (Test){0};
        test_begin(&t, fields, 3);
        if (i < nloss)
            loss_case(&t, cases[i].text, cases[i].row, cases[i].label);
        else if (i < nloss + nmetric)
            metric_case(&t, i - nloss);
        else
            others[i - nloss - nmetric](&t);
        failed += t.failed;
        arena_free(t.a);
    }
    return failed != 0;
}
