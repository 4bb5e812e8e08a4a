// How much of the picture's own detail a translation keeps, place by place, colour by colour: as export/lens/detail.py
// does it, sums in whole numbers and the rest in float32.

import { roundEven } from "./resample.js";

// A gain of 1 is 64.
export const UNIT_BITS = 6;
const RADIUS = 2;
const SMOOTHING = 1;
const AROUND_WINDOW = RADIUS + SMOOTHING;
const FLAT = Math.fround(1e-3 * 255 ** 2);
const MISFIT = Math.fround(-1 / (0.1 * 255) ** 2);
const LARGEST_GAIN = 2;

const pixelsOf = (radius) => (2 * radius + 1) ** 2;

// Return by how much the picture's detail has to be multiplied to go with the translation, in 64ths; `before` and `after`
// are pixels, four bytes each.
export function localGain(before, after, width, height) {
  const gains = new Int16Array(4 * width * height);
  const unit = Math.fround((1 << UNIT_BITS) / pixelsOf(SMOOTHING));
  for (let channel = 0; channel < 3; channel += 1) {
    const [one, other] = [before, after].map((pixels) => padPlane(pixels, width, height, channel));
    const sums = gainOfPlane(one, other, width + 2 * AROUND_WINDOW, height + 2 * AROUND_WINDOW);
    for (let place = 0; place < sums.length; place += 1) {
      gains[4 * place + channel] = roundEven(Math.fround(sums[place] * unit));
    }
  }
  return gains;
}

// Take one colour of a picture, with its edge repeated around it as far as windows reach.
function padPlane(pixels, width, height, channel) {
  const [wide, high] = [width + 2 * AROUND_WINDOW, height + 2 * AROUND_WINDOW];
  const plane = new Int32Array(wide * high);
  const inside = (place, length) => Math.min(Math.max(place - AROUND_WINDOW, 0), length - 1);
  for (let y = 0, to = 0; y < high; y += 1) {
    const row = inside(y, height) * width;
    for (let x = 0; x < wide; x += 1, to += 1) plane[to] = pixels[4 * (row + inside(x, width)) + channel];
  }
  return plane;
}

// Return the gains of a padded plane, summed over the windows that smooth them.
function gainOfPlane(one, other, width, height) {
  const [oneSums, otherSums] = [one, other].map((plane) => windowSums(plane, width, height, RADIUS));
  const variance = covariance(one, one, oneSums, oneSums, width, height);
  const shared = covariance(one, other, oneSums, otherSums, width, height);
  const otherVariance = covariance(other, other, otherSums, otherSums, width, height);
  const kept = new Float32Array(variance.length);
  for (let place = 0; place < kept.length; place += 1) {
    kept[place] = keptOf(variance[place], shared[place], otherVariance[place]);
  }
  return windowSums(kept, width - 2 * RADIUS, height - 2 * RADIUS, SMOOTHING);
}

function keptOf(variance, shared, otherVariance) {
  const { fround } = Math;
  const gain = fround(fround(shared + FLAT) / fround(variance + FLAT));
  const misfit = fround(otherVariance - fround(gain * fround(2 * shared - fround(gain * variance))));
  const sure = fround(Math.exp(fround(Math.max(misfit, 0) * MISFIT)));
  return Math.min(Math.max(gain, -LARGEST_GAIN), LARGEST_GAIN) * sure;
}

// Return the covariance of two planes in each window, exact until it is divided.
function covariance(left, right, leftSums, rightSums, width, height) {
  const products = new Int32Array(left.length);
  for (let place = 0; place < left.length; place += 1) products[place] = left[place] * right[place];
  const sums = windowSums(products, width, height, RADIUS);
  const covariances = new Float32Array(sums.length);
  const count = pixelsOf(RADIUS);
  const step = Math.fround(1 / count ** 2);
  for (let place = 0; place < sums.length; place += 1) {
    covariances[place] = Math.fround(count * sums[place] - leftSums[place] * rightSums[place]) * step;
  }
  return covariances;
}

// Sum a plane over the windows that lie inside it.
function windowSums(values, width, height, radius) {
  const [rows, columns] = [height - 2 * radius, width - 2 * radius];
  const down = values.slice(0, rows * width);
  for (let step = 1; step <= 2 * radius; step += 1) {
    for (let place = 0; place < down.length; place += 1) down[place] += values[place + step * width];
  }
  const sums = new values.constructor(rows * columns);
  for (let step = 0; step <= 2 * radius; step += 1) {
    for (let row = 0, to = 0; row < rows; row += 1) {
      for (let from = row * width + step, end = from + columns; from < end; from += 1, to += 1) sums[to] += down[from];
    }
  }
  return sums;
}
