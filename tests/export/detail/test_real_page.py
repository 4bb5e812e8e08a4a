"""The file of detail in LiteRT.js, in a real browser, where one and LiteRT.js are in the cache or within reach."""

import http.server
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from export.config import IoType
from export.detail.check import DetailNetwork, draw_photo
from export.detail.config import DetailConfig
from export.detail.stage import export_detail
from export.web.library import load_library

PHOTO_PX, IMAGE_PX = 128, 32
PAGE = """<!doctype html><script type="importmap">
{"imports": {"@litertjs/wasm-utils": "./@litertjs/wasm-utils/dist/index.js"}}</script>"""
RUN = """(async () => {
  const litert = await import("/@litertjs/core/dist/index.js");
  globalThis.loaded ??= litert.loadLiteRt("/@litertjs/core/wasm/");
  await globalThis.loaded;
  const bytes = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
  const model = await litert.loadAndCompile(await bytes("%s.tflite"), {accelerator: "wasm"});
  const tensors = [];
  for (const {name, shape, dtype} of model.getInputDetails()) {
    const values = await bytes(`${name}.bin`);
    const held = dtype === "uint8" ? values : Float32Array.from(values, (value) => value / 127.5 - 1);
    tensors.push(new litert.Tensor(held, Array.from(shape)));
  }
  const [made] = await model.run(tensors);
  return Array.from(made.toTypedArray());
})()"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of requests."""


@pytest.fixture(scope="module")
def site(real_browser: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder with LiteRT.js in it, and its address."""
    folder = tmp_path_factory.mktemp("site")
    for name, content in load_library().items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    (folder / "index.html").write_text(PAGE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield folder, f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


@pytest.mark.parametrize("io_type", ["uint8", "float"])
def test_browser_makes_what_python_makes(
    site: tuple[Path, str], browser_page: Any, students: Mapping[IoType, Path], io_type: IoType
) -> None:
    folder, address = site
    # A name of its own: of two files of one name, written within a second, the browser keeps the first.
    file = folder / f"{io_type}.tflite"
    export_detail(students[io_type], DetailConfig(photo_size_px=PHOTO_PX), file)
    photo = draw_photo(PHOTO_PX)
    image = np.asarray(Image.fromarray(photo).resize((IMAGE_PX, IMAGE_PX), Image.Resampling.BOX))
    for name, values in {"photo": photo, "image": image, "generated": 255 - image}.items():
        (folder / f"{name}.bin").write_bytes(values.tobytes())
    browser_page.open(address)
    made = np.array(browser_page.run(RUN % io_type), np.float32).reshape(photo.shape)
    if io_type == "float":
        made = np.rint((made + 1) * 127.5)
    expected = DetailNetwork(file).run(photo, image, 255 - image)
    # Its float kernels may sum in another order than this machine's, which can tip a half.
    assert np.abs(made - expected).max() <= 1
    assert np.abs(made - expected).mean() < 0.001
