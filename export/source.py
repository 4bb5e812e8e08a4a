"""The generator to export or to run: an artifact or any teacher's file, as a Keras model with facts of its manifest."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from compress import images, teachers
from compress.artifact import Artifact, file_fingerprint, find_trained_with, is_artifact, open_artifact
from compress.data.config import Domain
from compress.errors import UnusableArtifact, UsageError
from compress.image_size import resolve_size
from compress.teachers.build import build_generator
from compress.teachers.description import GeneratorDescription
from compress.teachers.interpretation.record import TEACHER_READING, record_reading
from compress.teachers.interpretation.sizes import require_keeps_size
from compress.teachers.packed import read_packed_config
from compress.teachers.reading.config import AS_FOUND, ReadingConfig, require_teacher_file
from compress.teachers.student import load_student
from export.graph.quantized import TensorScale

_DOMAINS: tuple[Domain, ...] = ("A", "B", "both")


@dataclass(frozen=True, kw_only=True)
class SourceGenerator:
    """A loaded Keras generator and where it comes from."""

    model: keras.Model
    name: str
    fingerprint: str
    """Hash of its manifest or file, which an export names as its parent."""
    domain: Domain
    """Domain of the photos that it was trained to translate; A where nothing says otherwise."""
    scales: Mapping[str, TensorScale] | None = None
    """Scale of each tensor in int8, where `compress quantize` has chosen them."""
    float_ops: tuple[str, ...] = ()
    """Operations that `compress quantize` has chosen to compute in float, each by the tensor that it writes."""
    trained_with: str | None = None
    """Pretrained network that its training saw images through."""
    read: Mapping[str, Any] = field(default_factory=dict)
    """How its teacher's file, or its own, was read: an entry of a manifest's configuration, or nothing."""
    description: GeneratorDescription | None = None
    """What was read of a teacher's file, by which sizes are checked; None of an artifact, which has a size."""

    def origin(self) -> dict[str, Any]:
        """Return what an export's manifest records of the training, beside its own configuration."""
        seen = {} if self.trained_with is None else {"trained_with": self.trained_with}
        return {"domain": self.domain, **seen, **self.read}

    def image_size(self, image_size_px: int | None) -> tuple[int, int]:
        """Return the height and width to work at, pixels.

        Args:
            image_size_px: Side of the square that was asked for, if any.

        Raises:
            UsageError: If it is not the model's size, a size that its layers do not keep, or none where it takes any.
        """
        size = resolve_size(self.name, self.model.input_shape[1:3], image_size_px)
        if self.description is not None:
            require_keeps_size(self.description, self.name, size, advice="Leave --image-size-px out.")
        return size

    def at_size(self, size: tuple[int, int]) -> "SourceGenerator":
        """Return the same generator, its weights untouched, for images of another size.

        Args:
            size: Height and width, pixels.

        Raises:
            UsageError: If its layers do not fit that size, or the picture would come out in another.
        """
        height, width = size
        try:
            model = type(self.model).from_config(_with_size(self.model.get_config(), size))
        except ValueError:
            # Keras tells of shapes in the middle of the model.
            model = None
        if model is None or tuple(model.output_shape[1:3]) != size:
            raise UsageError(
                f"{self.name} makes no {height}x{width} picture of a {height}x{width} photo: its layers do not fit "
                "that size. Choose one that can be halved as often as it halves it, such as a multiple of 32."
            )
        model.set_weights(self.model.get_weights())
        return replace(self, model=model)

    def translate(self, photo: np.ndarray) -> np.ndarray:
        """Feed a `(height, width, 3)` uint8 photo; return a float32 picture in [-1, 1]."""
        return np.asarray(self.model.predict_on_batch(images.to_float(photo)[np.newaxis]), dtype=np.float32)[0]


def load_source(path: Path, *, reading: ReadingConfig = AS_FOUND) -> SourceGenerator:
    """Load a generator to export or to run.

    Args:
        path: An artifact directory with a model.keras, or any file that `compress.teachers.load` reads.
        reading: What the user says about the teacher's file.

    Raises:
        UnusableArtifact: If an artifact is torn or holds a finished export.
        UnusableModel: If a teacher's file cannot be used.
        UsageError: If `reading` says something of an artifact, which tells all by itself.
    """
    if not is_artifact(path):
        description = teachers.describe(path, reading=reading)
        config = read_packed_config(path)
        model = build_generator(description)
        return SourceGenerator(
            model=model,
            name=path.name,
            fingerprint=file_fingerprint(path),
            domain=_domain(config),
            trained_with=find_trained_with(config),
            read=_recorded_reading(config) or record_reading(description, reading),
            description=description,
        )
    require_teacher_file(path, reading)
    artifact = open_artifact(path)
    if artifact.manifest.format != "keras":
        raise UnusableArtifact(
            f"{path} is an export already ({artifact.model_path.name}); expected the artifact that it was made from."
        )
    return SourceGenerator(
        model=load_student(artifact.model_path),
        name=artifact.manifest.name,
        fingerprint=artifact.fingerprint,
        domain=_domain(artifact.manifest.config),
        scales=_scales(artifact),
        float_ops=tuple(artifact.manifest.float_ops),
        trained_with=artifact.manifest.trained_with,
        read=_recorded_reading(artifact.manifest.config),
    )


def _recorded_reading(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the teacher of a student was read, from the `config` of the student's manifest."""
    return {TEACHER_READING: config[TEACHER_READING]} if TEACHER_READING in config else {}


def _domain(config: Mapping[str, Any]) -> Domain:
    domain = config.get("domain")
    return domain if domain in _DOMAINS else "A"


def _with_size(config: Mapping[str, Any], size: tuple[int | None, int | None]) -> dict[str, Any]:
    """Return a model's configuration with another image size; models nested in it take any."""
    return {**config, "layers": [_layer_with_size(layer, size) for layer in config["layers"]]}


def _layer_with_size(layer: Mapping[str, Any], size: tuple[int | None, int | None]) -> dict[str, Any]:
    own = layer["config"]
    if layer["class_name"] == "InputLayer":
        batch, _, _, channels = own["batch_shape"]
        return {**layer, "config": {**own, "batch_shape": (batch, *size, channels)}}
    return {**layer, "config": _with_size(own, (None, None)) if "layers" in own else own}


def _scales(artifact: Artifact) -> dict[str, TensorScale] | None:
    stored = artifact.manifest.quantization
    if stored is None:
        return None
    return {name: TensorScale(scale["scale"], int(scale["zero_point"])) for name, scale in stored.items()}
