# What a user writes and what the library has are equals: the library's Adam, written out in a
# file, gives its bits; so do the huber loss, a layer of layers and a cell.
source "$(dirname "$0")/lib.bash"
cat >own.model <<'END'
let opt = OwnAdam(learning_rate=0.01)
let error = own_huber(delta=0.5)
let Cell = OwnRNN

# As `weft help Adam` shows it.
optimizer OwnAdam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7) {
    slot m, v
    m[t] = m[t-1] + (1 - beta_1) * (grad - m[t-1])
    v[t] = v[t-1] + (1 - beta_2) * (grad**2 - v[t-1])
    rate = learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)
    update -rate * m[t] / (sqrt(v[t]) + epsilon)
}

# As a textbook has it: the same but for rounding.
optimizer BookAdam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7) {
    slot m, v
    m[t] = beta_1 * m[t-1] + (1 - beta_1) * grad
    v[t] = beta_2 * v[t-1] + (1 - beta_2) * grad**2
    rate = learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)
    update -rate * m[t] / (sqrt(v[t]) + epsilon)
}

loss own_huber(delta=1) {
    input y_true, y_pred
    e = abs(y_true - y_pred)
    output mean(if e <= delta then 0.5 * e**2 else delta * (e - 0.5 * delta), axis=-1)
}

cell OwnRNN(units) {
    input x
    state h[units]
    param kernel[dim(x), units] = glorot_uniform
    param recurrent_kernel[units, units] = orthogonal
    param bias[units] = zeros
    h[t] = tanh(x @ kernel + h[t-1] @ recurrent_kernel + bias)
    output h[t]
}

layer ResBlock(filters) {
    input x
    y = x -> Dense(filters, activation=relu)
          -> Dense(filters)
    output relu(x + y)
}

data hand = digits(train=600, test=100, seed=3) {
    image = image[::3, ::3] / 255
    label = one_hot(label, 10)
}

model own {
    input image[10, 10]
    Cell(12, name="rnn")
    ResBlock(12)
    Dense(10)
}

train {
    data       = hand
    target     = label
    loss       = error
    optimizer  = opt
    batch_size = 32
    epochs     = 3
}
END
for dtype in float32 float64; do
    train own own.model --dtype $dtype
    for other in 'opt=Adam(learning_rate=0.01)' 'error=huber(delta=0.5)' 'Cell=SimpleRNN'; do
        train library own.model --dtype $dtype --set "$other"
        [ "$(bits own/last.safetensors)" = "$(bits library/last.safetensors)" ] ||
            fail "$other differs from what the file has"
    done
done
train book own.model --dtype float64 --set 'opt=BookAdam(learning_rate=0.01)'
cmp -s own/history.csv book/history.csv || fail "two ways of writing Adam differ in a figure"
