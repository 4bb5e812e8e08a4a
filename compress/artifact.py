"""Artifacts: directories with one model, its `manifest.json` and samples, which every stage reads and writes.

An artifact is written atomically: under a temporary name beside its destination, flushed to disk, then renamed. A stage
that is killed leaves no half artifact, and a full disk leaves the old one whole.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeVar

from compress.errors import UnusableArtifact, UsageError

SCHEMA = 1
MANIFEST_NAME = "manifest.json"
TRANSLATION_NAME = "translation.json"
"""File beside translated images, where what their model was trained with bears on their scores: `trained_with`."""
Format = Literal["keras", "tflite", "mlpackage"]
MODEL_NAMES: Mapping[str, str] = {"keras": "model.keras", "tflite": "model.tflite", "mlpackage": "model.mlpackage"}
_Record = TypeVar("_Record")


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """Specification of a model's input, one RGB image."""

    shape: tuple[int | None, int | None, int]
    """Height, width, channels; `None` where the model takes any size."""
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    dtype: Literal["float32", "float16", "int8", "uint8"] = "float32"
    range: tuple[float, float] = (-1.0, 1.0)
    """Values of a black and of a white pixel."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of running a model. 1 MAC = 2 FLOPs; `macs` is per image of the manifest's input size."""

    params: int
    macs: int | None
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Content of `manifest.json`: an artifact's model, its origin and its scores."""

    name: str
    format: Format
    stage: str
    parent: str | None
    """Fingerprint of the parent's artifact or, for a teacher, of its file; None when there is no parent."""
    input: ImageSpec
    cost: Cost
    config: dict[str, Any] = field(default_factory=dict)
    """Resolved configuration of the stage, with every default."""
    seed: int | None = None
    quantization: dict[str, Any] | None = None
    """`scale` and `zero_point` by tensor name, where the model is quantised."""
    float_ops: list[str] = field(default_factory=list)
    """Operators that stay in float where the model is quantised, each by the name of the tensor that it writes."""
    scores: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    schema: int = SCHEMA

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


def file_fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, or of a directory's sorted relative names and bytes, hexadecimal."""
    digest = hashlib.sha256()
    members = sorted(member for member in path.rglob("*") if member.is_file()) if path.is_dir() else [path]
    for member in members:
        if path.is_dir():
            digest.update(member.relative_to(path).as_posix().encode() + b"\0")
        with member.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


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
        raw = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
            raise ValueError(f"schema {raw.get('schema') if isinstance(raw, dict) else raw!r}, expected {SCHEMA}")
        if unknown := sorted(set(raw) - {item.name for item in fields(Manifest)}):
            raise ValueError(f"unknown key {', '.join(unknown)}")
        if raw["format"] not in MODEL_NAMES:
            raise ValueError(f"format {raw['format']!r}, expected one of {', '.join(MODEL_NAMES)}")
        spec = raw["input"] | {"shape": tuple(raw["input"]["shape"]), "range": tuple(raw["input"]["range"])}
        return Manifest(**(raw | {"input": ImageSpec(**spec), "cost": Cost(**raw["cost"])}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnusableArtifact(f"{path} cannot be read as a manifest ({error}); make the artifact anew.") from error


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


def refuse_existing(out: Path, *, overwrite: bool) -> None:
    """Refuse an output that exists, before any work is spent on it.

    Raises:
        UsageError: If `out` exists and `overwrite` is false.
    """
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists already. Pass --overwrite to replace it, or another --out.")


def refuse_overwriting_inputs(out: Path, inputs: Sequence[Path]) -> None:
    """Refuse an output whose replacement would delete an input.

    Raises:
        UsageError: If an input is `out` itself or lies in it.
    """
    for path in inputs:
        if path.resolve().is_relative_to(out.resolve()):
            raise UsageError(f"{out} holds {path}, a part of the input, and would be replaced. Pass another --out.")


def user_cache() -> Path:
    """Return the user's cache folder; the environment variable `POCKETGAN_CACHE` moves it."""
    return Path(os.environ.get("POCKETGAN_CACHE", "~/.cache/pocketgan")).expanduser()


def training_folder(out: Path) -> Path:
    """Return the folder of a training's checkpoint, logs and samples until `out` is finished; it may not exist yet."""
    return out.parent / f"{out.name}.training"


@contextmanager
def atomic_dir(out: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a directory atomically: yield a temporary one, renamed to `out` when the block ends, removed when it fails.

    Raises:
        UsageError: If `out` exists and `overwrite` is false.
    """
    refuse_existing(out, overwrite=overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.partial-", dir=out.parent))
    try:
        yield scratch
        # mkdtemp makes a private directory; what the user asked for gets ordinary permissions.
        scratch.chmod(0o777 & ~_current_umask())
        _flush_to_disk(scratch)
        _move_into_place(scratch, out)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def atomic_write_text(out: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a text file atomically, as UTF-8; see `atomic_write_bytes`."""
    atomic_write_bytes(out, text.encode("utf-8"), overwrite=overwrite)


def atomic_write_bytes(out: Path, content: bytes, *, overwrite: bool = False) -> None:
    """Write a file atomically: under a temporary name beside its destination, flushed, then renamed.

    Raises:
        UsageError: If `out` exists and `overwrite` is false.
    """
    refuse_existing(out, overwrite=overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{out.name}.partial-", dir=out.parent)
    scratch = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes a private file; what the user asked for gets ordinary permissions.
        scratch.chmod(0o666 & ~_current_umask())
        scratch.replace(out)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into an artifact's directory, with the versions of the packages that made it."""
    record = asdict(manifest) | {"versions": manifest.versions or _versions()}
    (directory / MANIFEST_NAME).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _versions() -> dict[str, str]:
    found = {}
    for package in ("pocketgan", "keras", "tensorflow", "torch", "ai-edge-litert", "coremltools", "numpy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush_to_disk(directory: Path) -> None:
    for member in [*directory.rglob("*"), directory]:
        descriptor = os.open(member, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _move_into_place(scratch: Path, out: Path) -> None:
    if not out.exists():
        scratch.rename(out)
        return
    # A directory cannot be renamed over a full one: the old one steps aside first and goes only after.
    retired = Path(tempfile.mkdtemp(prefix=f".{out.name}.retired-", dir=out.parent)) / out.name
    out.rename(retired)
    try:
        scratch.rename(out)
    except BaseException:
        retired.rename(out)
        raise
    shutil.rmtree(retired.parent)
