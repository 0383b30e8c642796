class Error(Exception):
    """A function of the library refused; status is what it returned (the header's weft_status)."""

    def __init__(self, function, status):
        super().__init__("%s: %s" % (function, _STATUS.get(status, "status %d" % status)))
        self.status = status


_STATUS = {1: "a null pointer", 2: "a misaligned pointer", 3: "n or a length is out of range",
           4: "the loss is infinite or not a number: nothing was updated",
           5: "nothing has this name", 6: "the outputs are not those computed when compiling",
           7: "no file of weft pack, or of a form that is not known here",
           8: "a file of another model, or with other types or shapes",
           9: "a file that is cut off, or longer than it should be",
           10: "a file whose parameters are not those that were written"}


def _memory(size):
    """Zeros, aligned as the library wants them."""
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start:start + size]


def _converted(name, value, dtype):
    """value in the dtype of an argument; integers must survive it."""
    given = np.asarray(value)
    if given.dtype.kind not in "biuf":
        raise TypeError("%s: numbers are expected, found %s" % (name, given.dtype))
    if dtype.kind != "f" and given.size:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        if not (np.all(given >= low) and np.all(given <= high) and np.all(given == given // 1)):
            raise ValueError("%s: some values are no %s" % (name, dtype.name))
    return np.ascontiguousarray(given, dtype)


class Net:
    """The model, with memory of its own; two threads use two of them.

    net = Net()                 parameters as they were given when compiling, else the first ones
                                of training by `seed`
    net.predict(x)              an array of any number of rows for each input; answers the output,
                                or a tuple of them
    net.prepare(name, field)    from the data's fields, as they are stored, to input `name`
    net.parameters              by name, arrays that lie in the model's memory: reading shows the
                                values, writing into them changes the model; empty where the
                                library holds the parameters as constants
    net.load(path), .save(path) parameters from and to a file of weft pack; not where they are
                                constants
    net.info                    names, shapes, classes, origin: a dict
    net.reset()                 the state of stateful layers before the first call
    net.self_test()             raises Error when the processor computes anything else

    With --train also:
    net.train_step(x, y)        one step on at most net.batch rows; learning_rate=... if not the
                                model's
    net.figures()               loss and metrics of the steps since the last call, a dict
    net.loss(x, y)              loss and metrics of any number of rows, a dict

    Mistakes in arguments raise ValueError or TypeError, what the library refuses Error.
    """

    def __init__(self, seed=0):
        self._library = ctypes.CDLL(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                 _LIBRARY))
        self.batch = _MODEL["batch"]
        info = self._function("info")
        info.restype = ctypes.c_char_p
        self.info = json.loads(info().decode())
        self._blob = {kind: _memory(_MODEL[kind])
                      for kind in ("params", "optimizer", "state", "workspace")}
        self._sums = np.zeros(max(_MODEL["metrics"], 1))
        self.parameters = {}
        for name, (dtype, shape, offset) in _MODEL["parameters"].items():
            size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
            self.parameters[name] = (self._blob["params"][offset:offset + size].view(dtype)
                                     .reshape(shape))
        if "init" in _MODEL["functions"]:
            self._call("init", [], {"seed": seed})
        if hasattr(self._library, _NAME + "_load"):
            self._plain("load", "params")
        self.reset()

    def _function(self, name):
        return getattr(self._library, "%s_%s" % (_NAME, name))

    def _plain(self, name, blob):
        status = self._function(name)(ctypes.c_void_p(self._blob[blob].ctypes.data))
        if status:
            raise Error(name, status)

    def _inputs(self, function, given):
        """The arguments as arrays, their rows, the run-time lengths."""
        ports = _MODEL["functions"][function]["in"]
        if len(given) != len(ports):
            raise TypeError("%s takes %s" % (function, ", ".join(p[0] for p in ports)))
        arrays, rows, lengths = [], None, {}
        for (name, dtype, shape), value in zip(ports, given):
            array = _converted(name, value, np.dtype(dtype))
            fits = array.ndim == len(shape) + 1 and rows in (None, array.shape[0])
            for dim, found in zip(shape, array.shape[1:]):
                if isinstance(dim, int):
                    fits = fits and dim == found
                elif dim[1:] == [1, 0, 1]:
                    fits = fits and lengths.setdefault(dim[0], found) == found
            if not fits:
                wanted = ["n" if rows is None else str(rows)]
                wanted += [str(d) if isinstance(d, int) else d[0] for d in shape]
                raise ValueError("%s: shape (%s) is expected, found %s"
                                 % (name, ", ".join(wanted), array.shape))
            rows = array.shape[0]
            arrays.append(array)
        return arrays, rows, lengths

    def _call(self, function, arrays, values, lengths={}, outs=()):
        pointers = {"in": arrays, "out": outs, "metrics": [values.get("metrics")],
                    **{kind: [blob] for kind, blob in self._blob.items()}}
        arguments = []
        for kind in _MODEL["functions"][function]["arguments"]:
            if kind in pointers:
                arguments += [ctypes.c_void_p(a.ctypes.data) for a in pointers[kind]]
            elif kind == "lengths":
                arguments += [ctypes.c_int32(lengths.get(name, 1)) for name in _MODEL["lengths"]]
            elif kind == "rate":
                arguments.append(ctypes.c_double(values["rate"]))
            else:
                arguments.append(ctypes.c_int32(values[kind]))
        status = self._function(function)(*arguments)
        if status:
            raise Error(function, status)

    def _rows(self, function, given, metrics=None):
        """Calls a function for all rows, a batch at a time; its outputs."""
        arrays, rows, lengths = self._inputs(function, given)
        outs = []
        for name, dtype, shape in _MODEL["functions"][function]["out"]:
            dims = [d if isinstance(d, int) else (d[1] * lengths[d[0]] + d[2]) // d[3]
                    for d in shape]
            outs.append(np.empty([rows] + dims, dtype))
        for i in range(0, rows, self.batch):
            part = slice(i, i + self.batch)
            self._call(function, [a[part] for a in arrays],
                       {"n": min(self.batch, rows - i), "metrics": metrics}, lengths,
                       [out[part] for out in outs])
        return outs

    def _has(self, function, option):
        if function not in _MODEL["functions"]:
            raise AttributeError("the library was compiled without %s" % option)

    def predict(self, *inputs):
        outs = self._rows("predict", inputs)
        return outs[0] if len(outs) == 1 else tuple(outs)

    def prepare(self, name, *fields):
        self._has("prepare_" + name, "transforms for " + name)
        return self._rows("prepare_" + name, fields)[0]

    def train_step(self, *fields, learning_rate=None):
        self._has("train_step", "--train")
        arrays, rows, lengths = self._inputs("train_step", fields)
        rate = _MODEL["rate"] if learning_rate is None else learning_rate
        self._call("train_step", arrays, {"n": rows, "rate": rate, "metrics": self._sums}, lengths)

    def _figures(self, sums):
        values = np.zeros(len(_MODEL["figures"]))
        self._call("figures", [], {"metrics": sums}, outs=[values])
        return dict(zip(_MODEL["figures"], values.tolist()))

    def figures(self):
        self._has("figures", "--train")
        values = self._figures(self._sums)
        self._sums[:] = 0
        return values

    def loss(self, *fields):
        self._has("loss", "--train")
        sums = np.zeros_like(self._sums)
        self._rows("loss", fields, sums)
        return self._figures(sums)

    def _files(self):
        if not self.parameters:
            raise AttributeError("the library was compiled without --no-embed or --train")
        return ctypes.c_void_p(self._blob["params"].ctypes.data)

    def load(self, path):
        params = self._files()
        with open(path, "rb") as file:
            data = file.read()
        status = self._function("weights_load")(params, data, ctypes.c_size_t(len(data)))
        if status:
            raise Error("load", status)

    def save(self, path):
        params, head = self._files(), ctypes.create_string_buffer(64)
        status = self._function("weights_head")(params, head)
        if status:
            raise Error("save", status)
        with open(path, "wb") as file:
            file.write(head.raw + self._blob["params"].tobytes())

    def reset(self):
        if _MODEL["state"]:
            self._plain("reset", "state")

    def self_test(self):
        if not hasattr(self._library, _NAME + "_self_test"):
            raise AttributeError("the library was compiled without a self test")
        self._plain("self_test", "workspace")
