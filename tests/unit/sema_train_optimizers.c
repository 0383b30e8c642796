/* Every optimizer of the prelude against Keras's formula, worked out here by
 * hand in double, for some steps with changing gradients; and what stands
 * around an optimizer. */
#include "sema_train.h"

enum { SIZE = 3, STEPS = 4, SUMMED = 2 };

typedef struct { double w[SIZE], s[4][SIZE]; } State;
typedef void (*StepFn)(State *q, const double *g, int t);

/* ---- the formulas ---- */

static void step_sgd(State *q, const double *g, int t)
{
    (void)t;
    for (int i = 0; i < SIZE; i++)
        q->w[i] -= 0.1 * g[i];
}

static void step_momentum(State *q, const double *g, int t)
{
    (void)t;
    for (int i = 0; i < SIZE; i++) {
        q->s[0][i] = 0.9 * q->s[0][i] - 0.01 * g[i];
        q->w[i] += q->s[0][i];
    }
}

static void step_nesterov(State *q, const double *g, int t)
{
    (void)t;
    for (int i = 0; i < SIZE; i++) {
        q->s[0][i] = 0.9 * q->s[0][i] - 0.01 * g[i];
        q->w[i] += 0.9 * q->s[0][i] - 0.01 * g[i];
    }
}

static void step_adagrad(State *q, const double *g, int t)
{
    for (int i = 0; i < SIZE; i++) {
        q->s[0][i] = (t == 1 ? 0.1 : q->s[0][i]) + g[i] * g[i];
        q->w[i] -= 0.001 * g[i] / sqrt(q->s[0][i] + 1e-7);
    }
}

static void step_rmsprop(State *q, const double *g, int t)
{
    (void)t;
    for (int i = 0; i < SIZE; i++) {
        q->s[0][i] = 0.9 * q->s[0][i] + 0.1 * g[i] * g[i];
        q->w[i] -= 0.001 * g[i] / sqrt(q->s[0][i] + 1e-7);
    }
}

static void step_rmsprop_all(State *q, const double *g, int t)
{
    (void)t;
    for (int i = 0; i < SIZE; i++) {
        q->s[0][i] = 0.8 * q->s[0][i] + 0.2 * g[i] * g[i];
        q->s[1][i] = 0.8 * q->s[1][i] + 0.2 * g[i];
        double inc = 0.001 * g[i] / sqrt(q->s[0][i] - q->s[1][i] * q->s[1][i] + 1e-7);
        q->s[2][i] = 0.5 * q->s[2][i] + inc;
        q->w[i] -= q->s[2][i];
    }
}

static void adam(State *q, const double *g, int t, bool amsgrad)
{
    double rate = 0.001 * sqrt(1 - pow(0.999, t)) / (1 - pow(0.9, t));
    for (int i = 0; i < SIZE; i++) {
        q->s[0][i] += (g[i] - q->s[0][i]) * 0.1;
        q->s[1][i] += (g[i] * g[i] - q->s[1][i]) * (1 - 0.999);
        q->s[2][i] = fmax(q->s[2][i], q->s[1][i]);
        q->w[i] -= rate * q->s[0][i] / (sqrt(q->s[amsgrad ? 2 : 1][i]) + 1e-7);
    }
}

static void step_adam(State *q, const double *g, int t)
{
    adam(q, g, t, false);
}

static void step_amsgrad(State *q, const double *g, int t)
{
    adam(q, g, t, true);
}

static void step_adamw(State *q, const double *g, int t)
{
    for (int i = 0; i < SIZE; i++)
        q->w[i] -= q->w[i] * 0.004 * 0.001;
    adam(q, g, t, false);
}

static void step_adamax(State *q, const double *g, int t)
{
    for (int i = 0; i < SIZE; i++) {
        q->s[0][i] += (g[i] - q->s[0][i]) * 0.1;
        q->s[1][i] = fmax(0.999 * q->s[1][i], fabs(g[i]));
        q->w[i] -= 0.001 * q->s[0][i] / ((1 - pow(0.9, t)) * (q->s[1][i] + 1e-7));
    }
}

static void step_nadam(State *q, const double *g, int t)
{
    double u = 0.9 * (1 - 0.5 * pow(0.96, t)), u1 = 0.9 * (1 - 0.5 * pow(0.96, t + 1));
    double p = 1;
    for (int k = 1; k <= t; k++)
        p *= 0.9 * (1 - 0.5 * pow(0.96, k));
    for (int i = 0; i < SIZE; i++) {
        q->s[0][i] += (g[i] - q->s[0][i]) * 0.1;
        q->s[1][i] += (g[i] * g[i] - q->s[1][i]) * (1 - 0.999);
        double m = u1 * q->s[0][i] / (1 - p * u1) + (1 - u) * g[i] / (1 - p);
        double v = q->s[1][i] / (1 - pow(0.999, t));
        q->w[i] -= 0.001 * m / (sqrt(v) + 1e-7);
    }
}

static void step_adadelta(State *q, const double *g, int t)
{
    (void)t;
    for (int i = 0; i < SIZE; i++) {
        q->s[0][i] = 0.95 * q->s[0][i] + 0.05 * g[i] * g[i];
        double d = -sqrt(q->s[1][i] + 1e-7) * g[i] / sqrt(q->s[0][i] + 1e-7);
        q->s[1][i] = 0.95 * q->s[1][i] + 0.05 * d * d;
        q->w[i] += 0.001 * d;
    }
}

static void step_lion(State *q, const double *g, int t)
{
    (void)t;
    for (int i = 0; i < SIZE; i++) {
        double c = 0.9 * q->s[0][i] + 0.1 * g[i];
        q->w[i] -= 0.001 * ((c > 0) - (c < 0));
        q->s[0][i] = 0.99 * q->s[0][i] + 0.01 * g[i];
    }
}

static void step_lamb(State *q, const double *g, int t)
{
    double r[SIZE], wn = 0, rn = 0;
    for (int i = 0; i < SIZE; i++) {
        q->s[0][i] += (g[i] - q->s[0][i]) * 0.1;
        q->s[1][i] += (g[i] * g[i] - q->s[1][i]) * (1 - 0.999);
        r[i] = q->s[0][i] / (1 - pow(0.9, t)) / (sqrt(q->s[1][i] / (1 - pow(0.999, t))) + 1e-7);
        wn += q->w[i] * q->w[i];
        rn += r[i] * r[i];
    }
    for (int i = 0; i < SIZE; i++)
        q->w[i] -= 0.001 * sqrt(wn) / sqrt(rn) * r[i];
}

static void step_ftrl(State *q, const double *g, int t)
{
    for (int i = 0; i < SIZE; i++) {
        double old = t == 1 ? 0.1 : q->s[0][i], now = old + g[i] * g[i];
        double shrunk = g[i] + 2 * 0.01 * q->w[i];
        q->s[1][i] += shrunk - (sqrt(now) - sqrt(old)) / 0.001 * q->w[i];
        double quadratic = sqrt(now) / 0.001 + 2 * (0.02 + 0.5 / (2 * 0.001));
        double clipped = fmin(fmax(q->s[1][i], -0.03), 0.03);
        q->s[0][i] = now;
        q->w[i] = (clipped - q->s[1][i]) / quadratic;
    }
}

static double norm(const double *g)
{
    double sum = 0;
    for (int i = 0; i < SIZE; i++)
        sum += g[i] * g[i];
    return sqrt(sum);
}

static void step_clipnorm(State *q, const double *g, int t)
{
    (void)t;
    for (int i = 0; i < SIZE; i++)
        q->w[i] -= 0.1 * g[i] * 0.5 / fmax(norm(g), 0.5);
}

static void step_clipvalue(State *q, const double *g, int t)
{
    (void)t;
    for (int i = 0; i < SIZE; i++)
        q->w[i] -= 0.1 * fmin(fmax(g[i], -0.3), 0.3);
}

static void step_decay(State *q, const double *g, int t)
{
    (void)t;
    for (int i = 0; i < SIZE; i++) {
        q->w[i] -= q->w[i] * 0.05 * 0.1;
        q->w[i] -= 0.1 * g[i];
    }
}

/* The average every second step becomes the weight. */
static void step_ema(State *q, const double *g, int t)
{
    for (int i = 0; i < SIZE; i++) {
        q->w[i] -= 0.1 * g[i];
        q->s[0][i] = t == 1 ? q->w[i] : 0.9 * q->s[0][i] + 0.1 * q->w[i];
        if (t % 2 == 0)
            q->w[i] = q->s[0][i];
    }
}

/* Gradients summed over two steps: the mean of both updates at the second. */
static bool mean_of_two(State *q, const double *g, int t, double *mean)
{
    for (int i = 0; i < SIZE; i++) {
        mean[i] = (q->s[3][i] + g[i]) / SUMMED;
        q->s[3][i] = t % SUMMED ? g[i] : 0;
    }
    return t % SUMMED == 0;
}

static void summed_adamw(State *q, const double *g, int t)
{
    double mean[SIZE];
    if (mean_of_two(q, g, t, mean))
        step_adamw(q, mean, t / SUMMED);
}

static void summed_clip(State *q, const double *g, int t)
{
    double mean[SIZE];
    if (mean_of_two(q, g, t, mean))
        step_clipnorm(q, mean, t);
}

static void summed_nesterov(State *q, const double *g, int t)
{
    double mean[SIZE];
    if (mean_of_two(q, g, t, mean))
        step_nesterov(q, mean, t);
}

/* A schedule counts batches: the second update is at step 3. */
static void summed_exponential(State *q, const double *g, int t)
{
    double mean[SIZE];
    bool due = mean_of_two(q, g, t, mean);
    for (int i = 0; due && i < SIZE; i++)
        q->w[i] -= 0.1 * pow(0.5, (t - 1) / 2.0) * mean[i];
}

/* The average takes the weights of every step and overwrites them while the update's number is
 * even; up to the second update it is the weights. */
static void summed_ema(State *q, const double *g, int t)
{
    double mean[SIZE];
    bool due = mean_of_two(q, g, t, mean);
    int update = (t - 1) / SUMMED + 1;
    for (int i = 0; i < SIZE; i++) {
        q->w[i] -= due ? 0.1 * mean[i] : 0;
        q->s[0][i] = update == 1 ? q->w[i] : 0.9 * q->s[0][i] + 0.1 * q->w[i];
        if (update % 2 == 0)
            q->w[i] = q->s[0][i];
    }
}

static void step_exponential(State *q, const double *g, int t)
{
    for (int i = 0; i < SIZE; i++)
        q->w[i] -= 0.1 * pow(0.5, (t - 1) / 2.0) * g[i];
}

static void step_cosine(State *q, const double *g, int t)
{
    double p = fmin(t - 1, 3) / 3.0;
    double rate = 0.1 * ((1 - 0.2) * 0.5 * (1 + cos(M_PI * p)) + 0.2);
    for (int i = 0; i < SIZE; i++)
        q->w[i] -= rate * g[i];
}

static void step_inverse(State *q, const double *g, int t)
{
    for (int i = 0; i < SIZE; i++)
        q->w[i] -= 0.1 / (1 + 0.5 * floor((t - 1) / 2.0)) * g[i];
}

static void step_polynomial(State *q, const double *g, int t)
{
    double p = fmin(t - 1, 2) / 2.0;
    for (int i = 0; i < SIZE; i++)
        q->w[i] -= ((0.1 - 0.01) * pow(1 - p, 2) + 0.01) * g[i];
}

static void step_piecewise(State *q, const double *g, int t)
{
    double rate = t - 1 <= 1 ? 0.1 : t - 1 <= 2 ? 0.05 : 0.01;
    for (int i = 0; i < SIZE; i++)
        q->w[i] -= rate * g[i];
}

/* A user's own optimizer: heavy ball in the textbook's notation. */
static void step_own(State *q, const double *g, int t)
{
    for (int i = 0; i < SIZE; i++) {
        q->s[0][i] = 0.5 * q->s[0][i] + g[i];
        q->w[i] -= 0.1 / t * q->s[0][i];
    }
}

static const struct { const char *text; StepFn step; } cases[] = {
    {"SGD(0.1)", step_sgd},
    {"SGD(momentum=0.9)", step_momentum},
    {"SGD(momentum=0.9, nesterov=True)", step_nesterov},
    {"Adagrad", step_adagrad},
    {"RMSprop()", step_rmsprop},
    {"RMSprop(rho=0.8, momentum=0.5, centered=true)", step_rmsprop_all},
    {"Adam", step_adam},
    {"\"adam\"", step_adam},
    {"Adam(1e-3)", step_adam},
    {"Adam(amsgrad=true)", step_amsgrad},
    {"AdamW()", step_adamw},
    {"Adam(weight_decay=0.004)", step_adamw},
    {"Adamax()", step_adamax},
    {"Nadam()", step_nadam},
    {"Adadelta()", step_adadelta},
    {"Lion()", step_lion},
    {"Lamb()", step_lamb},
    {"Ftrl(l1_regularization_strength=0.03, l2_regularization_strength=0.02, "
     "l2_shrinkage_regularization_strength=0.01, beta=0.5)", step_ftrl},
    {"SGD(0.1, clipnorm=0.5)", step_clipnorm},
    {"SGD(0.1, global_clipnorm=0.5)", step_clipnorm},
    {"SGD(0.1, clipvalue=0.3)", step_clipvalue},
    {"SGD(0.1, weight_decay=0.05)", step_decay},
    {"SGD(0.1, use_ema=true, ema_momentum=0.9, ema_overwrite_frequency=2)", step_ema},
    {"SGD(learning_rate=0.1 * 0.5 ** (step / 2))", step_exponential},
    {"SGD(ExponentialDecay(0.1, decay_steps=2, decay_rate=0.5))", step_exponential},
    {"SGD(learning_rate=CosineDecay(0.1, 3, alpha=0.2))", step_cosine},
    {"SGD(learning_rate=InverseTimeDecay(0.1, 2, 0.5, staircase=true))", step_inverse},
    {"SGD(learning_rate=PolynomialDecay(0.1, 2, 0.01, power=2))", step_polynomial},
    {"SGD(learning_rate=PiecewiseConstantDecay([1, 2], [0.1, 0.05, 0.01]))", step_piecewise},
    {"AdamW(gradient_accumulation_steps=2)", summed_adamw},
    {"SGD(0.1, gradient_accumulation_steps=2, clipnorm=0.5)", summed_clip},
    {"SGD(0.1, gradient_accumulation_steps=2, global_clipnorm=0.5)", summed_clip},
    {"SGD(momentum=0.9, nesterov=true, gradient_accumulation_steps=2)", summed_nesterov},
    {"SGD(0.1 * 0.5 ** (step / 2), gradient_accumulation_steps=2)", summed_exponential},
    {"SGD(0.1, gradient_accumulation_steps=2, use_ema=true, ema_momentum=0.9, "
     "ema_overwrite_frequency=2)", summed_ema},
    {"SGD(0.1, gradient_accumulation_steps=1)", step_sgd},
    {"Own(0.1)", step_own},
    {"{default: SGD(1), bend: SGD(0.1)}", step_sgd},
};

/* ---- the same through the language ---- */

static const char *const model_text =
    "data d = set()\n"
    "layer Bend {\n"
    "    input x\n"
    "    param w[3] = ones\n"
    "    output x * w\n"
    "}\n"
    "optimizer Own(learning_rate=1, keep=0.5) {\n"
    "    slot ball\n"
    "    ball[t] = keep * ball[t-1] + grad\n"
    "    update -learning_rate / t * ball[t]\n"
    "}\n"
    "model net {\n"
    "    input x[3]\n"
    "    Bend()\n"
    "}\n"
    "train {\n"
    "    data = d\n"
    "    target = y\n"
    "    loss = mse\n"
    "    optimizer = %s\n"
    "}\n";

typedef struct { Arena *a; int t; const double *grad; Value *before; const Graph *g; } Run;

static void fill(Value *v, const double *from)
{
    for (int64_t i = 0; i < v->count; i++)
        value_set(v, i, from[i]);
}

static void bind(void *context, const Node *n, Value *v)
{
    Run *r = context;
    Role role = (Role)attr_int(n, ATTR_role, 0);
    const char *name = attr_str(n, ATTR_name);
    if (role == ROLE_grad)
        fill(v, r->grad);
    else if (role == ROLE_scalar)
        value_set(v, 0, strcmp(name, "step") == 0 ? r->t : strcmp(name, "seed") == 0 ? 7 : 0);
    else if (r->before) {
        const Value *old = test_output(r->g, r->before, role, name);
        for (int64_t i = 0; old && i < v->count; i++)
            value_set(v, i, value_get(old, i));
    }
}

static void run_case(Test *t, const char *text, StepFn step)
{
    static const double grads[STEPS][SIZE] = {
        {0.5, -1.5, 0.02}, {0.4, 0.7, -0.9}, {-2, 0.1, 0.3}, {0.25, -0.5, 1}};
    Unit *u = test_open(t, arena_printf(t->a, model_text, text));
    if (!u) {
        test_fail(t, "an optimizer that should be taken", text);
        return;
    }
    Graph *init = unit_init(u), *g = graph_new(t->a, "update");
    Shape s = shape_of(1, dim_int(SIZE));
    const char *name = u->param[0].name;
    graph_input(g, ROLE_param, name, DT_f64, s, (Span){0});
    Node *grad = graph_input(g, ROLE_grad, name, DT_f64, s, (Span){0});
    if (!init || !unit_optimizer(u, g, &grad)) {
        test_fail(t, "an optimizer that should expand", text);
        return;
    }
    const char *why = graph_verify(t->a, g);
    if (why)
        test_fail(t, why, text);
    Run r = {.a = t->a, .g = init};
    r.before = test_eval(t->a, init, 1, bind, &r);
    r.g = init;
    State q = {.w = {1, 1, 1}};
    for (r.t = 1; r.t <= STEPS; r.t++) {
        r.grad = grads[r.t - 1];
        Value *out = test_eval(t->a, g, 1, bind, &r);
        step(&q, r.grad, r.t);
        r.before = out;
        r.g = g;
        for (int i = 0; i < SIZE; i++)
            test_near(t, arena_printf(t->a, "%s, step %d, weight %d", text, r.t, i),
                      value_get(test_output(g, out, ROLE_param, name), i), q.w[i], 1e-12);
    }
}

int main(void)
{
    static const DataField fields[] = {{"x", DT_f32, 1, {3}}, {"y", DT_f32, 1, {3}}};
    int failed = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Test t = {0};
        test_begin(&t, fields, 2);
        if (cases[i].step)
            run_case(&t, cases[i].text, cases[i].step);
        failed += t.failed;
        arena_free(t.a);
    }
    return failed != 0;
}
