"""TFLite Metadata of a `.tflite` file, which Android Studio and the tools of tflite-support show.

Written with flatbuffers' builder, field by field: the schema's Python classes come with packages that nobody maintains
any more.

Source: tensorflow/tflite-support, `metadata/metadata_schema.fbs`, of which nothing younger than 1.0.0 is used.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import flatbuffers

from export.graph.operations import Shape

ENTRY = "TFLITE_METADATA"
"""The name under which a file's metadata buffer is found."""
_IDENTIFIER = b"M001"
_PARSER_VERSION = "1.0.0"
_RGB = 1
_IMAGE_PROPERTIES = 2
_NORMALIZATION_OPTIONS = 1

Field = Callable[[flatbuffers.Builder, int], None]
"""Writes one field into the table that is open, at its slot."""


@dataclass(frozen=True, kw_only=True)
class ModelMetadata:
    """Texts that describe a file to people; an empty one is left out."""

    name: str = "generator"
    description: str = "PocketGAN generator: one RGB image in, one RGB image out."
    author: str = ""
    license: str = ""
    ends: Mapping[str, str] = field(default_factory=dict)
    """Sentence about an input or output, by its name, where more is to be said than that it is a picture."""


@dataclass(frozen=True, kw_only=True)
class ImageMetadata:
    """Description of an image that a file takes or returns."""

    name: str
    description: str
    shape: Shape
    mean: float
    std: float
    """Normalisation: `(x - mean) / std` turns a byte into a value that the file takes, or a value that it returns into
    a byte, in real numbers; the scale and zero point of a quantised tensor come on top."""
    least: float
    greatest: float
    """Least and greatest value that the tensor holds."""


def build_metadata(model: ModelMetadata, images: Sequence[tuple[Sequence[ImageMetadata], ImageMetadata]]) -> bytes:
    """Build the metadata buffer of a file.

    Args:
        model: Texts about the file.
        images: Inputs and output of each of its subgraphs.
    """
    builder = flatbuffers.Builder(1 << 10)
    subgraphs = []
    for inputs, output in images:
        taken, returned = (_offsets(builder, [_image(builder, image) for image in ends]) for ends in (inputs, [output]))
        subgraphs.append(_table(builder, 9, {2: _reference(taken), 3: _reference(returned)}))
    texts = {0: model.name, 1: model.description, 4: model.author, 5: model.license, 7: _PARSER_VERSION}
    fields = {slot: _reference(builder.CreateString(text)) for slot, text in texts.items() if text}
    fields[3] = _reference(_offsets(builder, subgraphs))
    builder.Finish(_table(builder, 8, fields), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def _image(builder: flatbuffers.Builder, image: ImageMetadata) -> int:
    height, width, _ = image.shape
    size = _table(builder, 2, {0: _unsigned(width), 1: _unsigned(height)})
    properties = _table(builder, 2, {0: _byte(_RGB), 1: _reference(size)})
    content = _table(builder, 3, {0: _byte(_IMAGE_PROPERTIES), 1: _reference(properties)})
    mean, std = _floats(builder, [image.mean]), _floats(builder, [image.std])
    normalization = _table(builder, 2, {0: _reference(mean), 1: _reference(std)})
    unit = _table(builder, 2, {0: _byte(_NORMALIZATION_OPTIONS), 1: _reference(normalization)})
    greatest, least = _floats(builder, [image.greatest]), _floats(builder, [image.least])
    fields = {
        0: builder.CreateString(image.name),
        1: builder.CreateString(image.description),
        3: content,
        4: _offsets(builder, [unit]),
        5: _table(builder, 2, {0: _reference(greatest), 1: _reference(least)}),
    }
    return _table(builder, 7, {slot: _reference(offset) for slot, offset in fields.items()})


def _table(builder: flatbuffers.Builder, slots: int, fields: dict[int, Field]) -> int:
    builder.StartObject(slots)
    for slot, write in fields.items():
        write(builder, slot)
    return builder.EndObject()


def _reference(offset: int) -> Field:
    return lambda builder, slot: builder.PrependUOffsetTRelativeSlot(slot, offset, 0)


def _byte(value: int) -> Field:
    return lambda builder, slot: builder.PrependUint8Slot(slot, value, 0)


def _unsigned(value: int) -> Field:
    return lambda builder, slot: builder.PrependUint32Slot(slot, value, 0)


def _offsets(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def _floats(builder: flatbuffers.Builder, values: Sequence[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return builder.EndVector()
