"""Detail in the page: its scripts paste a square as Python does, where both were given the same pixels."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from compress.faces.cut import bounds, cut
from compress.faces.template import Placement
from export.lens.paste import Photo, feathered_mask, paste
from export.web import page_files

SIZE = 64
PLACEMENTS = [
    Placement(x=160, y=120, side_px=40),
    Placement(x=160, y=120, side_px=25, roll_rad=0.5),
    Placement(x=160.2, y=119.4, side_px=70, roll_rad=0.2),
    Placement(x=160, y=120, side_px=150),
    Placement(x=160.4, y=119.7, side_px=211.3, roll_rad=-0.3),
    Placement(x=300, y=10, side_px=150, roll_rad=0.1),
]
_PASTE = """(() => {
  %s
  const bytes = (text) => Uint8ClampedArray.from(atob(text), (letter) => letter.charCodeAt(0));
  const { photo, before, after, placement, width, height, size } = %s;
  const colours = bytes(photo);
  const part = { left: 0, top: 0, width, height, original: bytes(photo), colours };
  const box = boxOf(placement, { width, height });
  paste(part, { placement, before: bytes(before), after: bytes(after), size }, box, false);
  return { box, colours: btoa(Array.from(colours, (value) => String.fromCharCode(value)).join("")) };
})()"""


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """Coarse colours with fine noise on them, `(240, 320, 3)` uint8."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((320, 240), Image.Resampling.BICUBIC)).astype(int)
    return np.clip(smooth + random.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)


def partly_toned(square: np.ndarray) -> np.ndarray:
    """What a model might make: the upper half in other tones, the lower one drawn anew."""
    made = 255 - square // 2
    made[SIZE // 2 :] = np.random.default_rng(1).integers(0, 256, (SIZE - SIZE // 2, SIZE, 3), dtype=np.uint8)
    return made


@pytest.fixture(scope="module")
def script() -> str:
    return page_files._join(("placement", "resample", "detail", "paste"))


@pytest.fixture(scope="module")
def bare_page(real_browser: Path, open_browser: Callable[..., Any]) -> Iterator[Any]:
    page = open_browser(real_browser)
    try:
        yield page
    finally:
        page.close()


def packed(colours: np.ndarray, alpha: np.ndarray | None = None) -> str:
    """Return pixels as a canvas holds them, four bytes each."""
    last = np.full(colours.shape[:2], 255, np.uint8) if alpha is None else alpha
    return base64.b64encode(np.dstack([colours, last]).tobytes()).decode()


@pytest.mark.parametrize("placement", PLACEMENTS, ids=lambda placement: f"{placement.side_px:g}px")
def test_the_page_pastes_as_python_does(bare_page: Any, script: str, photo: np.ndarray, placement: Placement) -> None:
    mask = feathered_mask(SIZE, 0.12)
    square = cut(photo, placement, SIZE)
    made = partly_toned(square)
    expected = photo.copy()
    paste(Photo(expected), square, made, placement, mask, detail="local-affine")
    given = {
        "photo": packed(photo),
        "before": packed(square),
        "after": packed(made, mask),
        "placement": {"x": placement.x, "y": placement.y, "side": placement.side_px, "roll": placement.roll_rad},
        "width": photo.shape[1],
        "height": photo.shape[0],
        "size": SIZE,
    }
    answer = bare_page.run(_PASTE % (script, json.dumps(given)))
    left, top, *_ = bounds(placement)
    assert (answer["box"]["left"], answer["box"]["top"]) == (max(left, 0), max(top, 0))
    pasted = np.frombuffer(base64.b64decode(answer["colours"]), np.uint8).reshape(240, 320, 4)[..., :3]
    assert (expected != photo).any()
    # Python samples by OpenCV, between other steps than the page: by rounding, they differ a little.
    off = np.abs(pasted.astype(int) - expected)
    assert off.max() <= 6
    assert off[expected != photo].mean() < 1
