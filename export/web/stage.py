"""`compress export web`: a student in, a page out that runs it in the browser: a folder, and one HTML file in it."""

import logging
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from compress.config import to_mapping
from compress.faces.blazeface.detector import FULL_RANGE, SHORT_RANGE
from compress.faces.template import AlignmentTemplate
from compress.files.apart import require_apart
from compress.files.atomic import atomic_dir, refuse_existing
from export.web import page_files
from export.web.config import WebConfig
from export.web.library import VERSION, load_library
from export.web.pictures import Sample, load_samples
from export.web.student import Student, load_student

INDEX, SINGLE = "index.html", "lens.html"
_STUDENT, _SIDECAR, _CHECK, _NOTICE = "student.tflite", "lens.json", "check.bin", "NOTICE"
_DETECTORS = {"near": SHORT_RANGE, "far": FULL_RANGE}
_BLAZEFACE = "compress.faces.blazeface"
_LITERT_NOTICE = f"litert/: LiteRT.js {VERSION}, @litertjs/core and @litertjs/wasm-utils, Google LLC, Apache-2.0.\n"
_log = logging.getLogger(__name__)


def export_web(source: Path, config: WebConfig, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Write a page that runs a student in the browser.

    Args:
        source: A `.tflite` file or an artifact of one; or what is still to be exported, where `config` names photos.
        config: What of a picture is translated, and which pictures are offered.
        out: The folder to write, to be hosted as it is; `lens.html` in it is the whole page in one file.
        overwrite: Whether it may exist.

    Returns:
        JSON-ready: the folder and the single file with their sizes, the student's name, size and side.

    Raises:
        UsageError: If `out` exists, LiteRT.js is not to be had, or the student is not exported and there are no photos.
        UnusableInput: If the student or the pictures cannot be used.
    """
    refuse_existing(out, overwrite=overwrite)
    require_apart([out], [source])
    student = load_student(source, config)
    if student.template is None and config.region == "face":
        _log.warning(
            "%s records no alignment: faces are placed by the default template. A model that wants no faces takes "
            "--region whole",
            source,
        )
    files = _collect(student, config, load_samples(config.pictures))
    with atomic_dir(out, overwrite=overwrite) as scratch:
        for name, content in files.items():
            place = scratch / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    return {
        "page": str(out),
        "size_bytes": sum(len(content) for name, content in files.items() if name != SINGLE),
        "single_file": str(out / SINGLE),
        "single_file_bytes": len(files[SINGLE]),
        "student": student.name,
        "student_bytes": len(student.content),
        "image_size_px": student.size_px,
        "region": config.region,
    }


def check_picture(side_px: int) -> np.ndarray:
    """Draw the picture that page and Python both translate, to be compared: `(side, side, 3)` uint8, gradients."""
    x, y = np.meshgrid(np.arange(side_px), np.arange(side_px))
    last = max(side_px - 1, 1)
    return np.stack([255 * x // last, 255 * y // last, (7 * x + 11 * y) % 256], axis=-1).astype(np.uint8)


def _collect(student: Student, config: WebConfig, samples: list[Sample]) -> dict[str, bytes]:
    """Return all files of a page by name."""
    detectors = _DETECTORS if config.region == "face" else {}
    files = page_files.read_scripts() | page_files.take_runtime(load_library())
    files |= {network.file: _read_blazeface(network.file) for network in detectors.values()}
    pictures = {f"pictures/{number}.jpg": sample for number, sample in enumerate(samples)}
    files |= {name: sample.content for name, sample in pictures.items()}
    files |= {
        _STUDENT: student.content,
        _CHECK: student.translate(check_picture(student.size_px)).tobytes(),
        _NOTICE: _LITERT_NOTICE.encode() + (_read_blazeface("NOTICE") if detectors else b""),
    }
    description = {
        "name": student.name,
        "region": config.region,
        "size_px": student.size_px,
        "feather": config.feather,
        "template": to_mapping(student.template or AlignmentTemplate()),
        "student": student.describe(_STUDENT),
        "detectors": {
            name: {"file": network.file, "side_px": network.side_px, "anchors": network.anchors}
            for name, network in detectors.items()
        },
        "pictures": [{"file": name, "alt": sample.alt} for name, sample in pictures.items()],
        "litert_js": VERSION,
    }
    files[_SIDECAR] = page_files.as_json(description)
    files[SINGLE] = page_files.write_single(files).encode()
    return files | {INDEX: page_files.write_index().encode()}


def _read_blazeface(name: str) -> bytes:
    return (resources.files(_BLAZEFACE) / name).read_bytes()
