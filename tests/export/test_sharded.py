"""Pictures by workers: byte for byte those of one process; here without Ray, whose tests are in
`tests/compress/fleet/cluster`.
"""

import logging
import pickle
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from keras import layers

from compress.artifact import is_artifact
from compress.errors import UnusableData, UsageError
from compress.fleet.config import ALONE, FleetConfig
from export import sharded
from export.config import TranslateConfig
from export.translate import translate

WORKERS = FleetConfig(workers=2)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Do shards of three in this process, through pickle as Ray sends them; how many photos each held."""
    shards_done: list[int] = []

    def map_here(_: Any, function: Any, shards: Sequence[Sequence[Any]], *, name: str) -> Iterator[Any]:
        for shard in shards:
            shards_done.append(len(shard))
            task, items = pickle.loads(pickle.dumps((function, shard)))
            yield pickle.loads(pickle.dumps(task(items)))

    monkeypatch.setattr(sharded, "map_shards", map_here)
    monkeypatch.setattr(sharded, "workers_started", lambda _: nullcontext())
    monkeypatch.setattr(sharded, "require_fleet", lambda _: None)
    monkeypatch.setattr(sharded.translate_on_workers, "__kwdefaults__", {"shard_images": 3})
    return shards_done


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def test_pictures_are_those_of_one_process(small_student, as_artifact, photo_folder: Path, tmp_path: Path, done):
    model = as_artifact(small_student, trained_with="efficientnet-lite2.keras")
    assert is_artifact(model)
    alone = translate(model, photo_folder, tmp_path / "alone", TranslateConfig())
    shared = translate(model, photo_folder, tmp_path / "shared", TranslateConfig(), fleet=WORKERS)
    assert shared == alone | {"out": str(tmp_path / "shared")}
    assert done == [3, 3, 2]
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")


def test_what_keras_alone_runs_is_shared_too(chain, as_artifact, photo_folder: Path, tmp_path: Path, done):
    model = as_artifact(chain([layers.Conv2D(4, 3, padding="same"), layers.PReLU(), layers.Conv2D(3, 1)], (32, 32, 3)))
    for name, fleet in (("alone", ALONE), ("shared", WORKERS)):
        translate(model, photo_folder, tmp_path / name, TranslateConfig(), fleet=fleet)
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")


def test_broken_photos_are_named_counted_and_refused_as_by_one_process(
    small_student, as_artifact, photo_folder: Path, tmp_path: Path, done, caplog: pytest.LogCaptureFixture
):
    model, photos = as_artifact(small_student), tmp_path / "in"
    photos.mkdir()
    for name, content in contents(photo_folder).items():
        (photos / name).write_bytes(content)

    def spoil(name: str) -> None:
        (photos / name).write_bytes((photos / name).read_bytes()[:40])

    def run_both(**options: Any) -> list[Any]:
        found = []
        for name, fleet in (("alone", ALONE), ("shared", WORKERS)):
            caplog.clear()
            out = tmp_path / name
            try:
                result = translate(model, photos, out, TranslateConfig(), fleet=fleet, **options) | {"out": ""}
            except UnusableData as error:
                result = str(error)
            found.append((result, [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]))
        return found

    spoil("photo1.png")
    alone, shared = run_both()
    assert alone == shared
    assert (shared[0]["images"], shared[0]["skipped"]) == (7, 1)
    assert "photo1.png" in shared[1][0]
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")
    spoil("photo4.png")
    spoil("photo7.png")
    alone, shared = run_both(overwrite=True)
    assert alone == shared
    assert "3 of 8 images cannot be read" in shared[0]
    # What was there before is left.
    assert len(list((tmp_path / "shared").glob("*.png"))) == 7


def test_remote_photos_become_remote_pictures(small_student, as_artifact, photo_folder: Path, tmp_path: Path, done):
    storage = pytest.importorskip("fsspec").filesystem("memory")
    model = as_artifact(small_student, trained_with="efficientnet-lite2.keras")
    translate(model, photo_folder, tmp_path / "alone", TranslateConfig())
    bucket = Path("memory://pictures")
    try:
        for name, content in contents(photo_folder).items():
            storage.pipe_file(f"/pictures/in/{name}", content)
        result = translate(model, bucket / "in", bucket / "out", TranslateConfig(), fleet=WORKERS)
        assert (result["out"], result["images"]) == ("memory://pictures/out", 8)
        written = {name.rpartition("/")[2]: storage.cat(name) for name in storage.ls("/pictures/out", detail=False)}
        assert written == contents(tmp_path / "alone")
        for overwrite in (False, True):
            with pytest.raises(UsageError, match=r"memory://pictures/out is not empty"):
                translate(model, bucket / "in", bucket / "out", TranslateConfig(), fleet=WORKERS, overwrite=overwrite)
        translate(model, bucket / "in", tmp_path / "here", TranslateConfig(), fleet=WORKERS)
        assert contents(tmp_path / "here") == contents(tmp_path / "alone")
    finally:
        storage.rm("/pictures", recursive=True)


@pytest.mark.parametrize(("images", "out"), [("s3://b/in", "out"), ("{photos}", "s3://b/out")])
def test_remote_places_need_workers(small_student, as_artifact, photo_folder, tmp_path, images: str, out: str):
    with pytest.raises((UsageError, UnusableData), match=r"s3://b/(in|out) is no place of this machine.*--workers"):
        translate(
            as_artifact(small_student), Path(images.format(photos=photo_folder)), Path(out), TranslateConfig()
        )  # fmt: skip


def test_a_missing_extra_is_named_before_the_model_is_opened(photo_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("compress.fleet.cluster.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"^--workers needs more packages \(ray, optuna, fsspec\)"):
        translate(tmp_path / "no model", photo_folder, tmp_path / "out", TranslateConfig(), fleet=WORKERS)
