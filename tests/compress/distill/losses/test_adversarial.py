"""The two sides of the game, against NumPy and at known scores."""

import numpy as np
import pytest

from compress.distill import losses
from compress.distill.config import AdversarialLoss
from compress.distill.losses import adversarial


def test_both_kinds_match_numpy() -> None:
    random = np.random.default_rng(0)
    real, fake = (random.normal(0, 1.5, (2, 4, 4, 1)).astype(np.float32) for _ in range(2))
    expected = {
        "lsgan": (((fake - 1) ** 2).mean(), (((real - 1) ** 2).mean() + (fake**2).mean()) / 2),
        "hinge": (-fake.mean(), (np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()) / 2),
    }
    for kind, (student_loss, discriminator_loss) in expected.items():
        assert float(losses.generator_loss(fake, kind=kind)) == pytest.approx(student_loss, abs=1e-5)
        assert float(losses.discriminator_loss(real, fake, kind=kind)) == pytest.approx(discriminator_loss, abs=1e-5)


@pytest.mark.parametrize(("kind", "fake"), [("lsgan", 0.0), ("hinge", -1.0)])
def test_a_perfect_discriminator_has_no_loss(kind: AdversarialLoss, fake: float) -> None:
    scores = np.ones((2, 3, 3, 1), np.float32)
    assert float(losses.discriminator_loss(scores, fake * scores, kind=kind)) == 0


@pytest.mark.parametrize(("kind", "score"), [("lsgan", 0.5), ("hinge", 0.0)])
def test_a_discriminator_that_cannot_tell_has_the_loss_of_an_undecided_one(kind: AdversarialLoss, score: float) -> None:
    scores = np.full((2, 3, 3, 1), score, np.float32)
    assert float(losses.discriminator_loss(scores, scores, kind=kind)) == adversarial.UNDECIDED_LOSS[kind]
