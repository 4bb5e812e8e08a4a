"""`.tflite` files that others wrote: run rightly, whatever their ends, or refused in a sentence, by all commands alike.

Each file is one 1x1 convolution that mixes the colours, by weights that sum to 1: so in levels of 255 every file makes
the same picture, whichever values its pixels have, and NumPy knows it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from benchmarks.android.parity import HostOutput
from benchmarks.browser.config import BrowserConfig
from benchmarks.browser.task import Task
from benchmarks.timing.start import start_once
from compress.errors import UnusableModel, UsageError
from compress.images import read_image, to_uint8, write_png
from export.config import TranslateConfig
from export.delegates.operators import read_operators
from export.delegates.table import find_delegate
from export.inspect.facts import format_facts
from export.inspect.tflite import inspect_tflite, read_tflite_facts
from export.interpreter.litert import TfliteGenerator
from export.tflite.file import pack_model
from export.translate import translate

SIDE = 8
MIXING = np.array([[0.2, 0.5, 0.3], [0.6, 0.125, 0.275], [0.0625, 0.1875, 0.75]], np.float32)
"""Row by row, the weights of red, green and blue."""
TYPES: Mapping[str, int] = {
    "float32": schema.TensorType.FLOAT32,
    "float16": schema.TensorType.FLOAT16,
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A file to be written: the type of its ends and what their integers stand for."""

    dtype: str = "float32"
    scale: float = 0.0
    zero_point: int = 0
    per_channel: bool = True
    shape: tuple[int, ...] = (1, SIDE, SIDE, 3)
    signature: tuple[int, ...] | None = None
    """Shape with -1 where a side is free; None of a fixed file."""
    outputs: int = 1
    signatures: tuple[str, ...] = ("serving_default",)
    """The first is the convolution; each other one is a subgraph of its own that returns the photo."""
    signed: bool = True
    """False of files of before 2021, which have no signatures."""


KINDS = {
    "float32": Kind(),
    "float16": Kind(dtype="float16"),
    "int8, -1..1": Kind(dtype="int8", scale=1 / 128),
    "int8, 0..1": Kind(dtype="int8", scale=1 / 255, zero_point=-128),
    "int8, 0..255": Kind(dtype="int8", scale=1.0, zero_point=-128),
    "int8, one scale of the kernel": Kind(dtype="int8", scale=1 / 127.5, zero_point=-1, per_channel=False),
    "uint8 of 2019, -1..1": Kind(dtype="uint8", scale=1 / 128, zero_point=128, per_channel=False, signed=False),
    "uint8 of 2019, 0..1": Kind(dtype="uint8", scale=1 / 255, per_channel=False, signed=False),
    "uint8 of 2019, 0..255": Kind(dtype="uint8", scale=1.0, per_channel=False, signed=False),
    "uint8 as calibrated": Kind(dtype="uint8", scale=2.12 / 255, zero_point=130, per_channel=False),
    "int16": Kind(dtype="int16", scale=1 / 32768),
    "int16 as calibrated": Kind(dtype="int16", scale=1.05 / 32768),
    "int16, 0..255": Kind(dtype="int16", scale=255 / 32767),
    "two images at a time": Kind(shape=(2, SIDE, SIDE, 3)),
    "a free batch": Kind(signature=(-1, SIDE, SIDE, 3)),
}
ANY_SIZE = Kind(shape=(1, 1, 1, 3), signature=(-1, -1, -1, 3))
REFUSED = {
    "ImageNet's values": (Kind(dtype="uint8", scale=4.76 / 255, zero_point=113, per_channel=False), "stands for -2"),
    "two outputs": (Kind(outputs=2), "a generator reads and returns"),
    "two signatures": (Kind(signatures=("a2b", "b2a")), "a2b and b2a are two models that take the same input"),
    "any size": (ANY_SIZE, "takes images of any size"),
}


def quantized(scales: Sequence[float], zero_points: Sequence[int]) -> schema.QuantizationParametersT | None:
    """Return the record of scales; None of none."""
    if not any(scales):
        return None
    record = schema.QuantizationParametersT()
    record.scale, record.zeroPoint = np.array(scales, np.float32), np.array(zero_points, np.int64)
    return record


class Writer:
    """A file under construction; the schema's classes know all types, ours only those that we write."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version, self.model.buffers = 3, [schema.BufferT()]
        self.model.operatorCodes, self.model.subgraphs, self.model.signatureDefs = [], [], []

    def tensor(
        self,
        graph: schema.SubGraphT,
        name: str,
        shape: Sequence[int],
        dtype: str,
        record: object = None,
        **more: object,
    ) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.quantization = name, np.array(shape, np.int32), TYPES[dtype], record
        made.buffer = 0
        for key, value in more.items():
            setattr(made, key, value)
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    def constant(self, graph: schema.SubGraphT, name: str, values: np.ndarray, record: object = None) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        place = len(self.model.buffers) - 1
        return self.tensor(graph, name, values.shape, values.dtype.name, record, buffer=place)

    def operator(self, graph: schema.SubGraphT, code: str, inputs: Sequence[int], output: int, options: object) -> None:
        record = schema.OperatorCodeT()
        record.builtinCode = getattr(schema.BuiltinOperator, code)
        record.deprecatedBuiltinCode, record.version = min(record.builtinCode, 127), 1
        self.model.operatorCodes.append(record)
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = len(self.model.operatorCodes) - 1, list(inputs), [output]
        if options is not None:
            made.builtinOptions = options
            made.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        graph.operators.append(made)

    def graph(self, key: str, make: Callable[[schema.SubGraphT], tuple[int, list[int]]]) -> None:
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = [], []
        taken, returned = make(graph)
        graph.inputs, graph.outputs = [taken], returned
        self.model.subgraphs.append(graph)
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = key, len(self.model.subgraphs) - 1
        signature.inputs = [tensor_map("photo", taken)]
        signature.outputs = [tensor_map(f"picture{number}", place) for number, place in enumerate(returned)]
        self.model.signatureDefs.append(signature)


def tensor_map(name: str, index: int) -> schema.TensorMapT:
    """Return an entry of a signature."""
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry


def write_file(kind: Kind, path: Path) -> Path:
    """Write a file of a kind."""
    writer = Writer()
    writer.graph(kind.signatures[0], lambda graph: mix_colours(writer, graph, kind))
    for key in kind.signatures[1:]:
        writer.graph(key, lambda graph: (place := end(writer, graph, "photo", kind), [place]))
    if not kind.signed:
        writer.model.signatureDefs = None
    path.write_bytes(pack_model(writer.model))
    return path


def end(writer: Writer, graph: schema.SubGraphT, name: str, kind: Kind, dtype: str | None = None) -> int:
    """Add the tensor of an image."""
    record = quantized([kind.scale], [kind.zero_point])
    return writer.tensor(graph, name, kind.shape, dtype or kind.dtype, record, shapeSignature=kind.signature)


def mix_colours(writer: Writer, graph: schema.SubGraphT, kind: Kind) -> tuple[int, list[int]]:
    """Add the convolution; return its input and its outputs."""
    photo = end(writer, graph, "photo", kind)
    read, computed = photo, "float32" if kind.dtype == "float16" else kind.dtype
    if kind.dtype == "float16":
        read = end(writer, graph, "unpacked", kind, "float32")
        writer.operator(graph, "DEQUANTIZE", [photo], read, schema.DequantizeOptionsT())
    kernel, scales, zero_point = stored_kernel(kind)
    bias_dtype = {"int16": np.int64, "float32": np.float32, "float16": np.float32}.get(kind.dtype, np.int32)
    constants = [
        writer.constant(graph, "kernel", kernel, quantized(scales, [zero_point] * len(scales))),
        writer.constant(
            graph,
            "bias",
            np.zeros(3, bias_dtype),
            quantized([kind.scale * scale for scale in scales], [0] * len(scales)),
        ),
    ]
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    picture = end(writer, graph, "picture", kind, computed)
    writer.operator(graph, "CONV_2D", [read, *constants], picture, options)
    if kind.dtype == "float16":
        packed = end(writer, graph, "packed", kind)
        cast = schema.CastOptionsT()
        cast.inDataType, cast.outDataType = TYPES["float32"], TYPES["float16"]
        writer.operator(graph, "CAST", [picture], packed, cast)
        picture = packed
    others = [end(writer, graph, f"more{number}", kind) for number in range(1, kind.outputs)]
    for other in others:
        writer.operator(graph, "CONV_2D", [read, *constants], other, options)
    return photo, [picture, *others]


def stored_kernel(kind: Kind) -> tuple[np.ndarray, list[float], int]:
    """Return the kernel, `(3, 1, 1, 3)`, as the file holds it, its scales and their zero point."""
    kernel = MIXING.reshape(3, 1, 1, 3)
    if kind.dtype.startswith("float"):
        return kernel, [0.0], 0
    largest = np.abs(MIXING).max(axis=1) if kind.per_channel else np.array([np.abs(MIXING).max()])
    scales = largest / 127
    integers = np.rint(kernel / scales.reshape(-1, 1, 1, 1))
    if kind.dtype == "uint8":
        return (integers + 128).astype(np.uint8), scales.tolist(), 128
    return integers.astype(np.int8), scales.tolist(), 0


@pytest.fixture(scope="module")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One photo, of every level."""
    folder = tmp_path_factory.mktemp("photos")
    write_png(
        folder / "photo.png", np.random.default_rng(0).permutation(256)[:192].reshape(SIDE, SIDE, 3).astype(np.uint8)
    )
    return folder


def expected_levels(photo: np.ndarray) -> np.ndarray:
    """Return the picture in levels of 255."""
    return photo.astype(np.float64) @ MIXING.T


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_file_with_ends_of_every_type_makes_the_picture(kind: Kind, photo_folder: Path, tmp_path: Path) -> None:
    file = write_file(kind, tmp_path / "file.tflite")
    translate(file, photo_folder, tmp_path / "out", TranslateConfig())
    found = read_image(tmp_path / "out" / "photo.png").astype(np.float64)
    # Half a step of rounding at each end, at a step of 1.06 levels at most, and weights that are off by a 254th.
    assert np.abs(found - expected_levels(read_image(photo_folder / "photo.png"))).max() <= 3


def test_bytes_of_int8_and_uint8_with_the_same_values_make_the_same_picture(photo_folder: Path, tmp_path: Path) -> None:
    photo = read_image(photo_folder / "photo.png")
    names = ("int8, 0..1", "int8, 0..255")
    files = [write_file(KINDS[name], tmp_path / f"{number}.tflite") for number, name in enumerate(names)]
    first, second = (to_uint8(TfliteGenerator.open(file).translate(photo)) for file in files)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("kind", "words"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_nobody_can_run_rightly_is_refused_in_a_sentence(
    kind: Kind, words: str, photo_folder: Path, tmp_path: Path
) -> None:
    file = write_file(kind, tmp_path / "file.tflite")
    for run in (
        lambda: translate(file, photo_folder, tmp_path / "out", TranslateConfig()),
        lambda: Task([file], BrowserConfig()),
        lambda: HostOutput(file, photo_folder / "photo.png"),
    ):
        with pytest.raises(UnusableModel, match=words):
            run()
    assert not (tmp_path / "out").exists()


def test_a_file_of_any_size_runs_at_the_size_that_is_chosen(photo_folder: Path, tmp_path: Path) -> None:
    file = write_file(ANY_SIZE, tmp_path / "file.tflite")
    result = translate(file, photo_folder, tmp_path / "out", TranslateConfig(image_size_px=SIDE))
    assert (result["height_px"], result["width_px"]) == (SIDE, SIDE)
    found = read_image(tmp_path / "out" / "photo.png").astype(np.float64)
    assert np.abs(found - expected_levels(read_image(photo_folder / "photo.png"))).max() <= 1
    assert translate(file, photo_folder, tmp_path / "more", TranslateConfig(image_size_px=24))["height_px"] == 24
    with pytest.raises(UnusableModel, match=r"any size \(1 x any x any x 3\)"):
        start_once(file, threads=1)
    with pytest.raises(UnusableModel, match="any size"):
        inspect_tflite(file, timed=True)


def test_a_file_of_one_free_side_keeps_the_other(photo_folder: Path, tmp_path: Path) -> None:
    kind = Kind(shape=(1, SIDE, 1, 3), signature=(1, SIDE, -1, 3))
    file = write_file(kind, tmp_path / "file.tflite")
    translate(file, photo_folder, tmp_path / "out", TranslateConfig(image_size_px=SIDE))
    with pytest.raises(UsageError, match=f"takes {SIDE}x24 images, but image_size_px = 24"):
        translate(file, photo_folder, tmp_path / "more", TranslateConfig(image_size_px=24))


def test_a_file_of_several_images_at_a_time_is_not_fed_elsewhere(photo_folder: Path, tmp_path: Path) -> None:
    file = write_file(KINDS["two images at a time"], tmp_path / "file.tflite")
    for run in (
        lambda: Task([file], BrowserConfig()),
        lambda: HostOutput(file, photo_folder / "photo.png"),
    ):
        with pytest.raises(UnusableModel, match="2 images at a time"):
            run()


def test_what_inspect_says_of_a_file_is_so(tmp_path: Path) -> None:
    def facts(kind: Kind) -> dict:
        return read_tflite_facts(write_file(kind, tmp_path / "file.tflite"))

    free = facts(ANY_SIZE)
    assert free["input"]["shape"] == [None, None, 3]
    assert "any x any x 3 float32" in format_facts(free)
    assert inspect_tflite(tmp_path / "file.tflite")["operators"][0]["shape"] == [-1, -1, -1, 3]
    two = facts(KINDS["two images at a time"])
    assert (two["input"]["shape"], two["input"]["batch"]) == ([SIDE, SIDE, 3], 2)
    assert "8 x 8 x 3 float32, 2 at a time" in format_facts(two)
    integers = facts(KINDS["int16"])["input"]
    assert (integers["dtype"], integers["scale"], integers["zero_point"]) == ("int16", 1 / 32768, 0)
    several = facts(Kind(outputs=3))
    assert len(several["other_outputs"]) == 2
    assert format_facts(several).count("output ") == 3
    with pytest.raises(UnusableModel, match="two models that take the same input"):
        facts(Kind(signatures=("a2b", "b2a")))


def test_int16_is_nothing_for_a_delegate_that_does_not_list_it(tmp_path: Path) -> None:
    """Neither where it is written nor where it is read and made a float of."""
    writer = Writer()
    kind = KINDS["int16"]

    def unpack(graph: schema.SubGraphT) -> tuple[int, list[int]]:
        photo = end(writer, graph, "photo", kind)
        real = end(writer, graph, "real", replace(kind, scale=0.0), "float32")
        writer.operator(graph, "DEQUANTIZE", [photo], real, schema.DequantizeOptionsT())
        return photo, [real]

    writer.graph("serving_default", unpack)
    mixed = schema.ModelT.InitFromPackedBuf(write_file(kind, tmp_path / "file.tflite").read_bytes())
    for model in (writer.model, mixed):
        (operator,) = read_operators(schema.ModelT.InitFromPackedBuf(pack_model(model)))
        assert operator.refusal(find_delegate("gpu")) == "its sources take no int16"
        assert operator.refusal(find_delegate("coreml")) is not None


@pytest.mark.parametrize("name", ["batch2", "copy_16x8", "dyn"])
def test_the_files_that_others_wrote_run_as_litert_by_hand(name: str, material: Path, tmp_path: Path) -> None:
    file = material / "field" / "tflite" / f"{name}.tflite"
    photos = sorted((material / "field" / "photos").iterdir())[:2]
    (tmp_path / "photos").mkdir()
    for photo in photos:
        (tmp_path / "photos" / photo.name).write_bytes(photo.read_bytes())
    interpreter = Interpreter(model_path=str(file))
    taken, returned = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    size = 32 if name == "dyn" else int(taken["shape"][1])
    interpreter.resize_tensor_input(taken["index"], [taken["shape"][0], size, size, 3])
    interpreter.allocate_tensors()
    translate(file, tmp_path / "photos", tmp_path / "out", TranslateConfig(image_size_px=size))
    for photo in photos:
        real = read_image(photo, (size, size)).astype(np.float64) / 127.5 - 1
        values = np.rint(real / taken["quantization"][0]) if name == "copy_16x8" else real
        interpreter.set_tensor(taken["index"], np.stack([values] * taken["shape"][0]).astype(taken["dtype"]))
        interpreter.invoke()
        made = interpreter.get_tensor(returned["index"])[0].astype(np.float64) * (returned["quantization"][0] or 1)
        levels = np.clip((made + 1) * 127.5, 0, 255)
        assert np.abs(read_image(tmp_path / "out" / photo.name) - levels).max() <= 0.51
