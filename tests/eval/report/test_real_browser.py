"""The page in a real browser, opened as a file: its slider, its zoom, and nothing that it complains of."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval.config import ReportConfig
from eval.report.page import render_page

WIDTH, HEIGHT = 1200, 900


@pytest.fixture(scope="module")
def opened(browser_page: Any, draw: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The page of a student whose name would break out of an attribute, of text or of a script."""
    root = tmp_path_factory.mktemp("page")
    config = ReportConfig(
        inputs=draw(root / "inputs", 7, seed=1),
        teacher=draw(root / "teacher", 7, seed=2),
        column=(f"</script>\"'<b>={draw(root / 'student', 7, seed=2, blur_px=3)}",),
    )
    (root / "report.html").write_text(render_page(config), encoding="utf-8")
    browser_page.open((root / "report.html").as_uri(), width=WIDTH, height=HEIGHT)
    return browser_page


def test_the_page_runs_its_script_from_a_file_and_nothing_is_amiss(opened: Any) -> None:
    assert opened.run("document.querySelectorAll('.case').length") == 6
    assert opened.run("document.querySelectorAll('.case.live .compare').length") == 6
    assert opened.run("document.querySelector('.hint').hidden") is False
    names = opened.run(
        "[...document.querySelectorAll('.compare')[0].querySelectorAll('select')].map(s => s.selectedOptions[0].text)"
    )
    assert names == ["teacher", "</script>\"'<b>"]
    assert opened.run("document.querySelectorAll('b').length") == 0
    assert opened.run("performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length") == 0
    # No refusal by its own policy, no uncaught error.
    assert opened.events == []


def test_it_is_no_wider_than_its_window(opened: Any) -> None:
    assert opened.run("document.documentElement.scrollWidth") <= WIDTH


def test_the_slider_uncovers_one_picture_beneath_the_other(opened: Any) -> None:
    opened.run("document.querySelector('.compare').scrollIntoView({block: 'center'})")
    pictures = {}
    for cut in (0, 100):
        opened.run(
            f"(r => {{ r.value = {cut}; r.dispatchEvent(new Event('input', {{bubbles: true}})); }})"
            "(document.querySelector('.compare input'))"
        )
        clipped = opened.run("getComputedStyle(document.querySelector('.over')).clipPath")
        assert clipped == f"inset(0px 0px 0px {cut}%)"
        pictures[cut] = _stack(opened)
    # All of the right one, a blurred image, then all of the left one, the sharp image of the teacher.
    assert _sharpness(pictures[100]) > 1.5 * _sharpness(pictures[0])


def test_other_pictures_can_be_chosen(opened: Any) -> None:
    opened.run(
        "(s => { s.value = 0; s.dispatchEvent(new Event('input', {bubbles: true})); })"
        "(document.querySelector('.compare select'))"
    )
    assert opened.run(
        "document.querySelector('.compare img').src === document.querySelector('figure[data-name=photo] img').src"
    )


def test_a_click_zooms_all_pictures_of_a_row_and_another_one_ends_it(opened: Any) -> None:
    scales = "[...document.querySelectorAll('.case')].slice(0, 2).map(c => [...c.querySelectorAll('img')].map("
    scales += "i => new DOMMatrix(getComputedStyle(i).transform).a))"
    assert opened.run(scales) == [[1] * 6] * 2
    opened.click(".case figure .frame")
    assert opened.run(scales) == [[4] * 6, [1] * 6]
    # Around the place that was clicked, and cut off at the frame.
    place = opened.run("parseFloat(document.querySelector('.case').style.getPropertyValue('--x'))")
    assert place == pytest.approx(50, abs=1)
    opened.click(".case figure .frame")
    assert opened.run(scales) == [[1] * 6] * 2


def _stack(page: Any) -> np.ndarray:
    left, top, width, height = page.run(
        "(({x, y, width, height}) => [x, y, width, height])(document.querySelector('.stack').getBoundingClientRect())"
    )
    with Image.open(io.BytesIO(page.take_picture())) as window:
        # Without the line at the cut.
        shown = window.convert("L").crop((int(left) + 4, int(top) + 4, int(left + width) - 4, int(top + height) - 4))
    return np.asarray(shown, np.float64)


def _sharpness(picture: np.ndarray) -> float:
    return float(np.abs(np.diff(picture, axis=1)).mean())
