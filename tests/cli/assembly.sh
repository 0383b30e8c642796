# The inner loops of products keep their tile in registers: no stack traffic, and
# at least half of the instructions are fma. Read from the assembly that is run.
source "$(dirname "$0")/lib.bash"
grep -q avx2 /proc/cpuinfo || { echo "SKIPPED: no fma units"; exit 0; }
for cell in LSTM GRU SimpleRNN; do
    cat >a.model <<END
data d = digits(train=64, test=10) { image = image / 255 }
model a {
    input image[28, 28]
    $cell(50)
    Dense(10, activation=softmax)
}
train { data = d; target = label; loss = sparse_categorical_crossentropy; optimizer = Adam; epochs = 1 }
END
    weft 0 train a.model --emit-dump=asm --quiet
    # A loop is a label and the jump back to it without another label between.
    awk '
        /^[A-Za-z_0-9]+:/ { name = $1 }
        /^\.LBB/ { label = $1; sub(":.*", "", label); n = fma = stack = 0 }
        { n++ }
        /vfmadd/ { fma++ }
        /\(%rsp/ { stack++ }
        $1 ~ /^j/ && $2 == label && name ~ /contract/ && fma >= 8 {
            loops++
            if (stack || 2 * fma < n) { print name, label, n " instructions", fma " fma", stack " on the stack"; bad++ }
        }
        END { print loops + 0, "inner loops of products"; exit bad || loops < 4 }' err >loops ||
        { cat loops; fail "$cell: an inner loop of a product does other work than its products"; }
done
