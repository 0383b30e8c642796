# --watch: statistics of parameters, gradients and the model's tensors after each step; the training
# keeps its bits.
source "$(dirname "$0")/lib.bash"
cat >watched.model <<'END'
data d = generate(100, seed=3) { x = normal(0, 1, [5, 3]); y = normal(2, 1, [1]) }

model watched {
    input x[5, 3]
    h = x -> LSTM(4) -> BatchNormalization()
    r = relu(h) -> Dropout(0.5)
    output z = r -> Dense(1, name="last")
}

train {
    data = d; target = y; loss = mse; optimizer = SGD(0.25, momentum=0.5)
    epochs = 2; batch_size = 40; seed = 5
}
END
weft 0 train watched.model $ENGINE --quiet --run-dir plain
weft 0 train watched.model $ENGINE --quiet --run-dir seen --json \
    --watch last/bias,gradient/last/bias,optimizer/last/bias/velocity,z,last,r,lstm,x,x
same_bits plain/last.safetensors seen/last.safetensors
grep '"event": "watch"' out >lines
[ "$(wc -l <lines)" -eq 48 ] || fail "8 tensors and 6 steps are $(wc -l <lines) lines"

# values NAME MEMBER: of every step.
values() { grep "\"name\": \"$1\"" lines | grep -oE "\"$2\": [^,}]*" | sed 's/.*: //'; }
[ "$(values z elements | tr '\n' ' ')" = '40 40 20 40 40 20 ' ] || fail "the batches of z"
[ "$(values lstm elements | head -n 1)" = 160 ] && [ "$(values x elements | head -n 1)" = 600 ] ||
    fail "elements of a layer's output and of an input"
[ "$(values z step | tr '\n' ' ')" = '1 2 3 4 5 6 ' ] && [ "$(values z epoch | tail -n 1)" = 2 ] ||
    fail "steps and epochs"
[ "$(values z mean)" = "$(values last mean)" ] || fail "a name and its layer differ"
# One element: each statistic is it. The update is the optimizer's, of these gradients.
[ "$(values last/bias min)" = "$(values last/bias max)" ] || fail "one element, two values"
paste <(values last/bias mean) <(values gradient/last/bias mean) \
    <(values optimizer/last/bias/velocity mean) |
    awk 'function off(a, b) { d = a - b; return d > 1e-5 || d < -1e-5 }
         { v = 0.5 * v - 0.25 * $2; w += v; bad += off($3, v) + off($1, w) }
         END { exit bad || NR != 6 || $1 == 0 }' || fail "parameter, gradient and velocity"
# Dropout leaves about a quarter of normal values above zero; nothing is below.
[ "$(values r min | sort -u)" = 0.0 ] || fail "relu gives less than zero"
values r zeros | head -n 1 | awk '{ exit !($1 > 0.6 && $1 < 0.9) }' || fail "zeros of dropout"

# What a table says: mean and deviation of known values.
cat >known.model <<'END'
data d = generate(8, seed=1) { x = floor(uniform(3, 4, [1])); y = x }
model known { input x[1]; y = concat(x, x * 3, x - 3, log(x - 3)); output o = y -> Dense(1) }
train { data = d; target = y; loss = mse; epochs = 1; batch_size = 8; shuffle = false }
END
sed 's/, log(x - 3)//' known.model >finite.model
weft 0 train finite.model $ENGINE --quiet --run-dir finite --watch y
out_has '^epoch +step  tensor +min +max +mean +deviation +zeros not finite$'
out_has '^ +1 +1  y +0 +9 +4 +3.742  33.3 % +0$'
weft 1 train known.model $ENGINE --quiet --run-dir known --watch y,dense/kernel
out_has '^ +1 +1  y +0 +9 +4 +3.742  25.0 % +8$'
out_has '^ +1 +1  dense/kernel .* 0$'
err_has 'the loss is infinite|the loss is NaN'

# On with a run that was cut; names that nothing has.
weft 0 train --resume plain $ENGINE --epochs 3 --quiet --watch gradient/lstm/kernel
[ "$(tail -n +2 out | wc -l)" -eq 3 ] && out_has '^ +3 +7  gradient/lstm/kernel'
weft 1 train watched.model $ENGINE --watch lst,last/bias,gradient/last/biass --run-dir none
err_has "--watch: nothing is named 'lst'; did you mean 'lstm'\?"
err_has "--watch: nothing is named 'gradient/last/biass'; did you mean 'gradient/last/bias'\?"
err_has 'what can be watched: lstm, .*x, h, r, z, lstm/kernel, .*optimizer/last/bias/velocity, .*gradient/last/bias$'
[ "$(grep -c 'can be watched' err)" = 1 ] || fail "the names are listed twice"
lacks none
weft 1 evaluate plain --watch z
err_has '--watch is an option of weft train, not of weft evaluate'
