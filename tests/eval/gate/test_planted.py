"""Planted candidates: what people would call broken is a regression, what they would call equal is none.

The stage runs as in `compress eval gate`, with features of mean colours instead of a network's.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from compress.images import list_images, read_image, write_png
from eval.config import AcceptConfig, GateConfig
from eval.gate.baseline import write_baseline
from eval.gate.outcome import Outcome
from eval.gate.stage import accept_baseline, run_gate
from eval.gate.verdict import LimitCheck

Drawer = Callable[..., Path]
Flaw = Callable[[np.ndarray, np.random.Generator], np.ndarray]

pytestmark = pytest.mark.usefixtures("stub_scorer")

IMAGES, SIZE_PX = 100, 48


def recolour(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """The teacher."""
    return (255 * (image / 255) ** 0.7 * np.array([1.0, 0.9, 0.8])).round().astype(np.uint8)


def train(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A student of the teacher: another training is off elsewhere, in one picture more than in the next."""
    coarse = rng.normal(0.0, 25.0 * rng.uniform(0.6, 1.4), (6, 6, 3))
    error = np.asarray(
        [
            np.asarray(Image.fromarray(plane.astype(np.float32)).resize((SIZE_PX, SIZE_PX), Image.Resampling.BILINEAR))
            for plane in coarse.transpose(2, 0, 1)
        ]
    )
    return (recolour(image, rng) + error.transpose(1, 2, 0)).clip(0, 255).astype(np.uint8)


def blacken(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    return np.zeros_like(image)


def blind(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Black out two eyes, of 2 % of the picture together."""
    blinded = image.copy()
    for left in (12, 30):
        blinded[18:24, left : left + 5] = 0
    return blinded


def mirror(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    return image[:, ::-1]


def move(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    return np.pad(image, ((0, 0), (2, 0), (0, 0)), mode="edge")[:, :SIZE_PX]


def blur(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1.5)))


def keep(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    return image


def export_in_int8(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Coarser steps and a little noise, as a quantised export of the same student has them."""
    coarse = (image // 4) * 4 + 2 + rng.integers(-2, 3, image.shape)
    return coarse.clip(0, 255).astype(np.uint8)


def brighten(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    return (image.astype(np.int64) + 4).clip(0, 255).astype(np.uint8)


def write(source: Path, folder: Path, flaw: Flaw, *, flawed: int = IMAGES, seed: int = 0) -> Path:
    """Write a folder's images anew, some of them with a flaw."""
    folder.mkdir()
    chosen = set(np.random.default_rng(seed).permutation(IMAGES)[:flawed].tolist())
    for index, path in enumerate(list_images(source)):
        image = read_image(path)
        altered = flaw(image, np.random.default_rng([seed, index])) if index in chosen else image
        write_png(folder / path.name, altered)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, draw: Drawer) -> Path:
    """A data set, the `teacher`'s images of it, and a student's as `baseline`."""
    root = tmp_path_factory.mktemp("planted")
    draw(root / "testA", IMAGES, seed=1, size_px=SIZE_PX)
    write(draw(root / "others", IMAGES, seed=2, size_px=SIZE_PX), root / "testB", recolour)
    write(root / "testA", root / "teacher", recolour)
    write(root / "testA", root / "baseline", train, seed=1)
    return root


@pytest.fixture
def accepted(data: Path, tmp_path: Path) -> Callable[[bool], Path]:
    """`accepted(with_teacher)` is the baseline file."""

    def accept(with_teacher: bool) -> Path:
        teacher = data / "teacher" if with_teacher else None
        config = AcceptConfig(candidate=data / "baseline", data=data, teacher=teacher)
        write_baseline(accept_baseline(config), tmp_path / "baseline.json")
        return tmp_path / "baseline.json"

    return accept


def gate(data: Path, candidate: Path, *, baseline: Path | None = None, with_teacher: bool = True) -> Outcome:
    teacher = data / "teacher" if with_teacher else None
    config = GateConfig(candidate=candidate, baseline=baseline or data / "baseline", data=data, teacher=teacher)
    return run_gate(config)


def check_of(outcome: Outcome, name: str) -> LimitCheck:
    return next(check for check in outcome.checks if check.name == name)


@pytest.mark.parametrize("with_teacher", [True, False], ids=["teacher", "photos"])
@pytest.mark.parametrize(("flaw", "flawed"), [(blacken, 5), (blind, 10), (mirror, 5)])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_few_terrible_pictures_are_a_regression(
    data: Path, tmp_path: Path, flaw: Flaw, flawed: int, with_teacher: bool, seed: int
) -> None:
    candidate = write(data / "baseline", tmp_path / "new", flaw, flawed=flawed, seed=seed)
    outcome = gate(data, candidate, with_teacher=with_teacher)
    check = check_of(outcome, "max_worst_drop")
    assert (check.verdict, outcome.verdict) == ("regression", "regression")
    assert check.candidate > 2 * check.limit
    assert not outcome.passed


@pytest.mark.parametrize("with_teacher", [True, False], ids=["teacher", "photos"])
def test_baseline_file_finds_what_its_folder_finds(
    data: Path, tmp_path: Path, accepted: Callable[[bool], Path], with_teacher: bool
) -> None:
    candidate = write(data / "baseline", tmp_path / "new", blind, flawed=10)
    from_file = gate(data, candidate, baseline=accepted(with_teacher), with_teacher=with_teacher)
    assert from_file.checks == gate(data, candidate, with_teacher=with_teacher).checks
    assert check_of(from_file, "max_worst_drop").verdict == "regression"


@pytest.mark.parametrize("with_teacher", [True, False], ids=["teacher", "photos"])
@pytest.mark.parametrize("flaw", [keep, export_in_int8])
def test_another_export_of_the_same_student_passes(data: Path, tmp_path: Path, flaw: Flaw, with_teacher: bool) -> None:
    outcome = gate(data, write(data / "baseline", tmp_path / "new", flaw), with_teacher=with_teacher)
    # The distance of mean colours is too small for 5 % of it to mean anything.
    checks = [check for check in outcome.checks if check.name != "max_fid_increase"]
    assert {check.name: check.verdict for check in checks if check.verdict != "pass"} == {}
    assert outcome.passed
    assert not outcome.equals_teacher


@pytest.mark.parametrize("with_teacher", [True, False], ids=["teacher", "photos"])
def test_another_training_raises_no_alarm_of_its_worst_pictures(data: Path, tmp_path: Path, with_teacher: bool) -> None:
    for seed in (2, 3, 4):
        candidate = write(data / "testA", tmp_path / str(seed), train, seed=seed)
        check = check_of(gate(data, candidate, with_teacher=with_teacher), "max_worst_drop")
        assert check.verdict == "pass", (seed, check.candidate, check.limit)


@pytest.mark.parametrize("flaw", [mirror, move, blur])
@pytest.mark.parametrize("from_file", [True, False], ids=["file", "folder"])
def test_photos_tell_mirrored_moved_and_blurred_output_where_there_is_no_teacher(
    data: Path, tmp_path: Path, accepted: Callable[[bool], Path], flaw: Flaw, from_file: bool
) -> None:
    candidate = write(data / "baseline", tmp_path / "new", flaw)
    outcome = gate(data, candidate, baseline=accepted(False) if from_file else None, with_teacher=False)
    assert (check_of(outcome, "max_photo_ssim_drop").verdict, outcome.verdict) == ("regression", "regression")


def test_candidate_that_equals_the_teacher_is_never_a_regression(data: Path, tmp_path: Path) -> None:
    # A student that is nearer to the real images than its teacher, and of other colours and brightness.
    dull = write(data / "teacher", tmp_path / "dull", lambda image, rng: image // 3)
    old = write(data / "testB", tmp_path / "old", export_in_int8)
    for baseline in (dull, old):
        for flaw in (keep, lambda image, rng: image ^ (rng.random(image.shape) < 0.5)):
            candidate = write(data / "teacher", tmp_path / f"{baseline.name}-{flaw is keep}", flaw)
            outcome = gate(data, candidate, baseline=baseline)
            assert outcome.verdict == "pass", [check for check in outcome.checks if check.verdict != "pass"]
            assert outcome.equals_teacher
    fid = check_of(outcome, "max_fid_increase")
    assert fid.difference is not None
    assert fid.difference > fid.limit, "the distance rose, and the numbers still say so"


def test_candidate_that_is_only_like_the_teacher_is_held_to_every_limit(data: Path, tmp_path: Path) -> None:
    old = write(data / "testB", tmp_path / "old", brighten)
    outcome = gate(data, write(data / "teacher", tmp_path / "new", export_in_int8), baseline=old)
    assert not outcome.equals_teacher
    assert check_of(outcome, "max_fid_increase").verdict != "pass"
    spoilt = write(data / "teacher", tmp_path / "spoilt", blacken, flawed=1)
    assert not gate(data, spoilt).equals_teacher


def test_colours_are_measured_from_the_teacher(data: Path, tmp_path: Path) -> None:
    dark = write(data / "teacher", tmp_path / "dark", lambda image, rng: image - image // 8)
    better = write(data / "teacher", tmp_path / "better", lambda image, rng: image - image // 32)
    assert check_of(gate(data, better, baseline=dark), "max_colour_shift").verdict == "pass"
    assert check_of(gate(data, dark, baseline=better), "max_colour_shift").verdict == "regression"
    # Without a teacher nobody knows which of both is right.
    moved = gate(data, better, baseline=dark, with_teacher=False)
    assert check_of(moved, "max_colour_shift").verdict == "regression"


def test_cast_is_found_beside_what_single_pictures_are_off_by(data: Path, tmp_path: Path) -> None:
    candidate = write(data / "baseline", tmp_path / "new", brighten)
    check = check_of(gate(data, candidate), "max_colour_shift")
    assert check.verdict == "regression"
    assert check.metric.endswith("_cast")
