"""The history of a distillation: which point is kept, what counts as progress, and that it comes back from disk."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from compress.distill.watch.history import History, Point, describe_point
from compress.errors import UnusableArtifact
from compress.training.kid import Kid

LITE0 = {"metric": "kid_efficientnet_lite0", "network": "efficientnet-lite0"}


def _kid(mean: float | None, spread: float = 0.1) -> Kid | None:
    return None if mean is None else Kid(mean=mean, spread=spread, **LITE0)


def _history(means: Sequence[float | None]) -> History:
    """One point every 10 steps, of growing PSNR; spreads are 0.1."""
    history = History(kid_to="real", teacher_kid=_kid(0.2))
    for number, mean in enumerate(means, start=1):
        point = Point(step=10 * number, held_back_psnr_db=20.0 + number, weights="averaged", kid=_kid(mean))
        history = history.with_point(point)
    return history


@pytest.mark.parametrize(
    ("means", "chosen"),
    [
        ([3.0, 2.0, 1.0], 30),
        # A later one counts unless it is worse than the noise.
        ([1.0, 0.5, 0.59], 30),
        ([1.0, 0.5, 0.61], 20),
        ([1.0, 0.5, 0.7, 0.55, 0.9], 40),
        # Slow steps down within the noise cannot hide how far the lowest is below the first.
        ([0.5, 0.45, 0.38, 0.47], 40),
        ([0.5, 0.45, 0.38, 0.49], 30),
        # What was not measured is passed over, unless nothing was.
        ([0.5, None], 10),
        ([None, 0.9, None], 20),
        ([None, None], 20),
    ],
)
def test_the_last_point_within_the_noise_of_the_lowest_kid_is_chosen(means: list[float | None], chosen: int) -> None:
    point = _history(means).chosen
    assert point is not None
    assert point.step == chosen


def test_a_new_point_is_chosen_or_leaves_the_choice_as_it_was() -> None:
    means = [0.9, 0.5, 0.58, None, 0.61, 0.45, 0.56, 0.54, 0.7, 0.46]
    history = _history([])
    for number in range(1, len(means) + 1):
        before, history = history.chosen, _history(means[:number])
        assert history.chosen in (before, history.points[-1])


def test_of_an_empty_history_nothing_is_chosen() -> None:
    assert History().chosen is None
    assert History().best is None
    assert History().network == "auto"


def test_a_choice_is_explained() -> None:
    assert (
        _history([3.0, 2.0]).explain_choice()
        == "the lowest KID in efficientnet-lite0 features 2.0000 ± 0.1000 at step 20"
    )
    later = _history([3.0, 2.0, 2.05]).explain_choice()
    assert later.endswith("2.0000 ± 0.1000 at step 20: here 2.0500 ± 0.1000")
    assert _history([None]).explain_choice() == "the last step, since KID was not measured"


def test_a_point_is_described_with_the_teachers_kid_beside() -> None:
    history = _history([3.0, None])
    first, second = (describe_point(point, history.teacher_kid) for point in history.points)
    assert first == (
        "step 10: held-back PSNR 21.00 dB (averaged weights), KID in efficientnet-lite0 features 3.0000 ± 0.1000 "
        "(teacher 0.2000 ± 0.1000)"
    )
    assert second == "step 20: held-back PSNR 22.00 dB (averaged weights)"


def test_only_kids_since_the_last_change_of_the_training_tell_whether_it_stalls() -> None:
    history = _history([0.1, 0.1, 0.1, 0.5, 0.3, 0.2])
    assert history.has_stalled(2)
    assert not history.has_stalled(2, from_step=30)
    assert not _history([0.1, None, None]).has_stalled(1)


def test_a_history_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    history = _history([3.0, None, -0.1])
    history.write(tmp_path / "training.json")
    history.write(tmp_path / "training.json")
    assert History.read(tmp_path / "training.json") == history
    assert [path.name for path in tmp_path.iterdir()] == ["training.json"]
    assert History.read(tmp_path / "nowhere.json") == History()
    record = json.loads((tmp_path / "training.json").read_text())
    assert record["history"][0] == {
        "step": 10,
        "held_back_psnr_db": 21.0,
        "weights": "averaged",
        "kid": {"mean": 3.0, "spread": 0.1, **LITE0},
    }
    assert record["history"][1]["kid"] is None
    assert record["kid_to"] == "real"


@pytest.mark.parametrize(
    "content", ["", "[]", '{"history": []}', '{"history": [{"step": 1}], "kid_to": null, "teacher_kid": null}']
)
def test_a_file_that_is_no_history_is_refused_by_name(content: str, tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text(content)
    with pytest.raises(UnusableArtifact, match=r"training\.json cannot be read"):
        History.read(tmp_path / "training.json")


@pytest.mark.parametrize("checkpoint", [0, 10, 15, 20, 30])
def test_a_run_that_was_killed_ends_with_the_history_of_one_that_was_not(checkpoint: int) -> None:
    whole = _history([5.0, 4.0, 3.0, 3.5])
    resumed = _history([5.0, 4.0, 3.0]).up_to(checkpoint)
    for point in whole.points:
        if point.step > checkpoint:
            resumed = resumed.with_point(point)
    assert resumed == whole
    assert whole.with_point(whole.points[1]) == whole.up_to(20)
