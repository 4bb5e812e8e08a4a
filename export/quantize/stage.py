"""`compress quantize`: a student, its teacher and photos in; a student whose weights and ranges are made for int8 out.

Everything that can be wrong with the command line is found before TensorFlow is loaded.
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compress import artifact, images, teachers
from compress.artifact import Artifact, Manifest
from compress.config import to_mapping
from compress.data.folders import photos as list_photos
from compress.distill.config import refuse_unjudgeable
from compress.distill.given import domain_of, open_student, size_of
from compress.distill.real_images import list_real
from compress.teachers import LambdaAs
from export.quantize.config import QuantizeConfig

if TYPE_CHECKING:
    import keras

    from compress.distill.lessons import Lessons
    from compress.distill.pairs import Pairs
    from export.graph import Graph
    from export.quantization import QuantizedGraph, Range

_SHEET_ROWS = 6
_SENSITIVITY_PHOTOS = 2
_STATISTICS_STEPS = 50
_log = logging.getLogger(__name__)


def quantize(
    student: Path,
    teacher: Path,
    data: Path,
    config: QuantizeConfig,
    out: Path,
    *,
    overwrite: bool = False,
    lambda_as: LambdaAs | None = None,
) -> Artifact:
    """Fold a student's BatchNorm, choose its ranges and, by `qat`, train it with int8's rounding.

    Beside `out` lies `NAME.training` while this runs, as for `distill`; the same command goes on from there.

    Args:
        student: The artifact of a student, distilled or pruned.
        teacher: The generator file that it learnt from.
        data: A folder with `trainA` and `trainB`.
        config: Method, ranges and training.
        out: The artifact to write: a folded `model.keras`, and in its manifest the scale of every tensor, which
            `compress export tflite --precision int8` takes.
        overwrite: Whether `out` may exist.
        lambda_as: What the teacher's Lambda layers do, see `teachers.load`.

    Raises:
        UsageError: If `out` exists, the teacher takes another size, or another run was stopped at the same place.
        UnusableArtifact: If the student is torn or holds no Keras model.
        UnusableModel: If the teacher cannot be read.
        UnusableData: If the photos cannot be used.
        UnsupportedLayer: If the student has a layer that has no int8 kernel.
    """
    artifact.refuse_existing(out, overwrite=overwrite)
    artifact.refuse_replacing(out, [student, teacher])
    source = open_student(student)
    domain = config.domain or domain_of(source)
    config = dataclasses.replace(config, domain=domain)
    paths, real_paths = list_photos(data, domain, "train"), list_real(data, domain, config)
    description = teachers.describe(teacher, lambda_as=lambda_as)
    size = size_of(source, description, teacher)
    refuse_unjudgeable(config, domain, size)

    # From here on Keras and its backend are needed.
    from compress import training
    from compress.distill.lessons import gather
    from compress.models.stored import load_stored
    from export.quantize.trainable import as_keras

    fingerprint = artifact.file_fingerprint(teacher)
    identity = training.identity(
        to_mapping(config), source.fingerprint, fingerprint, [str(path) for path in [*paths, *real_paths]]
    )
    work = artifact.training_folder(out)
    # Asked before the photos are translated and anything in the folder is replaced: it may belong to another run.
    for folder in (work, *(work / way for way in _TRAININGS)):
        training.holds_checkpoint(folder, identity)
    lessons = gather(paths, real_paths, description, fingerprint, config, work, size)
    finished = _Quantizer(lessons, config, work, identity).run(load_stored(source.model_path))
    folded = as_keras(finished.kept.quantized.graph)
    with artifact.written_whole(out, overwrite=overwrite) as scratch:
        folded.save(scratch / artifact.MODEL_NAMES["keras"])
        _draw(scratch, finished.kept.quantized, lessons, config)
        artifact.write_manifest(scratch, _manifest(out.name, finished, folded, config, source))
    shutil.rmtree(work)
    return artifact.open_artifact(out)


_TRAININGS = ("control", "qat")
"""The folders of the two trainings: of the folded student in float, and with int8's rounding."""


@dataclasses.dataclass(frozen=True)
class _Candidate:
    """One way to int8, and how it does on held-back photos."""

    way: str
    """`ptq`, `control` or `qat`."""
    quantized: QuantizedGraph
    psnr_db: float
    """Mean PSNR of the int8 file's pictures to the teacher's, dB."""
    own_psnr_db: float
    """The same to its own float graph's pictures; for `qat`, to the graph that was trained with the rounding."""


@dataclasses.dataclass(frozen=True)
class _Finished:
    given_psnr_db: float
    """Of the student as it was given, in float."""
    candidates: list[_Candidate]

    @property
    def kept(self) -> _Candidate:
        """The best on held-back photos; of equals the cheapest to make."""
        return max(self.candidates, key=lambda one: one.psnr_db)


class _Quantizer:
    """The ways to int8 that a configuration asks for."""

    def __init__(self, lessons: Lessons, config: QuantizeConfig, work: Path, identity: str) -> None:
        self._lessons, self._config, self._work, self._identity = lessons, config, work, identity
        self._training, self._held_back = lessons.pairs.split(config.holdout, config.seed)
        drawn = np.random.default_rng((config.seed, 5)).permutation(len(self._training))[: config.calibration_images]
        self._photos = list(images.to_uint8(self._training.batch(np.sort(drawn))[0]))

    def run(self, model: keras.Model) -> _Finished:
        from compress.distill.fit import psnr_db
        from export.lower import lower

        given = psnr_db(model, self._held_back)
        recalibrated = _with_fresh_statistics(model, self._training, self._config)
        if psnr_db(recalibrated, self._held_back) > given:
            model = recalibrated
        graph = lower(model, input_shape=model.input_shape[1:])
        candidates = [self._post_training("ptq", graph)]
        if self._config.method == "qat":
            candidates += [self._control(graph), self._trained_with_rounding(graph)]
        for one in candidates:
            said = "%s: int8 file %.2f dB to the teacher, %.2f dB to its own graph"
            _log.info(said, one.way, one.psnr_db, one.own_psnr_db)
        return _Finished(given, candidates)

    def _ranges(self, graph: Graph) -> dict[str, Range]:
        from export.quantize.ranges import choose_ranges

        return choose_ranges(graph, self._photos, self._config.ranges, symmetric=self._config.symmetric)

    def _post_training(self, way: str, graph: Graph) -> _Candidate:
        from export.quantize.trainable import as_keras

        return self._measured(way, graph, self._ranges(graph), as_keras(graph))

    def _control(self, graph: Graph) -> _Candidate:
        from export.quantize.trainable import as_keras, with_weights_of

        tuned = self._fit("control", lambda: as_keras(graph))
        return self._post_training("control", with_weights_of(graph, tuned))

    def _trained_with_rounding(self, graph: Graph) -> _Candidate:
        from export.quantize.rounding import Roundings, ranges_of
        from export.quantize.trainable import as_keras, with_weights_of

        ranges = self._ranges(graph)
        tuned = self._fit("qat", lambda: as_keras(graph, Roundings(graph, ranges, symmetric=self._config.symmetric)))
        return self._measured("qat", with_weights_of(graph, tuned), ranges_of(tuned), tuned)

    def _fit(self, way: str, start: Any) -> keras.Model:
        from compress.distill.fit import fit

        return fit(self._lessons, self._config, self._work / way, self._identity, start=start).student

    def _measured(self, way: str, graph: Graph, ranges: dict[str, Range], own: keras.Model) -> _Candidate:
        """Write the int8 file and run it over the held-back photos."""
        from export import tflite
        from export.quantization import quantize
        from export.runner import TfliteGenerator

        quantized = quantize(graph, ranges, symmetric=self._config.symmetric)
        generator = TfliteGenerator(tflite.int8_file(quantized, "float"))
        to_teacher, to_own = [], []
        for position in range(len(self._held_back)):
            photos, targets = self._held_back.batch(np.array([position]))
            picture = generator.translate(images.to_uint8(photos[0]))
            to_teacher.append(_psnr_db(picture - targets[0]))
            to_own.append(_psnr_db(picture - np.asarray(own.predict_on_batch(photos))[0]))
        return _Candidate(way, quantized, float(np.mean(to_teacher)), float(np.mean(to_own)))


def _psnr_db(difference: np.ndarray) -> float:
    from export.parity import psnr_db

    return psnr_db(difference)


def _with_fresh_statistics(model: keras.Model, pairs: Pairs, config: QuantizeConfig) -> keras.Model:
    """The same weights with BatchNorm statistics of the photos that int8 is calibrated on."""
    from compress import training
    from compress.models.copies import copied

    copy = copied(model)
    for step in range(_STATISTICS_STEPS):
        positions = training.sample_indices(step, count=len(pairs), batch_size=config.batch_size, seed=config.seed)
        copy(pairs.batch(positions)[0], training=True)
    return copy


def _draw(scratch: Path, kept: QuantizedGraph, lessons: Lessons, config: QuantizeConfig) -> None:
    """What people look at: a sheet of pictures, and what int8 costs where if they asked."""
    from export.quantize import sensitivity

    _, held_back = lessons.pairs.split(config.holdout, config.seed)
    images.write_png(scratch / "samples.png", _sheet(kept, held_back))
    if config.sensitivity:
        photos, _ = held_back.batch(np.arange(min(_SENSITIVITY_PHOTOS, len(held_back))))
        sensitivity.write(sensitivity.measure(kept, list(images.to_uint8(photos))), scratch)


def _sheet(quantized: QuantizedGraph, held_back: Pairs) -> np.ndarray:
    """Rows of photo, teacher's image, int8 file's picture."""
    from export import tflite
    from export.runner import TfliteGenerator

    generator = TfliteGenerator(tflite.int8_file(quantized, "float"))
    photos, targets = held_back.batch(np.arange(min(_SHEET_ROWS, len(held_back))))
    made = np.stack([generator.translate(photo) for photo in images.to_uint8(photos)])
    columns = [images.to_uint8(column) for column in (photos, targets, made)]
    return images.contact_sheet([list(row) for row in zip(*columns, strict=True)])


def _manifest(
    name: str, finished: _Finished, folded: keras.Model, config: QuantizeConfig, source: Artifact
) -> Manifest:
    from compress import cost

    kept = finished.kept
    return Manifest(
        name=name,
        format="keras",
        stage="quantize",
        parent=source.fingerprint,
        input=source.manifest.input,
        cost=cost.measure(folded),
        config=to_mapping(config),
        seed=config.seed,
        quantization=kept.quantized.as_json(),
        scores={
            "kept": kept.way,
            "held_back_psnr_db": round(kept.psnr_db, 3),
            "held_back_psnr_db_float": round(finished.given_psnr_db, 3),
            **{f"held_back_psnr_db_{one.way}": round(one.psnr_db, 3) for one in finished.candidates},
            **{f"file_to_graph_psnr_db_{one.way}": round(one.own_psnr_db, 3) for one in finished.candidates},
        },
    )
