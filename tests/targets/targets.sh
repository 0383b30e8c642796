# Every definition of the prelude, forward and gradient, on another processor.
#   targets.sh TARGET [size]     $TARGETS is the program
# The uses are those of tests/gradcheck/*.table.
set -u
: "${TARGETS:?the program that compiles and compares}"
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for table in "$here"/../gradcheck/*.table; do
    name=$(basename "$table" .table)
    awk -F ' [|] ' -v name="$name" -v kind="$([ "$name" = losses ] && echo loss || echo layer)" '
        !/^#/ { printf "%s %s_%d_%s {\n    input %s\n    output %s\n}\n\n", kind, name, NR, $1, $2, $3 }
        ' "$table"
done >"$work/all.model"
printf 'model none {\n    input x[2]\n    Dense(1)\n}\n' >>"$work/all.model"
"$TARGETS" "$1" "$work" "$here" "$work/all.model" "${@:2}"
