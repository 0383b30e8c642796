# Objects for other processors: what predict answers there, one row at a time and in batches.
source "$(dirname "$0")/lib.bash"
: "${TARGETS:?the program that knows how to run what}"
readonly rows=5
trained_net 200 1 'image / 255' 'LSTM(20, return_sequences=true)' 'GRU(12)'
weft 0 compile run --batch 8 -o net.o
build gcc predict.c net image output '28, 28'
./program $rows x.npy want.bin || fail "the program fails here"

# near TOLERANCE: got.bin is want.bin within so much of the largest.
near() {
    [ "$(wc -c <got.bin)" -eq "$(wc -c <want.bin)" ] || fail "$(wc -c <got.bin) bytes"
    paste <(od -An -v -tf4 -w4 got.bin) <(od -An -v -tf4 -w4 want.bin) |
        awk -v t="$1" '{ d = $1 - $2; if (d < 0) d = -d; if (d > worst || d != d) worst = d
                         if ($2 > most) most = $2 }
                       END { exit !(worst <= t * most) }' || fail "$target: other answers"
}

# answers TARGET BATCH [FLAG]: the object's, on the target.
answers() {
    target=$1
    weft 0 compile run --target "$target" --batch "$2" "${@:3}" -o net.o
    rm -rf t
    mkdir t
    cp net.o t/object.o
    cp net.h t
    "$TARGETS" run "$target" t "$here/../targets" "$here/on_target.c" -DNET=net \
        -DIN="$(header NET_IN_image)" -DOUT="$(header NET_OUT_output)" -DROWS=$rows \
        -DBATCH="$2" -DBYTES="$(header NET_PREDICT_BYTES)" >t/log 2>&1
    local status=$?
    [ $status -eq 77 ] && echo "$target: not run: $(cat t/log)" && return
    [ $status -eq 0 ] || fail "$target: $(cat t/log)"
    mv t/out.bin got.bin
    near $tolerance
    ran=$((ran + 1))
    case $target in # with fused multiply-add: the same bits
        x86-64-v3 | aarch64 | riscv* | cortex-m4 | cortex-m7)
            cmp got.bin want.bin || fail "$target has other bits" ;;
    esac
}

ran=0 tolerance=1e-5
for target in x86-64-v3 aarch64 armv7 riscv32 riscv64-v cortex-m0plus cortex-m4 cortex-m7 wasm32 \
    wasm32-simd x86_64-windows; do
    answers $target 1
    answers $target $rows
done
for target in x86-64-v3 cortex-m7; do
    answers $target 1
    large=$(wc -c <net.o)
    answers $target 1 --size
    [ "$(wc -c <net.o)" -lt "$large" ] || fail "--size makes $(wc -c <net.o) bytes of $large"
    answers $target $rows --size
done

# Products of bytes in each form that there is: sdot, smlad, pmaddwd, one by one. Sums are exact;
# what differs without fused multiply-add may be rounded to the next of 127 steps.
weft 0 compile run --batch 8 --quantize int8 -o net.o
build gcc predict.c net image output '28, 28'
./program $rows x.npy want.bin || fail "the program fails here"
answers aarch64 1 --quantize int8 --features dotprod
tolerance=0.02
for target in x86-64-v3 aarch64 riscv64-v cortex-m4 wasm32-simd; do
    answers $target 1 --quantize int8
    answers $target $rows --quantize int8
done
answers cortex-m7 1 --quantize int8 --size
echo "$ran programs run"
[ $ran -ge 6 ] || fail "nothing ran"

weft 1 compile run --target aarch46
err_has "unknown target 'aarch46'; did you mean 'aarch64'.*; there are: host, x86-64,"
weft 1 compile run --target cortex-m7 --cpu cortex-m9
err_has "unknown processor 'cortex-m9'"
weft 1 compile run --features flying
err_has "the target host has no feature 'flying'"
