/* Times oneDNN's own LSTM or dense layers, forward and backward, for tools/bench --peers.
 *
 *   onednn THREADS BATCH STEPS FEATURES UNITS [UNITS ...]
 *       prints {"ms": median of a step}: one primitive a layer forward, then back. STEPS 0:
 *       dense layers instead, with relu behind all but the last
 *   onednn --output BATCH STEPS FEATURES UNITS [UNITS ...] <IN >OUT
 *       float32 from stdin: the input [steps][batch][features], then of each layer the kernel
 *       [in][4 * units], the recurrent kernel [units][4 * units] and the bias, gates i f c o;
 *       the last layer's output, [steps][batch][units], to stdout. Dense layers have neither
 *       steps nor a recurrent kernel
 *
 * What is timed are these layers with their optimizer: weights in the format that each primitive
 * likes best, Adam in a plain loop on all threads, and the change of formats that an update
 * brings. Loss and other layers are not in it, so a whole step takes longer. Built by
 * tests/bench/compare.py with -ldnnl.
 */
#include <dnnl.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    LAYERS_MOST = 8, ARGS_MOST = 32, CALLS_MOST = 3, COPIES_MOST = 2, ROUNDS = 31, WARM = 3,
    GATES = 4
};
enum { KERNEL, BIAS, RECURRENT, PARAMETERS };

static void check(dnnl_status_t status, const char *what)
{
    if (status == dnnl_success)
        return;
    fprintf(stderr, "onednn: %s fails with status %d\n", what, (int)status);
    exit(1);
}

typedef struct {
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t arg[ARGS_MOST];
    int n;
} Call;

/* A parameter in a plain format, as it is read and updated. */
typedef struct {
    dnnl_memory_t value, gradient;
    Call collect;            /* the gradient from a primitive's format; no primitive: it is plain */
    Call copy[COPIES_MOST];  /* the value into the primitives' formats */
    int ncopy;
    float *first, *second;   /* moments */
    dnnl_memory_t sum;       /* what an LSTM adds its gradient to; null: there is none */
} Parameter;

typedef struct {
    Parameter parameter[PARAMETERS];
    dnnl_memory_t dst, diff_src, arrives; /* arrives: the gradient of dst */
    Call forward, backward[CALLS_MOST];
    int nbackward;
} Layer;

static dnnl_engine_t engine;
static dnnl_stream_t stream;

/* ---- memory ---- */

static dnnl_memory_desc_t plain(int rank, const int64_t *dims, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t d;
    dnnl_dims_t all = {0};
    memcpy(all, dims, sizeof *dims * (size_t)rank);
    check(dnnl_memory_desc_init_by_tag(&d, rank, all, dnnl_f32, tag), "a description");
    return d;
}

static dnnl_memory_t memory_new(const dnnl_memory_desc_t *d)
{
    dnnl_memory_t m;
    void *at;
    check(dnnl_memory_create(&m, d, engine, DNNL_MEMORY_ALLOCATE), "memory");
    check(dnnl_memory_get_data_handle(m, &at), "its handle");
    memset(at, 0, dnnl_memory_desc_get_size(d));
    return m;
}

static float *floats_of(dnnl_memory_t m, size_t *n)
{
    const dnnl_memory_desc_t *d;
    void *at;
    check(dnnl_memory_get_memory_desc(m, &d), "a memory's description");
    check(dnnl_memory_get_data_handle(m, &at), "its handle");
    *n = dnnl_memory_desc_get_size(d) / sizeof(float);
    return at;
}

/* From stdin, or small numbers without order. */
static void fill(dnnl_memory_t m, int from_stdin)
{
    size_t n;
    float *at = floats_of(m, &n);
    if (from_stdin && fread(at, sizeof *at, n, stdin) != n) {
        fprintf(stderr, "onednn: stdin ends early\n");
        exit(1);
    }
    for (size_t i = 0; !from_stdin && i < n; i++)
        at[i] = (float)rand() / (float)RAND_MAX * 0.2f - 0.1f;
}

static void add(Call *c, int arg, dnnl_memory_t m)
{
    c->arg[c->n++] = (dnnl_exec_arg_t){arg, m};
}

static void run(const Call *c)
{
    check(dnnl_primitive_execute(c->primitive, stream, c->n, c->arg), "a layer");
}

/* ---- parameters ---- */

static void reorder_new(Call *c, dnnl_memory_t from, dnnl_memory_t to)
{
    const dnnl_memory_desc_t *f, *t;
    dnnl_primitive_desc_t pd;
    check(dnnl_memory_get_memory_desc(from, &f), "a memory's description");
    check(dnnl_memory_get_memory_desc(to, &t), "a memory's description");
    check(dnnl_reorder_primitive_desc_create(&pd, f, engine, t, engine, NULL), "a reorder");
    check(dnnl_primitive_create(&c->primitive, pd), "a reorder");
    add(c, DNNL_ARG_FROM, from);
    add(c, DNNL_ARG_TO, to);
}

static int is_plain(const Parameter *p, const dnnl_memory_desc_t *d)
{
    const dnnl_memory_desc_t *plain;
    check(dnnl_memory_get_memory_desc(p->value, &plain), "a memory's description");
    return dnnl_memory_desc_equal(plain, d);
}

/* The parameter in the format that a primitive asks for. */
static dnnl_memory_t value_in(Parameter *p, const dnnl_memory_desc_t *d)
{
    if (is_plain(p, d))
        return p->value;
    dnnl_memory_t out = memory_new(d);
    Call *c = &p->copy[p->ncopy++];
    reorder_new(c, p->value, out);
    run(c);
    return out;
}

/* Room for the gradient in the format that a primitive asks for. */
static dnnl_memory_t gradient_in(Parameter *p, const dnnl_memory_desc_t *d)
{
    const dnnl_memory_desc_t *plain;
    check(dnnl_memory_get_memory_desc(p->value, &plain), "a memory's description");
    dnnl_memory_t out = memory_new(d);
    p->gradient = out;
    if (!is_plain(p, d)) {
        p->gradient = memory_new(plain);
        reorder_new(&p->collect, out, p->gradient);
    }
    return out;
}

/* Adam (Kingma and Ba, 2015) with Keras's defaults. */
static void update(Parameter *p, int step)
{
    size_t n, same;
    if (p->collect.primitive)
        run(&p->collect);
    check(dnnl_stream_wait(stream), "waiting");
    float *value = floats_of(p->value, &n), *gradient = floats_of(p->gradient, &same);
    float *first = p->first, *second = p->second;
    float rate = 0.001f * sqrtf(1 - powf(0.999f, (float)step)) / (1 - powf(0.9f, (float)step));
#pragma omp parallel for simd
    for (size_t i = 0; i < n; i++) {
        float g = gradient[i];
        first[i] += 0.1f * (g - first[i]);
        second[i] += 0.001f * (g * g - second[i]);
        value[i] -= rate * first[i] / (sqrtf(second[i]) + 1e-7f);
    }
    for (int i = 0; i < p->ncopy; i++)
        run(&p->copy[i]);
    if (p->sum)
        memset(floats_of(p->sum, &n), 0, n * sizeof(float));
}

/* ---- layers ---- */

/* What layers are made of: sizes[0] rows, sizes[1] steps (0: dense). */
typedef struct {
    const int64_t *sizes;
    int64_t in, units;
    int first, last;
} Shape;

static const dnnl_memory_desc_t *wanted(dnnl_primitive_desc_t pd, int arg)
{
    return dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, arg);
}

/* An LSTM: forward primitive; backward one, which takes diff_dst. */
static void lstm_new(Layer *l, dnnl_memory_t src, dnnl_memory_t diff_dst, const Shape *s)
{
    int64_t in = s->in, units = s->units;
    int64_t x[] = {s->sizes[1], s->sizes[0], in}, y[] = {s->sizes[1], s->sizes[0], units};
    int64_t w[] = {1, 1, in, GATES, units}, u[] = {1, 1, units, GATES, units};
    int64_t b[] = {1, 1, GATES, units};
    dnnl_memory_desc_t xd = plain(3, x, dnnl_tnc), yd = plain(3, y, dnnl_tnc);
    dnnl_memory_desc_t wd = plain(5, w, dnnl_format_tag_any), ud = plain(5, u, dnnl_format_tag_any);
    dnnl_memory_desc_t bd = plain(4, b, dnnl_ldgo);
    dnnl_rnn_desc_t fd, kd;
    dnnl_primitive_desc_t forward, backward;
    dnnl_rnn_direction_t to = dnnl_unidirectional_left2right;
    check(dnnl_lstm_forward_desc_init(&fd, dnnl_forward_training, to, &xd, NULL, NULL, &wd, &ud,
                                      &bd, &yd, NULL, NULL, 0), "an LSTM");
    check(dnnl_primitive_desc_create(&forward, &fd, NULL, engine, NULL), "an LSTM forward");
    check(dnnl_lstm_backward_desc_init(&kd, dnnl_backward, to, &xd, NULL, NULL, &wd, &ud, &bd, &yd,
                                       NULL, NULL, &xd, NULL, NULL, &wd, &ud, &bd, &yd, NULL, NULL,
                                       0), "an LSTM backward");
    check(dnnl_primitive_desc_create(&backward, &kd, NULL, engine, forward), "an LSTM backward");
    check(dnnl_primitive_create(&l->forward.primitive, forward), "an LSTM forward");
    check(dnnl_primitive_create(&l->backward[0].primitive, backward), "an LSTM backward");
    l->nbackward = 1;
    l->dst = memory_new(&yd);
    l->diff_src = memory_new(&xd);
    dnnl_memory_t workspace = memory_new(wanted(forward, DNNL_ARG_WORKSPACE));
    Call *calls[] = {&l->forward, l->backward};
    dnnl_primitive_desc_t pds[] = {forward, backward};
    for (int i = 0; i < 2; i++) {
        add(calls[i], DNNL_ARG_SRC_LAYER, src);
        add(calls[i], DNNL_ARG_WEIGHTS_LAYER,
            value_in(&l->parameter[KERNEL], wanted(pds[i], DNNL_ARG_WEIGHTS_LAYER)));
        add(calls[i], DNNL_ARG_WEIGHTS_ITER,
            value_in(&l->parameter[RECURRENT], wanted(pds[i], DNNL_ARG_WEIGHTS_ITER)));
        add(calls[i], DNNL_ARG_BIAS, l->parameter[BIAS].value);
        add(calls[i], DNNL_ARG_DST_LAYER, l->dst);
        add(calls[i], DNNL_ARG_WORKSPACE, workspace);
    }
    static const int diffs[PARAMETERS] = {[KERNEL] = DNNL_ARG_DIFF_WEIGHTS_LAYER,
                                          [BIAS] = DNNL_ARG_DIFF_BIAS,
                                          [RECURRENT] = DNNL_ARG_DIFF_WEIGHTS_ITER};
    add(l->backward, DNNL_ARG_DIFF_SRC_LAYER, l->diff_src);
    add(l->backward, DNNL_ARG_DIFF_DST_LAYER, diff_dst);
    for (int i = 0; i < PARAMETERS; i++) {
        Parameter *p = &l->parameter[i];
        p->sum = gradient_in(p, wanted(backward, diffs[i]));
        add(l->backward, diffs[i], p->sum);
    }
}

/* A primitive of the layer's way back, in the order of the calls. */
static Call *back(Layer *l, dnnl_primitive_desc_t *pd, const_dnnl_op_desc_t d,
                  dnnl_primitive_desc_t forward)
{
    Call *c = &l->backward[l->nbackward++];
    check(dnnl_primitive_desc_create(pd, d, NULL, engine, forward), "a layer backward");
    check(dnnl_primitive_create(&c->primitive, *pd), "a layer backward");
    return c;
}

static dnnl_primitive_attr_t with_relu(void)
{
    dnnl_primitive_attr_t attr;
    dnnl_post_ops_t ops;
    check(dnnl_primitive_attr_create(&attr), "attributes");
    check(dnnl_post_ops_create(&ops), "attributes");
    check(dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_relu, 0, 0), "attributes");
    check(dnnl_primitive_attr_set_post_ops(attr, ops), "attributes");
    return attr;
}

/* A dense layer with its relu in the same primitive. Back: relu, weights, and the input's
 * gradient, which nobody needs of the first layer. */
static void dense_new(Layer *l, dnnl_memory_t src, dnnl_memory_t diff_dst, const Shape *s)
{
    int64_t x[] = {s->sizes[0], s->in}, y[] = {s->sizes[0], s->units}, w[] = {s->units, s->in};
    dnnl_memory_desc_t xd = plain(2, x, dnnl_nc), yd = plain(2, y, dnnl_nc);
    dnnl_memory_desc_t wd = plain(2, w, dnnl_format_tag_any), bd = plain(1, w, dnnl_x);
    dnnl_inner_product_desc_t fd, dw, dx;
    dnnl_eltwise_desc_t rf, rb;
    dnnl_primitive_desc_t forward, pd, relu;
    check(dnnl_inner_product_forward_desc_init(&fd, dnnl_forward_training, &xd, &wd, &bd, &yd),
          "a dense layer");
    check(dnnl_primitive_desc_create(&forward, &fd, s->last ? NULL : with_relu(), engine, NULL),
          "a dense layer");
    check(dnnl_primitive_create(&l->forward.primitive, forward), "a dense layer");
    l->dst = memory_new(&yd);
    l->diff_src = memory_new(&xd);
    add(&l->forward, DNNL_ARG_SRC, src);
    Parameter *kernel = &l->parameter[KERNEL], *bias = &l->parameter[BIAS];
    add(&l->forward, DNNL_ARG_WEIGHTS, value_in(kernel, wanted(forward, DNNL_ARG_WEIGHTS)));
    add(&l->forward, DNNL_ARG_BIAS, bias->value);
    add(&l->forward, DNNL_ARG_DST, l->dst);
    if (!s->last) {
        dnnl_alg_kind_t kind = dnnl_eltwise_relu_use_dst_for_bwd;
        check(dnnl_eltwise_forward_desc_init(&rf, dnnl_forward_training, kind, &yd, 0, 0), "relu");
        check(dnnl_primitive_desc_create(&relu, &rf, NULL, engine, NULL), "relu");
        check(dnnl_eltwise_backward_desc_init(&rb, kind, &yd, &yd, 0, 0), "relu");
        Call *c = back(l, &pd, &rb, relu);
        add(c, DNNL_ARG_DST, l->dst);
        add(c, DNNL_ARG_DIFF_DST, diff_dst);
        add(c, DNNL_ARG_DIFF_SRC, diff_dst);
    }
    check(dnnl_inner_product_backward_weights_desc_init(&dw, &xd, &wd, &bd, &yd), "weights");
    Call *c = back(l, &pd, &dw, forward);
    add(c, DNNL_ARG_SRC, src);
    add(c, DNNL_ARG_DIFF_DST, diff_dst);
    add(c, DNNL_ARG_DIFF_WEIGHTS, gradient_in(kernel, wanted(pd, DNNL_ARG_DIFF_WEIGHTS)));
    add(c, DNNL_ARG_DIFF_BIAS, gradient_in(bias, &bd));
    if (s->first)
        return;
    check(dnnl_inner_product_backward_data_desc_init(&dx, &xd, &wd, &yd), "an input's gradient");
    c = back(l, &pd, &dx, forward);
    add(c, DNNL_ARG_WEIGHTS, value_in(kernel, wanted(pd, DNNL_ARG_WEIGHTS)));
    add(c, DNNL_ARG_DIFF_DST, diff_dst);
    add(c, DNNL_ARG_DIFF_SRC, l->diff_src);
}

static void parameter_read(Parameter *p, dnnl_memory_desc_t d, int from_stdin)
{
    size_t n;
    p->value = memory_new(&d);
    fill(p->value, from_stdin);
    floats_of(p->value, &n);
    p->first = calloc(n, sizeof(float));
    p->second = calloc(n, sizeof(float));
    if (!p->first || !p->second) {
        fprintf(stderr, "onednn: no memory\n");
        exit(1);
    }
}

static void layer_read(Layer *l, const Shape *s, int from_stdin)
{
    int64_t in = s->in, units = s->units;
    Parameter *kernel = &l->parameter[KERNEL], *bias = &l->parameter[BIAS];
    if (s->sizes[1] == 0) {
        int64_t w[] = {units, in};
        parameter_read(kernel, plain(2, w, dnnl_ba), from_stdin);
        parameter_read(bias, plain(1, w, dnnl_x), from_stdin);
        return;
    }
    int64_t w[] = {1, 1, in, GATES, units}, u[] = {1, 1, units, GATES, units};
    int64_t b[] = {1, 1, GATES, units};
    parameter_read(kernel, plain(5, w, dnnl_ldigo), from_stdin);
    parameter_read(&l->parameter[RECURRENT], plain(5, u, dnnl_ldigo), from_stdin);
    parameter_read(bias, plain(4, b, dnnl_ldgo), from_stdin);
}

/* ---- steps ---- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of ROUNDS steps, or of those that fit into eight seconds. */
static double median_step(Layer *layer, int n)
{
    double t[ROUNDS + WARM], begun = seconds();
    int k = 0;
    while (k < ROUNDS + WARM && (k < WARM + 1 || seconds() - begun < 8)) {
        double start = seconds();
        for (int i = 0; i < n; i++)
            run(&layer[i].forward);
        for (int i = n - 1; i >= 0; i--)
            for (int j = 0; j < layer[i].nbackward; j++)
                run(&layer[i].backward[j]);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < PARAMETERS; j++)
                if (layer[i].parameter[j].value)
                    update(&layer[i].parameter[j], k + 1);
        check(dnnl_stream_wait(stream), "waiting");
        t[k++] = seconds() - start;
    }
    qsort(t + WARM, (size_t)(k - WARM), sizeof *t, by_value);
    return t[WARM + (k - WARM) / 2];
}

static void write_output(const Layer *layer, int n)
{
    size_t all;
    for (int i = 0; i < n; i++)
        run(&layer[i].forward);
    check(dnnl_stream_wait(stream), "waiting");
    float *y = floats_of(layer[n - 1].dst, &all);
    fwrite(y, sizeof *y, all, stdout);
}

/* The gradient of a layer's input is what arrives at the layer before it. */
static void join(Layer *layer, int n)
{
    for (int i = 0; i + 1 < n; i++)
        for (int j = 0; j < layer[i + 1].nbackward; j++)
            for (int k = 0; k < layer[i + 1].backward[j].n; k++) {
                dnnl_exec_arg_t *a = &layer[i + 1].backward[j].arg[k];
                if (a->memory == layer[i + 1].diff_src)
                    a->memory = layer[i].arrives;
            }
}

int main(int argc, char **argv)
{
    if (argc < 6 || argc - 5 > LAYERS_MOST) {
        fprintf(stderr, "usage: %s THREADS|--output BATCH STEPS FEATURES UNITS...\n", argv[0]);
        return 1;
    }
    int output = strcmp(argv[1], "--output") == 0, n = argc - 5;
    int64_t size[] = {atoll(argv[2]), atoll(argv[3])}, in[LAYERS_MOST + 1];
    for (int i = 0; i <= n; i++)
        in[i] = atoll(argv[4 + i]);
    omp_set_num_threads(output ? 1 : atoi(argv[1]));
    check(dnnl_engine_create(&engine, dnnl_cpu, 0), "the engine");
    check(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "the stream");
    int64_t x[] = {size[1], size[0], in[0]}, y[] = {size[1], size[0], in[n]};
    int dense = size[1] == 0;
    dnnl_format_tag_t tag = dense ? dnnl_nc : dnnl_tnc;
    dnnl_memory_desc_t xd = plain(3 - dense, x + dense, tag), yd = plain(3 - dense, y + dense, tag);
    dnnl_memory_t src = memory_new(&xd), diff = memory_new(&yd);
    fill(src, output);
    fill(diff, 0);
    static Layer layer[LAYERS_MOST];
    Shape shape[LAYERS_MOST];
    for (int i = 0; i < n; i++) {
        shape[i] = (Shape){size, in[i], in[i + 1], i == 0, i == n - 1};
        layer_read(&layer[i], &shape[i], output);
    }
    for (int i = 0; i < n; i++) {
        dnnl_memory_t from = i ? layer[i - 1].dst : src, arrives = diff;
        if (i + 1 < n) {
            int64_t at[] = {size[1], size[0], in[i + 1]};
            dnnl_memory_desc_t d = plain(3 - dense, at + dense, tag);
            arrives = memory_new(&d);
        }
        layer[i].arrives = arrives;
        (dense ? dense_new : lstm_new)(&layer[i], from, arrives, &shape[i]);
    }
    join(layer, n);
    if (output)
        write_output(layer, n);
    else
        printf("{\"ms\": %.4f}\n", 1e3 * median_step(layer, n));
    return 0;
}
