"""The history of KID: resuming, what counts as progress, what is said about it, and the curve."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from compress import images
from compress.errors import UnusableArtifact
from compress.teach.convergence import KidCheck, KidHistory, plot_history
from compress.training.kid import Kid

INCEPTION = {"metric": "kid", "network": "inception"}
LITE0 = {"metric": "kid_efficientnet_lite0", "network": "efficientnet-lite0"}


def _kid(mean: float | None, spread: float = 0.1) -> Kid | None:
    return None if mean is None else Kid(mean=mean, spread=spread, **INCEPTION)


def _history(
    a2b: Sequence[float | None], b2a: Sequence[float | None] | None = None, *, control: float | None = None
) -> KidHistory:
    """One check every 10 steps; B->A does what A->B does where it is not given. Spreads are 0.1."""
    history = KidHistory(control=KidCheck(0, _kid(control), _kid(control)) if control is not None else None)
    for number, (one, other) in enumerate(zip(a2b, b2a or a2b, strict=True), start=1):
        history = history.with_check(KidCheck(10 * number, _kid(one), _kid(other)))
    return history


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_kid_that_is_no_number_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Kid(mean=wrong, spread=0.1, **INCEPTION)
    with pytest.raises(ValueError, match="finite"):
        Kid(mean=0.1, spread=wrong, **INCEPTION)


def test_a_history_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    history = _history([3.0, None, -0.1], [2.0, 1 / 3, None], control=4.0)
    history.write(tmp_path / "kid.json")
    history.write(tmp_path / "kid.json")
    assert KidHistory.read(tmp_path / "kid.json") == history
    assert [path.name for path in tmp_path.iterdir()] == ["kid.json"]


def test_without_a_file_the_history_is_empty(tmp_path: Path) -> None:
    assert KidHistory.read(tmp_path / "kid.json") == KidHistory()


@pytest.mark.parametrize("content", ["", "[]", '{"checks": []}', '{"checks": [{"step": 1}], "control": null}', "{"])
def test_a_file_that_is_no_history_is_refused_by_name(content: str, tmp_path: Path) -> None:
    (tmp_path / "kid.json").write_text(content)
    with pytest.raises(UnusableArtifact, match=r"kid\.json cannot be read"):
        KidHistory.read(tmp_path / "kid.json")


def test_a_nan_on_disk_is_refused(tmp_path: Path) -> None:
    _history([3.0]).write(tmp_path / "kid.json")
    text = (tmp_path / "kid.json").read_text().replace("3.0", "NaN", 1)
    (tmp_path / "kid.json").write_text(text)
    with pytest.raises(UnusableArtifact, match="finite"):
        KidHistory.read(tmp_path / "kid.json")


def test_the_file_is_json_that_other_programs_read(tmp_path: Path) -> None:
    _history([3.0, None]).write(tmp_path / "kid.json")
    record = json.loads((tmp_path / "kid.json").read_text(), parse_constant=pytest.fail)
    assert [check["step"] for check in record["checks"]] == [10, 20]
    assert record["checks"][0]["a2b"] == {"mean": 3.0, "spread": 0.1, **INCEPTION}
    assert record["checks"][1]["a2b"] is None


@pytest.mark.parametrize("checkpoint", [0, 10, 15, 20, 30])
def test_a_run_that_was_killed_ends_with_the_history_of_one_that_was_not(checkpoint: int, tmp_path: Path) -> None:
    whole = _history([5.0, 4.0, 3.0, 3.5], control=6.0)
    _history([5.0, 4.0, 3.0], control=6.0).write(tmp_path / "kid.json")
    resumed = KidHistory.read(tmp_path / "kid.json").up_to(checkpoint)
    assert all(check.step <= checkpoint for check in resumed.checks)
    for check in whole.checks:
        if check.step > checkpoint:
            resumed = resumed.with_check(check)
    assert resumed == whole


def test_a_repeated_check_takes_the_place_of_the_old_one_and_of_all_later_ones() -> None:
    history = _history([5.0, 4.0, 3.0])
    again = history.with_check(KidCheck(20, _kid(4.5), _kid(4.5)))
    assert again == _history([5.0, 4.5])
    assert history == _history([5.0, 4.0, 3.0])


def test_the_best_check_is_the_earlier_of_equals_and_each_direction_has_its_own() -> None:
    history = _history([5.0, 3.0, 3.0, 4.0], [2.0, 3.0, 1.0, 4.0])
    best_a2b, best_b2a = history.best("a2b"), history.best("b2a")
    assert best_a2b is not None
    assert (best_a2b.step, best_a2b.kid) == (20, _kid(3.0))
    assert best_b2a is not None
    assert best_b2a.step == 30


def test_only_a_newest_check_below_all_others_improves() -> None:
    assert _history([5.0]).has_improved("a2b")
    assert _history([5.0, 4.99]).has_improved("a2b")
    assert not _history([5.0, 5.0]).has_improved("a2b")
    assert not _history([5.0, 6.0]).has_improved("a2b")
    assert not _history([5.0, 4.0, None]).has_improved("a2b")
    assert not KidHistory().has_improved("a2b")


def test_failed_checks_are_never_the_best_and_do_not_hide_it() -> None:
    history = _history([None, 4.0, None])
    best = history.best("a2b")
    assert best is not None
    assert best.step == 20
    assert _history([None, None]).best("a2b") is None
    assert KidHistory().best("a2b") is None


@pytest.mark.parametrize(
    ("means", "stalled"),
    [
        ([], False),
        ([5.0], False),
        # As many checks as the patience: nothing earlier to compare with.
        ([5.0, 5.0], False),
        ([5.0, 5.0, 5.0], True),
        # The spread is 0.1: an improvement by less is noise, by more is progress, wherever among the last two it is.
        ([5.0, 4.95, 4.91], True),
        ([5.0, 5.2, 4.89], False),
        ([5.0, 4.89, 5.2], False),
        # Three of 0.06 add up, though none alone is more than noise.
        ([5.0, 4.94, 4.88], False),
        # An old improvement has been used up.
        ([5.0, 1.0, 1.0, 1.0], True),
        # What was best counts, not what came last before.
        ([1.0, 5.0, 4.0, 3.0], True),
        ([5.0, 6.0, 7.0], True),
    ],
)
def test_training_has_stalled_when_the_last_two_checks_bring_no_more_than_noise(
    means: list[float], stalled: bool
) -> None:
    assert _history(means).has_stalled(2) is stalled


def test_exactly_the_spread_is_still_noise() -> None:
    history = KidHistory()
    # Powers of two, so that no rounding decides.
    for step, mean in enumerate([0.5, 0.375]):
        history = history.with_check(KidCheck(step, _kid(mean, 0.125), _kid(mean, 0.125)))
    assert history.has_stalled(1)


def test_the_noise_is_that_of_the_best_earlier_check() -> None:
    history = KidHistory(
        tuple(
            KidCheck(step, _kid(mean, spread), None) for step, (mean, spread) in enumerate([(5, 9), (4, 0.1), (3.8, 9)])
        )
    )
    assert not history.has_stalled(1, "a2b")


def test_both_directions_must_have_stalled() -> None:
    history = _history([5.0, 5.0, 5.0], [5.0, 4.0, 3.0])
    assert history.has_stalled(2, "a2b")
    assert not history.has_stalled(2, "b2a")
    assert not history.has_stalled(2)


def test_failed_measurements_neither_end_a_training_nor_keep_it_going() -> None:
    assert not _history([5.0, None, None, None]).has_stalled(2)
    assert _history([5.0, None, 5.0, None, 5.0]).has_stalled(2)
    assert not _history([None, None, None]).has_stalled(2)


@pytest.mark.parametrize("patience", [0, -1])
def test_a_patience_below_one_check_is_refused(patience: int) -> None:
    with pytest.raises(ValueError, match=f"patience = {patience}"):
        _history([5.0]).has_stalled(patience)


@pytest.mark.parametrize(("progress", "share_stalled"), [(0.0, (0.9, 1.0)), (1.0, (0.0, 0.0))])
def test_noise_about_a_level_is_standing_still_and_noise_about_a_slope_is_not(
    progress: float, share_stalled: tuple[float, float]
) -> None:
    # In spreads: two checks differ by 0.7 from noise. At patience 5, a simulation of 300 such runs called 98 % of the
    # moments on a level stalled, and none where each check brings one spread.
    means = 50 - progress * np.arange(40) + np.random.default_rng(0).normal(0, 0.5, 40)
    history, stalled = KidHistory(), []
    for step, mean in enumerate(means):
        history = history.with_check(KidCheck(step, _kid(mean, 1.0), _kid(mean, 1.0)))
        stalled.append(history.has_stalled(5))
    assert share_stalled[0] <= np.mean(stalled[5:]) <= share_stalled[1]
    assert not any(stalled[:5])


def test_the_first_check_chooses_the_network_and_others_are_refused() -> None:
    assert KidHistory().network == "auto"
    assert _history([None]).network == "auto"
    assert _history([5.0]).network == "inception"
    assert KidHistory(control=KidCheck(0, None, Kid(mean=1.0, spread=0.1, **LITE0))).network == "efficientnet-lite0"
    with pytest.raises(ValueError, match="efficientnet-lite0 features, not inception"):
        _history([5.0]).with_check(KidCheck(20, None, Kid(mean=1.0, spread=0.1, **LITE0)))


def test_the_verdict_says_where_it_was_best_and_that_it_has_converged() -> None:
    assert _history([0.5, 0.2, 0.21, 0.2, 0.22], [0.5, 0.3, 0.2, 0.24, 0.21], control=0.6).verdict(2) == (
        "KID: A→B 0.2000 ± 0.1000 at step 20 (untouched 0.6000 ± 0.1000); "
        "B→A 0.2000 ± 0.1000 at step 30 (untouched 0.6000 ± 0.1000). "
        "Converged: no improvement beyond the noise in the last 2 checks"
    )


@pytest.mark.parametrize(
    ("history", "ending"),
    [
        (KidHistory(), "KID was not measured: nothing says whether training has converged"),
        (_history([None, None]), "KID was not measured: nothing says whether training has converged"),
        (_history([5.0]), "Too early to tell: 1 check of at least 3"),
        (_history([5.0, None, 4.0, 3.0], [None] * 4), "B→A not measured. Too early to tell: 0 checks of at least 3"),
        (_history([5.0, 4.0, 3.0]), "Not converged: A→B and B→A improved beyond the noise in the last 2 checks"),
        (
            _history([5.0, 5.0, 5.0], [5.0, 4.0, 3.0]),
            "Not converged: B→A improved beyond the noise in the last 2 checks",
        ),
        (_history([5.0] * 3, [5.0, 5.0, 7.0]), "in the last 2 checks, but B→A is worse now than at its best"),
        (_history([5.0] * 3, [2.0] * 3, control=5.05), "2 checks, but A→B is no better than the untouched inputs"),
    ],
)
def test_the_verdict_is_one_line_and_promises_nothing_that_was_not_seen(history: KidHistory, ending: str) -> None:
    verdict = history.verdict(2)
    assert verdict.endswith(ending)
    assert "\n" not in verdict


def test_without_inception_the_verdict_says_whose_features_they_are() -> None:
    verdict = KidHistory((KidCheck(1, Kid(mean=1.0, spread=0.1, **LITE0), None),)).verdict(2)
    assert verdict.startswith("KID in efficientnet-lite0 features: A→B 1.0000 ± 0.1000 at step 1; B→A not measured.")


@pytest.mark.parametrize(
    "history",
    [
        _history([0.5, None, 0.3], [0.4, 0.3, None], control=0.6),
        _history([0.5]),
        _history([None, 0.3], [None, None]),
        KidHistory(control=KidCheck(0, _kid(0.5), None)),
    ],
)
def test_the_curve_is_drawn_however_little_was_measured(history: KidHistory, tmp_path: Path) -> None:
    plot_history(history, tmp_path / "kid.png")
    drawn = images.read_image(tmp_path / "kid.png")
    assert drawn.shape == (675, 1200, 3)
    # A→B is drawn in blue, and every case here has something of it.
    assert (drawn[..., 2].astype(int) - drawn[..., 0] > 100).any()


def test_nothing_is_drawn_where_nothing_was_measured(tmp_path: Path) -> None:
    plot_history(_history([None]), tmp_path / "kid.png")
    assert list(tmp_path.iterdir()) == []
