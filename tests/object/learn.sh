# The example that learns on a device: what it learns, that it goes on where it ended, and that
# its file of weights is whole or refused.
source "$(dirname "$0")/lib.bash"
deploy=${WEFT_MODELS:?}/deploy
weft 0 compile "$deploy/digits.model" --train --batch 8 -o digits.o
gcc -O1 -Wall -Wextra -Werror -I. "$deploy/learn.c" digits.o -o learn ||
    fail "the example is not built"
# 40 images, each of one grey, by class.
head_of() { printf "\\0\\0\\010\\00$1\\0\\0\\0\\050"; }
{ head_of 3; printf '\0\0\0\034\0\0\0\034'
  for i in $(seq 40); do
      head -c 784 /dev/zero | tr '\0' "\\$(printf %o $((i % 4 * 60 + 20)))"
  done; } >x.idx
{ head_of 1; for i in $(seq 40); do printf "\\$(printf %o $((i % 4)))"; done; } >y.idx

./learn once x.idx y.idx 30 >out 2>err || fail "the example fails"
[ "$(wc -l <out)" = 30 ] || fail "$(wc -l <out) epochs"
[ "$(tail -n 1 out | cut -d' ' -f4)" = 1.0000 ] || fail "it learns nothing: $(tail -n 1 out)"
awk 'NR == 1 && $4 > 0.5 { exit 1 }' out || fail "it knows all before it learns"
lacks once.new
# In three calls, one of which ends within an epoch: the same file.
./learn parts x.idx y.idx 10 >part || fail "the first part fails"
cp parts at10
(ulimit -f 1; trap '' XFSZ; ./learn parts x.idx y.idx >part 2>err) && fail "a full disk is no failure"
err_has 'parts.new: File too large'
lacks parts.new
cmp -s parts at10 || fail "a failure changes the file"
./learn parts x.idx y.idx 15 >part && ./learn parts x.idx y.idx 5 >>part || fail "a part fails"
cmp -s once parts || fail "in parts it learns otherwise"
tail -n 20 out | cmp -s - part || fail "in parts it prints otherwise"

# refused MESSAGE FILE: the message, and the file stays as it is.
refused() {
    cp "$2" before
    ./learn "$2" x.idx y.idx >out 2>err && fail "$2 is taken"
    err_has "$1"
    cmp -s "$2" before || fail "$2 was changed"
}
for bytes in 0 20 5000 $(($(wc -c <once) - 1)); do
    head -c "$bytes" once >short
    refused 'short is cut off or too long' short
done
{ cat once; echo; } >long
refused 'long is cut off or too long' long
for at in 9000 $(($(header DIGITS_WEIGHTS_BYTES digits.h) + 4000)); do # a weight, the optimizer
    { head -c $at once; printf X; tail -c +$((at + 2)) once; } >bad
    refused 'bad is damaged' bad
done
head -c "$(wc -c <once)" "$WEFT" >program
refused 'program is no file of weights' program
# It begins from what weft pack wrote; what it keeps begins with a file that weft reads.
size=$(header DIGITS_WEIGHTS_BYTES digits.h)
head -c "$size" once >learnt.weights
weft 0 pack "$deploy/digits.model" --weights learnt.weights -o packed.weights
cmp -s learnt.weights packed.weights || fail "weft pack writes something else than the example"
./learn packed.weights x.idx y.idx 1 >out || fail "it does not begin from packed weights"
[ "$(cut -d' ' -f4 out)" = 1.0000 ] || fail "packed weights know less: $(cat out)"
[ "$(wc -c <packed.weights)" = "$(wc -c <once)" ] || fail "it does not keep the optimizer's state"
sed 's/LSTM(32)/GRU(32)/' "$deploy/digits.model" >other.model
weft 0 compile other.model --train --batch 8 -o digits.o
gcc -O1 -I. "$deploy/learn.c" digits.o -o learn || fail "no second program"
refused 'once is of another model' once
./learn nowhere/w x.idx y.idx >out 2>err && fail "it writes nowhere"
err_has 'nowhere/w.new: No such file or directory'
./learn w x.idx >out 2>err && fail "without labels it learns"
err_has 'usage: learn WEIGHTS IMAGES LABELS \[EPOCHS\]'
{ printf '\0\0\010\001\0\0\0\1\1'; } >one.idx
./learn w x.idx one.idx >out 2>err && fail "one label for 40 images"
err_has '40 images of 28 x 28 and 1 labels'
