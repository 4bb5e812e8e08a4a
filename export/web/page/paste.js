// A square's translation pasted into the picture with the picture's own detail: as export/lens/paste.py does it.

import { UNIT_BITS, localGain } from "./detail.js";
import { invert, mapPoint, matrixOf } from "./placement.js";
import { between, gridOf, roundEven, shrink, turn, widen } from "./resample.js";

// Side of a square, in the model's, up to which the picture's detail is kept as it is.
const LEAST_WITH_GAIN = 1.2;
const SHARE_BITS = 7;

// Return the part of a picture that a square touches; null where it lies outside.
export function boxOf(placement, { width, height }) {
  const corners = [[0, 0], [1, 0], [1, 1], [0, 1]].map((corner) => mapPoint(matrixOf(placement, 1), corner));
  const [xs, ys] = [0, 1].map((axis) => corners.map((corner) => corner[axis]));
  const [left, top] = [xs, ys].map((ends) => Math.max(Math.floor(Math.min(...ends)), 0));
  const [right, bottom] = [Math.min(Math.ceil(Math.max(...xs)), width), Math.min(Math.ceil(Math.max(...ys)), height)];
  return left < right && top < bottom ? { left, top, width: right - left, height: bottom - top } : null;
}

// Return the least box that holds some; null where there is none.
export function boxAround(boxes) {
  if (!boxes.length) return null;
  const [left, top] = ["left", "top"].map((end) => Math.min(...boxes.map((box) => box[end])));
  const right = Math.max(...boxes.map((box) => box.left + box.width));
  const bottom = Math.max(...boxes.map((box) => box.top + box.height));
  return { left, top, width: right - left, height: bottom - top };
}

// Paste a square into a part of the picture, in place. `part` is a box with its pixels: `original`, as they were, and
// `colours`, as they become. `square` holds what the model saw as `before`, and what it made of it as `after`, which is as
// transparent as the square's mask; `isGained` is whether detail is multiplied whatever the square's size.
export function paste(part, { placement, before, after, size }, box, isGained) {
  const { matrix, width, height, factor } = gridOfSquare(placement, size, box);
  const side = Math.ceil(size / factor);
  const [seen, made] = [before, after].map((pixels) => (
    turn(factor > 1 ? shrink(pixels, size, factor) : pixels, side, matrix, width, height)
  ));
  const gain = isGained || placement.side / size > LEAST_WITH_GAIN ? localGain(seen, made, width, height) : null;
  for (let place = 3; place < made.length; place += 4) made[place] = (made[place] + 1) >> 1;
  const layers = [made, seen, gain].map((layer) => layer && widen(layer, width, box.width));
  lay(part, box, layers, gridOf(box.height, height));
}

// Return the grid over a box that a square is turned to, at its own scale where it is enlarged; and by what it is shrunk
// before, where it is near a whole number of times larger than in the picture.
function gridOfSquare(placement, size, box) {
  const scale = size / placement.side;
  const [width, height] = [box.width, box.height].map((length) => Math.max(1, roundEven(length * Math.min(scale, 1))));
  const factor = Math.max(1, roundEven(scale));
  const back = invert(matrixOf(placement, size));
  const [across, down] = [box.width / width, box.height / height];
  const [x, y] = mapPoint(back, [box.left, box.top]);
  const matrix = [back[0] * across, back[1] * across, back[2] * down, back[3] * down, x, y];
  return { matrix: matrix.map((value) => value / factor), width, height, factor };
}

// Lay widened layers over a box: the picture with its share of 128ths, what the model saw, and the gain, if there is one.
function lay(part, box, [made, seen, gain], { before, weights }) {
  const { colours, original } = part;
  const length = 4 * box.width;
  for (let row = 0; row < box.height; row += 1) {
    const weight = weights[row];
    let place = 4 * ((box.top - part.top + row) * part.width + box.left - part.left);
    for (let above = before[row] * length, end = above + length; above < end; above += 4, place += 4) {
      const share = between(made[above + 3], made[above + length + 3], weight);
      for (let channel = 0; share && channel < 3; channel += 1) {
        const [at, below] = [above + channel, above + length + channel];
        let detail = original[place + channel] - between(seen[at], seen[below], weight);
        if (gain) detail = (detail * between(gain[at], gain[below], weight) + (1 << (UNIT_BITS - 1))) >> UNIT_BITS;
        const wanted = Math.min(Math.max(detail + between(made[at], made[below], weight), 0), 255);
        // The array clamps.
        colours[place + channel] += ((wanted - colours[place + channel]) * share + 64) >> SHARE_BITS;
      }
    }
  }
}
