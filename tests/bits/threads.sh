# The same seed gives the same bits, whatever the number of threads: weights, optimizer state and
# figures, for batches that fill no block, part of one, many, and more shards than threads.
source "$(dirname "$0")/lib.bash"
counts="2 3 8"
# compare MODEL [OPTIONS...]: with one thread, then with others.
compare() {
    local model=$1
    shift
    train one "$model" --threads 1 "$@"
    for threads in $counts; do
        train other "$model" --threads $threads "$@"
        same_runs one other
    done
}
for model in "$MODELS"/*.model; do
    compare "$model"
done
compare "$MODELS/lstm.model" --set train.compute=bfloat16
compare "$MODELS/wide.model" --epochs 1 --set "train.optimizer=Adam(0.01, global_clipnorm=0.1)"
compare "$MODELS/wide.model" --epochs 1 --batch-size 5 --set samples=37
counts=3
for size in 1 7 100 540; do
    compare "$MODELS/cells.model" --batch-size $size --epochs 1
    compare "$MODELS/mlp.model" --batch-size $size --epochs 1
done
counts="2 8"
compare "$MODELS/lstm.model" --set samples=2600 --batch-size 2300
compare "$MODELS/mlp.model" --set samples=2600 --batch-size 2300
counts=8
for optimizer in 'Adam(0.01, global_clipnorm=0.1)' 'SGD(0.1, momentum=0.9, nesterov=true, clipnorm=0.1)' \
                 'RMSprop(0.01, clipvalue=0.01, use_ema=true)' 'Adagrad(0.1, weight_decay=0.01)'; do
    compare "$MODELS/lstm.model" --set "train.optimizer=$optimizer" --epochs 1
    compare "$MODELS/mlp.model" --set "train.optimizer=$optimizer" --epochs 1 --dtype float64
done
