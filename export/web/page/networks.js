// LiteRT.js and the networks that it runs. In a classic worker: LiteRT.js calls importScripts, which a module has not.

// Return an address of a script, made here: a worker of a page from disk may load none that the page made.
const addressOfScript = (content) => URL.createObjectURL(new Blob([content], { type: "text/javascript" }));

// Load LiteRT.js from a folder's address; or from its files, the contents of its script, the script that loads its
// WebAssembly, and that.
export async function loadRuntime({ folder, core: script, loader, binary }) {
  // LiteRT.js takes hold of a graphics card wherever it sees one; these networks run without.
  Object.defineProperty(navigator, "gpu", { value: undefined });
  const core = await import(folder ? `${folder}core.js` : addressOfScript(script));
  // The script that LiteRT.js loads looks here for its WebAssembly, or for where that is, and for where its log goes.
  const place = folder ? { locateFile: (file) => folder + file } : { wasmBinary: binary, locateFile: (file) => file };
  self.Module = { ...place, printErr: (line) => { if (!/^(INFO|WARNING): /.test(line)) console.error(line); } };
  // LiteRT.js takes an address for a script's by how it ends.
  await core.loadLiteRt(folder ?? `${addressOfScript(loader)}#.js`);
  return core;
}

// A network of one input. Where there is a graphics card, LiteRT.js takes that unless it is told otherwise, and its
// pictures are not those of Python.
export class Network {
  #core;
  #compiled;
  #shape;

  static async open(core, content, shape) {
    const network = new Network();
    network.#core = core;
    network.#shape = shape;
    network.#compiled = await core.loadAndCompile(new Uint8Array(content), {
      accelerator: "wasm",
      cpuOptions: { numThreads: 1 },
    });
    return network;
  }

  // Return the values of the outputs, as typed arrays. What LiteRT.js gives lies in its own memory until it is deleted.
  async run(values) {
    const input = new this.#core.Tensor(values, this.#shape);
    const outputs = await this.#compiled.run([input]);
    input.delete();
    const copies = [];
    for (const output of outputs) {
      copies.push((await output.data()).slice());
      output.delete();
    }
    return copies;
  }
}
