"""Outcome of a gate: the verdict, its checks, and the images to look at."""

from dataclasses import dataclass
from typing import Any

from compress.config import to_mapping
from compress.errors import GateFailed
from eval.config import GateConfig
from eval.gate.checks import Unchecked
from eval.gate.collector import WorstImage
from eval.gate.format import format_sentence
from eval.gate.measurement import Measurement
from eval.gate.verdict import LimitCheck, Verdict, combine_verdicts

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A finished gate."""

    config: GateConfig
    candidate: Measurement
    checks: tuple[LimitCheck, ...]
    unchecked: tuple[Unchecked, ...]
    worst: tuple[WorstImage, ...]
    """Images of lowest PSNR, the lowest first; empty where there are none to compare the candidate's with."""
    equals_teacher: bool = False
    """Whether the candidate's images are the teacher's, so that no limit on quality is exceeded."""

    @property
    def verdict(self) -> Verdict:
        return combine_verdicts(check.verdict for check in self.checks)

    @property
    def passed(self) -> bool:
        return not self.failed_checks

    @property
    def failed_checks(self) -> list[LimitCheck]:
        """Regressions and, where the configuration says so, inconclusive checks."""
        fatal = {"regression", "inconclusive"} if self.config.inconclusive == "fail" else {"regression"}
        return [check for check in self.checks if check.verdict in fatal]

    def to_mapping(self) -> dict[str, Any]:
        """Return the outcome JSON-ready, with the `key` of the candidate and the `config`."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "passed": self.passed,
            "checks": [check.to_mapping() for check in self.checks],
            "not_checked": [unchecked.to_mapping() for unchecked in self.unchecked],
            "equals_teacher": self.equals_teacher,
            "worst": [{"stem": image.stem, "psnr_db": image.psnr_db} for image in self.worst],
            "key": dict(self.candidate.key),
            "config": to_mapping(self.config),
        }

    def raise_if_failed(self) -> None:
        """End the command with the gate's own exit code.

        Raises:
            GateFailed: If a check failed, naming what got worse, by how much, and what was allowed.
        """
        if not self.passed:
            raise GateFailed("\n".join(format_sentence(check) for check in self.failed_checks))
