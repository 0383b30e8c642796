# Products of bytes: ranges from the training samples, figures beside those of floats.
source "$(dirname "$0")/lib.bash"
tiny_model
weft 0 train tiny.model --epochs 30 --learning-rate 0.02 --quiet --run-dir run
weft 0 evaluate run $ENGINE --quantize int8
out_has 'float32 +int8'
out_has 'accuracy +[0-9.]+ +[0-9.]+'
weft 0 evaluate run $ENGINE --quantize int8 --calibrate 50 --split train --weights run/last.safetensors --json
float=$(json evaluate accuracy) int8=$(json evaluate int8_accuracy)
awk "BEGIN { exit !($float > 0.4 && $int8 > $float - 0.03) }" ||
    fail "accuracy $int8 in bytes, $float in floats"
[ "$(json evaluate loss)" != "$(json evaluate int8_loss)" ] || fail "nothing was rounded"
weft 0 evaluate run --interpret --quantize int8 --calibrate 50 --split train --weights run/last.safetensors --json
[ "$(json evaluate int8_accuracy)" = "$int8" ] || fail "the interpreter's accuracy differs"
loss=$(json evaluate int8_loss)
weft 0 evaluate run --quantize int8 --calibrate 50 --split train --weights run/last.safetensors --json --layout columns
[ "$(json evaluate int8_loss)" = "$loss" ] || fail "compiled code's loss differs"
weft 1 evaluate run $ENGINE --quantize int4
err_has '--quantize int4: expected int8'
weft 1 evaluate run $ENGINE --quantize int8 --dtype float64
err_has '--quantize starts from float32, not --dtype float64'
weft 1 evaluate run $ENGINE --calibrate 5
err_has '--calibrate is for --quantize int8'
weft 1 evaluate run $ENGINE --quantize int8 --calibrate 5000
err_has '--calibrate 5000: there are 160 training samples'
weft 1 evaluate run $ENGINE --quantize int8 --calibrate none
err_has '--calibrate none'
cat >plain.model <<'END'
data hand = digits(train=20, test=5) {
    image = image / 255
}

layer Scale() {
    input x
    param gain[dim(x)] = ones
    output x * gain
}

model plain {
    input image[28, 28]
    Scale()
}

train {
    data      = hand
    target    = image
    loss      = mse
    optimizer = SGD()
    epochs    = 1
    batch_size = 10
}
END
weft 0 train plain.model --quiet --run-dir plain
weft 1 evaluate plain $ENGINE --quantize int8
err_has '--quantize: plain has no product with a parameter'
