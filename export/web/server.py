"""`compress lens serve`: a page's folder, handed out to browsers of this machine alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTP_PORT
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from compress.errors import UnusableArtifact, UsageError
from export.web.stage import INDEX

LOOPBACK = "127.0.0.1"
_SILENCE_LIMIT_S = 30
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".jpg": "image/jpeg",
}
_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Of what a page may do itself, its own policy says more; only a header can say who may frame it.
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    # Another page may have the same port.
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class PageServer(ThreadingHTTPServer):
    """Serves the files of a folder at 127.0.0.1, none from outside it, to requests made to that address.

    Args:
        folder: A page's folder.
        port: Port to listen on; 0 for a free one.
    """

    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.folder = folder.resolve()
        names = (LOOPBACK, "localhost")
        self.hosts = {f"{name}:{self.server_port}" for name in names}
        if self.server_port == HTTP_PORT:
            # Browsers leave the usual port out.
            self.hosts.update(names)

    @property
    def address(self) -> str:
        """The page's address."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    def find(self, path: str) -> Path | None:
        """Return the file that a request's path names; None where that is none of the page's."""
        name = unquote(urlsplit(path).path).lstrip("/") or INDEX
        if "\0" in name or any(part.startswith(".") for part in PurePosixPath(name).parts):
            return None
        try:
            # A link out of the folder is followed, and then refused.
            found = (self.folder / name).resolve()
            return found if found.is_relative_to(self.folder) and found.is_file() else None
        except (OSError, RuntimeError):  # a name that is too long; a link that leads to itself
            return None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "PocketGAN", ""
    timeout = _SILENCE_LIMIT_S

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: what a page loads is of no interest."""

    def _answer(self, *, with_content: bool) -> None:
        server = cast(PageServer, self.server)
        # Whoever lets a name of theirs point to this machine has a page in the same browser that could read the answer.
        if self.headers.get("Host", "").lower() not in server.hosts:
            self._send(HTTPStatus.FORBIDDEN, b"", "text/plain")
            return
        found = server.find(self.path)
        if found is None:
            self._send(HTTPStatus.NOT_FOUND, b"", "text/plain")
            return
        content = found.read_bytes()
        kind = _TYPES.get(found.suffix, "application/octet-stream")
        self._send(HTTPStatus.OK, content, kind, with_content=with_content)

    def _send(self, status: HTTPStatus, content: bytes, kind: str, *, with_content: bool = True) -> None:
        self.send_response(status)
        for name, value in (_HEADERS | {"Content-Type": kind, "Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if with_content:
            self.wfile.write(content)


@contextmanager
def opened(folder: Path, port: int) -> Iterator[PageServer]:
    """Open a page's server; `serve_forever` of it serves.

    Raises:
        UnusableArtifact: If the folder holds no page.
        UsageError: If the port is taken or not allowed.
    """
    if not (folder / INDEX).is_file():
        raise UnusableArtifact(f"{folder} holds no {INDEX}; expected a page that `compress export web` wrote.")
    try:
        server = PageServer(folder, port)
    except OSError as error:
        raise UsageError(f"port {port} of {LOOPBACK} cannot be had: {error.strerror}. Pass another --port.") from error
    with server:
        yield server
