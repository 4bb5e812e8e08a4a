"""A training's folder: nobody else's, and no trap after a kill at the very end."""

from pathlib import Path

import pytest

from compress.errors import UsageError
from compress.files.training_folder import (
    make_training_folder,
    refuse_existing_output,
    run_training,
    training_folder,
)


class _Trainings:
    """Trainings that count how often they ran."""

    def __init__(self) -> None:
        self.trained = 0

    def run(self, out: Path, identity: str = "run", *, overwrite: bool = False) -> None:
        run_training(out, identity, self._train, self._write, overwrite=overwrite)

    def _train(self, work: Path) -> str:
        make_training_folder(work)
        self.trained += 1
        return "weights"

    @staticmethod
    def _write(scratch: Path, trained: str) -> None:
        (scratch / "model").write_text(trained)


def test_a_training_leaves_its_output_alone(tmp_path: Path) -> None:
    _Trainings().run(tmp_path / "student")
    assert [path.name for path in tmp_path.iterdir()] == ["student"]
    assert (tmp_path / "student" / "model").read_text() == "weights"


@pytest.mark.parametrize("what", ["folder", "file"])
def test_something_else_at_its_place_is_named_and_left(tmp_path: Path, what: str) -> None:
    place = tmp_path / "faces.training"
    if what == "folder":
        place.mkdir()
        (place / "1.jpg").write_bytes(b"face")
    else:
        place.write_bytes(b"notes")
    trainings = _Trainings()
    with pytest.raises(UsageError, match=r"faces\.training.*holds something else"):
        trainings.run(tmp_path / "faces")
    assert trainings.trained == 0
    assert place.exists()
    assert not (tmp_path / "faces").exists()


def test_a_folder_at_its_place_that_somebody_has_only_looked_at_is_taken(tmp_path: Path) -> None:
    (tmp_path / "faces.training").mkdir()
    (tmp_path / "faces.training" / ".DS_Store").touch()
    trainings = _Trainings()
    trainings.run(tmp_path / "faces")
    assert trainings.trained == 1


def test_a_run_that_was_killed_after_its_output_was_in_place_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, trainings = tmp_path / "student", _Trainings()
    _kill_before_the_end(monkeypatch, trainings, out)
    assert out.is_dir()
    assert training_folder(out).is_dir()
    (out / ".DS_Store").touch()
    refuse_existing_output(out, overwrite=False)
    trainings.run(out)
    assert trainings.trained == 1
    assert list(tmp_path.iterdir()) == [out]
    with pytest.raises(UsageError, match="exists already"):
        refuse_existing_output(out, overwrite=False)


def test_another_run_at_the_place_of_such_a_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, trainings = tmp_path / "student", _Trainings()
    _kill_before_the_end(monkeypatch, trainings, out)
    with pytest.raises(UsageError, match="exists already"):
        trainings.run(out, "another")
    assert trainings.trained == 1


def test_an_output_that_was_changed_since_is_not_taken_for_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, trainings = tmp_path / "student", _Trainings()
    _kill_before_the_end(monkeypatch, trainings, out)
    (out / "model").write_text("torn")
    with pytest.raises(UsageError, match="exists already"):
        trainings.run(out)
    trainings.run(out, overwrite=True)
    assert (out / "model").read_text() == "weights"


def _kill_before_the_end(monkeypatch: pytest.MonkeyPatch, trainings: _Trainings, out: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("compress.files.training_folder._remove", kill)
        with pytest.raises(Killed):
            trainings.run(out)
