# Data files as they go wrong: a message with the file and the numbers, exit 1, no run folder.
source "$(dirname "$0")/lib.bash"

bytes() { printf "$(printf '\\x%02x' "$@")"; }
be32() { bytes $(($1 >> 24 & 255)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255)); }
# images FILE COUNT, labels FILE COUNT VALUE: 4 x 4 images of zeros, equal labels
images() { { bytes 0 0 8 3; be32 "$2"; be32 28; be32 28; head -c $(($2 * 784)) /dev/zero; } >"$1"; }
labels() {
    { bytes 0 0 8 1; be32 "$2"; for _ in $(seq "$2"); do bytes "$3"; done; } >"$1"
}
TI=train-images-idx3-ubyte TL=train-labels-idx1-ubyte
good_set() {
    rm -rf set && mkdir set
    images set/$TI 20; labels set/$TL 20 3
    images set/t10k-images-idx3-ubyte 8; labels set/t10k-labels-idx1-ubyte 8 4
}
cat >net.model <<'END_MODEL'
data d = mnist("set") {
    image = image / 255
    label = one_hot(label, 10)
}
model net {
    input image[28, 28]
    SimpleRNN(2)
    Dense(10, activation=softmax)
}
train {
    data       = d
    target     = label
    loss       = categorical_crossentropy
    batch_size = 4
}
END_MODEL
# bad TEXT: training says it, at the reader's argument, once, and leaves no folder
bad() {
    weft 1 train net.model
    err_has "net.model:1:1[0-9]: error: .*$1"
    [ "$(grep -c error: err)" = 1 ] || fail "more than one message"
    lacks runs
}

good_set
weft 0 train net.model
rm -rf runs
good_set; rm set/$TL
bad "there is no $TL or $TL.gz in 'set'"
rm -rf set
bad "there is no $TI or $TI.gz in 'set'.*digits\(\) needs none"
good_set; : >set/$TI
bad "'set/$TI' is empty"
good_set; truncate -s 9 set/$TI
bad "'set/$TI' is truncated: its header has 9 of 16 bytes"
good_set; truncate -s -100 set/$TI
bad "'set/$TI' is truncated: 15596 bytes found, and 15696 are needed for shape \[20, 28, 28\]"
good_set; echo >>set/$TI
bad "'set/$TI' is too long: 15697 bytes found, and 15696 are needed"
good_set; echo '<html>404</html>' >set/$TI
bad "'set/$TI' is no IDX file: it begins with bytes 3c 68 74 6d"
good_set; { bytes 0 0 8 3; be32 4294967295; be32 4294967295; be32 4294967295; } >set/$TI
bad "'set/$TI' is corrupt: its header claims samples of shape"
good_set; labels set/$TL 19 3
bad "'set/$TI' has 20 samples, and its labels 'set/$TL' are 19"
good_set; labels set/$TL 20 10
bad "label of training sample 0 is 10, and a whole number from 0 to 9 is needed"
good_set; images set/$TI 0; labels set/$TL 0 0
bad "the data set is empty: mnist found no training samples"
good_set; mv set/$TI x; cp set/$TL set/$TI; mv x set/$TL
bad "'set/$TI' has samples u8 a number, and u8 \[28, 28\] are needed"
good_set; gzip set/$TI; truncate -s -5 set/$TI.gz
weft 1 train net.model
err_has "'set/$TI.gz' is (truncated|corrupt)"
good_set; gzip set/$TI; printf 'XXXX' | dd of=set/$TI.gz bs=1 seek=30 conv=notrunc 2>/dev/null
weft 1 train net.model
err_has "'set/$TI.gz' is (truncated|corrupt)"
lacks runs
good_set
weft 1 train net.model --batch-size 21
err_has 'batch_size is 21, but there are only 20 training samples'
lacks runs

# tables
cat >table.model <<'END_MODEL'
data d = csv("t.csv")
model line {
    input a
    output y = a * 2 -> Weigh()
}
layer Weigh {
    input x
    param w[1] = ones
    output x * w[0]
}
train {
    data       = d
    target     = c
    loss       = mse
    optimizer  = SGD(0.01)
    batch_size = 2
    epochs     = 3
}
END_MODEL
csv() {
    printf "$1" >t.csv
    weft 1 train table.model
    err_has "table.model:[0-9]+:[0-9]+: error: .*$2"
    [ "$(grep -c error: err)" = 1 ] || fail "more than one message"
    lacks runs
}
printf 'a,c\n1,2\n3,4\n' >t.csv
weft 0 train table.model
rm -rf runs
printf '\xef\xbb\xbfa,c\r\n1,2\r\n3,4\r\n' >t.csv # as Windows writes it
weft 0 train table.model
rm -rf runs
csv '' "'t.csv' is empty"
csv 'a,c\n' "'t.csv' is empty: it has no line of data"
csv 'a,c\n1,2\n3\n' "'t.csv' line 3 has 1 cells, and the first line has 2"
csv 'a,c\n1,2\n,4\n' "'t.csv' line 3, column 'a': the cell is missing"
csv 'a,c\n1,2\nnan,4\n' "'t.csv' line 3, column 'a': the cell is missing"
csv 'a,c\n1,2\n3,x\n' "'t.csv' line 3, column 'c': 'x' is no number"
csv 'a,c\n1,2\n3,inf\n' "'t.csv' line 3, column 'c': 'inf' is no number"
csv 'a,c\n1,2\n3,1e60\n' "'t.csv' line 3, column 'c': 1e\+60 does not fit 32 bits"
csv 'a,c\n1,2\n"3,4\n' "'t.csv' line 3: a quote does not end"
csv 'a,c\n1,2\n' "batch_size is 2, but there are only 1 training samples"
csv 'a,d\n1,2\n3,4\n' "the data has no field 'c'; its fields are features, a, d"
csv 'a,a,c\n1,2,3\n3,4,5\n' "two fields would be named 'a'"
csv 'a,c\n1,2\n\x00\x01,4\n' "'t.csv' is no CSV file: it holds bytes that are no text"
rm t.csv
weft 1 train table.model
err_has "there is no file 't.csv'"
mkdir t.csv
weft 1 train table.model
err_has "cannot read 't.csv': it is a folder"
rmdir t.csv

# arrays: NaN is named by its sample
npy() { # FILE DTYPE SHAPE, data from stdin
    local head="{'descr': '$2', 'fortran_order': False, 'shape': $3, }"
    { printf '\x93NUMPY\x01\x00'; bytes $((${#head} + 1)) 0; printf '%s\n' "$head"; cat; } >"$1"
}
sed 's/csv("t.csv")/npz("t.npz")/; s/"t.npz"/"t.npy"/; s/npz(/npy(/; s/target     = c/target     = t/
     s/input a/input t/; s/= a \*/= t */' table.model >array.model
floats() { for f in "$@"; do bytes $f; done; }
one='0 0 128 63' nan='0 0 192 127' inf='0 0 128 127'
{ bytes $one; bytes $one; bytes $one; } | npy t.npy '<f4' '(3,)'
weft 0 train array.model
rm -rf runs
array() {
    weft 1 train array.model
    err_has "array.model:1:1[0-9]: error: .*$1"
    lacks runs
}
{ bytes $one; bytes $one; bytes $nan; } | npy t.npy '<f4' '(3,)'
array "sample 2"
{ bytes $one; bytes $inf; bytes $one; } | npy t.npy '<f4' '(3,)'
array "sample 1"
bytes $one | npy t.npy '<f4' '(3,)'
array "'t.npy' is truncated"
bytes $one | npy t.npy '<f4' '(4000000000000, 3000000000000)'
array "'t.npy' is corrupt: its header claims shape"
bytes $one | npy t.npy '<f4' '(-3,)'
array "'t.npy' is corrupt"
: | npy t.npy '<f4' '(0,)'
array "the data set is empty"
echo hello >t.npy
array "'t.npy' is truncated"
bytes $one $one | npy t.npy '<c8' '(1,)'
weft 2 train array.model
err_has "elements of type '<c8'"
