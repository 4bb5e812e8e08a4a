"""How much an installation downloads: from the lock file alone, before anything is installed."""

import ensurepip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from compress.doctor import download

ROOT = Path(__file__).resolve().parents[3]
_LOCK = """
[[package]]
name = "pocketgan"
version = "0.1.0"
dependencies = [{ name = "a" }, { name = "windows", marker = "sys_platform == 'nowhere'" }]
[package.optional-dependencies]
more = [{ name = "b", extra = ["c"] }]
other = [{ name = "a" }]
[package.dev-dependencies]
dev = [{ name = "d" }]

[[package]]
name = "a"
version = "2"
resolution-markers = ["python_full_version < '3'"]
wheels = [{ url = "https://x/a-2-py3-none-any.whl", size = 1000000 }]

[[package]]
name = "a"
version = "1"
resolution-markers = ["python_full_version >= '3'"]
dependencies = [{ name = "b" }]
wheels = [
    { url = "https://x/a-1-cp27-cp27m-win_amd64.whl", size = 500000 },
    { url = "https://x/a-1-py3-none-any.whl", size = 1 },
]

[[package]]
name = "b"
version = "1"
sdist = { url = "https://x/b-1.tar.gz", size = 20 }
[package.optional-dependencies]
c = [{ name = "c" }]

[[package]]
name = "c"
version = "1"
wheels = [{ url = "https://x/c-1-py3-none-any.whl", size = 300 }]

[[package]]
name = "d"
version = "1"
dependencies = [{ name = "a", version = "1" }]
wheels = [{ url = "https://x/d-1-py3-none-any.whl", size = 4000 }]

[[package]]
name = "windows"
version = "1"
wheels = [{ url = "https://x/windows-1-py3-none-any.whl", size = 50000 }]
"""


def test_what_this_machine_needs_is_counted_once() -> None:
    assert download.measure_download(_LOCK) == (4, 4321)
    assert download.measure_download(_LOCK, ["more"]) == (3, 321)
    assert download.measure_download(_LOCK, ["other"]) == (2, 21)


def test_the_lock_file_is_measured_as_what_is_installed() -> None:
    count, size = download.measure_download((ROOT / "uv.lock").read_text(encoding="utf-8"))
    assert 80 < count < 250
    assert 1e9 < size < 8e9


def test_it_runs_with_nothing_installed_but_pip(tmp_path: Path) -> None:
    """A copy without a .venv, by an interpreter without site-packages; pip is the wheel that Python carries."""
    wheels = list((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
    if not wheels:
        pytest.skip("this Python carries no pip")
    (tmp_path / "compress/doctor").mkdir(parents=True)
    for name in ("compress/__init__.py", "compress/doctor/__init__.py", "compress/doctor/download.py", "uv.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    line = [sys.executable, "-S", "-m", "compress.doctor.download"]
    environment = {**os.environ, "PYTHONPATH": str(wheels[0])}
    said = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert " GB to download" in said
    (tmp_path / "uv.lock").unlink()
    said = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert "cannot be told here" in said


def test_make_demo_tells_before_it_installs() -> None:
    if shutil.which("make") is None:
        pytest.skip("no make here")
    planned = subprocess.run(["make", "--dry-run", "demo"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    steps = [planned.index(part) for part in ("compress.doctor.download", " sync ", "compress demo")]
    assert steps == sorted(steps)
