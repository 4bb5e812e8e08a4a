"""A `.tflite` is opened and run in a child process before it is opened here."""

import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from benchmarks.host.stage import find_models
from compress.errors import UnusableModel
from compress.teachers import limits
from export.inspect.tflite import inspect_tflite, read_tflite_facts
from export.interpreter import checked_file
from export.interpreter.litert import TfliteGenerator
from export.tflite.file import pack_model


@pytest.fixture(autouse=True)
def _limits_of_before() -> Iterator[None]:
    """What limits a child that opens a file is taken back: here it is the tests' own process, which starts browsers."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def file(tmp_path: Path, convolution_chain: Callable[..., bytes]) -> Path:
    """A whole file."""
    (tmp_path / "model.tflite").write_bytes(convolution_chain(filters=4))
    return tmp_path / "model.tflite"


@pytest.mark.parametrize(
    "open_it",
    [
        TfliteGenerator.open,
        read_tflite_facts,
        inspect_tflite,
        lambda path: find_models([path]),
    ],
    ids=["translate", "facts", "operators", "benchmarks"],
)
def test_whoever_opens_a_file_has_a_child_open_it_first(file: Path, monkeypatch: pytest.MonkeyPatch, open_it) -> None:
    def end(module: str, *arguments: str, path: Path) -> None:
        raise UnusableModel(f"{path} could not be read: the reader was ended by SIGSEGV; the file is damaged.")

    checked_file._check_once.cache_clear()
    monkeypatch.setattr(checked_file, "run_in_child", end)
    with pytest.raises(UnusableModel, match="ended by SIGSEGV"):
        open_it(file)


def test_a_whole_file_is_opened_once_by_a_child_as_long_as_it_stays_the_same(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, runs = checked_file.run_in_child, []
    monkeypatch.setattr(checked_file, "run_in_child", lambda *given, path: runs.append(path) or run(*given, path=path))
    for _ in range(3):
        checked_file.check_file(file)
    assert len(runs) == 1
    file.write_bytes(file.read_bytes() + b"\0")
    checked_file.check_file(file)
    assert len(runs) == 2


def test_a_pipe_is_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tflite")
    with pytest.raises(UnusableModel, match="no plain file"):
        checked_file.check_file(tmp_path / "pipe.tflite")


def _edited(file: Path, edit: Callable[[schema.ModelT], None]) -> Path:
    model = schema.ModelT.InitFromPackedBuf(file.read_bytes())
    edit(model)
    file.write_bytes(pack_model(model))
    return file


def test_a_file_whose_picture_is_not_finite_is_refused(file: Path) -> None:
    def spoil(model: schema.ModelT) -> None:
        # Of each convolution, since a ReLU can make 0 of NaN.
        for buffer in model.buffers:
            if buffer.data is not None and len(buffer.data) >= 100:
                values = np.full(len(buffer.data) // 4, np.nan, np.float32)
                buffer.data = np.frombuffer(values.tobytes(), np.uint8)

    with pytest.raises(UnusableModel, match="holds NaN or infinite"):
        checked_file.open_and_run(_edited(file, spoil))


def test_a_file_that_needs_more_memory_than_any_generator_is_refused_before_it_is_allocated(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compress.teachers.memory.SMALL_PICTURE_BYTES", 1000)
    monkeypatch.setattr("compress.teachers.memory.BYTES_PER_PIXEL", 1)
    monkeypatch.setattr(checked_file, "limit_memory", lambda _: pytest.fail("tensors were about to be allocated"))
    with pytest.raises(UnusableModel, match="more than any generator"):
        checked_file.open_and_run(file)


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.tflite").write_text("hello, this is no model")
    with pytest.raises(UnusableModel, match=r"text\.tflite: it is no \.tflite file"):
        checked_file.check_file(tmp_path / "text.tflite")
    assert limits.READING_S == 20
