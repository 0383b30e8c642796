#!/usr/bin/env python3
"""Weft in turn with other frameworks on the same work: what tools/bench --peers runs.

    compare.py BENCH WEFT [--json] [--lines FILE] [MODEL.model ...] [-- PEER ...]

Peers are torch, torch-compile, tensorflow and jax (Keras on either), onednn (Debian's
libdnnl-dev, its LSTM or dense layers with Adam, by onednn.c) for training; torch, tensorflow,
jax and onnxruntime for inference. Installs pinned releases from PyPI into virtual environments under the user's cache.
First agree.py compares the losses of both from the same weights. Then, for each model, on 1 and
on 2 threads, Weft and every peer run in turn, ROUNDS times; medians in milliseconds, and the ratio
of the fastest peer to Weft. The timed steps take random weights and data of their own. --json
prints objects; --lines keeps them in FILE.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
ROUNDS = int(os.environ.get("WEFT_PEERS_ROUNDS", "3"))
LONGEST = 600  # seconds that a peer may take, compiling included
ENVIRONMENTS = {"torch": ["torch==2.7.1", "numpy==2.2.6"],
                "keras": ["keras==3.15.1", "tensorflow-cpu==2.20.0", "jax[cpu]==0.7.0"],
                "onnx": ["onnxruntime==1.22.0", "onnx==1.18.0", "numpy==2.2.6"]}
PEERS = {"torch": "torch", "torch-compile": "torch", "tensorflow": "keras", "jax": "keras",
         "onednn": "onnx", "onnxruntime": "onnx"}
TRAINS = ("torch", "torch-compile", "tensorflow", "jax", "onednn")
INFERS = ("torch", "tensorflow", "jax", "onnxruntime")
WORK = [("lstm", 128), ("lstm", 32), ("lstm", 1024), ("cell", 128), ("gru", 128), ("rnn", 128),
        ("bilstm", 128), ("mlp", 128), ("cnn", 128), ("stacked", 64), ("characters", 50),
        ("convlstm", 8)]
INFERENCE = [("lstm", 1), ("lstm", 128), ("mlp", 128), ("cnn", 128)]
# oneDNN's LSTM: steps, features, units of each layer; no steps: dense layers
LAYERS = {"lstm": (28, 28, 50), "stacked": (64, 128, 512, 512), "characters": (100, 64, 256),
          "mlp": (0, 784, 512, 512, 10)}


def surroundings():
    """The environment without what makes a library choose slower code than the processor has."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS_", "OMP_"))}


def python_of(environment):
    """The interpreter of an environment, which is made where there is none yet."""
    folder = CACHE / "weft-peers" / environment
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"installing {' '.join(ENVIRONMENTS[environment])} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *ENVIRONMENTS[environment]],
                       check=True)
        (folder / "ready").touch()
    return python


def onednn_driver():
    """onednn.c, built when it is newer; None where oneDNN is not installed."""
    source, program = HERE / "onednn.c", CACHE / "weft-peers" / "onednn"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["cc", "-O3", "-march=native", "-fno-math-errno", "-std=gnu11",
                               "-fopenmp", source, "-o", program, "-ldnnl", "-lm"], capture_output=True, text=True)
        if done.returncode:
            print(f"onednn is left out: {done.stderr.strip()[:200]}", file=sys.stderr)
            return None
    return program


def milliseconds(command):
    """What the last line of a measurement says; None where there is none."""
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                              timeout=LONGEST, env=surroundings())
    except subprocess.TimeoutExpired:
        print(f"{' '.join(map(str, command[1:]))}: more than {LONGEST} s", file=sys.stderr)
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        said = done.stderr.strip().splitlines()
        print(f"{' '.join(map(str, command[1:]))}: {said[-1] if said else 'no result'}",
              file=sys.stderr)
        return None
    figures = json.loads(lines[-1])
    return figures.get("median_ms", figures["ms"])  # Weft's ms is its best round


class Report:
    def __init__(self, as_json, path):
        self.json, self.file = as_json, open(path, "a", encoding="utf-8") if path else None

    def line(self, figures, words):
        text = json.dumps(figures)
        print(text if self.json else words, flush=True)
        if self.file:
            print(text, file=self.file, flush=True)


def agreement(report, weft, name, peer, driver):
    """Says how far the peer's losses are from Weft's; torch-compile is torch's mathematics."""
    command = [python_of(PEERS[peer]), HERE / "agree.py", peer, name, weft]
    done = subprocess.run([str(word) for word in command + ([driver] if driver else [])],
                          capture_output=True, text=True, env=surroundings())
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        said = done.stderr.strip().splitlines()
        report.line({"agreement": peer, "model": name, "failed": said[-1] if said else ""},
                    f"{name}: {peer} FAILED: {said[-1] if said else 'no result'}")
        return False
    figures = json.loads(lines[-1])
    if figures["worst"] is None:
        report.line(figures, f"{name}: {peer} does not have it")
    else:
        report.line(figures, f"{name}: losses of weft and {peer} over {figures['steps']} steps "
                    f"differ by at most {figures['worst']:.1e} of the loss"
                    + ("  DIFFERENT" if done.returncode else ""))
    return done.returncode == 0


def command_of(peer, name, batch, threads, inference, driver):
    if peer == "onednn":
        return [driver, threads, batch, *LAYERS[name]]
    return [python_of(PEERS[peer]), HERE / "peers.py", peer, threads, name, "--batch", batch,
            *(["--inference"] if inference else [])]


def compare(report, bench, name, batch, threads, peers, inference, driver):
    commands = {"weft": [bench, *(["--inference"] if inference else []), threads,
                         f"models/bench/{name}.model", "--batch-size", batch, "--json"]}
    for peer in peers:
        if peer != "onednn" or (driver and name in LAYERS):
            commands[peer] = command_of(peer, name, batch, threads, inference, driver)
    times = {peer: [] for peer in commands}
    for _ in range(ROUNDS):
        for peer in [p for p in commands if times[p] is not None]:
            ms = milliseconds(commands[peer])
            if ms is None:
                times[peer] = None  # it has none: not asked again
            else:
                times[peer].append(ms)
    middle = {peer: statistics.median(t) for peer, t in times.items() if t}
    others = [t for peer, t in middle.items() if peer != "weft"]
    ratio = min(others) / middle["weft"] if others and "weft" in middle else None
    cells = "".join(f"{middle[peer]:14.3f}" if peer in middle else f"{'-':>14}"
                    for peer in ["weft", *peers])
    what = "inference" if inference else "step"
    report.line({"model": name, "what": what, "batch": batch, "threads": threads, "ms": middle,
                 "ratio": ratio},
                f"{name:<11}{what:<10}{batch:5}{threads:8}{cells}  "
                + (f"{ratio:7.2f}" if ratio else f"{'-':>7}"))


def table(report, bench, work, peers, inference, driver):
    if not work or not peers:
        return
    if not report.json:
        print(f"{'model':<11}{'':<10}{'batch':>5}{'threads':>8}"
              + "".join(f"{peer:>14}" for peer in ["weft", *peers]) + "  fastest peer / weft")
    for name, batch in work:
        for threads in (1, 2):
            if not (inference and batch == 1 and threads == 2):
                compare(report, bench, name, batch, threads, peers, inference, driver)


def main(argv):
    bench, weft, *words = argv[1:]
    as_json = "--json" in words
    path = words[words.index("--lines") + 1] if "--lines" in words else None
    words = [word for word in words if word not in ("--json", "--lines", path)]
    end = words.index("--") if "--" in words else len(words)
    wanted = {pathlib.Path(name).stem for name in words[:end]}
    asked = words[end + 1:] or list(PEERS)
    unknown = [peer for peer in asked if peer not in PEERS]
    if unknown or wanted - {name for name, _ in WORK}:
        print(f"no such peer or model: {' '.join([*unknown, *wanted - {n for n, _ in WORK}])}",
              file=sys.stderr)
        return 2
    driver = onednn_driver() if "onednn" in asked else None
    asked = [peer for peer in asked if peer != "onednn" or driver]
    work = [w for w in WORK if not wanted or w[0] in wanted]
    inference = [w for w in INFERENCE if not wanted or w[0] in wanted]
    report = Report(as_json, path)
    agreed = [agreement(report, weft, name, peer, driver)
              for name in dict(work) for peer in asked
              if peer != "torch-compile" and (peer != "onednn" or name in LAYERS)
              and (peer != "onnxruntime" or name in dict(inference))]
    table(report, bench, work, [p for p in TRAINS if p in asked], False, driver)
    table(report, bench, inference, [p for p in INFERS if p in asked], True, driver)
    return not all(agreed)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
