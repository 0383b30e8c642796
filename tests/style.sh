#!/bin/bash
# What holds for every source file: who includes whom, sizes, words, memory.
#   style.sh [BUILD]   with the build's folder, its objects are searched for mutable globals
# Each rule prints the lines that break it. Exceptions stand beside their rule.
cd "$(dirname "$0")/.." || exit 2
failed=0
shopt -s lastpipe # rule, at a pipe's end, sets `failed` here

mapfile -t sources < <(find runtime grammar compiler tests tools \
    -name '*.c' -o -name '*.h' -o -name '*.inc' -o -name '*.l' -o -name '*.y' | sort)
mapfile -t written < <(printf '%s\n' "${sources[@]}"; find runtime grammar compiler tests tools \
    models \( -name '*.def' -o -name '*.sh' -o -name '*.bash' -o -name '*.model' -o -name '*.md' \
    -o -name CMakeLists.txt -o -name '*.py' -o -name '*.graph' \) | sort)
written+=(CMakeLists.txt)
[ -f README.md ] && written+=(README.md)

# rule NAME: prints what stdin holds under the name and counts it as a failure.
rule() {
    local lines
    lines=$(cat)
    [ -z "$lines" ] && return
    printf '%s\n' "$1:" "$lines" | sed '2,$s/^/    /'
    failed=1
}

# ---- folders ----
# A folder includes itself and those above it; runtime nothing of the compiler.

declare -A above=(
    [runtime/base]='base'
    [runtime]='base runtime'
    [grammar]='base grammar'
    [compiler/ir]='base ir'
    [compiler/sema]='base grammar ir sema'
    [compiler/grad]='base ir grad'
    [compiler/opt]='base ir opt'
    [compiler/kernel]='base runtime ir kernel'
    [compiler/emit]='base runtime ir kernel emit'
    [compiler/driver]='base runtime grammar ir sema grad opt kernel emit driver'
)

# The folder of an included name: what stands before its slash, or where the file lies.
folder_of() {
    case $1 in
        */*) echo "${1%%/*}" ;;
        parser.h) echo grammar ;; # made by bison
        *) if [ -f "$2/$1" ]; then [ "$2" = runtime/base ] && echo base || echo "${2##*/}"
           elif [ -f "runtime/$1" ]; then echo runtime
           elif [ -f "grammar/$1" ]; then echo grammar
           else echo "?"; fi ;;
    esac
}

check_includes() {
    local folder file name of
    for folder in "${!above[@]}"; do
        for file in "$folder"/*.[chly] "$folder"/*.inc; do
            [ -f "$file" ] || continue
            while read -r name; do
                of=$(folder_of "$name" "$folder")
                [[ " ${above[$folder]} " == *" $of "* ]] || echo "$file includes $name"
            done < <(sed -nE 's/^ *# *include "([^"]+)".*/\1/p' "$file")
        done
    done
}
check_includes | rule "folders that must not be included"

grep -lE '# *include <llvm' "${sources[@]}" | grep -v '^compiler/emit/' |
    rule "llvm is included by compiler/emit alone"

# ---- form ----

for f in "${sources[@]}"; do
    [ "$(wc -l < "$f")" -le 650 ] || echo "$f: $(wc -l < "$f") lines"
done | rule "files of more than 650 lines"

# Tables (.def) are read as tables: a row is a line.
awk 'length > 100 { print FILENAME ":" FNR ": " length " characters" }' \
    CMakeLists.txt tests/CMakeLists.txt "${sources[@]}" |
    rule "lines of more than 100 characters"

grep -nP '\t' "${sources[@]}" | rule "tabs"
grep -nP ' +$' "${sources[@]}" | rule "spaces at a line's end"
grep -nE '\b(TODO|FIXME|XXX)\b' "${written[@]}" | grep -v '^tests/style.sh:' |
    rule "things left to do"
for f in "${sources[@]}"; do
    head -c 2 "$f" | grep -qE '/[*/]' || echo "$f"
done | grep -v '\.[ly]$' | rule "files without a head comment"

# Paths of one machine: perf looks for its map in /tmp, tests make temporary files there.
grep -nE '"/(work|tmp|home|root)/|[ (]/(work|home|root)/' "${written[@]}" |
    grep -vE '^compiler/emit/debug.c:|^tests/' | rule "paths of this machine"

# ---- memory ----
# Memory is an arena's. Exceptions: runtime owns what outlives arenas; driver, emit and
# kernel give back what a library allocated.

grep -nE '\b(m|c|re)alloc\(' $(printf '%s\n' "${sources[@]}" | grep -E '^(compiler|grammar)/') |
    rule "memory that is no arena's"
grep -nE '\bfree\(' $(printf '%s\n' "${sources[@]}" | grep -E '^(compiler|grammar)/') |
    grep -vE '^compiler/(driver/(answer|job)|emit/compile|kernel/text)\.c:' | rule "free"

# No mutable globals. Exceptions: the flag that a signal handler sets.
if [ -n "$1" ]; then
    objdump -t "$1"/libweft_*.a 2>/dev/null |
        awk '/file format/ { f = $1 }
             / O (\.t?data(\.rel(\.local)?)?|\.t?bss|\*COM\*)\t/ { print f, $NF }' |
        grep -vE '^system\.c\.o: +stop_signal|__gcov|__odr|__asan|__llvm' |
        rule "mutable globals"
fi

exit $failed
