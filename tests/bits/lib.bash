# Sourced by the tests of "the same bits". $MODELS holds a model of every kind that goes a way of
# its own through the compiler, each on small pictures, so that it trains in a moment.
MODELS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/models
source "$MODELS/../../cli/lib.bash"

# train RUN MODEL [OPTIONS...]: into a fresh run folder.
train() {
    local run=$1 model=$2
    shift 2
    rm -rf "$run"
    weft 0 train "$model" --quiet --run-dir "$run" "$@"
}

# Last and best weights with the optimizer's state, and what was written of every epoch.
same_runs() {
    same_bits "$1/last.safetensors" "$2/last.safetensors"
    same_bits "$1/best.safetensors" "$2/best.safetensors"
    cmp -s "$1/history.csv" "$2/history.csv" || fail "the histories of $1 and $2 differ"
}
