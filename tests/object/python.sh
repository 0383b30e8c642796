# --python: a class beside a shared library. It trains to the weights of weft train and predicts
# what weft predict does, to the bit; mistakes are exceptions.
source "$(dirname "$0")/lib.bash"
python=
for p in python3 /usr/bin/python3; do
    "$p" -c 'import numpy' 2>/dev/null && python=$p && break
done
[ -n "$python" ] || { echo "no python3 with numpy here"; exit 77; }
export PYTHONDONTWRITEBYTECODE=1
idx_net 4
weft 0 train net.model --quiet --run-dir run
weft 0 train net.model --quiet --epochs 2 --run-dir half
weft 0 predict net.model --weights run/last.safetensors x.idx --quiet --no-cache --out y.npy
weft 0 pack net.model --weights run/last.safetensors -o packed
mkdir trained
weft 0 compile net.model --train --shared --python -o trained/libnet.so
exists trained/net.py
exists trained/libnet.h
cat >use.py <<'END'
import json, struct, sys
import numpy as np
sys.path.insert(0, "trained")
from net import Net, Error

def refused(kind, message, function, *arguments, **named):
    try:
        function(*arguments, **named)
    except kind as error:
        assert message in str(error), str(error)
    else:
        raise AssertionError("not refused: " + message)

x = np.fromfile("x.idx", np.uint8)[16:].reshape(-1, 28, 28)
y = np.fromfile("y.idx", np.uint8)[8:]
net = Net(seed=7)
before = net.loss(x, y)
for epoch in range(4):
    for i in range(0, len(x), net.batch):
        net.train_step(x[i:i + net.batch], y[i:i + net.batch].tolist())
    figures = net.figures()
assert set(figures) == {"loss", "accuracy"} and figures["loss"] < before["loss"], figures
raw = open("run/last.safetensors", "rb").read()
size, = struct.unpack("<Q", raw[:8])
head = json.loads(raw[8:8 + size])
assert set(net.parameters) <= set(head) and len(net.parameters) == 5, head.keys()
for name, values in net.parameters.items():
    start, end = head[name]["data_offsets"]
    assert list(values.shape) == head[name]["shape"]
    assert values.tobytes() == raw[8 + size + start:8 + size + end], name

image = net.prepare("image", x)
answer = net.predict(image)
assert answer.shape == (230, 10) and answer.tobytes() == np.load("y.npy").tobytes()
assert net.predict(image[:0]).shape == (0, 10)
assert net.info["classes"][3] == "3" and net.info["model"] == "net"

refused(ValueError, "image: shape (n, 28, 28) is expected, found (230, 28)", net.predict, x[:, 0])
refused(ValueError, "label: shape (50) is expected, found (7,)", net.train_step, x[:50], y[:7])
refused(ValueError, "label: some values are no uint8", net.train_step, x[:2], [3, 256])
refused(ValueError, "label: some values are no uint8", net.train_step, x[:2], [3, 2.5])
refused(TypeError, "image: numbers are expected", net.predict, ["a"])
refused(TypeError, "train_step takes image, label", net.train_step, x[:2])
refused(Error, "train_step: n or a length is out of range", net.train_step, x[:51], y[:51])
refused(AttributeError, "without transforms for picture", net.prepare, "picture", x)
refused(AttributeError, "without a self test", net.self_test)
kept = net.parameters["dense/bias"].copy()
net.train_step(x[:50], y[:50], learning_rate=0)
assert (net.parameters["dense/bias"] == kept).all()
net.parameters["dense/bias"][:] = np.nan
refused(Error, "the loss is infinite or not a number", net.train_step, x[:50], y[:50])
net.parameters["dense/bias"][:] = kept
assert net.predict(image).tobytes() == answer.tobytes()
other = Net(seed=8)
other.load("packed")
assert other.predict(image).tobytes() == answer.tobytes()
other.save("saved")
assert open("saved", "rb").read() == open("packed", "rb").read()
open("packed", "ab").write(b"!")
refused(Error, "load: a file that is cut off, or longer than it should be", other.load, "packed")
assert net.steps == 21 and net.epoch == 0 and net.seed == 7

# Files: weft's continue here, to the bit; ours are read by weft, and by another Net.
def weights():
    return b"".join(v.tobytes() for v in net.parameters.values())
final = weights()
net.load("half/last.safetensors")
assert net.steps == 10 and weights() != final
for epoch in range(2, 4):
    net.epoch = epoch
    for i in range(0, len(x), net.batch):
        net.train_step(x[i:i + net.batch], y[i:i + net.batch])
assert all(net.parameters[name].tobytes() ==
           raw[8 + size + at["data_offsets"][0]:8 + size + at["data_offsets"][1]]
           for name, at in head.items() if name in net.parameters)
net.save("own.safetensors")
other = Net()
other.load("own.safetensors")
assert other.steps == 20 and other.epoch == 3 and other.seed == 7
for n in (net, other):
    n.train_step(x[:50], y[:50])
assert weights() == b"".join(v.tobytes() for v in other.parameters.values())
other.load("run/best.safetensors")
kept = weights()
for change, message in ((lambda h: h.pop("dense/bias"), "there is no dense/bias"),
                        (lambda h: h.update(extra=h["dense/bias"]), "the model has no extra"),
                        (lambda h: h["dense/bias"].update(shape=[2, 5]),
                         "dense/bias has the shape (2, 5), expected (10,)"),
                        (lambda h: h["dense/bias"].update(dtype="Q9"), "no safetensors file")):
    changed = json.loads(raw[8:8 + size])
    change(changed)
    text = json.dumps(changed).encode()
    open("bad.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + raw[8 + size:])
    refused(ValueError, "bad.safetensors: ", net.load, "bad.safetensors")
    refused(ValueError, message, net.load, "bad.safetensors")
assert weights() == kept
refused(AttributeError, "without --stream", net.step, x[0])
refused(AttributeError, "without --stream", net.stream)
assert Net(seed=8).parameters["dense/kernel"].tobytes() != Net().parameters["dense/kernel"].tobytes()
END
"$python" use.py >out 2>err || fail "a class that trains"
same_bits own.safetensors run/last.safetensors
weft 0 predict net.model --weights own.safetensors x.idx --quiet --no-cache --out y2.npy
cmp -s y.npy y2.npy || fail "saved weights give other answers"

# Embedded weights, a run-time length and an output that goes with it.
cat >own.model <<'END'
model own { input x[time, 2]; Conv1D(3, 3); LSTM(4, return_sequences=true) }
data d = generate(64) { x = normal(0, 1, [9, 2]); y = normal(0, 1, [7, 4]) }
train { data = d; target = y; loss = mse; epochs = 1 }
END
weft 0 train own.model --quiet --run-dir own
weft 0 compile own --time 12 --batch 8 --shared --python -o ./libown.so
exists own.py
mv own run2 # a folder would be found before own.py
cat >use.py <<'END'
import numpy as np
from own import Net, Error
net = Net()
net.self_test()
assert net.predict(np.ones((3, 5, 2))).shape == (3, 3, 4)
x = np.arange(180, dtype=np.float32).reshape(10, 9, 2) / 90
np.save("x.npy", x)
y = net.predict(x)
assert y.shape == (10, 7, 4) and net.parameters == {}
for rows in range(1, 9): # small batches have code of their own
    assert net.predict(x[:rows, :5]).tobytes() == b"".join(
        net.predict(x[i:i + 1, :5]).tobytes() for i in range(rows)), rows
y.tofile("y.bin")
try:
    net.predict(np.zeros((1, 13, 2)))
except Error as error:
    assert error.status == 3
else:
    raise AssertionError("13 steps of at most 12")
try:
    net.train_step(x)
except AttributeError as error:
    assert "without --train" in str(error)
else:
    raise AssertionError("it trains")
END
"$python" use.py >out 2>err || fail "a class with a run-time length"
weft 0 predict run2 x.npy --quiet --no-cache --out y.npy
tail -c "$(wc -c <y.bin)" y.npy | cmp -s - y.bin || fail "other bits than weft predict"

# Streams: steps, blocks and copies give the bits of whole sequences.
cat >flow.model <<'END'
model flow { input x[time, 2]; GRU(5, return_sequences=true); Conv1D(3, 3, padding=causal); LSTM(4) }
data d = generate(64) { x = normal(0, 1, [9, 2]); y = normal(0, 1, [4]) }
train { data = d; target = y; loss = mse; epochs = 1 }
END
weft 0 train flow.model --quiet --run-dir flowing
mkdir streams
weft 0 compile flowing --stream --time 20 --shared --python -o streams/libembedded.so
mv streams/flow.py streams/embedded.py
weft 0 compile flowing --stream --train --time 20 --shared --python -o streams/libflow.so
weft 0 compile flowing --stream --no-embed --shared --python -o streams/libalone.so
mv streams/flow.py streams/alone.py
weft 0 compile flowing --stream --train --time 20 --shared --python -o streams/libflow.so
cat >use.py <<'END'
import sys
import numpy as np
sys.path.insert(0, "streams")
import alone, embedded, flow
x = np.random.default_rng(1).normal(size=(17, 2)).astype(np.float32)
want = [embedded.Net().predict(x[None, :i + 1])[0].tobytes() for i in range(17)]
nets = [embedded.Net(), flow.Net(), alone.Net()]
nets[2].load("flowing/best.safetensors")
for net in nets:
    assert [net.step(row).tobytes() for row in x] == want
    net.reset()
    first, second = net.run(x[:9]), net.stream()
    assert first.shape == (9, 4) and [row.tobytes() for row in first] == want[:9]
    assert net.run(x[:0]).shape == (0, 4) and second.step(x[0]).tobytes() == want[0]
    fork = net._stream.copy()
    assert [row.tobytes() for row in net.run(x[9:])] == want[9:]
    assert [fork.step(row).tobytes() for row in x[9:]] == want[9:]
    for given in (x, x[None, 0], x[0, :1]):
        try:
            net.step(given)
        except ValueError as error:
            assert "x: shape (2) is expected" in str(error), str(error)
        else:
            raise AssertionError("not refused")
nets[1].train_step(np.zeros((3, 9, 2)), np.ones((3, 4)))
nets[1].reset()
assert nets[1].step(x[0]).tobytes() != want[0]
for what in (lambda: nets[2].predict(x[None]), lambda: nets[0].save("x"), lambda: nets[0].load("x")):
    try:
        what()
    except AttributeError as error:
        assert "--time" in str(error) or "without --no-embed" in str(error)
    else:
        raise AssertionError("not refused")
END
"$python" use.py >out 2>err || fail "a class with streams"

# Versions: the class chooses, or is told.
mkdir several
weft 0 compile net.model --train --multiversion --shared --python -o several/libnet.so
cat >use.py <<'END'
import sys
import numpy as np
sys.path.insert(0, "several")
from net import Net, Error
x = np.fromfile("x.idx", np.uint8)[16:].reshape(-1, 28, 28)
y = np.fromfile("y.idx", np.uint8)[8:]
best = Net(seed=7)
print(best.version)
for version in ("sse2", "avx2", "avx512"):
    try:
        net = Net(seed=7, version=version)
    except Error as error:
        assert "out of range" in str(error), str(error)
        continue
    assert net.version == version
    net.load("packed" if version == "sse2" else "first")
    net.train_step(x[:50], y[:50])
    if version == "sse2":
        net.save("first")
        sse2 = net.predict(net.prepare("image", x))
    else:
        net.load("first")
        assert np.abs(net.predict(net.prepare("image", x)) - sse2).max() < 1e-5
try:
    Net(version="avx3")
except ValueError as error:
    assert "one of ['sse2', 'avx2', 'avx512'] is expected, found 'avx3'" in str(error)
else:
    raise AssertionError("another version")
sys.path.insert(0, "trained")
del sys.modules["net"]
from net import Net
try:
    Net(version="sse2")
except AttributeError as error:
    assert "without --multiversion" in str(error)
else:
    raise AssertionError("a version where there is one")
END
weft 0 pack net.model --weights run/last.safetensors -o packed
[ "$(uname -m)" != x86_64 ] || "$python" use.py >out 2>err || fail "a class with versions"

weft 1 compile run2 --python -o x.o
err_has '--python goes with --shared'
weft 1 compile run2 --time 12 --shared --python -o ./own.so
err_has "--python: Python would import own.so in place of own.py: call it libown.so"
lacks own.so
weft 0 compile run2 --time 12 --shared --python
exists libown.so
"$python" -c 'import own; own.Net().self_test()' || fail "a library under its own name"
mkdir -p taken/own.py
weft 1 compile run2 --time 12 --python --shared -o taken/libown.so
err_has "cannot write 'taken/own.py'"
lacks taken/libown.so
lacks taken/libown.h
