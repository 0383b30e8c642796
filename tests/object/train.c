/* Trains by an object alone: 100 steps on batches as weft train takes them without shuffling,
 * from the same seed; writes the parameters one after the other.
 *   train SAMPLES BATCH STEPS SEED IMAGES LABELS OUT
 * IMAGES, LABELS: raw bytes of the fields. */
#include "net.h"
#include "check.h"
#include <math.h>

static void *read_all(const char *path, size_t bytes)
{
    void *p = taken(bytes);
    FILE *f = fopen(path, "rb");
    if (!f || fread(p, 1, bytes, f) != bytes)
        exit(2);
    fclose(f);
    return p;
}

static void in_turn(void *context, int32_t count, weft_body body, void *argument)
{
    ++*(int *)context;
    for (int32_t i = count; i-- > 0;)
        body(argument, i);
}

/* What must be refused, and changes nothing. */
static void refusals(void *params, void *optimizer, const uint8_t *x, const uint8_t *y, void *ws,
                     double *metrics)
{
    unsigned char *before = (unsigned char *)taken(NET_PARAMS_BYTES);
    float one[NET_IN_image];
    memcpy(before, params, NET_PARAMS_BYTES);
    expect(net_train_step(NULL, optimizer, x, y, 1, 1, ws, metrics) == WEFT_NULL, "no params");
    expect(net_train_step(params, NULL, x, y, 1, 1, ws, metrics) == WEFT_NULL, "no optimizer");
    expect(net_train_step(params, optimizer, x, y, 1, 1, ws, NULL) == WEFT_NULL, "no metrics");
    expect(net_train_step(params, optimizer, x, y, NET_BATCH + 1, 1, ws, metrics) == WEFT_RANGE,
           "too many rows");
    expect(net_train_step((char *)params + 4, optimizer, x, y, 1, 1, ws, metrics) ==
           WEFT_MISALIGNED, "params at 4");
    expect(net_get(params, "nothing", one) == WEFT_NAME, "an unknown name");
    expect(net_get(params, "dense/bia", one) == WEFT_NAME, "a name's beginning");
    expect(net_get(params, "dense/biass", one) == WEFT_NAME, "a name and more");
    expect(memcmp(before, params, NET_PARAMS_BYTES) == 0, "a refused call writes parameters");
}

/* Parameters by name, and by the header's offsets. */
static void by_name(void *params)
{
    float bias[10], again[10], own[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    expect(net_get(params, "dense/bias", bias) == WEFT_OK, "get");
    expect(memcmp(bias, (char *)params + NET_AT_dense_bias, sizeof bias) == 0, "another bias");
    expect(net_set(params, "dense/bias", own) == WEFT_OK, "set");
    expect(net_get(params, "dense/bias", again) == WEFT_OK && memcmp(own, again, sizeof own) == 0,
           "what was set is not there");
    expect(net_set(params, "dense/bias", bias) == WEFT_OK, "set back");
}

/* A loss that is not finite changes nothing. */
static void diverges(void *params, void *optimizer, const uint8_t *x, const uint8_t *y, void *ws)
{
    double sums[NET_METRICS] = {0};
    float bias[10], bad[10];
    unsigned char *before = (unsigned char *)taken(NET_PARAMS_BYTES);
    unsigned char *state = (unsigned char *)taken(NET_OPTIMIZER_BYTES);
    net_get(params, "dense/bias", bias);
    for (int i = 0; i < 10; i++)
        bad[i] = NAN;
    net_set(params, "dense/bias", bad);
    memcpy(before, params, NET_PARAMS_BYTES);
    memcpy(state, optimizer, NET_OPTIMIZER_BYTES);
    expect(net_train_step(params, optimizer, x, y, NET_BATCH, NET_LEARNING_RATE, ws, sums) ==
           WEFT_LOSS, "a loss that is not a number");
    expect(memcmp(before, params, NET_PARAMS_BYTES) == 0, "it changes parameters");
    expect(memcmp(state, optimizer, NET_OPTIMIZER_BYTES) == 0, "it changes the optimizer");
    expect(sums[0] == 0 && sums[1] == 0, "it is counted");
    net_set(params, "dense/bias", bias);
}

int main(int argc, char **argv)
{
    if (argc != 8)
        return 2;
    int samples = atoi(argv[1]), batch = atoi(argv[2]), steps = atoi(argv[3]), calls = 0;
    const uint8_t *x = (const uint8_t *)read_all(argv[5], (size_t)samples * NET_IN_image);
    const uint8_t *y = (const uint8_t *)read_all(argv[6], (size_t)samples);
    void *params = taken(NET_PARAMS_BYTES), *optimizer = taken(NET_OPTIMIZER_BYTES);
    void *ws = taken(NET_WORKSPACE_BYTES + 2 * NET_TRAIN_STEP_THREAD_BYTES);
    double sums[NET_METRICS] = {0}, values[NET_FIGURES], lost[NET_METRICS] = {0};
    float *answer = (float *)taken(sizeof(float) * NET_OUT_output * NET_BATCH);
    memset(params, 0, NET_PARAMS_BYTES);
    expect(net_init(params, optimizer, atoi(argv[4]), ws) == WEFT_OK, "init");
    refusals(params, optimizer, x, y, ws, sums);
    by_name(params);
    for (int s = 0, at = 0; s < steps; s++) {
        int n = samples - at < batch ? samples - at : batch;
        int32_t status;
        if (s % 3 == 2) /* on three threads, here one after the other: the same bits */
            status = net_train_step_parallel(params, optimizer, x + (size_t)at * NET_IN_image,
                                             y + at, n, NET_LEARNING_RATE, ws, sums, 3, in_turn,
                                             &calls);
        else
            status = net_train_step(params, optimizer, x + (size_t)at * NET_IN_image, y + at, n,
                                    NET_LEARNING_RATE, ws, sums);
        expect(status == WEFT_OK, "a step");
        at = at + n < samples ? at + n : 0;
    }
    expect(calls > 0, "parallel_for is not called");
    expect(*(double *)optimizer == steps, "steps are not counted");
    diverges(params, optimizer, x, y, ws);
    for (int at = 0; at < samples; at += NET_BATCH)
        expect(net_loss(params, x + (size_t)at * NET_IN_image, y + at,
                        samples - at < NET_BATCH ? samples - at : NET_BATCH, ws, lost) == WEFT_OK,
               "loss");
    expect(net_figures(lost, values, ws) == WEFT_OK && lost[1] == samples, "figures");
    printf("loss %.17g accuracy %.17g\n", values[0], values[1]);
    float *in = (float *)taken(sizeof(float) * NET_IN_image);
    for (int i = 0; i < NET_IN_image; i++)
        in[i] = (float)x[i] / 255;
    expect(net_predict(params, in, answer, 1, ws) == WEFT_OK, "predict");
    FILE *f = fopen(argv[7], "wb");
    if (!f)
        return 2;
    fwrite((char *)params + NET_AT_lstm_kernel, 1, sizeof(float) * 28 * 80, f);
    fwrite((char *)params + NET_AT_lstm_recurrent_kernel, 1, sizeof(float) * 20 * 80, f);
    fwrite((char *)params + NET_AT_lstm_bias, 1, sizeof(float) * 80, f);
    fwrite((char *)params + NET_AT_dense_kernel, 1, sizeof(float) * 200, f);
    fwrite((char *)params + NET_AT_dense_bias, 1, sizeof(float) * 10, f);
    fclose(f);
    return failed;
}
