"""The page's server: this machine's browsers get the page's files, and nobody gets anything else."""

import http.client
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from compress.errors import UnusableArtifact, UsageError
from export.graph.operations import Graph
from export.web.config import WebConfig
from export.web.serve import serve_page
from export.web.server import PageServer, opened

LIMIT_S = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like a page's, with a secret beside it and links to it."""
    page = tmp_path / "page"
    (page / "litert").mkdir(parents=True)
    (page / "index.html").write_text("<p>page</p>")
    (page / "litert/a.wasm").write_bytes(b"\0asm")
    (page / "app.js").write_text("1")
    (page / ".pocketgan").write_text("{}")
    (tmp_path / "secret.txt").write_text("secret")
    (page / "link.txt").symlink_to(tmp_path / "secret.txt")
    (page / "itself").symlink_to(page / "itself")
    return page


@pytest.fixture
def server(folder: Path) -> Iterator[PageServer]:
    with opened(folder, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def ask(
    server: PageServer, path: str, *, method: str = "GET", host: str | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Return an answer's status, headers and body."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=LIMIT_S)) as connection:
        connection.request(method, path, headers={} if host is None else {"Host": host})
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html?x=1", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/litert/a.wasm", "application/wasm"),
    ],
)
def test_files_come_with_the_type_that_browsers_ask_for(server: PageServer, path: str, kind: str) -> None:
    status, headers, body = ask(server, path)
    assert (status, headers["Content-Type"]) == (200, kind)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert body


@pytest.mark.parametrize(
    "path",
    [
        *("/../secret.txt", "/%2e%2e/secret.txt", "/litert/..%2f../secret.txt", "/link.txt", "/.pocketgan"),
        *("/missing", "//etc/passwd", "/a%00b", "/litert", "/litert/"),
        *("/" + "a" * 300, "/" + "a/" * 3000, "/itself"),
    ],
)
def test_nothing_else_is_found(server: PageServer, path: str) -> None:
    status, _, body = ask(server, path)
    assert (status, body) == (404, b"")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "192.0.2.1", ""])
def test_a_name_that_somebody_let_point_here_is_refused(server: PageServer, host: str) -> None:
    assert ask(server, "/", host=host)[0] == 403
    assert ask(server, "/", host=f"localhost:{server.server_port}")[0] == 200


@pytest.mark.parametrize(("port", "status"), [(80, 200), (8000, 403)])
def test_the_port_that_browsers_leave_out_may_be_left_out(
    folder: Path, port: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind = PageServer.server_bind

    def bind_as_if_at_port(server: PageServer) -> None:
        bind(server)
        server.server_port = port

    monkeypatch.setattr(PageServer, "server_bind", bind_as_if_at_port)
    with opened(folder, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.server_port = server.server_address[1]
        assert [ask(server, "/", host=host)[0] for host in ("127.0.0.1", "localhost")] == [status, status]
        server.shutdown()


def test_it_hands_out_and_takes_nothing(server: PageServer) -> None:
    status, headers, body = ask(server, "/app.js", method="HEAD")
    assert (status, headers["Content-Length"], body) == (200, "1", b"")
    assert ask(server, "/app.js", method="POST")[0] == 501


def test_it_listens_on_this_machine_alone(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.address == f"http://127.0.0.1:{server.server_port}/"


def test_a_port_that_is_taken_says_what_to_do(server: PageServer, folder: Path) -> None:
    with pytest.raises(UsageError, match=rf"port {server.server_port} of 127\.0\.0\.1 cannot be had: .*--port"):
        serve_page(folder, None, port=server.server_port)


def test_what_is_no_page_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnusableArtifact, match=r"holds no index\.html; expected a page"), opened(tmp_path, 0):
        pass
    with pytest.raises(UsageError, match="is a page already"):
        serve_page(folder, WebConfig(region="whole"), port=0)
    with pytest.raises(UsageError, match="port = 70000, expected 0 to 65535"):
        serve_page(folder, None, port=70000)


def test_a_students_page_is_made_for_the_while(
    no_library: None, write_student: Callable[..., Path], two_layers: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Path] = []

    def interrupt(server: PageServer) -> None:
        served.append(server.folder)
        assert (server.folder / "index.html").is_file()
        raise KeyboardInterrupt

    monkeypatch.setattr(PageServer, "serve_forever", interrupt)
    with pytest.raises(KeyboardInterrupt):
        serve_page(write_student(two_layers), WebConfig(region="whole"), port=0)
    assert [folder.exists() for folder in served] == [False]


def test_the_command_serves_until_ctrl_c_and_ends_well(folder: Path) -> None:
    line = [sys.executable, "-P", "-c", _HEEDING_CTRL_C, "lens", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stderr is not None
            found = None
            while found is None and (said := child.stderr.readline()):
                found = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
            assert found is not None
            with closing(http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=LIMIT_S)) as connection:
                connection.request("GET", "/")
                assert connection.getresponse().read() == b"<p>page</p>"
            child.send_signal(signal.SIGINT)
            stdout, stderr = child.communicate(timeout=LIMIT_S)
        finally:
            child.kill()
    assert (child.returncode, stdout, stderr) == (0, "", "")


# Where a shell runs the tests in the background, Ctrl-C is ignored and children inherit that.
_HEEDING_CTRL_C = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("compress", run_name="__main__", alter_sys=True)
"""
