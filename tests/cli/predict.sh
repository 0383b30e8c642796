source "$(dirname "$0")/lib.bash"
tiny_model
weft 0 train tiny.model $ENGINE --quiet --run-dir run

# 3 samples of 28x28 bytes as IDX, and the same as CSV.
{ printf '\0\0\010\003\0\0\0\003\0\0\0\034\0\0\0\034'; head -c 2352 "$WEFT"; } >x.idx
tail -c 2352 x.idx | od -An -v -tu1 -w784 | sed 's/^ *//; s/  */,/g' >x.csv
weft 0 predict run x.idx $ENGINE
err_has 'transforms of data hand are applied'
out_has '^ +0  [0-9] +0\.[0-9]+'
cp out idx.txt
weft 0 predict run x.csv $ENGINE --quiet
cmp -s out idx.txt || fail "IDX and CSV differ"
weft 0 predict run x.idx x.idx $ENGINE --quiet --json
[ "$(grep -c prediction out)" = 6 ] || fail "not 6 predictions"
[ "$(json prediction sample)" = 5 ] || fail "sample is $(json prediction sample)"
weft 0 predict run image=x.idx $ENGINE --quiet --out y.csv
[ "$(wc -l <y.csv)" = 4 ] || fail "y.csv has not 4 lines"
head -n 1 y.csv | grep -q '^sample,class,probability,p_0' || fail "y.csv: $(head -n 1 y.csv)"
weft 0 predict run x.idx $ENGINE --quiet --out y.npy
head -c 6 y.npy | grep -q NUMPY || fail "y.npy is no NPY"
# A picture of a stroke, 20x20, is scaled to the input's size.
base64 -d >one.png <<'END'
iVBORw0KGgoAAAANSUhEUgAAABQAAAAUCAAAAACo4kLRAAAAFElEQVR42mNgIBn8B4JRQeoJEgQAUDA/wembXLMAAAAASUVORK5CYII=
END
weft 0 predict run one.png $ENGINE
out_has '^ +0  [0-9] +0\.[0-9]+'
weft 1 predict run x.idx $ENGINE --out y.txt
err_has '.csv or .npy'
weft 1 predict run nothing.png $ENGINE
err_has 'nothing.png'
weft 1 predict run $ENGINE
err_has 'files of samples'
printf '1,2,3\n' >short.csv
weft 1 predict run short.csv $ENGINE
err_has 'holds samples of shape \[3\]; the input image wants \[28, 28\]'
