#!/usr/bin/env python3
"""Weft's training step in turn with PyTorch's and Keras's: what tools/bench --peers runs.

    compare.py BENCH WEFT [MODEL.model ...] [-- PEER ...]

Installs pinned releases from PyPI into virtual environments under the user's cache, runs on
each model, for 1 and 2 threads, Weft and every peer in turn, ROUNDS times, and prints medians
in milliseconds and the ratio of the fastest peer to Weft. First agree.py compares the losses
of both from the same weights; the timed steps take random weights and data of their own.
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
ENVIRONMENTS = {"torch": ["torch==2.7.1", "numpy==2.2.6"],
                "keras": ["keras==3.15.1", "tensorflow-cpu==2.20.0", "jax[cpu]==0.7.0"]}
PEERS = {"torch": "torch", "torch-compile": "torch", "tensorflow": "keras", "jax": "keras"}
WORK = [("lstm", 128), ("lstm", 32), ("lstm", 1024), ("cell", 128), ("gru", 128), ("rnn", 128),
        ("bilstm", 128), ("mlp", 128), ("cnn", 128), ("stacked", 64), ("characters", 50),
        ("convlstm", 8)]


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


def milliseconds(command):
    """What the last line of a measurement says; None where there is none."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        said = done.stderr.strip().splitlines()
        print(f"{' '.join(map(str, command[1:]))}: {said[-1] if said else 'no result'}",
              file=sys.stderr)
        return None
    figures = json.loads(lines[-1])
    return figures.get("median_ms", figures["ms"])  # Weft's ms is its best round


def agreement(weft, name, peer):
    """Says how far the peer's losses are from Weft's; torch-compile is torch's mathematics."""
    done = subprocess.run([str(python_of(PEERS[peer])), HERE / "agree.py", peer, name, weft],
                          capture_output=True, text=True)
    said = (done.stdout or done.stderr).strip().splitlines()
    print(f"{said[-1] if said else 'no result'}{'  DIFFERENT' if done.returncode else ''}",
          flush=True)
    return done.returncode == 0


def compare(bench, name, batch, threads, peers):
    commands = {"weft": [bench, threads, f"models/bench/{name}.model", "--batch-size", batch,
                         "--json"]}
    for peer in peers:
        commands[peer] = [python_of(PEERS[peer]), HERE / "peers.py", peer, threads, name,
                          "--batch", batch]
    times = {peer: [] for peer in commands}
    for _ in range(ROUNDS):
        for peer, command in commands.items():
            ms = milliseconds(command)
            if ms is not None:
                times[peer].append(ms)
    middle = {peer: statistics.median(t) for peer, t in times.items() if t}
    others = [t for peer, t in middle.items() if peer != "weft"]
    ratio = f"{min(others) / middle['weft']:7.2f}" if others and "weft" in middle else "      -"
    cells = "".join(f"{middle[peer]:15.3f}" if peer in middle else f"{'-':>15}"
                    for peer in commands)
    print(f"{name:<11}{batch:5}{threads:8}{cells}  {ratio}", flush=True)


def main(argv):
    bench, weft, *words = argv[1:]
    end = words.index("--") if "--" in words else len(words)
    wanted = {pathlib.Path(path).stem for path in words[:end]}
    peers = words[end + 1:] or list(PEERS)
    work = [(name, batch) for name, batch in WORK if not wanted or name in wanted]
    agreed = [agreement(weft, name, peer) for name in dict(work) for peer in peers
              if peer != "torch-compile"]
    print(f"{'model':<11}{'batch':>5}{'threads':>8}"
          + "".join(f"{peer:>15}" for peer in ["weft", *peers]) + "  peer/weft")
    for name, batch in work:
        for threads in (1, 2):
            compare(bench, name, batch, threads, peers)
    return not all(agreed)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
