# What the tutorial's network takes as a stream on a small device, all of the object counted:
# predict, transforms, info and self test are in it beside the stream.
source "$(dirname "$0")/lib.bash"
cat >net.model <<'END'
data hand = digits(train=100, test=20, seed=1) { image = image / 255 }

model net {
    input image[28, 28]
    LSTM(50)
    Dense(10, activation=softmax)
}

train {
    data = hand; target = label; loss = sparse_categorical_crossentropy
    optimizer = Adam(); epochs = 1; batch_size = 50
}
END
weft 0 train net.model --quiet --run-dir run

# most NAME BYTES: the report has so much of it at most, and some.
most() {
    local bytes
    bytes=$(json compile "$1")
    echo "$1 $bytes"
    [ "$bytes" -gt 0 ] && [ "$bytes" -le "$2" ] || fail "$1: $bytes bytes, $2 at most"
}
weft 0 compile run --stream --size --batch 1 --target cortex-m7 --json -o net.o
most code 12288
most state 4096 # with the workspace of step and run
weft 0 compile run --stream --size --batch 1 --target cortex-m7 --no-self-test --json -o net.o
most code 12288
weft 0 compile run --target x86-64-v4 --json -o net.o
most code 40960
most parameters 65536
weft 0 compile run --train --target x86-64-v4 --batch 128 --json -o net.o
most code 102400
weft 0 compile run --quantize int8 --calibrate 50 --size --batch 1 --target cortex-m7 --json -o net.o
most code 12288
most parameters 17920 # a quarter of 65,344, sums over 50 in words of four, biases as floats
