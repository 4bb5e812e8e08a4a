"""The whole way from a file to a generator: real material, Lambdas, torn and hostile files."""

import base64
import json
import marshal
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from compress import teachers
from compress.artifact import Cost, ImageSpec, Manifest, write_manifest
from compress.errors import UnusableModel
from compress.teachers.reading.config import ReadingConfig

ZOO = (
    "deep_vision_savedmodel",
    "deep_vision_weights_only.h5",
    "keras2_custom_layers.h5",
    "keras2_functional_tfpad.h5",
    "keras2_tensorflow_addons.h5",
)
TOLERANCE = 1e-4
# Its output before tanh reaches 315, so rounding shows: TensorFlow's own run of this SavedModel is 3.4e-4 from the
# file's reference, which float64 arithmetic is 5.4e-4 away from.
ILL_CONDITIONED_TOLERANCE = 5e-4


@pytest.mark.parametrize("name", ZOO)
def test_zoo_generator_equals_its_recorded_output(material: Path, name: str):
    arrays = np.load(material / "teachers" / "zoo" / f"{name}.io.npz")
    output = np.asarray(teachers.load(material / "teachers" / "zoo" / name)(arrays["input"], training=False))
    difference = np.abs(output - arrays["output"])
    assert difference.max() <= (ILL_CONDITIONED_TOLERANCE if name == "deep_vision_savedmodel" else TOLERANCE)
    assert np.quantile(difference, 0.99) <= TOLERANCE


@pytest.mark.parametrize(("name", "params"), [("g_m2f.h5", 11_388_675), ("h2z_gan_compression.pth", 356_867)])
def test_real_teacher_loads_with_all_its_parameters(material: Path, name: str, params: int):
    model = teachers.load(material / "teachers" / name)
    assert model.count_params() == params
    assert model.output_shape == model.input_shape


def lambda_config(target: Path) -> dict:
    """A Lambda as Keras 2 saves one, whose code makes a file when it is loaded and run."""
    code = compile(f"open({str(target)!r}, 'w').close()", "lambda", "exec")
    return {"function": [base64.b64encode(marshal.dumps(code)).decode(), None, None], "function_type": "lambda"}


@pytest.fixture
def lambda_file(keras2, tmp_path: Path, random: np.random.Generator):
    """Two Lambdas before convolutions of 5x3 and 3x3 that pad nothing, with a residual addition."""
    file = keras2()
    for size in ((5, 3), (3, 3)):
        file.add("Lambda", lambda_config(tmp_path / "made_by_lambda"))
        kernel = random.normal(size=(*size, 3, 3)).astype(np.float32)
        file.add("Conv2D", {"filters": 3, "kernel_size": size, "use_bias": False}, weights={"kernel": kernel})
    file.add("Add", inputs=("image", file.last))
    return file


def test_lambda_is_refused_by_name_and_never_run(lambda_file, tmp_path):
    with pytest.raises(UnusableModel, match=r"layer_1 and 1 more .*--lambda-layers reflection_pad"):
        teachers.load(lambda_file.save(tmp_path / "generator.h5"))
    assert not (tmp_path / "made_by_lambda").exists()


def test_lambda_that_the_user_calls_a_reflection_pad_gets_its_amounts_from_the_shapes(lambda_file, tmp_path, random):
    model = teachers.load(
        lambda_file.save(tmp_path / "generator.h5"), reading=ReadingConfig(lambda_layers="reflection_pad")
    )
    images = random.uniform(-1, 1, (1, 8, 8, 3)).astype(np.float32)
    first, second = (layer["kernel"] for layer in lambda_file.weights.values() if layer)
    features = np.pad(images, ((0, 0), (2, 2), (1, 1), (0, 0)), mode="reflect")
    features = np.pad(keras.ops.conv(features, first), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    np.testing.assert_allclose(model(images), images + keras.ops.conv(features, second), rtol=1e-4, atol=1e-4)
    assert not (tmp_path / "made_by_lambda").exists()


@pytest.mark.parametrize(
    ("followers", "words"),
    [
        ([("Activation", {"activation": "relu"})], "cannot be a reflection padding.*Activation"),
        ([("UpSampling2D", {"size": 2}), ("AveragePooling2D", {"pool_size": 2})], "UpSampling2D"),
        ([], "behind it comes nothing"),
    ],
)
def test_lambda_that_cannot_be_a_reflection_pad_is_refused(keras2, tmp_path, load_here, followers, words):
    file = keras2()
    file.add("Lambda", lambda_config(tmp_path / "made_by_lambda"))
    for class_name, config in followers:
        file.add(class_name, config)
    with pytest.raises(UnusableModel, match=words):
        load_here(file.save(tmp_path / "generator.h5"), lambda_layers="reflection_pad")


def test_lambda_deduction_that_makes_no_image_of_the_same_size_is_refused(keras2, tmp_path, load_here):
    file = keras2()
    file.add("Lambda", lambda_config(tmp_path / "made_by_lambda"))
    kernel = np.ones((4, 4, 3, 3), np.float32)
    file.add("Conv2D", {"filters": 3, "kernel_size": [4, 4], "use_bias": False}, weights={"kernel": kernel})
    with pytest.raises(UnusableModel, match="7x7x3 of 8x8x3"):
        load_here(file.save(tmp_path / "generator.h5"), lambda_layers="reflection_pad")


def test_artifact_stands_for_its_model(tmp_path):
    image = keras.Input((8, 8, 3))
    student = keras.Model(image, keras.layers.Conv2D(3, 3, padding="same", name="only")(image))
    student.save(tmp_path / "model.keras")
    cost = Cost(params=84, macs=None, size_bytes=336)
    spec = ImageSpec(shape=(8, 8, 3))
    write_manifest(tmp_path, Manifest(name="s", format="keras", stage="distill", parent=None, input=spec, cost=cost))
    loaded = teachers.load(tmp_path)
    np.testing.assert_array_equal(loaded.get_layer("only").kernel, student.get_layer("only").kernel)


def test_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(UnusableModel, match=r"nothing\.h5 does not exist"):
        teachers.load(tmp_path / "nothing.h5")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.h5", b"", "empty"),
        ("picture.h5", b"\x89PNG\r\n\x1a\n1234", "it is a PNG picture"),
        ("empty.keras", b"", "empty"),
        ("broken.keras", b"PK\x03\x04 and nothing more", "truncated or damaged"),
        ("text.pth", b"hello", "text that begins with 'hello'"),
        ("model.onnx", b"\x08\x07\x12\x07", "no reader knows"),
    ],
)
def test_file_that_is_no_model_is_refused_in_one_line(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnusableModel, match=words) as caught:
        teachers.describe(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_h5_is_refused(small_generator, tmp_path, share):
    path = small_generator.save(tmp_path / "torn.h5")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UnusableModel, match=r"torn\.h5"):
        teachers.describe(path)


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bytes_never_harm_more_than_the_reader(small_generator, tmp_path, seed):
    path = small_generator.save(tmp_path / "flipped.h5")
    content = bytearray(path.read_bytes())
    places = np.random.default_rng(seed).integers(0, len(content), 40)
    for place in places:
        content[place] ^= 0xFF
    path.write_bytes(bytes(content))
    outcome = "read"
    try:
        teachers.describe(path)
    except UnusableModel as error:
        outcome = str(error)
    assert outcome == "read" or (outcome.startswith(str(path)) and "\n" not in outcome)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(small_generator, tmp_path, load_here, value):
    small_generator.weights["layer_1"]["bias"][1] = value
    with pytest.raises(UnusableModel, match="layer_1/bias holds NaN or infinite"):
        load_here(small_generator.save(tmp_path / "nan.h5"))


def test_configuration_that_claims_more_than_the_file_holds_is_refused_before_it_is_built(
    small_generator, tmp_path, load_here
):
    small_generator.layers[1]["config"]["filters"] = 60_000
    with pytest.raises(UnusableModel, match=r"layer_1/kernel is \(3, 3, 3, 3\) in the file"):
        load_here(small_generator.save(tmp_path / "huge.h5"))


@pytest.mark.parametrize("shape", [(8, 8, 1), (3, 8, 8), (None, None, 4)])
def test_input_that_is_no_rgb_image_is_refused(keras2, tmp_path, load_here, shape):
    file = keras2(shape)
    file.add("Activation", {"activation": "tanh"})
    with pytest.raises(UnusableModel, match="expected 3 channels last"):
        load_here(file.save(tmp_path / "generator.h5"))


def link_outside(group: h5py.Group, other: Path) -> None:
    del group["layer_1/layer_1/bias:0"]
    group["layer_1/layer_1/bias:0"] = h5py.ExternalLink(str(other), "/bias")


def store_outside(group: h5py.Group, other: Path) -> None:
    del group["layer_1/layer_1/bias:0"]
    group.create_dataset("layer_1/layer_1/bias:0", (3,), "f4", external=[(str(other), 0, 12)])


def map_outside(group: h5py.Group, other: Path) -> None:
    del group["layer_1/layer_1/bias:0"]
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource(str(other), "bias", (3,))
    group.create_virtual_dataset("layer_1/layer_1/bias:0", layout)


@pytest.mark.parametrize("reach", [link_outside, store_outside, map_outside])
def test_h5_that_reaches_into_other_files_is_refused(small_generator, tmp_path, load_here, reach):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as opened:
        opened["bias"] = np.zeros(3, np.float32)
    path = small_generator.save(tmp_path / "generator.h5")
    with h5py.File(path, "a") as opened:
        reach(opened["model_weights"], other)
    with pytest.raises(UnusableModel, match=r"another file|other file"):
        load_here(path)


def test_h5_that_declares_endless_weights_is_refused(small_generator, tmp_path, load_here):
    path = small_generator.save(tmp_path / "generator.h5")
    with h5py.File(path, "a") as opened:
        opened.create_dataset("endless", (1 << 40,), "f4", chunks=(1 << 20,), compression="gzip")
    with pytest.raises(UnusableModel, match=r"4398\.0 GB"):
        load_here(path)


def test_keras_zip_that_unpacks_to_too_much_is_refused(tmp_path, load_here):
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps({"padding": "x" * (65 << 20)}))
    with pytest.raises(UnusableModel, match=r"declares 0\.1 GB of config\.json"):
        load_here(path)


def test_subclassed_model_is_refused_with_what_to_do(small_generator, tmp_path, load_here):
    config = {"class_name": "CycleGan", "config": {}}
    with pytest.raises(UnusableModel, match=r"subclass CycleGan.*functional or Sequential"):
        load_here(small_generator.save(tmp_path / "generator.h5", config))


def test_model_of_two_images_is_refused(keras2, tmp_path, load_here):
    file = keras2()
    file.add("Activation", {"activation": "tanh"})
    config = file.config()
    config["config"]["input_layers"] *= 2
    with pytest.raises(UnusableModel, match="2 inputs"):
        load_here(file.save(tmp_path / "generator.h5", config))
