"""Artifacts: directories with one model, its `manifest.json` and samples, which every stage reads and writes."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from compress.errors import UnusableArtifact, UnusableModel
from compress.strict_json import Bounds, Length, load_json, parse_record

SCHEMA: Literal[1] = 1
MANIFEST_NAME = "manifest.json"
TEACHER_READING = "teacher_reading"
"""Key of the record of how a teacher's file was read, in a manifest's configuration."""
TRANSLATION_NAME = "translation.json"
"""File beside translated images, where what their model was trained with bears on their scores: `trained_with`."""
Format = Literal["keras", "tflite", "mlpackage", "onnx"]
MODEL_NAMES: Mapping[str, str] = {
    "keras": "model.keras",
    "tflite": "model.tflite",
    "mlpackage": "model.mlpackage",
    "onnx": "model.onnx",
}
_LEFT_BY_SYSTEMS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_Record = TypeVar("_Record")


_Count = Annotated[int, Bounds(0, 10**15)]
Side = Annotated[int, Bounds(1, 1 << 16)]
_Text = Annotated[str, Length(0, 4096)]


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """Specification of a model's input, one RGB image."""

    shape: tuple[Side | None, Side | None, Side]
    """Height, width, channels; `None` where the model takes any size."""
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    dtype: Literal["float32", "float16", "int8", "uint8"] = "float32"
    range: tuple[float, float] = (-1.0, 1.0)
    """Values of a black and of a white pixel."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of running a model. 1 MAC = 2 FLOPs; `macs` is per image of the manifest's input size."""

    params: _Count
    macs: _Count | None
    size_bytes: _Count


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Content of `manifest.json`: an artifact's model, its origin and its scores."""

    name: _Text
    format: Format
    stage: _Text
    parent: _Text | None
    """Fingerprint of the parent's artifact or, for a teacher, of its file; None when there is no parent."""
    input: ImageSpec
    cost: Cost
    config: dict[str, Any] = field(default_factory=dict)
    """Resolved configuration of the stage, with every default."""
    seed: int | None = None
    quantization: dict[str, dict[str, int | float]] | None = None
    """`scale` and `zero_point` by tensor name, where the model is quantised."""
    float_ops: list[str] = field(default_factory=list)
    """Operators that stay in float where the model is quantised, each by the name of the tensor that it writes."""
    scores: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    schema: Literal[1] = SCHEMA

    @property
    def trained_with(self) -> str | None:
        """`find_trained_with` of its configuration."""
        return find_trained_with(self.config)


@dataclass(frozen=True)
class Artifact:
    """Finished artifact on disk."""

    path: Path
    manifest: Manifest

    @property
    def model_path(self) -> Path:
        return self.path / MODEL_NAMES[self.manifest.format]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the manifest, hexadecimal; the `parent` of artifacts made from this one."""
        return file_fingerprint(self.path / MANIFEST_NAME)


def find_conventions(config: Mapping[str, Any]) -> list[Mapping[str, str]]:
    """Return how a teacher's file was read, as a manifest's configuration records it; what is damaged is left out.

    Args:
        config: Of a student's manifest, or of its export's.

    Returns:
        `topic`, `value` and `basis` (file, assumed or set) of each convention.
    """
    reading = config.get(TEACHER_READING)
    found = reading.get("conventions") if isinstance(reading, Mapping) else None
    whole = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
    return [{key: str(one.get(key)) for key in ("topic", "value", "basis")} for one in whole]


def find_trained_with(config: Mapping[str, Any]) -> str | None:
    """Find the pretrained network that a student's losses saw images through: scores in its features flatter it.

    Args:
        config: Of a student's manifest, or of its export's.
    """
    weights = ["perceptual_weight", "statistics_weight"]
    # Before there was a choice, all discriminators judged patches.
    weights += ["adversarial_weight"] if config.get("discriminator") == "projected" else []
    sees = any(config.get(weight) for weight in weights)
    name = config.get("trained_with", config.get("perceptual_network") if sees else None)
    return Path(name).name if isinstance(name, str) else None


def file_fingerprint(path: Path, members: Iterable[Path] | None = None) -> str:
    """Return the SHA-256 of a file's bytes, or of a directory's sorted relative names and bytes, hexadecimal.

    Args:
        path: A file or a directory.
        members: The directory's files that count; those that are missing are left out. All if None, but for those of
            `is_left_by_system`.
    """
    digest = hashlib.sha256()
    if not path.is_dir():
        _update(digest, path)
        return digest.hexdigest()
    if members is None:
        members = (member for member in path.rglob("*") if not is_left_by_system(member.name))
    for member in sorted(member for member in members if member.is_file()):
        digest.update(member.relative_to(path).as_posix().encode("utf-8", "surrogateescape") + b"\0")
        _update(digest, member)
    return digest.hexdigest()


def is_left_by_system(name: str) -> bool:
    """Check for the name of a file that a system leaves in a folder that somebody has looked at, or copied."""
    return name in _LEFT_BY_SYSTEMS or name.startswith("._")


def check_exists(model: Path) -> None:
    """Check that a model's path exists, before the seconds that a framework takes to load."""
    if not model.exists():
        raise UnusableModel(f"{model} does not exist; expected an artifact or a model file.")


def require_content(path: Path, sha256: str, *, what: str, remedy: str) -> None:
    """Check that a file that we did not make holds what it is taken for.

    Args:
        path: The file.
        sha256: Its SHA-256, hexadecimal.
        what: What it should hold, for the error.
        remedy: What to do otherwise, a sentence.

    Raises:
        UnusableModel: If it is missing, or holds anything else.
    """
    if not path.is_file():
        raise UnusableModel(f"{path} does not exist; expected {what}. {remedy}")
    if (found := file_fingerprint(path)) != sha256:
        raise UnusableModel(f"{path} does not hold {what}: its SHA-256 is {found}, expected {sha256}. {remedy}")


def _update(digest: "hashlib._Hash", path: Path) -> None:
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)


def is_artifact(path: Path) -> bool:
    """Check whether `path` looks like an artifact directory, complete or not."""
    return path.is_dir() and (path / MANIFEST_NAME).is_file()


def open_artifact(path: Path) -> Artifact:
    """Read an artifact's manifest and check that its model is there.

    Raises:
        UnusableArtifact: If the directory, its manifest or its model is missing, torn or of a newer schema.
    """
    if not path.exists():
        raise UnusableArtifact(f"{path} does not exist; expected an artifact directory with {MANIFEST_NAME}.")
    if not is_artifact(path):
        raise UnusableArtifact(f"{path} has no {MANIFEST_NAME}; expected a directory that `compress` wrote.")
    artifact = Artifact(path, _read_manifest(path / MANIFEST_NAME))
    if not artifact.model_path.exists():
        raise UnusableArtifact(f"{path} has no {artifact.model_path.name}, which its manifest promises; make it anew.")
    return artifact


def _read_manifest(path: Path) -> Manifest:
    try:
        manifest = parse_record(load_json(path), Manifest)
        for name, scale in (manifest.quantization or {}).items():
            _check_scale(name, scale)
        other_sizes = manifest.config.get("other_sizes_px") or []
        if not isinstance(other_sizes, list) or not all(type(side) is int and side > 0 for side in other_sizes):
            raise ValueError("its 'config.other_sizes_px' is no list of sides in pixels")
        return manifest
    except (OSError, ValueError) as error:
        raise UnusableArtifact(f"{path} cannot be read as a manifest: {error}. Make the artifact anew.") from error


def _check_scale(name: str, scale: Mapping[str, int | float]) -> None:
    zero_point = scale.get("zero_point")
    fits = set(scale) == {"scale", "zero_point"} and scale["scale"] > 0 and type(zero_point) is int
    if not fits or not -128 <= scale["zero_point"] <= 255:
        raise ValueError(f"its quantization of {name!a} is {scale}, expected scale > 0 and zero_point -128 to 255")


def read_json_record(path: Path, parse: Callable[[Any], _Record], *, what: str, advice: str) -> _Record | None:
    """Read a JSON file that a training keeps.

    Args:
        path: The file.
        parse: Makes the record of what the file holds; OSError, ValueError, KeyError and TypeError say that it cannot.
        what: What the file is, for the error.
        advice: What to do about a file that is torn.

    Returns:
        The record; None where there is no file.

    Raises:
        UnusableArtifact: If the file holds something else.
    """
    if not path.exists():
        return None
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnusableArtifact(f"{path} cannot be read as {what} ({error!r}). {advice}") from error


def user_cache() -> Path:
    """Return the user's cache folder; the environment variable `POCKETGAN_CACHE` moves it."""
    return Path(os.environ.get("POCKETGAN_CACHE", "~/.cache/pocketgan")).expanduser()


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into an artifact's directory, with the versions of the packages that made it.

    A score that is no finite number, such as the PSNR of equal images, becomes null: JSON knows none.
    """
    record = asdict(manifest) | {"versions": manifest.versions or _versions()}
    record["scores"] = _with_finite_numbers(record["scores"])
    text = json.dumps(record, indent=2, allow_nan=False)
    (directory / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")


def _with_finite_numbers(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: _with_finite_numbers(held) for name, held in value.items()}
    return [_with_finite_numbers(held) for held in value] if isinstance(value, list | tuple) else value


def _versions() -> dict[str, str]:
    # It takes a tenth of a small command's time to load.
    from importlib import metadata

    found = {}
    for package in ("pocketgan", "keras", "tensorflow", "torch", "ai-edge-litert", "coremltools", "onnx", "numpy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
