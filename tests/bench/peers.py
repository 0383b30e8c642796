#!/usr/bin/env python3
"""Times a training step, or inference, of the benchmark's models in another framework.

    peers.py torch|torch-compile|tensorflow|jax|onnxruntime THREADS MODEL [--batch N] [--inference]

One line of JSON: the median milliseconds of a step (forward, loss, backward, Adam), or of the
forward pass alone, over the same shapes as models/bench/MODEL.model, float32. tools/bench
--peers runs it in turn with Weft.
"""
import argparse
import json
import os
import statistics
import time

ROUNDS, LEAST = 15, 0.3  # of fast ones as many as take so many seconds
BATCH = {"stacked": 64, "characters": 50, "convlstm": 8}


def inputs(model, batch):
    """x and the classes y of a batch, random: numpy arrays."""
    import numpy as np
    rng = np.random.default_rng(1)
    if model == "characters":
        return rng.integers(0, 65, (batch, 100)), rng.integers(0, 65, (batch, 100))
    shape = {"mlp": (784,), "cnn": (28, 28, 1), "stacked": (64, 128),
             "convlstm": (10, 32, 32, 1)}.get(model, (28, 28))
    return rng.random((batch, *shape), dtype="float32"), rng.integers(0, 10, batch)


def timed(step):
    """The median seconds of a call, after warming up; no more than half a minute."""
    for _ in range(3):
        step()
    times = []
    begun = time.perf_counter()
    while (len(times) < ROUNDS and time.perf_counter() - begun < 8 or
           time.perf_counter() - begun < LEAST):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


# ---- torch ----

def torch_model(name):
    import torch
    from torch import nn

    class Last(nn.Module):
        """A recurrent layer's output at the last step, then a dense layer."""

        def __init__(self, rnn, features, both=False):
            super().__init__()
            self.rnn, self.head, self.both = rnn, nn.Linear(features, 10), both

        def forward(self, x):
            y, h = self.rnn(x)
            if self.both:
                h = h[0] if isinstance(h, tuple) else h
                return self.head(torch.cat((h[0], h[1]), -1))
            return self.head(y[:, -1])

    class Cell(nn.Module):
        """models/bench/cell.model, written step by step."""

        def __init__(self, units=50):
            super().__init__()
            self.units, self.head = units, nn.Linear(units, 10)
            self.x = nn.Linear(28, 3 * units, bias=False)
            self.h = nn.Linear(units, 3 * units, bias=False)
            self.gain = nn.Parameter(torch.ones(3, units))
            self.b = nn.Parameter(torch.zeros(3, units))
            self.p = nn.Parameter(torch.zeros(2, units))

        def forward(self, x):
            h = x.new_zeros(x.shape[0], self.units)
            c = h
            for t in range(x.shape[1]):
                z = (self.x(x[:, t]) + self.h(h)).view(-1, 3, self.units)
                n = nn.functional.layer_norm(z, (self.units,), eps=1e-3) * self.gain + self.b
                i = torch.sigmoid(n[:, 0] + self.p[0] * c)
                c = (1 - i) * c + i * torch.tanh(n[:, 1])
                h = torch.sigmoid(n[:, 2] + self.p[1] * c) * torch.tanh(c)
            return self.head(h)

    class Characters(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(65, 64), nn.Linear(256, 65)
            self.rnn = nn.LSTM(64, 256, batch_first=True)

        def forward(self, x):
            return self.head(self.rnn(self.table(x))[0]).flatten(0, 1)

    recurrent = {"lstm": (nn.LSTM, (28, 50), {}), "gru": (nn.GRU, (28, 128), {}),
                 "rnn": (nn.RNN, (28, 128), {}),
                 "stacked": (nn.LSTM, (128, 512), {"num_layers": 2})}
    if name in recurrent:
        make, sizes, more = recurrent[name]
        return Last(make(*sizes, batch_first=True, **more), sizes[1])
    if name == "bilstm":
        return Last(nn.LSTM(28, 64, batch_first=True, bidirectional=True), 128, both=True)
    if name == "cell":
        return Cell()
    if name == "characters":
        return Characters()
    if name == "mlp":
        return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(),
                             nn.Linear(512, 10))
    if name == "cnn":
        return nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(),
                             nn.MaxPool2d(2), nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(),
                             nn.Linear(128, 10))
    return None


def run_torch(name, batch, threads, compiled, inference):
    import torch
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    model = torch_model(name)
    if model is None:
        return None
    x, y = (torch.from_numpy(v) for v in inputs(name, batch))
    if name == "cnn":
        x = x.permute(0, 3, 1, 2)  # seen as channels first, stored channels last
        model = model.to(memory_format=torch.channels_last)
    if inference:
        model.eval()
        forward = torch.compile(model) if compiled else model
        with torch.inference_mode():
            return timed(lambda: forward(x).softmax(-1))
    y = y.flatten()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, foreach=True)
    forward = torch.compile(model) if compiled else model

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(forward(x), y).backward()
        optimizer.step()
    return timed(step)


# ---- Keras ----

def keras_model(name):
    import keras
    from keras import layers as L, ops

    class Coupled(L.Layer):
        """The cell of models/bench/cell.model, for keras.layers.RNN."""

        def __init__(self, units):
            super().__init__()
            self.units, self.state_size, self.output_size = units, [units, units], units

        def build(self, shape):
            u = self.units
            self.W = self.add_weight(shape=(shape[-1], 3 * u), initializer="glorot_uniform")
            self.U = self.add_weight(shape=(u, 3 * u), initializer="orthogonal")
            self.gain = self.add_weight(shape=(3, u), initializer="ones")
            self.b = self.add_weight(shape=(3, u), initializer="zeros")
            self.p = self.add_weight(shape=(2, u), initializer="zeros")

        def call(self, x, states):
            h, c = states
            z = ops.reshape(ops.matmul(x, self.W) + ops.matmul(h, self.U), (-1, 3, self.units))
            d = z - ops.mean(z, axis=-1, keepdims=True)
            n = d / ops.sqrt(ops.mean(d * d, axis=-1, keepdims=True) + 1e-3) * self.gain + self.b
            i = ops.sigmoid(n[:, 0] + self.p[0] * c)
            c = (1 - i) * c + i * ops.tanh(n[:, 1])
            h = ops.sigmoid(n[:, 2] + self.p[1] * c) * ops.tanh(c)
            return h, [h, c]

    head = [L.Dense(10, activation="softmax")]
    stack = {
        "cell": lambda: [L.RNN(Coupled(50))],
        "lstm": lambda: [L.LSTM(50)], "gru": lambda: [L.GRU(128)],
        "rnn": lambda: [L.SimpleRNN(128)], "bilstm": lambda: [L.Bidirectional(L.LSTM(64))],
        "mlp": lambda: [L.Dense(512, activation="relu"), L.Dense(512, activation="relu")],
        "cnn": lambda: [L.Conv2D(32, 3, activation="relu"), L.Conv2D(64, 3, activation="relu"),
                        L.MaxPooling2D(2), L.Flatten(), L.Dense(128, activation="relu")],
        "stacked": lambda: [L.LSTM(512, return_sequences=True), L.LSTM(512)],
        "convlstm": lambda: [L.ConvLSTM2D(32, 3, padding="same"), L.GlobalAveragePooling2D()],
    }
    if name == "characters":
        return keras.Sequential([L.Embedding(65, 64), L.LSTM(256, return_sequences=True),
                                 L.Dense(65, activation="softmax")])
    return keras.Sequential(stack[name]() + head) if name in stack else None


def run_keras(name, batch, threads, backend, inference):
    os.environ["KERAS_BACKEND"] = backend
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    model = keras_model(name)
    if model is None:
        return None
    x, y = inputs(name, batch)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    if inference:
        return timed(lambda: model.predict_on_batch(x))
    return timed(lambda: model.train_on_batch(x, y))


# ---- ONNX Runtime: inference alone ----

def onnx_layers(name):
    """Layers as (kind, shapes of its weights in Weft's order); None for a model not written."""
    return {"lstm": [("lstm", (28, 200), (50, 200), (200,)), ("dense", (50, 10), (10,))],
            "mlp": [("dense", (784, 512), (512,)), ("relu",), ("dense", (512, 512), (512,)),
                    ("relu",), ("dense", (512, 10), (10,))],
            "cnn": [("channels",), ("conv", (3, 3, 1, 32), (32,)), ("relu",),
                    ("conv", (3, 3, 32, 64), (64,)), ("relu",), ("pool",),
                    ("dense", (9216, 128), (128,)), ("relu",), ("dense", (128, 10), (10,))],
            }.get(name)


def onnx_model(name, arrays, shape):
    """The ONNX graph of a model with these weights, for inputs of this shape."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper
    nodes, weights, arrays, last = [], [], list(arrays), "x"

    def weight(value):
        weights.append(numpy_helper.from_array(np.ascontiguousarray(value), f"w{len(weights)}"))
        return weights[-1].name

    def node(op, *inputs, outputs=1, **attributes):
        out = [f"v{len(nodes)}_{i}" for i in range(outputs)]
        nodes.append(helper.make_node(op, list(inputs), out, **attributes))
        return out[-1]
    for kind, *shapes in onnx_layers(name):
        values = [arrays.pop(0) for _ in shapes]
        if kind == "lstm":  # gates i o f c; the sequence first
            def order(a):
                i, f, c, o = np.split(a, 4, -1)
                return np.concatenate([i, o, f, c], -1).T[None]
            kernel, recurrent, bias = values
            both = np.concatenate([order(bias)[0], np.zeros_like(bias)])[None]
            last = node("Transpose", last, perm=[1, 0, 2])
            last = node("LSTM", last, weight(order(kernel)), weight(order(recurrent)),
                        weight(both), outputs=2, hidden_size=recurrent.shape[0])
            last = node("Squeeze", last, weight(np.array([0])))
        elif kind == "dense":
            last = node("Gemm", last, *(weight(v) for v in values))
        elif kind == "relu":
            last = node("Relu", last)
        elif kind == "channels":
            last = node("Transpose", last, perm=[0, 3, 1, 2])
        elif kind == "conv":
            kernel, bias = values
            last = node("Conv", last, weight(kernel.transpose(3, 2, 0, 1)), weight(bias))
        elif kind == "pool":
            last = node("MaxPool", last, kernel_shape=[2, 2], strides=[2, 2])
            last = node("Flatten", node("Transpose", last, perm=[0, 2, 3, 1]))
    nodes.append(helper.make_node("Softmax", [last], ["y"], axis=-1))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[0], 10])
    return helper.make_model(helper.make_graph(nodes, name, [x], [y], weights), ir_version=9,
                             opset_imports=[helper.make_opsetid("", 17)])


def onnx_session(name, arrays, shape, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(onnx_model(name, arrays, shape).SerializeToString(),
                                        options, providers=["CPUExecutionProvider"])


def run_onnx(name, batch, threads):
    import numpy as np
    if onnx_layers(name) is None:
        return None
    rng = np.random.default_rng(2)
    x, _ = inputs(name, batch)
    arrays = [rng.uniform(-0.1, 0.1, shape).astype("float32")
              for _, *shapes in onnx_layers(name) for shape in shapes]
    session = onnx_session(name, arrays, x.shape, threads)
    binding = session.io_binding()  # what its callers in a hurry use
    binding.bind_cpu_input("x", x)
    binding.bind_output("y")
    return timed(lambda: session.run_with_iobinding(binding))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("peer", choices=["torch", "torch-compile", "tensorflow", "jax", "onnxruntime"])
    parser.add_argument("threads", type=int)
    parser.add_argument("model")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--inference", action="store_true")
    args = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:args.threads])
    batch = args.batch or BATCH.get(args.model, 128)
    if args.peer == "onnxruntime":
        seconds = run_onnx(args.model, batch, args.threads) if args.inference else None
    elif args.peer.startswith("torch"):
        seconds = run_torch(args.model, batch, args.threads, args.peer == "torch-compile",
                            args.inference)
    else:
        seconds = run_keras(args.model, batch, args.threads, args.peer, args.inference)
    print(json.dumps({"peer": args.peer, "model": args.model, "threads": args.threads,
                      "batch": batch, "ms": seconds and round(1e3 * seconds, 4)}))


if __name__ == "__main__":
    main()
