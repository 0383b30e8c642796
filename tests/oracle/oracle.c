/* Holds Weft against Keras: oracle DIR GROUP f32|f64 compiled|interpreted [CASE]
 *
 * DIR/GROUP.model has one model and one train block a case, DIR/GROUP.safetensors what Keras
 * computed for it; keras_values.py, which made both, says what is in there. A case has figures and
 * is an evaluation; or one loss and is a forward and a backward pass over the whole data set, which
 * goes through the passes but not through an optimizer; or many and is a training step by step.
 *
 * Errors are relative to the largest magnitude of the expected tensor.
 */
#include "driver/job.h"
#include "driver/tally.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What may be between Weft and Keras: of one pass, and after many steps. */
static const double pass_tolerance[NDTYPE] = {[DT_f32] = 1e-6, [DT_f64] = 1e-10};
static const double steps_tolerance[NDTYPE] = {[DT_f32] = 1e-3, [DT_f64] = 1e-9};

typedef struct {
    const char *model;       /* path of GROUP.model */
    const Weights *values, *start; /* start: parameters of every case; may be null */
    Dtype real;
    bool interpret;
    int cases, tensors, wrong;
    double worst;
    const char *worst_at;
} Oracle;

typedef struct {
    Oracle *oracle;
    Arena *arena;
    const char *name;
    Job job;
    Store *store;
    int64_t lengths[SYM_MOST];
    int wrong;
} Case;

/* ---- comparing ---- */

static double number(Dtype dt, const void *data, int64_t i)
{
    return dt == DT_f64 ? ((const double *)data)[i] : (double)((const float *)data)[i];
}

/* Compares `count` elements, the first ones of a tensor of Keras's. */
static void compare(Case *c, const char *what, const Tensor *want, Dtype dt, const void *got,
                    int64_t count, double tolerance)
{
    Oracle *o = c->oracle;
    double scale = 0, worst = 0;
    int64_t at = 0, n = tensor_elements(want);
    o->tensors++;
    if (n > count) {
        printf("%s: %s has %lld elements, Keras's %lld\n", c->name, what, (long long)count,
               (long long)n);
        c->wrong++;
        return;
    }
    for (int64_t i = 0; i < n; i++)
        scale = fmax(scale, fabs(number(want->dtype, want->data, i)));
    for (int64_t i = 0; i < n; i++) {
        double error = fabs(number(dt, got, i) - number(want->dtype, want->data, i));
        if (scale > 0)
            error /= scale;
        if (!(error <= worst)) {
            worst = error;
            at = i;
        }
        if (isnan(error))
            break;
    }
    if (!(worst <= o->worst)) {
        o->worst = worst;
        o->worst_at = want->name;
    }
    if (worst <= tolerance)
        return;
    printf("%s: %s[%lld] is %.17g, Keras has %.17g; error %.2g of the largest, %.2g\n", c->name,
           what, (long long)at, number(dt, got, at), number(want->dtype, want->data, at), worst,
           scale);
    c->wrong++;
}

static const Tensor *value_of(const Case *c, const char *kind, const char *name)
{
    return weights_find(c->oracle->values, arena_printf(c->arena, "%s/%s%s%s", c->name, kind,
                                                        *name ? "/" : "", name));
}

/* ---- setting up ---- */

/* The parameters that a case starts from: its own, else those of all. */
static const Weights *starting_weights(const Case *c)
{
    if (c->oracle->start)
        return c->oracle->start;
    Weights *w = NEW(c->arena, Weights);
    const char *prefix = arena_printf(c->arena, "%s/param/", c->name);
    for (int i = 0; i < c->oracle->values->tensors.n; i++) {
        const Tensor *t = &c->oracle->values->tensors.at[i];
        if (strncmp(t->name, prefix, strlen(prefix)) == 0)
            weights_add(c->arena, w, t->name + strlen(prefix), t->dtype, t->rank, t->dim, t->data);
    }
    return w;
}

/* Parses the command line that stands for the case; opens model, data and weights. */
static bool open_case(Case *c)
{
    Oracle *o = c->oracle;
    Job *j = &c->job;
    Options *options = NEW(c->arena, Options);
    Diag *d = NEW(c->arena, Diag);
    d->arena = c->arena;
    *j = (Job){.arena = c->arena, .diag = d, .options = options};
    char *argv[] = {"weft", "train", (char *)o->model, "--model", (char *)c->name, "--train",
                    (char *)c->name, "--dtype", (char *)dtype_name(o->real), "--threads", "2",
                    "--interpret"};
    int argc = (int)(sizeof argv / sizeof *argv) - !o->interpret;
    Dtype real;
    if (!options_parse(c->arena, d, argc, argv, options) || !job_begin(j) ||
        !job_dtype(j, o->model, &real) || !job_open(j, o->model, real, false) || !job_data(j))
        return false;
    Graph *init = unit_init(j->unit);
    if (!init)
        return false;
    c->store = store_new(c->arena, init, true);
    store_init(c->store, init, 1);
    return store_load(c->store, d, "Keras's weights", starting_weights(c), false);
}

/* Gives every port memory: data, parameters and so on from where they are, results their own. */
static bool bind(Case *c, Engine *e, int64_t rows, Scalars *scalars)
{
    Job *j = &c->job;
    if (!job_lengths(j, engine_graph(e), c->lengths) ||
        !engine_prepare(e, rows, c->lengths, j->threads))
        return error_at(j->diag, j->unit->span, "cannot prepare for %lld rows", (long long)rows);
    store_add_states(c->store, e, rows, c->lengths);
    store_bind(c->store, c->store, e);
    job_bind_data(j, e, false);
    scalars_bind(c->arena, scalars, e);
    scalars_set(scalars, "learning_rate_scale", 1);
    tally_new(c->arena, j->unit, e, rows, c->lengths);
    return true;
}

/* ---- one pass ---- */

static void check_outputs(Case *c)
{
    Scalars scalars = {0};
    const Tensor *want = value_of(c, "output", "");
    Engine *e = want ? job_engine(&c->job, PIPELINE_serve, NULL) : NULL;
    if (!e)
        return;
    int64_t rows = c->job.data->count;
    int result = -1;
    for (int i = 0; i < engine_nport(e); i++)
        if (engine_port(e, i)->role == ROLE_result)
            result = i;
    int64_t elements = 0;
    void *out = NULL;
    if (result >= 0) {
        if (!job_lengths(&c->job, engine_graph(e), c->lengths))
            return;
        elements = port_elements(engine_port(e, result), c->lengths) * rows;
        out = aligned_memory(c->arena, (size_t)elements * sizeof(double));
        engine_bind(e, result, out);
    }
    store_bind(c->store, c->store, e);
    job_bind_data(&c->job, e, false);
    scalars_bind(c->arena, &scalars, e);
    if (result < 0 || !engine_prepare(e, rows, c->lengths, c->job.threads)) {
        printf("%s: no output\n", c->name);
        c->wrong++;
    } else {
        engine_run(e, rows, NULL);
        compare(c, "output", want, engine_port(e, result)->dtype, out, elements,
                pass_tolerance[c->oracle->real]);
    }
    engine_free(e);
}

/* The gradient's graph through all passes that a training step goes through. */
static Engine *gradient_engine(Case *c)
{
    static const Pass passes[] = {PASS_simplify, PASS_concat, PASS_sink,
                                  PASS_simplify, PASS_defer,  PASS_simplify};
    Job *j = &c->job;
    Graph *g = pipeline_run(j->unit, PIPELINE_gradient, &j->passes, NULL);
    if (!g)
        return NULL;
    for (size_t i = 0; !c->oracle->interpret && i < sizeof passes / sizeof *passes; i++)
        pass_apply(passes[i], g);
    CodeOptions code = {.jit = {.diag = j->diag}};
    return engine_new(c->arena, j->diag, j->unit->span, g, c->oracle->interpret, &code);
}

static void check_gradients(Case *c)
{
    Engine *e = gradient_engine(c);
    if (!e)
        return;
    double tolerance = pass_tolerance[c->oracle->real];
    void **memory = NEW_ARRAY(c->arena, void *, engine_nport(e) + 1);
    Scalars scalars = {0};
    int64_t rows = c->job.data->count;
    if (!bind(c, e, rows, &scalars))
        return;
    for (int i = 0; i < engine_nport(e); i++) {
        const Port *p = engine_port(e, i);
        if (p->role != ROLE_grad && p->role != ROLE_loss)
            continue;
        memory[i] = aligned_memory(c->arena, port_bytes(p, c->lengths));
        engine_bind(e, i, memory[i]);
    }
    engine_run(e, rows, NULL);
    for (int i = 0; i < engine_nport(e); i++) {
        const Port *p = engine_port(e, i);
        const char *kind = p->role == ROLE_grad ? "grad" : p->role == ROLE_loss ? "loss" : NULL;
        const Kept *kept = p->role == ROLE_buffer
                               ? store_find(c->store, ROLE_buffer, p->name) : NULL;
        if (!kind && !kept)
            continue;
        const char *name = p->role == ROLE_loss ? "" : p->name;
        const Tensor *want = value_of(c, kind ? kind : "buffer", name);
        if (p->role == ROLE_loss && c->oracle->real == DT_f32 && value_of(c, "loss32", ""))
            want = value_of(c, "loss32", "");
        if (!want) {
            printf("%s: Keras has no %s %s\n", c->name, kind ? kind : "buffer", p->name);
            c->wrong++;
            continue;
        }
        compare(c, arena_printf(c->arena, "%s %s", kind ? kind : "buffer", p->name), want, p->dtype,
                kind ? memory[i] : kept->memory, port_elements(p, c->lengths), tolerance);
    }
    engine_free(e);
}

/* ---- an evaluation ---- */

static void check_figures(Case *c, const Tensor *want)
{
    Job *j = &c->job;
    Evaluator *v = evaluator_new(j, c->arena, c->store, j->unit->train->batch_size, NULL);
    if (!v)
        return;
    Figure *figures = NEW_ARRAY(c->arena, Figure, j->unit->nmetric + 1);
    double *got = NEW_ARRAY(c->arena, double, j->unit->nmetric + 1);
    evaluator_run(v, false, 0, j->data->count, NULL);
    int n = tally_figures(v->tally, c->arena, "", figures);
    for (int i = 0; i < n; i++)
        got[i] = figures[i].value;
    for (int i = 0; i < n && i < tensor_elements(want); i++) {
        Tensor one = {want->name, DT_f64, 0, {0}, (const double *)want->data + i};
        compare(c, figures[i].name, &one, DT_f64, &got[i], 1, pass_tolerance[c->oracle->real]);
    }
    if (n != tensor_elements(want)) {
        printf("%s: %d figures, Keras has %lld\n", c->name, n, (long long)tensor_elements(want));
        c->wrong++;
    }
    evaluator_free(v);
}

/* ---- many steps ---- */

static void check_steps(Case *c, const Tensor *want)
{
    Job *j = &c->job;
    Engine *e = job_engine(j, PIPELINE_step, NULL);
    if (!e)
        return;
    Scalars scalars = {0};
    Dtype real = c->oracle->real;
    int64_t batch = j->unit->train->batch_size, rows = j->data->count, at = 0, epoch = 0;
    int64_t steps = tensor_elements(want), *order = NEW_ARRAY(c->arena, int64_t, batch);
    double *loss = NEW_ARRAY(c->arena, double, steps), step_loss[1] = {0};
    if (!bind(c, e, batch, &scalars))
        return;
    int port = engine_find(e, ROLE_loss, "loss");
    engine_bind(e, port, step_loss);
    for (int64_t s = 0; s < steps; s++) {
        int64_t n = rows - at < batch ? rows - at : batch;
        for (int64_t i = 0; i < n; i++)
            order[i] = at + i;
        scalars_set(&scalars, "step", (double)s + 1);
        scalars_set(&scalars, "epoch", (double)epoch);
        engine_run(e, n, order);
        loss[s] = number(engine_port(e, port)->dtype, step_loss, 0);
        at += n;
        epoch += at == rows;
        at = at == rows ? 0 : at;
    }
    /* each loss relative to itself, not to the first one, which is the largest */
    for (int64_t s = 0; s < steps; s++) {
        Tensor one = *want;
        one.rank = 0;
        one.data = (const char *)want->data + (size_t)s * (size_t)dtype_size(want->dtype);
        compare(c, arena_printf(c->arena, "loss of step %lld", (long long)s), &one, DT_f64,
                &loss[s], 1, steps_tolerance[real]);
        if (c->wrong)
            break; /* the others follow from this one */
    }
    for (int i = 0; i < j->unit->nparam; i++) {
        const Tensor *final = value_of(c, "final", j->unit->param[i].name);
        const Kept *kept = store_find(c->store, ROLE_param, j->unit->param[i].name);
        if (final && kept)
            compare(c, arena_printf(c->arena, "final %s", kept->name), final, kept->dtype,
                    kept->memory, (int64_t)(kept->bytes / (size_t)dtype_size(kept->dtype)),
                    steps_tolerance[real]);
    }
    engine_free(e);
}

/* ---- all of them ---- */

static void run_case(Oracle *o, const char *name)
{
    Arena *a = arena_new();
    Case c = {.oracle = o, .arena = a, .name = name};
    o->cases++;
    if (open_case(&c)) {
        const Tensor *loss = value_of(&c, "loss", ""), *figures = value_of(&c, "figures", "");
        const Tensor *loss32 = o->real == DT_f32 ? value_of(&c, "loss32", "") : NULL;
        if (figures) {
            check_figures(&c, figures);
        } else if (tensor_elements(loss) > 1) {
            check_steps(&c, loss32 ? loss32 : loss);
        } else {
            check_outputs(&c);
            check_gradients(&c);
        }
    }
    if (!diag_ok(c.job.diag)) {
        printf("%s: was not taken\n", name);
        fflush(stdout);
        diag_print(c.job.diag, stdout);
        c.wrong++;
    }
    o->wrong += c.wrong > 0;
    job_end(&c.job);
    arena_free(a);
}

int main(int argc, char **argv)
{
    if (argc < 5 || (strcmp(argv[3], "f32") != 0 && strcmp(argv[3], "f64") != 0)) {
        fprintf(stderr, "oracle DIR GROUP f32|f64 compiled|interpreted [CASE]\n");
        return 1;
    }
    Arena *a = arena_new();
    Diag d = {.arena = a};
    Oracle o = {.real = dtype_by_name(argv[3]), .interpret = strcmp(argv[4], "interpreted") == 0};
    o.model = arena_printf(a, "%s/%s.model", argv[1], argv[2]);
    o.values = weights_read(a, &d, (Span){0},
                            arena_printf(a, "%s/%s.safetensors", argv[1], argv[2]));
    const char *start = arena_printf(a, "%s/%s_start.safetensors", argv[1], argv[2]);
    if (access(start, R_OK) == 0)
        o.start = weights_read(a, &d, (Span){0}, start);
    for (int i = 0; o.values && i < o.values->tensors.n; i++) {
        const char *name = o.values->tensors.at[i].name, *end = strrchr(name, '/');
        if (!end || (strcmp(end, "/loss") != 0 && strcmp(end, "/figures") != 0))
            continue;
        name = arena_strndup(a, name, (size_t)(end - name));
        if (argc < 6 || strcmp(argv[5], name) == 0)
            run_case(&o, name);
    }
    diag_print(&d, stderr);
    printf("%s, %s, %s: %d of %d cases agree with Keras; %d tensors, largest error %.2g (%s)\n",
           argv[2], argv[3], argv[4], o.cases - o.wrong, o.cases, o.tensors, o.worst,
           o.worst_at ? o.worst_at : "none");
    bool ok = o.cases > 0 && o.wrong == 0;
    arena_free(a);
    return !ok;
}
