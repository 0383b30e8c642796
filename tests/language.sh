# Every `model` fence of the language page and of README.md is a file that
# `weft check` accepts, or that fails with the text after `error:` in its info
# string; what parses is in the style of `weft fmt`, as are the models and the
# prelude. A fence that is a cell alone is checked in a model of one layer.
#   language.sh SOURCE_FOLDER            $WEFT is the program
set -u
: "${WEFT:?the program under test}"
source=${1:?the source folder}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

wrong() {
    echo "FAILED: $*"
    failed=1
}

# extract FILE PREFIX: PREFIX-LINE.model for each fence, .error with the text of its info string.
extract() {
    awk -v prefix="$2" '
        /^```model/ && !inside {
            inside = 1
            file = prefix "-" NR ".model"
            printf "" >file
            if (sub(/^```model error: */, ""))
                print >(prefix "-" NR ".error")
            next
        }
        /^```$/ && inside { inside = 0; close(file); next }
        inside { print >file }' "$1"
}

# check FENCE: accepted, or refused with the text that its info string names.
check() {
    local code=0 error=${1%.model}.error cell
    cp "$1" "$work/file"
    cell=$(sed -nE 's/^cell (\w+)\(.*/\1/p' "$1")
    if [ -n "$cell" ] && ! grep -qE '^(model|train)' "$1"; then
        printf '\nmodel alone {\n    input x[28, 28]\n    %s(5)\n}\n' "$cell" >>"$work/file"
    fi
    "$WEFT" check "$work/file" >"$work/out" 2>"$work/err" || code=$?
    if [ -e "$error" ]; then
        [ "$code" -eq 1 ] || wrong "$(basename "$1"): exit code $code, an error was expected"
        grep -qF -- "error: $(cat "$error")" "$work/err" ||
            wrong "$(basename "$1"): not the message '$(cat "$error")' but: $(cat "$work/err")"
    else
        [ "$code" -eq 0 ] || wrong "$(basename "$1"): $(cat "$work/err")"
    fi
}

style() {
    local code=0
    "$WEFT" fmt --check "$1" >"$work/out" 2>"$work/err" || code=$?
    # What does not parse has no style.
    [ "$code" -eq 0 ] || { [ -e "${1%.model}.error" ] && [ -s "$work/err" ]; } ||
        wrong "weft fmt --check $(basename "$1"): $(cat "$work/out" "$work/err")"
}

extract "$source/grammar/language.md" "$work/language"
extract "$source/README.md" "$work/readme"
for page in language readme; do
    n=$(find "$work" -name "$page-*.model" | wc -l)
    [ "$n" -gt 0 ] || wrong "no fences found for $page"
    echo "$page: $n fences"
done
for file in "$work"/*.model; do
    check "$file"
    style "$file"
done
for file in "$source"/models/*.model "$source"/compiler/prelude/*.model; do
    style "$file"
done
exit $failed
