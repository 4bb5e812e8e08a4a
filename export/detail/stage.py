"""`compress export detail`: a student in, a `.tflite` out that adds a photo's own detail to the student's pictures."""

from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import UnusableModel, UsageError
from compress.files.atomic import atomic_file, refuse_existing
from compress.files.ownership import DETAIL_SIGNATURE
from compress.images import to_uint8
from export.detail.check import DetailNetwork, require_close
from export.detail.config import DetailConfig
from export.detail.network import DETAILED, PHOTO, build_detail_graph
from export.graph.operations import INPUT, OUTPUT
from export.graph.passes import TFLITE, apply_passes
from export.interpreter.litert import TfliteGenerator, find_tflite
from export.tflite.delegation import log_undelegated
from export.tflite.emitter import float_file
from export.tflite.metadata import ModelMetadata

_SUFFIX = ".tflite"


def export_detail(student: Path, config: DetailConfig, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Write a file that adds a photo's own detail to a student's pictures, then open it and compare it with the lens.

    Its inputs are `photo`, the photo's square at the large size, and `image` and `generated`, the student's own input
    and output of that square; its output is `detailed`. All are of the student's type: bytes, or floats in -1..1.

    Args:
        student: A `.tflite` file, or an artifact of one.
        config: The large size.
        out: The file to write.
        overwrite: Whether it may exist.

    Returns:
        JSON-ready: the file, its size and type, the shape of every input and output, the distance to the lens, and
        XNNPACK's share.

    Raises:
        UsageError: If `out` exists or its name does not end in `.tflite`, or the size is not above the student's.
        UnusableModel: If the student takes no square image, or is of a type that the file is not written in.
        UnusableArtifact: If an artifact is torn.
        ParityError: If the file does something else than the lens; it is removed then.
    """
    if out.suffix != _SUFFIX:
        raise UsageError(f"--out {out}: expected a file name that ends in {_SUFFIX}.")
    refuse_existing(out, overwrite=overwrite)
    generator = _open_student(student)
    size = generator.size[0]
    if config.photo_size_px <= size:
        raise UsageError(
            f"photo_size_px = {config.photo_size_px}, but {student} makes pictures of {size} pixels, which hold all of "
            "that photo's detail. Pass a larger --photo-size-px."
        )
    in_bytes = generator.input.dtype == "uint8"
    graph = build_detail_graph(config.photo_size_px, size, bounded=not in_bytes)
    content = float_file(apply_passes(graph, TFLITE), metadata=_metadata(config, size), byte_ends=in_bytes)
    with atomic_file(out, overwrite=overwrite) as partial:
        partial.write_bytes(content)
        network = DetailNetwork(partial)
        checked = require_close(network, lambda photo: to_uint8(generator.translate(photo)))
    log_undelegated(network.coverage)
    return {
        "file": str(out),
        "size_bytes": len(content),
        "io_type": "uint8" if in_bytes else "float",
        "inputs": {name: [1, *shape] for name, shape in graph.inputs.items()},
        "outputs": {DETAILED: [1, *graph.shapes[DETAILED]]},
        "parity": checked.as_json(),
        "xnnpack": network.coverage.as_json(),
    }


def _open_student(student: Path) -> TfliteGenerator:
    """Open a student whose pictures a file of floats or bytes can take.

    Raises:
        UnusableModel: If it is not exported yet, takes no single square image, or is of another type.
    """
    file = find_tflite(student)
    if file is None:
        raise UnusableModel(
            f"{student} is no .tflite file and no artifact of one. Write it with `compress export tflite {student}`, "
            "and give what that writes."
        )
    generator = TfliteGenerator.open(file, threads=1)
    generator.require_single_images()
    height, width = generator.size
    if height != width or generator.input.shape != generator.output.shape:
        raise UnusableModel(
            f"{student} makes {list(generator.output.shape)} of {list(generator.input.shape)}; expected a square image "
            "of a square image."
        )
    types = {generator.input.dtype, generator.output.dtype}
    if types not in ({"uint8"}, {"float32"}):
        raise UnusableModel(
            f"{student} takes {generator.input.dtype} and returns {generator.output.dtype}; expected uint8 or float32. "
            "Export it with `compress export tflite --io-type uint8` or `--io-type float`."
        )
    if types == {"float32"} and generator.to_picture(np.zeros(1, np.float32))[0] != 0:
        raise UnusableModel(f"{student} returns pixels in 0..1; expected -1..1. Export it with `--target cpu`.")
    return generator


def _metadata(config: DetailConfig, size_px: int) -> ModelMetadata:
    large, small = (f"{side}x{side}" for side in (config.photo_size_px, size_px))
    return ModelMetadata(
        name="detail",
        description=f"{DETAIL_SIGNATURE}: adds the detail of a photo of {large} to a student's picture of {small}.",
        ends={
            PHOTO: f"The photo's square, {large}.",
            INPUT: f"The same square, {small}: what the student takes.",
            OUTPUT: "What the student makes of it.",
            DETAILED: "The student's picture at the photo's size, with the photo's own detail.",
        },
    )
