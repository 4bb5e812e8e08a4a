"""The operators of a `.tflite` file, as delegates look at them: code, version, type, and what they read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from export.delegates.table import Delegate

_CODES = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
_TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}


@dataclass(frozen=True, kw_only=True)
class FileOperator:
    """One operator of a file."""

    position: int
    code: str
    version: int
    dtype: str
    """Type of the tensor that it writes."""
    reads: tuple[str, ...]
    """Types of the tensors that it reads and that are computed."""
    shape: tuple[int, ...]
    """Shape of the tensor that it writes; -1 for a side that is chosen when the file is run."""
    at_load: bool
    """True where it reads constants alone, which a delegate computes once."""
    unpacks_fp16: bool
    """True of a DEQUANTIZE of a constant in float16."""

    def refusal(self, delegate: Delegate) -> str | None:
        """Say why a delegate does not take it; None where it does."""
        types = (self.dtype, *self.reads)
        return delegate.refusal(self.code, self.version, types=types, fp16_constant=self.unpacks_fp16)


def read_operators(model: Any) -> Iterator[FileOperator]:
    """Yield the operators of a file's usual size, in the order in which they run.

    Args:
        model: A `schema.ModelT`.
    """
    graph = model.subgraphs[0]
    constant = {index for index, tensor in enumerate(graph.tensors) if holds_data(model, tensor)}
    for position, operator in enumerate(graph.operators):
        code = model.operatorCodes[operator.opcodeIndex]
        name = _CODES[max(code.builtinCode, code.deprecatedBuiltinCode)]
        written = graph.tensors[operator.outputs[0]]
        computed = [index for index in present_inputs(operator) if index not in constant]
        at_load = not computed
        unpacks = at_load and name == "DEQUANTIZE"
        yield FileOperator(
            position=position,
            code=name,
            version=code.version,
            dtype=_TYPES[written.type],
            reads=tuple(_TYPES[graph.tensors[index].type] for index in computed),
            shape=tuple(map(int, written.shape if written.shapeSignature is None else written.shapeSignature)),
            at_load=at_load,
            unpacks_fp16=unpacks and graph.tensors[operator.inputs[0]].type == schema.TensorType.FLOAT16,
        )


def present_inputs(operator: Any) -> list[int]:
    """Return an operator's inputs without optional ones that are left out."""
    return [int(index) for index in operator.inputs if index >= 0]


def holds_data(model: Any, tensor: Any) -> bool:
    """Check whether a tensor is a constant of the file."""
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0
