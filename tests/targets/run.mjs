// Runs a module and writes what it puts: node run.mjs MODULE > FILE
import { readFileSync, writeSync } from "node:fs";

let memory;
const put = (at, bytes) => {
    for (let done = 0; done < bytes;)
        done += writeSync(1, new Uint8Array(memory.buffer, at + done, bytes - done));
};
const module = new WebAssembly.Module(readFileSync(process.argv[2]));
const instance = new WebAssembly.Instance(module, { host: { put } });
memory = instance.exports.memory;
instance.exports.run();
