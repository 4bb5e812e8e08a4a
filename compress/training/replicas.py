"""Replicas: a training's nets on several devices, of this machine or of several processes, each with a part of a batch.

A step is the one that a single device takes with the whole batch: gradients are those of the mean over all images,
BatchNorm's statistics and the discriminators' pools are of all images, too. Only the order of sums differs.

This is the one place of the training code that knows a backend's way of doing it. `opened` chooses the devices before
the backend starts; what trains asks `current`, and inside of a step the functions at the end of this module, which
do nothing on one device.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

import numpy as np

from compress.cache.machine import count_cores
from compress.errors import UsageError

TF_CONFIG = "TF_CONFIG"
"""Environment variable in which TensorFlow finds the processes that train together, and which of them this one is."""
_log = logging.getLogger(__name__)


class Replicas:
    """One replica, on one device: training as it is without this module."""

    count: int = 1
    """Number of replicas, of all processes together."""
    is_chief: bool = True
    """Whether this process measures, and writes files; exactly one of those that train together does."""

    def scope(self) -> AbstractContextManager[Any]:
        """Return the context in which a net and its optimiser have to be made."""
        return nullcontext()

    def prepare(self, model: Any) -> None:
        """Prepare a model that was made in `scope` to be trained."""

    def train_on_batch(self, model: Any, arguments: Sequence[Any]) -> Mapping[str, float]:
        """Train a model one step.

        Args:
            model: Compiled, from `scope`. Its `of_step`, where it has one, names the inputs that are not one an image.
            arguments: Those of `train_on_batch`, for the whole batch.

        Returns:
            The losses by name, means over the whole batch.
        """
        return model.train_on_batch(*arguments, return_dict=True)

    def agree(self, decide: Callable[[], int]) -> int:
        """Return what the chief decides; it alone is asked."""
        return decide()

    def spread(self, variables: Sequence[Any]) -> None:
        """Give the chief's values to the variables of all processes."""


class _TensorFlowReplicas(Replicas):
    """Replicas by a TensorFlow strategy."""

    def __init__(self, strategy: Any, *, rank: int = 0) -> None:
        self._strategy, self._rank = strategy, rank
        self.count, self.is_chief = strategy.num_replicas_in_sync, rank == 0
        self._steps: dict[Any, Callable[[Any], tuple[list[str], Any]]] = {}

    def scope(self) -> AbstractContextManager[Any]:
        return self._strategy.scope()

    def prepare(self, model: Any) -> None:
        import keras

        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True

    def train_on_batch(self, model: Any, arguments: Sequence[Any]) -> Mapping[str, float]:
        if model not in self._steps:
            self._steps[model] = self._compile_step(model)
        of_step = getattr(model, "of_step", frozenset())
        names, losses = self._steps[model](
            self._strategy.experimental_distribute_values_from_function(
                lambda context: _tensors(arguments, context.replica_id_in_sync_group, self.count, of_step)
            )
        )
        return dict(zip(names, np.asarray(losses).tolist(), strict=True))

    def _compile_step(self, model: Any) -> Callable[[Any], tuple[list[str], Any]]:
        """Compile a step. Keras's own `train_on_batch` cannot average the losses of several processes (keras#20585)."""
        import tensorflow as tf

        names: list[str] = []

        def of_replica(data: Any) -> Any:
            model.reset_metrics()
            losses = model.train_step(data)
            names[:] = losses
            return tf.stack([tf.cast(loss, tf.float32) for loss in losses.values()])

        # Where only shapes differ it is compiled anew: an open size would slow all other steps.
        @tf.function(reduce_retracing=False)
        @tf.autograph.experimental.do_not_convert
        def step(data: Any) -> Any:
            return self._strategy.reduce("MEAN", self._strategy.run(of_replica, args=(data,)), axis=None)

        return lambda data: (names, step(data))

    def agree(self, decide: Callable[[], int]) -> int:
        (agreed,) = self._of_chief([np.int32(decide() if self.is_chief else 0)])
        return int(agreed)

    def spread(self, variables: Sequence[Any]) -> None:
        if not self._has_other_processes():
            return
        for variable, value in zip(variables, self._of_chief([one.numpy() for one in variables]), strict=True):
            variable.assign(value)

    def _of_chief(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return the chief's values in all processes; the shapes and types are alike in all of them."""
        import tensorflow as tf

        if not self._has_other_processes():
            return values

        def give() -> Any:
            context: Any = tf.distribute.get_replica_context()
            is_first = context.replica_id_in_sync_group == 0
            given = [tf.convert_to_tensor(value) if is_first else tf.zeros_like(value) for value in values]
            return context.all_reduce(tf.distribute.ReduceOp.SUM, given)

        return [self._strategy.experimental_local_results(value)[0].numpy() for value in self._strategy.run(give)]

    def _has_other_processes(self) -> bool:
        return self._rank > 0 or self.count > len(self._strategy.extended.worker_devices)


class _JaxReplicas(Replicas):
    """Replicas by a Keras distribution on JAX: the program is that of one device, and JAX cuts it into parts."""

    def __init__(self, distribution: Any, count: int) -> None:
        self._distribution, self.count = distribution, count

    def scope(self) -> AbstractContextManager[Any]:
        return self._distribution.scope()

    def train_on_batch(self, model: Any, arguments: Sequence[Any]) -> Mapping[str, float]:
        with self.scope():
            return super().train_on_batch(model, arguments)


_ONE = Replicas()
_current: list[Replicas] = [_ONE]


def current() -> Replicas:
    """Return the replicas of the training that runs: one, unless `opened` says otherwise."""
    return _current[-1]


@contextmanager
def opened(devices: int) -> Iterator[Replicas]:
    """Train on several devices within the block; on one, and alone, this does nothing and loads nothing.

    Called before the backend computes anything, since it has to be told of processors that count as several devices.
    Without GPUs the devices are the processor's cores, each a device of its own.

    Args:
        devices: Number of devices of this process. Where `TF_CONFIG` names other processes, they train with this one.

    Raises:
        UsageError: If there are not as many, or the backend cannot do it, or started too early.
    """
    workers, rank = _read_processes()
    if devices < 1:
        raise UsageError(f"--devices {devices}, expected at least 1.")
    _current.append(_open(devices, workers, rank) if devices > 1 or workers > 1 else _ONE)
    try:
        yield current()
    finally:
        _current.pop()


def require_divisible(batch_size: int) -> None:
    """Check that every replica gets equally many images, without which their mean is not that of the batch.

    Raises:
        UsageError: If not, with batch sizes that would do.
    """
    count = current().count
    if batch_size % count:
        below, above = batch_size // count * count, (batch_size // count + 1) * count
        sizes = f"--batch-size {below} or {above}" if below else f"--batch-size {above}"
        raise UsageError(
            f"batch_size = {batch_size} cannot be divided evenly among {count} devices. Pass {sizes}, or fewer "
            "--devices."
        )


def _open(devices: int, workers: int, rank: int) -> Replicas:
    import keras

    backend = keras.backend.backend()
    if backend == "jax" and workers == 1:
        return _open_jax(devices)
    if backend != "tensorflow":
        raise UsageError(
            f"{workers} processes with {devices} devices each: Keras's backend {backend} does not train so. Set "
            "KERAS_BACKEND=tensorflow, or =jax for the devices of one machine."
        )
    _choose_tensorflow_devices(devices, has_others=workers > 1)
    import tensorflow as tf

    if workers > 1:
        _log.info("training together: process %d of %d", rank + 1, workers)
        return _TensorFlowReplicas(tf.distribute.MultiWorkerMirroredStrategy(), rank=rank)
    names = [device.name for device in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")]
    _log.info("training on %d devices: %s", devices, ", ".join(names[:devices]))
    return _TensorFlowReplicas(_mirrored(tuple(names[:devices])))


@cache
def _mirrored(devices: tuple[str, ...]) -> Any:
    """Return the strategy of this process; a second one would number its exchanges as the first one did."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(devices)


def _choose_tensorflow_devices(devices: int, *, has_others: bool) -> None:
    """Leave TensorFlow as many GPUs, or without any as many processors, as were asked for."""
    import tensorflow as tf

    gpus, processors = tf.config.list_physical_devices("GPU"), tf.config.list_physical_devices("CPU")
    _require_enough(devices, gpus=len(gpus))
    if not gpus and devices > 1 and has_others:
        raise UsageError(
            f"--devices {devices} without a GPU: each of the processes that train together computes on one processor. "
            "Leave --devices out, and start more processes."
        )
    with _told_in_time(devices):
        if gpus and tf.config.get_visible_devices("GPU") != gpus[:devices]:
            tf.config.set_visible_devices(gpus[:devices], "GPU")
        if not gpus and len(tf.config.get_logical_device_configuration(processors[0]) or [None]) < devices:
            parts = [tf.config.LogicalDeviceConfiguration() for _ in range(devices)]
            tf.config.set_logical_device_configuration(processors[0], parts)


def _open_jax(devices: int) -> Replicas:
    import jax  # pyright: ignore[reportMissingImports]
    import keras

    class EvenDataParallel(keras.distribution.DataParallel):
        """Data parallelism that copies to all devices what cannot be divided, such as the number of a step."""

        def get_data_layout(self, data_shape: Any) -> Any:
            if data_shape[0] % devices == 0:
                return super().get_data_layout(data_shape)
            return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)

    if jax.config.jax_num_cpu_devices < devices:
        with _told_in_time(devices):
            jax.config.update("jax_num_cpu_devices", devices)
    names = keras.distribution.list_devices()
    _require_enough(devices, gpus=sum(not name.startswith("cpu") for name in names))
    _log.info("training on %d devices: %s", devices, ", ".join(names[:devices]))
    return _JaxReplicas(EvenDataParallel(devices=names[:devices], auto_shard_dataset=False), devices)


def _require_enough(devices: int, *, gpus: int) -> None:
    most = gpus or count_cores() or 1
    if devices > most:
        kind = f"{gpus} GPU{'s' * (gpus > 1)}" if gpus else f"no GPU and {most} processor{'s' * (most > 1)}"
        raise UsageError(f"--devices {devices}, but this process sees {kind}. Pass --devices {most} or less.")


@contextmanager
def _told_in_time(devices: int) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise UsageError(
            f"--devices {devices}: this process computes already, and its backend cannot be told of devices any more. "
            "Train in a process of its own."
        ) from error


def _read_processes() -> tuple[int, int]:
    """Return how many processes train together, as `TF_CONFIG` names them, and which this one is; alone without it."""
    if not (text := os.environ.get(TF_CONFIG)):
        return 1, 0
    try:
        config = json.loads(text)
        workers, rank = config["cluster"]["worker"], config["task"]["index"]
        is_member = set(config["cluster"]) == {"worker"} and config["task"]["type"] == "worker"
        if not (is_member and isinstance(workers, list) and rank in range(len(workers))):
            raise ValueError("it is no worker's")
    except (ValueError, LookupError, TypeError) as error:
        raise UsageError(
            f"{TF_CONFIG}={text!r:.200} cannot be used ({error}); expected "
            '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}. Set or unset it.'
        ) from error
    return len(workers), rank


def share(loss: Any) -> Any:
    """Return a replica's part of a loss that is the mean over its own images: the parts' sum is the whole batch's."""
    context = _context()
    return loss if context is None else loss / context.num_replicas_in_sync


def mean(value: Any) -> Any:
    """Return the mean of a value over all replicas."""
    context = _context()
    return value if context is None else context.all_reduce("MEAN", value)


def total(values: Sequence[Any]) -> Sequence[Any]:
    """Return the sum of each value over all replicas."""
    context = _context()
    return values if context is None else context.all_reduce("SUM", list(values))


def gather(values: Any) -> Any:
    """Return the values of all replicas, joined along the first axis in the order of the batch. It has no gradient."""
    context = _context()
    if context is None:
        return values
    import tensorflow as tf

    # `all_gather` does not work in a compiled step of several processes: each adds its values to zeros instead.
    count, shape = context.num_replicas_in_sync, values.shape.as_list()
    is_own = tf.reshape(tf.range(count) == context.replica_id_in_sync_group, [count] + [1] * len(shape))
    placed = tf.where(is_own, values[None], tf.zeros_like(values)[None])
    return context.all_reduce("SUM", tf.reshape(placed, [count * shape[0], *shape[1:]]))


def _context() -> Any:
    """Return TensorFlow's context of the replica that computes; None with one replica, and outside of a step."""
    if not isinstance(current(), _TensorFlowReplicas):
        return None
    import tensorflow as tf

    context: Any = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def _tensors(arguments: Sequence[Any], place: int, count: int, of_step: frozenset[str]) -> tuple[Any, ...]:
    """Return a replica's part of a step's arguments, as tensors."""
    return tuple(
        {name: _part(value, place, 1 if name in of_step else count) for name, value in argument.items()}
        if isinstance(argument, dict)
        else _part(argument, place, count)
        for argument in arguments
    )


def _part(values: np.ndarray, place: int, count: int) -> Any:
    import tensorflow as tf

    size = len(values) // count
    return tf.convert_to_tensor(values if count == 1 else values[place * size : (place + 1) * size])
