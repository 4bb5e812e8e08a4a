// Resampling in whole numbers, bilinear, pixel centres at halves: as compress/faces/warp.py does it, but for rounding.

// Steps of a weight.
const STEP_BITS = 7;

// Round halves to even, as NumPy does.
export function roundEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

// Return the mean of two bytes, rounded; `weight`, 0 to 128, is the second's.
export function between(one, other, weight) {
  return one + (((other - one) * weight + 64) >> STEP_BITS);
}

// Return a place along an axis in 128ths of a pixel, from the first pixel's centre to the last's.
function stepsOf(place, length) {
  return roundEven(Math.min(Math.max(Math.fround(place - 0.5), 0), length - 1) * 128);
}

// Return the pixel before such a place; the rest is the weight of the next.
function pixelBefore(steps, length) {
  return Math.min(steps >> STEP_BITS, Math.max(length - 2, 0));
}

// Sample a square of `side` pixels, four bytes each, at the places of another grid; its border goes on outside.
export function turn(pixels, side, matrix, width, height) {
  const [acrossX, downX, acrossY, downY, across, down] = matrix;
  const turned = new Uint8ClampedArray(4 * width * height);
  const [columnsX, columnsY] = [acrossX, downX].map((step) => stepsAlong(width, step, 0));
  const [rowsX, rowsY] = [stepsAlong(height, acrossY, across - 0.5), stepsAlong(height, downY, down - 0.5)];
  const last = (side - 1) << STEP_BITS;
  for (let y = 0, to = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const stepsX = Math.min(Math.max(columnsX[x] + rowsX[y], 0), last);
      const stepsY = Math.min(Math.max(columnsY[x] + rowsY[y], 0), last);
      const [u, v] = [pixelBefore(stepsX, side), pixelBefore(stepsY, side)];
      const [right, below] = [stepsX - (u << STEP_BITS), stepsY - (v << STEP_BITS)];
      for (let from = 4 * (v * side + u), end = to + 4; to < end; from += 1, to += 1) {
        const upper = between(pixels[from], pixels[from + 4], right);
        const lower = between(pixels[from + 4 * side], pixels[from + 4 * side + 4], right);
        turned[to] = between(upper, lower, below);
      }
    }
  }
  return turned;
}

// Return what each place along an axis adds to one of the square's, in 128ths of a pixel.
function stepsAlong(length, step, start) {
  return Int32Array.from({ length }, (_, place) => roundEven((step * (place + 0.5) + start) * 128));
}

// Return, for each place of an axis that is enlarged, the source's place before it and the weight of the next.
export function gridOf(length, source) {
  const [before, weights] = [new Int32Array(length), new Int32Array(length)];
  const step = Math.fround(source / length);
  for (let place = 0; place < length; place += 1) {
    const steps = stepsOf(Math.fround((place + 0.5) * step), source);
    before[place] = pixelBefore(steps, source);
    weights[place] = steps - (before[place] << STEP_BITS);
  }
  return { before, weights };
}

// Enlarge the rows of a picture of four values a pixel.
export function widen(values, columns, width) {
  const height = values.length / (4 * columns);
  const { before, weights } = gridOf(width, columns);
  const widened = new Int16Array(4 * width * height);
  for (let row = 0, to = 0; row < height; row += 1) {
    for (let x = 0; x < width; x += 1) {
      for (let from = 4 * (row * columns + before[x]), end = to + 4; to < end; from += 1, to += 1) {
        widened[to] = between(values[from], values[from + 4], weights[x]);
      }
    }
  }
  return widened;
}

// Shrink a square by a whole number: groups of pixels become their mean, what is left at the end by itself.
export function shrink(pixels, side, factor) {
  const count = Math.ceil(side / factor);
  const shrunk = new Uint8ClampedArray(4 * count * count);
  for (let y = 0; y < count; y += 1) {
    for (let x = 0; x < count; x += 1) {
      for (let channel = 0; channel < 4; channel += 1) {
        shrunk[4 * (y * count + x) + channel] = meanOf(pixels, side, x * factor, y * factor, factor, channel);
      }
    }
  }
  return shrunk;
}

function meanOf(pixels, side, left, top, factor, channel) {
  const [right, bottom] = [Math.min(left + factor, side), Math.min(top + factor, side)];
  let sum = 0;
  for (let y = top; y < bottom; y += 1) {
    for (let x = left; x < right; x += 1) sum += pixels[4 * (y * side + x) + channel];
  }
  return Math.round(sum / ((right - left) * (bottom - top)));
}
