"""Extras: what each lets you do, and how to install one that is missing."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import metadata

from compress.console.installing import PROJECT, find_checkout, install_command
from compress.doctor.findings import Finding

PURPOSES: Mapping[str, str] = {
    "android": "time models on Android phones (compress bench android)",
    "coreml": "write Core ML packages (compress export coreml)",
    "fleet": "train and score on many processes or machines (compress sweep; --workers, --cluster)",
    "onnx": "write ONNX files (compress export onnx)",
    "score": "score images (compress eval score, gate; the scores of compress run and compress demo)",
    "torch": "score by torch-fidelity's own code, to compare with (--extractor torch-fidelity)",
    "train": "train with a perceptual network (the default losses of compress distill and compress run)",
    "video": "translate films (compress lens video)",
}
"""What each extra of the project lets you do."""
_WHEELS_FOR = {"coreml": ("darwin", "linux/x86_64")}
"""Machines that an extra's packages have wheels for, where not for all."""


def check_extras(machine: str) -> Iterator[Finding]:
    """Check that the packages of each extra are installed.

    Args:
        machine: `sys.platform`, and after a slash the processor.
    """
    for extra, purpose in PURPOSES.items():
        packages = list(_packages_of(extra))
        missing = [name for name in packages if _version(name) is None]
        if not missing:
            found = ", ".join(f"{name} {_version(name)}" for name in packages)
            yield Finding(topic="extras", name=extra, status="ok", found=found, means=purpose)
            continue
        wheels = _WHEELS_FOR.get(extra)
        if wheels and not machine.startswith(wheels):
            means = f"needed to {purpose}; there are no wheels for {machine}, only for {' and '.join(wheels)}"
        else:
            means = f"needed to {purpose}: {install_command(extra)}"
        yield Finding(topic="extras", name=extra, status="missing", found=f"without {', '.join(missing)}", means=means)


def _packages_of(extra: str) -> Iterator[str]:
    """Yield the names of the packages that an extra asks for, whatever machine they are for.

    A checkout's own file is asked where there is one: what is installed of it may be of an earlier state.
    """
    checkout = find_checkout()
    if checkout is not None:
        project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        requirements = project["optional-dependencies"][extra]
    else:
        marker = re.compile(rf"extra\s*==\s*['\"]{extra}['\"]")
        requirements = [one for one in metadata.requires(PROJECT) or () if marker.search(one)]
    for requirement in requirements:
        yield re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
