"""The generator to export or to run: an artifact or any teacher's file, as a description with facts of its manifest.

No framework is loaded for it: its pictures are those of the deploy graph in NumPy, from which every file is written.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from compress import images, teachers
from compress.artifact import TEACHER_READING, Artifact, find_trained_with, is_artifact, open_artifact
from compress.data.config import Domain
from compress.errors import UnsupportedLayer, UnusableArtifact, UnusableModel, UsageError
from compress.faces.template import AlignmentTemplate, read_template, record_template
from compress.image_size import resolve_size
from compress.teachers.check import trial_size
from compress.teachers.description import GeneratorDescription
from compress.teachers.interpretation.record import record_reading
from compress.teachers.interpretation.sizes import find_problem, require_keeps_size
from compress.teachers.packed import read_packed_config
from compress.teachers.reading.config import AS_FOUND, ReadingConfig, require_teacher_file
from compress.teachers.sandbox import describe_student_in_child
from export.graph.described import lower_description
from export.graph.operations import Graph
from export.graph.quantized import TensorScale
from export.interpreter import numpy_float

if TYPE_CHECKING:
    import keras

_DOMAINS: tuple[Domain, ...] = ("A", "B", "both")
_THREADS = 2
"""Pictures that are made at a time; each takes memory, 90 MB of a CycleGAN teacher at 256 pixels."""


@dataclass(frozen=True, kw_only=True)
class SourceGenerator:
    """A generator that was read, and where it comes from."""

    description: GeneratorDescription
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
    template: AlignmentTemplate | None = None
    """Where faces lie in the images that it was trained on, where that is known."""
    read: Mapping[str, Any] = field(default_factory=dict)
    """How its teacher's file, or its own, was read: an entry of a manifest's configuration, or nothing."""

    @cached_property
    def model(self) -> keras.Model:
        """The generator in Keras, for who trains it or hands it to a converter of Keras models."""
        from compress.teachers.build import build_generator

        return build_generator(self.description)

    def origin(self) -> dict[str, Any]:
        """Return what an export's manifest records of the training, beside its own configuration."""
        seen = {} if self.trained_with is None else {"trained_with": self.trained_with}
        return {"domain": self.domain, **seen, **self.read, **record_template(self.template)}

    def image_size(self, image_size_px: int | None) -> tuple[int, int]:
        """Return the height and width to work at, pixels.

        Args:
            image_size_px: Side of the square that was asked for, if any.

        Raises:
            UsageError: If it is not the model's size, a size that its layers do not keep, or none where it takes any.
        """
        size = resolve_size(self.name, self.description.input_shape[:2], image_size_px)
        require_keeps_size(self.description, self.name, size, advice="Leave --image-size-px out.")
        return size

    def at_size(self, size: tuple[int, int]) -> SourceGenerator:
        """Return the same generator, its weights untouched, for images of another size.

        Args:
            size: Height and width, pixels.

        Raises:
            UsageError: If its layers do not fit that size, or the picture would come out in another.
        """
        height, width = size
        resized = replace(self.description, input_shape=(height, width, 3))
        if find_problem(resized, size) is not None:
            raise UsageError(
                f"{self.name} makes no {height}x{width} picture of a {height}x{width} photo: its layers do not fit "
                "that size. Choose one that can be halved as often as it halves it, such as a multiple of 32."
            )
        return replace(self, description=resized)

    def lower(self, size: tuple[int, int]) -> Graph:
        """Return the deploy graph for images of a height and width, pixels; lowered once.

        Raises:
            UnsupportedLayer: If a layer cannot be expressed.
        """
        if size not in self._graphs:
            self._graphs[size] = lower_description(self.description, input_shape=(*size, 3))
        return self._graphs[size]

    @cached_property
    def _graphs(self) -> dict[tuple[int, int], Graph]:
        return {}

    def translate(self, photo: np.ndarray) -> np.ndarray:
        """Feed a `(height, width, 3)` uint8 photo; return a float32 picture in [-1, 1].

        Raises:
            UnsupportedLayer: If a layer cannot be expressed.
        """
        return self.translate_each([photo])[0]

    def translate_each(self, photos: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Feed photos as `translate` does, one in each thread.

        BLAS has one thread for each then: its own spin while they wait for each other, which took 1.6 times the
        processor's time, and beside other work twice as long.
        """
        for size in {photo.shape[:2] for photo in photos}:
            self.lower(size)
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(_THREADS) as pool:
            made = list(pool.map(self._translate, photos))
        _return_freed_memory()
        return made

    def _translate(self, photo: np.ndarray) -> np.ndarray:
        height, width, _ = photo.shape
        return numpy_float.run_graph(self.lower((height, width)), images.to_float(photo)[np.newaxis])[0]


def _return_freed_memory() -> None:
    """Have glibc return to the system what arrays of threads that have ended took: 60 MB of a CycleGAN teacher's."""
    # Other systems have no such function, or no library by that name.
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


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
    source = _load_artifact(path, reading) if is_artifact(path) else _load_file(path, reading)
    # What no file can hold is refused where it is lowered, and tried where Keras builds it.
    with suppress(UnsupportedLayer):
        _require_finite_picture(source)
    return source


def _load_file(path: Path, reading: ReadingConfig) -> SourceGenerator:
    description, fingerprint = teachers.describe_content(path, reading=reading)
    config = read_packed_config(path)
    return SourceGenerator(
        description=description,
        name=path.name,
        fingerprint=fingerprint,
        domain=_domain(config),
        trained_with=find_trained_with(config),
        template=read_template(config, origin=path),
        read=_recorded_reading(config) or record_reading(description, reading),
    )


def _load_artifact(path: Path, reading: ReadingConfig) -> SourceGenerator:
    require_teacher_file(path, reading)
    artifact = open_artifact(path)
    if artifact.manifest.format != "keras":
        raise UnusableArtifact(
            f"{path} is an export already ({artifact.model_path.name}); expected the artifact that it was made from."
        )
    try:
        description = describe_student_in_child(artifact.model_path)
    except UnusableModel as error:
        raise UnusableArtifact(f"{error} Make the artifact anew.") from error
    return SourceGenerator(
        description=description,
        name=artifact.manifest.name,
        fingerprint=artifact.fingerprint,
        domain=_domain(artifact.manifest.config),
        scales=_scales(artifact),
        float_ops=tuple(artifact.manifest.float_ops),
        trained_with=artifact.manifest.trained_with,
        template=read_template(artifact.manifest.config, origin=path),
        read=_recorded_reading(artifact.manifest.config),
    )


def _require_finite_picture(source: SourceGenerator) -> None:
    """Have a generator make one small picture of noise.

    Raises:
        UnusableModel: If the picture is not finite.
        UnsupportedLayer: If a layer cannot be expressed.
    """
    size = trial_size(source.description)
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    if not np.isfinite(source.at_size(size).translate(noise)).all():
        raise UnusableModel("the picture that it makes holds NaN or infinite values; its training diverged.")


def _recorded_reading(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the teacher of a student was read, from the `config` of the student's manifest."""
    return {TEACHER_READING: config[TEACHER_READING]} if TEACHER_READING in config else {}


def _domain(config: Mapping[str, Any]) -> Domain:
    domain = config.get("domain")
    return domain if domain in _DOMAINS else "A"


def _scales(artifact: Artifact) -> dict[str, TensorScale] | None:
    stored = artifact.manifest.quantization
    if stored is None:
        return None
    return {name: TensorScale(scale["scale"], int(scale["zero_point"])) for name, scale in stored.items()}
