"""Keras's own accuracy on the tutorial's network, the number Weft's has to reach.

    python3 -m venv v && v/bin/pip install keras tensorflow-cpu numpy safetensors
    v/bin/python tests/oracle/keras_mnist.py DATA_DIR [SEED ...]

DATA_DIR holds the four MNIST files (train-images-idx3-ubyte.gz and so on). Each image's 28 rows are
28 time steps of 28 pixels divided by 255; LSTM(50), Dense(10, softmax), categorical cross-entropy,
Adam as Keras defaults it, batches of 128, 10 epochs. One line a seed, then the mean.
"""
import gzip
import os
import pathlib
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf

EPOCHS = 10
BATCH = 128


def idx(path):
    """One IDX file of bytes as an array; the shape follows the four-byte head, big-endian."""
    with gzip.open(path) as file:
        data = file.read()
    rank = data[3]
    shape = np.frombuffer(data, ">u4", rank, 4).astype(int)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def accuracy(seed, data):
    """Test accuracy after EPOCHS epochs from `seed`, and the test accuracy after each epoch."""
    (x, y), (x_test, y_test) = data
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([
        keras.Input((28, 28)),
        keras.layers.LSTM(50),
        keras.layers.Dense(10, activation="softmax"),
    ])
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0,
                        validation_data=(x_test, y_test))
    return model.evaluate(x_test, y_test, batch_size=BATCH, verbose=0)[1], \
        history.history["val_accuracy"]


def main(argv):
    if len(argv) < 2:
        raise SystemExit(__doc__)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    folder = pathlib.Path(argv[1])
    seeds = [int(seed) for seed in argv[2:]] or [1, 2, 3, 4, 5]
    data = []
    for part in ("train", "t10k"):
        images = idx(folder / f"{part}-images-idx3-ubyte.gz").astype(np.float32) / 255
        labels = idx(folder / f"{part}-labels-idx1-ubyte.gz")
        data.append((images, np.eye(10, dtype=np.float32)[labels]))
    print(f"keras {keras.__version__}, tensorflow {tf.__version__}", flush=True)
    found = []
    for seed in seeds:
        last, epochs = accuracy(seed, data)
        found.append(last)
        print(f"seed {seed}: test accuracy {last:.4f}; by epoch",
              " ".join(f"{value:.4f}" for value in epochs), flush=True)
    print(f"mean of {len(found)}: {np.mean(found):.4f}, lowest {min(found):.4f}, "
          f"highest {max(found):.4f}")


if __name__ == "__main__":
    main(sys.argv)
