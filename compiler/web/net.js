// Loads the module and calls its functions; all memory is the module's own.

const status = { 1: "a null pointer", 2: "a misaligned pointer", 3: "n or a length is out of range",
                 6: "the self test's outputs are not those computed when compiling" };

/** Elements of a row of a port, with these run-time lengths. */
const elements = (port, lengths) => port.dims.reduce((count, d) =>
    count * (typeof d === "number" ? d : Math.floor((d.mul * lengths[d.length] + d.add) / d.div)), 1);

/** Run-time lengths as the numbers of values have it, of ports with one. */
function given(entry, values, n) {
    const lengths = {};
    for (const { name, dims } of entry.in) {
        const open = dims.filter((d) => typeof d !== "number");
        const fixed = dims.reduce((count, d) => typeof d === "number" ? count * d : count, n);
        if (open.length === 1 && values[name]?.length > 0)
            lengths[open[0].length] = (values[name].length / fixed * open[0].div - open[0].add) /
                open[0].mul;
    }
    return lengths;
}

class Net {
    #wasm; #place = new Map(); #workspace; #state;

    constructor(wasm) {
        this.#wasm = wasm;
        let end = wasm.__heap_base.value;
        const take = (bytes) => {
            const at = Math.ceil(end / 64) * 64;
            end = at + bytes;
            return at;
        };
        for (const entry of layout.entries)
            for (const port of [...entry.in, ...entry.out])
                this.#place.set(port, take(elements(port, layout.lengths) * layout.batch *
                                           globalThis[port.type].BYTES_PER_ELEMENT));
        this.#workspace = take(layout.workspace);
        this.#state = take(layout.state);
        const more = end - wasm.memory.buffer.byteLength;
        if (more > 0)
            wasm.memory.grow(Math.ceil(more / 65536));
        this.reset();
    }

    get info() { return info; }

    reset() {
        if (layout.state)
            this.#check(this.#wasm[layout.reset](this.#state));
    }

    predict(inputs, options = {}) {
        const entry = layout.entries[0];
        const one = typeof inputs?.length === "number";
        if (one && entry.in.length !== 1)
            throw new TypeError(`the model has ${entry.in.length} inputs: give them by name`);
        return this.#call(entry, one ? { [entry.in[0].name]: inputs } : inputs, options);
    }

    prepare(fields, options = {}) {
        const all = { ...fields };
        for (const entry of layout.entries.slice(1))
            if (entry.in.every((port) => fields[port.name] !== undefined))
                Object.assign(all, this.#call(entry, fields, options));
        return all;
    }

    #check(code) {
        if (code !== 0)
            throw new RangeError(status[code] ?? `status ${code}`);
    }

    #view(port, count) {
        return new globalThis[port.type](this.#wasm.memory.buffer, this.#place.get(port), count);
    }

    #call(entry, values, options) {
        const n = options.n ?? 1, lengths = { ...layout.lengths, ...given(entry, values, n), ...options };
        if (!Number.isInteger(n) || n < 1 || n > layout.batch)
            throw new RangeError(`n is ${n}, expected 1 to ${layout.batch}`);
        for (const [name, most] of Object.entries(layout.lengths))
            if (!Number.isInteger(lengths[name]) || lengths[name] < 1 || lengths[name] > most)
                throw new RangeError(`${name} is ${lengths[name]}, expected 1 to ${most}`);
        for (const port of entry.in) {
            const count = n * elements(port, lengths), from = values[port.name];
            if (from?.length !== count)
                throw new RangeError(`${port.name} has ${from?.length ?? "no"} values, ` +
                                     `expected ${count}`);
            this.#view(port, count).set(from);
        }
        const kinds = {
            in: entry.in.map((port) => this.#place.get(port)),
            out: entry.out.map((port) => this.#place.get(port)),
            lengths: Object.keys(layout.lengths).map((name) => lengths[name]),
            state: layout.state ? [this.#state] : [], n: [n], workspace: [this.#workspace],
        };
        this.#check(this.#wasm[entry.name](...entry.arguments.flatMap((kind) => kinds[kind])));
        return Object.fromEntries(entry.out.map((port) =>
            [port.name, this.#view(port, n * elements(port, lengths)).slice()]));
    }
}

export async function load(source = new URL("net.wasm", import.meta.url)) {
    let code = source;
    if (typeof source === "string" || source instanceof URL)
        code = await fetch(source);
    if (code instanceof Response) {
        if (!code.ok)
            throw new Error(`${code.url}: ${code.status} ${code.statusText}`);
        code = await code.arrayBuffer();
    }
    const made = await WebAssembly.instantiate(code, {});
    return new Net((made.instance ?? made).exports);
}
