#!/usr/bin/env python3
"""Whether Weft and another framework do the same work: their losses from the same start.

    agree.py torch|tensorflow|jax|onnxruntime|onednn MODEL WEFT [ONEDNN]

Both take STEPS steps of Adam on one batch from the weights that Weft drew; each step's loss
is compared. Of what does not train or has no loss of its own (ONNX Runtime; oneDNN's LSTM, by
the driver ONEDNN, with the rest of the model in numpy) the first step's. Prints the largest
difference relative to Weft's loss as JSON, fails above MOST. What
PyTorch does otherwise is taken back here, not where time is taken: its second bias of an LSTM
or SimpleRNN, which the equations do not have, stays zero, and Adam's epsilon is placed as
Keras has it. Runs in the peer's environment (numpy).
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import peers

STEPS = 4
MOST = 1e-3
MODELS = pathlib.Path(__file__).resolve().parents[2] / "models" / "bench"
BATCH = {"stacked": 8, "characters": 8, "convlstm": 4}


def safetensors(path):
    """The parameters of a run, in the model's order."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    arrays = []
    for name, entry in json.loads(data[8:8 + size]).items():
        if name != "__metadata__" and not name.startswith("optimizer/"):
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            arrays.append(np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
                          .copy())
    return arrays


def weft(command, name, x, y, folder):
    """Initial weights and the loss of each step."""
    text = (MODELS / f"{name}.model").read_text()
    block = re.compile(r"^(data \w+ = )generate.*?^}\n", re.M | re.S)
    fields = re.findall(r"^    (\w+) +=", block.search(text)[0], re.M)
    target = y if y.ndim > 1 else np.eye(10, dtype="float32")[y]
    np.savez(folder / "batch.npz", **dict(zip(fields, (x, target))))
    (folder / "same.model").write_text(block.sub(r'\1npz("batch.npz")\n', text))

    def train(run, *more):
        done = subprocess.run([command, "train", folder / "same.model", "--json", "--run-dir",
                               folder / run, "--batch-size", str(len(x)), *more],
                              check=True, capture_output=True, text=True)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return [event["loss"] for event in events if event["event"] == "epoch"]
    train("start", "--epochs", "1", "--learning-rate", "1e-30")  # weights stay
    return (safetensors(folder / "start" / "last.safetensors"),
            train("run", "--epochs", str(STEPS)))


# ---- torch ----

def gates(array, order):
    """Blocks of the last axis in another order."""
    blocks = np.split(array, len(order), -1)
    return np.concatenate([blocks[i] for i in order], -1)


def torch_weights(name, model, arrays):
    """Weft's arrays in the order and layout of model.parameters()."""
    if name == "cell":
        W, U, gain, b, p, kernel, bias = arrays
        return [gain, b, p, kernel.T, bias, W.T, U.T]
    if name == "cnn":
        convs = [a.transpose(3, 2, 0, 1) if a.ndim == 4 else a for a in arrays[:4]]
        flat = arrays[4].reshape(12, 12, 64, 128).transpose(2, 0, 1, 3).reshape(9216, 128)
        return convs + [a.T for a in (flat, *arrays[5:])]
    if name == "mlp":
        return [a.T for a in arrays]
    first = 1 if name == "characters" else 0
    *recurrent, kernel, bias = arrays[first:]
    out = []
    for i in range(0, len(recurrent), 3):
        kernel_x, kernel_h, b = recurrent[i:i + 3]
        if name == "gru":
            kernel_x, kernel_h, b = (gates(a, (1, 0, 2)) for a in (kernel_x, kernel_h, b))
        b = b if b.ndim == 2 else np.stack((b, np.zeros_like(b)))
        out += [kernel_x.T, kernel_h.T, b[0], b[1]]
    head = [kernel.T, bias]
    return [arrays[0], *head, *out] if first else out + head


def torch_losses(name, x, y, arrays):
    import torch
    model = peers.torch_model(name)
    if model is None:
        return None
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for value, (key, p) in zip(torch_weights(name, model, arrays), parameters.items(),
                                   strict=True):
            p.copy_(torch.from_numpy(np.ascontiguousarray(value)))
            p.requires_grad_(name == "gru" or "bias_hh" not in key)
    x, y = torch.from_numpy(x), torch.from_numpy(y).flatten()
    x = x.permute(0, 3, 1, 2) if name == "cnn" else x
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7)
    losses = []
    for step in range(1, STEPS + 1):  # Keras adds epsilon before the correction of v
        optimizer.param_groups[0]["eps"] = 1e-7 / (1 - 0.999 ** step) ** 0.5
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# ---- Keras ----

def keras_losses(name, x, y, arrays):
    model = peers.keras_model(name)
    if model is None:
        return None
    model.build(x.shape)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.set_weights(arrays)
    return [float(model.train_on_batch(x, y)) for _ in range(STEPS)]


# ---- of forward passes alone ----

def cross_entropy(probabilities, y):
    rows = probabilities.reshape(-1, probabilities.shape[-1])
    return [float(-np.log(rows[np.arange(len(rows)), y.flatten()]).mean(dtype="float64"))]


def onnx_losses(name, x, y, arrays):
    if peers.onnx_layers(name) is None:
        return None
    session = peers.onnx_session(name, arrays, x.shape, 1)
    return cross_entropy(session.run(None, {"x": x})[0], y)


def softmax_losses(z, y):
    e = np.exp(z - z.max(-1, keepdims=True))
    return cross_entropy(e / e.sum(-1, keepdims=True), y)


def run_onednn(driver, sizes, arrays):
    done = subprocess.run([driver, "--output", *map(str, sizes)], check=True, capture_output=True,
                          input=b"".join(np.ascontiguousarray(a).tobytes() for a in arrays))
    return np.frombuffer(done.stdout, "float32")


def onednn_losses(driver, name, x, y, arrays):
    first = 1 if name == "characters" else 0
    if name not in ("lstm", "stacked", "characters", "mlp"):
        return None
    if name == "mlp":
        z = run_onednn(driver, [len(x), 0, x.shape[1], *(a.shape[1] for a in arrays[::2])],
                       [x, *arrays]).reshape(len(x), -1)
        return softmax_losses(z, y)
    *recurrent, kernel, bias = arrays[first:]
    x = arrays[0][x] if first else x
    sizes = [*x.shape, *(a.shape[0] for a in recurrent[1::3])]
    parts = [x.transpose(1, 0, 2), *recurrent]
    h = run_onednn(driver, sizes, parts).reshape(x.shape[1], x.shape[0], -1)
    z = (h.transpose(1, 0, 2) if first else h[-1]) @ kernel + bias
    return softmax_losses(z, y)


def main(argv):
    peer, name, command, *driver = argv[1:]
    x, y = peers.inputs(name, BATCH.get(name, 128))
    with tempfile.TemporaryDirectory() as folder:
        arrays, ours = weft(command, name, x, y, pathlib.Path(folder))
    if peer == "onednn":
        theirs = onednn_losses(driver[0], name, x, y, arrays)
    elif peer == "onnxruntime":
        theirs = onnx_losses(name, x, y, arrays)
    elif peer.startswith("torch"):
        theirs = torch_losses(name, x, y, arrays)
    else:
        os.environ["KERAS_BACKEND"] = peer
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        theirs = keras_losses(name, x, y, arrays)
    if theirs is None:
        print(json.dumps({"agreement": peer, "model": name, "worst": None}))
        return 0
    worst = max(abs(a - b) / abs(a) for a, b in zip(ours, theirs))
    print(json.dumps({"agreement": peer, "model": name, "steps": len(theirs), "worst": worst}))
    return worst > MOST


if __name__ == "__main__":
    sys.exit(main(sys.argv))
