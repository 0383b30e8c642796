# weft graph --fused: the kernels of a program, with the operations that they compute together.
source "$(dirname "$0")/lib.bash"
tiny_model

# The names are those of the profile, the line the layer's; every kernel is one cluster.
weft 0 profile tiny.model --json
grep '"event": *"kernel"' out | sed -E 's/.*"name": *"([^"]*)".*/\1/' | sort >profiled
weft 0 graph tiny.model --fused --backward
nothing_on_stderr
grep -oE '^ +(k|load|store|zero|batch|across|scatter)[0-9]+_[A-Za-z0-9_]*' out | tr -d ' ' | sort >listed
cmp -s profiled listed || fail "other kernels than the profile's: $(diff profiled listed)"
out_has "^$(wc -l <profiled) kernels\$"
out_has '^phase 1, each block of 16 rows \{$'
out_has '^  loop 28 steps \{$'
out_has '^  loop 28 steps, the last first \{$'

# The cell is one kernel: four products, its gates, the state. What it stores is read again backwards.
awk '/^  loop 28 steps [{]/ { on = 1 } on { print } /^  }/ { on = 0 }' out >cell
[ "$(grep -cE '^    k[0-9]+_.*tiny.model:8' cell)" = 1 ] || fail "the cell is not one kernel"
[ "$(grep -cE '^ +contract nk,kj\+ni,ij->nj$' cell)" = 4 ] || fail "the cell has not four products"
grep -qE '^ +mul = h\[t\]$' cell || fail "the cell does not compute h[t]"
grep -qE '^ +reads  lstm/recurrent_kernel \[4, 16\], 256 B$' cell || fail "no weights are read"
grep -qE '^ +stores tanh \[28, 4\], 448 B a row$' cell || fail "nothing is kept for the gradient"

weft 0 graph tiny.model --fused --backward --dot
out_has '^digraph "tiny"'
[ "$(grep -c 'subgraph cluster_k' out)" = "$(wc -l <profiled)" ] || fail "clusters are not kernels"
[ "$(grep -c 'subgraph cluster_loop' out)" = 2 ] || fail "there are not two loops"
while read -r name; do
    out_has "label=\"$name(\\\\n|\")"
done <profiled
# one edge from the forward to the backward cell, with all that it carries; carries go around
out_has '^  k[0-9]+_[0-9]+ -> k[0-9]+_[0-9]+ \[ltail=cluster_k[0-9]+, lhead=.*tanh \[28, 4\], 448 B a row\\l'
out_has 'style=dashed, constraint=false, .*h\[t-1\] \[4\], 16 B a row\\l'
out_has 'stores lstm/kernel/m \[28, 16\], 1.79 KB\\l'
edges=$(grep -oE '^  k[0-9]+_[0-9]+ -> k[0-9]+' out | sed -E 's/k([0-9]+)_[0-9]+ -> k/\1 /')
[ -n "$edges" ] || fail "no edges"
if command -v dot >/dev/null; then
    weft 0 graph tiny.model --fused --backward --svg --out fused.svg
    [ "$(grep -c 'class="cluster"' fused.svg)" -gt "$(wc -l <profiled)" ] || fail "no clusters drawn"
fi

# Prediction alone; convolution with what follows it.
weft 0 graph tiny.model --fused
out_lacks batch_contract
cat >windows.model <<'END'
data hand = digits(train=64, test=16) { image = reshape(image / 255, [28, 28, 1]) }

model windows {
    input image[28, 28, 1]
    Conv2D(4, 3, activation=relu)
    MaxPooling2D(2)
    Flatten()
    Dense(10, activation=softmax)
}

train {
    data   = hand
    target = label
    loss   = sparse_categorical_crossentropy
}
END
weft 0 graph windows.model --fused --backward
grep -A 8 -E '^  k[0-9]+_.*windows.model:5 ' out | grep -A 2 'contract n' | tail -n 2 | tr -s ' ' >after
[ "$(tr '\n' ';' <after)" = " add; max 0;" ] || fail "bias and relu are not in the convolution's kernel"
weft 0 graph windows.model --fused --backward --dot
out_has 'conv2d/kernel \[3, 3, 1, 4\], 144 B'

# It needs no compiler: the program alone does it.
mkdir alone
cp "$WEFT" alone/weft
alone/weft graph tiny.model --fused --backward >out 2>err || fail "it does not work without emit.so"
out_has 'kernels$'

cat >long.model <<'END'
model long {
    input x[time, 4]
    output y = concat(x, x, axis=1)
}
END
weft 2 graph long.model --fused
err_has 'long.model:1:1: unsupported: this cannot be compiled yet: joining tensors along an axis of run-time length'
