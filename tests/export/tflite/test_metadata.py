"""TFLite Metadata of a file, read back by the numbers of the schema; `test_old_runtime` asks the standard reader."""

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import encode, number_types, table

from export.calibration import observe
from export.graph.lower import lower
from export.graph.quantized import quantize_graph
from export.tflite import emitter, metadata


def entries(content: bytes) -> dict[str, bytes]:
    model = schema.ModelT.InitFromPackedBuf(content)
    return {entry.name.decode(): bytes(model.buffers[entry.buffer].data) for entry in model.metadata}


class Reader:
    """A flatbuffers table whose fields are asked for by their number in the schema."""

    def __init__(self, buffer: bytes, position: int) -> None:
        self._table = table.Table(buffer, position)

    @classmethod
    def root(cls, buffer: bytes) -> "Reader":
        return cls(buffer, encode.Get(flatbuffers.packer.uoffset, buffer, 0))

    def _at(self, slot: int) -> int:
        offset = self._table.Offset(4 + 2 * slot)
        assert offset, f"field {slot} is missing"
        return self._table.Pos + offset

    def has(self, slot: int) -> bool:
        return bool(self._table.Offset(4 + 2 * slot))

    def text(self, slot: int) -> str:
        return self._table.String(self._at(slot)).decode()

    def child(self, slot: int) -> "Reader":
        return Reader(self._table.Bytes, self._table.Indirect(self._at(slot)))

    def only(self, slot: int) -> "Reader":
        offset = self._at(slot) - self._table.Pos
        assert self._table.VectorLen(offset) == 1
        return Reader(self._table.Bytes, self._table.Indirect(self._table.Vector(offset)))

    def number(self, slot: int, kind=number_types.Uint8Flags) -> int:
        return self._table.Get(kind, self._at(slot))

    def only_float(self, slot: int) -> float:
        offset = self._at(slot) - self._table.Pos
        assert self._table.VectorLen(offset) == 1
        return self._table.Get(number_types.Float32Flags, self._table.Vector(offset))


@pytest.fixture(scope="module")
def quantized(small_student, photos):
    graph = lower(small_student, input_shape=small_student.input_shape[1:])
    return quantize_graph(graph, observe.observe_ranges(graph, photos[:1]))


ABOUT = metadata.ModelMetadata(name="zebra", description="Horse to zebra.", author="A. Name", license="Apache-2.0")


def test_model_tells_its_name_author_and_licence(quantized):
    buffer = entries(emitter.int8_file(quantized, "float", ABOUT))["TFLITE_METADATA"]
    assert buffer[4:8] == b"M001"
    model = Reader.root(buffer)
    assert [model.text(slot) for slot in (0, 1, 4, 5, 7)] == [
        "zebra",
        "Horse to zebra.",
        "A. Name",
        "Apache-2.0",
        "1.0.0",
    ]


def test_what_nobody_told_is_left_out(quantized):
    model = Reader.root(entries(emitter.int8_file(quantized, "float"))["TFLITE_METADATA"])
    assert not model.has(4)
    assert not model.has(5)


@pytest.mark.parametrize("io_type", ["float", "int8", "uint8"])
def test_normalisation_and_scale_turn_a_byte_into_what_the_file_takes(quantized, io_type):
    content = emitter.int8_file(quantized, io_type)
    subgraph = Reader.root(entries(content)["TFLITE_METADATA"]).only(3)
    image, generated = subgraph.only(2), subgraph.only(3)
    scale, zero_point = {"float": (1.0, 0), "int8": (1 / 128, 0), "uint8": (1 / 127.5, 128)}[io_type]
    for byte in (0, 1, 100, 128, 254):
        real = (byte - _normalization(image).only_float(0)) / _normalization(image).only_float(1)
        taken = real / scale + zero_point
        assert taken == pytest.approx(
            {"float": byte / 127.5 - 1, "int8": byte - 128, "uint8": byte}[io_type],
            abs=1.01 if io_type == "int8" else 1e-4,
        )
        # What it returns goes back by the same rule.
        mean, std = (_normalization(generated).only_float(slot) for slot in (0, 1))
        assert (real - mean) / std == pytest.approx(byte, abs=1e-3)


def _normalization(image: Reader) -> Reader:
    unit = image.only(4)
    assert unit.number(0) == 1
    return unit.child(1)


def test_image_is_rgb_of_the_files_size(quantized):
    content = Reader.root(entries(emitter.int8_file(quantized, "float"))["TFLITE_METADATA"]).only(3).only(2).child(3)
    assert content.number(0) == 2
    image = content.child(1)
    assert image.number(0) == 1
    assert [image.child(1).number(slot, number_types.Uint32Flags) for slot in (0, 1)] == [32, 32]


def test_least_runtime_follows_the_operators(quantized):
    versions = {
        "int8": emitter.int8_file(quantized, "int8"),
        "dynamic": emitter.float_file(quantized.graph, "dynamic"),
        "fp32": emitter.float_file(quantized.graph),
    }
    found = {name: entries(content)["min_runtime_version"].rstrip(b"\0").decode() for name, content in versions.items()}
    # int8 DEPTH_TO_SPACE, CONV_2D of int8 weights and float activations, float DEPTH_TO_SPACE.
    assert found == {"int8": "2.5.0", "dynamic": "2.4.0", "fp32": "2.1.0"}
