"""Charts as SVG inside the page: matplotlib lays them out, in the page's own colours and font."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Stand-ins, which the page's variables replace: they change with the reader's light or dark mode.
INK, QUIET, LINE, ACCENT, ALARM, DOUBT = (f"#00000{digit}" for digit in range(1, 7))
_VARIABLES = dict(
    zip((INK, QUIET, LINE, ACCENT, ALARM, DOUBT), ("ink", "quiet", "line", "accent", "alarm", "doubt"), strict=True)
)
FONT_POINTS = 9
_WIDTH_IN = 5.8
"""Width of a chart, 418 points: about a phone's, so that letters are not shrunk until nobody can read them there."""
_LONGEST_NAME = 34
_XLINK = "{http://www.w3.org/1999/xlink}"
_SETTINGS = {
    # Text stays text: it can be searched, and needs no font in the page.
    "svg.fonttype": "none",
    # Names come from outside; a dollar sign in one is no formula.
    "text.parse_math": False,
    # An axis says its values, not how far they are from one that stands in a corner.
    "axes.formatter.useoffset": False,
    "font.size": FONT_POINTS,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": LINE,
    "axes.labelcolor": QUIET,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": INK,
    "text.color": INK,
}


def draw_svg(paint: Callable[[Axes], None], *, label: str, height_in: float) -> str:
    """Draw a chart as an `<svg>` element; equal charts give equal bytes.

    Args:
        paint: Function that fills the axes, in this module's colours.
        label: Text alternative, for those who cannot see the chart.
        height_in: Height for a width of 5.8, inches; the page scales both.
    """
    # Loaded only where something is drawn; its Figure needs no pyplot, which would look for a screen.
    import matplotlib
    from matplotlib.figure import Figure

    settings: Any = _SETTINGS | {"svg.hashsalt": label}
    stream = io.BytesIO()
    with matplotlib.rc_context(), warnings.catch_warnings():
        # A user's own settings would make other bytes of equal charts.
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        # The reader's browser draws the letters, and has more of them than the font that they are measured with.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
        paint(figure.subplots())
        no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(stream, format="svg", transparent=True, metadata=no_metadata)
    return _inline(stream.getvalue(), label)


def widen_axis(axes: Axes, *, least: float) -> None:
    """Let the vertical axis span no less than a difference that matters, or two equal models look far apart."""
    low, high = axes.get_ylim()
    if high - low < least:
        middle = (low + high) / 2
        axes.set_ylim(middle - least / 2, middle + least / 2)


def fit_name(name: str) -> str:
    """Fit a name from outside into a chart: printable, and cut where it would leave no room to draw."""
    printable = _keep_printable(name)
    return printable if len(printable) <= _LONGEST_NAME else f"{printable[: _LONGEST_NAME - 1]}…"


def _keep_printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())


def _inline(document: bytes, label: str) -> str:
    """Turn an SVG file into an element of HTML, without namespaces, page-wide styles and needless names."""
    root = ElementTree.fromstring(document)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        if (target := element.attrib.pop(f"{_XLINK}href", None)) is not None:
            element.set("href", target)
        if element.tag == "g":
            # Several charts stand in one page, and each would have its own figure_1.
            element.attrib.pop("id", None)
        for child in [child for child in element if child.tag.rpartition("}")[2] in ("metadata", "style")]:
            element.remove(child)
    for length in ("width", "height", "version"):
        root.attrib.pop(length, None)
    root.set("role", "img")
    root.set("aria-label", _keep_printable(label))
    text = ElementTree.tostring(root, encoding="unicode")
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    return text
