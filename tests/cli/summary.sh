source "$(dirname "$0")/lib.bash"
tiny_model
weft 0 summary tiny.model
out_has 'lstm \(LSTM\)'
out_has '528'
out_has 'dense \(Dense\)'
out_has 'parameters: 578'
out_has 'GFLOP a training step of 32 samples'
weft 0 summary tiny.model --json
[ "$(json summary parameters)" = 578 ] || fail "parameters are $(json summary parameters)"
weft 0 summary tiny.model --json --batch-size 64
[ "$(json summary batch_size)" = 64 ] || fail "batch_size is $(json summary batch_size)"
