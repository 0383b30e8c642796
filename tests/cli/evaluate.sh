source "$(dirname "$0")/lib.bash"
tiny_model
weft 0 train tiny.model $ENGINE --json --run-dir run
val=$(json epoch val_loss)
weft 0 evaluate run $ENGINE
out_has '50 samples of the test part'
out_has 'loss +[0-9.]+'
out_has 'accuracy +[0-9.]+'
weft 0 evaluate run $ENGINE --json --split validation --weights run/last.safetensors
[ "$(json evaluate samples)" = 40 ] || fail "samples are $(json evaluate samples)"
[ "$(json evaluate loss)" = "$val" ] || fail "loss $(json evaluate loss), trained with $val"
weft 0 evaluate tiny.model $ENGINE --json --weights run --split train
[ "$(json evaluate samples)" = 160 ] || fail "samples are $(json evaluate samples)"
weft 1 evaluate tiny.model $ENGINE
err_has 'brings no weights'
weft 1 evaluate run $ENGINE --split tset
err_has 'did you mean test'
sed 's/LSTM(4)/LSTM(5)/' tiny.model >other.model
weft 1 evaluate other.model $ENGINE --weights run
err_has "lstm/kernel' is \[28, 16\].* but \[28, 20\] in the model"
sed 's/LSTM(4)/GRU(4)/' tiny.model >gru.model
weft 1 evaluate gru.model $ENGINE --weights run
err_has "has no 'gru/kernel'"
err_has "holds 'lstm/kernel'"
sed 's/activation=softmax/activation=sigmoid/' tiny.model >changed.model
weft 0 evaluate changed.model $ENGINE --weights run
err_has 'warning: .* was trained with other definitions'
head -c 100 run/last.safetensors >short.safetensors
weft 1 evaluate tiny.model $ENGINE --weights short.safetensors
err_has 'short.safetensors'
