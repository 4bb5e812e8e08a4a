// The numbers on the page. Whoever measures the page reads them there: each element's `data-value` is the bare number.

const KEPT = 120;

export class Numbers {
  #frames = 0;
  #times = { frame: [], student: [] };
  #ends = [];

  // Show one number, in words, by the id of its element.
  show(id, value, text) {
    const element = document.getElementById(id);
    element.dataset.value = value;
    element.textContent = text;
  }

  // Count a frame that took so many milliseconds from its arrival until it was drawn.
  addFrame(frameMs, studentMs) {
    this.#frames += 1;
    this.#push(this.#times.frame, frameMs);
    this.#push(this.#times.student, studentMs);
    this.#push(this.#ends, performance.now());
    this.show("frames", this.#frames, String(this.#frames));
    this.#showTime("frame-ms", this.#times.frame);
    this.#showTime("student-ms", this.#times.student);
    const seconds = (this.#ends.at(-1) - this.#ends[0]) / 1000;
    const rate = seconds > 0 ? (this.#ends.length - 1) / seconds : 0;
    this.show("rate", rate, rate ? rate.toFixed(1) : "–");
  }

  // Start the counts anew, for another source.
  restart() {
    this.#frames = 0;
    this.#times = { frame: [], student: [] };
    this.#ends = [];
  }

  #push(values, value) {
    values.push(value);
    if (values.length > KEPT) values.shift();
  }

  #showTime(id, times) {
    const median = [...times].sort((one, other) => one - other)[Math.floor(times.length / 2)];
    this.show(id, median, `${median.toFixed(1)} ms`);
  }
}
