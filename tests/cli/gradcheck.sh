source "$(dirname "$0")/lib.bash"
cat >own.model <<'END'
cell Leaky(units, tau=0.3) {
    input x
    state h[units]
    param W[dim(x), units] = glorot_uniform
    param U[units, units] = orthogonal
    h[t] = (1 - tau) * h[t-1] + tau * tanh(x @ W + h[t-1] @ U)
    output h[t]
}

data hand = digits(train=20, test=10) {
    image = image / 255
    label = one_hot(label, 10)
}

model own {
    input image[28, 28]
    Leaky(3)
    Dense(10, activation=softmax)
}

train {
    data       = hand
    target     = label
    loss       = categorical_crossentropy
    batch_size = 4
    epochs     = 1
}
END
weft 0 gradcheck own.model
out_has 'Leaky'
out_has 'leaky/W .* ok'
out_has 'dense/kernel .* ok'
weft 0 gradcheck own.model --json
[ "$(json gradcheck ok)" = true ] || fail "not ok"

# A function that states its gradient, in a cell: right, and other than the slope on purpose.
cat >stated.model <<'END'
function cube(x) {
    output x * x * x
    gradient x = 3 * grad * x * x
}

function through(x) {
    output round(x)
    gradient x = grad
}

function scaled(x, w) {
    output x * w
    gradient x = grad * w
    gradient w = grad * x
}

cell Own(units) {
    input x
    state h[units]
    param W[dim(x), units] = glorot_uniform, s[units] = ones
    h[t] = tanh(scaled(cube(x @ W + h[t-1]), s))
    output h[t]
}

model stated {
    input x[5, 4]
    Own(3)
}
END
weft 0 gradcheck stated.model
out_has 'own/W .* ok'
out_has 'own/s .* ok'
out_has 'differs, as stated'
out_lacks WRONG
weft 0 gradcheck stated.model --json
