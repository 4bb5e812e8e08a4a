"""Scores by workers: to the last bit those of one process, whatever the shards; here without Ray, whose tests are in
`tests/compress/fleet/cluster`.
"""

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.errors import UnusableData, UsageError
from compress.fleet.config import FleetConfig
from eval import sharded
from eval.config import ScoreConfig
from eval.features.weights import find_weights
from eval.image_work import IN_PROCESS
from eval.scores import score_folder

Drawer = Callable[..., Path]
WORKERS = FleetConfig(workers=2)

pytestmark = pytest.mark.skipif(None in find_weights().values(), reason="the extra `score` is not installed")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, draw: Drawer) -> Path:
    root = tmp_path_factory.mktemp("folders")
    draw(root / "real", 7, seed=1)
    draw(root / "fake", 6, seed=2, blur_px=2.0)
    draw(root / "teacher", 6, seed=2)
    draw(root / "inputs", 6, seed=2, blur_px=1.0, size_px=80)
    return root


@pytest.fixture(scope="module")
def config(folders: Path) -> ScoreConfig:
    return ScoreConfig(
        real=folders / "real",
        fake=folders / "fake",
        teacher=folders / "teacher",
        control=folders / "inputs",
        network="squeezenet",
    )


@pytest.fixture(scope="module")
def alone(config: ScoreConfig) -> dict[str, Any]:
    return score_folder(config)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Do shards in this process, through pickle as Ray sends them; what they were and how many images each held."""
    shards_done: list[tuple[str, int]] = []

    def map_here(_: Any, function: Any, shards: Sequence[Sequence[Any]], *, name: str) -> Iterator[Any]:
        for shard in shards:
            shards_done.append((name, len(shard)))
            task, items = pickle.loads(pickle.dumps((function, shard)))
            yield pickle.loads(pickle.dumps(task(items)))

    monkeypatch.setattr(sharded, "map_shards", map_here)
    monkeypatch.setattr(sharded, "workers_started", lambda _: nullcontext())
    monkeypatch.setattr(sharded, "require_fleet", lambda _: None)
    return shards_done


def shards_of(monkeypatch: pytest.MonkeyPatch, images: int) -> None:
    whole = sharded.on_workers
    monkeypatch.setattr(sharded, "on_workers", lambda fleet, config: whole(fleet, config, shard_images=images))


def scores_of(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in ("seconds", "content_sha256")}


@pytest.mark.parametrize("images", [1, 2, 5, 64])
def test_scores_are_those_of_one_process_to_the_last_bit(
    config: ScoreConfig, alone: dict[str, Any], done: list[Any], monkeypatch: pytest.MonkeyPatch, images: int
):
    shards_of(monkeypatch, images)
    record = score_folder(config, WORKERS)
    assert scores_of(record) == scores_of(alone)
    assert {name for name, _ in done} == {"sizes", "similarity", "features", "perceptual"}
    assert max(held for _, held in done) == min(images, 7)
    assert set(record["seconds"]) == {"features", "statistics", "start", "merge"}
    assert set(alone["seconds"]) == {"features", "statistics"}


def test_shards_that_were_done_before_are_not_done_again(
    config: ScoreConfig,
    alone: dict[str, Any],
    done: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    shards_of(monkeypatch, 2)
    keeping = replace(config, cache=tmp_path / "cache", teacher=None, control=None)
    first = score_folder(keeping, WORKERS)
    kept = {path.name: path.stat().st_ino for path in (tmp_path / "cache").iterdir()}
    assert len(kept) == 4 + 3
    lost = sorted(kept)[0]
    (tmp_path / "cache" / lost).unlink()
    extracted: list[int] = []
    whole = sharded.Extraction.features.__globals__["extract_features"]
    monkeypatch.setitem(
        sharded.Extraction.features.__globals__,
        "extract_features",
        lambda paths, *rest: extracted.append(len(paths)) or whole(paths, *rest),
    )
    assert scores_of(score_folder(keeping, WORKERS)) == scores_of(first)
    assert len(extracted) == 1
    again = {path.name: path.stat().st_ino for path in (tmp_path / "cache").iterdir()}
    assert again.keys() == kept.keys()
    assert {name for name in kept if kept[name] != again[name]} <= {lost}


def test_remote_folders_score_as_local_ones(
    folders: Path, config: ScoreConfig, alone: dict[str, Any], done: list[Any], monkeypatch: pytest.MonkeyPatch
):
    storage = pytest.importorskip("fsspec").filesystem("memory")
    bucket = Path("memory://scores")
    shards_of(monkeypatch, 4)
    try:
        for name in ("real", "fake", "teacher", "inputs"):
            for path in (folders / name).iterdir():
                storage.pipe_file(f"/scores/{name}/{path.name}", path.read_bytes())
        storage.pipe_file("/scores/fake/translation.json", b'{"trained_with": "efficientnet-lite2"}')
        remote = replace(
            config, real=bucket / "real", fake=bucket / "fake", teacher=bucket / "teacher", control=bucket / "inputs",
            cache=bucket / "cache",
        )  # fmt: skip
        record = score_folder(remote, WORKERS)
        assert scores_of(record) == scores_of(alone)
        # A file for each shard of features, three times two, and of perceptual distances.
        assert len(storage.ls("/scores/cache")) == 6 + 4
        monkeypatch.setattr(sharded.FeatureCache, "keep", lambda *_: pytest.fail("features were not found again"))
        assert scores_of(score_folder(remote, WORKERS)) == scores_of(alone)
        storage.pipe_file("/scores/fake/000.png", b"\x89PNG\r\n\x1a\n torn")
        with pytest.raises(UnusableData, match=r"^memory://scores/fake/000\.png is broken"):
            score_folder(remote, WORKERS)
    finally:
        storage.rm("/scores", recursive=True)


def test_a_broken_image_is_named_as_by_one_process(
    config: ScoreConfig, done: list[Any], tmp_path: Path, draw: Drawer, monkeypatch: pytest.MonkeyPatch
):
    shards_of(monkeypatch, 2)
    fake = draw(tmp_path / "fake", 6, seed=3)
    (fake / "003.png").write_bytes((fake / "003.png").read_bytes()[:200])
    broken = replace(config, fake=fake, teacher=None, control=None)
    with pytest.raises(UnusableData) as by_one:
        score_folder(broken)
    with pytest.raises(UnusableData) as by_workers:
        score_folder(broken, WORKERS)
    assert str(by_workers.value) == str(by_one.value)
    assert "003.png" in str(by_one.value)


def test_what_cannot_be_shared_is_said_before_anything_is_read(config: ScoreConfig, folders: Path, done: list[Any]):
    flicker = ScoreConfig(fake=folders / "fake", flicker=folders / "nowhere")
    with pytest.raises(UsageError, match=r"--workers does not go with --flicker"):
        score_folder(flicker, WORKERS)
    with pytest.raises(UsageError, match=r"--cluster does not go with --extractor torch-fidelity"):
        score_folder(replace(config, extractor="torch-fidelity"), FleetConfig(cluster="head:6379"))
    with pytest.raises(UsageError, match=r"s3://bucket/fake is no place of this machine.*--workers"):
        score_folder(replace(config, fake=Path("s3://bucket/fake")))
    assert done == []


def test_a_worker_with_other_packages_is_refused(config: ScoreConfig, done: list[Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sharded, "package_versions", lambda: {"numpy": "1.0"})
    with pytest.raises(UsageError, match=r"a worker's machine has numpy 1\.0, but this one ai-edge-litert"):
        score_folder(replace(config, teacher=None, control=None), WORKERS)


def test_features_depend_neither_on_neighbours_nor_on_threads(config: ScoreConfig, folders: Path):
    from eval.extraction import Extraction
    from eval.features.cache import FeatureCache
    from eval.features.networks import choose_network

    paths = IN_PROCESS.list_images(folders / "real")
    found = []
    for cores, parts in ((1, [paths]), (4, [paths]), (1, [[path] for path in reversed(paths)])):
        network = replace(choose_network("squeezenet", None), cores=cores)
        extraction = Extraction(network=network, image_size_px=(64, 64), cache=FeatureCache(None), versions={})
        found.append(np.concatenate([extraction.features(part) for part in parts]))
    assert found[0].tobytes() == found[1].tobytes() == found[2][::-1].tobytes()


def test_help_loads_no_ray(command: Callable[..., Any]):
    finished = command("eval", "score", "--help", env={**os.environ, "PYTHONVERBOSE": "1"})
    assert finished.returncode == 0
    assert "--workers" in finished.stdout
    assert "import 'ray'" not in finished.stderr
    assert "import 'fsspec'" not in finished.stderr
