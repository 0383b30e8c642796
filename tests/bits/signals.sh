# Stopped by signals in the midst of epochs, again and again, and gone on with, each time on
# another number of threads: the same bits as a training left in peace.
source "$(dirname "$0")/lib.bash"
# Enough of them that a signal within a tenth of a second meets a training.
epochs=30
for model in gru mlp stateful; do
    options="--set samples=4000 --batch-size 4 --epochs $epochs"
    train calm "$MODELS/$model.model" $options
    rm -rf cut
    interrupted=0
    arguments="$MODELS/$model.model $options --run-dir cut"
    signals=(INT TERM INT TERM INT TERM INT TERM INT TERM)
    for i in "${!signals[@]}" last; do
        last_command="train $arguments, signal $i"
        # The last run's output is gone before the job starts: a "start" that is read is this run's,
        # and no signal meets a shell that is still to become the program.
        : >out
        # Signals that a shell's job in the background ignores reach the program again.
        env --default-signal=INT "$WEFT" train $arguments --json --threads $((RANDOM % 3 + 1)) \
            >out 2>err &
        pid=$!
        until grep -q '"start"' out; do
            kill -0 $pid 2>/dev/null || break
            sleep 0.01
        done
        if [ $i != last ]; then
            sleep 0.0$((RANDOM % 10))
            kill -${signals[$i]} $pid 2>/dev/null
        fi
        code=0
        wait $pid || code=$?
        case $code in
        130 | 143)
            [ "$(json end reason)" = interrupted ] || fail "reason is $(json end reason)"
            [ "$(json end position)" = 0 ] || interrupted=$((interrupted + 1)) ;;
        0) break ;;
        *) fail "exit code $code" ;;
        esac
        arguments="--resume cut --epochs $epochs"
    done
    [ $code = 0 ] || fail "never done"
    [ $interrupted -gt 0 ] || fail "never stopped in the midst of an epoch"
    same_runs calm cut
done
