"""`compress export` (installed as `export` too) and `compress translate`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from compress import console
from compress.artifact import check_exists
from compress.files.atomic import refuse_existing
from compress.fleet.config import ALONE, FleetConfig
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from export.config import CoremlConfig, OnnxConfig, TfliteConfig, TranslateConfig
from export.detail.config import DetailConfig
from export.quantize.config import QuantizeConfig
from export.web.config import WebConfig

Flags = Parameter(name="*", negative_iterable=())
Switch = Annotated[bool, Parameter(negative="")]
"""A flag that is given or not: no --no- form in the help."""

app = console.new_app("export", "Write what arrives on the phone.")


def main() -> None:
    """Run `export` or `python -m export`."""
    raise SystemExit(console.run(app))


@app.command
def tflite(
    source: Path,
    *,
    out: Path,
    app: Path | None = None,
    config: Annotated[TfliteConfig, Flags] | None = None,
    reading: Annotated[ReadingConfig, Flags] | None = None,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Write a generator as a .tflite file, checked against its source.

    Args:
        source: An artifact with a model.keras, or a teacher's file (.h5, .keras, .pth, SavedModel).
        out: The artifact to write.
        app: A folder to write too: an Android app in Kotlin around the file, to open in Android Studio.
        overwrite: Replace `out` and `app` if they exist.
        json: Print JSON.
    """
    refuse_existing(out, overwrite=overwrite)
    check_exists(source)
    from export.tflite.stage import export_tflite

    chosen, said = config or TfliteConfig(), reading or AS_FOUND
    manifest = export_tflite(source, chosen, out, app=app, reading=said, overwrite=overwrite).manifest
    result = {
        "artifact": str(out),
        **({} if app is None else {"app": str(app)}),
        "precision": manifest.config["precision"],
        "float_ops": manifest.float_ops,
        "io_type": manifest.config["io_type"],
        "size_bytes": manifest.cost.size_bytes,
        "params": manifest.cost.params,
        "macs": manifest.cost.macs,
        **manifest.scores,
    }
    console.show(result, as_json=json)


@app.command
def coreml(
    source: Path,
    *,
    out: Path,
    swift: Path | None = None,
    config: Annotated[CoremlConfig, Flags] | None = None,
    reading: Annotated[ReadingConfig, Flags] | None = None,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Write a generator as a Core ML package that takes and returns pictures, checked against its source.

    Args:
        source: An artifact with a model.keras, or a teacher's file (.h5, .keras, .pth, SavedModel).
        out: The artifact to write.
        swift: Experimental: no device has run it yet. A folder to write too: a Swift package that runs the model on an
            iPhone or a Mac and times it, for `compress bench ios`.
        overwrite: Replace `out` and `swift` if they exist.
        json: Print JSON.
    """
    refuse_existing(out, overwrite=overwrite)
    check_exists(source)
    from export.coreml.child import check_coremltools

    check_coremltools()
    from export.coreml.stage import export_coreml

    chosen, said = config or CoremlConfig(), reading or AS_FOUND
    manifest = export_coreml(source, chosen, out, swift=swift, reading=said, overwrite=overwrite).manifest
    result = {
        "artifact": str(out),
        **({} if swift is None else {"swift": str(swift)}),
        "precision": manifest.config["precision"],
        "float_ops": manifest.float_ops,
        "size_bytes": manifest.cost.size_bytes,
        "params": manifest.cost.params,
        "macs": manifest.cost.macs,
        **manifest.scores,
    }
    console.show(result, as_json=json)


@app.command
def onnx(
    source: Path,
    *,
    out: Path,
    config: Annotated[OnnxConfig, Flags] | None = None,
    reading: Annotated[ReadingConfig, Flags] | None = None,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Write a generator as an ONNX file, for Lens Studio and other runtimes, checked against its source.

    Args:
        source: An artifact with a model.keras, or a teacher's file (.h5, .keras, .pth, SavedModel).
        out: The artifact to write.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    refuse_existing(out, overwrite=overwrite)
    check_exists(source)
    from export.onnx.stage import export_onnx

    chosen, said = config or OnnxConfig(), reading or AS_FOUND
    manifest = export_onnx(source, chosen, out, reading=said, overwrite=overwrite).manifest
    result = {
        "artifact": str(out),
        "precision": manifest.config["precision"],
        "float_ops": manifest.float_ops,
        "io_type": manifest.config["io_type"],
        "opset": manifest.config["opset"],
        "size_bytes": manifest.cost.size_bytes,
        "params": manifest.cost.params,
        "macs": manifest.cost.macs,
        **manifest.scores,
    }
    console.show(result, as_json=json)


@app.command
def keras(
    source: Path,
    *,
    out: Path,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Write a student as one small .keras file in half precision: to share, and to train on from (distill --init).

    Args:
        source: The artifact of a distilled or pruned student.
        out: The .keras file to write.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    check_exists(source)
    from export.packed import export_keras

    console.show(export_keras(source, out, overwrite=overwrite), as_json=json)


@app.command
def web(
    source: Path,
    *,
    out: Path,
    config: Annotated[WebConfig, Flags] | None = None,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Write a page that runs a student in the browser: with the camera, a photo or a film; on the device alone.

    Args:
        source: A .tflite file or an artifact of one; or a student that is not exported yet, with --data.
        out: The folder to write; lens.html in it is all of the page, and opens from disk.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    refuse_existing(out, overwrite=overwrite)
    check_exists(source)
    from export.web.stage import export_web

    console.show(export_web(source, config or WebConfig(), out, overwrite=overwrite), as_json=json)


@app.command
def detail(
    student: Path,
    *,
    out: Path,
    config: Annotated[DetailConfig, Flags] | None = None,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Write a .tflite beside a student's, which gives its pictures a larger photo's own detail, as the lens does.

    Args:
        student: A .tflite file or an artifact of one.
        out: The .tflite file to write: inputs photo, image and generated, output detailed.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    refuse_existing(out, overwrite=overwrite)
    check_exists(student)
    from export.detail.stage import export_detail

    console.show(export_detail(student, config or DetailConfig(), out, overwrite=overwrite), as_json=json)


def quantize(
    *,
    student: Path,
    teacher: Path,
    data: Path,
    out: Path,
    config: Annotated[QuantizeConfig, Flags] | None = None,
    reading: Annotated[ReadingConfig, Flags] | None = None,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Make a student ready for int8: fold its BatchNorm, choose ranges, train with the rounding where that pays.

    Args:
        student: The student's artifact.
        teacher: The generator that it learnt from: .h5, .keras, .pth, SavedModel or artifact.
        data: A folder with trainA, trainB.
        out: The artifact to write; `compress export tflite --precision int8` takes its ranges.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    from export.quantize.stage import quantize as run_stage

    chosen = config or QuantizeConfig()
    quantized = run_stage(student, teacher, data, chosen, out, overwrite=overwrite, reading=reading or AS_FOUND)
    manifest = quantized.manifest
    console.show({"artifact": str(quantized.path), "float_ops": manifest.float_ops, **manifest.scores}, as_json=json)


def translate(
    model: Path,
    images: Path,
    *,
    out: Path,
    config: Annotated[TranslateConfig, Flags] | None = None,
    reading: Annotated[ReadingConfig, Flags] | None = None,
    fleet: Annotated[FleetConfig, Flags] | None = None,
    overwrite: Switch = False,
    json: Switch = False,
) -> None:
    """Run any artifact or model file over photos, one PNG each.

    Args:
        model: An artifact, a .tflite file, or a teacher's file (.h5, .keras, .pth, SavedModel).
        images: A photo, a folder of photos, or a data set with testA.
        out: The folder to write.
        overwrite: Replace `out` if it exists.
        json: Print JSON.
    """
    check_exists(model)
    from export.translate import translate as run_stage

    chosen, said = config or TranslateConfig(), reading or AS_FOUND
    result = run_stage(model, images, out, chosen, reading=said, fleet=fleet or ALONE, overwrite=overwrite)
    console.show(result, as_json=json)
