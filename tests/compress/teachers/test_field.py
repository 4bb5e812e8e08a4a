"""Models of the kind that people report, where a developer has them: each makes its framework's pictures, or asks."""

from pathlib import Path

import numpy as np
import pytest

from compress import images, teachers
from compress.errors import PocketGANError, UnusableModel
from compress.teachers.build import build_generator
from compress.teachers.reading.config import ReadingConfig

SAME_DB = 45.0
ASKED = {
    "nested_two.pth": {"weights_key": "G_A"},
    "pix2pix_resnet_batch.pth": {"batch_norm_statistics": "image"},
    "pix2pix_unet_batch.pth": {"batch_norm_statistics": "image"},
    "tf_pix2pix_tutorial.h5": {"batch_norm_statistics": "image"},
}
"""Files that leave something open and are refused until it is said."""
UNTOLD = {"pad_replicate.pth": {"padding": "replicate"}, "deblurgan_residual.pth": {"residual": "clip-add"}}
"""Files whose weights are those of another net: only `--verify` tells, and finds the flag."""
PROGRAMS = {"torchscript.pt"}
NAMES = (
    "base.pkl", "base.pth", "base.pth.tar", "cut_antialias.pth", "deblurgan_residual.pth", "keras_zip_named.h5",
    "nested_k3.h5", "nested_k3.keras", "nested_two.pth", "pad_replicate.pth", "pad_zero.pth",
    "pix2pix_resnet_batch.pth", "pix2pix_unet_batch.pth", "rescaling_inside.keras", "sigmoid_01.h5",
    "sigmoid_01.keras", "sm_k3_groupnorm", "sm_regrouped", "spectral.keras", "spectral_new.pth",
    "tf_pix2pix_tutorial.h5", "torch_named.h5", "torchscript.pt", "unet_instance.pth", "upsample_conv.pth",
    "upsample_reflect_conv.pth", "wrapped_model.pth",
)  # fmt: skip


@pytest.fixture(scope="module")
def field(material: Path) -> Path:
    if not (material / "field").is_dir():
        pytest.skip("the models that people report are not here")
    return material / "field"


def _similarity_db(field: Path, name: str, **said: str) -> float:
    """Return the PSNR of a file's pictures to those of its own framework."""
    description = teachers.describe(field / "models" / name, reading=ReadingConfig(**said))  # pyright: ignore[reportArgumentType]
    photos = np.stack([images.read_image(path) for path in images.list_images(field / "photos")])
    made = images.to_uint8(np.asarray(build_generator(description).predict_on_batch(images.to_float(photos))))
    expected = np.load(field / "models" / f"{name}.ref.npz")["pictures"]
    return images.psnr_db(made.astype(np.int16) - expected, peak=255)


@pytest.mark.parametrize("name", NAMES)
def test_it_makes_the_pictures_of_its_own_framework_or_asks(field: Path, name: str) -> None:
    if name in PROGRAMS:
        with pytest.raises(UnusableModel, match="code in a file is never run"):
            teachers.describe(field / "models" / name)
        return
    if name in ASKED:
        with pytest.raises(PocketGANError) as asked:
            teachers.describe(field / "models" / name)
        assert f"--{next(iter(ASKED[name])).replace('_', '-')}" in str(asked.value)
    assert _similarity_db(field, name, **{**ASKED, **UNTOLD}.get(name, {})) >= SAME_DB
