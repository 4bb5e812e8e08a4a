"""Reader of LiteRT's own sources: which operators, in which versions, each delegate takes; writes `table.json`.

Run as `python -m export.delegates.sources CLONE [--commit HEAD]` over a clone of google-ai-edge/LiteRT. Only
what the code lists is read: an operator on the list can still be refused for its shape or its parameters.
"""

import argparse
import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

REPOSITORY = "google-ai-edge/LiteRT"
TABLE = Path(__file__).with_name("table.json")
Operators = dict[str, int | None]
"""By operator, the newest version that is taken; None where no version is refused."""
_NAMES = {
    name.replace("_", "").lower(): name
    for name, value in vars(schema.BuiltinOperator).items()
    if isinstance(value, int) and not name.startswith("_")
}
"""Names of the schema by those of C++, in small letters."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The file that says what a delegate takes, and what of it cannot be read by a program."""

    path: str
    read: Callable[[str], Operators]
    types: tuple[str, ...] | None
    """Types of activations that it takes; None where the file does not say."""
    unpacks_fp16: bool
    """Whether it takes constants in float16 behind a DEQUANTIZE as they are."""
    note: str


def read_gpu(text: str) -> Operators:
    """Read the parsers of `NewOperationParser`, and the version that each checks."""
    caps = _version_caps(text)
    by_type = re.search(r"operation_type_ == OperationType::(\w+) \? (\d+) : (\d+)", text)
    switch = text[text.index("switch (builtin_code)", text.index("NewOperationParser(\n")) :]
    found: Operators = {}
    pending: list[str] = []
    for case, parser, argument in re.findall(
        r"case kTfLiteBuiltin(\w+):|make_unique<(\w+)>\(\s*(?:OperationType::(\w+))?", switch
    ):
        if case:
            pending.append(case)
            continue
        newest = caps.get(parser)
        if parser == "ElementwiseOperationParser" and by_type is not None:
            newest = int(by_type[2] if argument == by_type[1] else by_type[3])
        found |= dict.fromkeys(map(_schema_name, pending), newest)
        pending = []
    return {name: newest for name, newest in found.items() if name != "CUSTOM"}


def _version_caps(text: str) -> dict[str, int]:
    """Return the version that each parser's class checks first."""
    classes = re.split(r"^class (\w+) : public", text, flags=re.MULTILINE)
    caps = {}
    for name, body in zip(classes[1::2], classes[2::2], strict=True):
        if cap := re.search(r"CheckMaxSupportedOpVersion\(registration, (\d+)\)", body):
            caps[name] = int(cap[1])
    return caps


def read_coreml(text: str) -> Operators:
    """Read the two switches of `IsNodeSupportedByDelegate`: newer versions, then operators."""
    body = text[text.index("IsNodeSupportedByDelegate(") :]
    newer, taken = body.split("switch (registration->builtin_code)")[1:3]
    caps = {
        _schema_name(name): int(cap)
        for name, cap in re.findall(r"case kTfLiteBuiltin(\w+):\s*if \(registration->version > (\d+)\)", newer)
    }
    taken = taken[: taken.index("default:")]
    return {name: caps.get(name, 1) for name in map(_schema_name, re.findall(r"case kTfLiteBuiltin(\w+):", taken))}


def read_supported(text: str) -> Operators:
    """Read the list `kSupportedOps`."""
    return dict.fromkeys(_codes(text, "kSupportedOps"))


def read_all_but_unsupported(text: str) -> Operators:
    """Read the list `kUnSupportedOps`: everything else is taken."""
    left_out = _codes(text, "kUnSupportedOps")
    return {name: None for name in sorted(_NAMES.values()) if name not in left_out and name != "CUSTOM"}


def read_builders(text: str) -> Operators:
    """Read the table of builders, one for each operator."""
    return dict.fromkeys(map(_schema_name, re.findall(r"builders\[kLiteRtOpCodeTfl(\w+)\]", text)))


def _codes(text: str, array: str) -> list[str]:
    start = text.index(f"{array}[] = {{")
    return [_schema_name(name) for name in re.findall(r"kLiteRtOpCodeTfl(\w+)", text[start : text.index("};", start)])]


def _schema_name(name: str) -> str:
    return _NAMES[name.lower()]


SOURCES: Mapping[str, Source] = {
    "gpu": Source(
        path="tflite/delegates/gpu/common/model_builder.cc",
        read=read_gpu,
        types=("float32", "float16", "int8", "uint8"),
        unpacks_fp16=True,
        note="int8 with its quantised mode alone, computed in float; by default it runs the largest partition alone",
    ),
    "coreml": Source(
        path="tflite/delegates/coreml/coreml_delegate.mm",
        read=read_coreml,
        types=("float32",),
        unpacks_fp16=True,
        note="float alone; most operators in version 1",
    ),
    "npu-mediatek": Source(
        path="litert/vendors/mediatek/compiler/compiler_plugin.cc",
        read=read_supported,
        types=None,
        unpacks_fp16=False,
        note="the compiler asks the chip's own library for each operator too",
    ),
    "npu-qualcomm": Source(
        path="litert/vendors/qualcomm/compiler/qnn_compose_graph.cc",
        read=read_builders,
        types=None,
        unpacks_fp16=False,
        note="the compiler asks the chip's own library for each operator too",
    ),
    "npu-google": Source(
        path="litert/vendors/google_tensor/compiler/compiler_plugin.cc",
        read=read_all_but_unsupported,
        types=None,
        unpacks_fp16=False,
        note="all but what its code excludes",
    ),
}


def build_table(show: Callable[[str], str], commit: str) -> dict[str, Any]:
    """Return the content of `table.json`.

    Args:
        show: Returns the text of a file of the repository.
        commit: The commit that it is of, 40 hexadecimal digits.
    """
    delegates = {}
    for name, source in SOURCES.items():
        operators = source.read(show(source.path))
        delegates[name] = {
            "source": source.path,
            "note": source.note,
            "types": source.types,
            "unpacks_fp16": source.unpacks_fp16,
            "operators": dict(sorted(operators.items())),
        }
    return {"repository": REPOSITORY, "commit": commit, "delegates": delegates}


def _git(clone: Path, *arguments: str) -> str:
    command = ["git", "-C", str(clone), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clone", type=Path)
    parser.add_argument("--commit", default="HEAD")
    chosen = parser.parse_args()
    commit = _git(chosen.clone, "rev-parse", chosen.commit).strip()
    table = build_table(lambda path: _git(chosen.clone, "show", f"{commit}:{path}"), commit)
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
