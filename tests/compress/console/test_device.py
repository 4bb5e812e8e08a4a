"""--device: told to backends by the environment, for one command and the processes below it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compress import console
from compress.console.device import DEVICE, device_chosen
from compress.errors import UsageError


@pytest.fixture(autouse=True)
def _no_choice_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (DEVICE, "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"):
        monkeypatch.delenv(name, raising=False)


def _seen() -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in (DEVICE, "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS")}


@pytest.mark.parametrize(
    ("device", "cuda", "jax"),
    [("auto", None, None), ("cpu", "-1", "cpu"), ("gpu", None, None), ("gpu:1", "1", None)],
)
def test_a_device_is_told_to_backends_and_taken_back(device: str, cuda: str | None, jax: str | None) -> None:
    with device_chosen(device):
        assert _seen() == {DEVICE: device, "CUDA_VISIBLE_DEVICES": cuda, "JAX_PLATFORMS": jax}
    assert set(_seen().values()) == {None}


def test_without_the_flag_the_environment_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with device_chosen(None):
        assert _seen() == {DEVICE: None, "CUDA_VISIBLE_DEVICES": "3", "JAX_PLATFORMS": None}


def test_a_gpu_is_counted_among_those_that_the_environment_leaves_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-77aa")
    with device_chosen("gpu:1"):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-77aa"
    with (
        pytest.raises(UsageError, match=r"gpu:2, but CUDA_VISIBLE_DEVICES=2, GPU-77aa leaves 2 visible"),
        device_chosen("gpu:2"),
    ):
        raise AssertionError("never reached")


@pytest.mark.parametrize("device", ["", "GPU", "tpu", "gpu:", "gpu:-1", "cuda:0", "cpu:1"])
def test_another_word_is_refused_by_name(device: str) -> None:
    with pytest.raises(UsageError, match=r"expected auto, cpu, gpu, or gpu:N"), device_chosen(device):
        raise AssertionError("never reached")


@pytest.mark.parametrize("given", [["--device", "cpu"], ["--device=cpu"]])
def test_every_command_takes_it_at_any_place(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    app = console.new_app("tool", "A tool.")

    @app.command
    def tell(*, out: Path) -> None:
        console.show({"device": os.environ[DEVICE], "out": str(out)}, as_json=True)

    assert console.run(app, ["tell", *given, "--out", "there"]) == 0
    assert '"device": "cpu"' in capsys.readouterr().out


def test_a_flag_without_a_value_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.run(console.new_app("tool", "A tool."), ["tell", "--device"]) == 2
    assert "--device has no value, expected auto, cpu, gpu or gpu:N." in capsys.readouterr().err


def test_training_refuses_a_gpu_that_the_backend_does_not_see() -> None:
    program = (
        "from compress.training.device import require_device\n"
        "from compress.errors import UsageError\n"
        "try:\n    require_device()\nexcept UsageError as error:\n    print(error)\n"
    )
    environment = os.environ | {DEVICE: "gpu", "CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert "--device gpu: tensorflow sees no GPU." in ended.stdout
