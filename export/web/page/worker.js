// The worker: pictures in, translated squares out. It owns the networks; the page owns what is seen.

import { anchorsOf, decodeFaces, findFace, mapFace } from "./faces.js";
import { Network, loadRuntime } from "./networks.js";
import { boxAround, boxOf, paste } from "./paste.js";
import { matrixOf, placeFace } from "./placement.js";
import {
  applyMask, cutSquare, featheredMask, letterbox, readPart, risingMask, tilesOf, toPatch,
} from "./squares.js";
import { Steady } from "./steady.js";
import { comparePixels, drawCheckPicture, toPixels, toTensor } from "./tensors.js";

// A detector reads float values in [-1, 1].
const DETECTOR_INPUT = { dtype: "float32", black: -1, white: 1 };

let lens;
let student;
let mask;
const detectors = {};
const steady = new Steady();
let before = null;

async function load({ places, description, files }) {
  lens = description;
  const core = await loadRuntime(places);
  student = await Network.open(core, files[lens.student.file], lens.student.input.shape);
  for (const [name, { file, side_px: side, anchors }] of Object.entries(lens.detectors)) {
    const network = await Network.open(core, files[file], [1, side, side, 3]);
    detectors[name] = { network, side, anchors: anchorsOf(side, anchors) };
  }
  mask = featheredMask(lens.size_px, lens.feather);
}

// Translate pixels of the model's size; pixels come out.
async function translatePixels(pixels) {
  const [values] = await student.run(toTensor(pixels, lens.student.input));
  return toPixels(values, lens.student.output);
}

async function check({ expected }) {
  return comparePixels(await translatePixels(drawCheckPicture(lens.size_px)), new Uint8Array(expected));
}

// Have a detector see a square of the picture, or all of it: see findFace.
async function look(picture, name, placement) {
  const { network, side, anchors } = detectors[name];
  const { pixels, back } = placement
    ? { pixels: cutSquare(picture, placement, side), back: matrixOf(placement, side) }
    : letterbox(picture, side);
  const [first, second] = await network.run(toTensor(pixels, DETECTOR_INPUT));
  const [numbers, logits] = first.length > second.length ? [first, second] : [second, first];
  return (least) => decodeFaces(numbers, logits, anchors, least).map((face) => mapFace(face, back));
}

// Return where the squares lie that are translated, each with its mask.
async function placeSquares(picture, { seconds }) {
  if (lens.region === "whole") {
    return tilesOf(picture.width, picture.height).map(({ placement, overlap, isWide }) => (
      { placement, mask: risingMask(lens.size_px, overlap, isWide) }
    ));
  }
  const isFilm = seconds !== null;
  const shorter = Math.min(picture.width, picture.height);
  const face = await findFace((...what) => look(picture, ...what), shorter, isFilm ? before : null);
  before = isFilm ? face : null;
  if (!face) {
    steady.forget();
    return [];
  }
  const found = placeFace(face.points, lens.template);
  return [{ placement: isFilm ? steady.follow(found, seconds) : found, mask }];
}

async function translate({ picture, seconds, isDetailed }) {
  const started = performance.now();
  const placed = await placeSquares(picture, { seconds });
  const foundMs = performance.now() - started;
  const squares = [];
  let studentMs = 0;
  for (const { placement, mask: shares } of placed) {
    const before = cutSquare(picture, placement, lens.size_px);
    const begun = performance.now();
    const after = await translatePixels(before);
    studentMs += performance.now() - begun;
    applyMask(after, shares);
    squares.push({ placement, before, after, size: lens.size_px });
  }
  const patches = isDetailed ? detailedPatches(picture, squares) : squares.map(({ placement, after, size }) => (
    { image: toPatch(after, size, size), matrix: matrixOf(placement, size) }
  ));
  return { picture, patches, foundMs, studentMs };
}

// Paste squares with the picture's own detail into the part of the picture that they touch.
function detailedPatches(picture, squares) {
  const boxes = squares.map(({ placement }) => boxOf(placement, picture));
  const around = boxAround(boxes.filter((box) => box));
  if (!around) return [];
  const original = readPart(picture, around);
  const part = { ...around, original, colours: original.slice() };
  squares.forEach((square, index) => {
    if (boxes[index]) paste(part, square, boxes[index], lens.region === "whole");
  });
  return [{ image: toPatch(part.colours, part.width, part.height), matrix: [1, 0, 0, 1, part.left, part.top] }];
}

const TASKS = { load, check, translate };

// Pictures are handed over and back, not copied.
self.onmessage = async ({ data: { task, number, ...what } }) => {
  try {
    const answer = await TASKS[task](what);
    const handed = answer?.patches ? [answer.picture, ...answer.patches.map((patch) => patch.image)] : [];
    self.postMessage({ number, answer }, handed);
  } catch (error) {
    self.postMessage({ number, trouble: error?.message ?? String(error) });
  }
};
