source "$(dirname "$0")/lib.bash"
tiny_model
# Nothing is ever better by 100: stops after 1 + patience epochs.
weft 0 train tiny.model $ENGINE --json --run-dir early --epochs 9 \
    --set 'train.early_stopping=EarlyStopping(monitor="val_loss", patience=2, min_delta=100)'
[ "$(json end reason)" = early_stopping ] || fail "reason is $(json end reason)"
[ "$(json end epochs)" = 3 ] || fail "epochs are $(json end epochs)"
[ "$(json end best_epoch)" = 1 ] || fail "best_epoch is $(json end best_epoch)"
# restore_best_weights: what the run computes with is its best epoch's weights, here the first's.
weft 0 train tiny.model $ENGINE --quiet --run-dir back --epochs 9 --set \
    'train.early_stopping=EarlyStopping(patience=2, min_delta=100, restore_best_weights=true)'
weft 0 train tiny.model $ENGINE --quiet --run-dir first --epochs 1
same_bits back/best.safetensors first/last.safetensors
loss() { weft 0 evaluate "$@" $ENGINE --json; json evaluate loss; }
[ "$(loss back)" = "$(loss first)" ] || fail "the best weights are not used"
[ "$(loss back)" != "$(loss back --weights back/last.safetensors)" ] || fail "best is last"
# Told not to, with those of its last one; --weights takes a run in the same way.
weft 0 train tiny.model $ENGINE --quiet --run-dir on --epochs 9 --set \
    'train.early_stopping=EarlyStopping(patience=2, min_delta=100, restore_best_weights=false)'
[ "$(loss on)" = "$(loss back --weights back/last.safetensors)" ] || fail "not the last weights"
[ "$(loss back --weights on)" = "$(loss on)" ] || fail "not the last weights, by --weights"
[ "$(loss on --weights on/best.safetensors)" = "$(loss first)" ] || fail "no best weights kept"
weft 0 train tiny.model $ENGINE --json --run-dir slow --epochs 4 \
    --set 'train.reduce_lr=ReduceLROnPlateau(factor=0.5, patience=1, min_delta=100)'
[ "$(json epoch learning_rate_factor)" = 0.125 ] ||
    fail "factor is $(json epoch learning_rate_factor)"
# The same across a resume.
weft 0 train tiny.model $ENGINE --quiet --run-dir parts --epochs 2 \
    --set 'train.reduce_lr=ReduceLROnPlateau(factor=0.5, patience=1, min_delta=100)'
weft 0 train $ENGINE --quiet --resume parts --epochs 4
same_bits slow/last.safetensors parts/last.safetensors
