// Files of the page: fetched from its own folder, or taken out of the page itself where it is a single file.

const packed = (name) => document.querySelector(`script[data-asset="${name}"]`);

// Return a file's bytes, as an ArrayBuffer.
export async function readAsset(name) {
  const element = packed(name);
  if (!element) {
    const response = await fetch(name);
    if (!response.ok) throw new Error(`${name} is missing: ${response.status}`);
    return response.arrayBuffer();
  }
  const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

export async function readText(name) {
  return new TextDecoder().decode(await readAsset(name));
}

// Return an address under which a packed file can be loaded.
export async function addressOf(name, type) {
  return URL.createObjectURL(new Blob([await readAsset(name)], { type }));
}

// A module of one function that uses relaxed SIMD, as LiteRT.js asks for it: with it, a student takes half the time.
const RELAXED_SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253,
  128, 2, 11,
);

// Return where the worker finds LiteRT.js: a folder's address, or the files themselves, of the build that runs here.
export async function placesOfRuntime() {
  const isRelaxed = WebAssembly.validate(RELAXED_SIMD);
  if (!packed("litert/core.js")) return { isRelaxed, folder: new URL("litert/", document.baseURI).href };
  const build = isRelaxed ? "litert_wasm_internal" : "litert_wasm_compat_internal";
  const [core, loader, binary] = await Promise.all(["core.js", `${build}.js`, `${build}.wasm`].map(
    (name) => readAsset(`litert/${name}`),
  ));
  return { isRelaxed, core, loader, binary };
}
