// Answers of a web module by its loader: node web_node.mjs NET.mjs NET.wasm FIELD ROWS raw OUT
// The rows are bytes of `raw`; they go through prepare and predict, as many at a time as may.
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [loader, code, field, rows, raw, out] = process.argv.slice(2);
const { load, info } = await import(pathToFileURL(loader));
const net = await load(readFileSync(code));
const bytes = readFileSync(raw), row = bytes.length / rows, parts = [];
for (let at = 0; at < rows; at += info.batch) {
    const n = Math.min(info.batch, rows - at);
    const fields = { [field]: bytes.subarray(at * row, (at + n) * row) };
    const outputs = net.predict(net.prepare(fields, { n }), { n });
    parts.push(Buffer.from(outputs[info.outputs[0].name].buffer));
}
writeFileSync(out, Buffer.concat(parts));

// What is wrong is told.
const refused = (what, message) => {
    try {
        what();
    } catch (error) {
        if (error instanceof RangeError && error.message === message)
            return;
        throw error;
    }
    throw new Error(`not refused: ${message}`);
};
const name = info.inputs[0].name, count = info.inputs[0].shape.reduce((a, b) => a * b);
refused(() => net.predict([1, 2]), `${name} has 2 values, expected ${count}`);
refused(() => net.predict({}), `${name} has no values, expected ${count}`);
refused(() => net.predict([], { n: 0 }), `n is 0, expected 1 to ${info.batch}`);
