source "$(dirname "$0")/lib.bash"
tiny_model
# use_ema: the averages are what a training ends with; it goes on from the weights.
sed 's/Adam(.*/Adam(learning_rate=0.01, use_ema=true, ema_momentum=0.8)/' tiny.model >ema.model
weft 0 train ema.model $ENGINE --run-dir whole
err_has 'moving averages: whole/average.safetensors'
weft 0 train ema.model $ENGINE --quiet --run-dir parts --epochs 1
weft 0 train ema.model $ENGINE --quiet --resume parts --epochs 2
same_bits whole/last.safetensors parts/last.safetensors
same_bits whole/average.safetensors parts/average.safetensors
loss() { weft 0 evaluate "$@" $ENGINE --json; json evaluate loss; }
[ "$(loss whole)" = "$(loss whole --weights whole/average.safetensors)" ] || fail "average is not used"
[ "$(loss whole)" != "$(loss whole --weights whole/last.safetensors)" ] || fail "nothing is averaged"

# Nothing is remembered: the averages are the weights.
sed 's/ema_momentum=0.8/ema_momentum=0/' ema.model >none.model
weft 0 train none.model $ENGINE --quiet --run-dir none
[ "$(loss none)" = "$(loss none --weights none/last.safetensors)" ] || fail "momentum 0"

# The best weights are asked for, or no averages are.
sed 's/^    epochs .*/&\n    early_stopping = EarlyStopping(patience=5, restore_best_weights=true)/' \
    ema.model >best.model
weft 0 train best.model $ENGINE --quiet --run-dir best
lacks best/average.safetensors
weft 0 train tiny.model $ENGINE --quiet --run-dir plain
lacks plain/average.safetensors
