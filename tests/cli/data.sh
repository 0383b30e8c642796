source "$(dirname "$0")/lib.bash"
tiny_model
weft 0 data tiny.model
out_has '200 training samples, 50 for test'
out_has 'image +u8 +\[28, 28\] +0 to 255'
out_has 'label +u8'
out_has 'sample 0'
out_has '█'
weft 0 data tiny.model --samples 0
out_lacks 'sample 0'
weft 0 data tiny.model --json
[ "$(json data count)" = 200 ] || fail "count is $(json data count)"
[ "$(grep -c '"class"' out)" = 10 ] || fail "not 10 classes"
