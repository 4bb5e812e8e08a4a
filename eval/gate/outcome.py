"""What a gate found: the verdict, what it rests on, and which images to look at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.config import to_mapping
from compress.errors import GateFailed
from eval.config import GateConfig
from eval.gate import format
from eval.gate.checks import Unchecked
from eval.gate.measurement import Measurement
from eval.gate.verdict import Check, Verdict, overall
from eval.similarity import pair_by_stem

SCHEMA = 1
WORST_IMAGES = 5


@dataclass(frozen=True, kw_only=True)
class Case:
    """One image of the candidate beside what it should be like."""

    stem: str
    psnr_db: float
    """To the reference."""
    input: Path
    reference: Path
    """The teacher's image or, without a teacher, the baseline's."""
    candidate: Path


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A finished gate."""

    config: GateConfig
    candidate: Measurement
    checks: tuple[Check, ...]
    unchecked: tuple[Unchecked, ...]
    worst: tuple[Case, ...]
    """The lowest PSNR first; empty where the gate has no images to compare the candidate's with."""

    @property
    def verdict(self) -> Verdict:
        return overall(check.verdict for check in self.checks)

    @property
    def passed(self) -> bool:
        return not self.failed_checks

    @property
    def failed_checks(self) -> list[Check]:
        """The regressions and, where the configuration says so, what cannot be told."""
        fatal = {"regression", "inconclusive"} if self.config.inconclusive == "fail" else {"regression"}
        return [check for check in self.checks if check.verdict in fatal]

    def to_mapping(self) -> dict[str, Any]:
        """JSON-ready: `verdict`, `passed`, `checks`, `not_checked`, `worst`, and what was measured how."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "passed": self.passed,
            "checks": [check.to_mapping() for check in self.checks],
            "not_checked": [unchecked.to_mapping() for unchecked in self.unchecked],
            "worst": [{"stem": case.stem, "psnr_db": case.psnr_db} for case in self.worst],
            "key": dict(self.candidate.key),
            "config": to_mapping(self.config),
        }

    def raise_if_failed(self) -> None:
        """End the command with the gate's own exit code.

        Raises:
            GateFailed: Naming what got worse, by how much, and what was allowed.
        """
        if not self.passed:
            raise GateFailed("\n".join(format.sentence(check) for check in self.failed_checks))


def worst_cases(decibels: np.ndarray, inputs: Path, reference: Path, candidate: Path) -> tuple[Case, ...]:
    """Choose the images of lowest PSNR.

    Args:
        decibels: `(images,)`, the candidate's to the reference's, in the order of sorted stems.
        inputs: Folder of what was translated.
        reference: Folder of the teacher's or the baseline's images.
        candidate: Folder of the candidate's.
    """
    before, after = pair_by_stem(candidate, inputs), pair_by_stem(candidate, reference)
    stems = sorted(before)
    return tuple(
        Case(
            stem=stems[index],
            psnr_db=float(decibels[index]),
            input=before[stems[index]][1],
            reference=after[stems[index]][1],
            candidate=before[stems[index]][0],
        )
        for index in np.argsort(decibels, kind="stable")[:WORST_IMAGES]
    )
