# What the compiler makes of a model, counted.
#   structure.sh MODEL            $WEFT is the program
# The model's lines `# EXPECT WHAT RELATION NUMBER` state it for its training step:
#   forward.NODE, backward.NODE   nodes of an operation in the bodies of the loops
#                                 over time, after the last pass over the graph
#   deferred                      products over batch and time, behind the loops
#   kernels, forward.kernels, backward.kernels    loop nests, and those in the loops
#   forward.turns, backward.turns carries of the loops that have room for two steps' values
#   phases                        what barriers separate
#   shard.elements                of the largest partial sum that every shard of the batch has
# and `# EXPECT kernels as FILE` that there are as many as in another model.
set -u
: "${WEFT:?the program under test}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# count MODEL: lines `WHAT NUMBER` into $work/MODEL.counts, once
count() {
    counts=$work/$(basename "$1").counts
    [ ! -e "$counts" ] || return
    "$WEFT" train "$1" --stop-after=defer --run-dir "$work/none" >"$work/graph" 2>&1 &&
        "$WEFT" train "$1" --emit-dump=kernel --quiet --run-dir "$work/run" >"$work/kernel" 2>&1 ||
        { cat "$work/graph" "$work/kernel"; exit 1; }
    rm -rf "$work/run"
    awk '/ = scan / { part = /reverse=1/ ? "backward" : "forward"; next }
         /^  }$/ { part = "" }
         part && $2 == "=" { n[part "." $3]++ }
         !part && $3 == "batch_contract" && /spec="nt/ { n["deferred"]++ }
         END { for (k in n) print k, n[k] }' "$work/graph" >"$counts"
    awk '/^phase / { empty = 1; next }
         empty { phases += !/^}/; empty = 0 }
         /^ *loop / { part = / reverse / ? "backward" : "forward"; match($0, /^ */); depth = RLENGTH }
         /^ *}$/ { match($0, /^ */); if (RLENGTH == depth) part = "" }
         /^ *nest / { n["kernels"]++; if (part) n[part ".kernels"]++ }
         part && /^ *store .*[.]next$/ { n[part ".turns"]++ }
         $2 == "shard" { size = 1; gsub(/[][,]/, "")
                         for (i = 4; i < NF; i++) size *= $i
                         if (size > n["shard.elements"]) n["shard.elements"] = size }
         END { print "phases", phases; for (k in n) print k, n[k] }' "$work/kernel" >>"$counts"
}

value() { awk -v k="$1" '$1 == k { v = $2 } END { print v + 0 }' "$counts"; }

expect() { # WHAT FOUND RELATION NUMBER
    awk -v a="$2" -v r="$3" -v b="$4" \
        'BEGIN { exit !(r == "=" ? a == b : r == "<=" ? a <= b : r == ">=" ? a >= b : 0) }' && return
    echo "FAILED: $1 is $2, expected $3 $4"
    failed=1
}

count "$1"
while read -r _ _ what relation number; do
    if [ "$relation" = as ]; then
        mine=$(value "$what")
        count "$(dirname "$1")/$number"
        expect "$what" "$mine" = "$(value "$what")"
        count "$1"
    else
        expect "$what" "$(value "$what")" "$relation" "$number"
    fi
done < <(grep '^# EXPECT ' "$1")
grep -q '^# EXPECT ' "$1" || { echo "FAILED: $1 expects nothing"; failed=1; }
[ $failed = 0 ] || { sort "$counts"; cat "$work/kernel"; }
exit $failed
