source "$(dirname "$0")/lib.bash"
tiny_model
weft 0 train tiny.model $ENGINE --quiet --run-dir whole --epochs 4
weft 0 train tiny.model $ENGINE --quiet --run-dir parts --epochs 2
weft 0 train tiny.model $ENGINE --quiet --resume parts --epochs 4
same_bits whole/last.safetensors parts/last.safetensors
same_bits whole/best.safetensors parts/best.safetensors
cmp -s whole/history.csv parts/history.csv || fail "history differs"

# Interrupted in mid-epoch, several times; the run's own model.
sed 's/train=200/train=2000/' tiny.model >long.model
weft 0 train long.model $ENGINE --quiet --run-dir calm
"$WEFT" train long.model $ENGINE --quiet --run-dir cut >out 2>err &
pid=$!
sleep 0.4
kill -INT $pid
wait $pid
code=$?
last_command="interrupted training"
if [ $code -eq 130 ]; then
    exists cut/last.safetensors
    weft 0 train $ENGINE --resume cut
    err_has 'resumed'
elif [ $code -ne 0 ]; then
    fail "exit code $code"
fi
same_bits calm/last.safetensors cut/last.safetensors
cmp -s calm/history.csv cut/history.csv || fail "history differs"

weft 1 train tiny.model $ENGINE --resume nowhere
err_has 'nowhere'
weft 1 train tiny.model $ENGINE --resume whole --seed 4
err_has 'do not go with it'
sed 's/LSTM(4)/LSTM(5)/' tiny.model >other.model
weft 1 train other.model $ENGINE --resume whole
err_has 'another model'
