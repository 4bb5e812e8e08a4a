// Runs every file of cases.json once and posts its output, or why there is none.

const LONGEST_TEXT = 400;
const reason = (error) => (error?.message ?? String(error)).replace(/\s+/g, " ").slice(0, LONGEST_TEXT);
const TYPES = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array };

async function get(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response;
}

const post = (path, body) => fetch(path, { method: "POST", body });

async function run(litert, accelerator, number, one) {
  const content = new Uint8Array(await (await get(`models/${number}.tflite`)).arrayBuffer());
  const bytes = await (await get(`inputs/${number}.bin`)).arrayBuffer();
  const compiled = await litert.loadAndCompile(content, { accelerator });
  try {
    // Where WebGPU cannot take a model, LiteRT.js may quietly compile it for WebAssembly.
    if (compiled.options.accelerator !== accelerator) throw new Error(`${accelerator} does not take all of it`);
    const input = new litert.Tensor(new TYPES[one.dtype](bytes), one.shape);
    const outputs = await (one.signature ? compiled.run(one.signature, [input]) : compiled.run([input]));
    return await outputs[0].data();
  } finally {
    compiled.delete();
  }
}

async function main() {
  const task = await (await get("cases.json")).json();
  const litert = await import("@litertjs/core");
  await litert.loadLiteRt(task.library);
  const device = litert.getWebGpuDevice();
  const told = [];
  for (const [number, one] of task.cases.entries()) {
    document.getElementById("status").textContent = `${number} of ${task.cases.length}`;
    try {
      if (task.accelerator === "webgpu" && !device) throw new Error("this browser has no WebGPU");
      const answer = await post(`output/${number}`, await run(litert, task.accelerator, number, one));
      told.push({ error: answer.ok ? null : `its output was refused: ${answer.status}` });
    } catch (error) {
      told.push({ error: reason(error) });
    }
  }
  const info = device?.adapterInfo;
  const relaxed_simd = await litert.supportsFeature("relaxedSimd");
  const gpu = info ? [info.vendor, info.architecture, info.description].filter(Boolean).join(" ") : null;
  await post("report", JSON.stringify({ told, gpu, relaxed_simd, user_agent: navigator.userAgent }));
}

main().catch((error) => post("error", JSON.stringify({ message: reason(error), console: [] })));
