source "$(dirname "$0")/lib.bash"
cat >made.model <<'END'
# Two interleaved classes of noisy sequences, told apart by their frequency.
data waves = generate(3000, test=500, seed=1) {
    label = int(uniform(0, 2))
    phase = uniform(0, 6.28)
    time = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    angle = reshape(phase, [1]) + reshape(0.4 + 0.4 * float(label), [1]) * time
    x = reshape(sin(angle) + normal(0, 0.1, [12]), [12, 1])
    odd = bernoulli(0.25)
}

model waves {
    input x[12, 1]
    GRU(8)
    Dense(2, activation=softmax)
}

train {
    data            = waves
    target          = label
    loss            = sparse_categorical_crossentropy
    optimizer       = Adam(0.02)
    metrics         = [accuracy]
    epochs          = 3
    validation_data = waves.test
}
END
weft 0 data made.model --json --samples 0
[ "$(json data count) $(json data test_count)" = "3000 500" ] || fail "counts"
grep '"odd"' out | grep -q '"min": 0.*"max": 1' || fail "odd"
[ "$(grep -c '"event": "field"' out)" = 5 ] || fail "fields: a list is none"
weft 0 train made.model $ENGINE --json --run-dir run
awk "BEGIN { exit !($(json epoch val_accuracy) > 0.9) }" || fail "not learned"
loss=$(json end best)

# The run makes the same samples again; a sample does not depend on their number.
weft 0 evaluate run $ENGINE --json
awk -v a="$(json evaluate loss)" -v b="$loss" 'BEGIN { exit !(a - b < 1e-9 && b - a < 1e-9) }' ||
    fail "evaluate: $loss"
weft 0 data made.model --samples 3
sed -n '/sample 0/,$p' out >three
sed 's/generate(3000/generate(1500/' made.model >half.model
weft 0 data half.model --samples 3
sed -n '/sample 0/,$p' out | cmp -s - three || fail "samples change with their number"
# An argument without a name goes by the reader's name of it.
weft 0 data made.model --samples 3 --set waves.count=1500
sed -n '/sample 0/,$p' out | cmp -s - three || fail "--set of a positional argument"
weft 0 data made.model --set waves.count=70 --json
[ "$(json data count)" = 70 ] || fail "--set of count"
weft 0 train made.model $ENGINE --quiet --run-dir set --set waves.count=700 --epochs 1
grep -q 'generate(700,' set/model.model || fail "the run's model keeps another count"
weft 0 data made.model --samples 3 --set waves.seed=2
sed -n '/sample 0/,$p' out | cmp -s - three && fail "another seed, the same samples"

printf 'data d = generate() { x = uniform() }\nmodel m { input x[]; Dense(1) }\n' >few.model
weft 1 check few.model
err_has 'count'
printf 'data d = generate(10) { x = 1 }\nmodel m { input x[1]; Dense(1) }\ntrain { data = d; loss = mse }\n' >none.model
weft 1 check none.model
err_has 'generate needs fields'
printf 'data d = generate(10) { x = standardize(uniform()) }\nmodel m { input x[1]; Dense(1) }\ntrain { data = d; loss = mse }\n' >fit.model
weft 1 check fit.model
err_has 'standardize has no data to fit'
