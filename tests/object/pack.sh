# weft pack: a program maps the file and answers what an object with these weights in it answers,
# to the bit; what is no such file of the model is refused, by the object and by weft.
source "$(dirname "$0")/lib.bash"
fitted_net
head -c 15680 "$WEFT" >raw

# answers_of OPTION...: y.bin of the object that is compiled with them, and of one to which the file
# is given.
answers_of() {
    weft 0 compile run "$@" -o net.o
    gcc $flags -I. "$here/forms.c" net.o -o program && ./program 20 raw embedded.bin >status ||
        fail "the program with embedded weights fails"
    weft 0 compile run "$@" --no-embed -o net.o
    nothing_missing net.o net
    gcc $flags -I. "$here/pack.c" net.o -o program || fail "no program"
    weft 0 pack run "$@" -o net.weights
    [ "$(wc -c <net.weights)" = "$(header NET_WEIGHTS_BYTES)" ] || fail "another size"
    ./program 20 raw y.bin net.weights >status || fail "the program fails: $(cat status)"
    [ "$(cat status)" = '0 0' ] || fail "the object says $(cat status) of its file"
    cmp -s y.bin embedded.bin || fail "$*: embedded weights give other bits"
}
answers_of --quantize int8
cp net.weights bytes.weights
answers_of --dtype float32
head -c 64 net.weights | cmp -s - <(head -c 64 bytes.weights) && fail "bytes have the head of floats"

# refused STATUS FILE: by the object, which loads nothing.
refused() {
    ./program 20 raw none.bin "$2" >status || fail "$2: $(cat status)"
    [ "$(cat status)" = "$1 $1" ] || fail "the object says $(cat status) of $2, not $1"
    lacks none.bin
}
# changed AT: net.weights with another byte at this place.
changed() {
    local old new=X
    old=$(tail -c +$(($1 + 1)) net.weights | head -c 1 | tr '\0' 0)
    [ "$old" = X ] && new=Y
    { head -c "$1" net.weights; printf $new; tail -c +$(($1 + 2)) net.weights; } >bad.weights
}
size=$(wc -c <net.weights)
weft_refuses() { # MESSAGE FILE
    weft 1 pack net.model --weights "$2" -o out.weights
    err_has "$1"
    lacks out.weights
}
sed 's/softmax/sigmoid/' net.model >other.model
weft 0 train other.model --quiet --run-dir other
weft 0 pack other -o other.weights
weft 0 pack run --dtype float64 -o wide.weights
refused 8 other.weights
weft_refuses 'other.weights is of another model: its hash is [0-9a-f]{16}, that of net [0-9a-f]{16}' \
    other.weights
refused 8 bytes.weights
weft_refuses 'bytes.weights holds other types or shapes than net has here' bytes.weights
refused 8 wide.weights
weft_refuses 'wide.weights holds other types or shapes than net has here' wide.weights
for bytes in 0 63; do
    head -c $bytes net.weights >short.weights
    refused 9 short.weights
done
weft_refuses 'short.weights is cut off: it has 63 bytes' short.weights
head -c $((size - 1)) net.weights >short.weights
refused 9 short.weights
weft_refuses "short.weights has $((size - 1)) bytes, but $size are expected" short.weights
{ cat net.weights; echo; } >long.weights
refused 9 long.weights
weft_refuses "long.weights has $((size + 1)) bytes, but $size are expected" long.weights
changed 0
refused 7 bad.weights
changed 8
refused 7 bad.weights
weft_refuses 'bad.weights is of form 88, and this Weft knows form 1' bad.weights
head -c "$size" "$WEFT" >program.weights
refused 7 program.weights
changed 44
refused 9 bad.weights
for at in 48 60 64 $((size - 400)); do
    changed "$at"
    refused 10 bad.weights
done
weft_refuses 'bad.weights is damaged' bad.weights

# Weft reads what it wrote: the same weights again, and as any weights.
cp net.weights before.weights
weft 0 pack net.model --weights net.weights # net.weights is its default name, too
cmp -s net.weights before.weights || fail "packed again it is another file"
weft 0 evaluate net.model --weights net.weights --quiet
tail -n +2 out >packed # behind the file's name
weft 0 evaluate run --quiet
cmp -s packed <(tail -n +2 out) || fail "packed weights evaluate otherwise"
weft 0 pack run --json -o again.weights
[ "$(json pack bytes)" = "$size" ] || fail "--json says $(json pack bytes) bytes"
grep -qaF "\"hash\":\"$(json pack hash)\"" net.o || fail "net_info has another hash"
cmp -s net.weights again.weights || fail "weft pack writes another file the second time"
weft 1 pack net.model -o new.weights
err_has 'brings no weights'
weft 1 pack run net.model
err_has 'weft pack takes one FILE.model or run folder, found 2 arguments'
weft 1 pack run -o nowhere/net.weights
err_has "cannot write 'nowhere/net.weights'"
