"""A lowered layer does in NumPy what it does in Keras."""

import keras
import numpy as np
import pytest
from keras import layers

from compress.errors import UnsupportedLayer, UnusableModel
from compress.models.layers import (
    ContribInstanceNormalization,
    DepthToSpace,
    InstanceNormalization,
    ReflectionPadding2D,
    ReplicationPadding2D,
    SpaceToDepth,
)
from export.graph.lower import lower
from export.graph.operations import Add, Convolution, DepthwiseConvolution
from export.interpreter import numpy_float

SIZES = [(8, 8, 3), (9, 12, 3), (12, 7, 3)]
PADDINGS = ["same", "valid"]
LAYERS = {
    "convolution": lambda: layers.Conv2D(5, 3),
    "dilated convolution": lambda: layers.Conv2D(5, 3, dilation_rate=2, padding="same"),
    "convolution with its own relu": lambda: layers.Conv2D(5, 3, activation="relu"),
    "wide convolution": lambda: layers.Conv2D(4, (1, 5), strides=(1, 2), padding="same"),
    "depthwise with multiplier": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
    "separable": lambda: layers.SeparableConv2D(6, 3, padding="same", activation="relu"),
    "separable with strides": lambda: layers.SeparableConv2D(6, 3, strides=2, depth_multiplier=2),
    "batch norm alone": lambda: layers.BatchNormalization(),
    "batch norm without gain": lambda: layers.BatchNormalization(scale=False, center=False),
    "instance norm": lambda: InstanceNormalization(),
    "instance norm of keras_contrib": lambda: ContribInstanceNormalization(),
    "instance norm over all channels": lambda: ContribInstanceNormalization(per_channel=False),
    "instance norm without gain": lambda: InstanceNormalization(scale=False, center=False),
    "relu": lambda: layers.ReLU(),
    "relu6": lambda: layers.ReLU(max_value=6),
    "relu with slope": lambda: layers.ReLU(negative_slope=0.3),
    "leaky relu": lambda: layers.LeakyReLU(negative_slope=0.2),
    "activation leaky relu": lambda: layers.Activation("leaky_relu"),
    "tanh": lambda: layers.Activation("tanh"),
    "sigmoid": lambda: layers.Activation("sigmoid"),
    "linear": lambda: layers.Activation("linear"),
    "dropout": lambda: layers.Dropout(0.5),
    "zero padding": lambda: layers.ZeroPadding2D(((1, 2), (0, 3))),
    "reflection": lambda: ReflectionPadding2D(((3, 1), (0, 2))),
    "replication": lambda: ReplicationPadding2D(((3, 1), (0, 2))),
    "cropping": lambda: layers.Cropping2D(((1, 0), (2, 1))),
    "bilinear": lambda: layers.UpSampling2D(2, interpolation="bilinear"),
    "bilinear thrice": lambda: layers.UpSampling2D((3, 2), interpolation="bilinear"),
    "nearest": lambda: layers.UpSampling2D((2, 3), interpolation="nearest"),
    "global mean": lambda: layers.GlobalAveragePooling2D(keepdims=True),
    "average pooling": lambda: layers.AveragePooling2D(3, strides=2, padding="same"),
    "max pooling": lambda: layers.MaxPooling2D(3, strides=2, padding="same"),
}


def assert_same(model: keras.Model, shape: tuple[int, int, int], tolerance: float = 2e-5) -> None:
    images = np.random.default_rng(0).uniform(-1, 1, (2, *shape)).astype(np.float32)
    result = numpy_float.run_graph(lower(model, input_shape=shape), images)
    np.testing.assert_allclose(result, np.asarray(model(images)), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", LAYERS)
def test_lowered_layer_equals_keras(chain, name: str, size: tuple[int, int, int]):
    assert_same(chain([layers.Conv2D(4, 1), LAYERS[name](), layers.Conv2D(3, 1)], size), size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("kernel", [2, 3, 4])
@pytest.mark.parametrize("kind", [layers.Conv2D, layers.DepthwiseConv2D, layers.Conv2DTranspose])
def test_strides_and_padding_equal_keras(chain, kind, kernel: int, strides: int, padding: str, size):
    filters = () if kind is layers.DepthwiseConv2D else (5,)
    layer = kind(*filters, kernel, strides=strides, padding=padding)
    assert_same(chain([layer, layers.BatchNormalization(), layers.ReLU()], size), size)


@pytest.mark.parametrize(("padding", "output_padding"), [("same", 1), ("same", 0), ("valid", 1)])
def test_transposed_convolution_with_output_padding_equals_keras(chain, padding: str, output_padding: int):
    layer = layers.Conv2DTranspose(4, 3, strides=2, padding=padding, output_padding=output_padding)
    assert_same(chain([layer], (6, 8, 3)), (6, 8, 3))


def test_shuffles_equal_keras(chain):
    assert_same(chain([SpaceToDepth(2), layers.Conv2D(24, 1), DepthToSpace(2)], (8, 12, 3)), (8, 12, 3))


def test_pytorch_transposed_convolution_with_crop_equals_keras(chain):
    model = chain([layers.Conv2DTranspose(4, 3, strides=2), layers.Cropping2D(((1, 0), (1, 0)))], (6, 8, 3))
    assert_same(model, (6, 8, 3))


def test_merges_equal_keras(randomise):
    image = keras.Input((8, 10, 3))
    first, second = layers.Conv2D(4, 3, padding="same")(image), layers.Conv2D(4, 1)(image)
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(second)
    merged = layers.Add()([first, second, layers.Multiply()([first, pooled])])
    model = keras.Model(image, layers.ReLU()(layers.Concatenate()([merged, image, pooled_up(pooled)])))
    assert_same(randomise(model), (8, 10, 3))


def pooled_up(pooled):
    return layers.UpSampling2D((8, 10))(pooled)


def test_student_equals_keras(student):
    shape = student.input_shape[1:]
    assert_same(student, shape)


def test_nested_and_repeated_models_are_unfolded(randomise):
    inner_image = keras.Input((8, 8, 3))
    inner = keras.Model(inner_image, layers.Activation("tanh")(layers.Conv2D(3, 3, padding="same")(inner_image)))
    image = keras.Input((8, 8, 3))
    block = keras.Sequential([layers.Conv2D(3, 1), layers.BatchNormalization()])
    assert_same(randomise(keras.Model(image, inner(block(inner(image))))), (8, 8, 3))


def test_free_size_model_takes_the_size_that_is_asked_for(chain):
    model = chain([layers.Conv2D(4, 3, strides=2, padding="same")], (None, None, 3))
    assert lower(model, input_shape=(20, 30, 3)).shapes["generated"] == (10, 15, 4)


def test_another_size_than_the_model_takes_is_refused(chain):
    with pytest.raises(UnusableModel, match=r"takes images of shape \(9, 12, 3\)"):
        lower(chain([layers.Conv2D(3, 1)]), input_shape=(8, 8, 3))


def test_batch_norm_leaves_no_operation_behind_a_convolution(chain):
    graph = lower(chain([layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()]), input_shape=(9, 12, 3))
    (operation,) = graph.operations
    assert isinstance(operation, Convolution)
    assert operation.activation == "relu"


def test_convolution_that_is_read_twice_keeps_its_batch_norm_apart(randomise):
    image = keras.Input((8, 8, 3))
    convolved = layers.Conv2D(4, 3)(image)
    model = randomise(keras.Model(image, layers.Add()([convolved, layers.BatchNormalization()(convolved)])))
    kinds = [type(operation) for operation in lower(model, input_shape=(8, 8, 3)).operations]
    assert DepthwiseConvolution in kinds
    assert_same(model, (8, 8, 3))


def test_batch_norm_does_not_fold_through_an_activation(chain):
    model = chain([layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()])
    assert len(lower(model, input_shape=(9, 12, 3)).operations) == 2
    assert_same(model, (9, 12, 3))


@pytest.mark.parametrize(("strides", "operations"), [(1, 1), (2, 2)])
def test_zero_padding_is_fused_only_where_same_would_put_it(chain, strides: int, operations: int):
    model = chain([layers.ZeroPadding2D(1), layers.Conv2D(4, 3, strides=strides)], (8, 8, 3))
    assert len(lower(model, input_shape=(8, 8, 3)).operations) == operations
    assert_same(model, (8, 8, 3))


def _nearly_the_identity(layer: layers.Conv2D, size: float) -> None:
    kernel, *bias = layer.get_weights()
    kernel = np.random.default_rng(1).normal(0, size, kernel.shape)
    height, width, taken, made = kernel.shape
    kernel[height // 2, width // 2] += np.eye(taken, made)
    layer.set_weights([kernel, *(np.full_like(each, 0.3) for each in bias)])


@pytest.mark.parametrize(
    ("layer", "size", "kinds"),
    [
        (lambda: layers.Conv2D(3, 3, padding="same"), 0.01, [Convolution, Add]),
        (lambda: layers.Conv2D(3, 5, padding="same", activation="relu"), 0.01, [Convolution, Add]),
        (lambda: layers.Conv2D(3, 3, padding="same", dilation_rate=2), 0.01, [Convolution, Add]),
        (lambda: layers.Conv2D(3, 1), 0.01, [Convolution, Add]),
        (lambda: layers.Conv2D(3, 3, padding="same"), 0.5, [Convolution]),
        (lambda: layers.Conv2D(4, 3, padding="same"), 0.01, [Convolution]),
        (lambda: layers.Conv2D(3, 3), 0.01, [Convolution]),
        (lambda: layers.Conv2D(3, 2, padding="same"), 0.01, [Convolution]),
        (lambda: layers.Conv2D(3, 3, strides=2, padding="same"), 0.01, [Convolution]),
    ],
)
def test_a_kernel_that_is_nearly_the_identity_becomes_what_it_adds(chain, layer, size: float, kinds: list[type]):
    model = chain([layer()], (8, 8, 3))
    _nearly_the_identity(model.layers[-1], size)
    operations = lower(model, input_shape=(8, 8, 3)).operations
    assert [type(operation) for operation in operations] == kinds
    if Add in kinds:
        convolution, addition = operations
        assert np.abs(convolution.kernel).max() < 0.1  # pyright: ignore[reportAttributeAccessIssue]
        assert addition.inputs == ("image", convolution.output)
    assert_same(model, (8, 8, 3))


def test_what_an_identity_leaves_does_not_take_the_name_of_a_layer(chain):
    model = chain([layers.Conv2D(3, 3, padding="same", name="a"), layers.Conv2D(3, 1, name="a_rest")], (8, 8, 3))
    _nearly_the_identity(model.layers[-2], 0.01)
    graph = lower(model, input_shape=(8, 8, 3))
    assert [operation.output for operation in graph.operations] == ["a_rest_", "a", "generated"]
    assert_same(model, (8, 8, 3))


def test_layer_named_like_the_output_does_not_collide(randomise):
    image = keras.Input((8, 8, 3), name="image")
    first = layers.Conv2D(3, 3, padding="same", name="generated")(image)
    assert_same(randomise(keras.Model(image, layers.Add(name="image_2")([first, image]))), (8, 8, 3))


@pytest.mark.parametrize(
    ("layer", "advice"),
    [
        (lambda: layers.LayerNormalization(name="odd"), "BatchNormalization, which folds away"),
        (lambda: layers.Lambda(lambda features: features, name="odd"), "ReflectionPadding2D"),
        (lambda: layers.Conv2D(3, 1, groups=3, name="odd"), "groups = 1"),
        (lambda: layers.Activation("gelu", name="odd"), "tanh"),
        (lambda: layers.UpSampling2D(2, interpolation="bicubic", name="odd"), "bilinear"),
        (lambda: layers.PReLU(name="odd"), "LeakyReLU"),
    ],
)
def test_unsupported_layer_is_named_with_what_to_use_instead(chain, layer, advice: str):
    with pytest.raises(UnsupportedLayer, match=r"layer odd.*") as caught:
        lower(chain([layer()]), input_shape=(9, 12, 3))
    assert advice in str(caught.value)


def test_params_are_those_of_the_folded_weights(chain):
    model = chain([layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization()], (8, 8, 3))
    assert lower(model, input_shape=(8, 8, 3)).params == 9 * 3 * 4 + 4


def test_subclassed_model_is_refused():
    class Subclassed(keras.Model):
        def call(self, images):
            return images

    with pytest.raises(UnusableModel, match="functional API"):
        lower(Subclassed(), input_shape=(8, 8, 3))
