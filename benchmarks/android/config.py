"""The flags and recorded configuration of `compress bench android`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compress.errors import UsageError

Backend = Literal["cpu", "gpu", "nnapi"]
PUBLISHED_AT = (
    "https://storage.googleapis.com/tensorflow-nightly-public/prod/tensorflow/release/lite/tools/nightly/latest/"
    "android_aarch64_benchmark_model"
)
"""Where TensorFlow's documentation, under Performance measurement, links the binary for 64-bit phones."""


@dataclass(frozen=True, kw_only=True)
class AndroidConfig:
    """On which phone and how models are timed."""

    benchmark_binary: Path | None = None
    """TFLite's benchmark_model for Android, on this machine; published as android_aarch64_benchmark_model."""
    serial: str | None = None
    """Which phone, as `adb devices` lists it; the only one when not given."""
    backend: tuple[Backend, ...] = ("cpu", "gpu", "nnapi")
    """What runs the models: XNNPACK on the CPU, or the GPU's or NNAPI's delegate; may be repeated."""
    threads: int = 1
    """Threads on the CPU; the fastest cores are chosen for them."""
    runs: int = 5
    """Rounds; in each, every model has its turn on every backend, in a process of its own."""
    invokes: int = 20
    """Least images that a model translates in a turn; more where they take less than a second."""
    check: Path | None = None
    """A photo that phone and this machine both translate, to see how far their pictures differ."""

    def __post_init__(self) -> None:
        for name in ("threads", "runs", "invokes"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} = {getattr(self, name)}, expected at least 1.")
        if self.benchmark_binary is None:
            raise UsageError(
                "--benchmark-binary is missing: TFLite's own benchmark_model for Android. It is published at\n"
                f"{PUBLISHED_AT}\n"
                "(android_arm_benchmark_model beside it for 32-bit phones); download it and pass its path."
            )
