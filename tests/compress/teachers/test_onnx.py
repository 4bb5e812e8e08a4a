"""ONNX files as teachers: what PyTorch exports, and files written here for what it does not."""

import importlib.util
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from compress import teachers
from compress.errors import UnusableModel, UsageError
from compress.teachers import read
from compress.teachers.build import build_generator
from compress.teachers.interpretation.apply import apply_reading

REFUSED = {"unshuffled": "Reshape.*changes the shape"}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of PyTorch's exporter, and PyTorch's own outputs."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    folder = tmp_path_factory.mktemp("onnx")
    script = Path(__file__).with_name("onnx_exports.py")
    subprocess.run([sys.executable, str(script), str(folder)], check=True, capture_output=True)
    return folder


def test_generator_equals_pytorch(exports):
    """All files in one test, since PyTorch takes seconds to export them."""
    files = sorted(exports.glob("*.onnx"))
    assert len(files) == 36
    for path in files:
        name = path.name.partition(".")[0]
        if name in REFUSED:
            with pytest.raises(UnusableModel, match=REFUSED[name]):
                read.describe(path)
            continue
        arrays = np.load(exports / f"{name}.npz")
        model = build_generator(read.describe(path))
        made = np.asarray(model(arrays["input"], training=False))
        np.testing.assert_allclose(made, arrays["output"], atol=2e-4, err_msg=path.name)


def test_scaled_pixels_and_norms_are_told(exports):
    told = {one.topic: (one.value, one.basis) for one in read.describe(exports / "scaled.17.onnx").conventions}
    assert told["value range in"] == told["value range out"] == ("0..255", "file")
    told = {one.topic: (one.value, one.basis) for one in read.describe(exports / "normalised.17.onnx").conventions}
    assert told["value range in"] == ("0..1", "assumed")
    told = {one.topic: (one.value, one.basis) for one in read.describe(exports / "resnet.17.onnx").conventions}
    assert (told["padding"], told["norm"]) == (("reflect, zero", "file"), ("instance", "file"))


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, value: Any) -> bytes:
    """One field: a number, text, a message's bytes, or a list of these."""
    if isinstance(value, (list, tuple)):
        return b"".join(_field(number, one) for one in value)
    if isinstance(value, float):
        return _varint(number << 3 | 5) + np.float32(value).tobytes()
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else bytes(value)
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


TYPES = {"float32": 1, "int64": 7, "float16": 10, "float64": 11, "int32": 6}


def _tensor(name: str, value: np.ndarray, kind: int | None = None) -> bytes:
    kind = kind or TYPES[str(value.dtype)]
    return _field(1, list(value.shape)) + _field(2, kind) + _field(8, name) + _field(9, value.tobytes())


def _attribute(name: str, value: Any) -> bytes:
    number, kind = {float: (2, 1), int: (3, 2), str: (4, 3), np.ndarray: (5, 4)}.get(type(value), (8, 7))
    if isinstance(value, list) and isinstance(value[0], float):
        number, kind = 7, 6
    return (
        _field(1, name)
        + _field(number, _tensor("", value) if isinstance(value, np.ndarray) else value)
        + _field(20, kind)
    )


def _node(operator: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: Any) -> bytes:
    held = [_attribute(name, value) for name, value in attributes.items()]
    named = _field(1, list(inputs)) + _field(2, output) + _field(3, f"node_{output}") + _field(4, operator)
    return named + _field(5, held) + _field(7, domain)


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    dimensions = [_field(2, side) if isinstance(side, str) else _field(1, side) for side in shape]
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, _field(1, dimensions))))


def _model(
    nodes: Sequence[bytes],
    stored: Mapping[str, np.ndarray] | Sequence[bytes] = (),
    *,
    output: str = "y",
    version: int = 17,
    shape: Sequence[int | str] = (1, 3, 8, 8),
    inputs: Sequence[bytes] = (),
) -> bytes:
    tensors = list(stored) if not isinstance(stored, Mapping) else [_tensor(*one) for one in stored.items()]
    entries = [_value("x", shape), *inputs]
    graph = _field(1, list(nodes)) + _field(2, "g") + _field(5, tensors) + _field(11, entries)
    graph += _field(12, _value(output, shape))
    return _field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, version))


@pytest.fixture
def pixels(random) -> np.ndarray:
    return random.uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)


@pytest.fixture
def run(tmp_path: Path, load_here):
    """Write a file and return the model that is read of it."""

    def load(content: bytes, **said: Any) -> keras.Model:
        (tmp_path / "generator.onnx").write_bytes(content)
        return load_here(tmp_path / "generator.onnx", **said)

    return load


def _kernel(random) -> np.ndarray:
    return random.normal(size=(3, 3, 3, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("attributes", "stored", "version", "mode"),
    [
        ({"mode": "reflect", "paddings": [0, 0, 1, 2, 0, 0, 0, 1]}, None, 1, None),
        ({"mode": "reflect", "pads": [0, 0, 1, 2, 0, 0, 0, 1]}, None, 2, "reflect"),
        ({"mode": "edge", "pads": [0, 0, 1, 2, 0, 0, 0, 1]}, None, 9, "edge"),
        ({"pads": [0, 0, 1, 2, 0, 0, 0, 1], "value": 0.0}, None, 10, "constant"),
        ({"mode": "reflect"}, {"p": np.array([0, 0, 1, 2, 0, 0, 0, 1])}, 11, "reflect"),
        ({"mode": "edge"}, {"p": np.array([1, 2, 0, 1]), "": None, "a": np.array([2, 3])}, 18, "edge"),
    ],
)
def test_padding_of_every_version(run, pixels, random, attributes, stored, version, mode):
    weights = {"w": _kernel(random)[:, :, :2, :1]}
    names = list(stored or {})
    held = {name: value for name, value in (stored or {}).items() if value is not None}
    pad = _node("Pad", ["x", *names], "p0", **attributes)
    # Cuts the nine rows and eleven columns to 8 by 8.
    content = _model([pad, _node("Conv", ["p0", "w"], "y0"), _node("Pad", ["y0", "q"], "y")], weights | held)
    if mode is None:
        with pytest.raises(UnusableModel, match="pads by None"):
            run(content)
        return
    narrow = np.zeros((3, 3, 2, 4), np.float32)
    narrow[[0, 1, 2], [0, 1, 2], 0, 0] = 1
    content = _model([pad, _node("Conv", ["p0", "w"], "y")], {"w": narrow} | held, version=version)
    expected = np.pad(pixels, ((0, 0), (1, 0), (2, 1), (0, 0)), mode=mode)[:, :8, :8]
    np.testing.assert_allclose(run(content)(pixels), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["float32", "float16", "float64", "bfloat16", "float_data"])
def test_weights_of_every_type(run, pixels, kind):
    weight = (np.arange(9, dtype=np.float32).reshape(3, 3, 1, 1) - 4) / 4
    if kind == "bfloat16":
        tensor = _tensor("w", (weight.view(np.uint32) >> 16).astype(np.uint16), 16)
    elif kind == "float_data":
        tensor = _field(1, list(weight.shape)) + _field(2, 1) + _field(8, "w") + _field(4, weight.tobytes())
    else:
        tensor = _tensor("w", weight.astype(kind))
    content = _model([_node("Conv", ["x", "w"], "y")], [tensor])
    np.testing.assert_allclose(run(content)(pixels), pixels @ weight[:, :, 0, 0].T, atol=1e-6)


def _through(operator: str, *inputs: str, **attributes: Any) -> list[bytes]:
    return [_node(operator, ["x", *inputs], "m", **attributes), _node("Tanh", ["m"], "y")]


@pytest.mark.parametrize(
    ("nodes", "stored", "version", "expected"),
    [
        (_through("Clip", min=0.0, max=6.0), {}, 6, lambda x: np.clip(x, 0, 6)),
        (_through("Clip", "lo", "hi"), {"lo": _floats(0), "hi": _floats(6)}, 11, lambda x: np.clip(x, 0, 6)),
        (_through("Clip", "lo"), {"lo": _floats(0)}, 11, lambda x: np.maximum(x, 0)),
        (_through("LeakyRelu"), {}, 11, lambda x: np.where(x < 0, 0.01 * x, x)),
        (_through("Add", "c"), {"c": np.full((1, 3, 1, 1), 0.5, np.float32)}, 11, lambda x: x + 0.5),
        (_through("Div", "c"), {"c": np.array(4, np.float32)}, 11, lambda x: x / 4),
        (_through("Dropout"), {}, 7, lambda x: x),
        (_through("Cast", to=1), {}, 13, lambda x: x),
        (_through("ReduceMean", axes=[2, 3]), {}, 13, None),
    ],
)
def test_operator_of_every_version(run, pixels, nodes, stored, version, expected):
    if expected is None:
        nodes = [nodes[0], _node("Add", ["m", "x"], "s"), _node("Tanh", ["s"], "y")]
        expected = lambda x: x + x.mean((1, 2), keepdims=True)  # noqa: E731
    model = run(_model(nodes, {name: np.asarray(value) for name, value in stored.items()}, version=version))
    np.testing.assert_allclose(model(pixels), np.tanh(expected(pixels)), atol=1e-6)


def _resized(version: int, scales: Sequence[float], **attributes: Any) -> bytes:
    """Twice as large and back."""
    held: dict[str, np.ndarray] = {"s": _floats(*scales)}
    operator = "Upsample" if version < 10 else "Resize"
    if version < 9:
        attributes["scales"] = list(map(float, scales))
    inputs = ["x"] if version < 9 else ["x", "s"] if version < 11 else ["x", "", "s"]
    large = _node(operator, inputs, "l", **attributes)
    return _model([large, _node("AveragePool", ["l"], "y", kernel_shape=[2, 2], strides=[2, 2])], held, version=version)


@pytest.mark.parametrize(
    ("version", "attributes"),
    [
        (7, {"mode": "nearest"}),
        (9, {"mode": "nearest"}),
        (10, {"mode": "nearest"}),
        (13, {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
        (13, {"mode": "nearest"}),
    ],
)
def test_resizing_of_every_version(run, pixels, version, attributes):
    np.testing.assert_allclose(run(_resized(version, [1, 1, 2, 2], **attributes))(pixels), pixels, atol=1e-6)


@pytest.mark.parametrize(
    ("scales", "attributes", "words"),
    [
        ([1, 1, 2, 2], {"mode": "linear", "coordinate_transformation_mode": "align_corners"}, "align_corners"),
        ([1, 1, 2, 2], {"mode": "cubic"}, "cubic"),
        ([1, 1, 2, 2], {"mode": "nearest", "nearest_mode": "floor"}, "half_pixel places .floor"),
        ([1, 1, 1.5, 2], {}, "resizes by"),
        ([1, 2, 2, 2], {}, "resizes by"),
        ([], {}, "by a factor"),
    ],
)
def test_resizing_that_no_layer_does_is_refused(run, scales, attributes, words):
    with pytest.raises(UnusableModel, match=words):
        run(_resized(13, scales, **attributes))


def test_channels_last_graph_is_read(run, pixels, random):
    kernel = _kernel(random)
    nodes = [
        _node("Mul", ["x", "c"], "scaled"),
        _node("Transpose", ["scaled"], "first", perm=[0, 3, 1, 2]),
        _node("Conv", ["first", "w"], "conv", pads=[1, 1, 1, 1]),
        _node("Transpose", ["conv"], "last", perm=[0, 2, 3, 1]),
        _node("Tanh", ["last"], "y"),
    ]
    scale = _floats(1, 2, 3)
    model = run(_model(nodes, {"w": kernel, "c": scale}, shape=("n", "h", "w", 3)))
    convolved = keras.ops.conv(pixels * scale, kernel.transpose(2, 3, 1, 0), padding="same")
    np.testing.assert_allclose(model(pixels), np.tanh(convolved), atol=1e-5)


def test_depthwise_with_a_multiplier_and_same_padding(run, pixels, random):
    kernel = random.normal(size=(6, 1, 3, 3)).astype(np.float32)
    last = random.normal(size=(3, 6, 1, 1)).astype(np.float32)
    nodes = [_node("Conv", ["x", "d"], "m", group=3, auto_pad="SAME_UPPER"), _node("Conv", ["m", "l"], "y")]
    depthwise = keras.ops.depthwise_conv(pixels, kernel.reshape(3, 2, 3, 3).transpose(2, 3, 0, 1), padding="same")
    expected = np.asarray(depthwise) @ last[:, :, 0, 0].T
    np.testing.assert_allclose(run(_model(nodes, {"d": kernel, "l": last}))(pixels), expected, atol=1e-5)


def test_batch_norm_in_training_mode_uses_the_images_own_statistics(run, pixels):
    held = {
        name: _floats(*values)
        for name, values in zip("abcd", ([1, 2, 3], [0, 1, 0], [5, 5, 5], [9, 9, 9]), strict=True)
    }
    norm = _node("BatchNormalization", ["x", *"abcd"], "y", training_mode=1, epsilon=0.5)
    mean, variance = pixels.mean((1, 2), keepdims=True), pixels.var((1, 2), keepdims=True)
    expected = (pixels - mean) / np.sqrt(variance + 0.5) * held["a"] + held["b"]
    np.testing.assert_allclose(run(_model([norm], held, version=15))(pixels), expected, atol=1e-5)


def test_statistics_can_be_said_of_an_onnx_file(run, pixels):
    held = {
        name: _floats(*values)
        for name, values in zip("abcd", ([1, 2, 3], [0, 1, 0], [5, 5, 5], [9, 9, 9]), strict=True)
    }
    content = _model([_node("BatchNormalization", ["x", *"abcd"], "y")], held)
    mean, variance = pixels.mean((1, 2), keepdims=True), pixels.var((1, 2), keepdims=True)
    expected = (pixels - mean) / np.sqrt(variance + 1e-5) * held["a"] + held["b"]
    np.testing.assert_allclose(run(content, batch_norm_statistics="image")(pixels), expected, atol=1e-5)


def _external() -> list[bytes]:
    return [_field(1, [3, 3, 1, 1]) + _field(2, 1) + _field(8, "w") + _field(13, b"") + _field(14, 1)]


WHOLE = _model([_node("Conv", ["x", "w"], "y", pads=[1, 1, 1, 1])], {"w": np.ones((3, 3, 3, 3), np.float32)})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            _model([_node("Einsum", ["x"], "y")]),
            r"node_y \(Einsum\) is an operator that is not known here; known are Add",
        ),
        (_model([_node("Tanh", ["x"], "y", domain="com.me")]), r"com\.me\.Tanh"),
        (_model([_node("Conv", ["x", "w"], "y")], _external()), "stored in another file"),
        (_model([_node("Conv", ["x", "w"], "y")], [_field(1, [3, 3]) + _field(2, 8) + _field(8, "w")]), "type 8"),
        (_model([_node("Tanh", ["z"], "y")]), "fed by z"),
        (_model([_node("Tanh", ["x"], "z")]), "no image"),
        (_model([_node("Tanh", ["x"], "y")], shape=(1, 1, 8, 8)), r"takes \[1, 1, 8, 8\]"),
        (_model([_node("Tanh", ["x"], "y")], inputs=[_value("x2", [1])]), "has 2 inputs and 1 outputs"),
        (_model([_node("Pad", ["x", "p"], "y")], {"p": np.array([0, 1, 0, 0, 0, 1, 0, 0])}), "batch or channels"),
        (_model([_node("Pad", ["x"], "y", mode="wrap", pads=[0] * 8)]), "mode wrap"),
        (_model([_node("MaxPool", ["x"], "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1])]), "do not count"),
        (_model([_node("Concat", ["x", "x"], "y", axis=2)]), "along axis 2"),
        (_model([_node("Clip", ["x"], "y", min=-1.0, max=1.0)], version=6), "clips to -1.0..1.0"),
        (
            _model(
                [_node("ConstantOfShape", ["s"], "c"), _node("Tanh", ["x"], "y")], {"s": np.array([1 << 20, 1 << 20])}
            ),
            "more values",
        ),
        (
            _model([_node("Conv", ["x", "w"], "y")], [_field(1, [1 << 40]) + _field(2, 1) + _field(8, "w")]),
            "0 values for",
        ),
        (WHOLE.replace(b"node_y", b"node\xff\x00"), None),
    ],
)
def test_what_no_generator_has_is_refused_by_name(run, content, words):
    if words is None:
        assert run(content).output_shape == (None, 8, 8, 3)
        return
    with pytest.raises(UnusableModel, match=words):
        run(content)


def test_file_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "generator.onnx"
    for length in range(1, len(WHOLE)):
        path.write_bytes(WHOLE[:length])
        with pytest.raises(UnusableModel):
            read.describe(path)


def test_padding_cannot_be_said_of_an_onnx_file(run):
    with pytest.raises(UsageError, match="padding = replicate, but the file holds its layers: zero"):
        run(WHOLE, padding="replicate")


def test_file_under_another_suffix_is_read_in_a_child_process(tmp_path):
    (tmp_path / "generator.bin").write_bytes(WHOLE)
    description = teachers.describe(tmp_path / "generator.bin")
    assert description.source_format == "ONNX (.onnx)"
    assert apply_reading(description, read.ReadingConfig()).layers == description.layers
