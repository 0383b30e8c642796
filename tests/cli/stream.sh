source "$(dirname "$0")/lib.bash"
tiny_model
weft 0 train tiny.model $ENGINE --quiet --run-dir run

# Two digits of 28 rows as steps: the answer to the last row is that to the whole picture.
tail -c 1568 "$WEFT" | od -An -v -tu1 -w28 | sed 's/^ *//; s/  */,/g' >rows.csv
{ head -n 28 rows.csv; echo; tail -n 28 rows.csv; } >steps.csv
{ head -n 28 rows.csv | paste -sd,; tail -n 28 rows.csv | paste -sd,; } >whole.csv
weft 0 predict run whole.csv $ENGINE --quiet --out answer.csv
weft 0 predict run --stream $ENGINE <steps.csv
err_has 'a line of numbers is a step \(image 28\).* transforms'
[ "$(wc -l <out)" = 57 ] || fail "not a line for the names and one for each of 56 steps"
[ "$(head -n 1 out | cut -d, -f2-)" = "$(head -n 1 answer.csv | cut -d, -f2-)" ] || fail "other names"
for i in 0 1; do
    [ "$(grep '^28,' out | sed -n $((i + 1))p | cut -d, -f2-)" = \
      "$(grep "^$i," answer.csv | cut -d, -f2-)" ] || fail "the last step differs from the whole"
done
cp out csv.out
{ echo name,of,columns; tr , ' ' <steps.csv; } | weft 0 predict run --stream $ENGINE --quiet
nothing_on_stderr
cmp -s out csv.out || fail "separated by blanks: other answers"
weft 0 predict run --stream $ENGINE --json <steps.csv
[ "$(json prediction step)" = 28 ] || fail "the last step is $(json prediction step)"
[ "$(json prediction class)" = "\"$(tail -n 1 csv.out | cut -d, -f2)\"" ] ||
    [ "$(json prediction class)" = "$(tail -n 1 csv.out | cut -d, -f2)" ] || fail "another class"

# Each answer comes before the next line is read.
mkfifo to from
"$WEFT" predict run --stream $ENGINE --quiet <to >from &
exec 3>to 4<from
read -r -t 20 names <&4 || fail "no names"
head -n 1 rows.csv >&3
read -r -t 20 answer <&4 || fail "no answer"
[ "$answer" = "$(sed -n 2p csv.out)" ] || fail "another answer"
exec 3>&-
wait $! || fail "exit code of a stream that ends"
exec 4<&-

# Mistakes.
{ cat rows.csv; echo 1,2,3; } | weft 1 predict run --stream $ENGINE --quiet
err_has 'stdin, line 57: 3 numbers, and a step has 28 \(image 28\)'
[ "$(wc -l <out)" = 57 ] || fail "what came before is not answered"
head -n 1 rows.csv | sed 's/,/,x/' | cat rows.csv - | weft 1 predict run --stream $ENGINE --quiet
err_has "line 57: no number at 'x[0-9]+'"
sed 1s/$/,1/ rows.csv | weft 1 predict run --stream $ENGINE --quiet
err_has 'line 1: more than the 28 numbers of a step \(image 28\)'
sed '1s/^[0-9]*/300/' rows.csv | weft 1 predict run --stream $ENGINE --quiet
err_has 'line 1: 300 is no u8 as the input image wants it'
weft 1 predict run rows.csv --stream $ENGINE
err_has 'reads the steps from stdin, found 2'
weft 1 predict run --stream --out y.csv $ENGINE </dev/null
err_has '--stream writes to stdout'

# What cannot be had step by step: each at its layer's line, with the reason.
refuses() { # LINE BODY WHY
    printf '%s\nmodel m {\n%s\n}\n' "${cell-}" "$2" >no.model
    weft 1 graph no.model --stream
    err_has "no.model:$1:[0-9]*: error: .*$3"
}
[ -n "$ENGINE" ] && exit 0
refuses 4 $'input x[time, 4]\nBidirectional(LSTM(3))' 'the sequence is read from its end here'
refuses 4 $'input x[time, 4]\nLSTM(3, go_backwards=true)' 'the sequence is read from its end here'
refuses 5 $'input x[time, 4]\nLSTM(3, return_sequences=true)\nGlobalAveragePooling1D()' \
    'all steps are reduced to one value here'
refuses 4 $'input x[time, 4]\nGlobalMaxPooling1D()' 'all steps are reduced to one value here'
refuses 4 $'input x[9, 4]\noutput y = softmax(x, axis=1)' 'all steps are reduced to one value here'
refuses 5 $'input x[9, 4]\nLSTM(3, return_sequences=true)\nFlatten()' 'the axis of time is reshaped here'
refuses 4 $'input x[9, 4]\nMaxPooling1D(2)' 'the axis of time is reshaped here'
refuses 4 $'input x[9, 4]\nConv1D(2, 3, padding=same)\nLSTM(2)' \
    'a window reads 1 step ahead here: a stream knows no step before it comes \(padding=causal reads the past alone'
refuses 4 $'input x[9, 4]\nConv1D(2, 3)\nLSTM(2)' 'a window reads 2 steps ahead here'
refuses 4 $'input x[9, 4]\nConv1D(2, 3, strides=2, padding=causal)' \
    'a window moves on by 2 steps here: a stream gives an output for each step \(strides=1\)'
refuses 4 $'input x[9, 4]\noutput y = x[0:9:2]' '2 steps at a time are taken here'
refuses 4 $'input x[9, 4]\nMaxPooling1D(2, strides=1)' 'what comes 1 step later is read here'
refuses 4 $'input x[9, 4]\nMaxPooling1D(3, strides=1, padding=causal)' \
    'before this window stands padding with another value than zero'
refuses 6 $'input x[9, 4]\nZeroPadding1D([1, 0])\nDense(3)\nZeroPadding1D([1, 0])\nDense(3)\nConv1D(2, 3)' \
    'this pads what was computed from padding'
refuses 5 $'input x[9, 4]\ninput c[4]\noutput y = (x -> ZeroPadding1D([1, 0])) * c -> Conv1D(2, 2)' \
    'padding meets an input that a stream does not know before it begins'
refuses 4 $'input x[9, 4]\noutput y = x @ permute(x, [2, 1])' 'every step is multiplied with every other here'
refuses 4 $'input x[9, 4]\noutput y = permute(x, [2, 1]) @ ones(9, 2)' 'a product sums over all steps here'
refuses 4 $'input x[9, 4]\noutput y = x[3]' 'one step is taken out of the sequence here, not its last'
refuses 4 $'input x[time, 4]\noutput y = x[-3:]' 'steps are counted from the sequence.s end here: a stream has no end'
refuses 4 $'input x[9, 4]\noutput y = x[0:5]' '5 steps are used here where the input has 9'
refuses 4 $'input x[9, 4]\noutput y = (x[0:5] -> RMSNormalization())[-1]' \
    'the last of 5 values is taken where the input has 9 steps'
refuses 4 $'input x[9, 4]\noutput y = concat(x, x, axis=1)' \
    'sequences are joined one after the other here'
refuses 4 $'input x[5, 5]\noutput y = x + permute(x, [2, 1])' 'two sequences meet along different axes here'
refuses 5 $'input x[time, 4]\ny, h, c = x -> LSTM(4, return_sequences=true, return_state=true)\noutput z = y * h' \
    'the last state of a sequence meets each of its steps'
refuses 5 $'input x[time, 4]\nh = x -> LSTM(4)\noutput z = x -> LSTM(4, initial_state=[h, h])' \
    'this loop needs the last state of a sequence that ends with it'
refuses 5 $'input x[time, 4]\ninput h[4]\noutput z = x -> LSTM(4, initial_state=[h, h])' \
    'the state at first comes from the model.s input'
refuses 4 $'input x[S, 4]\ninput y[T, 4]\noutput z = concat(x -> LSTM(2), y -> LSTM(2))' \
    'the inputs x and y have different lengths, S and T'
refuses 3 $'input x[5, 6]\noutput z = concat(x -> LSTM(2), permute(x, [2, 1]) -> LSTM(2))' \
    'two dimensions of the input x are walked through step by step'
refuses 5 $'input x[9, 4]\nh = x -> LSTM(6, return_sequences=true)\noutput z = permute(h, [2, 1]) -> LSTM(2)' \
    'this loop walks along another axis than time, and time is within its values'
refuses 4 $'input x[4]\nDense(3)' \
    'the model m has no axis of time: a stream needs an input such as x\[time, features\]'
refuses 4 $'input x[time, 4]\noutput y = x / float(dim(x, 1))' 'the length of the whole sequence is used here'
refuses 4 $'input x[9, 4]\nPReLU()\nLSTM(2)' 'there is a value of its own for each of 9 steps here'
cell='cell Look(units) { input x; static all[steps, k]; state h[units]; h[t] = h[t-1] + sum(all) * mean(x); output h[t] }'
refuses 4 $'input x[9, 4]\noutput y = (x, x) -> Look(2)' 'every step of this loop reads all steps of a sequence'
