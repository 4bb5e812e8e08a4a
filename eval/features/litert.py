"""A feature network in LiteRT: our own deploy graph, run by XNNPACK's float kernels on all cores."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from queue import LifoQueue
from threading import Lock

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from eval.features.graphs.assembly import FeatureGraph
from export.graph.operations import Graph, Operation
from export.tflite.file import TfliteFile
from export.tflite.operators import EmitContext, emit

_MOST_INTERPRETERS = 8
"""Each keeps weights of its own, packed for the machine: 87 MB of Inception."""


class LitertExtractor:
    """A network whose features and activations are asked for from several threads at once.

    Each interpreter has one thread and takes one image: on two cores that gave 25 ms an image of Inception, and images
    divided among threads 40; beside other work, nobody waits for anybody.

    Args:
        build: Reads the weights and builds the graph.
        prepare: Turns an image, `(height, width, 3)` uint8, into what the graph takes.
        cores: Cores to run on.
        scale: Factor of the features.

    Raises:
        UnusableModel: If the weights are not those of the network.
    """

    batch_size = 1

    def __init__(
        self,
        build: Callable[[], FeatureGraph],
        prepare: Callable[[np.ndarray], np.ndarray],
        *,
        cores: int = 1,
        scale: float = 1.0,
    ) -> None:
        self._build, self._prepare, self._scale = build, prepare, np.float32(scale)
        self.workers = min(cores, _MOST_INTERPRETERS)
        """How many threads can compute at once."""
        self._threads = cores // self.workers
        self._lock = Lock()
        graph = build().graph
        self._features = _Program(graph, [graph.output], self.workers, self._threads)

    def features(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return the features of images, `(height, width, 3)` uint8 each: `(images, features)` float32."""
        rows = [self._features.run(self._prepare(image))[0].reshape(-1) for image in images]
        return np.stack(rows) * self._scale

    def activations(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return what each stage makes of images: `(images, height, width, channels)` float32."""
        with self._lock:
            program = self._stages
        found = [program.run(self._prepare(image)) for image in images]
        return [np.concatenate(stage) for stage in zip(*found, strict=True)]

    @cached_property
    def _stages(self) -> "_Program":
        built = self._build()
        return _Program(built.graph, built.stages, self.workers, self._threads)


class _Program:
    """A graph as a `.tflite` file with several outputs, and the interpreters that run it, loaded as they are needed."""

    def __init__(self, graph: Graph, outputs: Sequence[str], interpreters: int, threads: int) -> None:
        self._content, self._threads = _emit(graph, outputs), threads
        # The last one that came back is the first to be taken, so an empty place is filled when all others are busy.
        self._idle = LifoQueue[Interpreter | None]()
        for _ in range(interpreters):
            self._idle.put(None)

    def run(self, image: np.ndarray) -> list[np.ndarray]:
        """Return the outputs, `(1, height, width, channels)` each, of an image as the graph takes it."""
        interpreter = self._idle.get()
        try:
            interpreter = interpreter or self._load()
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
            interpreter.invoke()
            return [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]
        finally:
            self._idle.put(interpreter)

    def _load(self) -> Interpreter:
        interpreter = Interpreter(model_content=self._content, num_threads=self._threads)
        interpreter.allocate_tensors()
        return interpreter


def _emit(graph: Graph, outputs: Sequence[str]) -> bytes:
    graph = replace(graph, operations=_needed(graph, outputs))
    file = TfliteFile()
    context = EmitContext(file.add_subgraph(), graph)
    for operation in graph.operations:
        emit(operation, context)
    context.file.close({graph.input: context.tensor(graph.input)}, {name: context.tensor(name) for name in outputs})
    return file.finish("feature network", {})


def _needed(graph: Graph, outputs: Sequence[str]) -> tuple[Operation, ...]:
    """Return the operations that the outputs depend on."""
    asked = set(outputs)
    kept = []
    for operation in reversed(graph.operations):
        if operation.output in asked:
            asked.update(operation.inputs)
            kept.append(operation)
    return tuple(reversed(kept))
