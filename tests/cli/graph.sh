source "$(dirname "$0")/lib.bash"
tiny_model
weft 0 graph tiny.model
out_has 'scan'
weft 0 graph tiny.model --backward
out_has 'batch_contract'
weft 0 graph tiny.model --dot
out_has '^digraph'
weft 0 graph tiny.model --backward --dot --out g.dot
exists g.dot
weft 0 graph tiny.model --backward --stop-after=grad
out_has '^# after grad'
weft 0 graph tiny.model --backward --dump-after=simplify.2 --time-passes
err_has '^# after simplify.2'
err_has '^total'
weft 0 graph tiny.model --backward --disable=concat,defer
weft 0 graph tiny.model --backward --check-bits
if command -v dot >/dev/null; then
    weft 0 graph tiny.model --svg --out g.svg
    grep -q '<svg' g.svg || fail "g.svg is no SVG"
else
    weft 1 graph tiny.model --svg
    err_has 'graphviz'
fi
