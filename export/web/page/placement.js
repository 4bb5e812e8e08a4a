// Where a face's square lies in the picture: a centre, a side and a turn. The same template as training's.

// Return the square in which a face lies as the template says.
export function placeFace(points, template) {
  const [right, left, , mouth] = points;
  const eyes = [(right[0] + left[0]) / 2, (right[1] + left[1]) / 2];
  const apart = Math.hypot(left[0] - right[0], left[1] - right[1]);
  const toMouth = Math.hypot(mouth[0] - eyes[0], mouth[1] - eyes[1]);
  const side = Math.max(apart / template.eye_distance, toMouth / template.eye_to_mouth, 1);
  const roll = template.level_eyes ? rollOf(points) : 0;
  const across = (0.5 - template.eyes_x) * side;
  const down = (0.5 - template.eyes_y) * side;
  const [cosine, sine] = [Math.cos(roll), Math.sin(roll)];
  return { x: eyes[0] + cosine * across - sine * down, y: eyes[1] + sine * across + cosine * down, side, roll };
}

// Return the angle of the eye line, radians, clockwise.
export function rollOf([right, left]) {
  return Math.atan2(left[1] - right[1], left[0] - right[0]);
}

// Return the map from places in a square of `size` pixels to the picture's, as a canvas takes it: a, b, c, d, e, f.
export function matrixOf({ x, y, side, roll }, size) {
  const step = side / size;
  const [cosine, sine] = [step * Math.cos(roll), step * Math.sin(roll)];
  const half = size / 2;
  return [cosine, sine, -sine, cosine, x - half * (cosine - sine), y - half * (sine + cosine)];
}

// Return the way back of such a map.
export function invert([a, b, c, d, e, f]) {
  const area = a * d - b * c;
  return [d / area, -b / area, -c / area, a / area, (c * f - d * e) / area, (b * e - a * f) / area];
}

export function mapPoint([a, b, c, d, e, f], [x, y]) {
  return [a * x + c * y + e, b * x + d * y + f];
}
