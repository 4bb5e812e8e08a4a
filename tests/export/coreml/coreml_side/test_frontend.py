"""Three converters, the same picture: Keras, our program, and what Apple's own TensorFlow frontend makes of the model.

Apple's reading of TensorFlow stands for the meaning of MIL's operations: a reference that misread one of them would
agree with our program and not with Apple's.
"""

import coremltools
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from compress.models.layers import InstanceNormalization, ReflectionPadding2D
from export.coreml.mil_interpreter import MilGenerator
from export.graph.lower import lower


def _converted(model: keras.Model, path) -> MilGenerator:
    """The model as Apple's frontend converts it: frozen, channels first, pictures for input and output."""
    height, width, channels = model.input_shape[1:]

    def channels_first(image):
        picture = model(tf.transpose(image, (0, 2, 3, 1)))
        return tf.transpose((picture + 1) * 127.5, (0, 3, 1, 2))

    shape = (1, channels, height, width)
    traced = tf.function(channels_first).get_concrete_function(tf.TensorSpec(shape, tf.float32, name="image"))
    images = {"color_layout": coremltools.colorlayout.RGB}
    image = coremltools.ImageType(
        name="image", shape=shape, scale=1 / 127.5, bias=[-1.0] * 3, channel_first=True, **images
    )
    converted = coremltools.convert(
        [convert_variables_to_constants_v2(traced)],
        source="tensorflow",
        inputs=[image],
        outputs=[coremltools.ImageType(**images)],
        compute_precision=coremltools.precision.FLOAT32,
        minimum_deployment_target=coremltools.target.iOS16,
        skip_model_load=True,
    )
    converted.save(str(path))
    return MilGenerator.open(path)


@pytest.fixture(scope="module")
def teacher() -> keras.Model:
    """A CycleGAN ResNet generator: reflection, InstanceNormalization, one residual block, transposed convolutions."""

    def convolution(features, filters: int, kernel: int, strides: int = 1):
        made = layers.Conv2D(filters, kernel, strides, padding="same" if strides > 1 else "valid")(features)
        return InstanceNormalization()(made)

    image = keras.Input((32, 32, 3))
    features = layers.ReLU()(convolution(ReflectionPadding2D(((3, 3), (3, 3)))(image), 4, 7))
    features = layers.ReLU()(convolution(features, 8, 3, strides=2))
    inner = layers.ReLU()(convolution(ReflectionPadding2D(((1, 1), (1, 1)))(features), 8, 3))
    features = layers.Add()([features, convolution(ReflectionPadding2D(((1, 1), (1, 1)))(inner), 8, 3)])
    features = InstanceNormalization()(layers.Conv2DTranspose(4, 3, strides=2, padding="same")(features))
    features = ReflectionPadding2D(((3, 3), (3, 3)))(layers.ReLU()(features))
    return keras.Model(image, layers.Conv2D(3, 7, activation="tanh")(features))


def _agree(model: keras.Model, saved, psnr_to_keras, photos, path) -> None:
    ours, theirs = saved(lower(model, input_shape=model.input_shape[1:])), _converted(model, path)
    assert psnr_to_keras(ours, model, photos) > 110
    assert psnr_to_keras(theirs, model, photos) > 110
    pairs = [(ours.run(photo), theirs.run(photo)) for photo in photos]
    # A hundredth of a byte's step; measured: a thousandth, from the order of sums.
    assert max(np.abs(one - other).max() for one, other in pairs) < 1e-2


def test_student_three_ways(student, saved, psnr_to_keras, photos, tmp_path):
    _agree(student, saved, psnr_to_keras, photos[:2], tmp_path / "apple.mlpackage")


def test_teacher_three_ways(teacher, randomise, saved, psnr_to_keras, photos, tmp_path):
    _agree(randomise(teacher), saved, psnr_to_keras, photos[:2], tmp_path / "apple.mlpackage")


def test_program_is_smaller_than_that_of_the_frontend(teacher, saved, tmp_path):
    ours, theirs = saved(lower(teacher, input_shape=(32, 32, 3))), _converted(teacher, tmp_path / "apple.mlpackage")
    assert sum(ours.operations.values()) < sum(theirs.operations.values())
    assert "instance_norm" in ours.operations
