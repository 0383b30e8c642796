source "$(dirname "$0")/lib.bash"
tiny_model
weft 0 train tiny.model $ENGINE
nothing=$(cat out)
[ -z "$nothing" ] || fail "stdout is not empty"
exists runs/tiny-1/last.safetensors
exists runs/tiny-1/best.safetensors
exists runs/tiny-1/model.model
[ "$(wc -l <runs/tiny-1/history.csv)" = 3 ] || fail "history.csv has not 3 lines"
head -n 1 runs/tiny-1/history.csv | grep -q 'epoch,loss,accuracy,val_loss,val_accuracy' ||
    fail "history.csv: $(head -n 1 runs/tiny-1/history.csv)"
[ "$(readlink runs/last)" = tiny-1 ] || fail "runs/last is $(readlink runs/last)"

weft 0 train tiny.model $ENGINE --json --run-dir second --epochs 3
for member in parameters bytes arena_bytes arena_bytes_per_thread gflop_per_step compile_seconds threads target; do
    [ -n "$(json start $member)" ] || fail "start has no $member"
done
for member in epoch steps seconds samples_per_second loss accuracy val_loss val_accuracy; do
    [ -n "$(json epoch $member)" ] || fail "epoch has no $member"
done
[ "$(json epoch epoch)" = 3 ] || fail "last epoch is $(json epoch epoch)"
[ "$(json epoch steps)" = 5 ] || fail "steps are $(json epoch steps)"
[ "$(json end reason)" = done ] || fail "reason is $(json end reason)"
grep -q first_step_seconds out || fail "no first_step_seconds"
exists second/last.safetensors

# The same seed gives the same bits, whatever the threads; another seed others.
weft 0 train tiny.model $ENGINE --quiet --run-dir again --threads 1
same_bits runs/tiny-1/last.safetensors again/last.safetensors
weft 0 train tiny.model $ENGINE --quiet --run-dir other --seed 5
[ "$(bits other/last.safetensors)" != "$(bits again/last.safetensors)" ] || fail "seed has no effect"

# Weights to start from.
weft 0 train tiny.model $ENGINE --quiet --run-dir tuned --weights second --epochs 1
weft 0 train tiny.model $ENGINE --quiet --run-dir f64 --dtype float64 --epochs 1
weft 0 train tiny.model $ENGINE --quiet --run-dir set --set 'train.optimizer=SGD(0.1)' --epochs 1
weft 0 train tiny.model $ENGINE --quiet --run-dir test --set train.validation_split=0 --epochs 1
