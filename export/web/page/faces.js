// BlazeFace's outputs, decoded; and the way from a picture to its faces: one network looks at all of it, the other
// confirms each find from near. As compress/faces does it in Python; Bazarevsky et al. 2019, arXiv:1907.05047.

import { mapPoint, rollOf } from "./placement.js";

const SAME_FACE = 0.3;
// The least score of a find and of its confirmation, and of large faces where nothing else is there.
export const LEAST = { find: 0.65, confirmed: 0.75, findLarge: 0.5, confirmedLarge: 0.6 };
const LARGE = 0.25;
const SURE = 0.85;
const AROUND = 2;

// Return the centres of cells in the order of a network's outputs; `grids` are pairs of stride and anchors a cell.
export function anchorsOf(side, grids) {
  const anchors = [];
  for (const [stride, each] of grids) {
    const cells = side / stride;
    for (let row = 0; row < cells; row += 1) {
      for (let column = 0; column < cells; column += 1) {
        for (let copy = 0; copy < each; copy += 1) anchors.push([(column + 0.5) * stride, (row + 0.5) * stride]);
      }
    }
  }
  return anchors;
}

// Decode outputs into faces in pixels of the network's square, the surest first.
export function decodeFaces(numbers, logits, anchors, least) {
  const threshold = Math.log(least / (1 - least));
  const finds = [];
  anchors.forEach(([x, y], index) => {
    if (!(logits[index] > threshold)) return;
    const at = (offset) => numbers[16 * index + offset];
    const [centreX, centreY, halfWidth, halfHeight] = [at(0) + x, at(1) + y, at(2) / 2, at(3) / 2];
    const places = [[centreX - halfWidth, centreY - halfHeight], [centreX + halfWidth, centreY + halfHeight]];
    for (let point = 0; point < 6; point += 1) places.push([at(4 + 2 * point) + x, at(5 + 2 * point) + y]);
    finds.push({ score: 1 / (1 + Math.exp(-logits[index])), places });
  });
  return mergeFinds(finds.sort((one, other) => other.score - one.score));
}

// Overlapping finds are one face, the mean of them weighted by score.
function mergeFinds(finds) {
  const faces = [];
  for (let left = finds; left.length; ) {
    const [best] = left;
    const isSame = (find) => find === best || overlap(best.places, find.places) > SAME_FACE;
    const same = left.filter(isSame);
    const weight = same.reduce((sum, find) => sum + find.score, 0);
    const mean = best.places.map((_, place) => [0, 1].map(
      (axis) => same.reduce((sum, find) => sum + find.score * find.places[place][axis], 0) / weight,
    ));
    faces.push({ score: best.score, box: mean.slice(0, 2), points: mean.slice(2) });
    left = left.filter((find) => !isSame(find));
  }
  return faces;
}

function overlap([[left, top], [right, bottom]], [[otherLeft, otherTop], [otherRight, otherBottom]]) {
  const across = Math.max(0, Math.min(right, otherRight) - Math.max(left, otherLeft));
  const down = Math.max(0, Math.min(bottom, otherBottom) - Math.max(top, otherTop));
  const area = (width, height) => Math.max(0, width) * Math.max(0, height);
  const union = area(right - left, bottom - top) + area(otherRight - otherLeft, otherBottom - otherTop) - across * down;
  return union > 0 ? (across * down) / union : 0;
}

export function sideOf({ box: [[left, top], [right, bottom]] }) {
  return Math.max(right - left, bottom - top);
}

// Map a face; its box becomes the upright one of the same centre, its sides as long as they were.
export function mapFace(face, matrix) {
  const [[left, top], [right, bottom]] = face.box;
  const [x, y] = mapPoint(matrix, [(left + right) / 2, (top + bottom) / 2]);
  const scale = Math.sqrt(Math.abs(matrix[0] * matrix[3] - matrix[1] * matrix[2]));
  const [halfWidth, halfHeight] = [(scale * (right - left)) / 2, (scale * (bottom - top)) / 2];
  const box = [[x - halfWidth, y - halfHeight], [x + halfWidth, y + halfHeight]];
  return { score: face.score, box, points: face.points.map((point) => mapPoint(matrix, point)) };
}

// Find the largest face of a picture; null where there is none. A face of the frame before is looked for there first.
//
// `look(network, placement)` has a network see a square of the picture, or all of it where there is no placement, and
// gives a function: the least score in, the faces in the picture's pixels out. `network` is "near" or "far".
export async function findFace(look, shorterSide, before) {
  if (before) {
    // It was sure enough once: a face that wavers at the bar would come and go.
    const again = await lookAt(look, before, rollOf(before.points), LEAST.confirmedLarge);
    if (again) return again;
  }
  const far = await look("far", null);
  let near = null;
  let found = far(LEAST.find);
  if (!found.length) {
    near = await look("near", null);
    found = near(LEAST.confirmed);
  }
  const sure = await confirmLargest(look, found, LEAST.confirmed);
  if (sure) return sure;
  near ??= await look("near", null);
  const unsure = [...far(LEAST.findLarge), ...near(LEAST.findLarge)];
  const large = await confirmLargest(look, unsure, LEAST.confirmedLarge);
  return large && sideOf(large) >= LARGE * shorterSide ? large : null;
}

async function confirmLargest(look, candidates, least) {
  let largest = null;
  for (const candidate of candidates) {
    const face = await lookAgain(look, candidate, least);
    if (face && (!largest || sideOf(face) > sideOf(largest))) largest = face;
  }
  return largest;
}

// An unsure face is also looked at upside down: hair is taken for a beard, and a beard for hair.
async function lookAgain(look, face, least) {
  const roll = rollOf(face.points);
  const seen = await lookAt(look, face, roll, least);
  if (!seen || seen.score >= SURE) return seen;
  const turned = await lookAt(look, face, roll + Math.PI, least);
  return turned && turned.score >= seen.score ? turned : seen;
}

async function lookAt(look, face, roll, least) {
  const [[left, top], [right, bottom]] = face.box;
  const around = { x: (left + right) / 2, y: (top + bottom) / 2, side: Math.max(AROUND * sideOf(face), 1), roll };
  const seen = await look("near", around);
  return seen(least).find((other) => overlap(face.box, other.box) >= SAME_FACE) ?? null;
}
