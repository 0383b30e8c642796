"""Makes the values that Weft is held against: what Keras computes for the same model and weights.

    python3 -m venv v && v/bin/pip install keras tensorflow-cpu numpy safetensors
    v/bin/python tests/oracle/keras_values.py [GROUP ...]     (layers, indices, losses ...)

For each group it writes, beside itself, GROUP.model (one model and one train block a case) and
GROUP.safetensors; the data sets small.npz and tutorial.npz; for trajectory.sh trajectory.csv. Every
case stands here twice in one row: as Keras's layers and as the text of a Weft model. oracle.c reads
the files. GROUP.safetensors holds, for a case C,

    C/param/NAME    where it starts: float32 numbers, so that both float types start alike; the
                    cases of the tutorial's network start from tutorial_start.safetensors
    C/loss          of the whole data set as one batch, training; or one loss a step
    C/grad/NAME     gradient of that loss
    C/buffer/NAME   after that step
    C/output        of the first samples, inference
    C/final/NAME    parameters after the last step
    C/figures       loss and metrics of an evaluation, in the order of the train block
    C/loss32        losses of the same steps when Keras computes in float32

Everything else was computed in float64. Back end: TensorFlow, which goes back to the logits where a
loss follows a softmax or a sigmoid, as Weft does. It makes float32 numbers of Python's even where
floatx is float64: for a beta_2 of 0.999 Adam would raise 0.9990000128746033 to the power of t, and
in the same step multiply by 1 - 0.999, which is 1e-5 away from that. exact_floats() below ends
this. It does not reach gelu's constants, leaky_relu's slope, log_cosh's log(2) and the factors of
regularizers: the cases here write them out, or take numbers that float32 can hold. The cases called
dyadic have such numbers for all their hyperparameters: Keras as it comes gives the same for them.
"""
import os
import pathlib
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import tensorflow as tf
from keras import Input, layers, losses, ops, optimizers, regularizers
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
ROWS = 40      # samples of the small data sets: more than one block, the last one partly filled
SHOWN = 8      # samples whose outputs are stored
STEPS = 20     # of every optimizer
LONG = 100     # of the tutorial's trajectory
BATCH = 128    # of the tutorial's network
IMAGES = 1280


def rounded(array):
    """As float64, each number one that float32 can hold."""
    return np.asarray(array, np.float32).astype(np.float64)


def exact_floats():
    """Lets TensorFlow take Python's floats as they are while floatx is float64."""
    def taking(function):
        def exactly(x, *more, **named):
            if isinstance(x, float) and keras.config.floatx() == "float64":
                x = tf.constant(x, tf.float64)
                if not more and named.get("dtype") is None and function is not tf_cast:
                    return x
                if function is not tf_cast:
                    return tf_cast(x, more[0] if more else named["dtype"])
            return function(x, *more, **named)
        return exactly
    tf_cast = tf.cast
    tf.cast, tf.convert_to_tensor = taking(tf.cast), taking(tf.convert_to_tensor)


# ---- names ----

def weft_names(model):
    """Weft's name of every variable of a Keras model, by the variable's identity."""
    names = {}

    def visit(layer, path):
        if isinstance(layer, layers.Bidirectional):
            visit(layer.forward_layer, f"{path}/{layer.forward_layer.name}")
            visit(layer.backward_layer, f"{path}/{layer.backward_layer.name}")
        elif isinstance(layer, layers.TimeDistributed):
            visit(layer.layer, path + "/" + layer.layer.name)
        else:
            for variable in layer.weights:
                names[id(variable)] = f"{path}/{variable.name}"

    for layer in model.layers:
        visit(layer, layer.name)
    return names


def start(model, rng, scale=0.5):
    """Fresh values for every variable, biases too: zeros would hide mistakes."""
    for variable in model.weights:
        value = rng.normal(0, scale, variable.shape)
        if variable.name in ("gamma", "moving_variance"):
            value = 0.5 + rng.random(variable.shape)
        variable.assign(rounded(value))


# ---- one step, many steps ----

def loss_and_gradients(model, loss, x, y):
    with tf.GradientTape() as tape:
        out = model(x, training=True)
        value = loss(y, out)
        for more in model.losses:
            value = value + more
    variables = model.trainable_variables
    return value, variables, tape.gradient(value, [v.value for v in variables])


def one_step(name, model, loss, x, y, values):
    names = weft_names(model)
    keep(values, f"{name}/param", names, model.weights)
    values[f"{name}/output"] = np.asarray(model(x[:SHOWN], training=False))
    value, variables, gradients = loss_and_gradients(model, loss, x, y)
    values[f"{name}/loss"] = np.asarray(value).reshape(1)
    for variable, gradient in zip(variables, gradients):
        gradient = tf.convert_to_tensor(gradient)
        values[f"{name}/grad/{names[id(variable)]}"] = np.asarray(gradient)
    moving = [v for v in model.weights if v.name.startswith("moving_")]
    keep(values, f"{name}/buffer", names, moving)


def steps(model, loss, optimizer, x, y, batch, count):
    """Losses of `count` updates; batch after batch in order, epoch after epoch."""
    found = []
    optimizer.build(model.trainable_variables)

    @tf.function(reduce_retracing=True)
    def step(x, y):
        value, variables, gradients = loss_and_gradients(model, loss, x, y)
        optimizer.apply(gradients, variables)
        return value

    for i in range(count):
        first = i % -(-len(x) // batch) * batch
        rows = slice(first, first + batch)
        found.append(float(step(tf.constant(x[rows]), tf.constant(y[rows]))))
    return np.array(found)


def keep(values, prefix, names, variables):
    for variable in variables:
        if id(variable) in names:
            values[f"{prefix}/{names[id(variable)]}"] = variable.numpy()


def reset(dtype):
    keras.backend.clear_session()
    keras.config.set_floatx(dtype)


def save(group, values):
    """Starting values are float32 numbers, so they are kept as such."""
    kept = {}
    for name, value in values.items():
        exact = "/param/" in name
        name = name.removeprefix("/param/")
        kept[name] = np.ascontiguousarray(value, np.float32 if exact else np.float64)
    made = f"keras {keras.__version__}, tensorflow {tf.__version__}, numpy {np.__version__}"
    save_file(kept, HERE / f"{group}.safetensors", metadata={"made_by": made})


def write_model(group, data, text):
    head = ("# Written by keras_values.py: the models whose values Keras gave.\n\n"
            f"data d = npz(\"{data}.npz\")")
    (HERE / f"{group}.model").write_text(head + text)


def train_block(name, data, target, loss, optimizer, batch):
    return (f"train {name} {{\n    model      = {name}\n    data       = {data}\n"
            f"    target     = {target}\n    loss       = {loss}\n    optimizer  = {optimizer}\n"
            f"    batch_size = {batch}\n    shuffle    = false\n}}\n")


def small_data():
    """Inputs and targets of all shapes that the small cases need."""
    rng = np.random.default_rng(20260101)
    data = {
        "x": rng.normal(0, 1, (ROWS, 5, 3)),
        "v": rng.normal(0, 1, (ROWS, 4)),
    }
    padded = data["x"].copy()
    lengths = rng.integers(0, 6, ROWS)     # 0: a sample that is masked altogether
    for row, length in enumerate(lengths):
        padded[row, length:] = 0
    padded[1, 0] = 0                       # and one whose first steps are
    padded[2, 1] = 0
    data["padded"] = padded
    for name, shape in (("t3", (3,)), ("t4", (4,)), ("t8", (8,)), ("t54", (5, 4)), ("t58", (5, 8)),
                        ("t53", (5, 3)), ("t15", (15,)), ("t53b", (3, 5))):
        data[name] = rng.normal(0, 1, (ROWS, *shape))
    data = {name: value.astype(np.float32) for name, value in data.items()}
    ids = rng.integers(1, 7, (ROWS, 5)).astype(np.int32)
    for row, length in enumerate(lengths):
        ids[row, max(length, 1):] = 0
    data["ids"] = ids
    label = rng.integers(0, 4, ROWS)
    data["label"] = label.astype(np.int32)
    data["onehot"] = np.eye(4, dtype=np.float32)[label]
    data["labels"] = rng.integers(0, 4, (ROWS, 5)).astype(np.int32)
    data["bits"] = rng.integers(0, 2, (ROWS, 4)).astype(np.float32)
    # Adds up to 1 exactly, which TensorFlow's gradient takes for granted.
    data["share"] = (rng.multinomial(61, [0.1, 0.2, 0.3, 0.4], ROWS) + 0.75).astype(np.float32) / 64
    np.savez_compressed(HERE / "small.npz", **data)
    return {name: value if value.dtype == np.int32 else value.astype(np.float64)
            for name, value in data.items()}


# ---- layers ----

def layer_cases():
    """name, input, target, Keras's layers, Weft's layers."""
    L = layers
    yield "dense", "v", "t3", [L.Dense(3)], "Dense(3)"
    yield "dense_no_bias", "v", "t3", [L.Dense(3, use_bias=False)], "Dense(3, use_bias=false)"
    yield "dense_steps", "x", "t54", [L.Dense(4, activation="tanh")], "Dense(4, activation=tanh)"
    yield "time_distributed", "x", "t54", [L.TimeDistributed(L.Dense(4))], \
        "TimeDistributed(Dense(4))"
    for name in ("relu", "tanh", "sigmoid", "softmax", "elu", "silu", "softplus",
                 "hard_sigmoid", "exponential", "selu", "softsign", "relu6", "mish",
                 "log_softmax", "hard_silu", "celu", "hard_tanh", "log_sigmoid", "linear"):
        yield "act_" + name, "v", "t4", [L.Dense(4, activation=name)], \
            f"Dense(4, activation={name})"
    for name, function, weft in (
            ("gelu", lambda x: 0.5 * x * (1 + ops.erf(x / np.sqrt(2))), "gelu"),
            ("gelu_tanh", lambda x: 0.5 * x * (1 + ops.tanh(
                np.sqrt(2 / np.pi) * (x + 0.044715 * x * x * x))), "gelu_tanh"),
            ("leaky_relu", lambda x: ops.where(x >= 0, x, 0.2 * x), "leaky_relu")):
        yield "act_" + name, "v", "t4", [L.Dense(4, activation=function)], \
            f"Dense(4, activation={weft})"
    yield "leaky_relu_layer", "v", "t4", [L.Dense(4), L.LeakyReLU(0.25)], \
        "Dense(4); LeakyReLU(0.25)"
    yield "prelu", "v", "t4", [L.Dense(4), L.PReLU()], "Dense(4); PReLU()"
    yield "elu_layer", "v", "t4", [L.Dense(4), L.ELU(0.5)], "Dense(4); ELU(0.5)"
    yield "softmax_layer", "v", "t4", [L.Dense(4), L.Softmax()], "Dense(4); Softmax()"
    yield "permute", "x", "t53b", [L.Dense(3), L.Permute((2, 1))], "Dense(3); Permute([2, 1])"
    yield "repeat", "v", "t54", [L.Dense(4), L.RepeatVector(5)], "Dense(4); RepeatVector(5)"
    yield "activation_layer", "v", "t4", [L.Dense(4), L.Activation("tanh")], \
        "Dense(4); Activation(tanh)"
    yield "flatten", "x", "t3", [L.Flatten(), L.Dense(3)], "Flatten(); Dense(3)"
    yield "reshape", "x", "t53b", [L.Dense(3), L.Reshape((3, 5))], "Dense(3); Reshape([3, 5])"
    yield "regularized", "v", "t3", [
        L.Dense(4, activation="tanh", kernel_regularizer=regularizers.L2(1/64),
                bias_regularizer=regularizers.L1(1/32)),
        L.Dense(3, kernel_regularizer=regularizers.L1L2(1/128, 1/64))], \
        "Dense(4, activation=tanh, kernel_regularizer=L2(1/64), bias_regularizer=L1(1/32)); " \
        "Dense(3, kernel_regularizer=L1L2(1/128, 1/64))"
    yield "layer_norm", "v", "t4", [L.Dense(4), L.LayerNormalization()], \
        "Dense(4); LayerNormalization()"
    yield "layer_norm_steps", "x", "t54", [L.Dense(4), L.LayerNormalization(epsilon=1e-2)], \
        "Dense(4); LayerNormalization(epsilon=0.01)"
    # With tanh before and after: of a linear network's gradient almost all cancels.
    yield "batch_norm", "v", "t4", [
        L.Dense(4, activation="tanh"), L.BatchNormalization(), L.Activation("tanh")], \
        "Dense(4, activation=tanh); BatchNormalization(); Activation(tanh)"
    yield "batch_norm_steps", "x", "t54", [
        L.Dense(4, activation="tanh"), L.BatchNormalization(momentum=0.8, epsilon=1e-2),
        L.Activation("tanh")], \
        "Dense(4, activation=tanh); BatchNormalization(momentum=0.8, epsilon=0.01); " \
        "Activation(tanh)"
    yield "global_average", "x", "t4", [L.Dense(4), L.GlobalAveragePooling1D()], \
        "Dense(4); GlobalAveragePooling1D()"
    yield "global_max", "x", "t4", [L.Dense(4), L.GlobalMaxPooling1D()], \
        "Dense(4); GlobalMaxPooling1D()"

    for name, make in (("SimpleRNN", L.SimpleRNN), ("LSTM", L.LSTM), ("GRU", L.GRU)):
        low = {"SimpleRNN": "rnn", "LSTM": "lstm", "GRU": "gru"}[name]
        yield low, "x", "t4", [make(4)], f"{name}(4)"
        yield low + "_sequences", "x", "t54", [make(4, return_sequences=True)], \
            f"{name}(4, return_sequences=true)"
        yield low + "_backwards", "x", "t4", [make(4, go_backwards=True)], \
            f"{name}(4, go_backwards=true)"
        yield low + "_backwards_sequences", "x", "t54", \
            [make(4, go_backwards=True, return_sequences=True)], \
            f"{name}(4, go_backwards=true, return_sequences=true)"
        yield low + "_no_bias", "x", "t4", [make(4, use_bias=False)], \
            f"{name}(4, use_bias=false)"
        yield low + "_relu", "x", "t4", [make(4, activation="relu")], \
            f"{name}(4, activation=relu)"
        yield low + "_stacked", "x", "t4", [make(3, return_sequences=True), make(4)], \
            f"{name}(3, return_sequences=true); {name}(4)"
        yield low + "_masked", "padded", "t4", [L.Masking(), make(4)], f"Masking(); {name}(4)"
        yield low + "_masked_sequences", "padded", "t54", \
            [L.Masking(), make(4, return_sequences=True)], \
            f"Masking(); {name}(4, return_sequences=true)"
        yield low + "_masked_backwards", "padded", "t4", \
            [L.Masking(), make(4, go_backwards=True)], f"Masking(); {name}(4, go_backwards=true)"
        yield low + "_masked_stacked", "padded", "t4", \
            [L.Masking(), make(3, return_sequences=True), make(4)], \
            f"Masking(); {name}(3, return_sequences=true); {name}(4)"
        yield low + "_bidirectional", "x", "t8", [L.Bidirectional(make(4))], \
            f"Bidirectional({name}(4))"
    yield "lstm_hard", "x", "t4", [L.LSTM(4, recurrent_activation="hard_sigmoid")], \
        "LSTM(4, recurrent_activation=hard_sigmoid)"
    yield "lstm_regularized", "x", "t4", [
        L.LSTM(4, kernel_regularizer=regularizers.L2(1/128),
               recurrent_regularizer=regularizers.L1(1/64))], \
        "LSTM(4, kernel_regularizer=L2(1/128), recurrent_regularizer=L1(1/64))"
    yield "gru_before", "x", "t4", [L.GRU(4, reset_after=False)], "GRU(4, reset_after=false)"
    yield "gru_before_sequences", "x", "t54", \
        [L.GRU(4, reset_after=False, return_sequences=True)], \
        "GRU(4, reset_after=false, return_sequences=true)"
    for merge in ("concat", "sum", "mul", "ave"):
        wide = 8 if merge == "concat" else 4
        yield "bidirectional_" + merge, "x", f"t{wide}", \
            [L.Bidirectional(L.LSTM(4), merge_mode=merge)], \
            f"Bidirectional(LSTM(4), merge_mode={merge})"
        yield f"bidirectional_{merge}_sequences", "x", f"t5{wide}", \
            [L.Bidirectional(L.LSTM(4, return_sequences=True), merge_mode=merge)], \
            f"Bidirectional(LSTM(4, return_sequences=true), merge_mode={merge})"
    yield "bidirectional_masked", "padded", "t8", [L.Masking(), L.Bidirectional(L.LSTM(4))], \
        "Masking(); Bidirectional(LSTM(4))"
    yield "bidirectional_stacked", "x", "t8", [
        L.Bidirectional(L.GRU(3, return_sequences=True)), L.Bidirectional(L.LSTM(4))], \
        "Bidirectional(GRU(3, return_sequences=true)); Bidirectional(LSTM(4))"


def index_cases():
    """The same for indices."""
    L = layers
    yield "embedding", "ids", "t54", [L.Embedding(7, 4)], "Embedding(7, 4)"
    yield "embedding_mask", "ids", "t4", [L.Embedding(7, 3, mask_zero=True), L.LSTM(4)], \
        "Embedding(7, 3, mask_zero=true); LSTM(4)"
    yield "embedding_average", "ids", "t4", [
        L.Embedding(7, 4, mask_zero=True), L.GlobalAveragePooling1D()], \
        "Embedding(7, 4, mask_zero=true); GlobalAveragePooling1D()"


SHAPES = {"v": "4", "x": "5, 3", "padded": "5, 3", "ids": "5"}


def input_of(name):
    shape = tuple(int(n) for n in SHAPES[name].split(", "))
    text = f"input {name}[{SHAPES[name]}]" + (" : int" if name == "ids" else "")
    return Input(shape, dtype="int32" if name == "ids" else None), text


def fresh(cases):
    """The cases, each made as in a program of its own: layers' names count from the start."""
    iterator = cases()
    while True:
        reset("float64")
        case = next(iterator, None)
        if case is None:
            return
        yield case


def make_layers():
    own = "function gelu_tanh(x) = gelu(x, approximate=true)\n"
    make_passes("layers", layer_cases, own)


def make_indices():
    make_passes("indices", index_cases, "")


def window_cases():
    """Convolutions and poolings, of images [5, 4, 4] that a dense layer made."""
    L = layers
    yield "conv1d", "x", "t54", [L.Conv1D(4, 3, padding="same")], "Conv1D(4, 3, padding=same)"
    yield "conv1d_causal", "x", "t54", [
        L.Conv1D(4, 2, padding="causal", dilation_rate=2, activation="tanh")], \
        "Conv1D(4, 2, padding=causal, dilation_rate=2, activation=tanh)"
    rows = (
        ("conv2d", lambda: [L.Conv2D(4, 3, activation="tanh")], "Conv2D(4, 3, activation=tanh)"),
        ("conv2d_same", lambda: [L.Conv2D(4, (3, 2), strides=2, padding="same")],
         "Conv2D(4, (3, 2), strides=2, padding=same)"),
        ("conv2d_strides", lambda: [L.Conv2D(4, 2, strides=(3, 2), use_bias=False)],
         "Conv2D(4, 2, strides=(3, 2), use_bias=false)"),
        ("conv2d_groups", lambda: [L.Conv2D(4, 2, dilation_rate=(2, 1), groups=2, padding="same")],
         "Conv2D(4, 2, dilation_rate=(2, 1), groups=2, padding=same)"),
        ("depthwise", lambda: [L.DepthwiseConv2D(2, depth_multiplier=3)],
         "DepthwiseConv2D(2, depth_multiplier=3)"),
        ("separable", lambda: [L.SeparableConv2D(4, 3, depth_multiplier=2, padding="same")],
         "SeparableConv2D(4, 3, depth_multiplier=2, padding=same)"),
        ("max_pool", lambda: [L.MaxPooling2D()], "MaxPooling2D()"),
        ("max_pool_same", lambda: [L.MaxPooling2D(3, strides=2, padding="same")],
         "MaxPooling2D(3, strides=2, padding=same)"),
        ("average_pool", lambda: [L.AveragePooling2D((2, 3), strides=1)],
         "AveragePooling2D((2, 3), strides=1)"),
        ("average_pool_same", lambda: [L.AveragePooling2D(3, strides=2, padding="same")],
         "AveragePooling2D(3, strides=2, padding=same)"),
        ("global_average_2d", lambda: [L.GlobalAveragePooling2D()], "GlobalAveragePooling2D()"),
        ("global_max_2d", lambda: [L.GlobalMaxPooling2D()], "GlobalMaxPooling2D()"),
        ("zero_padding", lambda: [L.ZeroPadding2D(((1, 0), (2, 1))), L.Conv2D(3, 3)],
         "ZeroPadding2D(((1, 0), (2, 1))); Conv2D(3, 3)"),
        ("up_sampling", lambda: [L.UpSampling2D((2, 3)), L.Cropping2D(((1, 2), (0, 1)))],
         "UpSampling2D((2, 3)); Cropping2D(((1, 2), (0, 1)))"))
    for name, stack, weft in rows:
        yield name, "x", "t3", [
            L.Dense(16, activation="tanh"), L.Reshape((5, 4, 4)), *stack(), L.Flatten(),
            L.Dense(3)], \
            f"Dense(16, activation=tanh); Reshape([5, 4, 4]); {weft}; Flatten(); Dense(3)"
    for name, arguments, weft in (
            ("conv_lstm", dict(padding="same"), "padding=same"),
            ("conv_lstm_strides", dict(strides=2, padding="same", go_backwards=True,
                                       unit_forget_bias=False), "strides=2, padding=same, "
             "go_backwards=true, unit_forget_bias=false"),
            ("conv_lstm_dilated", dict(dilation_rate=(2, 1), return_sequences=True,
                                       use_bias=False, recurrent_activation="hard_sigmoid"),
             "dilation_rate=(2, 1), return_sequences=true, use_bias=false, "
             "recurrent_activation=hard_sigmoid")):
        yield name, "x", "t3", [
            L.Dense(40, activation="tanh"), L.Reshape((5, 5, 4, 2)),
            L.ConvLSTM2D(3, 2, **arguments), L.Flatten(), L.Dense(3)], \
            f"Dense(40, activation=tanh); Reshape([5, 5, 4, 2]); ConvLSTM2D(3, 2, {weft}); " \
            "Flatten(); Dense(3)"
    yield "conv_lstm1d", "x", "t3", [
        L.Reshape((5, 3, 1)), L.ConvLSTM1D(2, 2), L.Flatten(), L.Dense(3)], \
        "Reshape([5, 3, 1]); ConvLSTM1D(2, 2); Flatten(); Dense(3)"


def make_windows():
    make_passes("windows", window_cases, "")


def make_passes(group, cases, text):
    data = small_data()
    values = {}
    for i, (name, field, target, stack, weft) in enumerate(fresh(cases)):
        first, declared = input_of(field)
        model = keras.Sequential([first, *stack])
        start(model, np.random.default_rng(100 + i))
        one_step(name, model, losses.MeanSquaredError(), data[field], data[target], values)
        text += model_block(name, declared, weft)
        text += train_block(name, "d", target, "mse", "SGD()", ROWS)
    write_model(group, "small", "\n" + text)
    save(group, values)


def model_block(name, declared, weft):
    body = "\n    ".join([declared, *weft.split("; ")])
    return f"\nmodel {name} {{\n    {body}\n}}\n"


# ---- losses ----

def loss_cases():
    """name, target, activation of the last layer, Keras's loss, Weft's loss, scale of weights.

    An activation written as an operation (ops.sigmoid) is one that Keras does not look behind.
    """
    K = losses
    cce, scce, bce = "categorical_crossentropy", "sparse_categorical_crossentropy", \
        "binary_crossentropy"
    yield cce, "onehot", "softmax", K.CategoricalCrossentropy(), cce, 1
    yield cce + "_far", "onehot", "softmax", K.CategoricalCrossentropy(), cce, 30
    yield cce + "_share", "share", "softmax", K.CategoricalCrossentropy(), cce, 1
    yield cce + "_smooth", "onehot", "softmax", K.CategoricalCrossentropy(label_smoothing=0.1), \
        cce + "(label_smoothing=0.1)", 1
    yield cce + "_logits", "onehot", None, K.CategoricalCrossentropy(from_logits=True), \
        cce + "(from_logits=true)", 1
    yield cce + "_logits_smooth", "onehot", None, \
        K.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2), \
        cce + "(from_logits=true, label_smoothing=0.2)", 30
    yield cce + "_positive", "onehot", ops.softplus, K.CategoricalCrossentropy(), \
        (cce, "softplus"), 1
    yield cce + "_clipped", "onehot", ops.hard_sigmoid, K.CategoricalCrossentropy(), \
        (cce, "hard_sigmoid"), 3
    yield scce, "label", "softmax", K.SparseCategoricalCrossentropy(), scce, 1
    yield scce + "_far", "label", "softmax", K.SparseCategoricalCrossentropy(), scce, 30
    yield scce + "_logits", "label", None, K.SparseCategoricalCrossentropy(from_logits=True), \
        scce + "(from_logits=true)", 1
    yield bce, "bits", "sigmoid", K.BinaryCrossentropy(), bce, 1
    yield bce + "_far", "bits", "sigmoid", K.BinaryCrossentropy(), bce, 30
    yield bce + "_smooth", "bits", "sigmoid", K.BinaryCrossentropy(label_smoothing=0.1), \
        bce + "(label_smoothing=0.1)", 1
    yield bce + "_logits", "bits", None, K.BinaryCrossentropy(from_logits=True), \
        bce + "(from_logits=true)", 30
    yield bce + "_logits_smooth", "bits", None, \
        K.BinaryCrossentropy(from_logits=True, label_smoothing=0.2), \
        bce + "(from_logits=true, label_smoothing=0.2)", 1
    yield bce + "_clipped", "bits", ops.hard_sigmoid, K.BinaryCrossentropy(), \
        (bce, "hard_sigmoid"), 3
    yield "binary_focal", "bits", ops.sigmoid, K.BinaryFocalCrossentropy(), \
        ("binary_focal_crossentropy", "sigmoid"), 1
    yield "binary_focal_balanced", "bits", None, K.BinaryFocalCrossentropy(
        apply_class_balancing=True, alpha=0.3, gamma=1.5, from_logits=True), \
        "binary_focal_crossentropy(apply_class_balancing=true, alpha=0.3, gamma=1.5, " \
        "from_logits=true)", 1
    yield "categorical_focal", "onehot", ops.softmax, K.CategoricalFocalCrossentropy(), \
        ("categorical_focal_crossentropy", "softmax"), 1
    yield "categorical_focal_logits", "onehot", None, \
        K.CategoricalFocalCrossentropy(from_logits=True, alpha=0.4, gamma=1.5), \
        "categorical_focal_crossentropy(from_logits=true, alpha=0.4, gamma=1.5)", 1
    yield "mse", "t4", None, K.MeanSquaredError(), "mse", 1
    yield "mae", "t4", None, K.MeanAbsoluteError(), "mae", 1
    yield "mape", "t4", None, K.MeanAbsolutePercentageError(), "mape", 1
    yield "msle", "share", None, K.MeanSquaredLogarithmicError(), "msle", 1
    yield "huber", "t4", None, K.Huber(), "huber", 1
    yield "huber_delta", "t4", None, K.Huber(delta=0.3), "huber(delta=0.3)", 1
    yield "log_cosh", "t4", None, log_cosh, "log_cosh", 10
    yield "hinge", "bits", None, K.Hinge(), "hinge", 1
    yield "squared_hinge", "bits", None, K.SquaredHinge(), "squared_hinge", 1
    yield "categorical_hinge", "onehot", None, K.CategoricalHinge(), "categorical_hinge", 1
    yield "kl_divergence", "share", ops.softmax, K.KLDivergence(), ("kl_divergence", "softmax"), 1
    yield "poisson", "share", ops.softplus, K.Poisson(), ("poisson", "softplus"), 1
    yield "cosine_similarity", "share", ops.softplus, K.CosineSimilarity(), \
        ("cosine_similarity", "softplus"), 1


def log_cosh(y_true, y_pred):
    e = y_pred - y_true
    return ops.mean(e + ops.softplus(-2 * e) - np.log(2))


def make_losses():
    data = small_data()
    values, text = {}, ""
    for i, (name, target, activation, loss, weft, scale) in enumerate(fresh(loss_cases)):
        name = "of_" + name     # a model of the loss's own name would hide it
        model = keras.Sequential([Input((4,)), layers.Dense(4, activation=activation)])
        start(model, np.random.default_rng(300 + i), 0.5 * scale)
        one_step(name, model, loss, data["v"], data[target], values)
        if name.endswith("_clipped"):   # 1 - 1e-7 has no float32 number near enough
            values[f"{name}/loss32"] = loss32(model, loss, data["v"], data[target])
        weft, behind = weft if isinstance(weft, tuple) else (weft, activation)
        layer = f"Dense(4, activation={behind})" if behind else "Dense(4)"
        text += model_block(name, "input v[4]", layer)
        text += train_block(name, "d", target, weft, "SGD()", ROWS)
    # A sequence of labels, and a masked one: the mean is over the steps that count.
    for name, field, stack, body in (
            ("steps", "x", [], ""),
            ("masked_steps", "padded", [layers.Masking()], "Masking(); ")):
        reset("float64")
        first, declared = input_of(field)
        model = keras.Sequential([first, *stack, layers.SimpleRNN(3, return_sequences=True),
                                  layers.Dense(4, activation="softmax")])
        start(model, np.random.default_rng(400))
        one_step(name, model, losses.SparseCategoricalCrossentropy(), data[field], data["labels"],
                 values)
        text += model_block(name, declared, body + "SimpleRNN(3, return_sequences=true); "
                            "Dense(4, activation=softmax)")
        text += train_block(name, "d", "labels", "sparse_categorical_crossentropy", "SGD()", ROWS)
    write_model("losses", "small", "\n" + text)
    save("losses", values)


def loss32(model, loss, x, y):
    """The loss of a model of one Dense layer, computed in float32."""
    weights = [v.numpy() for v in model.weights]
    activation = model.layers[-1].activation
    reset("float32")
    model = keras.Sequential([Input(x.shape[1:]), layers.Dense(4, activation=activation)])
    for variable, value in zip(model.weights, weights):
        variable.assign(value)
    loss = type(loss)()
    return np.asarray(loss(y.astype(np.float32), model(x.astype(np.float32)))).reshape(1)


# ---- metrics ----

def metric_cases():
    """name, input, target, Keras's layers, loss and metrics, Weft's layers, loss and metrics."""
    L, M = layers, keras.metrics
    sparse = "sparse_categorical_crossentropy"
    yield "categorical", "v", "onehot", [L.Dense(4, activation="softmax")], \
        "categorical_crossentropy", ["accuracy", top_k(M.top_k_categorical_accuracy, 2),
                                     "categorical_accuracy", "mse"], \
        "Dense(4, activation=softmax)", "categorical_crossentropy", \
        "accuracy, top_k_categorical_accuracy(k=2), categorical_accuracy, mse"
    yield "sparse", "v", "label", [L.Dense(4, activation="softmax")], sparse, \
        ["accuracy", top_k(M.sparse_top_k_categorical_accuracy, 3),
         M.SparseCategoricalCrossentropy()], \
        "Dense(4, activation=softmax)", sparse, \
        f"accuracy, sparse_top_k_categorical_accuracy(k=3), {sparse}"
    yield "binary", "v", "bits", [L.Dense(4, activation="sigmoid")], "binary_crossentropy", \
        ["accuracy", M.BinaryAccuracy(threshold=0.4), M.Precision(), M.Recall(thresholds=0.6)], \
        "Dense(4, activation=sigmoid)", "binary_crossentropy", \
        "accuracy, binary_accuracy(threshold=0.4), precision, recall(threshold=0.6)"
    yield "regression", "v", "t4", [L.Dense(4)], "mse", \
        ["mae", M.RootMeanSquaredError(), "mse", M.MeanAbsolutePercentageError()], \
        "Dense(4)", "mse", "mae, root_mean_squared_error, mse, mape"
    yield "steps", "x", "labels", \
        [L.GRU(3, return_sequences=True), L.Dense(4, activation="softmax")], sparse, \
        ["accuracy"], "GRU(3, return_sequences=true); Dense(4, activation=softmax)", sparse, \
        "accuracy"
    yield "masked_steps", "padded", "labels", \
        [L.Masking(), L.GRU(3, return_sequences=True), L.Dense(4, activation="softmax")], sparse, \
        ["accuracy"], \
        "Masking(); GRU(3, return_sequences=true); Dense(4, activation=softmax)", sparse, \
        "accuracy"


def top_k(function, k):
    """TensorFlow has it for float32 alone."""
    return keras.metrics.MeanMetricWrapper(
        lambda y, p: function(y, ops.cast(p, "float32"), k), name=function.__name__)


def make_metrics():
    """Figures of an evaluation in batches of 16, the last of 8."""
    data = small_data()
    values, text = {}, ""
    for i, (name, field, target, stack, loss, metrics, body, weft_loss, weft_metrics) in enumerate(
            fresh(metric_cases)):
        first, declared = input_of(field)
        model = keras.Sequential([first, *stack])
        start(model, np.random.default_rng(600 + i))
        keep(values, f"{name}/param", weft_names(model), model.weights)
        model.compile(loss=loss, metrics=metrics)
        figures = model.evaluate(data[field], data[target], batch_size=16, verbose=0)
        values[f"{name}/figures"] = np.array(figures)
        text += model_block(name, declared, body)
        block = train_block(name, "d", target, weft_loss, "SGD()", 16)
        text += block.replace("    batch", f"    metrics    = [{weft_metrics}]\n    batch")
    write_model("metrics", "small", "\n" + text)
    save("metrics", values)


# ---- optimizers ----

def optimizer_cases(gentle):
    """name, Keras's optimizer, Weft's. Clipping limits that bind; `gentle`: for the tutorial's
    network, whose gradients are small."""
    O = optimizers
    limit, part = (0.05, 0.002) if gentle else (0.2, 0.05)
    yield "sgd", O.SGD(), "SGD()"
    yield "momentum", O.SGD(0.05, momentum=0.9), "SGD(0.05, momentum=0.9)"
    yield "nesterov", O.SGD(0.05, momentum=0.9, nesterov=True), \
        "SGD(0.05, momentum=0.9, nesterov=true)"
    yield "adagrad", O.Adagrad(0.01), "Adagrad(0.01)"
    yield "rmsprop", O.RMSprop(), "RMSprop()"
    yield "rmsprop_momentum", O.RMSprop(momentum=0.5), "RMSprop(momentum=0.5)"
    yield "rmsprop_centered", O.RMSprop(rho=0.8, momentum=0.3, centered=True), \
        "RMSprop(rho=0.8, momentum=0.3, centered=true)"
    yield "adam", O.Adam(), "Adam()"
    yield "amsgrad", O.Adam(0.01, beta_1=0.8, amsgrad=True), "Adam(0.01, beta_1=0.8, amsgrad=true)"
    yield "adamw", O.AdamW(0.01, weight_decay=0.1), "AdamW(0.01, weight_decay=0.1)"
    yield "adam_dyadic", O.Adam(1/512, beta_1=7/8, beta_2=1 - 1/1024, epsilon=2**-23), \
        "Adam(1/512, beta_1=7/8, beta_2=1 - 1/1024, epsilon=2**-23)"
    yield "momentum_dyadic", O.SGD(1/16, momentum=7/8, nesterov=True), \
        "SGD(1/16, momentum=7/8, nesterov=true)"
    yield "adadelta", O.Adadelta(0.5), "Adadelta(0.5)"
    yield "adamax", O.Adamax(), "Adamax()"
    yield "nadam", O.Nadam(), "Nadam()"
    yield "ftrl", O.Ftrl(0.05, l1_regularization_strength=0.001,
                         l2_regularization_strength=0.01), \
        "Ftrl(0.05, l1_regularization_strength=0.001, l2_regularization_strength=0.01)"
    yield "lion", O.Lion(), "Lion()"
    yield "clipnorm", O.SGD(0.1, clipnorm=limit), f"SGD(0.1, clipnorm={limit})"
    yield "clipvalue", O.SGD(0.1, clipvalue=part), f"SGD(0.1, clipvalue={part})"
    yield "global_clipnorm", O.SGD(0.1, global_clipnorm=limit), \
        f"SGD(0.1, global_clipnorm={limit})"
    yield "weight_decay", O.Adam(0.01, weight_decay=0.05, clipnorm=limit), \
        f"Adam(0.01, weight_decay=0.05, clipnorm={limit})"
    if not gentle:
        yield "lamb", O.Lamb(), "Lamb()"
        yield "ema", O.SGD(0.1, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=5), \
            "SGD(0.1, use_ema=true, ema_momentum=0.9, ema_overwrite_frequency=5)"
        S = optimizers.schedules
        yield "exponential_decay", O.SGD(S.ExponentialDecay(0.1, 5, 0.5)), \
            "SGD(ExponentialDecay(0.1, 5, 0.5))"
        yield "cosine_decay", O.SGD(S.CosineDecay(
            0.01, 10, alpha=0.1, warmup_target=0.2, warmup_steps=4)), \
            "SGD(CosineDecay(0.01, 10, alpha=0.1, warmup_target=0.2, warmup_steps=4))"
        yield "piecewise", O.SGD(S.PiecewiseConstantDecay([4, 9], [0.2, 0.05, 0.01])), \
            "SGD(PiecewiseConstantDecay([4, 9], [0.2, 0.05, 0.01]))"
        yield "polynomial_decay", O.SGD(S.PolynomialDecay(0.1, 7, 0.01, power=2)), \
            "SGD(PolynomialDecay(0.1, 7, 0.01, power=2))"
        yield "inverse_decay", O.SGD(S.InverseTimeDecay(0.1, 5, 0.5)), \
            "SGD(InverseTimeDecay(0.1, 5, 0.5))"


def make_optimizers():
    """A network of two layers, batches of 16 (the third has 8), 20 updates."""
    data = small_data()
    values, text = {}, ""
    for name, optimizer, weft in fresh(lambda: optimizer_cases(False)):
        model = keras.Sequential([Input((4,)), layers.Dense(6, activation="tanh"),
                                  layers.Dense(3)])
        start(model, np.random.default_rng(500))
        names = weft_names(model)
        keep(values, f"{name}/param", names, model.weights)
        values[f"{name}/loss"] = steps(model, losses.MeanSquaredError(), optimizer, data["v"],
                                       data["t3"], 16, STEPS)
        keep(values, f"{name}/final", names, model.weights)
        text += model_block(name, "input v[4]", "Dense(6, activation=tanh); Dense(3)")
        text += train_block(name, "d", "t3", "mse", weft, 16)
    write_model("optimizers", "small", "\n" + text)
    save("optimizers", values)


# ---- the tutorial's network ----

def strokes():
    """Digits of straight strokes, jittered: learnable, and they compress well."""
    paths = {
        0: [(6, 9, 6, 18), (6, 18, 21, 18), (21, 18, 21, 9), (21, 9, 6, 9)],
        1: [(5, 14, 22, 14), (5, 14, 9, 10)],
        2: [(6, 9, 6, 18), (6, 18, 13, 18), (13, 18, 21, 9), (21, 9, 21, 19)],
        3: [(6, 9, 6, 18), (6, 18, 21, 18), (13, 11, 13, 18), (21, 9, 21, 18)],
        4: [(5, 10, 14, 9), (14, 9, 14, 20), (6, 17, 22, 17)],
        5: [(6, 18, 6, 10), (6, 10, 13, 10), (13, 10, 13, 18), (13, 18, 21, 18), (21, 18, 21, 9)],
        6: [(5, 12, 21, 9), (21, 9, 21, 18), (21, 18, 14, 18), (14, 18, 14, 10)],
        7: [(6, 8, 6, 19), (6, 19, 22, 12)],
        8: [(6, 10, 6, 18), (6, 18, 21, 10), (21, 10, 21, 18), (21, 18, 6, 10)],
        9: [(13, 18, 13, 10), (13, 10, 6, 10), (6, 10, 6, 18), (6, 18, 22, 16)],
    }
    rng = np.random.default_rng(7)
    row, column = np.mgrid[0:28, 0:28].astype(float)
    images = np.zeros((IMAGES, 28, 28), np.uint8)
    label = rng.integers(0, 10, IMAGES)
    for i in range(IMAGES):
        shift = rng.integers(-2, 3, 2)
        for r0, c0, r1, c1 in paths[int(label[i])]:
            a = np.array([r0, c0]) + shift + rng.integers(-1, 2, 2)
            b = np.array([r1, c1]) + shift + rng.integers(-1, 2, 2)
            along = b - a
            t = ((row - a[0]) * along[0] + (column - a[1]) * along[1]) / (along @ along)
            t = np.clip(t, 0, 1)
            far = np.hypot(row - a[0] - t * along[0], column - a[1] - t * along[1])
            ink = np.clip(2.2 - far, 0, 1) * 4    # five levels of grey
            images[i] = np.maximum(images[i], np.floor(ink).astype(np.uint8) * 63)
    return images, label.astype(np.uint8)


def make_tutorial():
    """LSTM(50), Dense(10, softmax): 100 steps with Adam, 20 with every optimizer."""
    images, label = strokes()
    np.savez_compressed(HERE / "tutorial.npz", image=images, label=label)
    values, text = {}, ""
    transforms = " {\n    image = image / 255\n    label = one_hot(label, 10)\n}\n"
    reset("float64")
    keras.utils.set_random_seed(11)
    first = None    # as Keras draws them

    def run(make_optimizer, count, dtype):
        nonlocal first
        reset(dtype)
        model = keras.Sequential([Input((28, 28)), layers.LSTM(50),
                                  layers.Dense(10, activation="softmax")])
        if first is None:
            first = [rounded(v.numpy()) for v in model.weights]
            begun = {}
            keep(begun, "/param", weft_names(model), model.weights)
            save("tutorial_start", begun)
        for variable, value in zip(model.weights, first):
            variable.assign(value)
        x = images.astype(dtype) / np.asarray(255, dtype)
        y = np.eye(10, dtype=dtype)[label]
        return steps(model, losses.CategoricalCrossentropy(), make_optimizer(), x, y, BATCH, count)

    values["trajectory/loss"] = run(optimizers.Adam, LONG, "float64")
    values["trajectory/loss32"] = run(optimizers.Adam, LONG, "float32")
    text += tutorial_block("trajectory", "Adam()")
    epochs = values["trajectory/loss"].reshape(-1, IMAGES // BATCH).mean(-1)
    lines = [f"{epoch},{loss:.15g}" for epoch, loss in enumerate(epochs, 1)]
    (HERE / "trajectory.csv").write_text("\n".join(["epoch,loss", *lines, ""]))
    for i, (name, _, weft) in enumerate(list(optimizer_cases(True))):
        def make(i=i):
            return list(optimizer_cases(True))[i][1]
        values[f"{name}/loss"] = run(make, STEPS, "float64")
        values[f"{name}/loss32"] = run(make, STEPS, "float32")
        text += tutorial_block(name, weft)
    write_model("tutorial", "tutorial", transforms + text)
    save("tutorial", values)


def tutorial_block(name, optimizer):
    return model_block(name, "input image[28, 28]", "LSTM(50); Dense(10, activation=softmax)") + \
        train_block(name, "d", "label", "categorical_crossentropy", optimizer, BATCH)


GROUPS = {"layers": make_layers, "indices": make_indices, "windows": make_windows,
          "losses": make_losses, "metrics": make_metrics, "optimizers": make_optimizers,
          "tutorial": make_tutorial}


def main(argv):
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    exact_floats()
    for group in argv[1:] or GROUPS:
        GROUPS[group]()
        print(f"{group}: {(HERE / (group + '.safetensors')).stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv)
