# Compiled code and the reference interpreter give the same bits: training, evaluation, prediction.
source "$(dirname "$0")/lib.bash"
# compare MODEL [OPTIONS...]
compare() {
    train compiled "$@"
    train interpreted "$@" --interpret
    same_runs compiled interpreted
}
for dtype in float32 float64; do
    for model in "$MODELS"/*.model; do
        compare "$model" --dtype $dtype
        for part in train test; do
            weft 0 evaluate compiled --json --split $part --threads 2
            sed 's/"seconds": *[0-9.e-]*//' out >compiled.txt
            weft 0 evaluate compiled --json --split $part --interpret
            sed 's/"seconds": *[0-9.e-]*//' out >interpreted.txt
            cmp -s compiled.txt interpreted.txt || fail "evaluations differ"
        done
    done
done
for size in 1 7 100 540; do
    compare "$MODELS/cells.model" --batch-size $size --epochs 1
    compare "$MODELS/mlp.model" --batch-size $size --epochs 1 --dtype float64
done
for optimizer in 'Adam(0.01, global_clipnorm=0.1)' 'SGD(0.1, momentum=0.9, nesterov=true)' \
                 'RMSprop(0.01, centered=true, clipvalue=0.01)' \
                 'Adagrad(0.1, weight_decay=0.01, clipnorm=0.1, use_ema=true)'; do
    compare "$MODELS/rnn.model" --set "train.optimizer=$optimizer" --epochs 1
done
compare "$MODELS/lstm.model" --set samples=2600 --batch-size 2300
for layout in rows columns; do
    for model in lstm mlp gru large; do
        compare "$MODELS/$model.model" --set train.compute=bfloat16 --layout $layout --epochs 1
        train plain "$MODELS/$model.model" --layout $layout --epochs 1
        cmp -s compiled/history.csv plain/history.csv && fail "$model: nothing is rounded"
    done
done
compare "$MODELS/large.model" --layout rows
compare "$MODELS/large.model" --layout columns
