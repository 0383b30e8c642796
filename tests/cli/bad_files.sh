# Weights, run folders, disks and memory as they go wrong.
source "$(dirname "$0")/lib.bash"
tiny_model
weft 0 train tiny.model $ENGINE --run-dir good --epochs 1
size=$(od -An -tu8 -N8 good/last.safetensors | tr -d ' ')
head -c $((8 + size)) good/last.safetensors | tail -c +9 >header
tail -c +$((9 + size)) good/last.safetensors >data

# with NUMBER HEADER: a weights file whose header is said to have NUMBER bytes
little() { local n=$1 i; for i in 1 2 3 4 5 6 7 8; do printf "$(printf '\\x%02x' $((n & 255)))"; n=$((n >> 8)); done; }
with() { { little "$1"; cat "$2" data; } >bad.safetensors; }
edited() { sed -E "$1" header >h; with "$(stat -c %s h)" h; }
refused() {
    weft 1 evaluate tiny.model $ENGINE --weights bad.safetensors
    err_has "error: .*$1"
    [ "$(grep -c error: err)" = 1 ] || fail "more than one message"
}
: >bad.safetensors; refused "is truncated: 0 bytes"
head -c 5 good/last.safetensors >bad.safetensors; refused "is truncated: 5 bytes"
head -c 100 good/last.safetensors >bad.safetensors
refused "is truncated: its header has $size bytes, and 92 are left"
head -c -10 good/last.safetensors >bad.safetensors
refused "is truncated: tensor '.*' ends at byte [0-9]+ of its data, and there are [0-9]+"
with 9223372036854775807 header; refused "its first 8 bytes claim a header of 9223372036854775807"
echo '{"a": [1, 2' >h; with 11 h; refused "is corrupt: its header is not JSON"
head -c 100000 /dev/zero | tr '\0' '[' >h; with 100000 h; refused "is corrupt: its header is not JSON"
echo '[]' >h; with 2 h; refused "is corrupt: its header is no JSON object"
kernel='("lstm\/kernel": *\{[^}]*'
edited "s/$kernel\"data_offsets\": *)\[[^]]*\]/\1[-8, 8]/"; refused "'lstm/kernel' has no valid data_offsets"
edited "s/$kernel\"data_offsets\": *)\[[^]]*\]/\1[0, 4611686018427387904]/"; refused "is (truncated|corrupt): tensor 'lstm/kernel'"
edited "s/$kernel\"shape\": *)\[[^]]*\]/\1[1099511627776, 1099511627776]/"; refused "'lstm/kernel' has an impossible shape"
edited "s/$kernel\"shape\": *)\[[^]]*\]/\1\"ab\"/"; refused "'lstm/kernel' has no shape"
edited "s/$kernel\"dtype\": *)\"F32\"/\1\"F64\"/"; refused "'lstm/kernel' has [0-9]+ bytes, and its shape needs"
cp header h; head -c 12 /dev/zero | tr '\0' '\377' >nan
{ little "$size"; cat header nan; tail -c +13 data; } >bad.safetensors; refused "holds NaN or infinity"
weft 1 evaluate tiny.model $ENGINE --weights tiny.model
err_has "'tiny.model' is no safetensors file"
weft 1 evaluate tiny.model $ENGINE --weights nowhere
err_has "cannot read 'nowhere'"

# weights of another model: every tensor that differs is named
sed 's/LSTM(4)/GRU(5)/' tiny.model >other.model
weft 1 evaluate other.model $ENGINE --weights good
err_has "good/best.safetensors has no 'gru/kernel'; the model needs it in shape \[28, 15\]"
err_has "'dense/kernel' is \[4, 10\] in good/best.safetensors, but \[5, 10\] in the model"
err_has "good/best.safetensors holds 'lstm/kernel' \[28, 16\], which the model has not"
weft 1 train other.model $ENGINE --resume good
err_has "another model"

# run folders that cannot be made
weft 1 train tiny.model $ENGINE --run-dir tiny.model
err_has "cannot make the run folder 'tiny.model': a file of that name is there"
weft 1 train tiny.model $ENGINE --run-dir tiny.model/run
err_has "cannot make the run folder"
weft 1 train tiny.model $ENGINE --run-dir good
err_has "'good' holds a run already; resume it, or name another folder"
if [ "$(id -u)" != 0 ]; then # root may write everywhere
    mkdir locked && chmod 555 locked
    weft 1 train tiny.model $ENGINE --run-dir locked/run
    err_has "cannot make the run folder 'locked/run': Permission denied"
    lacks locked/run
fi

# a limit on files, as a quota or a full disk: a message, and nothing is left
(ulimit -f 1 && "$WEFT" train tiny.model $ENGINE --run-dir small --epochs 1 >out 2>err)
code=$? last_command="train, files limited to 1 KB"
[ "$code" -eq 1 ] || fail "exit code $code, expected 1"
err_has "cannot write 'small/last.safetensors'"
lacks small
mkdir disk
if mount -t tmpfs -o size=16k tmpfs disk 2>/dev/null; then
    trap 'umount disk; rm -rf "$work"' EXIT
    weft 1 train tiny.model $ENGINE --run-dir disk/run --epochs 1
    err_has "cannot write 'disk/run/last.safetensors': no space is left on the disk"
    lacks disk/run
fi
if [ -w /dev/full ]; then
    last_command="check >/dev/full" code=0
    "$WEFT" check tiny.model >/dev/full 2>err || code=$?
    [ "$code" -eq 1 ] || fail "exit code $code, expected 1"
    err_has 'cannot write to stdout'
fi

# NaN in the loss: the first operation is named, nothing is left, runs/last neither
sed 's|image / 255|image / 0|' tiny.model >inf.model
weft 1 train inf.model $ENGINE
err_has "inf.model:2:13: error: the loss is NaN in epoch 1, step 1; the first operation .* is div"
[ -z "$(ls runs 2>/dev/null)" ] || fail "runs is not empty"

# more than the memory
sed 's/LSTM(4)/Flatten(); Dense(200000000)/' tiny.model >huge.model
weft 1 train huge.model $ENGINE
err_has 'huge.model:.*error: this would need [0-9.]+ GB of memory .*, and [0-9.]+ GB are available'
sed 's/train=200/train=10000001/' tiny.model >many.model
weft 1 train many.model $ENGINE
err_has "argument 'train' of digits is 10000001, and a whole number from 1 to 10000000 is needed"

# model files that are none
: >empty.model
weft 1 check empty.model
err_has "empty.model:1:1: error: there is no model in 'empty.model'"
mkdir folder.model
weft 1 check folder.model
err_has "cannot read 'folder.model': it could not be read \(a folder\?\)"
head -c 20000 "$WEFT" >binary.model
weft 1 check binary.model
err_has 'binary.model:1:[0-9]+: error: this file is not (UTF-8 )?text'
[ "$(grep -c error: err)" = 1 ] || fail "more than one message"
yes '# a comment line that is nothing but long' | head -c 17000000 >long.model
weft 1 check long.model
err_has "cannot read 'long.model': it is larger than 16 MiB"
printf 'model m {\n    input x[3]\n    Dense(%s)\n}\n' "$(head -c 100000 /dev/zero | tr '\0' 1)" >digits.model
weft 1 check digits.model
[ "$(wc -c <err)" -lt 2000 ] || fail "a message of $(wc -c <err) bytes"
printf 'model m {\n    input x[3]\n    %s(3)\n}\n' "$(head -c 100000 /dev/zero | tr '\0' x)" >name.model
weft 1 check name.model
[ "$(wc -c <err)" -lt 2000 ] || fail "a message of $(wc -c <err) bytes"
printf 'model m {\n    input x[3]\n    repeat 1000 { repeat 1000 { Dense(3) } }\n}\n' >wide.model
weft 2 check wide.model
err_has 'wide.model:3:.*unsupported: the model expands to more than'
weft 1 check nowhere.model
err_has "cannot read 'nowhere.model': there is no such file"
