/** Of a port: extents of a row; a run-time length goes by its name. */
export interface Port { name: string; dtype: string; shape: (number | string)[]; }

export interface Info {
    model: string;
    weft: string;      /** the compiler's version */
    hash: string;      /** of the model's definitions */
    batch: number;     /** the most rows of a call */
    inputs: Port[];
    outputs: Port[];
    classes: string[]; /** of the data; may be empty */
    prepare: { input: string; fields: Port[] }[];
    transforms: string; /** what prepare applies, as it was written */
    lengths: Record<string, number>; /** the most of each run-time length */
}

export interface Net {
    readonly info: Info;
    /** Applies the model to n rows, one after the other in each array. With a single input its
     *  values can be given alone. A run-time length is that of the values, unless it is given.
     *  Throws a RangeError for a wrong number of values. */
    predict(inputs: Inputs | Values, options?: Options): Outputs;
    /** The data block's transforms: from fields as they are stored to the model's inputs. What has
     *  none is handed on. */
    prepare(fields: Fields, options?: Options): Inputs;
    /** The state before the first call, of a model that carries one from call to call. */
    reset(): void;
}

export declare const info: Info;

/** Makes a model of a module's address, response or bytes; net.wasm beside this file without. */
export declare function load(source?: string | URL | Response | BufferSource | WebAssembly.Module):
    Promise<Net>;
