"""LiteRT.js from the npm registry: fetched once, checked against a hash, served out of its own archives.

It is 39 MB of WebAssembly, so it is not part of this package. Any npm client fetches it by name.
"""

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from compress.artifact import user_cache
from compress.errors import UsageError
from compress.files.atomic import replace_bytes

FETCH_LIMIT_S = 300
VERSION = "2.5.3"


@dataclass(frozen=True)
class Package:
    """An npm package at one version, with the SHA-512 of its archive as the registry states it."""

    name: str
    integrity: str
    version: str = VERSION

    @property
    def archive_name(self) -> str:
        """File name that `npm pack` gives the archive."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


PACKAGES = (
    Package(
        "@litertjs/core",
        "sha512-PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
    ),
    Package(
        "@litertjs/wasm-utils",
        "sha512-4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
    ),
)
"""Apache-2.0, both. The first imports the second by its bare name, which the page's import map resolves."""


def load_library(cache: Path | None = None) -> dict[str, bytes]:
    """Read LiteRT.js's scripts and WebAssembly from the cache, which is filled from the npm registry if need be.

    Args:
        cache: Folder of the archives; the user's own cache when None.

    Returns:
        Contents by path, such as `@litertjs/core/dist/index.js`.

    Raises:
        UsageError: If there is no npm, it fetches nothing, or the fetched archive is not the pinned one.
    """
    folder = cache or user_cache() / "litertjs"
    members: dict[str, bytes] = {}
    for package in PACKAGES:
        members |= _read_archive(package, load_archive(package, folder))
    return members


def load_archive(package: Package, folder: Path) -> bytes:
    """Read a package's archive from a folder, into which it is fetched from the npm registry if need be.

    Raises:
        UsageError: See `load_library`.
    """
    path = folder / package.archive_name
    if path.is_file() and _integrity(content := path.read_bytes()) == package.integrity:
        return content
    content = _fetch(package, folder)
    replace_bytes(path, content)
    return content


def _fetch(package: Package, folder: Path) -> bytes:
    wanted = f"{package.name}@{package.version}"
    otherwise = f"or put {package.archive_name}, packed on a machine that reaches the npm registry, into {folder}."
    npm = shutil.which("npm")
    if npm is None:
        raise UsageError(
            f"running a model in a browser needs {wanted}, and no npm is on PATH to fetch it. Install npm,\n{otherwise}"
        )
    with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
        command = [npm, "pack", wanted, "--ignore-scripts", "--pack-destination", scratch]
        try:
            # Where it runs, npm looks for settings of a project; there are none in a new folder.
            child = subprocess.run(
                command, capture_output=True, text=True, timeout=FETCH_LIMIT_S, check=False, cwd=scratch
            )
        except subprocess.TimeoutExpired as error:
            raise UsageError(f"npm did not fetch {wanted} within {FETCH_LIMIT_S} s. Try again,\n{otherwise}") from error
        archive = Path(scratch) / package.archive_name
        if child.returncode != 0 or not archive.is_file():
            complaint = child.stderr.strip() or "nothing"
            raise UsageError(
                f"`npm pack {wanted}` failed. Connect to the npm registry,\n{otherwise}\nnpm said: {complaint}"
            )
        content = archive.read_bytes()
    if (found := _integrity(content)) != package.integrity:
        raise UsageError(
            f"npm fetched a {wanted} of {found}, expected {package.integrity}. Use the public registry "
            f"(npm config get registry), {otherwise}"
        )
    return content


def _integrity(content: bytes) -> str:
    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"


def _read_archive(package: Package, content: bytes) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith((".js", ".wasm")):
                stream = archive.extractfile(member)
                found[f"{package.name}/{member.name.removeprefix('package/')}"] = stream.read() if stream else b""
    return found
