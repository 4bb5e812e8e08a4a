"""The teachers' family: its published size, its open sides, and files that stock Keras reads."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from compress import teachers
from compress.errors import UnusableModel
from compress.models import resnet_generator
from compress.models.resnet_generator import Normalization, ResnetConfig

NORMALIZATIONS: list[Normalization] = ["instance", "batch", "none"]
_VARIABLES_PER_CONVOLUTION: dict[Normalization, int] = {"instance": 4, "batch": 6, "none": 2}
"""Kernel, bias, a norm's gain and offset, and BatchNorm's two statistics."""

_STOCK_KERAS = """
import sys
import keras, numpy
generators = {path: keras.saving.load_model(path, compile=False) for path in sys.argv[3:]}
photos = numpy.load(sys.argv[1])
assert not any(name.partition(".")[0] == "compress" for name in sys.modules)
numpy.savez(sys.argv[2], *(keras.ops.convert_to_numpy(generator(photos)) for generator in generators.values()))
"""
"""Isolated: what it reads, anybody with Keras reads."""


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (2, 32, 40, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def generators() -> dict[Normalization, keras.Model]:
    """One of each norm, with weights that leave no gain, offset or statistic at its start."""
    random = np.random.default_rng(1)
    built: dict[Normalization, keras.Model] = {}
    for normalization in NORMALIZATIONS:
        generator = resnet_generator.build_resnet(ResnetConfig(filters=4, blocks=2, normalization=normalization))
        for weight in generator.weights:
            if len(weight.shape) == 1:
                weight.assign(weight + random.uniform(0.1, 0.5, weight.shape))
        # Without norms values grow, and where tanh is saturated any two nets agree.
        last_kernel = [weight for weight in generator.weights if len(weight.shape) == 4][-1]
        last_kernel.assign(last_kernel / 10)
        built[normalization] = generator
    return built


@pytest.fixture(scope="module")
def files(
    generators: dict[Normalization, keras.Model], tmp_path_factory: pytest.TempPathFactory
) -> dict[Normalization, Path]:
    folder = tmp_path_factory.mktemp("generators")
    written: dict[Normalization, Path] = {one: folder / f"{one}.h5" for one in generators}
    for normalization, generator in generators.items():
        resnet_generator.save_h5(generator, written[normalization])
    return written


@pytest.mark.parametrize(("blocks", "params"), [(9, 11_388_675), (6, 7_845_123)])
def test_the_published_nets_have_the_published_numbers_of_parameters(blocks: int, params: int) -> None:
    # PyTorch's reference has 11,378,179 and 7,837,699; its norms lack these nets' 2 x 5,248 and 2 x 3,712 gains and
    # offsets.
    assert resnet_generator.build_resnet(ResnetConfig(blocks=blocks)).count_params() == params


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_near_identity_trunk_is_the_identity(normalization: Normalization, photos: np.ndarray) -> None:
    long, short = (
        resnet_generator.build_resnet(
            ResnetConfig(filters=24, blocks=blocks, normalization=normalization, near_identity=True)
        )
        for blocks in (3, 1)
    )
    weights, variables = long.get_weights(), len(short.get_weights())
    # Two blocks are dropped, whose weights lie beside each other.
    start = _first_of_trunk(normalization)
    short.set_weights(weights[:start] + weights[start + len(weights) - variables :])
    np.testing.assert_array_equal(np.asarray(short(photos)), np.asarray(long(photos)))


def _first_of_trunk(normalization: Normalization) -> int:
    """Three convolutions come before it."""
    return 3 * _VARIABLES_PER_CONVOLUTION[normalization]


@pytest.mark.parametrize(("filters", "size"), [(24, (32, 40)), (32, (64, 32))])
def test_without_a_norm_a_near_identity_net_starts_as_a_copy_of_its_input(filters: int, size: tuple[int, int]) -> None:
    generator = resnet_generator.build_resnet(
        ResnetConfig(filters=filters, blocks=2, normalization="none", near_identity=True)
    )
    image = np.random.default_rng(0).uniform(-1, 1, (1, *size, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(generator(image)), image, atol=0.03)


def test_a_copying_net_still_learns_with_all_of_its_layers(photos: np.ndarray) -> None:
    generator = resnet_generator.build_resnet(
        ResnetConfig(filters=24, blocks=1, normalization="none", near_identity=True)
    )
    before = generator.get_weights()
    generator.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mae", run_eagerly=True)
    first, *_, last = (generator.train_on_batch(photos, -photos) for _ in range(6))
    assert last < first
    assert all(np.abs(new - old).max() > 0 for new, old in zip(generator.get_weights(), before, strict=True))


def test_an_ordinary_trunk_is_not_the_identity(photos: np.ndarray) -> None:
    long, short = (resnet_generator.build_resnet(ResnetConfig(filters=4, blocks=blocks)) for blocks in (3, 1))
    weights = long.get_weights()
    short.set_weights(weights[:12] + weights[28:])
    assert not np.allclose(np.asarray(short(photos)), np.asarray(long(photos)), atol=1e-3)


@pytest.mark.parametrize("size", [(32, 32), (100, 80)])
def test_an_open_generator_returns_an_image_of_its_inputs_size_within_range(
    generators: dict[Normalization, keras.Model], size: tuple[int, int]
) -> None:
    image = np.random.default_rng(0).uniform(-1, 1, (1, *size, 3)).astype(np.float32)
    generated = np.asarray(generators["instance"](image))
    assert generated.shape == image.shape
    assert np.abs(generated).max() <= 1


def test_a_generator_of_one_size_says_so() -> None:
    generator = resnet_generator.build_resnet(ResnetConfig(filters=4, blocks=1), (32, 48))
    assert generator.input_shape == generator.output_shape == (None, 32, 48, 3)


def test_stock_keras_reads_a_saved_generator_with_the_same_output(
    generators: dict[Normalization, keras.Model],
    files: dict[Normalization, Path],
    photos: np.ndarray,
    tmp_path: Path,
) -> None:
    np.save(tmp_path / "photos.npy", photos)
    paths = [tmp_path / "photos.npy", tmp_path / "generated.npz", *files.values()]
    line = [sys.executable, "-I", "-c", _STOCK_KERAS, *map(str, paths)]
    finished = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    with np.load(tmp_path / "generated.npz") as generated:
        for name, generator in zip(generated.files, generators.values(), strict=True):
            np.testing.assert_allclose(generated[name], np.asarray(generator(photos)), atol=1e-6)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_saved_generator_is_a_teacher_like_any_other(
    normalization: Normalization,
    generators: dict[Normalization, keras.Model],
    files: dict[Normalization, Path],
    photos: np.ndarray,
) -> None:
    teacher = teachers.load(files[normalization])
    assert teacher.input_shape == (None, None, None, 3)
    expected = np.asarray(generators[normalization](photos))
    assert np.abs(expected).max() < 1
    np.testing.assert_allclose(np.asarray(teacher(photos)), expected, atol=1e-5)


def test_the_paddings_are_known_without_being_told(files: dict[Normalization, Path]) -> None:
    layers = teachers.describe(files["instance"]).layers
    amounts = [layer.config["padding"] for layer in layers if layer.kind == "ReflectionPadding2D"]
    # The first and the last convolution are 7x7; each of the two blocks has two of 3x3.
    assert [np.unique(amount).tolist() for amount in amounts] == [[3], [1], [1], [1], [1], [3]]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ({"module": "builtins", "class_name": "function", "config": "eval"}, "--lambda-layers reflection_pad"),
        ({"class_name": "__lambda__", "config": {"code": "AAAA"}}, "--lambda-layers reflection_pad"),
        ({"module": "keras.ops", "class_name": "function", "config": "fori_loop"}, "calls fori_loop"),
    ],
)
def test_a_lambda_of_any_other_function_is_still_refused(
    function: dict[str, Any], message: str, files: dict[Normalization, Path], tmp_path: Path
) -> None:
    changed = tmp_path / "changed.h5"
    changed.write_bytes(files["instance"].read_bytes())
    with h5py.File(changed, "r+") as file:
        model = json.loads(str(file.attrs["model_config"]))
        for layer in model["config"]["layers"]:
            if layer["class_name"] == "Lambda":
                layer["config"]["function"] = function
        file.attrs["model_config"] = json.dumps(model)
    with pytest.raises(UnusableModel, match=message):
        teachers.describe(changed)
