# A run folder stands for its data where these are gone: check, summary and
# predict need none; evaluate says what is missing.
source "$(dirname "$0")/lib.bash"
# 40 samples of 4x3 bytes and their labels.
{ printf '\0\0\010\003\0\0\0\050\0\0\0\004\0\0\0\003'; head -c 480 "$WEFT"; } >x.idx
{ printf '\0\0\010\001\0\0\0\050'; for i in $(seq 10); do printf '\0\001\002\003'; done; } >y.idx
cat >own.model <<'END'
data d = idx(images="x.idx", labels="y.idx") {
    image = image / 255
    label = one_hot(label, 4)
}

model own {
    input image[4, 3]
    Flatten()
    Dense(4, activation=softmax)
}

train {
    data       = d
    target     = label
    loss       = categorical_crossentropy
    batch_size = 8
    epochs     = 1
}
END
mkdir elsewhere
weft 0 train own.model $ENGINE --quiet --run-dir elsewhere/run
weft 0 evaluate elsewhere/run $ENGINE --split train
mv x.idx z.idx
weft 0 check elsewhere/run
weft 0 summary elsewhere/run
out_has 'parameters: 52'
weft 0 predict elsewhere/run z.idx $ENGINE --json
[ "$(json prediction sample)" = 39 ] || fail "sample is $(json prediction sample)"
weft 1 evaluate elsewhere/run $ENGINE
err_has 'x.idx'
# Labels that the model cannot take.
mv z.idx x.idx
{ printf '\0\0\010\001\0\0\0\050'; head -c 39 /dev/zero; printf '\007'; } >y.idx
weft 1 train own.model $ENGINE --run-dir bad
err_has '7'
err_has 'sample'
lacks bad
