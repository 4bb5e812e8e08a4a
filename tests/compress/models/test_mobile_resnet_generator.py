"""The published students' family against a published file."""

from pathlib import Path

import keras
import numpy as np

from compress import teachers
from compress.models import mobile_resnet_generator
from compress.models.mobile_resnet_generator import MobileResnetConfig


def test_a_published_file_fits_the_family_and_draws_the_same_picture(material: Path) -> None:
    released = teachers.load(material / "teachers" / "h2z_gan_compression.pth")
    shape = MobileResnetConfig(down=(16, 32, 128), inner=(64,) * 3 + (128,) * 6, up=(32, 16))
    net = mobile_resnet_generator.build_mobile_resnet(shape)
    assert net.count_params() == 356_867
    # Mirrored, because the two frameworks pad opposite sides where a stride of 2 meets the border.
    net.set_weights([weight[::-1, ::-1] if weight.ndim == 4 else weight for weight in released.get_weights()])
    photo = np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32)
    mirrored = keras.ops.convert_to_numpy(net(photo[:, ::-1, ::-1]))[:, ::-1, ::-1]
    # Sums in another order, through 23 InstanceNorms in a row.
    np.testing.assert_allclose(mirrored, keras.ops.convert_to_numpy(released(photo)), atol=1e-3)


def test_batch_norm_takes_the_place_of_every_bias_but_the_last() -> None:
    shape = MobileResnetConfig(down=(4, 6, 8), inner=(10, 12), up=(6, 4), normalization="batch", padding="zero")
    net = mobile_resnet_generator.build_mobile_resnet(shape, (16, 24))
    assert net.output_shape == (None, 16, 24, 3)
    assert [weight.path.split("/")[0] for weight in net.weights if weight.name == "bias"] == [net.layers[-2].name]
