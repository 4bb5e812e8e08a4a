"""The page's server towards strangers: only its own page is heard, within limits, and nothing of it is printed raw."""

import http.client
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.browser import server as page_server
from benchmarks.browser import stage
from benchmarks.browser.config import BrowserConfig
from benchmarks.browser.posted import LARGEST_POST_BYTES
from benchmarks.browser.server import MOST_CONNECTIONS, BenchServer
from benchmarks.browser.task import Task
from compress.errors import UsageError

REPORT: dict[str, Any] = {
    "browser": {"user_agent": "a browser"},
    "threads": 1,
    "library_load_ms": 1.5,
    "entries": [
        {
            "model": 0,
            "accelerator": "wasm",
            "fully_accelerated": True,
            "load_ms": 3,
            "first_ms": 2,
            "parity": {"share_within_1_255": 1.0, "largest_difference": 0.0},
        }
    ],
    "rounds": [[1.0], [1.1]],
    "failures": [],
}


@pytest.fixture
def server(tanh_file: Path) -> Iterator[BenchServer]:
    task = Task([tanh_file], BrowserConfig(runs=2))
    with BenchServer(task, task.files()) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def ask(server: BenchServer, path: str, body: bytes | None = None, method: str | None = None, **headers: str) -> int:
    """Ask for a path below the token, and return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def post(server: BenchServer, name: str, content: Any, **headers: str) -> int:
    return ask(server, f"/{server.token}/{name}", json.dumps(content).encode(), None, **headers)


def test_without_the_token_there_is_nothing(server: BenchServer, tanh_file: Path) -> None:
    for path in ("/", "/index.html", "/task.json", "/models/0.tflite", f"/{server.token[:-1]}/", f"/x{server.token}/"):
        assert ask(server, path) == 404
    assert ask(server, "/report", json.dumps(REPORT).encode()) == 404
    assert server.arrived.empty()
    assert ask(server, f"/{server.token}/task.json") == 200
    task = Task([tanh_file], BrowserConfig(runs=2))
    with BenchServer(task, {}) as other:
        assert other.token != server.token


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:80"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "localhost:8080", "Origin": "http://localhost:9090"}, 403),
        ({"Host": "localhost:8080", "Origin": "http://localhost:8080"}, 200),
        ({"Host": "192.168.1.5:8080", "Origin": "http://192.168.1.5:8080"}, 200),
        ({"Host": "[::1]:8080"}, 200),
    ],
)
def test_only_its_own_page_at_its_own_address_is_heard(
    server: BenchServer, headers: dict[str, str], status: int
) -> None:
    assert ask(server, f"/{server.token}/", None, None, **headers) == status
    assert post(server, "report", REPORT, **headers) == status
    assert server.arrived.empty() == (status != 200)


def changed(**changes: Any) -> dict[str, Any]:
    return REPORT | changes


def entry(**changes: Any) -> dict[str, Any]:
    return changed(entries=[REPORT["entries"][0] | changes])


@pytest.mark.parametrize(
    "report",
    [
        changed(unknown=1),
        changed(threads="1"),
        changed(threads=True),
        changed(library_load_ms=-1),
        changed(rounds=[[1.0]]),
        changed(rounds=[[1.0], [0]]),
        changed(rounds=[[1.0], ["2"]]),
        changed(rounds=[[1.0], [1.0, 2.0]]),
        changed(browser={"user_agent": "x" * 5000}),
        changed(browser={"user_agent": "x", "cookies": "y"}),
        changed(failures=[{"model": 0, "accelerator": "npu", "why": "x"}]),
        changed(failures=[{"model": 7, "accelerator": "webgpu", "why": "x"}]),
        entry(model=True),
        entry(model=-1),
        entry(model=1),
        entry(accelerator="npu"),
        entry(parity={"share_within_1_255": 1.5, "largest_difference": 0}),
        {key: value for key, value in REPORT.items() if key != "rounds"},
    ],
)
def test_a_report_that_is_not_well_formed_is_refused(server: BenchServer, report: dict[str, Any]) -> None:
    assert post(server, "report", report) == 400
    assert server.arrived.empty()


@pytest.mark.parametrize("body", [b'{"message": NaN}', b"\xff", b"[" * 5000, b'{"message": "a", "message": "b"}'])
def test_what_is_no_strict_json_is_refused(server: BenchServer, body: bytes) -> None:
    assert ask(server, f"/{server.token}/error", body) == 400


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("report", str(LARGEST_POST_BYTES + 1)),
        ("error", str(LARGEST_POST_BYTES + 1)),
        # 16 x 16 x 3 float32.
        ("output/0", "3073"),
        ("report", "9" * 5000),
        ("report", "-1"),
        ("report", "x"),
    ],
)
def test_a_body_beyond_its_limit_is_refused_unread(server: BenchServer, name: str, length: str) -> None:
    assert ask(server, f"/{server.token}/{name}", b"", None, **{"Content-Length": length}) == 413


@pytest.mark.parametrize("name", [f"output/{'9' * 5000}", "output/-1", "output/1", "elsewhere", "output/0/0"])
def test_what_is_taken_nowhere_is_refused(server: BenchServer, name: str) -> None:
    assert ask(server, f"/{server.token}/{name}", b"") == 400


def test_reports_that_nobody_takes_do_not_fill_the_memory(server: BenchServer) -> None:
    statuses = [post(server, "error", {"message": "out of memory"}) for _ in range(page_server._MOST_WAITING + 2)]
    assert statuses == [200] * page_server._MOST_WAITING + [503] * 2


def closed_after(connection: socket.socket, limit_s: float) -> float:
    """Return after how many seconds the other end closes a connection."""
    started = time.monotonic()
    connection.settimeout(limit_s)
    try:
        while connection.recv(4096):
            pass
    except ConnectionError:
        pass
    return time.monotonic() - started


def test_no_more_connections_than_allowed_are_served_at_once(server: BenchServer) -> None:
    address = ("127.0.0.1", server.server_port)
    held = [socket.create_connection(address, timeout=20) for _ in range(MOST_CONNECTIONS)]
    try:
        deadline = time.monotonic() + 20
        while server._free._value and time.monotonic() < deadline:
            time.sleep(0.02)
        with socket.create_connection(address, timeout=20) as further:
            assert closed_after(further, 20) < 15
        held.pop().close()
        while not server._free._value and time.monotonic() < deadline:
            time.sleep(0.02)
        assert ask(server, f"/{server.token}/") == 200
    finally:
        for connection in held:
            connection.close()


def send_slowly(connection: socket.socket, content: bytes) -> None:
    try:
        for byte in content:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)
    except OSError:
        return


@pytest.mark.parametrize(
    "sent",
    [
        lambda token: "",
        lambda token: f"GET /{token}/ HTTP/1.1\r\nHost: localhost\r\nX: " + "y" * 500,
        lambda token: f"POST /{token}/report HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n" + "y" * 500,
    ],
    ids=["silence", "a slow head", "a slow body"],
)
def test_a_connection_that_takes_too_long_is_ended(
    server: BenchServer, sent: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_server._Handler, "timeout", 1)
    monkeypatch.setattr(page_server, "HEADER_LIMIT_S", 1)
    monkeypatch.setattr(page_server, "REQUEST_LIMIT_S", 1)
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        head, _, body = sent(server.token).partition("\r\n\r\n")
        if body:
            connection.sendall(f"{head}\r\n\r\n".encode())
        threading.Thread(target=send_slowly, args=(connection, (body or head).encode()), daemon=True).start()
        assert closed_after(connection, 20) < 15


def test_it_listens_on_this_machine_alone_unless_asked(tanh_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts: list[str] = []

    class Stop(Exception):
        pass

    def record(_: Task, __: Any, host: str) -> BenchServer:
        hosts.append(host)
        raise Stop

    monkeypatch.setattr(stage, "load_library", dict)
    monkeypatch.setattr(stage, "_open_server", record)
    for config in (BrowserConfig(serve=True), BrowserConfig(serve=True, host="0.0.0.0")):
        with pytest.raises(Stop):
            next(stage.serve([tanh_file], config))
    assert hosts == ["127.0.0.1", "0.0.0.0"]
    with pytest.raises(UsageError, match=r"--host says where --serve is reached"):
        BrowserConfig(host="0.0.0.0")


def test_an_address_of_another_machine_is_refused(tanh_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "load_library", dict)
    # TEST-NET-1 of RFC 5737, which nobody has.
    with pytest.raises(UsageError, match=r"nothing can be served at 192\.0\.2\.1: .*Pass another --host"):
        next(stage.serve([tanh_file], BrowserConfig(serve=True, host="192.0.2.1")))


def test_nothing_of_a_page_is_printed_raw(
    tanh_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stage, "load_library", dict)
    servers: list[BenchServer] = []
    monkeypatch.setattr(
        stage, "BenchServer", lambda *given, **named: servers.append(BenchServer(*given, **named)) or servers[-1]
    )
    records = stage.serve([tanh_file], BrowserConfig(runs=2, serve=True))
    with caplog.at_level(logging.INFO):
        waiting = threading.Thread(target=lambda: next(records))
        waiting.start()
        while not servers:
            time.sleep(0.02)
        post(servers[0], "error", {"message": "\x1b[2Jgone\x07", "console": ["\u202eesrever"]})
        post(servers[0], "report", REPORT)
        waiting.join(60)
    records.close()
    assert r"the page failed: \x1b[2Jgone\x07" in caplog.text
    assert r"\u202eesrever" in caplog.text
    assert re.search("[\x1b\x07\u202e]", caplog.text) is None


def test_a_request_that_fails_is_told_in_one_printable_line(
    server: BenchServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def trip(_: bytes) -> None:
        raise RuntimeError("a bug\n\x1b[2J")

    monkeypatch.setattr(server.task, "build_record", trip)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        post(server, "report", REPORT)
    deadline = time.monotonic() + 20
    while not caplog.messages and time.monotonic() < deadline:
        time.sleep(0.02)
    assert caplog.messages == [r"a request failed: RuntimeError('a bug\n\x1b[2J')"]
