# A training by an object alone: 100 steps, called from a C program, give the weights of 100 steps
# of weft train, bit for bit.
source "$(dirname "$0")/lib.bash"
idx_net 20
weft 0 train net.model --quiet --run-dir run --threads 2
weft 0 compile net.model --train -o net.o
nothing_missing net.o net
for cc in gcc clang 'g++ -x c++'; do
    $cc $flags -I. "$here/train.c" net.o -lm -o program 2>log || # c++: net.o is no source
        $cc $flags -I. "$here/train.c" -x none net.o -lm -o program || fail "$cc: no program"
    ./program 230 50 100 7 images labels mine || fail "the program fails"
    n=$(od -An -tu8 -N8 run/last.safetensors | tr -d ' ')
    # Parameters come first in the file, in the model's order.
    tail -c +$((n + 9)) run/last.safetensors | head -c "$(wc -c <mine)" | cmp -s - mine ||
        fail "$cc: the weights differ"
done
[ "$(wc -c <mine)" = 16520 ] || fail "the program writes $(wc -c <mine) bytes"
cat >own.model <<'END'
model own { input x[2]; Dense(2) }
train { loss = mse; optimizer = SGD(0.1) }
END
weft 1 compile own.model --train -o own.o
err_has '--train: the training has no data'
echo 'model own { input x[2]; Dense(2) }' >own.model
weft 1 compile own.model --train -o own.o
err_has '--train: own.model has no train block'
