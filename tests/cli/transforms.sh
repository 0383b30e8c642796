source "$(dirname "$0")/lib.bash"
# Transforms that vary the samples: what they make of them in training, and that they do nothing
# elsewhere. A factor whose ends are equal is a fixed one, so that the result can be told.

# model NAME TRANSFORM EXPECTED: the loss is the distance of the two.
model() {
    cat >"$1.model" <<END
loss distance() {
    input y, target
    output mean(abs(y - target), axis=-1)
}

data hand = digits(train=60, test=20, seed=3) {
    small    = image[::2, ::2] / 255
    colour   = reshape(image[:27], [9, 28, 3]) / 255
    expected = flatten($3)
    made     = flatten($2)
}

layer Bias() {
    input x
    param b[] = zeros
    output x + 0 * b
}

model transformed {
    input made[${4-196}]
    Bias()
}

train {
    data            = hand
    target          = expected
    loss            = distance
    optimizer       = SGD(0.1)
    batch_size      = 16
    epochs          = 1
    validation_data = hand.test
}
END
    weft 0 train "$1.model" $ENGINE --run-dir "$1" --json
}
between() { # NAME MEMBER LEAST MOST
    awk -v x="$(json epoch "$2")" -v a="$3" -v b="$4" 'BEGIN { exit !(x != "" && x >= a && x <= b) }' ||
        fail "$1: $2 is $(json epoch "$2")"
}
# becomes NAME TRANSFORM EXPECTED: so in training, but for rounding; not in validation.
becomes() {
    model "$@"
    between "$1" loss 0 1e-6
    between "$1" val_loss 1e-3 10
}
becomes brighter 'random_brightness(small, [0.25, 0.25])' 'clip(small + 0.25, 0, 1)'
becomes bytes 'random_brightness(image, [-0.2, -0.2]) / 255' 'clip(image / 255 - 0.2, 0, 1)' 784
becomes ranged 'random_brightness(small, [0.5, 0.5], value_range=[-1, 3])' 'small + 2'
becomes down 'random_translation(small, [0.5, 0.5], 0, fill_mode="constant", fill_value=0.3)' \
    'concat(broadcast(0.3, [7, 14]) + 0 * small[:7], small[:7], axis=1)'
becomes left 'random_translation(colour, 0, [-0.25, -0.25], fill_mode="wrap")' \
    'concat(colour[:, 7:], colour[:, :7], axis=2)' 756
becomes half 'random_translation(small, 0, [0.25, 0.25], fill_mode="constant")' \
    '(pad(small, 3, 0, axis=2)[:, :14] + pad(small, 4, 0, axis=2)[:, :14]) / 2'
becomes mirrored 'random_translation(small, [0.5, 0.5], 0)' \
    'concat(reverse(small[:7], axis=1), small[:7], axis=1)'
becomes edge 'random_translation(small, 0, [0.5, 0.5], fill_mode="nearest")' \
    'concat(0 * small[:, :7] + small[:, :1], small[:, :7], axis=2)'
becomes larger 'random_zoom(image, [-0.5, -0.5], interpolation="nearest") / 255' \
    'reshape(expand(expand(image[7:21, 7:21], axis=-1), axis=2) + zeros(14, 2, 14, 2), [28, 28]) / 255' 784

# What chance decides: either side, and both of them; noise of its deviation; contrast about the mean.
chance() { # NAME TRANSFORM EXPECTED SIZE LEAST MOST: the loss in training; none in validation
    model "$@"
    between "$1" loss "$5" "$6"
    between "$1" val_loss 0 0
}
chance across 'random_flip(colour, "horizontal")' colour 756 0.01 1
chance over 'random_flip(colour, "vertical")' colour 756 0.01 1
chance either 'abs(random_flip(small, "vertical", seed=5) - small) *
    abs(random_flip(small, "vertical", seed=5) - reverse(small, axis=1))' '0 * small' 196 0 0
chance both 'random_flip(small)' small 196 0.01 1
chance noise 'random_noise(small, 0.5)' small 196 0.38 0.42
chance contrast 'random_contrast(small, 0.5, value_range=[-9, 9])' small 196 0.01 0.25
chance mean 'mean(random_contrast(colour, 0.5, value_range=[-9, 9]), axis=[1, 2])' \
    'mean(colour, axis=[1, 2])' 3 0 1e-6

# The messages.
wrong() { # TRANSFORM MESSAGE
    sed "s/made  *=.*/made = $1/" noise.model >wrong.model
    weft 1 check wrong.model
    err_has 'wrong.model:10:.* error: random_'
    grep -qF -- "$2" err || fail "no message: $2"
}
wrong 'random_zoom(small, [1, 2, 3])' 'a factor is one number, or [low, high]'
wrong 'random_brightness(small, 25)' 'a factor is a part of the whole, between -1 and 1'
wrong 'random_brightness(small, [0.2, 0.1])' "a factor's low end lies above its high end"
wrong 'random_brightness(small, 0.1, value_range=1)' 'value_range is [least, greatest]'
wrong 'random_contrast(small, [1])' 'a factor is one number, or [lower, upper]'
wrong 'random_contrast(small, -0.1)' 'a contrast factor is not negative'
wrong 'random_noise(small, -1)' 'a standard deviation is not negative'
wrong 'random_flip(small, up)' 'a flip is horizontal, vertical or horizontal_and_vertical'
wrong 'random_flip(flatten(small))' 'a picture is [height, width] or [height, width, channels]'
wrong 'random_zoom(small, 0.1, fill_mode=mirror)' 'fill_mode is reflect, wrap, nearest or constant'
wrong 'random_zoom(small, 0.1, interpolation=cubic)' 'interpolation is bilinear or nearest'
wrong 'random_zoom(small, [-1, 0])' 'a zoom factor lies above -1'
