"""Measure a student's page in Chromium with a drawn camera, and take its picture.

`python tests/export/web/measure.py STUDENT [--region whole] [--picture page.jpg]`: STUDENT is what `compress export
web` takes. A swinging avatar of 1280x720 is the camera. Prints JSON: sizes in bytes; for the folder and the single file
in turns, milliseconds to load and, of frames, the median and the model's share; the folder's without the camera's own
detail, too; the difference to Python; and beside each, the milliseconds of the same student in Python, on one thread.
"""

import argparse
import importlib.util
import io
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from compress.data.avatars import draw_avatar
from export.interpreter.litert import TfliteGenerator
from export.web.config import WebConfig
from export.web.server import opened
from export.web.stage import SINGLE, check_picture, export_web

ROUNDS, FRAMES = 3, 40
SIZE, AVATAR_PX, FRAMES_OF_FILM = (1280, 720), 660, 60
LIMIT_S = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("student", type=Path)
    parser.add_argument("--region", choices=["face", "whole"], default="face")
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    browser = load_browser()
    with tempfile.TemporaryDirectory() as scratch:
        folder, film = Path(scratch) / "page", Path(scratch) / "camera.mjpeg"
        result = export_web(given.student, WebConfig(region=given.region), folder)
        draw_film(film)
        flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
        page = browser.BrowserPage(
            browser._find_or_fetch_browser(), (*flags, f"--use-file-for-fake-video-capture={film}")
        )
        try:
            with opened(folder, 0) as server:
                threading.Thread(target=server.serve_forever, daemon=True).start()
                places = {"folder": server.address, "single_file": (folder / SINGLE).as_uri()}
                student = TfliteGenerator.open(folder / "student.tflite", threads=1)
                rounds = [
                    {
                        **{name: measure(page, address) | time_in_python(student) for name, address in places.items()},
                        "folder_without_detail": measure(page, server.address, is_detailed=False),
                    }
                    for _ in range(ROUNDS)
                ]
                if given.picture is not None:
                    take_picture(page, server.address, given.picture)
                server.shutdown()
        finally:
            page.close()
    sizes = {name: value for name, value in result.items() if name.endswith(("_bytes", "_px"))}
    json.dump({**sizes, "rounds": rounds, "load_average": os.getloadavg()}, sys.stdout, indent=2)


def load_browser() -> Any:
    """Load the browser that tests steer, which no import reaches."""
    spec = importlib.util.spec_from_file_location("real_browser", Path(__file__).parents[2] / "real_browser.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError("tests/real_browser.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def draw_film(path: Path) -> None:
    """Write a film for Chromium's camera, as Motion JPEG, which is JPEG after JPEG."""
    avatar = draw_avatar("s8", "A", AVATAR_PX)
    with path.open("wb") as stream:
        for swing in np.sin(np.linspace(0, 2 * np.pi, FRAMES_OF_FILM, endpoint=False)):
            frame = Image.new("RGB", SIZE, tuple(avatar[0, 0].tolist()))
            place = ((SIZE[0] - AVATAR_PX) // 2 + round(12 * swing), SIZE[1] - AVATAR_PX)
            frame.paste(Image.fromarray(avatar), place)
            content = io.BytesIO()
            frame.save(content, "JPEG", quality=92)
            stream.write(content.getvalue())


def measure(page: Any, address: str, *, is_detailed: bool = True) -> dict[str, float]:
    """Open a page, let its camera run, and read what it shows; with the camera's own detail or without."""
    page.open("about:blank")
    page.open(address, width=1000, height=1180)
    page.wait_for("document.documentElement.dataset.state === 'ready'", limit_s=LIMIT_S)
    if not is_detailed:
        page.click("#detail")
    page.click("#camera")
    page.wait_for(f"Number(document.getElementById('frames').textContent) >= {FRAMES}", limit_s=LIMIT_S)
    names = ("load-ms", "frame-ms", "student-ms", "rate", "difference")
    return {name: round(float(page.run(f"document.getElementById('{name}').dataset.value")), 1) for name in names}


def time_in_python(student: TfliteGenerator) -> dict[str, float]:
    """Return the median milliseconds of the student here."""
    photo, times = check_picture(student.size[0]), []
    for _ in range(FRAMES):
        started = time.perf_counter()
        student.run(photo)
        times.append(1000 * (time.perf_counter() - started))
    return {"python-ms": round(median(times), 1)}


def take_picture(page: Any, address: str, out: Path) -> None:
    """Write a picture of the page, its line between before and after in the middle of the face."""
    measure(page, address)
    split = "document.getElementById('split')"
    page.run(f"{split}.value = 50; {split}.dispatchEvent(new Event('input')); scrollTo(0, 0)")
    page.wait_for("new Promise((resolve) => setTimeout(() => resolve(true), 1000))")
    with Image.open(io.BytesIO(page.take_picture())) as image:
        image.convert("RGB").save(out, quality=88, optimize=True)


if __name__ == "__main__":
    main()
