# What the time before the first step went into, for people and for programs.
source "$(dirname "$0")/lib.bash"
tiny_model

weft 0 train tiny.model --run-dir first --epochs 1 --time-start $ENGINE
err_has '^ +at ms +took ms +peak MB  stage of the start$'
err_has '^ +0\.0 +[0-9.]+ +[0-9.]+  load the program$'
err_has '^ +[0-9.]+ +[0-9.]+ +[0-9.]+  read the model$'
err_has '^ +[0-9.]+ +[0-9.]+ +[0-9.]+    look at the data$' # within the model's, so set in
err_has '^ +[0-9.]+ +[0-9.]+ +[0-9.]+  \| read the data$'    # beside, in a thread of its own
err_has '  initial values$'
out_lacks .
weft 0 train tiny.model --run-dir second --epochs 1 $ENGINE
err_lacks 'stage of the start|read the model'

# For programs one object a line: stages in the order of their beginnings, none longer than all.
weft 0 train tiny.model --run-dir third --epochs 1 --json --time-start $ENGINE
start=$(json start start_seconds)
grep '"event": "stage"' out | sed -E 's/.*"from": ([^,]*), "seconds": ([^,]*),.*/\1 \2/' >times
[ "$(wc -l <times)" -ge 8 ] || fail "few stages"
awk -v start="$start" '$1 < last || $1 + $2 > start + 0.01 { exit 1 } { last = $1 }' times ||
    fail "stages out of order, or longer than the start of $start s"
[ "$(json stage name)" = "run folder" ] || fail "the last stage is not the run folder's"
[ "$(json stage peak_bytes)" -gt 1000000 ] || fail "no memory"
# What the main thread did one after the other is nearly all of the start.
grep '"depth": 0, "beside": false' out | sed -E 's/.*"seconds": ([^,]*),.*/\1/' |
    awk -v start="$start" '{ sum += $1 } END { exit sum < 0.5 * start || sum > start }' ||
    fail "the stages do not add up to the start"

# Memory in training beside the arena and the data: at most 90 MB for the process and LLVM, 10 MB
# when the code comes from the cache. (Sanitizers take memory of their own.)
[ -n "$ENGINE" ] && exit 0
grep -q __asan_init "$WEFT" && exit 0
beside() { echo $(($(json end peak_bytes) - $(json start bytes))); }
for run in compiled cached; do
    weft 0 train tiny.model --set hand.train=20000 --epochs 1 --json --run-dir $run --cache-dir c
    case $run in
    compiled) [ "$(json start from_cache)" = false ] && [ "$(beside)" -lt 90000000 ] ;;
    cached) [ "$(json start from_cache)" = true ] && [ "$(beside)" -lt 10000000 ] ;;
    esac || fail "$(beside) bytes beside arena and data, $run"
done
