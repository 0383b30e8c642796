/* Trains two networks by their objects alone on another processor, where no C library is, and
 * calls the first one's stream; started by tests/targets/start_*.c. What is put: the parameters
 * and answers, float; then the optimizers' states behind their heads and the figures. Nothing
 * where a call fails. */
#include "cnn.h"
#include "net.h"
#include "run.h"

enum { SAMPLES = 20, BATCH = 6, STEPS = 4, TIME = NET_IN_image / NET_STEP_IN_image, SEED = 7,
       HEAD = 64 };
#define LARGER(a, b) ((a) > (b) ? (a) : (b))

static unsigned char x[SAMPLES * NET_IN_image], y[SAMPLES];
static float in[NET_IN_image], step[TIME * NET_STEP_OUT_output], run[TIME * NET_STEP_OUT_output];
static char workspace[LARGER(NET_WORKSPACE_BYTES, CNN_WORKSPACE_BYTES)]
    __attribute__((aligned(WEFT_ALIGN)));
static char state[NET_STATE_BYTES] __attribute__((aligned(WEFT_ALIGN)));

#define MEMORY(name, NAME)                                                           \
    static char name##_params[NAME##_PARAMS_BYTES] __attribute__((aligned(WEFT_ALIGN)));       \
    static char name##_optimizer[NAME##_OPTIMIZER_BYTES] __attribute__((aligned(WEFT_ALIGN))); \
    static double name##_lost[NAME##_METRICS], name##_figure[NAME##_FIGURES];
MEMORY(net, NET)
MEMORY(cnn, CNN)

/* The last batch has two rows. */
#define TRAIN(name, NAME, rate)                                                                   \
    static int train_##name(void)                                                                 \
    {                                                                                             \
        static double sums[NAME##_METRICS];                                                       \
        int failed = name##_init(name##_params, name##_optimizer, SEED, workspace);               \
        for (int s = 0, at = 0; s < STEPS; s++, at += BATCH) {                                    \
            int n = SAMPLES - at < BATCH ? SAMPLES - at : BATCH;                                  \
            failed |= name##_train_step(name##_params, name##_optimizer, x + at * NAME##_IN_image,\
                                        y + at, n, rate, workspace, sums);                        \
        }                                                                                         \
        for (int at = 0; at < SAMPLES; at += 5)                                                   \
            failed |= name##_loss(name##_params, x + at * NAME##_IN_image, y + at, 5, workspace,  \
                                  name##_lost);                                                   \
        return failed | name##_figures(name##_lost, name##_figure, workspace);                    \
    }
TRAIN(net, NET, 1) /* a factor of its schedule */
TRAIN(cnn, CNN, CNN_LEARNING_RATE)

static int stream(void)
{
    int failed = net_reset(state);
    for (int i = 0; i < NET_IN_image; i++)
        in[i] = (float)x[i] / 255;
    for (int t = 0; t < TIME; t++)
        failed |= net_step(net_params, state, in + t * NET_STEP_IN_image,
                           step + t * NET_STEP_OUT_output);
    failed |= net_reset(state);
    return failed | net_run(net_params, state, in, run, TIME);
}

void target_run(void (*put)(const void *, unsigned))
{
    for (unsigned i = 0; i < sizeof x; i++)
        x[i] = (unsigned char)(i * 2654435761u >> 24);
    for (unsigned i = 0; i < sizeof y; i++)
        y[i] = (unsigned char)(i * 7 % NET_OUT_output);
    if (train_net() | train_cnn() | stream())
        return;
    put(net_params, sizeof net_params);
    put(cnn_params, sizeof cnn_params);
    put(step, sizeof step);
    put(run, sizeof run);
    put(net_optimizer + HEAD, sizeof net_optimizer - HEAD);
    put(cnn_optimizer + HEAD, sizeof cnn_optimizer - HEAD);
    put(net_figure, sizeof net_figure);
    put(cnn_figure, sizeof cnn_figure);
}
