// Squares of a picture: cut out for a network, masked for the paste. Runs in the worker, on canvases of its own.

import { invert, matrixOf } from "./placement.js";

const canvases = new Map();

// Return a drawing context of a canvas that is kept for its purpose. Its pixels are read each time, so it stays off the
// graphics card.
function contextOf(purpose, width, height) {
  let context = canvases.get(purpose);
  if (!context || context.canvas.width !== width || context.canvas.height !== height) {
    context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    canvases.set(purpose, context);
  }
  context.resetTransform();
  return context;
}

// Cut a placed square out of a picture; beyond the picture's edge, the edge is repeated.
export function cutSquare(picture, placement, size) {
  const context = contextOf(`square ${size}`, size, size);
  context.setTransform(...invert(matrixOf(placement, size)));
  const reach = placement.side * 0.75;
  const isInside = placement.x - reach > 0 && placement.y - reach > 0
    && placement.x + reach < picture.width && placement.y + reach < picture.height;
  if (!isInside) repeatEdges(context, picture, placement.side * 2);
  context.drawImage(picture, 0, 0);
  return context.getImageData(0, 0, size, size).data;
}

function repeatEdges(context, picture, far) {
  const { width, height } = picture;
  // Of each axis: the strip before the picture, the picture, and the strip behind it; from where, and to where.
  const parts = (length) => [[0, 1, -far, far + 1], [0, length, 0, length], [length - 1, 1, length - 1, far + 1]];
  for (const [fromY, rows, toY, high] of parts(height)) {
    for (const [fromX, columns, toX, wide] of parts(width)) {
      context.drawImage(picture, fromX, fromY, columns, rows, toX, toY, wide, high);
    }
  }
}

// Fit a picture into the middle of a black square; `back` maps places there to the picture's.
export function letterbox(picture, side) {
  const context = contextOf(`letterbox ${side}`, side, side);
  const fit = side / Math.max(picture.width, picture.height);
  const [across, down] = [Math.max(1, Math.round(picture.width * fit)), Math.max(1, Math.round(picture.height * fit))];
  const [left, top] = [Math.floor((side - across) / 2), Math.floor((side - down) / 2)];
  context.fillStyle = "#000";
  context.fillRect(0, 0, side, side);
  context.drawImage(picture, left, top, across, down);
  const [scaleX, scaleY] = [across / picture.width, down / picture.height];
  const back = [1 / scaleX, 0, 0, 1 / scaleY, -left / scaleX, -top / scaleY];
  return { pixels: context.getImageData(0, 0, side, side).data, back };
}

// Return a square's mask, 0 to 1: inside all, falling off smoothly to nothing at its border.
export function featheredMask(size, feather) {
  const ramp = Array.from({ length: size }, (_, place) => {
    const distance = Math.min(place, size - 1 - place) - 1.5;
    const share = Math.min(Math.max(distance / (feather * size), 0), 1);
    return share * share * (3 - 2 * share);
  });
  return Float32Array.from({ length: size * size }, (_, index) => ramp[index % size] * ramp[Math.floor(index / size)]);
}

// Return a mask that rises from the left or the top over `share` of the square; all, where `share` is 0.
export function risingMask(size, share, isWide) {
  return Float32Array.from({ length: size * size }, (_, index) => {
    const place = isWide ? index % size : Math.floor(index / size);
    return share > 0 ? Math.min((place + 0.5) / (share * size), 1) : 1;
  });
}

// Make pixels as transparent as a mask says.
export function applyMask(pixels, mask) {
  mask.forEach((share, index) => { pixels[4 * index + 3] = Math.round(255 * share); });
}

// Read the pixels of a part of a picture.
export function readPart(picture, { left, top, width, height }) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, -left, -top);
  return context.getImageData(0, 0, width, height).data;
}

// Turn pixels into a picture that a canvas can draw.
export function toPatch(pixels, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  return canvas.transferToImageBitmap();
}

// Return the squares that all of a picture is translated in, of its shorter side, with their share of overlap with the
// one before.
export function tilesOf(width, height) {
  const side = Math.min(width, height);
  const length = Math.max(width, height);
  const count = 1 + Math.ceil((length - side) / (side * 0.75));
  return Array.from({ length: count }, (_, index) => {
    const start = count > 1 ? Math.round((index * (length - side)) / (count - 1)) : 0;
    const before = index ? Math.round(((index - 1) * (length - side)) / (count - 1)) : -side;
    const middle = start + side / 2;
    const [x, y] = width > height ? [middle, side / 2] : [side / 2, middle];
    return { placement: { x, y, side, roll: 0 }, overlap: Math.max(0, (before + side - start) / side), isWide: width > height };
  });
}
