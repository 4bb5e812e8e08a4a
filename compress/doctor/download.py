"""How much an installation downloads, from the sizes in uv.lock: told before it does.

Runs as `python3 -m compress.doctor.download EXTRA...` from a checkout with nothing installed but Python and pip, so it
imports nothing of this tool's and takes pip's own copy of `packaging` where there is no other. Without an extra it
tells of all of them and of the developers' packages, as `make sync` installs them.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

DISK_PER_DOWNLOAD, DISK_PER_DOWNLOAD_OF_SOME = 2.2, 3.3
"""Bytes on disk for each byte that is downloaded, packages unpacked and compiled to bytecode: of all, and of what
the demo needs, without the GPU libraries, which are packed less. Measured on Linux x86-64 with Python 3.11 (`du -s
.venv`): 8.7 GB of 3.9 GB, and 2.65 GB of 0.8 GB."""
_PROJECT, _DEVELOPERS = "pocketgan", "dev"
_Package = Mapping[str, Any]


def main() -> None:
    """Print one line on what an installation downloads; a line that it cannot be told, at worst."""
    root = Path(__file__).resolve().parents[2]
    if (root / ".venv/pyvenv.cfg").exists():
        print(f"{root / '.venv'} is there: what it lacks of uv.lock is downloaded, mostly nothing.")
        return
    try:
        extras = sys.argv[1:]
        count, size = measure_download((root / "uv.lock").read_text(encoding="utf-8"), extras)
    except Exception as error:
        # Python below 3.11 without tomllib, a pip without its packages: an installation goes on all the same.
        print(f"How much is downloaded cannot be told here ({error}): on Linux some 4 GB, 9 GB on disk.")
        return
    on_disk = size * (DISK_PER_DOWNLOAD_OF_SOME if extras else DISK_PER_DOWNLOAD)
    print(
        f"{count} packages, {size / 1e9:.1f} GB to download where uv's cache lacks them, about "
        f"{on_disk / 1e9:.1f} GB on disk in .venv; a run of the demo writes some 50 MB more."
    )


def measure_download(lock: str, extras: Sequence[str] = ()) -> tuple[int, int]:
    """Measure what the lock file makes this machine download.

    Args:
        lock: Content of uv.lock.
        extras: Extras of the project; none for all of them, and the developers' group.

    Returns:
        How many packages, and their bytes.
    """
    import tomllib

    packages: dict[str, list[_Package]] = {}
    for package in tomllib.loads(lock)["package"]:
        packages.setdefault(package["name"], []).append(package)
    (project,) = packages[_PROJECT]
    needed: dict[tuple[str, str], _Package] = {}
    taken: set[tuple[str, str, str]] = set()
    optional, groups = project.get("optional-dependencies", {}), project.get("dev-dependencies", {})
    waiting = [
        *project.get("dependencies", ()),
        *(one for extra in extras or optional for one in optional[extra]),
        *(() if extras else groups.get(_DEVELOPERS, ())),
    ]
    applies = _marker_check()
    while waiting:
        dependency = waiting.pop()
        if not applies(dependency.get("marker")):
            continue
        package = _find(packages[dependency["name"]], dependency, applies)
        place = (package["name"], package["version"])
        if place not in needed:
            needed[place] = package
            waiting += package.get("dependencies", ())
        for extra in dependency.get("extra", ()):
            if (*place, extra) not in taken:
                taken.add((*place, extra))
                waiting += package.get("optional-dependencies", {}).get(extra, ())
    return len(needed), sum(_download_bytes(package) for package in needed.values())


def _find(candidates: list[_Package], dependency: _Package, applies: Any) -> _Package:
    """Return the version of a package that a dependency means; the lock may hold several, by Python."""
    wanted = dependency.get("version")
    fitting = [one for one in candidates if wanted is None or one["version"] == wanted]
    here = [one for one in fitting if any(map(applies, one.get("resolution-markers", [None])))]
    return (here or fitting)[0]


def _download_bytes(package: _Package) -> int:
    """Return the size of the wheel for this machine, or of the source where there is none."""
    tags = _packaging("tags")
    ranks = {tag: rank for rank, tag in enumerate(tags.sys_tags())}
    fitting = [(rank, wheel["size"]) for wheel in package.get("wheels", ()) for rank in _ranks_of(wheel, ranks)]
    if fitting:
        return min(fitting)[1]
    return package.get("sdist", {}).get("size", 0)


def _ranks_of(wheel: Mapping[str, Any], ranks: Mapping[Any, int]) -> Iterator[int]:
    name = wheel["url"].rsplit("/", 1)[-1]
    *_, tags = _packaging("utils").parse_wheel_filename(name)
    yield from (ranks[tag] for tag in tags if tag in ranks)


def _marker_check() -> Any:
    markers = _packaging("markers")
    return lambda marker: marker is None or markers.Marker(marker).evaluate({"extra": ""})


def _packaging(module: str) -> Any:
    """Import a module of `packaging`, or pip's copy of it."""
    # Not by name: `tests/test_architecture.py` keeps dynamic imports out.
    try:
        from packaging import markers, tags, utils
    except ImportError:
        from pip._vendor.packaging import markers, tags, utils  # pyright: ignore[reportMissingImports]
    return {"markers": markers, "tags": tags, "utils": utils}[module]


if __name__ == "__main__":
    sys.exit(main())
