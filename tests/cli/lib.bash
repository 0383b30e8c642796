# Sourced by every test of the command line. $WEFT is the program, $ENGINE what
# goes with train, evaluate and predict ("--interpret" or nothing). A test works in
# a folder of its own and stops at the first expectation that is not met.
set -u
: "${WEFT:?the program under test}"
ENGINE=${ENGINE-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
unset WEFT_DATA
export XDG_CACHE_HOME=$work/cache # nothing of the user's is read or left

fail() {
    echo "FAILED: $*"
    echo "--- command: $last_command (exit code $code)"
    echo "--- stdout"; head -c 4000 out
    echo "--- stderr"; head -c 4000 err
    exit 1
}

# weft CODE ARGUMENTS...: runs the program and checks its exit code.
weft() {
    local want=$1
    shift
    last_command="weft $*"
    code=0
    "$WEFT" "$@" >out 2>err || code=$?
    [ "$code" -eq "$want" ] || fail "exit code $code, expected $want"
}

out_has() { grep -qE -- "$1" out || fail "stdout has no line like: $1"; }
err_has() { grep -qE -- "$1" err || fail "stderr has no line like: $1"; }
out_lacks() { ! grep -qE -- "$1" out || fail "stdout has a line like: $1"; }
err_lacks() { ! grep -qE -- "$1" err || fail "stderr has a line like: $1"; }
nothing_on_stderr() { [ ! -s err ] || fail "stderr is not empty"; }
exists() { [ -e "$1" ] || fail "$1 does not exist"; }
lacks() { [ ! -e "$1" ] || fail "$1 exists"; }

# The value of a member of the last --json line of an event.
json() { grep "\"event\": *\"$1\"" out | tail -n 1 | grep -oE "\"$2\": *(\"[^\"]*\"|[^,}]*)" |
         sed -E 's/^"[^"]*": *//; s/^"(.*)"$/\1/'; }

# Checksum of a safetensors file's data, without its header.
bits() {
    local n
    n=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    tail -c +$((n + 9)) "$1" | cksum
}
same_bits() { [ "$(bits "$1")" = "$(bits "$2")" ] || fail "$1 and $2 differ"; }

# A small recurrent network that trains in a moment, even interpreted.
tiny_model() {
    cat >tiny.model <<'END'
data hand = digits(train=200, test=50, seed=3) {
    image = image / 255
    label = one_hot(label, 10)
}

model tiny {
    input image[28, 28]
    LSTM(4)
    Dense(10, activation=softmax)
}

train {
    data             = hand
    target           = label
    loss             = categorical_crossentropy
    optimizer        = Adam(learning_rate=0.01)
    metrics          = [accuracy]
    batch_size       = 32
    epochs           = 2
    validation_split = 0.2
}
END
}

# A model whose first loss is NaN, because of the log in line 9.
nan_model() {
    cat >nan.model <<'END'
data hand = digits(train=64, test=16) {
    image = image / 255
    label = one_hot(label, 10)
}

model nan {
    input image[28, 28]
    x = image -> Flatten()
    output y = log(sum(x) - 500) * x -> Dense(10, activation=softmax)
}

train {
    data       = hand
    target     = label
    loss       = categorical_crossentropy
    batch_size = 16
    epochs     = 1
}
END
}
