"""What the page posts, and how it may look: types, ranges and lengths; anything else is refused unread."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from compress.strict_json import Bounds, Length, Record, parse_json, parse_record

LARGEST_POST_BYTES = 4 << 20
"""Largest report or error; a report of 30 rounds of ten models has some 10 kB."""
Accelerator = Literal["wasm", "webgpu"]

_Text = Annotated[str, Length(0, 4096)]
_ModelIndex = Annotated[int, Bounds(0, 999)]
_Milliseconds = Annotated[float, Bounds(0, 1e7)]
_Latency = Annotated[float, Bounds(1e-6, 1e7)]


class MalformedReport(ValueError):
    """Raised for a posted body that the page does not post."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How close an output is to the host's, as the server answered it."""

    share_within_1_255: Annotated[float, Bounds(0, 1)]
    largest_difference: Annotated[float, Bounds(0, 255)]


@dataclass(frozen=True, kw_only=True)
class PostedEntry:
    """A model on an accelerator."""

    model: _ModelIndex
    accelerator: Accelerator
    fully_accelerated: bool
    load_ms: _Milliseconds
    first_ms: _Milliseconds
    parity: Parity


@dataclass(frozen=True, kw_only=True)
class PostedFailure:
    """A model that did not run on an accelerator."""

    model: _ModelIndex
    accelerator: Accelerator
    why: _Text


@dataclass(frozen=True, kw_only=True)
class WebGpu:
    """The GPU, as the browser tells of it."""

    vendor: _Text | None = None
    architecture: _Text | None = None
    description: _Text | None = None


@dataclass(frozen=True, kw_only=True)
class BrowserFacts:
    """The browser; it leaves out what it does not know."""

    user_agent: _Text
    cores: Annotated[int, Bounds(1, 4096)] | None = None
    cross_origin_isolated: bool | None = None
    secure_context: bool | None = None
    relaxed_simd: bool | None = None
    webgpu: WebGpu | None = None


@dataclass(frozen=True, kw_only=True)
class PostedReport:
    """The measurements of a page."""

    browser: BrowserFacts
    threads: Annotated[int, Bounds(1, 1024)]
    library_load_ms: _Milliseconds
    entries: Annotated[list[PostedEntry], Length(1, 1000)]
    rounds: Annotated[list[list[_Latency]], Length(1, 100_000)]
    """Milliseconds an image of each entry, in each round."""
    failures: Annotated[list[PostedFailure], Length(0, 1000)]


@dataclass(frozen=True, kw_only=True)
class PostedError:
    """Why a page stopped."""

    model: _ModelIndex | None = None
    message: _Text
    console: Annotated[list[_Text], Length(0, 100)] = field(default_factory=list)


def parse_posted(content: bytes, kind: type[Record]) -> tuple[Record, dict[str, Any]]:
    """Parse a posted body.

    Returns:
        The record, and the plain data that it was made of.

    Raises:
        MalformedReport: If it is no JSON of that form.
    """
    try:
        found = parse_json(content)
        return parse_record(found, kind), found
    except ValueError as error:
        raise MalformedReport(f"no report of this page: {error}") from error
