# Objects of streams: reset, step and run give the bits of weft predict --stream and of predict.
source "$(dirname "$0")/lib.bash"

# stream COMPILER IN OUT: ./program from stream.c and net.o.
stream() {
    $1 $flags -I. -DNET=net -DNET_H='"net.h"' -DIN="$(header "NET_STEP_IN_$2")" \
        -DOUT="$(header "NET_STEP_OUT_$3")" -DBYTES=NET_STATE_BYTES "$here/stream.c" -x none net.o \
        -o program || fail "$1 does not build stream.c"
}

# same_stream MODEL|RUN...: the program's answers are those of weft predict --stream.
same_stream() {
    ./program 30 x.csv y.csv || fail "the program fails"
    weft 0 predict "$@" --stream --quiet --no-cache <x.csv
    tail -n +2 out | cut -d, -f2- | cmp -s - y.csv || fail "object and JIT have other bits"
}

run_of() { # BODY: a run folder whose weights are something
    printf '%s\ndata d = generate(64) { x = normal(0, 1, [9, 4]); y = normal(0, 1, [3]) }\n' \
        "${cell-}" >net.model
    printf 'model net {\n%s\n}\n' "$1" >>net.model
    printf 'train { data = d; target = y; loss = mse; epochs = 1; batch_size = 32 }\n' >>net.model
    weft 0 train net.model --quiet --run-dir run
}

i=0
for body in $'input x[9, 4]\nLSTM(20)\nDense(3)' \
            $'input x[time, 4]\nGRU(7, return_sequences=true)\nLayerNormalization()\nSimpleRNN(5)\nDense(3)' \
            $'input x[time, 4]\nConv1D(6, 3, padding=causal, dilation_rate=2, activation=relu)\nLSTM(5)\nDense(3)'; do
    rm -rf run
    run_of "$body"
    weft 0 compile run --stream -o net.o
    nothing_missing net.o net
    stream gcc x output
    same_stream run
    i=$((i + 1))
    if [ $i = 1 ]; then
        stream 'g++ -x c++' x output
        same_stream run
        grep -q 'int32_t net_predict(' net.h || fail "no predict beside the stream"
    else
        ! grep -q net_predict net.h || fail "predict of a length without a bound"
        weft 0 compile run --stream --time 50 -o net.o
        grep -q 'int32_t net_predict(' net.h || fail "no predict with --time"
        stream gcc x output
        same_stream run
    fi
done
! grep -q 'int32_t net_reset(const void \*params' net.h || fail "reset reads parameters for nothing"

# The training step and the stream in one object: a step with the weights that were given.
rm -rf run
run_of $'input x[9, 4]\nLSTM(20)\nDense(3)'
weft 0 compile run --train --stream -o net.o
nothing_missing net.o net
grep -q 'int32_t net_train_step(' net.h || fail "no train_step beside the stream"
cat >both.c <<'END'
#include "net.h"
#include <stdio.h>
static _Alignas(WEFT_ALIGN) unsigned char params[NET_PARAMS_BYTES], state[NET_STATE_BYTES];
int main(void)
{
    float x[4] = {0.5f, -1, 0.25f, 2}, y[3];
    if (net_load(params) || net_reset(state) || net_step(params, state, x, y))
        return 1;
    printf("%.9g,%.9g,%.9g\n", y[0], y[1], y[2]);
    return 0;
}
END
gcc $flags -I. both.c net.o -o both && ./both >y.csv || fail "train and stream in one object"
echo 0.5,-1,0.25,2 >one.csv
weft 0 predict run --stream --quiet --no-cache <one.csv
tail -n +2 out | cut -d, -f2- | cmp -s - y.csv || fail "a step with loaded weights: other bits"

# A first state that is a parameter: reset reads it, from the object or from the caller.
rm -rf run
cell='cell Learnt(units) { input x; param first[units] = ones; state h[units] = first
    param W[dim(x), units] = glorot_uniform
    h[t] = tanh(h[t-1] + x @ W); output h[t] }'
run_of $'input x[time, 4]\nLearnt(3)'
weft 0 compile run --stream -o net.o
stream gcc x output
same_stream run
weft 0 compile run --stream --no-embed -o net.o
grep -q 'int32_t net_reset(const void \*params, void \*state)' net.h || fail "reset has no parameters"
grep -q 'int32_t net_step(const void \*params, void \*state, const float \*x, float \*output)' net.h ||
    fail "step has no parameters"

# The example: built as its head says, it answers as weft predict --stream does.
models=${WEFT_MODELS:?}
weft 0 train "$models/deploy/stream.model" --quiet --epochs 1 --set waves.count=300 \
    --run-dir waves
weft 0 compile waves --stream -o stream.o
gcc -O1 -Wall -Wextra -Werror -I. "$models/deploy/stream.c" stream.o -o stream ||
    fail "the example is not built"
awk 'BEGIN { for (t = 0; t < 40; t++) print sin(t / 3) + t % 7 / 50 }' >wave.csv
{ cat wave.csv; echo; cat wave.csv; } | ./stream >answers || fail "the example fails"
weft 0 predict waves --stream --quiet <wave.csv
tail -n +2 out | cut -d, -f2- >y.csv
cat y.csv y.csv | cmp -s - answers || fail "the example has other answers"

# The state is among what it takes.
weft 0 compile waves --stream --json -o stream.o
state=$(header STREAM_STATE_BYTES stream.h)
[ "$state" -gt 0 ] && [ "$(json compile state)" = "$state" ] || fail "the report has another state"
[ "$(json compile ram)" -ge "$state" ] || fail "the RAM leaves the state out"
rm stream.o
weft 1 compile waves --stream --max-ram $((state - 1)) -o stream.o
err_has "this takes [0-9]+ bytes of RAM \\(state $state, workspace 0, "
lacks stream.o

# Mistakes.
printf 'model net { input x[9, 4]; Bidirectional(LSTM(3)) }' >no.model
weft 1 compile no.model --stream --no-embed -o no.o
err_has 'no.model:1:[0-9]*: error: the sequence is read from its end here'
lacks no.o
printf 'model net { input x[9, 4]; LSTM(3, stateful=true) }' >no.model
weft 1 compile no.model --stream --no-embed -o no.o
err_has '--stream: net has stateful layers, whose states go from batch to batch'
lacks no.o
