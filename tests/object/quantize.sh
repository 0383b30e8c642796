# An object whose products are of bytes: a quarter of the weights, its self test, its messages.
source "$(dirname "$0")/lib.bash"
cat >net.model <<'END'
data hand = digits(train=600, test=100, seed=1) {
    image = image / 255
    label = one_hot(label, 10)
}

model net {
    input image[28, 28]
    LSTM(20)
    Dense(10, activation=softmax)
}

train {
    data = hand; target = label; loss = categorical_crossentropy; metrics = [accuracy]
    optimizer = Adam(0.01); epochs = 4; batch_size = 50
}
END
weft 0 train net.model --quiet --run-dir run
weft 0 compile run -o net.o
weft 0 compile run --quantize int8 -o net.o --json
[ "$(json quantize weights)" = 16160 ] || fail "the weights were $(json quantize weights) bytes"
[ "$(json quantize int8_weights)" -le 4100 ] || fail "they are $(json quantize int8_weights) bytes"
[ "$(json quantize samples)" = 100 ] || fail "figures are of $(json quantize samples) samples"
awk "BEGIN { exit !($(json quantize int8_accuracy) > $(json quantize accuracy) - 0.03) }" ||
    fail "accuracy $(json quantize int8_accuracy), of floats $(json quantize accuracy)"
cat >main.c <<'END'
#include "net.h"
#include <stdio.h>
static _Alignas(64) char workspace[NET_WORKSPACE_BYTES];
int main(void)
{
    float image[28 * 28], y[10], sum = 0;
    for (int i = 0; i < 28 * 28; i++)
        image[i] = (float)(i % 29) / 29;
    int status = net_self_test(workspace);
    if (status == 0)
        status = net_predict(image, y, 1, workspace);
    for (int i = 0; i < 10; i++)
        sum += y[i];
    printf("%d %.3f\n", status, sum);
    return 0;
}
END
gcc $flags -I. main.c net.o -o program || fail "it does not link"
[ "$(./program)" = '0 1.000' ] || fail "the program says $(./program)"
weft 0 compile run --quantize int8 --target cortex-m7 -o m7.o
weft 0 compile run --quantize int8
out_has 'float32 +int8'
out_has "bytes of products' weights +16160 +40[0-9][0-9]"


# A stream of bytes: step by step the bits of the whole sequence.
weft 0 compile run --quantize int8 --stream --report -o net.o
out_has 'code  '
cat >main.c <<'END'
#include "net.h"
#include <stdio.h>
#include <string.h>
static _Alignas(64) char workspace[NET_WORKSPACE_BYTES], state[NET_STATE_BYTES];
int main(void)
{
    float image[28 * 28], y[10], z[10], all[28 * 10];
    for (int i = 0; i < 28 * 28; i++)
        image[i] = (float)(i % 29) / 29;
    int status = net_predict(image, y, 1, workspace) + net_reset(state);
    for (int t = 0; t < 28; t++)
        status += net_step(state, image + 28 * t, z);
    status += net_reset(state) + net_run(state, image, all, 28);
    printf("%d %d %d\n", status, memcmp(y, z, sizeof y), memcmp(y, all + 27 * 10, sizeof y));
    return 0;
}
END
gcc $flags -I. main.c net.o -o program || fail "it does not link"
[ "$(./program)" = '0 0 0' ] || fail "the stream's program says $(./program)"

weft 1 compile run --quantize int8 --train
err_has '--quantize is for inference: leave out --train'
weft 1 compile net.model --no-embed --quantize int8
err_has '--quantize rounds weights: give --weights or a run folder'
sed '/^train/,$d' net.model >plain.model
weft 1 compile plain.model --weights run --quantize int8
err_has '--quantize: plain.model has no train block, which says what the ranges are calibrated on'
mkdir -p gone && cp -r run old && sed -i 's/digits(.*)/mnist("gone")/' old/model.model
weft 1 compile old --quantize int8
err_has "--quantize is calibrated on the model's data, and"
