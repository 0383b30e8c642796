source "$(dirname "$0")/lib.bash"
tiny_model
weft 0 fmt tiny.model
nothing_on_stderr
cp tiny.model neat.model
weft 0 fmt --check neat.model
printf 'model   m{input x[4] # four\n Dense( 3 )}\n' >ugly.model
weft 1 fmt --check ugly.model
out_has 'ugly.model would change'
weft 0 fmt ugly.model
grep -q '# four' ugly.model || fail "the comment is gone"
weft 0 fmt --check ugly.model
"$WEFT" fmt - <ugly.model >out 2>err || fail "fmt -"
cmp -s out ugly.model || fail "formatting stdin twice changes it"
printf 'model m {\n' >broken.model
cp broken.model before.model
weft 1 fmt broken.model
cmp -s broken.model before.model || fail "a broken file was written"
weft 1 fmt
