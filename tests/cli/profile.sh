source "$(dirname "$0")/lib.bash"
tiny_model

# The table: every column, every thread, what stands below it.
weft 0 profile tiny.model --threads 2
out_has '^model tiny, batch 32, 2 threads'
out_has '^kernel +ms +share +calls +GFLOP/s +% peak +GB/s +bound by +where, what'
out_has 'tiny.model:8  lstm: .*contract'
out_has 'tiny.model:9  dense: .*contract'
out_has '^waiting at barriers'
out_has '^[0-9]+ barriers a step; [0-9]+ stamps of [0-9]+ ns'
out_has '^thread 1: [0-9.]+ ms in kernels, waits [0-9.]+ ms'
nothing_on_stderr

# One object a line; each kernel has one, each is called; their times, the waits and what is
# between them add up to the step, and what is between is what the stamps cost, about.
weft 0 profile tiny.model --threads 1 --json
if command -v python3 >/dev/null; then python3 - <<'END' || fail "the objects do not add up"
import json
lines = [json.loads(l) for l in open("out")]
step = [l for l in lines if l["event"] == "step"]
kernels = [l for l in lines if l["event"] == "kernel"]
threads = [l for l in lines if l["event"] == "thread"]
assert len(step) == 1 and len(threads) == 1 and len(step) + len(kernels) + 1 == len(lines)
step, thread = step[0], threads[0]
assert step["kernels"] == len(kernels) == len({k["name"] for k in kernels})
assert all(k["calls"] > 0 and k["ms"] >= 0 and k["bound"] and k["what"] for k in kernels)
assert any(k["file"] == "tiny.model" and k["line"] == 8 for k in kernels)
total = sum(k["ms"] for k in kernels)
assert abs(total - thread["busy_ms"]) < 1e-6 * step["ms"]
rest = step["ms"] - total - thread["wait_ms"]
assert 0 <= rest and abs(rest - thread["between_ms"]) < 1e-6 * step["ms"]
# the loops between calls cost less than a stamp; a start of a step some microseconds
assert rest <= 3e-6 * step["stamps"] * step["stamp_ns"] + 0.05, (rest, step)
assert sum(k["calls"] for k in kernels) + step["barriers"] == step["stamps"]
END
fi
[ "$(json thread thread)" = 0 ] || fail "no line for thread 0"

# The picture: a row a thread, well-formed.
weft 0 profile tiny.model --threads 2 --svg step.svg
exists step.svg
for want in '^<svg ' 'thread 1</text>' 'tiny.model:8' 'waiting for other threads' '^</svg>'; do
    grep -q -- "$want" step.svg || fail "step.svg has no $want"
done
if command -v xmllint >/dev/null; then
    xmllint --noout step.svg || fail "step.svg is not well-formed"
fi
weft 1 profile tiny.model --svg nowhere/step.svg
err_has 'nowhere/step.svg'

# float64; more threads than shards
weft 0 profile tiny.model --dtype float64 --threads 3 --batch-size 100
out_has '^model tiny, batch 100, 3 threads'

sed '/^train/,$d' tiny.model >plain.model
weft 1 profile plain.model
err_has 'plain.model has no train block: there is no step to profile'
weft 1 profile
err_has 'weft profile takes one FILE.model, found 0 arguments'
nan_model
weft 1 profile nan.model
err_has "the first batch's loss is not finite: there is no whole step to profile"
