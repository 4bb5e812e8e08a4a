"""The ways to int8: post-training, and two trainings before it; each measured by the file that comes of it, and the
best once more with its dearest operators in float, where a few may stay so.
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
from compress.images import psnr_db
from compress.models.io import clone
from compress.training import loop
from export.calibration.bias_correction import correct_biases
from export.graph.lower import lower
from export.graph.operations import Graph
from export.graph.quantized import QuantizedGraph, Range, quantize_graph, quantize_with_scales
from export.interpreter.litert import TfliteGenerator
from export.quantize import float_ops, sensitivity
from export.quantize.config import QuantizeConfig
from export.quantize.fake_quantize import FakeQuantizers, ranges_of
from export.quantize.ranges import choose_ranges
from export.quantize.trainable import as_keras, with_weights_of
from export.tflite import emitter

TRAININGS = ("control", "qat")
"""The folders of the two trainings: of the folded student in float, and with int8's rounding."""
FLOAT_OPS = "float_ops"
"""The best of all ways with a few operators in float."""
_STATISTICS_STEPS = 50
_SENSITIVITY_PHOTOS = 2
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One way to int8, and how it does on held-back photos."""

    way: str
    """`ptq`, `control`, `qat` or `float_ops`."""
    graph: Graph
    """What the file stands for in float, without what corrects its biases."""
    quantized: QuantizedGraph
    psnr_db: float
    """Mean PSNR of the int8 file's pictures to the teacher's, dB."""
    own_psnr_db: float
    """The same to its own float graph's pictures; for `qat`, to the graph that was trained with the rounding."""
    file_bytes: int
    """Of the int8 file with float ends."""


@dataclasses.dataclass(frozen=True)
class QuantizeResult:
    """All ways that were gone."""

    given_psnr_db: float
    """Of the student as it was given, in float."""
    candidates: list[Candidate]
    held_back: Pairs
    """What they were measured on."""
    costs: Sequence[sensitivity.RoundingCost] = ()
    """What each rounding of `kept` costs, where that was asked for."""
    mixed: Candidate | None = None
    """`kept` with a few operators in float, where that was asked for."""

    @property
    def kept(self) -> Candidate:
        """The best on held-back photos; of equals the cheapest to make."""
        return max(self.candidates, key=lambda one: one.psnr_db)

    @property
    def measured(self) -> list[Candidate]:
        """All whose file was written and run."""
        return [*self.candidates, *([self.mixed] if self.mixed else [])]

    @property
    def shipped(self) -> Candidate:
        """What the export is to write."""
        return self.mixed or self.kept


def run_candidates(
    model: keras.Model,
    training_data: TrainingData,
    config: QuantizeConfig,
    fit_config: FitConfig,
    work: Path,
    identity: str,
) -> QuantizeResult:
    """Go every way that a configuration asks for.

    Args:
        model: The student.
        training_data: Photos, the teacher's images of them, and what the trainings' losses need.
        config: Method and ranges.
        fit_config: The training and its losses.
        work: Where each training has its folder.
        identity: See `loop.train`.
    """
    quantizer = _Quantizer(training_data, config, fit_config, work, identity)
    given = fitting.held_back_psnr_db(model, quantizer.held_back)
    graph = quantizer.lowered(model, given)
    ranges = quantizer.ranges(graph)
    candidates = [quantizer.measured("ptq", graph, quantizer.corrected(graph, ranges))]
    if config.method == "qat":
        candidates += [quantizer.control(graph), quantizer.trained_with_rounding(graph, ranges)]
    finished = QuantizeResult(given, candidates, quantizer.held_back)
    if config.sensitivity or config.float_ops:
        finished = dataclasses.replace(finished, costs=quantizer.costs(finished.kept))
    if config.float_ops:
        finished = dataclasses.replace(finished, mixed=quantizer.with_float(finished))
    for one in finished.measured:
        said = "%s: int8 file of %d bytes, %.2f dB to the teacher, %.2f dB to its own graph"
        _log.info(said, one.way, one.file_bytes, one.psnr_db, one.own_psnr_db)
    return finished


class _Quantizer:
    """What all ways share: photos to train, to calibrate and to measure on."""

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

    def lowered(self, model: keras.Model, psnr_db: float) -> Graph:
        """The student's graph; with fresh BatchNorm statistics where these beat the PSNR that it had."""
        recalibrated = _with_fresh_statistics(model, self._training, self._config)
        if fitting.held_back_psnr_db(recalibrated, self.held_back) > psnr_db:
            model = recalibrated
        return lower(model, input_shape=model.input_shape[1:])

    def ranges(self, graph: Graph) -> dict[str, Range]:
        return choose_ranges(graph, self._photos, self._config.ranges, symmetric=self._config.symmetric)

    def control(self, graph: Graph) -> Candidate:
        """As many steps as `qat`, in float."""
        tuned = with_weights_of(graph, self._fit("control", lambda: as_keras(graph)))
        return self.measured("control", tuned, self.corrected(tuned, self.ranges(tuned)))

    def trained_with_rounding(self, graph: Graph, ranges: Mapping[str, Range]) -> Candidate:
        symmetric = self._config.symmetric
        tuned = self._fit("qat", lambda: as_keras(graph, FakeQuantizers(graph, ranges, symmetric=symmetric)))
        learned = with_weights_of(graph, tuned)
        return self.measured("qat", learned, self.quantized(learned, ranges_of(tuned)), own=tuned)

    def quantized(self, graph: Graph, ranges: Mapping[str, Range]) -> QuantizedGraph:
        return quantize_graph(graph, ranges, symmetric=self._config.symmetric)

    def corrected(self, graph: Graph, ranges: Mapping[str, Range]) -> QuantizedGraph:
        """With biases for the rounding, which what was trained with it has learned already."""
        return correct_biases(self.quantized(graph, ranges), self._photos)

    def costs(self, kept: Candidate) -> list[sensitivity.RoundingCost]:
        """What each rounding costs on a few held-back photos."""
        photos, _ = self.held_back.batch(np.arange(min(_SENSITIVITY_PHOTOS, len(self.held_back))))
        return sensitivity.measure_sensitivity(kept.quantized, list(images.to_uint8(photos)))

    def with_float(self, finished: QuantizeResult) -> Candidate:
        """The best of all ways with as many operators in float as may be."""
        kept, whole = finished.kept, finished.kept.quantized
        chosen = float_ops.choose_float_ops(whole.graph, finished.costs, self._config.float_ops)
        _log.info("in float stay %s", ", ".join(chosen) or "none: no operator's rounding costs anything")
        return self.measured(FLOAT_OPS, kept.graph, quantize_with_scales(whole.graph, whole.tensors, chosen))

    def measured(self, way: str, graph: Graph, quantized: QuantizedGraph, own: keras.Model | None = None) -> Candidate:
        """Write the int8 file and run it over the held-back photos; its own graph is `own`, or else `graph`."""
        compared: keras.Model = own or as_keras(graph)
        content = emitter.int8_file(quantized, "float")
        generator = TfliteGenerator(content)
        to_teacher, to_own = [], []
        for position in range(len(self.held_back)):
            photos, targets = self.held_back.batch(np.array([position]))
            picture = generator.translate(images.to_uint8(photos[0]))
            to_teacher.append(psnr_db(picture - targets[0]))
            to_own.append(psnr_db(picture - np.asarray(compared.predict_on_batch(photos))[0]))
        return Candidate(way, graph, quantized, float(np.mean(to_teacher)), float(np.mean(to_own)), len(content))

    def _fit(self, way: str, start: Callable[[], keras.Model]) -> keras.Model:
        return fitting.fit(self._training_data, self._fit_config, self._work / way, self._identity, start=start).student


def _with_fresh_statistics(model: keras.Model, pairs: Pairs, config: QuantizeConfig) -> keras.Model:
    """The same weights with BatchNorm statistics of the photos that int8 is calibrated on."""
    copy = clone(model)

    def photos(step: int) -> np.ndarray:
        positions = loop.sample_indices(step, count=len(pairs), batch_size=config.batch_size, seed=config.seed)
        return pairs.batch(positions)[0]

    loop.refresh_batch_statistics(copy, photos, _STATISTICS_STEPS)
    return copy
