"""`compress inspect`: a model in, a report out of what it is, what it costs and what a phone will not run fast."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifact import Artifact, is_artifact, open_artifact
from compress.errors import GateFailed, UsageError
from compress.files.atomic import atomic_write_bytes, refuse_existing
from compress.teachers.reading.config import AS_FOUND, ReadingConfig, require_teacher_file
from compress.teachers.reading.content import is_unpacked_keras
from export.delegates.table import DelegateName
from export.inspect.coreml import format_package, inspect_package, read_package_facts
from export.inspect.facts import format_facts, size_on_disk
from export.inspect.generator import format_conventions, format_layers, read_generator_facts

_EXPORTED = (".tflite", ".mlpackage")


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """The result of an inspection."""

    report: dict[str, Any]
    """JSON-ready, for programs."""
    text: str
    """The same for people."""


def inspect_model(
    model: Path,
    *,
    reading: ReadingConfig = AS_FOUND,
    image_size_px: int | None = None,
    time_operators: bool = False,
    chart: Path | None = None,
    overwrite: bool = False,
    require_operators: bool = False,
    target: DelegateName | None = None,
) -> Inspection:
    """Read a model's facts, list the operators of an exported one, and draw their times.

    Args:
        model: A generator in any format that `compress.teachers.load` reads, a `.tflite`, a `.mlpackage`, or an
            artifact directory.
        reading: What the user says about the teacher's file.
        image_size_px: Side of the square that MACs are counted at; see `read_generator_facts`.
        time_operators: Whether to time each operator of a `.tflite` by itself.
        chart: PNG file to draw those times to.
        overwrite: Whether `chart` may exist.
        require_operators: Whether to refuse a Core ML package whose operations cannot be listed here.
        target: The delegate whose fallbacks are named of a `.tflite`; XNNPACK if None.

    Raises:
        UnusableModel: If the file is no generator.
        UsageError: If `chart` exists or would show nothing, the model has no operators to time or to hold against a
            `target`, or takes another size than `image_size_px`, or coremltools is missing and `require_operators` is
            set.
    """
    if chart is not None:
        if not time_operators:
            raise UsageError(f"--chart {chart} draws what --time-operators measures. Pass both.")
        refuse_existing(chart, overwrite=overwrite)
    report = read_facts(model, reading=reading, image_size_px=image_size_px)
    text = format_report(report)
    exported = exported_model_of(model)
    if time_operators and (exported is None or exported.suffix != ".tflite"):
        raise UsageError(f"{model} is no .tflite, whose operators --time-operators times. Export it first.")
    if target is not None and (exported is None or exported.suffix != ".tflite"):
        raise UsageError(f"{model} is no .tflite, whose operators --target {target} looks up. Export it first.")
    if exported is not None:
        findings, findings_text = (
            _inspect_tflite(exported, timed=time_operators, target=target)
            if exported.suffix == ".tflite"
            else _inspect_package(exported, required=require_operators)
        )
        report, text = report | findings, f"{text}\n\n{findings_text}"
    if chart is not None:
        from export.inspect.operators_chart import draw_chart

        atomic_write_bytes(chart, draw_chart(report["operators"], model.name), overwrite=overwrite)
    return Inspection(report=report, text=text)


def read_facts(path: Path, *, reading: ReadingConfig = AS_FOUND, image_size_px: int | None = None) -> dict[str, Any]:
    """Read what a model is and what it costs, without a look at an exported model's operators.

    Args:
        path: See `inspect_model`.
        reading: See `inspect_model`.
        image_size_px: See `inspect_model`.

    Returns:
        JSON-ready: `path`, `format`, `size_bytes` and, of a generator, its layers and `phone_issues`; of an artifact,
        its manifest's facts.

    Raises:
        UnusableModel: If the file is no generator.
        UsageError: If the model takes another size than `image_size_px`, or something is said of what is no teacher.
    """
    if path.suffix in _EXPORTED or is_artifact(path):
        require_teacher_file(path, reading)
    if path.suffix == ".mlpackage":
        return read_package_facts(path)
    if is_artifact(path):
        return _read_artifact_facts(open_artifact(path), image_size_px)
    if path.suffix == ".tflite":
        # Only who inspects such a file waits for LiteRT.
        from export.inspect.tflite import read_tflite_facts

        return read_tflite_facts(path)
    of_folder = "keras" if is_unpacked_keras(path) else "saved_model"
    model_format = of_folder if path.is_dir() else path.suffix.removeprefix(".")
    facts = read_generator_facts(path, reading=reading, image_size_px=image_size_px)
    return {"path": str(path), "format": model_format, **facts}


def _read_artifact_facts(artifact: Artifact, image_size_px: int | None) -> dict[str, Any]:
    manifest = artifact.manifest
    facts = {
        "path": str(artifact.path),
        "format": manifest.format,
        "stage": manifest.stage,
        "name": manifest.name,
        "parent": manifest.parent,
        "input": {"shape": list(manifest.input.shape), "dtype": manifest.input.dtype, "layout": manifest.input.layout},
        "scores": manifest.scores,
    }
    if others := manifest.config.get("other_sizes_px"):
        facts["other_sizes_px"] = others
    if manifest.quantization is not None:
        facts["float_ops"] = manifest.float_ops
    if manifest.format == "keras":
        report = facts | read_generator_facts(artifact.path, image_size_px=image_size_px)
        if "file_bytes" in manifest.scores:
            # `compress quantize` has written the file, float operators included; that is better than a prediction.
            report["predicted_size_bytes"]["int8"] = manifest.scores["file_bytes"]
        return report
    cost = manifest.cost
    return facts | {"params": cost.params, "macs": cost.macs, "size_bytes": size_on_disk(artifact.model_path)}


def _inspect_tflite(model: Path, *, timed: bool, target: DelegateName | None) -> tuple[dict[str, Any], str]:
    from export.inspect.tflite import format_tflite, inspect_tflite

    findings = inspect_tflite(model, timed=timed, target=target)
    return findings, format_tflite(findings)


def _inspect_package(package: Path, *, required: bool) -> tuple[dict[str, Any], str]:
    try:
        findings = inspect_package(package)
    except UsageError as error:
        # Without coremltools a package still has a size and, in an artifact, a manifest.
        if required:
            raise
        return {"not_listed": str(error)}, f"its operations are not listed: {error}"
    return findings, format_package(findings)


def exported_model_of(path: Path) -> Path | None:
    """Return the `.tflite` file or `.mlpackage` behind a path that `inspect_model` takes, where there is one."""
    # A package has a Manifest.json of its own, which is an artifact's manifest.json where case does not count.
    if path.suffix in _EXPORTED:
        return path
    model = open_artifact(path).model_path if is_artifact(path) else path
    return model if model.suffix in _EXPORTED else None


def require_no_fallback(report: Mapping[str, Any]) -> None:
    """Refuse what runs outside a phone's fast kernels.

    Args:
        report: From `inspect_model`, with the `fallbacks` of an exported model.

    Raises:
        GateFailed: If operators of the file, or layers of the generator, fall back.
    """
    found = [f"{item['count']} {item['op']} ({item['dtype']})" for item in report.get("fallbacks", ())]
    found += [f"{item['count']} {item['kind']}" for item in report.get("phone_issues", ())]
    if found:
        where = report.get("target", "xnnpack")
        on = "" if where == "xnnpack" else f" on {where}"
        raise GateFailed(f"{report['path']} falls back to slower kernels{on}: {', '.join(found)}.")


def format_report(report: Mapping[str, Any]) -> str:
    """Format what `read_facts` found for people."""
    parts = [format_facts(report)]
    # What this tool wrote tells all by itself.
    if report.get("conventions") and "stage" not in report:
        parts.append(format_conventions(report))
    if "layers" in report:
        parts.append(format_layers(report))
    return "\n\n".join(parts)
