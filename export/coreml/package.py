"""Writer of `.mlpackage`s: a MIL program with images for input and output, and its metadata. Needs coremltools."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import coremltools

from export.coreml.program import entry_shape
from export.graph.operations import Shape

_STANDARD = ("author", "license", "version", "short_description")


def write_package(program: Any, metadata: Mapping[str, str], path: Path, *, shapes: Sequence[Shape] = ()) -> None:
    """Save a program as a package.

    Args:
        program: A program from `build_program`.
        metadata: `author`, `license`, `version` and `short_description`, which Xcode shows; other keys are stored as
            they are.
        path: A `.mlpackage` that does not exist yet.
        shapes: `(height, width, 3)` of each picture that a program of several sizes takes, the usual one first.
    """
    main = program.functions["main"]
    (image,), (picture,) = main.inputs.values(), main.outputs
    # For a MIL program `convert` takes the types of inputs and ignores those of outputs.
    main.set_output_types([coremltools.ImageType(name=picture.name, color_layout=coremltools.colorlayout.RGB)])
    entry = coremltools.ImageType(
        name=image.name,
        shape=entry_shape(shapes) if shapes else image.shape,
        color_layout=coremltools.colorlayout.RGB,
        channel_first=True,
    )
    # The program is written as it is to run. coremltools' other passes change nothing but int8's pairs of
    # operations; where there are none, the same bytes come out in half the time.
    has_pairs = any(step.op_type == "quantize" for step in main.operations)
    model = coremltools.convert(
        program,
        source="milinternal",
        convert_to="mlprogram",
        inputs=[entry],
        # The program is written in its own precision; this keeps coremltools from casting it anew.
        compute_precision=coremltools.precision.FLOAT32,
        pass_pipeline=coremltools.PassPipeline.DEFAULT if has_pairs else coremltools.PassPipeline.CLEANUP,
        minimum_deployment_target=main.opset_version,
        skip_model_load=True,
    )
    for key, value in metadata.items():
        if key in _STANDARD:
            setattr(model, key, value)
        else:
            model.user_defined_metadata[key] = value
    which = "of one of these sizes" if len(shapes) > 1 else "of exactly this size"
    model.input_description[image.name] = f"The photo, RGB, {which}."
    model.output_description[picture.name] = "The generated picture, RGB, of the same size."
    model.save(str(path))
    # coremltools writes the maps in the description in the order of a hash; written again, equal models are equal
    # files, but for the package's table of contents, whose identifiers are drawn anew.
    (description,) = path.rglob("model.mlmodel")
    description.write_bytes(model.get_spec().SerializeToString(deterministic=True))
