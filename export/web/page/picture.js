// What is seen: the picture, its translated squares on it, and the line between before and after.

export class Picture {
  #canvas;
  #context;
  #shown = null;
  split = 0;
  isMirrored = false;

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
  }

  // Show a translated picture: `picture` is an ImageBitmap, as are the `patches`, each with its matrix.
  show(translated) {
    for (const old of this.#shown ? [this.#shown.picture, ...this.#shown.patches.map(({ image }) => image)] : []) {
      old.close();
    }
    this.#shown = translated;
    this.draw();
  }

  draw() {
    if (!this.#shown) return;
    const { picture, patches } = this.#shown;
    const { width, height } = picture;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    const context = this.#context;
    const turn = this.isMirrored ? [-1, 0, 0, 1, width, 0] : [1, 0, 0, 1, 0, 0];
    const line = Math.round((this.split / 100) * width);
    context.setTransform(...turn);
    context.drawImage(picture, 0, 0);
    context.save();
    context.resetTransform();
    context.beginPath();
    context.rect(line, 0, width - line, height);
    context.clip();
    context.imageSmoothingQuality = "high";
    for (const { image, matrix } of patches) {
      context.setTransform(...turn);
      context.transform(...matrix);
      context.drawImage(image, 0, 0);
    }
    context.restore();
    context.resetTransform();
    if (line > 0 && line < width) this.#drawLine(line, height);
  }

  // A white line in a dark one is seen on anything.
  #drawLine(line, height) {
    const wide = Math.max(2, Math.round(this.#canvas.width / 400));
    this.#context.fillStyle = "#000a";
    this.#context.fillRect(line - wide, 0, 2 * wide, height);
    this.#context.fillStyle = "#fff";
    this.#context.fillRect(line - wide / 2, 0, wide, height);
  }
}
