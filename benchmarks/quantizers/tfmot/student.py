"""The copy of a student in tf_keras, in float and prepared for TFMOT."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization
import tf_keras

from compress.models.layers import BATCH_NORM_MOMENTUM
from compress.teachers.description import INPUT, GeneratorDescription, LayerDescription

tfmot = tensorflow_model_optimization.quantization.keras


class _Shuffle(tf_keras.layers.Layer):
    """One of TensorFlow's two moves between pixels and channels, which become one operator each of a `.tflite` file."""

    move: Any = None

    def __init__(self, block_size: int, **options: Any) -> None:
        super().__init__(**options)
        self.block_size = block_size

    def call(self, inputs: Any) -> Any:
        return self.move(inputs, self.block_size)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "block_size": self.block_size}


class SpaceToDepth(_Shuffle):
    """Blocks of pixels into channels."""

    move = staticmethod(tf.nn.space_to_depth)


class DepthToSpace(_Shuffle):
    """The inverse of SpaceToDepth."""

    move = staticmethod(tf.nn.depth_to_space)


class OutputOnlyQuantizeConfig(tfmot.QuantizeConfig):
    """TFMOT's settings of a layer without weights, whose output is rounded as Add's or, as Reshape's, not at all."""

    def __init__(self, rounded: bool) -> None:
        self.rounded = rounded

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        return []

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        return []

    # On lines of their own: TensorFlow rewrites these bodies, which must not be empty.
    def set_quantize_weights(self, layer: Any, quantize_weights: Any) -> None:
        pass

    def set_quantize_activations(self, layer: Any, quantize_activations: Any) -> None:
        pass

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        quantizer = tfmot.quantizers.MovingAverageQuantizer(8, per_axis=False, symmetric=False, narrow_range=False)
        return [quantizer] if self.rounded else []

    def get_config(self) -> dict[str, Any]:
        return {"rounded": self.rounded}


_UNKNOWN_TO_TFMOT: Mapping[str, bool] = {"Multiply": True, "SpaceToDepth": False, "DepthToSpace": False}
"""Kinds of layers, and whether their output has a range of its own; a shuffle moves values that were rounded before."""
_OWN = {kind.__name__: kind for kind in (SpaceToDepth, DepthToSpace, OutputOnlyQuantizeConfig)}


def build_copy(description: GeneratorDescription) -> Any:
    """Build a `tf_keras.Model` that computes what a student does, with its BatchNorm and its weights.

    Args:
        description: A student that passed `job.check_copyable`.
    """
    image = tf_keras.Input(description.input_shape, name="image")
    tensors = {INPUT: image}
    for spec in description.layers:
        inputs = [tensors[name] for name in spec.inputs]
        layer = _layer(spec)
        tensors[spec.name] = layer(inputs if len(inputs) > 1 else inputs[0])
        layer.set_weights([_weight(description, spec.name, variable.name) for variable in layer.weights])
    return tf_keras.Model(image, tensors[description.output], name="student")


def insert_fake_quantization(model: Any) -> tuple[Any, dict[str, int]]:
    """Put TFMOT's fake quantisation into a copy.

    Args:
        model: From `build_copy`; it is left as it is.

    Returns:
        The model to train, and how many layers of each kind had to be annotated by hand.
    """
    by_hand: Counter[str] = Counter()

    def annotated(layer: Any) -> Any:
        kind = type(layer).__name__
        if kind not in _UNKNOWN_TO_TFMOT:
            return layer
        by_hand[kind] += 1
        return tfmot.quantize_annotate_layer(layer, OutputOnlyQuantizeConfig(_UNKNOWN_TO_TFMOT[kind]))

    with tfmot.quantize_scope(_OWN):
        prepared = tf_keras.models.clone_model(model, clone_function=annotated)
        prepared.set_weights(model.get_weights())
        return tfmot.quantize_apply(tfmot.quantize_annotate_model(prepared)), dict(sorted(by_hand.items()))


def _layer(spec: LayerDescription) -> Any:
    kind: Any = _OWN.get(spec.kind) or getattr(tf_keras.layers, spec.kind)
    # A description does not tell a BatchNorm's momentum.
    momentum = {"momentum": BATCH_NORM_MOMENTUM} if spec.kind == "BatchNormalization" else {}
    return kind(**spec.config, **momentum, name=spec.name)


def _weight(description: GeneratorDescription, layer: str, variable: str) -> np.ndarray:
    # As in `conv2d/depthwise_kernel:0`, which Keras 3 calls a kernel.
    role = variable.rsplit("/", 1)[-1].split(":")[0].removeprefix("depthwise_")
    return description.weights[f"{layer}/{role}"]
