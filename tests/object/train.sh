# A training by an object alone: 100 steps, called from a C program, give the weights of 100 steps
# of weft train, bit for bit.
source "$(dirname "$0")/lib.bash"
cat >net.model <<'END'
data hand = idx(images="x.idx", labels="y.idx") { image = image / 255 }

model net {
    input image[28, 28]
    LSTM(20)
    Dropout(0.3)
    Dense(10, activation=softmax)
}

train {
    data = hand; target = label; loss = sparse_categorical_crossentropy; metrics = [accuracy]
    optimizer = Adam(0.003); epochs = 20; batch_size = 50; shuffle = false; seed = 7
}
END
# 230 samples: the last of five batches has 30 rows.
head -c 180320 "$WEFT" | tail -c 180320 >images
for i in $(seq 23); do printf '\0\1\2\3\4\5\6\7\10\11'; done >labels
{ printf '\0\0\010\003\0\0\0\346\0\0\0\034\0\0\0\034'; cat images; } >x.idx
{ printf '\0\0\010\001\0\0\0\346'; cat labels; } >y.idx
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
