# tools/picture/plot: what tools/bench prints as lines becomes one of three pictures.
source "$(dirname "$0")/lib.bash"
plot=$WEFT_MODELS/../tools/picture/plot
command -v python3 >/dev/null || { echo "SKIPPED: no python3"; exit 0; }
code=0 last_command=plot
: >out
well_formed() {
    python3 -c "import sys, xml.dom.minidom as m; m.parse(sys.argv[1])" "$1" || fail "$1 is no XML"
}

cat >shares <<'END'
{"model": "lstm", "what": "step", "threads": 1, "batch": 128, "gflop": 0.3, "ms": 3.2, "percent": 78.2}
{"model": "lstm", "what": "step", "threads": 2, "batch": 128, "gflop": 0.3, "ms": 1.6, "percent": 76.6}
{"model": "a<b", "what": "inference", "threads": 1, "batch": 1, "gflop": 0.3, "ms": 3.2, "percent": 40}
END
python3 "$plot" shares.svg <shares 2>err || fail "plot fails"
well_formed shares.svg
for want in 'lstm batch 128<' 'a&lt;b batch 1 inference<' '>78 %<' '>1 thread<' '>2 threads<'; do
    grep -q "$want" shares.svg || fail "shares.svg has no $want"
done

cat >scaling <<'END'
{"scaling": "batch", "size": 128, "ratio": 1.000, "ms": 3.2, "percent": 78.2}
{"scaling": "batch", "size": 1, "ratio": 1.972, "ms": 0.05, "percent": 40.2}
{"scaling": "units", "size": 50, "ratio": 1.000, "ms": 3.2, "percent": 78.2}
{"scaling": "units", "size": 1024, "ratio": 0.9, "ms": 500, "percent": 88}
END
python3 "$plot" scaling.svg <scaling 2>err || fail "plot fails"
well_formed scaling.svg
[ "$(grep -c '<circle' scaling.svg)" = 4 ] || fail "there are not four dots"
grep -q '>1: 1.97<' scaling.svg || fail "the size beyond the limit is not named"

cat >peers <<'END'
{"agreement": "torch", "model": "lstm", "steps": 4, "worst": 1e-7}
{"model": "lstm", "what": "step", "batch": 128, "threads": 1, "ms": {"weft": 3, "torch": 9.6}, "ratio": 3.2}
{"model": "cell", "what": "step", "batch": 128, "threads": 1, "ms": {"weft": 3}, "ratio": null}
END
python3 "$plot" peers.svg <peers 2>err || fail "plot fails"
well_formed peers.svg
grep -q '>3.2<' peers.svg || fail "no ratio"
grep -q 'cell batch 128, 1 thr.<' peers.svg || fail "a row without peers is missing"

code=0
python3 "$plot" none.svg </dev/null 2>err || code=$?
[ "$code" = 1 ] || fail "no lines make a picture"
err_has 'stdin has no line of tools/bench --json'
