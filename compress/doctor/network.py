"""The network: whether the places that packages and weights come from can be reached."""

import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from http.client import HTTPException

from compress.doctor.findings import Finding

TIMEOUT_S = 5.0


def places() -> dict[str, tuple[str, str]]:
    """Return, by name, what is fetched from where, and what for."""
    registry = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple/"
    return {
        "package registry": (registry, "uv sync and pip install"),
        "GitHub": ("https://github.com/", "the FID Inception network's weights, without which there is no FID"),
        "npm registry": ("https://registry.npmjs.org/", "LiteRT.js, for compress export web and bench browser"),
    }


def check_network(asked: Mapping[str, tuple[str, str]]) -> Iterator[Finding]:
    """Check that each place answers, whatever it says."""
    for name, (url, purpose) in asked.items():
        problem = _ask(url)
        host = url.split("/")[2].rpartition("@")[2]
        yield Finding(
            topic="network",
            name=name,
            status="missing" if problem else "ok",
            found=f"{host}: {problem or 'answers'}",
            means=f"for {purpose}" if not problem else f"needed for {purpose}; what is installed works without",
        )


def _ask(url: str) -> str:
    """Return why a place does not answer; nothing where it does."""
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):
            return ""
    except urllib.error.HTTPError:
        # An answer, if only that this page is not for us.
        return ""
    except (OSError, HTTPException, ValueError) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__
