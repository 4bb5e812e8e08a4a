"""A load test finds the costs that its measurements were made of, and tells scores that differ."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fleet import load, table
from benchmarks.fleet.config import LoadConfig
from benchmarks.fleet.load import Scoring
from benchmarks.fleet.model import ScoringCosts, SweepCosts
from compress.errors import UsageError

COSTS = ScoringCosts(
    start_s=5.0,
    open_s=2.0,
    image_s=0.01,
    dispatch_s=0.001,
    merge_image_s=1e-5,
    statistics_image_s=1e-4,
    statistics_pair_s=1e-8,
)


def _scoring(images: int, workers: int | None) -> Scoring:
    """What a machine of those costs would measure; a Ray of it takes 3 seconds to start, the command 2 more."""
    statistics = COSTS.statistics_image_s * images + COSTS.statistics_pair_s * images**2
    features = 2 * images * COSTS.image_s / (workers or 1) + (COSTS.open_s if workers else 0.0)
    parts = {"features": features, "statistics": statistics}
    if workers:
        parts |= {"start": 3.0, "merge": 2 * images * COSTS.merge_image_s}
    return Scoring(images=images, workers=workers, seconds=sum(parts.values()) + 2.0, parts=parts)


@pytest.mark.parametrize("workers", [(1, 2), (2, 4)])
def test_costs_are_found_again(workers: tuple[int, ...]):
    scorings = [_scoring(images, way) for images in (1000, 4000) for way in (None, *workers)]
    found = load.find_costs(scorings, start_s=3.0, dispatch_s=0.001)
    for name, value in vars(COSTS).items():
        assert getattr(found, name) == pytest.approx(value), name


def test_statistics_that_grow_slower_than_the_images_have_no_square():
    scorings = [_scoring(images, way) for images in (1000, 4000) for way in (None, 1)]
    flat = [replace(one, parts=one.parts | {"statistics": 1.0}) for one in scorings]
    found = load.find_costs(flat, start_s=3.0, dispatch_s=0.001)
    assert (found.statistics_image_s, found.statistics_pair_s) == (pytest.approx(1 / 4000), 0.0)


def test_scores_that_differ_end_the_test(monkeypatch: pytest.MonkeyPatch):
    def score(folders: Any, workers: int | None) -> dict[str, Any]:
        return {"seconds": 1.0, "parts": {"features": 1.0}, "score": {"kid": 0.1 if workers is None else 0.2}}

    monkeypatch.setattr(load, "_score", score)
    with pytest.raises(RuntimeError, match="200 images have 2 scores"):
        load._measure_count((Path("real"), Path("fake")), 200, LoadConfig())


def test_images_of_noise_are_unlike_each_other(tmp_path: Path):
    load._write_noise(tmp_path / "real", 3, seed=0)
    load._write_noise(tmp_path / "fake", 3, seed=1)
    real, fake = load._first(tmp_path, 2)
    contents = [path.read_bytes() for folder in (real, fake) for path in sorted(folder.iterdir())]
    assert len(contents) == len(set(contents)) == 4


def test_the_tables_show_the_ratio_and_what_takes_longest():
    scorings = [_scoring(images, way) for images in (1000, 4000) for way in (None, 2)]
    lines = table.format_load(scorings).splitlines()
    assert lines[1].split()[:3] == ["1,000", "one", "process"]
    assert "1.00x" in lines[1]
    assert f"{scorings[1].seconds / scorings[0].seconds:.2f}x" in lines[2]
    model = table.format_model(COSTS, SweepCosts(start_s=3.0, trial_s=600.0, driver_s=0.5), cores=2)
    assert [line.split()[0] for line in model.splitlines()[1:]] == ["1,000", "1,000,000", "100,000,000", "10", "1,000"]
    assert "(statistics)" in model.splitlines()[3]
    assert "(work)" in model.splitlines()[-1]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5.4, "5 s"), (119, "119 s"), (120, "2 min"), (9000, "2 h"), (4e5, "5 days"), (1e8, "3 years")],
)
def test_durations_are_read_at_a_glance(seconds: float, text: str):
    assert table.format_duration(seconds) == text


@pytest.mark.parametrize("values", [{"images": (1000,)}, {"images": (1000, 50)}, {"workers": ()}, {"workers": (0,)}])
def test_too_little_to_learn_from_is_refused(values: dict[str, Any]):
    with pytest.raises(UsageError, match=f"{next(iter(values))} = "):
        LoadConfig(**values)
