"""`compress lens serve`: a page, or a student whose page is made for the while, opened to browsers of this machine."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compress.errors import UsageError
from export.web.config import WebConfig
from export.web.server import opened
from export.web.stage import INDEX, export_web

_log = logging.getLogger(__name__)


def serve_page(source: Path, config: WebConfig | None, *, port: int) -> None:
    """Serve a page until the process is interrupted; nothing is opened, and nobody else is asked for anything.

    Args:
        source: A page's folder, or a student as `export_web` takes it.
        config: How a student's page is made; None where nothing was asked for.
        port: Port of 127.0.0.1; 0 for a free one.

    Raises:
        UsageError: If the port cannot be had, or something is asked for of a page that is made already.
        UnusableInput: If the folder is no page, or the student cannot be used.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"port = {port}, expected 0 to 65535.")
    with _page_of(source, config) as folder, opened(folder, port) as server:
        _log.info("open %s in a browser of this machine; Ctrl-C ends this", server.address)
        server.serve_forever()


@contextmanager
def _page_of(source: Path, config: WebConfig | None) -> Iterator[Path]:
    if (source / INDEX).is_file():
        if config is not None:
            raise UsageError(f"{source} is a page already; the flags of one to make say nothing. Leave them out.")
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
        page = Path(scratch) / "page"
        export_web(source, config or WebConfig(), page)
        yield page
