// Runs every model of task.json in turns, as `compress bench host` does, and posts what it measured. The server computes
// medians, ratios and parity, so that every browser's record is made in one place.

const CONSOLE_LINES = 40;
const LONGEST_TEXT = 4000;
const said = [];
for (const level of ["log", "warn", "error"]) {
  const original = console[level];
  console[level] = (...parts) => {
    said.push(`${level}: ${parts.join(" ")}`.slice(0, LONGEST_TEXT));
    said.splice(0, said.length - CONSOLE_LINES);
    original.apply(console, parts);
  };
}

const reason = (error) => (error?.message ?? String(error)).slice(0, LONGEST_TEXT);
const element = (id) => document.getElementById(id);
const show = (text) => { element("status").textContent = text; };
// Lets the page be painted and the phone stay responsive between turns.
const breathe = () => new Promise((resolve) => setTimeout(resolve));

class ModelError extends Error {
  constructor(model, cause) {
    super(cause?.message ?? String(cause));
    this.model = model;
  }
}

async function get(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response;
}

async function post(path, body) {
  const response = await fetch(path, { method: "POST", body });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

// LiteRT.js comes in one build with threads and one without; the first needs a browser that grants shared memory.
async function load(litert, threads) {
  const folder = "@litertjs/core/wasm/";
  if (threads > 1 && window.crossOriginIsolated) {
    try {
      await litert.loadLiteRt(folder, { threads: true });
      return threads;
    } catch (error) {
      console.warn(`no threads: ${error.message}`);
    }
  }
  await litert.loadLiteRt(folder);
  return 1;
}

async function compile(litert, model, index, accelerator, threads) {
  const content = new Uint8Array(await (await get(`models/${index}.tflite`)).arrayBuffer());
  const bytes = await (await get(`inputs/${index}.bin`)).arrayBuffer();
  const started = performance.now();
  const compiled = await litert.loadAndCompile(content, { accelerator, cpuOptions: { numThreads: threads } });
  const loadMs = performance.now() - started;
  // Where WebGPU cannot take a model, LiteRT.js may quietly compile it for WebAssembly.
  if (compiled.options.accelerator !== accelerator) {
    compiled.delete();
    throw new Error(`${accelerator} does not take all of it`);
  }
  const values = model.input.dtype === "uint8" ? new Uint8Array(bytes) : new Float32Array(bytes);
  const input = new litert.Tensor(values, model.input.shape);
  const device = accelerator === "webgpu" ? litert.getWebGpuDevice() : null;
  return { index, accelerator, compiled, input, device, loadMs, values };
}

// One image. On WebGPU that is the input's way to the GPU too, and until the GPU is done; not the output's way back.
async function invoke(entry) {
  const outputs = await entry.compiled.run([entry.input]);
  if (entry.device) await entry.device.queue.onSubmittedWorkDone();
  return outputs;
}

async function invokeOnly(entry) {
  for (const output of await invoke(entry)) output.delete();
}

// The mean of as many images as fill a turn: where memory is not shared, a browser's clock ticks in steps of up to 1 ms.
async function takeTurn(entry, turnMs) {
  const started = performance.now();
  let count = 0;
  let elapsed = 0;
  while (elapsed < turnMs) {
    await invokeOnly(entry);
    count += 1;
    elapsed = performance.now() - started;
  }
  return elapsed / count;
}

// The first run, whose output is compared, and the rest of the warm-up.
async function warmUp(entry, task) {
  const started = performance.now();
  const outputs = await invoke(entry);
  entry.firstMs = performance.now() - started;
  entry.output = await outputs[0].data();
  for (const output of outputs) output.delete();
  entry.parity = await post(`output/${entry.index}`, entry.output);
  for (let number = 1; number < task.warmup; number += 1) await invokeOnly(entry);
}

async function loadModels(litert, task, threads) {
  const entries = [];
  const failures = [];
  const accelerators = litert.getWebGpuDevice() ? ["wasm", "webgpu"] : ["wasm"];
  for (const accelerator of accelerators) {
    for (const [index, model] of task.models.entries()) {
      show(`loading ${model.name} (${accelerator})`);
      await breathe();
      try {
        const entry = await compile(litert, model, index, accelerator, threads);
        await warmUp(entry, task);
        entries.push(entry);
      } catch (error) {
        if (accelerator === "wasm") throw new ModelError(index, error);
        failures.push({ model: index, accelerator, why: reason(error) });
      }
    }
  }
  return { entries, failures };
}

async function takeTurns(entries, task) {
  const rounds = [];
  for (let number = 0; number < task.runs; number += 1) {
    show(`round ${number + 1} of ${task.runs}`);
    const latencies = new Array(entries.length);
    for (let offset = 0; offset < entries.length; offset += 1) {
      const position = (number + offset) % entries.length;
      await breathe();
      latencies[position] = await takeTurn(entries[position], task.turn_ms);
    }
    rounds.push(latencies);
  }
  return rounds;
}

async function describeBrowser(litert) {
  const info = litert.getWebGpuDevice()?.adapterInfo;
  return {
    user_agent: navigator.userAgent,
    cores: navigator.hardwareConcurrency,
    cross_origin_isolated: window.crossOriginIsolated,
    secure_context: window.isSecureContext,
    relaxed_simd: await litert.supportsFeature("relaxedSimd"),
    webgpu: info ? { vendor: info.vendor, architecture: info.architecture, description: info.description } : null,
  };
}

function addRow(cells, kind) {
  const row = element("results").insertRow();
  for (const cell of cells) {
    const made = document.createElement(kind);
    made.textContent = cell;
    row.append(made);
  }
}

function showRecord(record) {
  addRow(["model", "on", "size", "median", "min - p95", "speed-up", "load", "first", "within 1/255 of host"], "th");
  const ms = (value) => `${value.toFixed(2)} ms`;
  for (const entry of record.entries) {
    const { min, median: middle, p95 } = entry.latency_ms;
    addRow([
      entry.name, entry.accelerator, `${(entry.size_bytes / 1e3).toFixed(1)} kB`, ms(middle),
      `${min.toFixed(2)} - ${ms(p95)}`, entry.withheld ? "too noisy" : `${entry.speedup.toPrecision(3)}x`,
      ms(entry.load_ms), ms(entry.first_ms),
      `${(100 * entry.parity.share_within_1_255).toFixed(2)} %`,
    ], "td");
  }
  element("results").hidden = false;
  const notes = [`${record.runs} interleaved rounds, ${record.threads} thread(s), LiteRT.js ${record.litert_js}`];
  notes.push(record.browser.user_agent);
  if (!record.browser.secure_context) notes.push("by plain http a browser grants neither threads nor WebGPU");
  for (const failure of record.failures) notes.push(`${failure.name} on ${failure.accelerator}: ${failure.why}`);
  element("notes").textContent = notes.join(" · ");
  const file = new Blob([JSON.stringify(record, null, 2)], { type: "application/json" });
  element("download").href = URL.createObjectURL(file);
  element("download").hidden = false;
}

function addPicture(caption, values, tensor) {
  const [, height, width] = tensor.shape;
  const pixels = new ImageData(width, height);
  for (let pixel = 0; pixel < height * width; pixel += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      const value = values[3 * pixel + channel];
      // ImageData clamps and rounds.
      pixels.data[4 * pixel + channel] = tensor.dtype === "uint8" ? value : (value + 1) * 127.5;
    }
    pixels.data[4 * pixel + 3] = 255;
  }
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  const figure = document.createElement("figure");
  const text = document.createElement("figcaption");
  text.textContent = caption;
  figure.append(canvas, text);
  element("pictures").append(figure);
}

async function main() {
  const task = await (await get("task.json")).json();
  const started = performance.now();
  const litert = await import("@litertjs/core");
  const threads = await load(litert, task.threads);
  const libraryLoadMs = performance.now() - started;
  const { entries, failures } = await loadModels(litert, task, threads);
  addPicture("input", entries[0].values, task.models[0].input);
  for (const { index, accelerator, output } of entries) {
    const model = task.models[index];
    addPicture(`${model.name} (${accelerator})`, output, model.output);
  }
  const rounds = await takeTurns(entries, task);
  const report = {
    browser: await describeBrowser(litert),
    threads,
    library_load_ms: libraryLoadMs,
    entries: entries.map((entry) => ({
      model: entry.index,
      accelerator: entry.accelerator,
      fully_accelerated: entry.compiled.isFullyAccelerated,
      load_ms: entry.loadMs,
      first_ms: entry.firstMs,
      parity: entry.parity,
    })),
    rounds,
    failures,
  };
  showRecord(await post("report", JSON.stringify(report)));
  show("done");
}

async function fail(error) {
  show("stopped");
  element("failure").textContent = reason(error);
  element("failure").hidden = false;
  const content = { model: error?.model ?? null, message: reason(error), console: said };
  await fetch("error", { method: "POST", body: JSON.stringify(content) });
}

main().catch(fail);
