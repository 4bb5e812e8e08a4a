"""Compare a student's ONNX files in onnxruntime with its `.tflite` files in LiteRT, picture by picture.

Run as `python tests/export/onnx/compare_runtimes.py STUDENT --data PHOTOS`. For fp32 and int8 it prints both files'
sizes, how far their bytes lie apart, on how many photos not one byte differs by more than a step, and both files' PSNR
to the float source.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from compress.images import psnr_db, to_uint8
from export.calibration.observe import calibrate_and_quantize, held_back_photos
from export.calibration.photos import draw_photos
from export.config import OnnxConfig
from export.graph.passes import TFLITE, apply_passes
from export.interpreter.litert import TfliteGenerator
from export.onnx import emitter as onnx_emitter
from export.onnx.runner import OnnxGenerator
from export.source import SourceGenerator, load_source
from export.tflite import emitter as tflite_emitter


def write_both(source: SourceGenerator, config: OnnxConfig) -> tuple[bytes, bytes]:
    """Return the `.tflite` and the ONNX file of a source."""
    size = source.image_size(None)
    graph = source.lower(size)
    expanded = apply_passes(graph, TFLITE)
    if config.precision == "fp32":
        return tflite_emitter.float_file(expanded), onnx_emitter.float_file(graph, opset=config.resolved_opset)
    photos = draw_photos(config, source, size)
    ours, theirs = (calibrate_and_quantize(one, photos, source.scales, source.float_ops) for one in (expanded, graph))
    return tflite_emitter.int8_file(ours, "float"), onnx_emitter.int8_file(theirs, opset=config.resolved_opset)


def compare(source: SourceGenerator, config: OnnxConfig, count: int) -> dict[str, Any]:
    """Run both files over the photos that they were not calibrated on."""
    contents = write_both(source, config)
    generators = TfliteGenerator(contents[0]), OnnxGenerator(contents[1], "float")
    photos = held_back_photos(
        config.data or Path(), domain=source.domain, count=count, size=source.image_size(None), seed=0
    )
    steps, errors, whole = [], ([], []), 0
    for photo in photos:
        expected = source.translate(photo)
        pictures = [generator.translate(photo) for generator in generators]
        for found, picture in zip(errors, pictures, strict=True):
            found.append(picture - expected)
        lite, other = (to_uint8(picture).astype(int) for picture in pictures)
        steps.append(np.abs(lite - other).astype(np.uint8))
        whole += int(steps[-1].max() <= 1)
    apart = np.stack(steps)
    return {
        "photos": len(photos),
        "tflite_bytes": len(contents[0]),
        "onnx_bytes": len(contents[1]),
        "equal": float((apart == 0).mean()),
        "within_1_of_255": float((apart <= 1).mean()),
        "largest_of_255": int(apart.max()),
        "photos_within_1_of_255": whole,
        "tflite_psnr_db": psnr_db(np.stack(errors[0])),
        "onnx_psnr_db": psnr_db(np.stack(errors[1])),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("student", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--precision", choices=["fp32", "int8"], action="append")
    chosen = parser.parse_args()
    student = load_source(chosen.student)
    for precision in chosen.precision or ("fp32", "int8"):
        settings = OnnxConfig(precision=precision, data=chosen.data)
        print(json.dumps({"precision": precision, **compare(student, settings, chosen.count)}), flush=True)
