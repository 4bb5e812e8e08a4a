"""Scales and integer weights are chosen as the kernels of phones demand."""

import keras
import numpy as np
import pytest
from keras import layers

from compress.errors import UnsupportedLayer
from compress.images import psnr_db, to_float
from compress.models.layers import DepthToSpace, InstanceNormalization
from export.calibration import observe
from export.graph.lower import lower
from export.graph.operations import Weighted
from export.graph.quantized import TANH_USEFUL_RANGE, QuantizedGraph, TensorScale, quantize_graph
from export.interpreter import numpy_int8


def quantized(model: keras.Model, photos: list[np.ndarray]) -> QuantizedGraph:
    graph = lower(model, input_shape=model.input_shape[1:])
    return quantize_graph(graph, observe.observe_ranges(graph, photos))


def test_both_ends_are_fixed_at_1_128_around_zero(student, photos):
    tensors = quantized(student, photos).tensors
    assert tensors["image"] == tensors["generated"] == TensorScale(1 / 128, 0)


def test_weights_are_symmetric_and_narrow_per_output_channel(student, photos):
    result = quantized(student, photos)
    for operation in result.graph.operations:
        if isinstance(operation, Weighted):
            weights = result.weights[operation.output]
            assert weights.scales.shape == operation.bias.shape
            assert weights.kernel.shape == operation.kernel.shape
            assert np.abs(weights.kernel.astype(int)).max() == 127


def test_relu_output_starts_at_zero(student, photos):
    result = quantized(student, photos)
    relus = [operation for operation in result.graph.operations if getattr(operation, "activation", "") == "relu"]
    assert relus
    assert {result.tensors[operation.output].zero_point for operation in relus} == {-128}


def test_operations_that_move_values_share_one_scale(chain, photos):
    up = layers.UpSampling2D(2, interpolation="bilinear")
    row = [
        layers.Conv2D(12, 3),
        DepthToSpace(2),
        layers.Cropping2D(1),
        up,
        layers.ZeroPadding2D(1),
        layers.Conv2D(3, 1),
    ]
    result = quantized(chain(row, (32, 32, 3)), photos)
    moved = [operation for operation in result.graph.operations if not isinstance(operation, Weighted)]
    assert len(moved) == 4
    assert len({result.tensors[name] for operation in moved for name in (*operation.inputs, operation.output)}) == 1


def test_concatenated_tensors_share_the_wider_range(randomise, photos):
    image = keras.Input((32, 32, 3))
    small, large = layers.Conv2D(4, 1)(image), layers.Conv2D(4, 3, padding="same")(image)
    joined = layers.Concatenate()([small, large])
    result = quantized(randomise(keras.Model(image, layers.Conv2D(3, 1)(joined))), photos)
    operation = next(item for item in result.graph.operations if len(item.inputs) == 2)
    assert len({result.tensors[name] for name in (*operation.inputs, operation.output)}) == 1


def test_what_only_tanh_reads_is_cut_to_its_useful_range(chain, photos):
    row = [layers.Conv2D(12, 3, padding="same"), DepthToSpace(2), layers.Activation("tanh")]
    model = chain(row, (32, 32, 3))
    model.layers[1].kernel.assign(np.asarray(model.layers[1].kernel) * 20)
    result = quantized(model, photos)
    scale = result.tensors[result.graph.operations[0].output]
    assert scale.dequantize(np.array([-128, 127])) == pytest.approx(TANH_USEFUL_RANGE, abs=0.03)


def test_bias_of_a_channel_without_weights_survives(chain, photos):
    model = chain([layers.Conv2D(3, 1)], (32, 32, 3))
    kernel = np.asarray(model.layers[1].kernel).copy()
    kernel[..., 1] = 1e-12
    model.layers[1].kernel.assign(kernel)
    model.layers[1].bias.assign([0.1, 3.0, -0.2])
    result = quantized(model, photos)
    weights = result.weights["generated"]
    real_bias = weights.bias * weights.scales * np.float32(result.tensors["image"].scale)
    np.testing.assert_allclose(real_bias, [0.1, 3.0, -0.2], rtol=1e-3)


def test_instance_norm_is_refused_in_int8(chain, photos):
    row = [layers.Conv2D(3, 1), InstanceNormalization(name="odd"), layers.Conv2D(3, 1)]
    with pytest.raises(UnsupportedLayer, match=r"layer odd.*--precision dynamic"):
        quantized(chain(row, (32, 32, 3)), photos)


def test_scales_round_trip_within_half_a_step():
    scale = TensorScale(0.05, -20)
    values = np.linspace(-5, 7, 97, dtype=np.float32)
    np.testing.assert_allclose(scale.dequantize(scale.quantize(values)), values, atol=0.0251)


def test_small_weights_beside_an_identity_survive_int8(chain, photos):
    net = chain([layers.Conv2D(3, 3, padding="same"), layers.Activation("tanh")], photos[0].shape)
    kernel = np.random.default_rng(1).normal(0, 0.003, (3, 3, 3, 3)).astype(np.float32)
    kernel[1, 1] += np.eye(3)
    net.layers[-2].set_weights([kernel, np.zeros(3)])
    ours = quantized(net, photos)
    (weights,) = ours.weights.values()
    # One step of the whole kernel would be 1/127, more than twice the spread of all weights but the identity's.
    assert np.count_nonzero(weights.kernel) > 70
    pictures = np.stack([to_float(photo) for photo in photos])
    made = numpy_int8.run_int8_graph(ours, ours.tensors["image"].quantize(pictures)).astype(np.float32) / 128
    assert psnr_db(made - np.asarray(net(pictures))) > 47
