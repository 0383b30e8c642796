# The whole program against Keras: `weft train` from Keras's weights on the same batches has the
# same loss in each of ten epochs of ten batches, and the run folder's history says so.
# $WEFT is the program, $1 this folder.
set -eu
: "${WEFT:?the program under test}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# train TYPE: the losses go to $work/TYPE/history.csv
train() {
    "$WEFT" train "$1/tutorial.model" --model trajectory --train trajectory --epochs 10 --quiet \
        --weights "$1/tutorial_start.safetensors" --dtype "$2" --run-dir "$work/$2"
}

# agree TYPE TOLERANCE
agree() {
    paste -d, "$1/trajectory.csv" "$work/$2/history.csv" | awk -F, -v most="$3" -v type="$2" '
        NR == 1 { for (i = 3; i <= NF; i++) if ($i == "loss") at = i; next }
        { error = ($at - $2) / $2; if (error < 0) error = -error; if (error > worst) worst = error }
        END {
            printf "%s: %d epochs, largest relative error %.2g\n", type, NR - 1, worst
            exit !(NR == 11 && at && worst <= most)
        }'
}

train "$1" float64
agree "$1" float64 1e-9
train "$1" float32
agree "$1" float32 1e-3
