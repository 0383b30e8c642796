// Runs a module and writes what it puts: node run.mjs MODULE > FILE
// It may use nothing that node 18 does not know, whatever runs it here.
import { readFileSync, writeSync } from "node:fs";

const known = ["bulk-memory", "multivalue", "mutable-globals", "nontrapping-fptoint",
               "reference-types", "sign-ext", "simd128"];

/** Names of what a module uses; in its section: a count, then "+", a length and a name each. */
const features = (module) => {
    const [section] = WebAssembly.Module.customSections(module, "target_features");
    const bytes = Buffer.from(section), names = [];
    for (let at = 1; at < bytes.length; at += 2 + bytes[at + 1])
        names.push(bytes.toString("latin1", at + 2, at + 2 + bytes[at + 1]));
    if (names.length !== bytes[0])
        throw new Error(`${names.length} features of ${bytes[0]}`);
    return names;
};

let memory;
const put = (at, bytes) => {
    for (let done = 0; done < bytes;)
        done += writeSync(1, new Uint8Array(memory.buffer, at + done, bytes - done));
};
const module = new WebAssembly.Module(readFileSync(process.argv[2]));
const newer = features(module).filter((name) => !known.includes(name));
if (newer.length)
    throw new Error(`newer than node 18: ${newer}`);
const instance = new WebAssembly.Instance(module, { host: { put } });
memory = instance.exports.memory;
instance.exports.run();
