"""Snap's limits for a lens's model, and the note beside it on what to type at Lens Studio's import.

Sources: Snap's guides to SnapML, of whose table "Compatibility" the rows of convolutions and of joining were read, and
its limits of 10 MB for a model and 8 MB for a lens. Lens Studio has no Linux build: nothing was tried in it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from compress.errors import UnsupportedLayer, UnusableModel
from compress.files.ownership import CARD_SIGNATURE
from compress.model_card import escape
from export.graph.operations import Concatenate, Graph, Operation, TransposedConvolution, Weighted, margins_of

NOTE_NAME = "lens_studio.md"
MODEL_BYTES, LENS_BYTES = 10_000_000, 8_000_000


def require_size(size_bytes: int) -> None:
    """Check a file against Snap's limits.

    Raises:
        UnusableModel: If it is too large.
    """
    if size_bytes > min(MODEL_BYTES, LENS_BYTES):
        raise UnusableModel(
            f"the file has {size_bytes / 1e6:.1f} MB; Snap takes models of {MODEL_BYTES / 1e6:.0f} MB and lenses of "
            f"{LENS_BYTES / 1e6:.0f} MB, the model within. Distil into a student (compress distill)."
        )


def require_uses(graph: Graph) -> None:
    """Check how a graph uses convolutions and joins images, which Snap's table limits.

    Raises:
        UnsupportedLayer: If a use is not on it; all are named.
    """
    refuse_unlisted(Counter(problem for operation in graph.operations for problem in _problems(operation, graph)))


def refuse_unlisted(found: Mapping[str, int]) -> None:
    """Refuse what is not on Snap's list.

    Args:
        found: How often each occurs, in words, with the way out.

    Raises:
        UnsupportedLayer: If there is any; all are named.
    """
    if found:
        listed = "; ".join(f"{count} {problem}" for problem, count in found.items())
        raise UnsupportedLayer(f"Snap's list of layers for Lens Studio does not have what this model needs: {listed}.")


def _problems(operation: Operation, graph: Graph) -> Iterator[str]:
    """Yield what of an operation's use is not on the list, in words."""
    if isinstance(operation, Weighted):
        kernel = operation.kernel.shape[0], operation.kernel.shape[1]
        kind = "transposed convolution" if isinstance(operation, TransposedConvolution) else "convolution"
        sides = {"strides": operation.strides, "dilation": operation.dilation}
        if isinstance(operation, TransposedConvolution):
            sides["kernel"] = kernel
        else:
            margins = margins_of(operation, graph.shapes[operation.inputs[0]][:2], kernel)
            if max(max(pair) for pair in margins) > max(kernel):
                yield f"{kind} with more padding than its kernel is large (use a smaller dilation)"
        for name, (down, across) in sides.items():
            if down != across:
                yield f"{kind} with another {name} in height than in width (use a square one)"
    if isinstance(operation, Concatenate) and operation.axis != "channels":
        yield f"joining of images along their {operation.axis} (join channels alone)"


def write_note(
    shape: tuple[int, int, int, int],
    values: tuple[float, float],
    *,
    name: str,
    file: str,
    size_bytes: int,
    ends: tuple[str, str],
    unread: Sequence[str],
) -> str:
    """Return `lens_studio.md`: what to type into the import dialog, and what is not known.

    Args:
        shape: Shape of input and output, in the file's order of axes.
        values: Values of a black and of a white pixel in input and output.
        name: The generator's name.
        file: The model's file name.
        size_bytes: Of the file.
        ends: Names of the file's input and output.
        unread: Operators in the part of Snap's list that could not be read.
    """
    low, high = values
    scale, back = (high - low) / 255, 255 / (high - low)
    sides = " x ".join(map(str, shape))
    order = "channels, height, width" if shape[1] == 3 else "height, width, channels"
    return f"""# {escape(name)} in Lens Studio

{CARD_SIGNATURE}

**Not tried in Lens Studio**, which has no build for Linux: what follows is read from Snap's guides and computed from
the file. Look at the first picture that it makes before anything else.

Drag `{file}` ({size_bytes / 1e3:,.0f} kB) into the project's resources and set in its import dialog:

| | input `{ends[0]}` | output `{ends[1]}` |
|---|---|---|
| shape (batch, {order}) | {sides} | {sides} |
| values of a black and of a white pixel | {low:g} and {high:g} | {low:g} and {high:g} |
| scale, for each of the three channels | {scale:.9g} | {back:.9g} |
| bias, for each of the three channels | {low:g} | {abs(low) * back:g} |

The dialog's scale and bias turn a texture's 0 to 255 into the input's values, and the output's values into 0 to 255.
Let the output's transform follow the input, so that the picture lies where the photo was.

- The photo is a square crop, red green blue. A model of faces wants the crop that it was trained on: a face, upright.
- A model may have {MODEL_BYTES / 1e6:.0f} MB, a lens {LENS_BYTES / 1e6:.0f} MB.
- Pixel shuffles are written as convolutions with a 1 in each kernel, since Snap's list has no such layer.
- Operators whose row in Snap's list we could not read: {", ".join(unread) or "none"}.
  See "Compatibility" in Snap's guide to SnapML.
"""
