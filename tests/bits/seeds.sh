# What the seed decides, and what it does not.
source "$(dirname "$0")/lib.bash"
differ() { [ "$(bits $1/last.safetensors)" != "$(bits $2/last.safetensors)" ] || fail "$1 and $2 are the same"; }
for model in gru mlp; do
    train zero "$MODELS/$model.model"
    train again "$MODELS/$model.model" --seed 0
    same_runs zero again
    train one "$MODELS/$model.model" --seed 1
    differ zero one
    train set "$MODELS/$model.model" --set train.seed=1
    same_runs one set
done
# The order of samples: as they are, or mixed by the seed. Weights that start alike.
for shuffle in true false; do
    train $shuffle "$MODELS/lstm.model" --set train.shuffle=$shuffle
    train whole "$MODELS/lstm.model" --set train.shuffle=$shuffle --epochs 3
    weft 0 train --quiet --resume $shuffle --epochs 3
    same_runs whole $shuffle
done
differ true false
# Validation is the last part, whatever the order: with one sample in a batch and no shuffling,
# training on 100 samples with a tenth aside is training on the first 90.
# own COUNT SPLIT: a model on the first COUNT of 100 samples of [4, 3] bytes.
own() {
    { printf '\0\0\010\003\0\0\0'"\\x$(printf %02x $1)"'\0\0\0\004\0\0\0\003'
      head -c $((12 * $1)) "$WEFT"; } >x.idx
    { printf '\0\0\010\001\0\0\0'"\\x$(printf %02x $1)"
      for i in $(seq 25); do printf '\0\001\002\003'; done | head -c $1; } >y.idx
    cat >own.model <<END
data d = idx(images="x.idx", labels="y.idx") {
    image = image / 255
}

model own {
    input image[4, 3]
    Flatten()
    Dense(4, activation=softmax)
}

train {
    data             = d
    target           = label
    loss             = sparse_categorical_crossentropy
    batch_size       = 1
    epochs           = 2
    shuffle          = false
    validation_split = $2
}
END
}
own 100 0.1
train split own.model
own 90 0
train first own.model
[ "$(bits split/last.safetensors)" = "$(bits first/last.safetensors)" ] ||
    fail "validation_split does not take the last part"
