"""The two sides of the game, against NumPy and at known scores."""

import numpy as np
import pytest

from compress.distill import losses
from compress.distill.losses import adversarial


def test_both_kinds_match_numpy() -> None:
    random = np.random.default_rng(0)
    real, made = (random.normal(0, 1.5, (2, 4, 4, 1)).astype(np.float32) for _ in range(2))
    expected = {
        "lsgan": (((made - 1) ** 2).mean(), (((real - 1) ** 2).mean() + (made**2).mean()) / 2),
        "hinge": (-made.mean(), (np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + made).mean()) / 2),
    }
    for kind, (fooled, judged) in expected.items():
        assert float(losses.generator_loss(made, kind=kind)) == pytest.approx(fooled, abs=1e-5)
        assert float(losses.discriminator_loss(real, made, kind=kind)) == pytest.approx(judged, abs=1e-5)


@pytest.mark.parametrize(("kind", "made"), [("lsgan", 0.0), ("hinge", -1.0)])
def test_a_perfect_discriminator_has_no_loss(kind: losses.AdversarialLoss, made: float) -> None:
    scores = np.ones((2, 3, 3, 1), np.float32)
    assert float(losses.discriminator_loss(scores, made * scores, kind=kind)) == 0


@pytest.mark.parametrize(("kind", "score"), [("lsgan", 0.5), ("hinge", 0.0)])
def test_a_discriminator_that_cannot_tell_has_the_loss_of_an_undecided_one(
    kind: losses.AdversarialLoss, score: float
) -> None:
    scores = np.full((2, 3, 3, 1), score, np.float32)
    assert float(losses.discriminator_loss(scores, scores, kind=kind)) == adversarial.UNDECIDED_LOSS[kind]
