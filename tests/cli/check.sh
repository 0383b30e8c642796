source "$(dirname "$0")/lib.bash"
tiny_model
weft 0 check tiny.model
out_has 'model tiny is well formed'
nothing_on_stderr
weft 0 check tiny.model --json
[ "$(json check ok)" = true ] || fail "ok is not true"
sed 's/LSTM(4)/LSTN(4)/; s/epochs /epocks /' tiny.model >bad.model
weft 1 check bad.model
err_has 'bad.model:[0-9]+:[0-9]+: error: .*LSTM'
err_has 'bad.model:[0-9]+:[0-9]+: error: .*epochs'
err_has '\^~~~'
sed 's/image\[28, 28\]/image[14, 14]/' tiny.model >shape.model
weft 1 check shape.model
err_has '28'
