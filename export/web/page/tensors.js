// Pixels in, the values that a tensor holds out, and back. LiteRT.js tells neither scale nor zero point nor what black
// and white are; lens.json does.

const ARRAYS = { uint8: Uint8Array, float32: Float32Array };

// Turn pixels of a canvas, four bytes each, into what a network reads; in float32, as NumPy computes it.
export function toTensor(pixels, { dtype, black, white }) {
  const values = new ARRAYS[dtype]((3 * pixels.length) / 4);
  const step = 255 / (white - black);
  const round = dtype === "uint8" ? Math.round : Math.fround;
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += 3) {
    for (let channel = 0; channel < 3; channel += 1) {
      values[to + channel] = round(Math.fround(pixels[from + channel] / step) + black);
    }
  }
  return values;
}

// Turn what a network returned into pixels of a canvas, opaque.
export function toPixels(values, { black, white }) {
  const pixels = new Uint8ClampedArray((4 * values.length) / 3);
  const scale = 255 / (white - black);
  for (let from = 0, to = 0; from < values.length; from += 3, to += 4) {
    for (let channel = 0; channel < 3; channel += 1) {
      // The array clamps, and rounds halves to even, as NumPy does.
      pixels[to + channel] = Math.fround(Math.fround(values[from + channel] - black) * scale);
    }
    pixels[to + 3] = 255;
  }
  return pixels;
}

// Draw the picture that this page and Python both translate, to be compared: gradients, in whole numbers.
export function drawCheckPicture(side) {
  const pixels = new Uint8ClampedArray(4 * side * side);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const place = 4 * (y * side + x);
      pixels[place] = Math.floor((255 * x) / (side - 1));
      pixels[place + 1] = Math.floor((255 * y) / (side - 1));
      pixels[place + 2] = (7 * x + 11 * y) % 256;
      pixels[place + 3] = 255;
    }
  }
  return pixels;
}

// Compare pixels with the bytes of Python, three a pixel.
export function comparePixels(pixels, expected) {
  let differing = 0;
  let largest = 0;
  for (let index = 0; index < expected.length; index += 1) {
    const difference = Math.abs(pixels[4 * Math.floor(index / 3) + (index % 3)] - expected[index]);
    if (difference) differing += 1;
    largest = Math.max(largest, difference);
  }
  return { differing, largest, values: expected.length };
}
