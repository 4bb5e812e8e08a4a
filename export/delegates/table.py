"""Tables of the operators that the delegates of phones take, from LiteRT's sources: not measured, since none runs here.

XNNPACK does run here and is asked itself (`export.tflite.delegation`). An operator that a source lists can still be
refused for its shape or its parameters. `sources` writes the tables from a clone; the report names the commit.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

DelegateName = Literal["gpu", "coreml", "npu-mediatek", "npu-qualcomm", "npu-google"]
_INTEGERS = ("int8", "uint8", "int16")


@dataclass(frozen=True, kw_only=True)
class Delegate:
    """A delegate, by the operators that its code accepts."""

    name: DelegateName
    source: str
    """Where its table comes from, and what a table cannot say."""
    operators: Mapping[str, int | None]
    """By operator, the newest version that it takes; None where it refuses none."""
    types: tuple[str, ...] | None
    """Types of activations that it takes; None where its source does not say."""
    unpacks_fp16: bool
    """Whether it takes constants in float16 behind a DEQUANTIZE as they are."""

    def refusal(self, code: str, version: int, *, types: Iterable[str], fp16_constant: bool = False) -> str | None:
        """Say why it does not take an operator; None where it does.

        Args:
            code: The operator.
            version: Its version.
            types: Types of what it writes, and of what it reads and is computed.
            fp16_constant: Whether it is a DEQUANTIZE that unpacks a constant in float16.
        """
        if fp16_constant and self.unpacks_fp16:
            return None
        if code not in self.operators:
            return f"its sources do not list {code}"
        newest = self.operators[code]
        if newest is not None and version > newest:
            return f"its sources take {code} up to version {newest}, and this is version {version}"
        for dtype in types:
            if self.types is not None and dtype in _INTEGERS and dtype not in self.types:
                return f"its sources take no {dtype}"
        return None


def _read_tables() -> tuple[Delegate, ...]:
    table = json.loads(Path(__file__).with_name("table.json").read_text(encoding="utf-8"))
    origin = f"{table['repository']} at {table['commit'][:12]}"
    delegates = []
    for name in get_args(DelegateName):
        entry = table["delegates"][name]
        delegates.append(
            Delegate(
                name=name,
                source=f"{entry['source']} of {origin}; {entry['note']}",
                operators=entry["operators"],
                types=None if entry["types"] is None else tuple(entry["types"]),
                unpacks_fp16=entry["unpacks_fp16"],
            )
        )
    return tuple(delegates)


DELEGATES = _read_tables()


def find_delegate(name: DelegateName) -> Delegate:
    """Return a delegate by its name."""
    return next(delegate for delegate in DELEGATES if delegate.name == name)
