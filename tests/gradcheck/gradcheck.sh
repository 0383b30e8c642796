# The gradients of the prelude's definitions against finite differences in float64.
#   gradcheck.sh TABLE WORD FILE...
# A line of TABLE is `NAME | inputs | expression`: one use of the definition NAME,
# checked by weft gradcheck in a definition of the user's (a loss where WORD is
# loss, whose inputs lie in (0, 1); else a layer). A definition that begins a line
# of a FILE with WORD and has no line in the table fails. $WEFT is the program.
set -u
: "${WEFT:?the program under test}"
table=$1 word=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

wrong() {
    echo "FAILED: $*"
    failed=1
}

for name in $(sed -nE "s/^$word ([A-Za-z]\\w*).*/\\1/p" "$@" | sort -u); do
    grep -qE "^$name \\|.*\\b$name\\b.*" "$table" ||
        wrong "the $word $name has no line in $(basename "$table")"
done

awk -F ' [|] ' -v kind="$([ "$word" = loss ] && echo loss || echo layer)" '
    !/^#/ { printf "%s line_%d_%s {\n    input %s\n    output %s\n}\n\n", kind, NR, $1, $2, $3 }
    END { print "model none {\n    input x[2]\n    Dense(1)\n}" }' "$table" >"$work/table.model"

code=0
"$WEFT" gradcheck "$work/table.model" --json >"$work/out" 2>"$work/err" || code=$?
[ "$code" -eq 0 ] && [ ! -s "$work/err" ] || wrong "exit code $code: $(cat "$work/err")"
grep '"ok": *false' "$work/out"

# Every line was checked, and something depends on something.
for use in $(sed -nE 's/^(layer|loss) (line_\w+) .*/\2/p' "$work/table.model"); do
    grep "\"$use\"" "$work/out" | grep -qvE '"largest": *0(\.0*)?[,}]' ||
        wrong "$use: $(grep -A 3 "$use " "$work/table.model" | sed -n 3p): all gradients are 0"
done
echo "$(grep -c '"event"' "$work/out") tensors of $(grep -c '^l.* line_' "$work/table.model") uses"
exit $failed
