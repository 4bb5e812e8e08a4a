"""Measure the file of every target for every family of students: operators, size, PSNR, latency against the `cpu` file.

Run as `python tests/export/tflite/measure_targets.py --data PHOTOS`. Students of random weights, 128x128; all files of
a family take turns in one run. One line of JSON for each file.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from benchmarks.host.config import HostConfig
from benchmarks.host.stage import bench_host
from compress.models import pocket_generator
from compress.models.pocket_generator import Family
from export.config import Precision, Target, TfliteConfig
from export.delegates.operators import read_operators
from export.tflite.stage import export_tflite

SIZE_PX = 128
FILES: Mapping[Precision, tuple[Target, ...]] = {
    "int8": ("cpu", "gpu", "npu-mediatek", "npu-qualcomm", "npu-google", "mediapipe"),
    "fp32": ("cpu", "gpu", "npu-mediatek", "mediapipe", "lens-studio"),
}


def write_student(family: Family, folder: Path) -> Path:
    """Save a student whose weights are random but of trained scale."""
    config = pocket_generator.PocketConfig(family=family, image_size_px=SIZE_PX)
    model = pocket_generator.build_student(config)
    random = np.random.default_rng(0)
    for variable in model.variables:
        shape = tuple(variable.shape)
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(random.uniform(0.5, 1.5, shape))
        elif len(shape) == 4:
            variable.assign(random.normal(0, 1, shape) / np.sqrt(np.prod(shape[:-1])))
    path = folder / f"{family}.keras"
    model.save(path)
    keras.backend.clear_session()
    return path


def measure(family: Family, data: Path, folder: Path, rounds: int) -> Iterator[dict[str, Any]]:
    """Write all files of a family, then let them take turns with the `cpu` file of their precision."""
    source = write_student(family, folder)
    for precision, targets in FILES.items():
        found: dict[Target, dict[str, Any]] = {}
        for target in targets:
            config = TfliteConfig(precision=precision, target=target, data=data, calibration_images=16)
            artifact = export_tflite(source, config, folder / f"{family}_{precision}_{target}")
            model = schema.ModelT.InitFromPackedBuf(artifact.model_path.read_bytes())
            found[target] = {
                "operators": dict(Counter(one.code for one in read_operators(model))),
                "size_bytes": artifact.manifest.cost.size_bytes,
                "psnr_db": artifact.manifest.scores["parity"]["psnr_db"],
                "path": artifact.path,
            }
        paths = [one["path"] for one in found.values()]
        record = bench_host(HostConfig(baseline=paths[0], candidate=tuple(paths[1:]), runs=rounds, warmup=1))
        for (target, row), entry in zip(found.items(), record["entries"], strict=True):
            row["latency_ms"], row["speedup"] = entry["latency_ms"]["median"], entry["speedup"]
            row["withheld"] = entry["withheld"]
            row["size_of_cpu"] = row["size_bytes"] / found["cpu"]["size_bytes"]
            yield {"family": family, "precision": precision, "target": target} | row | {"path": row["path"].name}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=15)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for each in get_args(Family):
            for line in measure(each, chosen.data, Path(scratch), chosen.rounds):
                print(json.dumps(line), flush=True)
