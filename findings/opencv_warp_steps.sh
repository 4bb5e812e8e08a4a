#!/usr/bin/env bash
# A picture is moved by steps of 1/32 of a pixel in one release of OpenCV, and by any amount in the next.
#
# Guess: warpAffine with INTER_LINEAR returns, but for rounding, the bilinear mean of four pixels at the place that the
# matrix names; another release returns the same.
#
# Seen with opencv-python-headless 4.13.0.92 and 5.0.0.93 on x86-64, uint8 of one, three and four channels: 4.13 rounds
# places to 1/32 of a pixel. A move by 1/128 of a pixel changes no byte there; noise that is turned and shrunk by a third
# comes back up to 6 of 255 from the bilinear mean. 5.0 is within half a level, and moves by 1/128. So a square that
# follows a face moves in steps with one and steadily with the other, and faces that were aligned by the two are two data
# sets. remap rounds to 1/32 in 4.13 alone, too. In 5.0 three channels take longer than four.
#
# Prints what was seen; ends with 1 where any of it is otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 4.13.0.92 5.0.0.93; do
    python3 -m pip install --quiet --disable-pip-version-check --target "$folder/$version" \
        "opencv-python-headless==$version" 'numpy==2.2.6' \
        2>"$folder/pip.log" || { cat "$folder/pip.log" >&2; exit 2; } # not installed: nothing was seen
    PYTHONPATH="$folder/$version" python3 - <<'PYTHON'
import timeit

import cv2
import numpy as np

cv2.setNumThreads(1)
OLD = cv2.__version__.startswith("4.")
PICTURE = np.random.default_rng(0).integers(0, 256, (128, 128, 4), dtype=np.uint8)


def warp(picture, matrix, size=64):
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, matrix, (size, size), flags=flags).reshape(size, size, -1)


def places(matrix, size=64):
    across, down = np.meshgrid(np.arange(size), np.arange(size))
    return tuple(row[0] * across + row[1] * down + row[2] for row in matrix)


def bilinear(picture, matrix):
    x, y = places(matrix)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, below = (x - left)[..., None], (y - top)[..., None]
    corner = lambda dy, dx: picture[top + dy, left + dx].astype(float)
    upper, lower = (corner(row, 0) * (1 - right) + corner(row, 1) * right for row in (0, 1))
    return upper * (1 - below) + lower * below


def moved(by):
    return np.array([[1.0, 0, 30 + by], [0, 1.0, 30]])


def remapped(by):
    x, y = (place.astype(np.float32) for place in places(moved(by)))
    return cv2.remap(PICTURE, x, y, cv2.INTER_LINEAR)


matrix = np.array([[0.697, -0.0699, 40.3], [0.0699, 0.697, 20.7]])
worst = []
for channels in (1, 3, 4):
    picture = np.ascontiguousarray(PICTURE[..., :channels])
    worst.append(float(np.abs(warp(picture, matrix) - bilinear(picture, matrix)).max()))
small_move = bool((warp(PICTURE, moved(1 / 128)) != warp(PICTURE, moved(0))).any())
small_remap = bool((remapped(1 / 128) != remapped(0)).any())
large_move = bool((warp(PICTURE, moved(1 / 32)) != warp(PICTURE, moved(0))).any())
times = []
for channels in (3, 4):
    picture = np.ascontiguousarray(PICTURE[..., :channels])
    times.append(min(timeit.repeat(lambda: warp(picture, matrix / 8, 512), number=5, repeat=15)))
print(
    f"{cv2.__version__}: largest differences to the bilinear mean {', '.join(f'{off:.2f}' for off in worst)} of 255; a move "
    f"by 1/128 changes pixels: {small_move}, in remap: {small_remap}; three channels take {times[0] / times[1]:.1f} times "
    "as long as four"
)
assert large_move
assert all(off > 4 if OLD else off <= 0.51 for off in worst), worst
assert small_move is (not OLD) and small_remap is (not OLD), (small_move, small_remap)
assert OLD or times[0] > times[1], times
PYTHON
done
