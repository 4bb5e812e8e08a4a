"""The page's server: hands out a fixed set of files, takes outputs and reports of its own page, nothing else.

Protocol, all paths relative to the page, whose address holds a token that is drawn at each start:

- GET `task.json`, `models/N.tflite`, `inputs/N.bin`, the page's scripts and LiteRT.js
- POST `output/N`, a model's output as raw bytes: answered with its parity, JSON
- POST `report`, the measurements: answered with the finished record, JSON
- POST `error`, `{"model": N or null, "message": ..., "console": [...]}`

Who does not know the token learns nothing. The page of another site is refused even if it does: a request has to be
made to an address, not to a name that somebody made point here, and come from this page.
"""

import hmac
import ipaddress
import json
import logging
import secrets
import socket
import sys
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from queue import Full, Queue
from typing import Any, Protocol, cast

from benchmarks.browser.posted import LARGEST_POST_BYTES, MalformedReport, PostedError, parse_posted
from compress.printable import printable_name

LOCALHOST = "127.0.0.1"
MOST_CONNECTIONS = 32
"""Most connections at once; a browser opens six. Further ones are closed."""
SILENCE_LIMIT_S, HEADER_LIMIT_S, REQUEST_LIMIT_S = 30, 30, 300
"""Seconds that a connection may be silent, that a request's head may take, and all of it: a large model by radio."""
_MOST_WAITING = 32
_MOST_DIGITS = 12
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
}
_HEADERS = {
    # Without these a browser grants no shared memory, so no threads, and a clock of 100 us instead of 5.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Another run may have the same port.
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_log = logging.getLogger(__name__)


class Refused(Exception):
    """Raised for a request that is answered with a status alone."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class PageTask(Protocol):
    """What a page is served for: it takes outputs, and makes a record of the page's report."""

    def output_bytes(self, index: int) -> int:
        """Return the number of bytes of a model's output."""
        ...

    def compare(self, index: int, output: bytes) -> Mapping[str, Any]:
        """Take an output; return what the page is told of it."""
        ...

    def build_record(self, content: bytes) -> dict[str, Any]:
        """Turn a report into the record of the run."""
        ...

    def name_of(self, index: int | None) -> str | None:
        """Return a model's name; None where `index` is no model's."""
        ...


class BenchServer(ThreadingHTTPServer):
    """Serves one task.

    Args:
        task: The models to time.
        files: Contents by path, `index.html` among them.
        host: Address to listen on; the port is a free one.
    """

    daemon_threads = True

    def __init__(self, task: PageTask, files: Mapping[str, bytes], *, host: str = LOCALHOST) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), _Handler)
        self.task = task
        self.files = files
        self.host = host
        self.token = secrets.token_urlsafe(12)
        self.arrived: Queue[tuple[str, Any]] = Queue(_MOST_WAITING)
        """Queue of `("record", the finished record)` and `("error", the page's `PostedError`)`."""
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def page_address(self, host: str | None = None) -> str:
        """Return the page's address, for a browser that reaches this machine as `host`."""
        host = host or self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}/{self.token}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection on a thread of its own, if there are not too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of an error in one line, unless a browser went away in the middle of a connection."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            _log.warning("a request failed: %s", printable_name(repr(error)))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "PocketGAN", ""
    timeout = SILENCE_LIMIT_S
    _alarm: threading.Timer | None = None

    def handle_one_request(self) -> None:
        """Handle a request within its time."""
        self._set_alarm(HEADER_LIMIT_S)
        try:
            super().handle_one_request()
        finally:
            self._set_alarm(None)

    def parse_request(self) -> bool:
        """Read a request's head; the rest has more time."""
        is_whole = super().parse_request()
        self._set_alarm(REQUEST_LIMIT_S)
        return is_whole

    def do_GET(self) -> None:
        try:
            path = self._own_path() or "index.html"
            content = self._bench.files.get(path)
            if content is None:
                raise Refused(HTTPStatus.NOT_FOUND)
        except Refused as refused:
            self._refuse(refused.status)
        else:
            self._answer(HTTPStatus.OK, content, _TYPES.get(PurePosixPath(path).suffix, "application/octet-stream"))

    def do_POST(self) -> None:
        try:
            answer = self._take(self._own_path().split("/"))
        except Refused as refused:
            self._refuse(refused.status)
        except MalformedReport as error:
            self.close_connection = True
            self._answer(HTTPStatus.BAD_REQUEST, str(error).encode(), "text/plain; charset=utf-8")
        else:
            self._answer(HTTPStatus.OK, json.dumps(answer).encode(), _TYPES[".json"])

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the page shows the progress."""

    @property
    def _bench(self) -> BenchServer:
        return cast(BenchServer, self.server)

    def _set_alarm(self, seconds: float | None) -> None:
        """End the connection after some seconds, instead of after what was set before; None ends nothing."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if seconds is not None:
            self._alarm = threading.Timer(seconds, self._hang_up)
            self._alarm.daemon = True
            self._alarm.start()

    def _hang_up(self) -> None:
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            # It is gone already.
            return

    def _own_path(self) -> str:
        """Return the path behind the token.

        Raises:
            Refused: If the request does not come from this page, or its address.
        """
        token, _, path = self.path.partition("?")[0].lstrip("/").partition("/")
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self._bench.token.encode()):
            raise Refused(HTTPStatus.NOT_FOUND)
        host = self.headers.get("Host", "")
        if not _is_address(host, self._bench.host) or self.headers.get("Origin", f"http://{host}") != f"http://{host}":
            raise Refused(HTTPStatus.FORBIDDEN)
        return path

    def _take(self, path: list[str]) -> dict[str, Any]:
        match path:
            case ["output", index] if index.isascii() and index.isdecimal() and len(index) <= _MOST_DIGITS:
                number = int(index)
                return dict(self._bench.task.compare(number, self._body(self._bench.task.output_bytes(number))))
            case ["report"]:
                record = self._bench.task.build_record(self._body(LARGEST_POST_BYTES))
                self._pass_on("record", record)
                return record
            case ["error"]:
                self._pass_on("error", parse_posted(self._body(LARGEST_POST_BYTES), PostedError)[0])
                return {}
        raise MalformedReport("nothing is taken there")

    def _body(self, most: int) -> bytes:
        """Read a request's body.

        Raises:
            Refused: If it is longer than `most` bytes, or does not say how long it is.
        """
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal() and len(length) <= _MOST_DIGITS) or int(length) > most:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return self.rfile.read(int(length))

    def _pass_on(self, kind: str, content: Any) -> None:
        try:
            self._bench.arrived.put_nowait((kind, content))
        except Full:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE) from None

    def _refuse(self, status: HTTPStatus) -> None:
        # A body that was not read would be taken for the next request.
        self.close_connection = True
        self._answer(status, b"", "text/plain")

    def _answer(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in (_HEADERS | {"Content-Type": kind, "Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _is_address(host: str, own: str) -> bool:
    """Check whether a request's `Host` is a number, `localhost` or the name that is served at.

    Whoever lets a name of theirs point to this machine has a page in the same browser that may read what is answered.
    """
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    name = name.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.lower() in {"localhost", own.lower()}
    return True
