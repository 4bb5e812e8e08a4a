"""A phone that is not there: adb's server as far as adbutils speaks with it, in front of transcripts.

The client is the real one, over a socket. `transcripts/` holds what programs print, written in the formats of their
sources, not recorded: those of `benchmark_model` as `BACKEND_MODEL[_examined].txt`, the first model being the teacher,
the second the student.
"""

import re
import shlex
import socketserver
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

TRANSCRIPTS = Path(__file__).with_name("transcripts")
SERIAL = "38021FDJH000AB"
_BACKENDS = {"cpu": "use_xnnpack", "gpu": "use_gpu", "nnapi": "use_nnapi"}
_EXIT_MARK = "; echo X4EXIT:$?"
"""Text that adbutils puts behind a command to learn its exit code."""
Command = Callable[..., subprocess.CompletedProcess[str]]


@dataclass
class FakePhone:
    """The state of the phones that the server knows; commands and files are those of the one called SERIAL."""

    listed: str = f"{SERIAL}         device usb:1-2 product:shiba model:Pixel_8 device:shiba transport_id:3\n"
    files: dict[str, bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    free_bytes: int = 1 << 40
    pinnable: bool = True
    broken: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    """By backend and model: the exit code and the transcript to replay instead."""
    outputs: dict[str, bytes] = field(default_factory=dict)
    """By model: what it writes where --output_filepath points."""
    answers: int | None = None
    """Runs of benchmark_model after which the phone is unplugged."""
    benchmarks: list[str] = field(default_factory=list)
    """The command lines of benchmark_model that were run."""
    _thermal: Iterator[str] = field(default_factory=lambda: iter(("thermal_before.txt", "thermal_after.txt")))

    @property
    def plugged_in(self) -> bool:
        return self.answers is None or self.answers > 0

    def write(self, path: str, content: bytes) -> str | None:
        """Keep a file; say why not."""
        folder = path.rpartition("/")[0]
        if folder not in self.folders:
            return f"couldn't create file: {folder}: No such file or directory"
        if len(content) > self.free_bytes:
            return "write failed: No space left on device"
        self.free_bytes -= len(content)
        self.files[path] = content
        return None

    def run(self, line: str) -> tuple[int, str]:
        """Return exit code and output of a command line, as the phone's shell would."""
        match shlex.split(line):
            case ["mkdir", folder]:
                self.folders.add(folder)
                return 0, ""
            case ["rm", "-rf", folder]:
                self.folders.discard(folder)
                self.files = {path: kept for path, kept in self.files.items() if not path.startswith(f"{folder}/")}
                return 0, ""
            case ["test", "-f", path]:
                return int(path not in self.files), ""
            case ["df", "-k", folder]:
                used = f"/dev/block/dm-52 {120 << 20} 1 {self.free_bytes >> 10} 99% /data"
                return 0, f"Filesystem 1K-blocks Used Available Use% Mounted on\n{used}\n"
            case ["getprop"]:
                return 0, _read("getprop.txt")
            case ["dumpsys", "thermalservice"]:
                return 0, _read(next(self._thermal))
            case ["sh", "-c", asked] if "cpuinfo_max_freq" in asked:
                return 0, _read("max_freq.txt")
            case ["taskset", _, "true"]:
                return (0, "") if self.pinnable else (1, "taskset: failed to set affinity: Invalid argument\n")
            case ["taskset", _, program, *flags] | [program, *flags] if program.endswith("/benchmark_model"):
                return self._benchmark(line, flags)
        return 127, f"/system/bin/sh: {line.split()[0]}: inaccessible or not found\n"

    def _benchmark(self, line: str, flags: list[str]) -> tuple[int, str]:
        if self.answers is not None:
            self.answers -= 1
        self.benchmarks.append(line)
        given = dict(flag.removeprefix("--").split("=", 1) for flag in flags)
        assert given["graph"] in self.files
        model = {"model0.tflite": "teacher", "model1.tflite": "student"}[given["graph"].rpartition("/")[2]]
        (backend,) = (name for name, flag in _BACKENDS.items() if given.get(flag) == "true")
        if (backend, model) in self.broken:
            code, transcript = self.broken[backend, model]
            return code, _read(transcript)
        if "output_filepath" in given and model in self.outputs:
            name, path = given["input_layer_value_files"].split(":")
            assert name == given["input_layer"]
            assert len(self.files[path]) == 4 * 32 * 32 * 3
            self.files[given["output_filepath"]] = self.outputs[model]
        return 0, _read(f"{backend}_{model}{'_examined' if 'enable_op_profiling' in given else ''}.txt")


class _Connection(socketserver.StreamRequestHandler):
    """One connection of adb's host protocol, `SERVICES.TXT` and `SYNC.TXT` of its sources."""

    @property
    def phone(self) -> FakePhone:
        assert isinstance(self.server, _Server)
        return self.server.phone

    def handle(self) -> None:
        while length := self.rfile.read(4):
            self._serve(self.rfile.read(int(length, 16)).decode())

    def _serve(self, service: str) -> None:
        phone = self.phone
        match service.split(":", 1):
            case ["host", "version"]:
                self._block("0029")
            case ["host", "devices-l"]:
                self._block(phone.listed)
            case ["host", named] if named == f"tport:serial:{SERIAL}" and phone.plugged_in:
                self.wfile.write(b"OKAY" + struct.pack("<Q", 3))
            case ["shell", line]:
                code, text = phone.run(line.removesuffix(_EXIT_MARK))
                self.wfile.write(b"OKAY" + f"{text}X4EXIT:{code}\n".encode())
                self.request.shutdown(1)
            case ["sync", ""]:
                self.wfile.write(b"OKAY")
                self._sync()
            case _:
                reason = f"device '{SERIAL}' not found"
                self.wfile.write(b"FAIL" + f"{len(reason):04x}{reason}".encode())

    def _block(self, text: str) -> None:
        self.wfile.write(b"OKAY" + f"{len(text.encode()):04x}{text}".encode())

    def _sync(self) -> None:
        phone, (kind, path) = self.phone, self._sync_message()
        path = path.decode()
        if kind == b"STAT":
            known = path in phone.files
            self.wfile.write(b"STAT" + struct.pack("<III", 0o100644 * known, len(phone.files.get(path, b"")), known))
        elif kind == b"RECV":
            content = phone.files[path]
            for start in range(0, len(content), 1 << 16):
                part = content[start : start + (1 << 16)]
                self.wfile.write(b"DATA" + struct.pack("<I", len(part)) + part)
            self.wfile.write(b"DONE" + struct.pack("<I", 0))
        elif kind == b"SEND":
            refused = phone.write(path.rpartition(",")[0], b"".join(self._sent()))
            answer = b"OKAY" + struct.pack("<I", 0)
            self.wfile.write(
                answer if refused is None else b"FAIL" + struct.pack("<I", len(refused)) + refused.encode()
            )

    def _sync_message(self) -> tuple[bytes, bytes]:
        kind, length = struct.unpack("<4sI", self.rfile.read(8))
        return kind, self.rfile.read(length)

    def _sent(self) -> Iterator[bytes]:
        while True:
            kind, length = struct.unpack("<4sI", self.rfile.read(8))
            if kind == b"DONE":
                return
            yield self.rfile.read(length)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    phone: FakePhone


@pytest.fixture
def phone(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePhone]:
    """A phone behind a server that adbutils, here and in child processes, takes for adb's."""
    pytest.importorskip("adbutils", reason="the extra `android` is not installed")
    with _Server(("127.0.0.1", 0), _Connection) as server:
        server.phone = FakePhone()
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.server_address[1]))
        monkeypatch.setenv("ANDROID_ADB_SERVER_HOST", "127.0.0.1")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.phone
        server.shutdown()


@pytest.fixture
def transcript() -> Callable[[str], str]:
    """Read a transcript by its name without `.txt`."""
    return lambda name: _read(f"{name}.txt")


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the head of a program for 64-bit Arm."""
    path = tmp_path_factory.mktemp("binary") / "android_aarch64_benchmark_model"
    path.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, 183) + bytes(100))
    return path


@pytest.fixture(scope="session")
def bench(command: Command, models: Path, binary: Path) -> Command:
    """Run `bench android` on two models; further arguments as given."""
    pair = models / "shallow.tflite", models / "narrow.tflite"
    return partial(command, "android", *pair, "--benchmark-binary", binary, module="benchmarks")


def _read(name: str) -> str:
    # What a run of its own would name its folder.
    return re.sub(r"pocketgan-\w+", "pocketgan-0a1b2c3d", (TRANSCRIPTS / name).read_text())
