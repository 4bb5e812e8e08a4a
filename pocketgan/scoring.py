"""Folders of images become scores and verdicts, each in a process of its own.

What scores with `extractor="torch-fidelity"` loads PyTorch, and PyTorch loaded beside TensorFlow, which has just
trained a student in this process, ends it ("LLVM ERROR: inconsistency in registered CommandLine options"). The end of a
process also gives back the memory that the networks took.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eval.config import GateConfig, ScoreConfig
    from eval.gate.outcome import Outcome


_STDERR = 2
"""File descriptor of stderr: a notebook's `sys.stderr` has none."""


def score(config: ScoreConfig) -> dict[str, Any]:
    """Score a folder of generated images against real ones, as `compress eval score`.

    Args:
        config: The folders, all images of one size, and the feature network.

    Returns:
        JSON-ready: the kernel and Fréchet distance (`kid` and `fid` in Inception's features, else under the network's
        name), their 95 % `intervals`, `similarity` to the teacher's images where these were given, and the `key` of
        what all was measured against.

    Raises:
        UnusableData: If a folder is missing or too small, or an image broken or of the wrong size.
        UnusableModel: If the feature network's weights cannot be used.
        UsageError: If the packages that score are not installed.

    Example:
        >>> config = pocketgan.ScoreConfig(real=Path("photos/testB"), fake=Path("fakes"), network="efficientnet-lite0")
        >>> record = pocketgan.score(config)
        >>> record["kid_efficientnet_lite0"]["spread"] >= 0
        True
    """
    from compress.config import check_config
    from eval.config import ScoreConfig

    return _call_in_child("eval.scores", "score_folder", check_config(config, ScoreConfig))


def gate(config: GateConfig) -> Outcome:
    """Compare a candidate's images with a baseline's, as `compress eval gate`.

    Args:
        config: Candidate, baseline and data, the limits, and what an inconclusive verdict means.

    Returns:
        The outcome: `verdict` (pass, regression or inconclusive), `passed`, and `checks` with their intervals.

    Raises:
        UnusableData: If images cannot be used, or baseline and candidate were not measured alike.
        UnusableModel: If the feature network's weights cannot be used.
        UsageError: If a limit cannot be checked, or the packages that score are not installed.

    Example:
        >>> folders = {"candidate": Path("fakes"), "baseline": Path("fakes"), "data": Path("photos")}
        >>> config = pocketgan.GateConfig(**folders, network="efficientnet-lite0")
        >>> pocketgan.gate(config).verdict
        'pass'
    """
    from compress.config import check_config
    from eval.config import GateConfig

    return _call_in_child("eval.gate.stage", "run_gate", check_config(config, GateConfig))


def _call_in_child(module: str, function: str, config: Any) -> Any:
    """Call `function(config)` in a process that loads nothing else; its progress goes to stderr.

    A program that is started, not `multiprocessing`: that runs the caller's own script once more.
    """
    with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
        result = Path(scratch) / "result.pickle"
        command = [sys.executable, "-m", "pocketgan.child", module, function, str(result)]
        finished = subprocess.run(command, input=pickle.dumps(config), stdout=_STDERR, check=False)
        if not result.exists():
            raise RuntimeError(f"the process that runs {module}.{function} ended with {finished.returncode}.")
        error, value = pickle.loads(result.read_bytes())
    if error is not None:
        raise error
    return value
