"""The FID Inception's weights: in the cache that torch-fidelity uses, or fetched into it."""

import hashlib
import logging
import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from compress.artifact import file_fingerprint
from compress.console.progress import progress
from compress.errors import UnusableModel
from compress.files.atomic import replace_bytes
from eval.features.weights import INCEPTION_URL, WEIGHTS_SHA256, inception_path

CONNECTION_TIMEOUT_S = 10.0
RETRY_AFTER_S = 3600.0
"""How long `auto` does without weights that could not be fetched: a run scores several folders, each a process."""

_BLOCK_BYTES = 1 << 18
_MOST_BYTES = 128 << 20
"""The file has 96 MB."""
_log = logging.getLogger(__name__)


def failed_s_ago() -> float | None:
    """Return how long ago fetching the weights failed, seconds; None where it may be tried."""
    if inception_path().is_file():
        return None
    try:
        ago = time.time() - _marker().stat().st_mtime
    except OSError:
        return None
    return ago if 0 <= ago < RETRY_AFTER_S else None


def find_or_fetch_inception() -> Path:
    """Return torch-fidelity's own weights file, from torch's cache or fetched into it.

    Raises:
        UnusableModel: If it is not there and cannot be fetched; that is noted beside it, for `failed_s_ago`.
    """
    path, digest = inception_path(), WEIGHTS_SHA256["inception"]
    if not path.is_file() or file_fingerprint(path) != digest:
        _log.info("fetching the FID Inception network's weights (96 MB, once)")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_bytes(path, _download(INCEPTION_URL, digest))
        except (OSError, HTTPException, ValueError) as error:
            with suppress(OSError):
                _marker().touch()
            raise UnusableModel(
                f"the FID Inception network's weights cannot be fetched ({error}); "
                f"pass --inception-weights with a copy of {path.name}, or --network efficientnet-lite0."
            ) from error
    return path


def _marker() -> Path:
    return inception_path().with_suffix(".unreachable")


def _download(url: str, sha256: str) -> bytes:
    """Return what lies at an address.

    Raises:
        OSError, HTTPException: If it cannot be reached or breaks off.
        ValueError: If it is something else.
    """
    # The timeout is for a network that swallows packets.
    with urlopen(url, timeout=CONNECTION_TIMEOUT_S) as answer:
        total = int(answer.headers.get("Content-Length", 0)) or None
        content = bytearray()
        with progress(name="weights", unit="byte", total=total, stays=False, scaled=True) as shown:
            while block := answer.read(_BLOCK_BYTES):
                content += block
                shown.update(len(block))
                if len(content) > _MOST_BYTES:
                    raise ValueError(f"{url} gives more than {_MOST_BYTES >> 20} MiB")
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise ValueError(f"{url} gives a file whose SHA-256 is {found}, expected {sha256}")
    return bytes(content)
