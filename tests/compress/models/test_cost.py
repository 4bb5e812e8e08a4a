"""Parameters and MACs against counts by hand and published ones."""

from pathlib import Path

import keras
import pytest
from keras import layers

from compress import teachers
from compress.errors import UsageError
from compress.models import cost

SIDE = 8


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (layers.Conv2D(5, 3, padding="same"), SIDE * SIDE * 3 * 3 * 3 * 5),
        (layers.Conv2D(5, 3), 6 * 6 * 3 * 3 * 3 * 5),
        (layers.Conv2D(5, 3, strides=2, padding="same"), 4 * 4 * 3 * 3 * 3 * 5),
        (layers.Conv2D(6, 3, padding="same", groups=3), SIDE * SIDE * 3 * 3 * 1 * 6),
        (layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2), SIDE * SIDE * 3 * 3 * 3 * 2),
        (layers.SeparableConv2D(5, 3, padding="same"), SIDE * SIDE * (3 * 3 * 3 + 3 * 5)),
        (layers.Conv2DTranspose(5, 3, strides=2, padding="same"), 16 * 16 * 3 * 3 * 3 * 5),
        (layers.Conv2DTranspose(5, 3, strides=2, padding="valid"), 16 * 16 * 3 * 3 * 3 * 5),
        (layers.BatchNormalization(), 0),
        (layers.UpSampling2D(), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, layers.Layer) else "",
)
def test_macs_of_a_layer_are_those_counted_by_hand(layer, macs):
    image = keras.Input((SIDE, SIDE, 3))
    model = keras.Model(image, layer(image))
    assert cost.measure_cost(model).macs == macs
    assert cost.measure_cost(model).params == model.count_params()


def test_free_size_model_has_macs_only_at_a_given_size():
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.Conv2D(3, 1)(image))
    assert cost.measure_cost(model).macs is None
    assert cost.measure_cost(model, image_size_px=(4, 6)).macs == 4 * 6 * 9
    assert cost.layer_costs(model, image_size_px=5)[-1].output_shape == (5, 5, 3)
    with pytest.raises(UsageError, match="--image-size-px"):
        cost.layer_costs(model)


def test_fixed_size_model_refuses_another_size():
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, layers.Conv2D(3, 1)(image))
    with pytest.raises(UsageError, match="takes 8x8 images, but image_size_px = 16"):
        cost.measure_cost(model, image_size_px=16)


def test_nested_models_layers_are_counted_each():
    inner = keras.Sequential([layers.Conv2D(4, 3, padding="same"), layers.Conv2D(3, 1)])
    image = keras.Input((8, 8, 3))
    rows = cost.layer_costs(keras.Model(image, inner(image)))
    assert sum(row.macs for row in rows) == 64 * (9 * 12 + 12)
    assert [row.kind for row in rows].count("Conv2D") == 2


def test_layers_add_up_to_the_whole():
    image = keras.Input((8, 8, 3))
    features = layers.BatchNormalization()(layers.Conv2D(4, 3, strides=2, padding="same")(image))
    model = keras.Model(image, layers.Conv2DTranspose(3, 4, strides=2, padding="same")(features))
    rows, whole = cost.layer_costs(model), cost.measure_cost(model)
    assert sum(row.params for row in rows) == whole.params
    assert sum(row.macs for row in rows) == whole.macs
    assert whole.size_bytes == 4 * whole.params


def test_published_generator_costs_what_the_papers_say(material: Path):
    """GAN Compression's student: 0.357 M parameters as its file has; 2.53 G at 256x256 by hand from its channels."""
    model = teachers.load(material / "teachers" / "h2z_gan_compression.pth")
    measured = cost.measure_cost(model, image_size_px=256)
    assert measured.params == 356_867
    assert measured.macs == 2_525_233_152
