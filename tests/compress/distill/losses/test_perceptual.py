"""Distances of features, against NumPy."""

import numpy as np
import pytest

from compress.distill import losses

Pair = tuple[np.ndarray, np.ndarray]


def test_feature_difference_matches_numpy(features: Pair) -> None:
    student, teacher = features
    assert float(losses.feature_loss(student, teacher)) == pytest.approx(np.abs(student - teacher).mean())
    assert float(losses.feature_loss(student, student + 2)) == pytest.approx(2, abs=1e-5)


def test_hint_difference_matches_numpy(features: Pair) -> None:
    student, teacher = features
    expected = ((student - teacher) ** 2).mean()
    assert float(losses.hint_loss(student, teacher)) == pytest.approx(expected, rel=1e-5)


def test_gram_difference_matches_numpy(features: Pair) -> None:
    grams = [np.einsum("nhwc,nhwd->ncd", one.astype(np.float64), one) / (5 * 4 * 6) for one in features]
    assert float(losses.gram_loss(*features)) == pytest.approx(np.abs(grams[0] - grams[1]).mean(), rel=1e-4)


def test_gram_difference_of_constant_features_is_known() -> None:
    ones = np.ones((2, 5, 4, 8), np.float32)
    # Every product is 1, summed over 20 places, divided by 20 times 8.
    assert float(losses.gram_loss(ones, 0 * ones)) == pytest.approx(1 / 8)


def test_gram_difference_does_not_mind_where_a_texture_lies(features: Pair) -> None:
    student, _ = features
    assert float(losses.gram_loss(student, student[:, ::-1, ::-1])) == pytest.approx(0, abs=1e-6)


def test_normalized_difference_is_a_share_of_the_teachers_features(features: Pair) -> None:
    student, teacher = features
    expected = np.abs(student - teacher).mean() / np.abs(teacher).mean()
    assert float(losses.normalized_feature_loss(student, teacher)) == pytest.approx(expected, rel=1e-4)
    # A tap of large activations counts as one of small ones.
    assert float(losses.normalized_feature_loss(100 * student, 100 * teacher)) == pytest.approx(expected, rel=1e-4)


def test_difference_of_statistics_matches_numpy(features: Pair) -> None:
    student, teacher = features
    means = np.abs(student.mean((1, 2)) - teacher.mean((1, 2))).mean()
    deviations = np.abs(student.std((1, 2)) - teacher.std((1, 2))).mean()
    expected = (means + deviations) / teacher.std((1, 2)).mean()
    assert float(losses.statistics_loss(student, teacher)) == pytest.approx(expected, rel=1e-4)
    assert float(losses.statistics_loss(100 * student, 100 * teacher)) == pytest.approx(expected, rel=1e-4)


def test_statistics_do_not_mind_where_a_texture_lies(features: Pair) -> None:
    student, teacher = features
    mirrored = float(losses.statistics_loss(student[:, ::-1, ::-1], teacher))
    assert mirrored == pytest.approx(float(losses.statistics_loss(student, teacher)), rel=1e-5)
    # They are those of each image: in another order, images are not alike.
    assert float(losses.statistics_loss(student[::-1], student)) > 0.1
