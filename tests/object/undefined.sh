# Every target, every form: what an object calls that is not inside is nothing, or the compiler's
# helpers where floats have no instructions; --report names those.
source "$(dirname "$0")/lib.bash"
nm=$(command -v llvm-nm-19 || command -v llvm-nm) || { echo "no llvm-nm here"; exit 77; }
cat >net.model <<'END'
data hand = digits(train=60, test=10, seed=1) { image = image / 255 }

model net {
    input image[28, 28]
    Conv1D(3, 3, padding=causal)
    BatchNormalization()
    LSTM(4)
    Dropout(0.2)
    Dense(10, activation=softmax)
}

train {
    data = hand; target = label; loss = sparse_categorical_crossentropy
    optimizer = AdamW(learning_rate=0.01 * 0.9**(step / 10)); metrics = [accuracy]
    epochs = 1; batch_size = 20
}
END
weft 0 train net.model --quiet --run-dir run

# calls TARGET FORM...: the names, sorted, in $calls; $helpers: those of --report.
calls() {
    weft 0 compile run --target "$1" --batch 4 "${@:2}" --json -o net.o
    calls=$("$nm" -u net.o | sed 's/^ *[Uw] *//' | sort)
    helpers=$(json compile helpers | tr ' ' '\n' | sort)
    [ "$calls" = "$helpers" ] || fail "$1 $2: it calls $calls, and reports $helpers"
}

weft 1 compile net.model --target ?
targets=$(sed -n 's/.*there are: host, //p' err | tr -d ',')
[ "$(wc -w <<<"$targets")" -ge 20 ] || fail "only these targets: $targets"
for target in $targets; do
    for form in '--train --stream' '--quantize int8 --calibrate 20'; do
        calls "$target" $form
        case $target in
            cortex-m0plus | cortex-m3)
                [ -n "$calls" ] || fail "$target $form calls nothing"
                others=$(grep -vE '^__aeabi_((u?i|[fd])2([fd]|u?iz)|[fd](add|sub|mul|div|cmp..))$' <<<"$calls") ;;
            *) others=$calls ;;
        esac
        [ -z "$others" ] || fail "$target $form calls $others"
    done
done
grep -q predict_parallel net.h || fail "no form for several threads"
weft 0 compile run --target cortex-m3 --report -o net.o
out_has 'calls helpers of the compiler that links it: .*__aeabi_fmul'
weft 0 compile run --target wasm32 -o net.o
! grep -q predict_parallel net.h || fail "a form for several threads on wasm32"
