"""The page's server: hands out a fixed set of files, takes outputs and reports, nothing else.

Protocol, all paths relative to the page:

- GET `task.json`, `models/N.tflite`, `inputs/N.bin`, the page's scripts and LiteRT.js
- POST `output/N`, a model's output as raw bytes: answered with its parity, JSON
- POST `report`, the measurements: answered with the finished record, JSON
- POST `error`, `{"model": N or null, "message": ..., "console": [...]}`
"""

import json
import sys
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from queue import Queue
from typing import Any, cast

from benchmarks.browser.task import MalformedReport, Task

LOCALHOST = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
LARGEST_POST_BYTES = 256 << 20
"""Largest body of a POST; an output of 4096 x 4096 pixels in float32 has 201 MB."""
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
}
_ISOLATION = {
    # Without these a browser grants no shared memory, so no threads, and a clock of 100 us instead of 5.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Another run may have the same port.
    "Cache-Control": "no-store",
}


class BenchServer(ThreadingHTTPServer):
    """Serves one task.

    Args:
        task: The models to time.
        files: Contents by path, `index.html` among them.
        host: Address to listen on; the port is a free one.
    """

    daemon_threads = True

    def __init__(self, task: Task, files: Mapping[str, bytes], *, host: str = LOCALHOST) -> None:
        super().__init__((host, 0), _Handler)
        self.task = task
        self.files = files
        self.arrived: Queue[tuple[str, dict[str, Any]]] = Queue()
        """Queue of `("record", the finished record)` and `("error", the page's error)`."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a browser that went away in the middle of a connection, as an ended one does."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].lstrip("/") or "index.html"
        content = self._bench.files.get(path)
        if content is None:
            self._answer(HTTPStatus.NOT_FOUND, b"", "text/plain")
        else:
            suffix = PurePosixPath(path).suffix
            self._answer(HTTPStatus.OK, content, _TYPES.get(suffix, "application/octet-stream"))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST_POST_BYTES:
            self.close_connection = True
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"", "text/plain")
            return
        body = self.rfile.read(int(length))
        try:
            answer = self._take(self.path.strip("/").split("/"), body)
        except MalformedReport as error:
            self._answer(HTTPStatus.BAD_REQUEST, str(error).encode(), "text/plain; charset=utf-8")
        else:
            self._answer(HTTPStatus.OK, json.dumps(answer).encode(), _TYPES[".json"])

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the page shows the progress."""

    @property
    def _bench(self) -> BenchServer:
        return cast(BenchServer, self.server)

    def _take(self, path: list[str], body: bytes) -> dict[str, Any]:
        match path:
            case ["output", index] if index.isdecimal():
                return dict(self._bench.task.compare(int(index), body))
            case ["report"]:
                record = self._bench.task.build_record(_read_object(body))
                self._bench.arrived.put(("record", record))
                return record
            case ["error"]:
                self._bench.arrived.put(("error", _read_object(body)))
                return {}
        raise MalformedReport(f"nothing is taken at {self.path}")

    def _answer(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in (_ISOLATION | {"Content-Type": kind, "Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise MalformedReport(f"no JSON: {error}") from error
    if not isinstance(found, dict):
        raise MalformedReport("no JSON object")
    return found
