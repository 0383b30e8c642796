# Trainings and streams by objects on other processors: the bits of the host's objects where there
# is fused multiply-add; else parameters and answers within 1e-5 of a tensor's largest magnitude.
source "$(dirname "$0")/lib.bash"
: "${TARGETS:?the program that knows how to run what}"
readonly data='data hand = idx(images="x.idx", labels="y.idx") { image = image / 255 }'
cat >net.model <<END
$data

model net {
    input image[12, 6]
    LSTM(6)
    Dropout(0.3)
    Dense(4, activation=softmax)
}

train {
    data = hand; target = label; loss = sparse_categorical_crossentropy; metrics = [accuracy]
    optimizer = Adam(learning_rate=0.01 * 0.9**(step / 2)); batch_size = 6
}
END
cat >cnn.model <<END
$data

model cnn {
    input image[12, 6]
    Reshape([12, 6, 1])
    Conv2D(4, 3, padding=same, use_bias=false)
    BatchNormalization()
    Activation(relu)
    MaxPooling2D(2)
    Flatten()
    Dense(4, activation=softmax)
}

train {
    data = hand; target = label; loss = sparse_categorical_crossentropy; metrics = [accuracy]
    optimizer = SGD(0.05, momentum=0.9); batch_size = 6
}
END
{ printf '\0\0\010\003\0\0\0\024\0\0\0\014\0\0\0\006'; head -c 1440 /dev/zero; } >x.idx
{ printf '\0\0\010\001\0\0\0\024'; for i in $(seq 5); do printf '\0\1\2\3'; done; } >y.idx

compile() { # TARGET
    weft 0 compile net.model --train --stream --target "$1" -o net.o
    weft 0 compile cnn.model --train --target "$1" -o cnn.o
}

compile host
cat >main.c <<'END'
#include "run.h"
#include <stdio.h>
static void put(const void *p, unsigned bytes) { fwrite(p, 1, bytes, stdout); }
int main(void) { target_run(put); }
END
gcc $flags -I. -I"$here/../targets" main.c "$here/train_target.c" net.o cnn.o -lm -o program ||
    fail "no program here"
./program >want.bin
# Where each tensor begins, in bytes, and where the floats end.
answers=$(($(header NET_PARAMS_BYTES) + $(header CNN_PARAMS_BYTES cnn.h)))
floats=$((answers + 2 * 12 * 4 * 4))
begins=$(awk '$2 ~ /^NET_AT_/ { print $3 }' net.h
         awk -v at="$(header NET_PARAMS_BYTES)" '$2 ~ /^CNN_AT_/ { print at + $3 }' cnn.h
         echo $answers)
[ "$(wc -w <<<"$begins")" -ge 12 ] || fail "only these tensors: $begins"
[ "$(wc -c <want.bin)" -gt $floats ] || fail "the program puts $(wc -c <want.bin) bytes"

floats_of() { head -c $floats "$1" | od -An -v -tf4 -w4; }
near() {
    paste <(floats_of got.bin) <(floats_of want.bin) | awk -v begins="$begins" '
        BEGIN { n = split(begins, at) }
        { while (k < n && (NR - 1) * 4 >= at[k + 1]) k++
          d = $1 - $2; d = d < 0 ? -d : d; size = $2 < 0 ? -$2 : $2
          if (d > worst[k] || d != d) worst[k] = d
          if (size > most[k]) most[k] = size }
        END { for (k = 1; k <= n; k++) {
                  off = most[k] ? worst[k] / most[k] : worst[k]
                  if (!(off <= 1e-5)) { print "tensor " k " is off by " off; bad = 1 }
                  if (off > all) all = off }
              print "largest error", all
              exit bad || NR == 0 }'
}

ran=0
for target in x86-64 x86-64-v3 aarch64 armv7 armv7-vfpv4 riscv64 riscv64-v riscv32 cortex-m0plus \
    cortex-m3 cortex-m4 cortex-m7 cortex-m33 wasm32 wasm32-simd x86_64-windows; do
    compile $target
    rm -rf t
    mkdir t
    cp net.o net.h cnn.o cnn.h t
    "$TARGETS" run $target t "$here/../targets" "$here/train_target.c" >t/log 2>&1
    status=$?
    [ $status -eq 77 ] && echo "$target: not run: $(cat t/log)" && continue
    [ $status -eq 0 ] || fail "$target: $(cat t/log)"
    mv t/out.bin got.bin
    [ "$(wc -c <got.bin)" -eq "$(wc -c <want.bin)" ] || fail "$target: $(wc -c <got.bin) bytes"
    case $target in
        x86-64 | armv7 | cortex-m0plus | cortex-m3 | wasm32* | x86_64-windows)
            near >log || fail "$target: $(cat log)"
            echo "$target: $(cat log)" ;;
        *)
            cmp got.bin want.bin || fail "$target has other bits"
            echo "$target: the same bits" ;;
    esac
    ran=$((ran + 1))
done
echo "$ran programs run"
[ $ran -ge 6 ] || fail "nothing ran"
