// Holds a square still where the head is still, and lets it follow where the head moves: the One-Euro filter on the
// four parameters of a placement. Casiez et al. 2012, https://gery.casiez.net/1euro/.

const LEAST_HZ = 1.5;
// Hertz for each unit a second that a parameter moves: sides for the centre, e-folds for the side, radians for the turn.
const HZ_A_SPEED = 4;
const SPEED_HZ = 1;
// From one frame to the next; what goes further is another face, or a cut in a film.
const LARGEST_STEP = 0.35;
const LONGEST_GAP_S = 0.5;

const shareOf = (hz, seconds) => 1 / (1 + 1 / (2 * Math.PI * hz * seconds));

export class Steady {
  #last = null;

  // Return the placement to use for one that was found at `seconds`.
  follow(placement, seconds) {
    const last = this.#last;
    const gap = last ? seconds - last.seconds : 0;
    if (!last || gap <= 0 || gap > LONGEST_GAP_S) return this.#restart(placement, seconds);
    const unit = Math.exp(last.values[2]);
    const found = [placement.x, placement.y, Math.log(placement.side), nearestTurn(placement.roll, last.values[3])];
    const units = [unit, unit, 1, 1];
    const steps = found.map((value, index) => (value - last.values[index]) / units[index]);
    if (steps.some((step) => Math.abs(step) > LARGEST_STEP)) return this.#restart(placement, seconds);
    const speeds = steps.map((step, index) => {
      const share = shareOf(SPEED_HZ, gap);
      return last.speeds[index] + share * (step / gap - last.speeds[index]);
    });
    const values = last.values.map((value, index) => {
      const share = shareOf(LEAST_HZ + HZ_A_SPEED * Math.abs(speeds[index]), gap);
      return value + share * steps[index] * units[index];
    });
    this.#last = { seconds, values, speeds };
    return { x: values[0], y: values[1], side: Math.exp(values[2]), roll: values[3] };
  }

  // Forget the face: the next one starts anew.
  forget() {
    this.#last = null;
  }

  #restart(placement, seconds) {
    const values = [placement.x, placement.y, Math.log(placement.side), placement.roll];
    this.#last = { seconds, values, speeds: [0, 0, 0, 0] };
    return placement;
  }
}

// Return the same turn, written within half a turn of another.
function nearestTurn(roll, other) {
  return roll - 2 * Math.PI * Math.round((roll - other) / (2 * Math.PI));
}
