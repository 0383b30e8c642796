source "$(dirname "$0")/lib.bash"
tiny_model
weft 0 train tiny.model $ENGINE --quiet --run-dir whole --epochs 4
weft 0 train tiny.model $ENGINE --quiet --run-dir parts --epochs 2
weft 0 train tiny.model $ENGINE --quiet --resume parts --epochs 4
same_bits whole/last.safetensors parts/last.safetensors
same_bits whole/best.safetensors parts/best.safetensors
cmp -s whole/history.csv parts/history.csv || fail "history differs"

# Interrupted again and again, in mid-epoch: SIGTERM once the training has begun.
# Compiled code does an epoch of it in a hundredth of a second.
[ -n "$ENGINE" ] && epochs=2 || epochs=80
sed "s/train=200/train=3000/; s/batch_size       = 32/batch_size = 4/
     s/epochs           = 2/epochs = $epochs/" tiny.model >long.model
weft 0 train long.model $ENGINE --quiet --run-dir calm
interrupted=0
arguments="long.model --run-dir cut"
for pause in 0.05 0.2 0.4 0.1 0.3 60; do
    last_command="train $arguments, SIGTERM after $pause s"
    "$WEFT" train $arguments $ENGINE --json >out 2>err &
    pid=$!
    for i in $(seq 400); do
        grep -q '"start"' out && break
        sleep 0.02
    done
    [ "$pause" = 60 ] || { sleep $pause; kill -TERM $pid 2>/dev/null; }
    code=0
    wait $pid || code=$?
    case $code in
    143) [ "$(json end reason)" = interrupted ] || fail "reason is $(json end reason)" ;;
    0) break ;;
    *) fail "exit code $code" ;;
    esac
    [ "$(json end position)" = 0 ] || interrupted=$((interrupted + 1))
    arguments="--resume cut"
done
[ $interrupted -gt 0 ] || fail "never interrupted in mid-epoch"
same_bits calm/last.safetensors cut/last.safetensors
same_bits calm/best.safetensors cut/best.safetensors
cmp -s calm/history.csv cut/history.csv || fail "history differs"

weft 0 train $ENGINE --resume whole --epochs 1
err_has 'nothing is left to train'
weft 1 train tiny.model $ENGINE --resume nowhere
err_has 'nowhere'
weft 1 train tiny.model $ENGINE --resume whole --seed 4
err_has 'do not go with it'
sed 's/LSTM(4)/LSTM(5)/' tiny.model >other.model
weft 1 train other.model $ENGINE --resume whole
err_has 'another model'
