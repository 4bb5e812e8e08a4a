"""Files that mean harm, or are damaged in one place: refused by kind, with the place named, before anything is done."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from compress import teachers
from compress.errors import UnsupportedLayer, UnusableArtifact, UnusableModel
from compress.models.layers import SpaceToDepth
from compress.printable import printable, printable_name
from compress.teachers import description, read, student
from compress.teachers.keras import hdf5

BIAS = "layer_1/layer_1/bias:0"


def _other(tmp_path: Path) -> Path:
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as opened:
        opened["bias"] = np.zeros(3, np.float32)
    return other


def _link_by_name(group: h5py.Group) -> None:
    del group[BIAS]
    group[BIAS] = h5py.SoftLink("/model_weights/layer_1/layer_1/kernel:0")


def _link_to_nothing(group: h5py.Group) -> None:
    group["layer_1/nowhere"] = h5py.SoftLink("/nowhere")


def _link_upwards(group: h5py.Group) -> None:
    group["layer_1/up"] = h5py.SoftLink("/")


@pytest.mark.parametrize("link", [_link_by_name, _link_to_nothing, _link_upwards])
def test_h5_links_by_name_are_refused_before_they_are_followed(small_generator, tmp_path, load_here, link):
    path = small_generator.save(tmp_path / "generator.h5")
    with h5py.File(path, "a") as opened:
        link(opened["model_weights"])
    with pytest.raises(UnusableModel, match="such links are not followed"):
        load_here(path)


def test_h5_of_another_file_is_never_opened(small_generator, tmp_path, monkeypatch):
    """The other file would be opened by asking for what the link leads to: nobody asks."""
    path, other = small_generator.save(tmp_path / "generator.h5"), _other(tmp_path)
    with h5py.File(path, "a") as opened:
        opened["model_weights/layer_1/elsewhere"] = h5py.ExternalLink(str(other), "/bias")
    asked: list[str] = []
    taken = h5py.Group.__getitem__
    monkeypatch.setattr(h5py.Group, "__getitem__", lambda group, name: asked.append(name) or taken(group, name))
    with pytest.raises(UnusableModel, match="elsewhere links to another place"):
        hdf5.open_hdf5(path)
    assert "model_weights" in asked
    assert "elsewhere" not in asked


def test_h5_with_a_group_in_itself_is_read_once(small_generator, tmp_path, load_here):
    path = small_generator.save(tmp_path / "generator.h5")
    with h5py.File(path, "a") as opened:
        opened["model_weights/layer_1/again"] = opened["model_weights"]
    assert load_here(path).count_params() == 84


def test_h5_of_a_few_bytes_that_declares_a_hundred_megabytes_is_refused(small_generator, tmp_path, load_here):
    path = small_generator.save(tmp_path / "generator.h5")
    with h5py.File(path, "a") as opened:
        opened.create_dataset("empty", (25 << 20,), "f4", chunks=(1 << 20,))
    with pytest.raises(UnusableModel, match=r"declares 0\.1 GB"):
        load_here(path)


@pytest.fixture
def keras_file(tmp_path: Path) -> Path:
    """A whole `.keras` of two layers."""
    image = keras.Input((8, 8, 3), name="image")
    features = keras.layers.Conv2D(3, 3, padding="same", name="first")(image)
    keras.Model(image, keras.layers.Activation("tanh", name="last")(features)).save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def _rewrite(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _flip_a_byte_of(path: Path, content: bytes) -> None:
    """Flip a byte in the middle of what a zip stores, and leave its checksum as it was."""
    held = bytearray(path.read_bytes())
    place = held.index(content) + len(content) // 2
    held[place] ^= 0x01
    path.write_bytes(bytes(held))


@pytest.mark.parametrize("member", ["metadata.json", "config.json", "model.weights.h5"])
def test_every_member_of_a_keras_file_is_checked_by_its_crc(keras_file, load_here, member):
    with zipfile.ZipFile(keras_file) as archive:
        content = archive.read(member)
    _rewrite(keras_file, lambda members: None)
    load_here(keras_file)
    _flip_a_byte_of(keras_file, content)
    with pytest.raises(UnusableModel, match="CRC"):
        load_here(keras_file)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_every_member_of_a_pth_file_is_checked_by_its_crc(teacher_file, tmp_path, share):
    path = tmp_path / "torn.pth"
    content = bytearray(teacher_file.read_bytes())
    with zipfile.ZipFile(teacher_file) as archive:
        weights = sorted((one for one in archive.infolist() if "/data/" in one.filename), key=lambda one: one.file_size)
        data = archive.read(weights[int(share * (len(weights) - 1))])
    place = bytes(content).index(data)
    content[place + len(data) // 2] ^= 0x01
    path.write_bytes(bytes(content))
    with pytest.raises(UnusableModel, match="CRC"):
        read.describe(path)


def test_a_zip_with_two_members_of_one_name_is_refused(keras_file, load_here):
    with zipfile.ZipFile(keras_file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", "{}")
    with pytest.raises(UnusableModel, match="two members of one name"):
        load_here(keras_file)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"strides": [0, 0]}, r"strides = \[0, 0\]"),
        ({"strides": [2, 1.5]}, "strides"),
        ({"strides": [2, 2], "dilation_rate": [2, 2]}, "one of them must be 1"),
        ({"padding": "causal"}, "padding = 'causal'"),
        ({"padding": None}, "padding = None"),
        ({"kernel_size": [3]}, "3, 3"),
        ({"kernel_size": [3, -3]}, "kernel_size"),
        ({"filters": "3"}, "filters = '3'"),
        ({"filters": 0}, "filters = 0"),
        ({"use_bias": "yes"}, "use_bias"),
        ({"groups": 7}, "7 groups"),
        ({"dilation_rate": [[1], [1]]}, "dilation_rate"),
    ],
)
def test_a_convolution_that_cannot_be_built_is_refused_by_its_setting(
    small_generator, tmp_path, load_here, changes: dict[str, Any], words: str
):
    small_generator.layers[1]["config"] |= changes
    path = small_generator.save(tmp_path / "odd.h5")
    if changes == {"kernel_size": [3]}:
        assert load_here(path).count_params() == 84
        return
    with pytest.raises(UnusableModel, match=words):
        load_here(path)


@pytest.mark.parametrize(
    ("kind", "config", "words"),
    [
        ("ZeroPadding2D", {"padding": [[-1, 0], [0, 0]]}, "pads by"),
        ("ReLU", {"max_value": -1.0}, "max_value"),
        ("LeakyReLU", {"negative_slope": -0.1}, "negative_slope"),
        ("Cropping2D", {"cropping": 9}, "leaves nothing"),
        ("UpSampling2D", {"size": [0, 2]}, "size"),
        ("MaxPooling2D", {"pool_size": 2, "strides": 0}, "strides"),
        ("DepthToSpace", {"block_size": 2}, "blocks of 2"),
        ("SpaceToDepth", {"block_size": 1.5}, "block_size"),
        ("Activation", {"activation": ["tanh"]}, "activation"),
    ],
)
def test_a_layer_that_cannot_be_built_is_refused_with_its_name(keras2, tmp_path, kind, config, words):
    file = keras2()
    file.add(kind, config)
    with pytest.raises(UnusableModel, match=words) as caught:
        teachers.describe(file.save(tmp_path / "odd.h5"))
    assert "layer_1" in str(caught.value)


def test_more_layers_than_any_generator_has_are_refused(keras2, tmp_path, load_here, monkeypatch):
    for module in ("keras.config", "check", "graph_writer"):
        monkeypatch.setattr(f"compress.teachers.{module}.LAYERS_LIMIT", 10)
    file = keras2()
    for _ in range(12):
        file.add("Activation", {"activation": "tanh"})
    with pytest.raises(UnusableModel, match="layers, more than any generator"):
        load_here(file.save(tmp_path / "long.h5"))
    assert description.LAYERS_LIMIT == 2000


def test_a_nested_model_that_is_called_without_end_is_refused(keras2, tmp_path, load_here):
    file = keras2()
    config = file.config()
    inner: dict[str, Any] = {"class_name": "Sequential", "config": {"name": "0", "layers": []}}
    for number in range(1, 16):
        layers = [{**inner, "name": f"{number}_{place}"} for place in range(2)]
        inner = {"class_name": "Sequential", "config": {"name": str(number), "layers": layers}}
    config["config"]["layers"].append({**inner, "name": "last", "inbound_nodes": [[["image", 0, 0, {}]]]})
    config["config"]["output_layers"] = [["last", 0, 0]]
    with pytest.raises(UnusableModel, match="2000 layers"):
        load_here(file.save(tmp_path / "many.h5", config))


def test_memory_that_no_generator_needs_is_refused_before_it_is_asked_for(keras2, tmp_path, load_here):
    file = keras2()
    file.add("UpSampling2D", {"size": [2000, 2000]})
    file.add("AveragePooling2D", {"pool_size": [2000, 2000]})
    with pytest.raises(UnusableModel, match=r"needs 3\.1 GB for a picture of 64 pixels"):
        load_here(file.save(tmp_path / "wide.h5"))


def test_a_teacher_of_finite_weights_whose_picture_is_not_finite_is_refused(keras2, tmp_path, load_here):
    file = keras2()
    weights = {role: np.ones(3, np.float32) for role in ("gamma", "beta", "moving_mean", "moving_variance")}
    file.add("BatchNormalization", {}, weights=weights | {"moving_variance": -np.ones(3, np.float32)})
    file.add("Activation", {"activation": "tanh"})
    with pytest.raises(UnusableModel, match="picture that it makes holds NaN"):
        load_here(file.save(tmp_path / "black.h5"))


def _edit_config(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    def change(members: dict[str, bytes]) -> None:
        config = json.loads(members["config.json"])
        edit(config)
        members["config.json"] = json.dumps(config).encode()

    _rewrite(path, change)


def _first_convolution(config: dict[str, Any]) -> dict[str, Any]:
    return config["config"]["layers"][1]


@pytest.mark.parametrize(
    "edit",
    [
        lambda config: _first_convolution(config).update(module="os", class_name="system"),
        lambda config: _first_convolution(config).update(module="keras.layers", class_name="Lambda"),
        lambda config: _first_convolution(config).update(registered_name="somebody>Conv2D"),
        lambda config: _first_convolution(config)["config"].update(
            kernel_initializer={"module": "builtins", "class_name": "function", "config": "exec"}
        ),
        lambda config: _first_convolution(config)["config"].update(
            activation={"class_name": "__lambda__", "config": {"value": "x"}}
        ),
    ],
    ids=["another module", "a lambda layer", "another package", "a function", "a lambda"],
)
def test_a_student_with_anything_but_known_layers_never_reaches_keras(keras_file, monkeypatch, edit):
    _edit_config(keras_file, edit)
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("Keras was asked to load it"))
    with pytest.raises(UnusableArtifact, match="nothing of it was loaded"):
        student.load_student(keras_file)


def test_a_student_that_keras_would_build_larger_than_its_weights_never_reaches_keras(keras_file, monkeypatch):
    _edit_config(keras_file, lambda config: _first_convolution(config)["config"].update(filters=60_000))
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("Keras was asked to load it"))
    with pytest.raises(UnusableArtifact, match="first"):
        student.load_student(keras_file)


def test_a_student_loads_as_keras_saved_it_and_is_checked_once(tmp_path, monkeypatch):
    image = keras.Input((8, 8, 3), name="image")
    features = keras.layers.Conv2D(12, 3, padding="same", dtype="float32", name="mixed")(SpaceToDepth(2)(image))
    features = keras.layers.BatchNormalization(momentum=0.7, name="norm")(features)
    output = keras.layers.UpSampling2D(2)(keras.layers.Conv2D(3, 1)(features))
    saved = keras.Model(image, output, name="own")
    saved.save(tmp_path / "model.keras")
    checks: list[Path] = []
    checked = student.describe_student_in_child
    monkeypatch.setattr(student, "describe_student_in_child", lambda given: checks.append(given) or checked(given))
    loaded = [student.load_student(tmp_path / "model.keras") for _ in range(2)]
    assert len(checks) == 1
    assert json.dumps(loaded[0].get_config()) == json.dumps(saved.get_config())
    for one, same in zip(loaded[1].get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)


def test_a_student_that_no_phone_can_hold_is_unsupported_and_not_damaged(tmp_path):
    image = keras.Input((8, 8, 3))
    keras.Model(image, keras.layers.LayerNormalization(name="odd")(image)).save(tmp_path / "model.keras")
    with pytest.raises(UnsupportedLayer, match=r"layer odd \(LayerNormalization\)"):
        student.load_student(tmp_path / "model.keras")


def test_a_student_of_nan_is_refused(tmp_path):
    image = keras.Input((8, 8, 3))
    norm = keras.layers.BatchNormalization()
    model = keras.Model(image, norm(image))
    norm.set_weights([np.ones(3), np.ones(3), np.zeros(3), -np.ones(3)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(UnusableArtifact, match="picture that it makes holds NaN"):
        student.load_student(tmp_path / "model.keras")


def test_control_characters_are_written_out():
    assert printable("a\x1b[2Jb\u202ec\udc80\n-") == "a\\x1b[2Jb\\u202ec\\udc80\n-"
    assert printable("日本 ü €") == "日本 ü €"
    assert printable_name("forged\nline") == r"forged\nline"


def test_names_in_a_file_reach_the_console_without_control_characters(keras2, tmp_path):
    file = keras2()
    file.add("Con\x1b[2Jv\n2D\r", {})
    with pytest.raises(UnusableModel) as caught:
        teachers.describe(file.save(tmp_path / "odd.h5"))
    assert str(caught.value).isprintable()
    assert r"Con\x1b[2Jv 2D" in str(caught.value)


def test_layer_names_are_made_printable(keras2, tmp_path, load_here):
    file = keras2()
    file.add("Activation", {"activation": "tanh"})
    file.layers[1]["name"] = file.layers[1]["config"]["name"] = file.last = "la\x1b[2Jst\n"
    names = [layer.name for layer in load_here(file.save(tmp_path / "odd.h5")).layers]
    assert names[1].isprintable()
