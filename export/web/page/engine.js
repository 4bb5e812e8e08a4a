// The page's end of the worker: a call is a message there and the answer a message back.

import { placesOfRuntime, readAsset, readText } from "./assets.js";

export class Engine {
  #worker;
  #last = 0;
  #waiting = new Map();

  // Start the worker and load the networks; `isRelaxed` is whether they run in the faster of LiteRT.js's builds.
  static async start(lens) {
    const engine = new Engine();
    // From an address of the page's own, a worker comes under the page's content security policy wherever the page lies;
    // a file's worker would come under that of the server's answer, which may have none.
    const code = new Blob([await readText("worker.js")], { type: "text/javascript" });
    engine.#worker = new Worker(URL.createObjectURL(code));
    engine.#worker.onmessage = ({ data }) => engine.#hear(data);
    engine.#worker.onerror = (event) => engine.#fail(event.message || "the worker did not start");
    const names = [lens.student.file, ...Object.values(lens.detectors).map(({ file }) => file)];
    const contents = await Promise.all(names.map(readAsset));
    const files = Object.fromEntries(names.map((name, index) => [name, contents[index]]));
    const places = await placesOfRuntime();
    await engine.#ask("load", { places, description: lens, files });
    return { engine, isRelaxed: places.isRelaxed };
  }

  // Compare this browser's translation of a drawn picture with Python's.
  check(expected) {
    return this.#ask("check", { expected });
  }

  // Translate an ImageBitmap, which comes back with the answer; `seconds` is null but in a film, and `isDetailed` whether
  // the picture's own detail is kept.
  translate(picture, seconds, isDetailed) {
    return this.#ask("translate", { picture, seconds, isDetailed }, [picture]);
  }

  #ask(task, what, handed = []) {
    this.#last += 1;
    const number = this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      this.#worker.postMessage({ task, number, ...what }, handed);
    });
  }

  #hear({ number, answer, trouble }) {
    const { resolve, reject } = this.#waiting.get(number);
    this.#waiting.delete(number);
    if (trouble === undefined) resolve(answer);
    else reject(new Error(trouble));
  }

  #fail(message) {
    for (const { reject } of this.#waiting.values()) reject(new Error(message));
    this.#waiting.clear();
  }
}
