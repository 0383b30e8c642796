# The example that classifies an IDX file: the classes of weft predict, and how many are right.
source "$(dirname "$0")/lib.bash"
deploy=${WEFT_MODELS:?}/deploy
weft 0 train "$deploy/digits.model" --quiet --epochs 1 --set hand.train=300 --set hand.test=20 \
    --run-dir run
weft 0 compile run -o digits.o
gcc -O1 -Wall -Wextra -Werror -I. "$deploy/classify.c" digits.o -o classify ||
    fail "the example is not built"

# 70 images, two batches and more: some bytes of a program; labels are what weft predict says, but
# for the first seven.
head -c $((70 * 784)) "$WEFT" >raw
{ printf '\0\0\010\003\0\0\0\106\0\0\0\034\0\0\0\034'; cat raw; } >x.idx
weft 0 predict run x.idx --quiet --no-cache --out y.csv
tail -n +2 y.csv | cut -d, -f-3 >want
label() { # CLASS: its byte
    printf "\\$(printf %o "$1")"
}
{ printf '\0\0\010\001\0\0\0\106'
  while IFS=, read -r i class _; do label $((i < 7 ? (class + 1) % 10 : class)); done <want; } >l.idx
./classify x.idx >got || fail "the example fails"
[ "$(wc -l <got)" = 70 ] || fail "$(wc -l <got) lines"
cut -d, -f-2 want | cmp -s - <(cut -d, -f-2 got) || fail "other classes than weft predict"
# A probability is printed with 9 digits here and 8 there.
paste -d, want got | awk -F, '{ d = $3 - $6; if (d * d > 1e-15) exit 1 }' ||
    fail "other probabilities than weft predict"
./classify x.idx l.idx >got || fail "the example fails with labels"
[ "$(tail -n 1 got)" = 'accuracy 0.9000' ] || fail "63 of 70 give $(tail -n 1 got)"

# refused MESSAGE ARGUMENT...
refused() {
    local message=$1
    shift
    ./classify "$@" >out 2>err && fail "classify $* succeeds"
    err_has "$message"
}
refused 'usage: classify IMAGES \[LABELS\]'
refused 'nothing: No such file' nothing
refused 'raw: not an IDX file of bytes in 3 dimensions' raw
refused 'l.idx: not an IDX file of bytes in 3 dimensions' l.idx
head -c 20000 x.idx >short
refused 'short: ends before its 54880 bytes' short
{ printf '\0\0\010\003\0\0\0\001\0\0\0\010\0\0\0\010'; cat raw; } >small
refused 'small: images of 8 x 8, the model takes 28 x 28' small
printf '\0\0\010\001\0\0\0\002\1\2' >two
refused 'two: 2 labels for 70 images' x.idx two
printf '\0\0\010\003\377\377\377\377\377\377\377\377\377\377\377\377' >huge
refused 'huge: not an IDX file' huge
