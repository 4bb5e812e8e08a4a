"""The flags and recorded configuration of `compress bench android`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compress.config import require_at_least
from compress.errors import UsageError

Backend = Literal["cpu", "gpu", "nnapi"]
PUBLISHED_AT = (
    "https://storage.googleapis.com/tensorflow-nightly-public/prod/tensorflow/release/lite/tools/nightly/latest/"
    "android_aarch64_benchmark_model"
)
"""Address of the binary for 64-bit phones, linked in TensorFlow's documentation under Performance measurement."""


@dataclass(frozen=True, kw_only=True)
class AndroidConfig:
    """The phone that models are timed on, and how thoroughly."""

    benchmark_binary: Path | None = None
    """TFLite's benchmark_model for Android, on this machine; published as android_aarch64_benchmark_model."""
    serial: str | None = None
    """Serial number of the phone, as `adb devices` lists it; the only one when not given."""
    backend: tuple[Backend, ...] = ("cpu", "gpu", "nnapi")
    """Delegate that runs the models: XNNPACK on the CPU, or that of GPU or NNAPI; may be repeated."""
    threads: int = 1
    """Threads on the CPU; the fastest cores are chosen for them."""
    runs: int = 5
    """Rounds; in each, every model has its turn on every backend, in a process of its own."""
    invokes: int = 20
    """Least number of images that a model translates in a turn; more where they take less than a second."""
    check: Path | None = None
    """A photo that phone and this machine both translate, to see how far their pictures differ."""

    def __post_init__(self) -> None:
        require_at_least(self, threads=1, runs=1, invokes=1)
        if self.benchmark_binary is None:
            raise UsageError(
                "--benchmark-binary is missing: TFLite's own benchmark_model for Android. It is published at\n"
                f"{PUBLISHED_AT}\n"
                "(android_arm_benchmark_model beside it for 32-bit phones); download it and pass its path."
            )
