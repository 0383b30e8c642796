# --memory-limit: segments that fit, what they cost, the same bits, or why it cannot be.
source "$(dirname "$0")/lib.bash"

# model STEPS LAYERS [LENGTH]: a network on sequences of two numbers
model() {
    cat >long.model <<END
data waves = generate(96, seed=3) {
    x = uniform(-1, 1, [$1, 2])
    label = one_hot(int(uniform(0, 3)), 3)
}

model long {
    input x[${3:-$1}, 2]
    $2
    Dense(3, activation=softmax)
}

train {
    data       = waves
    target     = label
    loss       = categorical_crossentropy
    optimizer  = Adam(learning_rate=0.01)
    batch_size = 40
    epochs     = 1
}
END
}
train() { # CODE OPTION...
    local want=$1
    shift
    rm -rf run
    weft "$want" train long.model --run-dir run --threads 1 $ENGINE "$@"
}

# What fits stays as it is.
model 120 'LSTM(6)'
train 0 --json
cp run/last.safetensors whole.safetensors
arena=$(json start arena_bytes) all=$(json start bytes)
train 0 --json --memory-limit 100M
[ "$(json memory before)" = "$(json memory after)" ] || fail "memory changed within the limit"
[ "$(json memory limit)" = 100000000 ] || fail "100M is $(json memory limit)"
train 0 --memory-limit 1G
err_has '^memory: [0-9.]+ [KM]B of at most 1.00 GB; nothing is made again'

# What does not, is made again segment by segment: less memory, really, and the same bits.
for limit in 500K 0.5M; do
    train 0 --json --memory-limit $limit
    same_bits run/last.safetensors whole.safetensors
    [ "$(json memory after)" -le 500000 ] || fail "$(json memory after) bytes for $limit"
    [ "$(json memory before)" -gt 500000 ] || fail "the limit is none"
    if [ -z "$ENGINE" ]; then
        [ "$all" = "$(json memory before)" ] || fail "$all bytes, said $(json memory before)"
        [ "$(json start bytes)" = "$(json memory after)" ] || fail "$(json start bytes) bytes"
        [ $((2 * $(json start arena_bytes))) -lt "$arena" ] || fail "the arena is no half"
    fi
    awk -v more="$(json memory more_work_percent)" 'BEGIN { exit !(more > 15 && more < 60) }' ||
        fail "$(json memory more_work_percent) % more work"
done
train 0 --memory-limit 500K
err_has "^memory: [0-9.]+ KB of at most 500.00 KB, [0-9.]+ [KM]B without the limit; [0-9.]+ % more"
err_has "the 120 steps of 'lstm' in segments of [0-9]+, forward again before each goes backward"
rm -rf run
weft 0 train long.model --run-dir run --threads 2 $ENGINE --memory-limit 800K --quiet
same_bits run/last.safetensors whole.safetensors

# Loops in and after each other, masks drawn anew, steps that no segment divides.
while read -r steps limit layers; do
    model "$steps" "$layers"
    train 0 --quiet
    cp run/last.safetensors whole.safetensors
    train 0 --json --memory-limit "$limit"
    same_bits run/last.safetensors whole.safetensors
    [ "$(json memory after)" -lt "$(json memory before)" ] || fail "$layers: nothing is made again"
done <<'END'
47 300K Bidirectional(LSTM(5))
30 300K LSTM(5, return_sequences=true); Dropout(0.2); GRU(4)
31 200K LSTM(5, dropout=0.3, recurrent_dropout=0.2)
END

# What cannot be, and why.
model 120 'LSTM(6)'
train 1 --memory-limit 200K
err_has 'long.model:6:1: error: --memory-limit 200K: a training step of 40 samples needs at least'
err_has 'note: of that data are 9[0-9.]+ KB, parameters [0-9.]+ K?B, the optimizer.s [0-9.]+ K?B'
err_has "workspace of 1 thread [0-9.]+ KB: '[a-z_0-9]+' [0-9.]+ KB"
err_has 'a smaller batch_size needs less'
rm -rf run
weft 1 train long.model --run-dir run --threads 2 --memory-limit 200K
err_has 'a smaller batch_size or fewer --threads need less'
lacks run
model 120 'LSTM(6)' time # the data say how long
train 1 --memory-limit 200K
err_has 'a training step of 40 samples needs at least'
model 120 'Flatten()'
train 1 --memory-limit 100K
err_has 'there is no loop over time that could be cut into segments'
for size in 12Q -5M 0 M 1MM nan 1e30 +3M; do
    train 1 --memory-limit=$size
    err_has "--memory-limit .*: expected a size such as 500M: bytes, or K, M or G of them"
done

# The other commands that build a step.
if [ -z "$ENGINE" ]; then
    model 120 'LSTM(6)'
    weft 0 profile long.model --threads 1 --memory-limit 500K
    out_has '^memory: [0-9.]+ KB of at most 500.00 KB'
    weft 0 profile long.model --threads 1 --memory-limit 500K --json
    [ "$(json memory after)" -le 500000 ] || fail "$(json memory after) bytes"
    # What summary says is what training takes.
    train 0 --json
    weft 0 summary long.model --threads 1
    out_has '^workspace of a training step of 40 samples: [0-9.]+ [KM]B a thread \([0-9.]+ [KM]B kept'
    out_has ', [0-9.]+ [KM]?B for all; [0-9.]+ [KM]B with 1 thread, [0-9.]+ [KM]B in all'
    weft 0 summary long.model --threads 1 --json
    [ "$arena" = "$(json summary arena_bytes)" ] || fail "$arena bytes, said $(json summary arena_bytes)"
    [ "$(json summary saved_bytes_per_thread)" -lt "$(json summary arena_bytes_per_thread)" ] ||
        fail "all is kept"
    weft 0 summary long.model --threads 1 --json --memory-limit 500K
    [ "$(json memory after)" -le 500000 ] || fail "$(json memory after) bytes"
    [ "$(json memory arena_bytes)" = "$(json summary arena_bytes)" ] || fail "two sizes of an arena"
    weft 0 summary long.model --memory-limit 500K
    out_has '^memory: [0-9.]+ KB of at most 500.00 KB'
fi
