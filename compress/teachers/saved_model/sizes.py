"""Rules for shapes in a TensorFlow graph, and for what changes the shape of an image."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from compress.teachers.saved_model.arithmetic import combined, unknown
from compress.teachers.saved_model.operation import IMAGE, SavedOperation
from compress.teachers.saved_model.values import Combined, Dimension, Image, Repeated, Sizes, Unknown, Value


def shape_of(operation: SavedOperation) -> Value:
    """Translate the shape of an image."""
    value = operation.inputs[0]
    if isinstance(value, np.ndarray):
        return np.asarray(value.shape)
    value = combined(value)
    if not isinstance(value, Combined) or value.parted is not None:
        return unknown(operation)
    # What is computed of an image, such as its bias added, has its shape.
    return Sizes(tuple(Dimension(value.image, axis) for axis in range(4)))


def strided_slice(operation: SavedOperation) -> Value:
    """Translate a part of a shape or of a stored value, and a cropping."""
    value, *given = operation.inputs
    bounds = [bound for bound in given if isinstance(bound, np.ndarray)]
    if len(bounds) != len(given):
        return unknown(operation)
    if isinstance(value, (Image, Combined)):
        return _cropped(operation, bounds)
    if operation.attribute("ellipsis_mask").i or operation.attribute("new_axis_mask").i:
        return unknown(operation)
    begin, end, step = (bound.reshape(-1).tolist() for bound in bounds)
    if not isinstance(value, (Sizes, np.ndarray)) or len(begin) != 1:
        return unknown(operation)
    held = list(value.entries) if isinstance(value, Sizes) else list(value)
    if operation.attribute("shrink_axis_mask").i & 1:
        return _single(held[begin[0]]) if -len(held) <= begin[0] < len(held) else unknown(operation)
    start = None if operation.attribute("begin_mask").i & 1 else begin[0]
    stop = None if operation.attribute("end_mask").i & 1 else end[0]
    return _as_sizes(held[start : stop : step[0]])


def _single(entry: object) -> Value:
    return entry if isinstance(entry, Dimension) else np.asarray(entry)


def _as_sizes(entries: list) -> Value:
    if any(isinstance(entry, Dimension) for entry in entries):
        return Sizes(tuple(entry if isinstance(entry, Dimension) else int(entry) for entry in entries))
    return np.asarray(entries)


def _cropped(operation: SavedOperation, bounds: list[np.ndarray]) -> Value:
    begin, end, step = (bound.reshape(-1).tolist() for bound in bounds)
    masks = [operation.attribute(f"{name}_mask").i for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")]
    if len(begin) > 4 or any(masks[2:]) or any(one != 1 for one in step):
        return unknown(operation)
    amounts = []
    for axis in range(4):
        first = 0 if axis >= len(begin) or masks[0] >> axis & 1 else begin[axis]
        last = 0 if axis >= len(end) or masks[1] >> axis & 1 else end[axis]
        if first < 0 or last > 0 or (axis in (0, 3) and (first, last) != (0, 0)):
            return unknown(operation)
        amounts.append([first, -last])
    return operation.add("Cropping2D", {"cropping": amounts[1:3]})


def pack(operation: SavedOperation) -> Value:
    """Translate numbers and dimensions that become a shape."""
    stored = [value for value in operation.inputs if isinstance(value, np.ndarray)]
    if len(stored) == len(operation.inputs):
        return np.stack(stored)
    entries = []
    for value in operation.inputs:
        if isinstance(value, Dimension):
            entries.append(value)
        elif isinstance(value, np.ndarray) and value.size == 1:
            entries.append(int(value.reshape(())))
        else:
            return unknown(operation)
    return _as_sizes(entries)


def concatenate(operation: SavedOperation) -> Value:
    """Translate images joined in their channels, and parts of a shape joined."""
    *values, axis = operation.inputs
    if not isinstance(axis, np.ndarray):
        return Unknown("ConcatV2 along a computed axis")
    if all(isinstance(value, np.ndarray) for value in values):
        return np.concatenate([np.asarray(value) for value in values], axis=int(axis))
    if all(isinstance(value, (Sizes, np.ndarray)) for value in values) and int(axis) in (0, -1):
        return _as_sizes([entry for value in values for entry in _entries(value)])
    if int(axis) not in (-1, 3):
        return Unknown("ConcatV2 along another axis than channels")
    return operation.add("Concatenate", {"axis": -1}, *range(len(values)))


def _entries(value: Value) -> list:
    return list(value.entries) if isinstance(value, Sizes) else np.asarray(value).reshape(-1).tolist()


def reshape(operation: SavedOperation) -> Value:
    """Translate channels that are split into groups or joined again, rows that are repeated, and stored values."""
    value, target = combined(operation.inputs[0]), operation.inputs[1]
    if not isinstance(target, (Sizes, np.ndarray)):
        return unknown(operation)
    if isinstance(value, np.ndarray):
        return value.reshape(target.reshape(-1).tolist()) if isinstance(target, np.ndarray) else unknown(operation)
    if isinstance(value, Sizes) and isinstance(target, np.ndarray) and target.tolist() in ([-1], [len(value.entries)]):
        return value
    entries = _entries(target)
    if isinstance(value, Repeated):
        return _repeated(operation, value, entries)
    if not isinstance(value, Combined):
        return unknown(operation)
    channels = operation.writer.channels(value.image)
    sides = all(_may_be(operation, entry, value.image, axis) for axis, entry in zip((1, 2), entries[1:3], strict=False))
    if len(entries) == 4 and sides and _may_be(operation, entries[3], value.image, 3):
        return replace(value, parted=None, written=None)
    if len(entries) == 5 and sides and all(isinstance(one, int) for one in entries[3:]) and value.parted is None:
        groups, size = entries[3:]
        groups, size = (channels // size if groups == -1 else groups), (channels // groups if size == -1 else size)
        if groups * size == channels and set(value.terms) == {IMAGE}:
            return replace(value, parted=(groups, size), written=None)
    return unknown(operation)


def _may_be(operation: SavedOperation, entry: Dimension | int, image: str, axis: int, factor: int = 1) -> bool:
    """Check whether an entry of a shape is an image's own size in an axis, times a factor."""
    if entry == -1 or entry == Dimension(image, axis, factor):
        return True
    own, wanted = operation.sizes.side(image, axis), operation.sizes.measure(entry, axis)
    return own is not None and wanted == own * factor


def expand(operation: SavedOperation) -> Value:
    """Translate a new axis behind height or width, and in a stored value."""
    value, axis = operation.inputs
    if not isinstance(axis, np.ndarray):
        return unknown(operation)
    if isinstance(value, np.ndarray):
        return np.expand_dims(value, int(axis.reshape(())))
    if isinstance(value, (Image, Combined)) and int(axis.reshape(())) in (2, 3):
        return Repeated(operation.image(), int(axis.reshape(())) - 1)
    return unknown(operation)


def tile(operation: SavedOperation) -> Value:
    """Translate the repetition of rows or columns in their new axis."""
    value, multiples = operation.inputs
    if not isinstance(value, Repeated) or not isinstance(multiples, np.ndarray) or multiples.shape != (5,):
        return unknown(operation)
    others = np.delete(multiples, value.axis + 1)
    return replace(value, factor=int(multiples[value.axis + 1])) if (others == 1).all() else unknown(operation)


def _repeated(operation: SavedOperation, value: Repeated, entries: list) -> Value:
    factors = [value.factor if axis == value.axis else 1 for axis in range(4)]
    fits = len(entries) == 4 and all(
        _may_be(operation, entries[axis], value.image, axis, factors[axis]) for axis in (1, 2, 3)
    )
    return operation.add_upsampling(value.image, factors[1:3], "nearest") if fits else unknown(operation)


def resize(interpolation: str) -> Callable[[SavedOperation], Value]:
    """Return the rule for resizing to a multiple of an image's size."""

    def rule(operation: SavedOperation) -> Value:
        size = operation.inputs[1]
        centred = operation.attribute("half_pixel_centers").b and not operation.attribute("align_corners").b
        entries = _entries(size) if isinstance(size, (Sizes, np.ndarray)) else []
        image = operation.image()
        factors = [_multiple(operation, entry, image, axis) for axis, entry in zip((1, 2), entries, strict=False)]
        if not centred or len(entries) != 2 or None in factors:
            return Unknown(f"{operation.node.op} to a size that is no multiple of its image's")
        return operation.add_upsampling(image, [factor for factor in factors if factor], interpolation)

    return rule


def _multiple(operation: SavedOperation, entry: Dimension | int, image: str, axis: int) -> int | None:
    """Return how often an entry of a shape is an image's own size in an axis."""
    if isinstance(entry, Dimension) and (entry.image, entry.axis) == (image, axis):
        return entry.factor
    own, wanted = operation.sizes.side(image, axis), operation.sizes.measure(entry, axis)
    return wanted // own if own and wanted and wanted % own == 0 else None
