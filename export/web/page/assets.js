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

// Return where the worker finds LiteRT.js: a folder's address, or the files themselves.
export async function placesOfRuntime(build) {
  if (!packed("litert/core.js")) return { folder: new URL("litert/", document.baseURI).href };
  const [core, loader, binary] = await Promise.all(["core.js", `${build}.js`, `${build}.wasm`].map(
    (name) => readAsset(`litert/${name}`),
  ));
  return { core, loader, binary };
}
