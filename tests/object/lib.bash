# For tests of objects: weft and the command line's helpers, and programs built against objects.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../cli/lib.bash"
readonly flags='-Wall -Wextra -Werror -O1 -pthread'

# header NAME [FILE.h]: the value of a #define NAME.
header() { awk -v name="$1" '$1 == "#define" && $2 == name { print $3 }' "${2:-net.h}"; }

# build COMPILER PROGRAM.c MODEL IN OUT SHAPE [FLAG...]: ./program from it and net.o.
build() {
    local cc=$1 source=$2 model=$3 in=$4 out=$5 shape=$6 up=${3^^}
    shift 6
    $cc $flags -I. -DNET="$model" -DNET_H='"net.h"' -DIN="$(header "${up}_IN_$in")" \
        -DOUT="$(header "${up}_OUT_$out")" -DBATCH="${up}_BATCH" -DSHAPE="\"$shape\"" \
        -DBYTES="${up}_PREDICT_BYTES" -DTHREAD_BYTES="${up}_PREDICT_THREAD_BYTES" "$@" \
        "$here/$source" net.o -o program || fail "$cc does not build $source"
}

# nothing_missing FILE.o: it refers to nothing outside, and links alone.
nothing_missing() {
    [ -z "$(nm -u "$1")" ] || fail "$1 refers to $(nm -u "$1")"
    ld -shared -nostdlib -z defs "$1" -o /dev/null || fail "$1 does not link alone"
    local others
    others=$(nm -g --defined-only "$1" | awk -v p="$2_" 'index($3, p) != 1 { print $3 }')
    [ -z "$others" ] || fail "$1 shows $others"
}

# same_answers MODEL|RUN: the program's answers are those of weft predict, to the bit.
same_answers() {
    ./program 70 x.npy y.bin || fail "the program fails"
    weft 0 predict "$@" x.npy --quiet --no-cache --out y.npy
    tail -c "$(wc -c <y.bin)" y.npy | cmp -s - y.bin || fail "object and JIT have other bits"
}

# trained_net SAMPLES EPOCHS TRANSFORM LAYERS...: a network for digits, trained: net.model and run.
trained_net() {
    local samples=$1 epochs=$2 transform=$3
    shift 3
    cat >net.model <<END
data hand = digits(train=$samples, test=20, seed=1) { image = $transform }

model net {
    input image[28, 28]
$(printf '    %s\n' "$@")
    Dense(10, activation=softmax)
}

train {
    data = hand; target = label; loss = sparse_categorical_crossentropy
    optimizer = Adam(0.003); epochs = $epochs; batch_size = 50
}
END
    weft 0 train net.model --quiet --run-dir run
}

# Twenty pictures of bytes, which are the program's own: raw, raw.idx.
twenty_pictures() {
    head -c 15680 "$WEFT" >raw
    { printf '\0\0\010\003\0\0\0\024\0\0\0\034\0\0\0\034'; cat raw; } >raw.idx
}

# A small network on data with fitted statistics.
fitted_net() { trained_net 200 1 'standardize(image / 255, axis=none)' 'LSTM(12)'; }

# tabled: net.h becomes one through which a program for an object without versions calls those of
# the table, of the version that $VERSION names by its number; else of the best.
tabled() {
    {
        echo '#include <stdlib.h>'
        cat net.h
        cat <<'TABLE'
static net_functions chosen;
static void __attribute__((constructor)) choose(void)
{
    const char *v = getenv("VERSION");
    if (v ? net_select_version(&chosen, atoi(v)) : net_select(&chosen))
        exit(77);
}
TABLE
        sed -nE 's/^ *int32_t \(\*([a-z0-9_]+)\)\(.*/#define net_\1 chosen.\1/p' net.h
    } >tabled.h
    mv tabled.h net.h
}

# A network whose training is not shuffled: net.model, images and labels of 230 samples (the last
# of five batches has 30) as raw bytes and as x.idx, y.idx; it trains EPOCHS.
idx_net() { # EPOCHS
    cat >net.model <<END
data hand = idx(images="x.idx", labels="y.idx") { image = image / 255 }

model net {
    input image[28, 28]
    LSTM(20)
    Dropout(0.3)
    Dense(10, activation=softmax)
}

train {
    data = hand; target = label; loss = sparse_categorical_crossentropy; metrics = [accuracy]
    optimizer = Adam(0.003); epochs = $1; batch_size = 50; shuffle = false; seed = 7
}
END
    head -c 180320 "$WEFT" >images
    for i in $(seq 23); do printf '\0\1\2\3\4\5\6\7\10\11'; done >labels
    { printf '\0\0\010\003\0\0\0\346\0\0\0\034\0\0\0\034'; cat images; } >x.idx
    { printf '\0\0\010\001\0\0\0\346'; cat labels; } >y.idx
}
