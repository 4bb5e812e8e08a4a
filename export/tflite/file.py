"""Writer of `.tflite` files: tensors, constants, operators, signatures. Knows nothing of generators.

The flatbuffer comes from the schema that ai-edge-litert carries, so that no TensorFlow is needed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_TYPES: Mapping[np.dtype, int] = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.float16): schema.TensorType.FLOAT16,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.uint8): schema.TensorType.UINT8,
}
SIGNATURE = "serving_default"
"""Name that runtimes and tools expect of a file's only signature."""
_FILE_IDENTIFIER = b"TFL3"
_SCHEMA_VERSION = 3
_LARGEST_DEPRECATED_CODE = 127
"""Older runtimes read an operator's code from a byte; newer codes do not fit and are marked by this one."""
_OLDEST_RUNTIME = (1, 15, 0)
"""Runtime that reads every operator which is not in `_RUNTIMES`."""
_RUNTIMES: Mapping[tuple[str, int], tuple[int, int, int]] = {
    ("CONV_2D", 5): (2, 4, 0),
    ("DEPTH_TO_SPACE", 1): (2, 1, 0),
    ("DEPTH_TO_SPACE", 2): (2, 5, 0),
    ("DEQUANTIZE", 5): (2, 7, 0),
    ("LEAKY_RELU", 2): (2, 3, 0),
    ("MIRROR_PAD", 2): (2, 3, 0),
    ("RESIZE_BILINEAR", 3): (2, 2, 0),
    ("RESIZE_NEAREST_NEIGHBOR", 3): (2, 3, 0),
    ("TRANSPOSE_CONV", 3): (2, 3, 0),
    ("TRANSPOSE_CONV", 4): (2, 13, 0),
}
"""The first runtime with an operator's version. Source: tensorflow/lite/tools/versioning/runtime_version.cc."""
_SMALL_BYTES = 1 << 12
"""Vectors up to this size are written once where they are equal, whatever they belong to."""
_RECORDS_BYTES = 1 << 20
"""Bytes of a file beside its constants, to begin with: a CycleGAN generator's tensors and operators take 78 kB."""
_RUNTIME_ENTRY, _RUNTIME_BYTES = "min_runtime_version", 16


class _Builder(flatbuffers.Builder):
    """A builder that aligns constants to 16 bytes, as the schema asks and the Python object API forgets.

    It also writes equal vectors once: of a channel's 28 bytes beside its weights, 16 are the zero points of kernel and
    bias, all of them 0.
    """

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes)
        self._written: dict[tuple[np.dtype, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802  the name that flatbuffers calls
        if x.nbytes > _SMALL_BYTES:
            # Kernels, of which `TfliteFile` keeps each once; to compare them here would take a copy of all.
            return self._write(x)
        key = x.dtype, x.tobytes()
        if key not in self._written:
            self._written[key] = self._write(x)
        return self._written[key]

    def _write(self, vector: np.ndarray) -> int:
        # Constants are the vectors of bytes; shapes, scales and zero points stand wherever their type may.
        if vector.dtype == np.uint8:
            self.Prep(16, vector.nbytes)
        return super().CreateNumpyVector(vector)


class TfliteFile:
    """A file under construction: subgraphs, and the constants and operator codes that they share."""

    def __init__(self) -> None:
        self._subgraphs: list[Subgraph] = []
        self._codes: list[tuple[str, int]] = []
        # By convention the first buffer is empty: it belongs to every tensor that is computed.
        self._buffers: list[np.ndarray | None] = [None]
        self._buffer_of: dict[bytes, int] = {}

    def add_subgraph(self, signature: str = SIGNATURE) -> "Subgraph":
        """Begin a subgraph that is run by its signature; the first one also runs without."""
        self._subgraphs.append(Subgraph(self, signature))
        return self._subgraphs[-1]

    def add_buffer(self, content: bytes) -> int:
        """Return the index of the buffer that holds these bytes, which is added when it is new."""
        if content not in self._buffer_of:
            self._buffer_of[content] = len(self._buffers)
            self._buffers.append(np.frombuffer(content, dtype=np.uint8))
        return self._buffer_of[content]

    def add_code(self, name: str, version: int) -> int:
        """Return the index of an operator's code, which is added when it is new."""
        if (name, version) not in self._codes:
            self._codes.append((name, version))
        return self._codes.index((name, version))

    def finish(self, description: str, metadata: Mapping[str, bytes]) -> bytes:
        """Return the file; nothing can be added to it then.

        Args:
            description: A sentence about the file.
            metadata: Buffers by name; the least runtime that reads the file is added to them.
        """
        versions = [_RUNTIMES.get(code, _OLDEST_RUNTIME) for code in self._codes]
        oldest = ".".join(map(str, max(versions, default=_OLDEST_RUNTIME)))
        entries = {_RUNTIME_ENTRY: oldest.encode().ljust(_RUNTIME_BYTES, b"\0"), **metadata}
        model = schema.ModelT()
        model.version, model.description = _SCHEMA_VERSION, description
        model.subgraphs = [subgraph.to_record() for subgraph in self._subgraphs]
        model.operatorCodes = [_operator_code(name, version) for name, version in self._codes]
        appended = [np.frombuffer(content, dtype=np.uint8) for content in entries.values()]
        model.buffers = [_buffer(content) for content in [*self._buffers, *appended]]
        model.signatureDefs = [subgraph.to_signature(index) for index, subgraph in enumerate(self._subgraphs)]
        model.metadata = [_metadata(name, len(self._buffers) + place) for place, name in enumerate(entries)]
        # The records have the constants now, and each lets go of its own when it is written.
        self._buffers, self._buffer_of = [], {}
        return pack_model(model)


class Subgraph:
    """Tensors and operators under construction, from `TfliteFile.add_subgraph`."""

    def __init__(self, file: TfliteFile, signature: str) -> None:
        self._file, self._signature = file, signature
        self._tensors: list[schema.TensorT] = []
        self._operators: list[schema.OperatorT] = []
        self._constants: dict[tuple[str, int], int] = {}
        self._inputs: Mapping[str, int] = {}
        self._outputs: Mapping[str, int] = {}

    def add_tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: Any,
        quantization: schema.QuantizationParametersT | None = None,
        *,
        buffer: int = 0,
    ) -> int:
        """Declare a tensor and return its index."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, np.asarray(shape, dtype=np.int32), _TYPES[np.dtype(dtype)]
        tensor.buffer, tensor.quantization, tensor.hasRank = buffer, quantization, True
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def add_constant(
        self, name: str, values: np.ndarray, quantization: schema.QuantizationParametersT | None = None
    ) -> int:
        """Store values, once where several constants are equal, and return the tensor's index; a name that comes again
        with the same values is the same tensor.
        """
        buffer = self._file.add_buffer(np.ascontiguousarray(values).tobytes())
        if (name, buffer) not in self._constants:
            index = self.add_tensor(name, values.shape, values.dtype, quantization, buffer=buffer)
            self._constants[name, buffer] = index
        return self._constants[name, buffer]

    def add_operator(self, code: str, version: int, inputs: Sequence[int], output: int, options: Any = None) -> None:
        """Append an operator, named as in `schema.BuiltinOperator`; `options` is a schema object that ends in T."""
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs = self._file.add_code(code, version), list(inputs)
        operator.outputs = [output]
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self._operators.append(operator)

    def close(self, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
        """Name the tensors that are input and output, as the signature calls them."""
        self._inputs, self._outputs = inputs, outputs

    def to_record(self) -> schema.SubGraphT:
        """Return the subgraph's record in the file."""
        record = schema.SubGraphT()
        record.name = "main" if self._signature == SIGNATURE else self._signature
        record.tensors, record.operators = self._tensors, self._operators
        record.inputs, record.outputs = list(self._inputs.values()), list(self._outputs.values())
        return record

    def to_signature(self, index: int) -> schema.SignatureDefT:
        """Return the signature of the subgraph, which is that of `index` in the file."""
        record = schema.SignatureDefT()
        record.signatureKey, record.subgraphIndex = self._signature, index
        record.inputs, record.outputs = _tensor_map(self._inputs), _tensor_map(self._outputs)
        return record


def pack_model(model: schema.ModelT) -> bytes:
    """Return the bytes of the file that a schema object describes."""
    # It would grow by doubling, with a copy each time.
    constants = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    builder = _Builder(constants + _RECORDS_BYTES)
    builder.Finish(model.Pack(builder), file_identifier=_FILE_IDENTIFIER)
    return bytes(memoryview(builder.Bytes)[builder.Head() :])


def quantization_parameters(
    scales: Sequence[float] | np.ndarray, zero_points: Sequence[int] | np.ndarray, *, axis: int = 0
) -> schema.QuantizationParametersT:
    """Return the record of one scale for a whole tensor, or of one for each index along `axis`."""
    parameters = schema.QuantizationParametersT()
    parameters.scale = np.asarray(scales, dtype=np.float32)
    parameters.zeroPoint = np.asarray(zero_points, dtype=np.int64)
    parameters.quantizedDimension = axis
    return parameters


def _operator_code(name: str, version: int) -> schema.OperatorCodeT:
    code = getattr(schema.BuiltinOperator, name)
    record = schema.OperatorCodeT()
    record.builtinCode, record.version = code, version
    record.deprecatedBuiltinCode = min(code, _LARGEST_DEPRECATED_CODE)
    return record


def _metadata(name: str, buffer: int) -> schema.MetadataT:
    record = schema.MetadataT()
    record.name, record.buffer = name, buffer
    return record


class _Buffer(schema.BufferT):
    """The record of a constant, which keeps it only until it is written."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802  the name that the schema calls
        place = super().Pack(builder)
        self.data = None
        return place


def _buffer(content: np.ndarray | None) -> schema.BufferT:
    record: Any = _Buffer()
    record.data = content
    return record


def _tensor_map(named: Mapping[str, int]) -> list[schema.TensorMapT]:
    entries = []
    for name, index in named.items():
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        entries.append(entry)
    return entries
