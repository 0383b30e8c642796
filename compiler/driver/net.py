class Error(Exception):
    """A function of the library refused; status is what it returned (the header's weft_status)."""

    def __init__(self, function: str, status: int) -> None:
        super().__init__("%s: %s" % (function, _STATUS.get(status, "status %d" % status)))
        self.status = status


_STATUS = {1: "a null pointer", 2: "a misaligned pointer", 3: "n or a length is out of range",
           4: "the loss is infinite or not a number: nothing was updated",
           5: "nothing has this name", 6: "the outputs are not those computed when compiling",
           7: "no file of weft pack, or of a form that is not known here",
           8: "a file of another model, or with other types or shapes",
           9: "a file that is cut off, or longer than it should be",
           10: "a file whose parameters are not those that were written"}

# How safetensors files name types.
_TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "I32": "int32", "I16": "int16",
          "I8": "int8", "U8": "uint8", "BOOL": "uint8"}

# Where an optimizer's state holds steps made, epoch and seed; a file's notes of the same.
_HEAD = {"steps": (0, "float64", "train.step"), "epoch": (8, "float64", "train.epoch"),
         "seed": (16, "int32", "train.seed")}


def _memory(size: int) -> np.ndarray:
    """Zeros, aligned as the library wants them."""
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start:start + size]


def _tensors(memory: np.ndarray, table: dict) -> dict[str, np.ndarray]:
    """Arrays that lie in the memory: of name: [type, shape, offset]."""
    def lie(dtype, shape, offset):
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        return memory[offset:offset + size].view(dtype).reshape(shape)
    return {name: lie(*place) for name, place in table.items()}


def _converted(name: str, value: npt.ArrayLike, dtype: np.dtype) -> np.ndarray:
    """value in the dtype of an argument; integers must survive it."""
    given = np.asarray(value)
    if given.dtype.kind not in "biuf":
        raise TypeError("%s: numbers are expected, found %s" % (name, given.dtype))
    if dtype.kind != "f" and given.size:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        if not (np.all(given >= low) and np.all(given <= high) and np.all(given == given // 1)):
            raise ValueError("%s: some values are no %s" % (name, dtype.name))
    return np.ascontiguousarray(given, dtype)


def _fits(dim: int | str | dict, found: int, lengths: dict[str | None, int]) -> bool:
    """Is it the extent? A run-time length is what is found first; so is the first axis, a str, whose
    extent goes by None among the lengths."""
    if isinstance(dim, int):
        return dim == found
    if isinstance(dim, str):
        return lengths.setdefault(None, found) == found
    length = -((dim["add"] - found * dim["div"]) // dim["mul"])
    return (lengths.setdefault(dim["length"], length) == length
            and _extent(dim, lengths) == found)


def _extent(dim: int | dict, lengths: dict[str | None, int]) -> int:
    if isinstance(dim, int):
        return dim
    return (dim["mul"] * lengths[dim["length"]] + dim["add"]) // dim["div"]


def _read_tensors(path: str, raw: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors of a safetensors file and its notes."""
    try:
        end = 8 + int.from_bytes(raw[:8], "little")
        head = json.loads(raw[8:end].decode())
        notes = head.pop("__metadata__", {})
        return {name: np.frombuffer(raw[end + at["data_offsets"][0]:end + at["data_offsets"][1]],
                                    _TYPES[at["dtype"]]).reshape(at["shape"])
                for name, at in head.items()}, notes
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("%s: no safetensors file that can be read (%s)" % (path, error)) from None


def _write(path: str, parts: list) -> None:
    """Whole or not at all."""
    partial = path + ".partial"
    with open(partial, "wb") as file:
        for part in parts:
            file.write(part)
    os.replace(partial, path)


def _write_tensors(path: str, tensors: dict[str, np.ndarray], notes: dict[str, str]) -> None:
    head, at = {"__metadata__": notes}, 0
    for name, array in tensors.items():
        kind = next(kind for kind, dtype in _TYPES.items() if dtype == array.dtype.name)
        head[name] = {"dtype": kind, "shape": list(array.shape),
                      "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    _write(path, [len(text).to_bytes(8, "little"), text,
                  *(array.tobytes() for array in tensors.values())])


class Net:
    """The model, with memory of its own; two threads use two of them.

    Everywhere: predict, prepare, parameters, save, load, reset, self_test.
    With --train: train_step, figures, loss, steps, epoch, seed.
    With --stream: step, run, stream.

    Mistakes in arguments raise ValueError or TypeError, what the library was compiled without
    AttributeError, what it refuses Error.

    batch       the most rows of a train_step; predict and loss take any number
    info        names, shapes, classes, origin
    version     of the code that is run, where the library has several (--multiversion): "sse2",
                "avx2" or "avx512"; else None
    parameters  by name, arrays that lie in the model's memory: reading shows the values, writing
                into them changes the model; empty where the library holds them as constants
    """

    batch: int
    info: dict[str, Any]
    version: str | None
    parameters: dict[str, np.ndarray]

    def __init__(self, seed: int = 0, version: str | None = None) -> None:
        """Parameters as they were given when compiling, else the first ones of training by `seed`
        (zeros without --train: load them). Of several versions of the code the fastest that runs
        here, or the one that is named."""
        self._library = ctypes.CDLL(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                 _LIBRARY))
        self._table = (ctypes.c_void_p * (1 + len(_MODEL["table"])))()
        self.version = self._select(version)
        self.batch = _MODEL["batch"]
        info = self._function("info")
        info.restype = ctypes.c_char_p
        self.info = json.loads(info().decode())
        self._blob = {kind: _memory(_MODEL[kind])
                      for kind in ("params", "optimizer", "state", "workspace")}
        self._sums = np.zeros(max(_MODEL["metrics"], 1))
        self.parameters = _tensors(self._blob["params"], _MODEL["parameters"])
        self._slots = _tensors(self._blob["optimizer"], _MODEL["slots"])
        if "init" in _MODEL["functions"]:
            self._call("init", [], {"seed": seed})
        if hasattr(self._library, _NAME + "_load"):
            self._plain("load", self._blob["params"])
        if _MODEL["state"]:
            self._plain("reset", self._blob["state"])
        self._stream = Stream(self) if "run" in _MODEL["functions"] else None

    # ---- calls ----

    def _select(self, version: str | None) -> str | None:
        names = _MODEL["versions"]
        if not _MODEL["table"]:
            if version is not None:
                raise AttributeError("the library was compiled without --multiversion")
            return None
        if version is not None and version not in names:
            raise ValueError("version: one of %s is expected, found %r" % (names, version))
        status = (self._function("select")(self._table) if version is None else
                  self._function("select_version")(self._table, names.index(version)))
        if status:
            raise Error("select", status)
        return names[self._table[0] or 0]

    def _function(self, name: str):
        if name in _MODEL["table"]:
            at = self._table[1 + _MODEL["table"].index(name)]
            return ctypes.CFUNCTYPE(ctypes.c_int32)(at)
        return getattr(self._library, "%s_%s" % (_NAME, name))

    def _plain(self, name: str, *blobs: np.ndarray) -> None:
        status = self._function(name)(*[ctypes.c_void_p(blob.ctypes.data) for blob in blobs])
        if status:
            raise Error(name, status)

    def _inputs(self, function: str, given: tuple, lead: str | None = "n"):
        """The arguments as arrays, and run-time lengths, with None for the first axis, named `lead`."""
        ports = _MODEL["functions"][function]["in"]
        if len(given) != len(ports):
            raise TypeError("%s takes %s" % (function, ", ".join(p["name"] for p in ports)))
        arrays, lengths = [], {}
        for port, value in zip(ports, given):
            array = _converted(port["name"], value, np.dtype(port["type"]))
            dims = ([lead] if lead and not port["still"] else []) + port["dims"]
            known = dict(lengths)
            if array.ndim != len(dims) or not all([_fits(d, found, lengths)
                                                   for d, found in zip(dims, array.shape)]):
                names = [d["length"] if isinstance(d, dict) else
                         str(known.get(None, d) if d is lead else d) for d in dims]
                raise ValueError("%s: shape (%s) is expected, found %s"
                                 % (port["name"], ", ".join(names), array.shape))
            arrays.append(array)
        return arrays, lengths

    def _call(self, function: str, arrays: list, values: dict, lengths: dict = {}, outs=(),
              entry: str | None = None) -> None:
        """Calls a function whose arguments are those of an entry (its own without)."""
        pointers = {"in": arrays, "out": outs, "metrics": [values.get("metrics")],
                    "stream": [values.get("stream")],
                    **{kind: [blob] for kind, blob in self._blob.items()}}
        arguments = []
        for kind in _MODEL["functions"][entry or function]["arguments"]:
            if kind in pointers:
                arguments += [ctypes.c_void_p(a.ctypes.data) for a in pointers[kind]]
            elif kind == "lengths":
                arguments += [ctypes.c_int32(lengths.get(name, 1)) for name in _MODEL["lengths"]]
            elif kind == "rate":
                arguments.append(ctypes.c_double(values["rate"]))
            elif kind in values:
                arguments.append(ctypes.c_int32(values[kind]))
        status = self._function(function)(*arguments)
        if status:
            raise Error(function, status)

    def _outputs(self, function: str, lengths: dict, first: list[int]) -> list[np.ndarray]:
        return [np.empty(first + [_extent(d, lengths) for d in port["dims"]], port["type"])
                for port in _MODEL["functions"][function]["out"]]

    def _rows(self, function: str, given: tuple, metrics=None) -> list[np.ndarray]:
        """Calls a function for all rows, a batch at a time; its outputs."""
        arrays, lengths = self._inputs(function, given)
        rows = lengths[None]
        outs = self._outputs(function, lengths, [rows])
        for i in range(0, rows, self.batch):
            part = slice(i, i + self.batch)
            self._call(function, [a[part] for a in arrays],
                       {"n": min(self.batch, rows - i), "metrics": metrics}, lengths,
                       [out[part] for out in outs])
        return outs

    def _has(self, function: str, option: str) -> None:
        if function not in _MODEL["functions"]:
            raise AttributeError("the library was compiled without %s" % option)

    # ---- inference ----

    def predict(self, *inputs: npt.ArrayLike) -> np.ndarray | tuple[np.ndarray, ...]:
        """Applies the model to any number of rows: an array [n, ...] for each input. The output, or
        a tuple of them."""
        self._has("predict", "a most of time steps (--time)")
        return _one(self._rows("predict", inputs))

    def prepare(self, name: str, *fields: npt.ArrayLike) -> np.ndarray:
        """The data block's transforms: from the data's fields, as they are stored, to the model's
        input `name`."""
        self._has("prepare_" + name, "transforms for " + name)
        return self._rows("prepare_" + name, fields)[0]

    def self_test(self) -> None:
        """Raises Error when the processor computes anything else than what was computed when
        compiling."""
        if ("self_test" not in _MODEL["table"]
                and not hasattr(self._library, _NAME + "_self_test")):
            raise AttributeError("the library was compiled without a self test")
        self._plain("self_test", self._blob["workspace"])

    def reset(self) -> None:
        """The state before the first call or step, of stateful layers or of the stream."""
        if _MODEL["state"]:
            self._plain("reset", self._blob["state"])
        if self._stream:
            self._stream.reset()

    # ---- streams ----

    def stream(self) -> Stream:
        """A stream with a state of its own, from its beginning on."""
        self._has("run", "--stream")
        return Stream(self)

    def step(self, *inputs: npt.ArrayLike) -> np.ndarray | tuple[np.ndarray, ...]:
        """Stream.step of the model's own stream."""
        self._has("run", "--stream")
        return self._stream.step(*inputs)

    def run(self, *inputs: npt.ArrayLike) -> np.ndarray | tuple[np.ndarray, ...]:
        """Stream.run of the model's own stream."""
        self._has("run", "--stream")
        return self._stream.run(*inputs)

    # ---- training ----

    def train_step(self, *fields: npt.ArrayLike, learning_rate: float | None = None) -> None:
        """A step on at most `batch` rows of the data's fields, as they are stored; learning_rate in
        place of the model's. Raises Error, with nothing updated, for a loss that is not finite."""
        self._has("train_step", "--train")
        arrays, lengths = self._inputs("train_step", fields)
        rate = _MODEL["rate"] if learning_rate is None else learning_rate
        self._call("train_step", arrays,
                   {"n": lengths[None], "rate": rate, "metrics": self._sums}, lengths)

    def _figures(self, sums: np.ndarray) -> dict[str, float]:
        values = np.zeros(len(_MODEL["figures"]))
        self._call("figures", [], {"metrics": sums}, outs=[values])
        return dict(zip(_MODEL["figures"], values.tolist()))

    def figures(self) -> dict[str, float]:
        """Loss and metrics of the steps since the last call."""
        self._has("figures", "--train")
        values = self._figures(self._sums)
        self._sums[:] = 0
        return values

    def loss(self, *fields: npt.ArrayLike) -> dict[str, float]:
        """Loss and metrics of any number of rows, without training."""
        self._has("loss", "--train")
        sums = np.zeros_like(self._sums)
        self._rows("loss", fields, sums)
        return self._figures(sums)

    def _head(self, name: str) -> np.ndarray:
        self._has("train_step", "--train")
        offset, dtype, _ = _HEAD[name]
        return _tensors(self._blob["optimizer"], {name: [dtype, [1], offset]})[name]

    @property
    def steps(self) -> int:
        """How many training steps were made."""
        return int(self._head("steps")[0])

    @property
    def epoch(self) -> int:
        """What schedules of the learning rate read; yours to set."""
        return int(self._head("epoch")[0])

    @epoch.setter
    def epoch(self, value: int) -> None:
        self._head("epoch")[0] = value

    @property
    def seed(self) -> int:
        """Of dropout and other random numbers of training."""
        return int(self._head("seed")[0])

    # ---- files ----

    def _stored(self) -> dict[str, np.ndarray]:
        """What a safetensors file holds of the optimizer."""
        return {"optimizer/" + name: array for name, array in self._slots.items()}

    def _keeps(self) -> None:
        if not self.parameters:
            raise AttributeError("the library was compiled without --no-embed or --train")

    def save(self, path: str | os.PathLike) -> None:
        """Writes the parameters, whole or not at all. A name that ends in .safetensors gives such a
        file, with --train with the optimizer's state, so that training goes on from it to the bit;
        any other a file of weft pack. weft takes both as --weights."""
        self._keeps()
        path = os.fspath(path)
        if not path.endswith(".safetensors"):
            head = np.zeros(64, np.uint8)
            self._plain("weights_head", self._blob["params"], head)
            return _write(path, [head, self._blob["params"]])
        notes = {"train.model_hash": self.info["hash"]}
        if "train_step" in _MODEL["functions"]:
            notes.update({note: str(int(self._head(name)[0]))
                          for name, (_, _, note) in _HEAD.items()})
        _write_tensors(path, {**self.parameters, **self._stored()}, notes)

    def load(self, path: str | os.PathLike) -> None:
        """Takes the parameters from a file of save, weft train or weft pack; with --train the
        optimizer's state, too, where the file has it. Nothing changes on an error."""
        self._keeps()
        path = os.fspath(path)
        with open(path, "rb") as file:
            data = file.read()
        if data[8:9] == b"{":
            return self._take(path, *_read_tensors(path, data))
        status = self._function("weights_load")(ctypes.c_void_p(self._blob["params"].ctypes.data),
                                                data, ctypes.c_size_t(len(data)))
        if status:
            raise Error("load", status)

    def _take(self, path: str, tensors: dict[str, np.ndarray], notes: dict[str, str]) -> None:
        taken = dict(self.parameters)
        whole = ("train_step" in _MODEL["functions"] and self._stored().keys() <= tensors.keys()
                 and all(note in notes for _, _, note in _HEAD.values()))
        taken.update(self._stored() if whole else {})
        for name, array in taken.items():
            if name not in tensors:
                raise ValueError("%s: there is no %s" % (path, name))
            if tensors[name].shape != array.shape:
                raise ValueError("%s: %s has the shape %s, expected %s"
                                 % (path, name, tensors[name].shape, array.shape))
        for name in tensors:
            if name not in taken and not name.startswith(("optimizer/", "state/")):
                raise ValueError("%s: the model has no %s" % (path, name))
        for name, array in taken.items():
            array[...] = tensors[name]
        for name, (_, _, note) in _HEAD.items() if whole else ():
            self._head(name)[0] = int(notes[note])


class Stream:
    """What a model remembers of one stream of steps; made by Net.stream(). Its answers are those for
    the whole sequence so far, to the bit."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self._state = _memory(_MODEL["stream"])
        self.reset()

    def reset(self) -> None:
        """As before the first step."""
        self._net._call("reset", [], {"stream": self._state})

    def step(self, *inputs: npt.ArrayLike) -> np.ndarray | tuple[np.ndarray, ...]:
        """One step in, the answer so far out: arrays without axes for rows and time."""
        arrays, lengths = self._net._inputs("run", inputs, None)
        outs = self._net._outputs("run", lengths, [])
        self._net._call("step", arrays, {"stream": self._state}, lengths, outs, entry="run")
        return _one(outs)

    def run(self, *inputs: npt.ArrayLike) -> np.ndarray | tuple[np.ndarray, ...]:
        """A number of steps, the first axis of the arrays; the answers after each."""
        arrays, lengths = self._net._inputs("run", inputs, "steps")
        steps = lengths.get(None, 1)
        outs = self._net._outputs("run", lengths, [steps])
        if steps:
            self._net._call("run", arrays, {"stream": self._state, "steps": steps}, lengths, outs)
        return _one(outs)

    def copy(self) -> Stream:
        """A stream that goes on by itself from here."""
        other = Stream(self._net)
        other._state[:] = self._state
        return other


def _one(outs: list[np.ndarray]) -> np.ndarray | tuple[np.ndarray, ...]:
    return outs[0] if len(outs) == 1 else tuple(outs)
