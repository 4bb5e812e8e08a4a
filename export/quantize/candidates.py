"""The candidates of `compress quantize`: post-training, and two trainings before it, each measured by its int8 file.

Where a few operators may compute in float, the best candidate becomes one more, with the most expensive in float.
"""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import keras
import numpy as np

from compress import images
from compress.distill import fit as fitting
from compress.distill.config import FitConfig
from compress.distill.training_data.build import TrainingData
from compress.distill.training_data.pairs import Pairs
from compress.distill.watch.pictures import held_back_psnr_db
from compress.errors import UsageError
from compress.images import psnr_db
from compress.models.io import clone
from compress.training import loop
from compress.training.averaging import refresh_batch_statistics
from export.calibration.bias_correction import correct_biases
from export.graph.lower import lower
from export.graph.operations import Graph
from export.graph.quantized import QuantizedGraph, Range, quantize_graph, quantize_with_scales
from export.interpreter.litert import TfliteGenerator
from export.quantize import float_ops, sensitivity
from export.quantize.config import QuantizeConfig
from export.quantize.fake_quantize import FakeQuantizers, read_ranges
from export.quantize.ranges import choose_ranges
from export.quantize.trainable import as_keras, take_weights
from export.tflite import emitter

TRAININGS = ("control", "qat")
"""Folders of the two trainings: of the folded student in float, and with int8's rounding."""
FLOAT_OPS = "float_ops"
"""Method of the candidate with a few operators in float."""
_STATISTICS_STEPS = 50
_SENSITIVITY_PHOTOS = 2
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A quantized student, and its scores on held-back photos."""

    method: str
    """`ptq`, `control`, `qat` or `float_ops`."""
    graph: Graph
    """The float graph that was quantized, before its biases were corrected."""
    quantized: QuantizedGraph
    psnr_db: float
    """Mean PSNR of the int8 file's pictures to the teacher's, dB."""
    graph_psnr_db: float
    """The same to the float graph's pictures; for `qat`, to those of the model that was trained with the rounding."""
    file_bytes: int
    """Size of the int8 file with float input and output."""


@dataclasses.dataclass(frozen=True)
class QuantizeResult:
    """All candidates and their scores."""

    student_psnr_db: float
    """PSNR of the float student to the teacher, before any change."""
    candidates: list[Candidate]
    """Candidates that are int8 throughout."""
    held_back: Pairs
    """The photos that they were measured on."""
    costs: Sequence[sensitivity.RoundingCost] = ()
    """Cost of each rounding of `best`, where that was asked for."""
    mixed: Candidate | None = None
    """`best` with a few operators in float, where that was asked for."""

    @property
    def best(self) -> Candidate:
        """The best on held-back photos; of equals the cheapest to make."""
        return max(self.candidates, key=lambda one: one.psnr_db)

    @property
    def all_candidates(self) -> list[Candidate]:
        """All candidates, the one with float operators last."""
        return [*self.candidates, *([self.mixed] if self.mixed else [])]

    @property
    def chosen(self) -> Candidate:
        """The candidate that the export is to write."""
        return self.mixed or self.best


def run_candidates(
    model: keras.Model,
    training_data: TrainingData,
    config: QuantizeConfig,
    fit_config: FitConfig,
    work: Path,
    identity: str,
) -> QuantizeResult:
    """Make and measure every candidate that a configuration asks for.

    Args:
        model: The student.
        training_data: Photos, the teacher's images of them, and the data of the trainings' losses.
        config: Method and ranges.
        fit_config: The training and its losses.
        work: The folder that holds one for each training.
        identity: See `loop.train`.
    """
    quantizer = _Quantizer(training_data, config, fit_config, work, identity)
    student_psnr_db = held_back_psnr_db(model, quantizer.held_back)
    graph = quantizer.lower_student(model, student_psnr_db)
    ranges = quantizer.choose_ranges(graph)
    candidates = [quantizer.measure("ptq", graph, quantizer.quantize_corrected(graph, ranges))]
    _require_small(candidates[0], config.max_bytes)
    if config.method == "qat":
        candidates += [quantizer.train_control(graph), quantizer.train_qat(graph, ranges)]
    result = QuantizeResult(student_psnr_db, candidates, quantizer.held_back)
    if config.sensitivity or config.float_ops:
        result = dataclasses.replace(result, costs=quantizer.measure_costs(result.best))
    if config.float_ops:
        result = dataclasses.replace(result, mixed=quantizer.move_to_float(result))
    for one in result.all_candidates:
        message = "%s: int8 file of %d bytes, %.2f dB to the teacher, %.2f dB to its own graph"
        _log.info(message, one.method, one.file_bytes, one.psnr_db, one.graph_psnr_db)
    return result


def _require_small(candidate: Candidate, max_bytes: int | None) -> None:
    """Check the size of a file without float operators, before anything is trained.

    Raises:
        UsageError: If it is larger than it may be.
    """
    if max_bytes is not None and candidate.file_bytes > max_bytes:
        raise UsageError(
            f"max_bytes = {max_bytes}, but the int8 file takes {candidate.file_bytes}. Make the student smaller "
            f"(compress prune --max-bytes {max_bytes}), or allow more."
        )


class _Quantizer:
    """Makes candidates; holds the photos to train, to calibrate and to measure on."""

    def __init__(
        self,
        training_data: TrainingData,
        config: QuantizeConfig,
        fit_config: FitConfig,
        work: Path,
        identity: str,
    ) -> None:
        self._training_data, self._work, self._identity = training_data, work, identity
        self._config, self._fit_config = config, fit_config
        self._training, self.held_back = training_data.pairs.split(config.holdout, config.seed)

    @cached_property
    def _photos(self) -> list[np.ndarray]:
        config = self._config
        drawn = np.random.default_rng((config.seed, 5)).permutation(len(self._training))[: config.calibration_images]
        return list(images.to_uint8(self._training.batch(np.sort(drawn))[0]))

    def lower_student(self, model: keras.Model, psnr_db: float) -> Graph:
        """Lower the student, with fresh BatchNorm statistics where these beat the PSNR that it had."""
        recalibrated = _refresh_statistics(model, self._training, self._config)
        if held_back_psnr_db(recalibrated, self.held_back) > psnr_db:
            model = recalibrated
        return lower(model, input_shape=model.input_shape[1:])

    def choose_ranges(self, graph: Graph) -> dict[str, Range]:
        return choose_ranges(graph, self._photos, self._config.ranges, symmetric=self._config.symmetric)

    def train_control(self, graph: Graph) -> Candidate:
        """Train as many steps as `train_qat`, in float."""
        tuned = take_weights(graph, self._fit("control", lambda: as_keras(graph)))
        return self.measure("control", tuned, self.quantize_corrected(tuned, self.choose_ranges(tuned)))

    def train_qat(self, graph: Graph, ranges: Mapping[str, Range]) -> Candidate:
        """Train with int8's rounding, which the biases learn too, so that they need no correction."""
        symmetric = self._config.symmetric
        tuned = self._fit("qat", lambda: as_keras(graph, FakeQuantizers(graph, ranges, symmetric=symmetric)))
        learned = take_weights(graph, tuned)
        return self.measure("qat", learned, self._quantize(learned, read_ranges(tuned)), model=tuned)

    def _quantize(self, graph: Graph, ranges: Mapping[str, Range]) -> QuantizedGraph:
        return quantize_graph(graph, ranges, symmetric=self._config.symmetric)

    def quantize_corrected(self, graph: Graph, ranges: Mapping[str, Range]) -> QuantizedGraph:
        """Quantize a graph and correct its biases for the rounding."""
        return correct_biases(self._quantize(graph, ranges), self._photos)

    def measure_costs(self, best: Candidate) -> list[sensitivity.RoundingCost]:
        """Measure the cost of each rounding on a few held-back photos."""
        photos, _ = self.held_back.batch(np.arange(min(_SENSITIVITY_PHOTOS, len(self.held_back))))
        return sensitivity.measure_sensitivity(best.quantized, list(images.to_uint8(photos)))

    def move_to_float(self, result: QuantizeResult) -> Candidate:
        """Make the best candidate once more, with as many operators in float as may be."""
        best, whole = result.best, result.best.quantized
        most = self._config.max_bytes
        room = None if most is None else most - best.file_bytes
        chosen = float_ops.choose_float_ops(whole.graph, result.costs, self._config.float_ops, max_growth_bytes=room)
        _log.info("in float stay %s", ", ".join(chosen) or "none: no operator's rounding costs anything")
        return self.measure(FLOAT_OPS, best.graph, quantize_with_scales(whole.graph, whole.tensors, chosen))

    def measure(
        self, method: str, graph: Graph, quantized: QuantizedGraph, model: keras.Model | None = None
    ) -> Candidate:
        """Write the int8 file and run it over the held-back photos.

        Args:
            method: The candidate's method.
            graph: Its float graph.
            quantized: The integers of its file.
            model: The Keras model of that graph; built from it when None.
        """
        own: keras.Model = model or as_keras(graph)
        content = emitter.int8_file(quantized, "float")
        generator = TfliteGenerator(content)
        to_teacher, to_graph = [], []
        for position in range(len(self.held_back)):
            photos, targets = self.held_back.batch(np.array([position]))
            picture = generator.translate(images.to_uint8(photos[0]))
            to_teacher.append(psnr_db(picture - targets[0]))
            to_graph.append(psnr_db(picture - np.asarray(own.predict_on_batch(photos))[0]))
        return Candidate(method, graph, quantized, float(np.mean(to_teacher)), float(np.mean(to_graph)), len(content))

    def _fit(self, method: str, start: Callable[[], keras.Model]) -> keras.Model:
        work = self._work / method
        fitted = fitting.fit(
            self._training_data, self._fit_config, work, self._identity, start=start, name=f"quantize, {method}"
        )
        return fitted.student


def _refresh_statistics(model: keras.Model, pairs: Pairs, config: QuantizeConfig) -> keras.Model:
    """Return a copy with the same weights, and BatchNorm statistics of training photos."""
    copy = clone(model)

    def photos(step: int) -> np.ndarray:
        positions = loop.sample_indices(step, count=len(pairs), batch_size=config.batch_size, seed=config.seed)
        return pairs.batch(positions)[0]

    refresh_batch_statistics(copy, photos, _STATISTICS_STEPS)
    return copy
