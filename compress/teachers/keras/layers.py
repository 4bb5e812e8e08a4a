"""Writers of each kind of Keras layer, by name, into a description; classes that are no Keras's are `own_layers`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from compress.teachers.description import INPUT, GeneratorDescription, LayerKind
from compress.teachers.graph_writer import GraphWriter
from compress.teachers.keras.config import Call, Network
from compress.teachers.keras.inferred_padding import LAMBDA_PADDING
from compress.teachers.keras.layer_writer import (
    Handler,
    LayerWriter,
    Weights,
    activation_name,
    spatial_pairs,
    write_activation,
)
from compress.teachers.keras.norms import write_batch_norm, write_contrib_norm, write_group_norm, write_instance_norm
from compress.teachers.keras.operations import (
    is_known_operation,
    is_operation,
    write_constant_merge,
    write_merge,
    write_operation,
)
from compress.teachers.keras.own_layers import write_own_layer
from compress.teachers.keras.scaling import write_normalization, write_rescaling
from compress.teachers.reading.config import ReadingConfig
from compress.teachers.reading.found_layers import tell_layers
from compress.teachers.reading.layer_as import parse_layer_as, require_own_classes


def write_network(
    network: Network, weights_of: Callable[[Call], Weights], reading: ReadingConfig
) -> tuple[GraphWriter, str]:
    """Write all calls of a flattened model.

    Args:
        network: The calls.
        weights_of: Returns a call's weights in the file.
        reading: What the user says.

    Returns:
        The written graph and the name of its output.

    Raises:
        UnusableModel: If a layer is not known.
        UsageError: If the user says what a class is that the file has not.
    """
    graph = GraphWriter()
    names = {INPUT: INPUT}
    said = parse_layer_as(reading.layer_as)
    require_own_classes(said, {call.class_name for call in network.calls if _handler(call) is None})
    for call in network.calls:
        inputs = tuple(names[name] for name in call.inputs)
        layer = LayerWriter(graph, call, inputs, weights_of(call), label="/".join(call.path))
        handler = _handler(call)
        names[call.name] = handler(layer) if handler else write_own_layer(layer, said, reading.padding)
    return graph, names[network.output]


def finish_network(
    graph: GraphWriter, network: Network, output: str, source_format: str, reading: ReadingConfig
) -> GeneratorDescription:
    """Return the description of a written network, with what its layers tell.

    Raises:
        UsageError: If the user says how borders are padded, but the file does.
    """
    description = tell_layers(graph.finish(source_format, network.input_shape, output), reading)
    return replace(description, batch_norm_told=not _is_tutorials_u_net(network))


def _is_tutorials_u_net(network: Network) -> bool:
    """Check whether a net is built like the U-Net of TensorFlow's pix2pix tutorial, which is called with training=True.

    That call is not in the file; Dropout, which only pix2pix keeps outside training, shows the net.
    """
    kinds = {call.class_name for call in network.calls}
    windows = [call.config.get("kernel_size") for call in network.calls if call.class_name == "Conv2DTranspose"]
    halved = any(call.class_name == "Conv2D" and call.config.get("strides") == [2, 2] for call in network.calls)
    u_net = {"BatchNormalization", "Dropout", "Concatenate"} <= kinds
    return u_net and halved and bool(windows) and all(window == [4, 4] for window in windows)


def _handler(call: Call) -> Handler | None:
    """Return the writer of a layer or function of Keras and of packages known here; None for any other class."""
    if is_operation(call):
        return write_operation
    if call.class_name in _HANDLERS:
        return _HANDLERS[call.class_name]
    if call.class_name == "InstanceNormalization":
        return write_instance_norm
    # A Keras 3 `.h5` names an operation's class without its module.
    return write_operation if is_known_operation(call) else None


def _pass_on(layer: LayerWriter) -> str:
    """Skip a layer that does nothing outside training."""
    return layer.inputs[0]


def _write_lambda(layer: LayerWriter) -> str:
    """Write a `Lambda` of a function of Keras as that function's call; the user must say what any other one does."""
    function = layer.config.get("function")
    if not isinstance(function, Mapping) or function.get("module") != "keras.ops":
        return layer.add("ReflectionPadding2D", LAMBDA_PADDING)
    arguments = {**layer.call.arguments, **(layer.config.get("arguments") or {})}
    call = replace(layer.call, class_name=str(function["config"]), package="keras.ops", arguments=arguments)
    return write_operation(replace(layer, call=call))


def _write_spectral(layer: LayerWriter) -> str:
    """Write the layer within a `SpectralNormalization`, whose kernel in the file is normalised already."""
    return _write_wrapped(layer, [(name, value) for name, value in layer.weights if name not in _POWER_ITERATION])


def _write_weight_norm(layer: LayerWriter) -> str:
    """Write the layer within a `WeightNormalization` (tensorflow_addons): kernel `g * v / |v|` for each filter."""
    held = dict(layer.weights)
    direction, gain = held.get("v", held.get("kernel")), held.get("g")
    if direction is None or gain is None:
        raise layer.error(f"has the weights {', '.join(sorted(held)) or 'none'}; expected g and v or kernel.")
    # Transposed convolutions have their filters in the last axis but one, and tensorflow_addons takes the last of all.
    lengths = np.sqrt(np.maximum(np.sum(direction**2, axis=(0, 1, 2), keepdims=True), _LEAST_LENGTH))
    weights = [("kernel", direction / lengths * gain)]
    return _write_wrapped(layer, weights + ([("bias", held["bias"])] if "bias" in held else []))


_POWER_ITERATION = frozenset({"vector_u", "sn_u", "u"})
_LEAST_LENGTH = 1e-12
"""Least square of a length in TensorFlow's `l2_normalize`."""


def _write_wrapped(layer: LayerWriter, weights: Weights) -> str:
    inner = layer.config.get("layer")
    if not isinstance(inner, Mapping) or not isinstance(inner.get("config"), Mapping):
        raise layer.error("wraps no layer.")
    call = replace(layer.call, class_name=str(inner.get("class_name")), config=inner["config"])
    handler = _HANDLERS.get(call.class_name)
    if handler is None or call.class_name in _WRAPPERS:
        raise layer.error(f"wraps a {call.class_name}; expected a convolution.")
    return handler(replace(layer, call=call, weights=weights))


def _write_zero_padding(layer: LayerWriter) -> str:
    return layer.add("ZeroPadding2D", {"padding": spatial_pairs(layer, layer.config.get("padding", 1))})


def _write_cropping(layer: LayerWriter) -> str:
    return layer.add("Cropping2D", {"cropping": spatial_pairs(layer, layer.config.get("cropping", 0))})


def _write_convolution(layer: LayerWriter) -> str:
    _require_channels_last(layer)
    common = {"filters": layer.config["filters"], **_window(layer)}
    kernel = layer.roles("kernel", *_bias(layer))
    return _with_activation(layer, layer.add("Conv2D", {**common, "groups": layer.config.get("groups") or 1}, **kernel))


def _write_transposed(layer: LayerWriter) -> str:
    _require_channels_last(layer)
    if (layer.config.get("groups") or 1) != 1:
        raise layer.error("is grouped; expected groups = 1.")
    output_padding = layer.config.get("output_padding")
    config = {
        "filters": layer.config["filters"],
        **_window(layer),
        "output_padding": None if output_padding is None else _pair(output_padding),
    }
    return _with_activation(layer, layer.add("Conv2DTranspose", config, **layer.roles("kernel", *_bias(layer))))


def _write_depthwise(layer: LayerWriter) -> str:
    _require_channels_last(layer)
    config = {"depth_multiplier": layer.config.get("depth_multiplier", 1), **_window(layer)}
    return _with_activation(layer, layer.add("DepthwiseConv2D", config, **layer.roles("kernel", *_bias(layer))))


def _write_separable(layer: LayerWriter) -> str:
    _require_channels_last(layer)
    config = {
        "filters": layer.config["filters"],
        "depth_multiplier": layer.config.get("depth_multiplier", 1),
        **_window(layer),
    }
    weights = layer.roles("depthwise_kernel", "pointwise_kernel", *_bias(layer))
    return _with_activation(layer, layer.add("SeparableConv2D", config, **weights))


def _window(layer: LayerWriter) -> dict[str, Any]:
    config = layer.config
    return {
        "kernel_size": _pair(config["kernel_size"]),
        "strides": _pair(config.get("strides", 1)),
        "padding": config.get("padding", "valid"),
        "dilation_rate": _pair(config.get("dilation_rate", 1)),
        "use_bias": config.get("use_bias", True),
    }


def _bias(layer: LayerWriter) -> tuple[str, ...]:
    return ("bias",) if layer.config.get("use_bias", True) else ()


def _pair(value: Any) -> Any:
    """Return height and width of one number for both; `settings` checks what they are."""
    if isinstance(value, list) and len(value) == 1:
        return value * 2
    return [value, value] if isinstance(value, int) else value


def _require_channels_last(layer: LayerWriter) -> None:
    if layer.config.get("data_format", "channels_last") not in ("channels_last", None):
        raise layer.error("is channels first; expected channels last.")


def _write_pooling(layer: LayerWriter) -> str:
    _require_channels_last(layer)
    size = _pair(layer.config.get("pool_size", 2))
    strides = layer.config.get("strides")
    config = {
        "pool_size": size,
        "strides": size if strides is None else _pair(strides),
        "padding": layer.config.get("padding", "valid"),
    }
    kind: LayerKind = "MaxPooling2D" if layer.call.class_name.startswith("Max") else "AveragePooling2D"
    return layer.add(kind, config)


def _write_global_pooling(layer: LayerWriter) -> str:
    if not layer.config.get("keepdims"):
        raise layer.error("leaves a vector, not an image; a generator keeps height and width (keepdims=True).")
    return layer.add("GlobalAveragePooling2D", {"keepdims": True})


def _write_upsampling(layer: LayerWriter) -> str:
    _require_channels_last(layer)
    interpolation = layer.config.get("interpolation", "nearest")
    if interpolation not in ("nearest", "bilinear"):
        raise layer.error(f"resizes {interpolation}; expected nearest or bilinear.")
    return layer.add("UpSampling2D", {"size": _pair(layer.config.get("size", 2)), "interpolation": interpolation})


def _write_merge(layer: LayerWriter) -> str:
    operation = layer.call.class_name.lower()
    if len(layer.inputs) == 1:
        return write_constant_merge(layer, operation)
    return write_merge(layer, operation)


def _write_concatenation(layer: LayerWriter) -> str:
    if layer.config.get("axis", -1) not in (-1, 3):
        raise layer.error(f"joins along axis {layer.config['axis']}; expected channels, the last.")
    return layer.add("Concatenate", {"axis": -1})


def _write_shuffle(layer: LayerWriter) -> str:
    kinds: dict[str, LayerKind] = {"SpaceToDepth": "SpaceToDepth", "DepthToSpace": "DepthToSpace"}
    return layer.add(kinds[layer.call.class_name], {"block_size": layer.config["block_size"]})


def _write_activation_layer(layer: LayerWriter) -> str:
    return _write_given_activation(layer, layer.config["activation"])


def _write_given_activation(layer: LayerWriter, activation: Any) -> str:
    """Write an activation given by name, as a function, or as a layer, such as `LeakyReLU(0.3)`."""
    kind = activation.get("class_name") if isinstance(activation, Mapping) else None
    if kind == "PReLU":
        raise layer.error("has PReLU, with weights of its own, as its activation. Make it a layer behind this one.")
    if kind not in _ACTIVATION_LAYERS:
        return write_activation(layer, activation)
    call = replace(layer.call, class_name=kind, config=activation["config"])
    return _HANDLERS[kind](replace(layer, call=call, weights=[]))


def _with_activation(layer: LayerWriter, written: str) -> str:
    """Write the activation that Keras fuses into a convolution as a layer of its own."""
    activation = layer.config.get("activation")
    if activation in (None, "linear"):
        return written
    label = f"{layer.label}_{activation_name(activation)}"
    return _write_given_activation(replace(layer, inputs=(written,), label=label), activation)


def _write_relu(layer: LayerWriter) -> str:
    config = {
        "max_value": layer.config.get("max_value"),
        "negative_slope": float(layer.config.get("negative_slope") or 0.0),
        "threshold": float(layer.config.get("threshold") or 0.0),
    }
    if config == {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}:
        return layer.add("Activation", {"activation": "relu"})
    return layer.add("ReLU", config)


def _write_leaky_relu(layer: LayerWriter) -> str:
    # Keras 2 called the slope alpha; both have 0.3 where a file is silent.
    slope = layer.config.get("negative_slope", layer.config.get("alpha", 0.3))
    return layer.add("LeakyReLU", {"negative_slope": float(slope)})


def _write_prelu(layer: LayerWriter) -> str:
    return layer.add("PReLU", {"shared_axes": layer.config.get("shared_axes")}, **layer.roles("alpha"))


_IDENTITIES = (
    "Dropout",
    "SpatialDropout2D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "ActivityRegularization",
)
_ACTIVATION_LAYERS = frozenset({"Activation", "ReLU", "LeakyReLU", "Identity"})
"""Layers that stand for an activation, too; other ones are named."""
_WRAPPERS = frozenset({"SpectralNormalization", "WeightNormalization"})
_HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_IDENTITIES, _pass_on),
    "Identity": _pass_on,
    "Lambda": _write_lambda,
    "Conv2D": _write_convolution,
    "Convolution2D": _write_convolution,
    "Conv2DTranspose": _write_transposed,
    "Convolution2DTranspose": _write_transposed,
    "DepthwiseConv2D": _write_depthwise,
    "SeparableConv2D": _write_separable,
    "BatchNormalization": write_batch_norm,
    "ContribInstanceNormalization": write_contrib_norm,
    "SyncBatchNormalization": write_batch_norm,
    "GroupNormalization": write_group_norm,
    "ZeroPadding2D": _write_zero_padding,
    "Cropping2D": _write_cropping,
    "Activation": _write_activation_layer,
    "ReLU": _write_relu,
    "LeakyReLU": _write_leaky_relu,
    "PReLU": _write_prelu,
    "UpSampling2D": _write_upsampling,
    "AveragePooling2D": _write_pooling,
    "MaxPooling2D": _write_pooling,
    "GlobalAveragePooling2D": _write_global_pooling,
    **dict.fromkeys(("Add", "Multiply", "Subtract"), _write_merge),
    "Rescaling": write_rescaling,
    "Normalization": write_normalization,
    "SpectralNormalization": _write_spectral,
    "WeightNormalization": _write_weight_norm,
    "Concatenate": _write_concatenation,
    "SpaceToDepth": _write_shuffle,
    "DepthToSpace": _write_shuffle,
}
