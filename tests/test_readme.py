"""The README's quick start, run as printed, and its lines of an app, held against the samples that they are taken from.

Trainings of two steps stand in for those of minutes: the flags in `SHORTER` are added to what is printed.
"""

import inspect
import re
import shlex
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
_SMALL = {
    "steps": 2,
    "batch_size": 2,
    "width": 8,
    "blocks": 1,
    "holdout": 2,
    "perceptual_weight": 0,
    "statistics_weight": 0,
}
SHORTER = {
    "run": [part for key, value in _SMALL.items() for part in ("--set", f"distill.{key}={value}")],
    "distill": [part for key, value in _SMALL.items() for part in (f"--{key.replace('_', '-')}", str(value))],
}


def _quick_start() -> list[str]:
    """Return the commands between the heading of the quick start and the next one."""
    part = README.split("## Quick start")[1].split("\n## ")[0]
    return [line for block in re.findall(r"```\n(.*?)```", part, re.DOTALL) for line in block.splitlines() if line]


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def newcomer(tmp_path: Path, photo_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the quick start names: a teacher's file and photos."""
    monkeypatch.chdir(tmp_path)
    image = keras.Input((32, 32, 3))
    features = keras.layers.Conv2D(8, 7, padding="same", activation="relu")(image)
    painted = keras.layers.Conv2D(3, 7, padding="same", activation="tanh")(features)
    keras.Model(image, painted).save("g_m2f.h5")
    (tmp_path / "photos").symlink_to(photo_folders / "trainA")
    (tmp_path / "photo.jpg").write_bytes((photo_folders / "testA" / "000.png").read_bytes())
    return tmp_path


def test_the_quick_start_runs_as_printed(newcomer: Path, command) -> None:
    made = command("translate", "g_m2f.h5", "photo.jpg", "--out", "seen")
    assert made.returncode == 0, made.stderr
    (newcomer / "what_my_model_makes_of_it.png").write_bytes(next((newcomer / "seen").glob("*.png")).read_bytes())
    lines = _quick_start()
    assert len(lines) == 5
    for line in lines:
        uv, run, program, name, *arguments = shlex.split(line)
        assert (uv, run, program) == ("uv", "run", "compress")
        ended = command(name, *arguments, *SHORTER.get(name, []))
        assert ended.returncode == 0, f"{line}\n{ended.stderr}"
    phone_files = [path.stat().st_size for path in newcomer.glob("runs/**/*.tflite")]
    assert phone_files
    assert max(phone_files) <= 250_000
    assert (newcomer / "runs/mine/report.html").stat().st_size > 10_000
    assert "untouched" in (newcomer / "runs/mine/model_card.md").read_text(encoding="utf-8")
    assert len(list((newcomer / "runs/images").glob("*.png"))) == len(list((newcomer / "photos").iterdir()))


def test_the_python_lines_are_calls_that_the_library_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    import pocketgan

    (block,) = _blocks("python")
    called = {}
    for name in ("distill", "export_tflite"):
        real = getattr(pocketgan, name)

        def stand_in(*given, _real=real, _name=name, **named):
            called[_name] = inspect.signature(_real).bind(*given, **named).arguments
            return type("Student", (), {"path": Path("student")})()

        monkeypatch.setattr(pocketgan, name, stand_in)
    exec(compile(block, "README.md", "exec"), {})
    assert set(called) == {"distill", "export_tflite"}


@pytest.mark.parametrize(
    ("language", "sources", "defined"),
    [
        ("kotlin", "export/tflite/android", r"(?:fun|class|object)\s+{}\b"),
        ("swift", "export/coreml/swift", r"(?:func|class|struct|actor|name:)\s*\"?{}\b"),
    ],
)
def test_the_lines_of_an_app_call_what_the_samples_define(language: str, sources: str, defined: str) -> None:
    (block,) = _blocks(language)
    assert len(block.splitlines()) <= 10
    files = [*(ROOT / sources).rglob("*.kt"), *(ROOT / sources).rglob("*.swift")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    code = "\n".join(line.split("//")[0] for line in block.splitlines())
    ours = {"Generator", "Sample", "translate", "fit", "decode"} & set(re.findall(r"\w+", code))
    assert ours >= {"Generator", "translate"}
    for name in ours:
        assert re.search(defined.format(name), text), f"{name} is not in {sources}"
