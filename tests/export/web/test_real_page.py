"""The page in a real browser, where one and LiteRT.js are in the cache or within reach: what it shows is read from its
own document.
"""

import base64
import http.server
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from export.graph.operations import Graph
from export.lens.config import Detail, LensConfig
from export.lens.lens import open_lens
from export.lens.paste import Photo
from export.web.config import WebConfig
from export.web.server import opened
from export.web.stage import export_web

LIMIT_S = 120
FRAMES = 12
WIDTH, HEIGHT, FACE = 640, 480, 320
LEFT, TOP = 160, 80
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@pytest.fixture(scope="module")
def portrait(draw_face: Callable[[int], np.ndarray]) -> np.ndarray:
    """A drawn face of 320 pixels at (160, 80) in a picture of 640x480."""
    photo = np.full((HEIGHT, WIDTH, 3), (90, 120, 150), np.uint8)
    photo[TOP : TOP + FACE, LEFT : LEFT + FACE] = draw_face(FACE)
    return photo


@pytest.fixture(scope="module")
def pages(
    real_browser: Path,
    write_student: Callable[..., Path],
    negative: Graph,
    two_layers: Graph,
    portrait: np.ndarray,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """Pages of a student that makes negatives, of faces and of whole pictures, and one of real arithmetic in float; the
    picture is the portrait with grain, which is detail beyond 64 pixels.
    """
    root = tmp_path_factory.mktemp("pages")
    (root / "pictures").mkdir()
    noise = np.random.default_rng(0).normal(0, 8, portrait.shape)
    grainy = np.clip(portrait + noise, 0, 255).astype(np.uint8)
    Image.fromarray(grainy).save(root / "pictures/portrait.png")
    students = {"face": write_student(negative), "whole": write_student(two_layers)}
    students["float"] = write_student(two_layers, "float")
    for name, student in students.items():
        region = "face" if name == "face" else "whole"
        export_web(student, WebConfig(region=region, pictures=root / "pictures"), root / name)
    return {name: root / name for name in students} | {"student": students["face"]}


@pytest.fixture(scope="module")
def film(portrait: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film for a camera, as Motion JPEG, which is JPEG after JPEG: the portrait swings to and fro."""
    path = tmp_path_factory.mktemp("film") / "camera.mjpeg"
    with path.open("wb") as stream:
        for step in np.sin(np.linspace(0, 2 * np.pi, 40)):
            frame = io.BytesIO()
            Image.fromarray(np.roll(portrait, round(20 * step), axis=1)).save(frame, "JPEG", quality=95)
            stream.write(frame.getvalue())
    return path


@contextmanager
def shown(page: Any, folder: Path) -> Iterator[str]:
    """Serve a page, open it, and wait until its networks are loaded."""
    with opened(folder, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            load(page, server.address)
            yield server.address
        finally:
            server.shutdown()


def load(page: Any, address: str) -> None:
    page.requests.clear()
    page.open("about:blank")
    page.open(address)
    page.wait_for("document.documentElement.dataset.state ?? ''", limit_s=LIMIT_S)
    assert page.run("document.documentElement.dataset.state") == "ready", page.run("document.body.innerText")


def number(page: Any, name: str) -> float:
    return float(page.run(f"document.getElementById('{name}').dataset.value"))


def read_canvas(page: Any) -> np.ndarray:
    """Return what the page shows, `(height, width, 3)` uint8."""
    address = page.run("document.getElementById('picture').toDataURL('image/png')")
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"))


def wait_for_frames(page: Any, count: int) -> None:
    page.wait_for(f"Number(document.getElementById('frames').textContent) >= {count}", limit_s=LIMIT_S)


def face_is_negative(canvas: np.ndarray) -> bool:
    """Check the forehead's colour at the middle of the picture: skin is red, its negative blue."""
    red, _, blue = canvas[TOP + 36 * FACE // 100, LEFT + FACE // 2].astype(int)
    return bool(blue > red + 40)


def test_the_camera_shows_the_face_translated_in_its_place(
    real_browser: Path, open_browser: Callable[..., Any], pages: dict[str, Path], film: Path
) -> None:
    page = open_browser(real_browser, *CAMERA, f"--use-file-for-fake-video-capture={film}")
    page.order("Page.addScriptToEvaluateOnNewDocument", source=_KEEP_LAST_FILE)
    try:
        with shown(page, pages["face"]) as address:
            assert page.run("document.getElementById('difference').textContent") == "none of 12288 values"
            page.click("#camera")
            wait_for_frames(page, FRAMES)
            assert 0 < number(page, "student-ms") < number(page, "frame-ms") < 5000
            assert number(page, "rate") > 0
            status = "The camera's picture, its largest face translated."
            assert page.run("document.getElementById('status').textContent") == status
            canvas = read_canvas(page)
            assert face_is_negative(canvas)
            # Beside the face's square the picture is the camera's, but for what JPEG and the camera's colours lose.
            assert np.abs(canvas[-40:, :80].astype(int) - (90, 120, 150)).mean() < 12
            set_split(page, 100)
            wait_for_frames(page, FRAMES + 3)
            assert not face_is_negative(read_canvas(page))
            record(page)
            page.click("#camera")
            page.wait_for("document.getElementById('status').textContent === 'The camera is off.'")
            assert page.run("document.getElementById('camera').textContent") == "Camera"
            set_split(page, 0)
            play_the_recording(page)
            own = (address, f"blob:{address}", "data:,", "about:blank")
            assert [one for one in page.requests if not one.startswith(own)] == []
            assert any(one.endswith(".wasm") for one in page.requests)
    finally:
        page.close()


_KEEP_LAST_FILE = """
const make = URL.createObjectURL;
URL.createObjectURL = (file) => { window.lastFile = file; return make.call(URL, file); };
"""
_CHOOSE = """(() => {
  const files = new DataTransfer();
  files.items.add(new File([%s], "%s", { type: "%s" }));
  document.getElementById("file").files = files.files;
  document.getElementById("file").dispatchEvent(new Event("change"));
})()"""


def play_the_recording(page: Any) -> None:
    """Choose the recording, which shows untouched faces, as a film from disk; stop it, and let it go on."""
    page.run(_CHOOSE % ("window.lastFile", "film", "video/webm"))
    page.wait_for("document.getElementById('status').textContent === 'The film, its largest face translated.'")
    wait_for_frames(page, 1)
    assert face_is_negative(read_canvas(page))
    page.click("#pause")
    page.wait_for("document.getElementById('pause').textContent === 'Play'")
    page.click("#pause")
    page.wait_for("document.getElementById('pause').textContent === 'Pause'")


def set_split(page: Any, percent: int) -> None:
    split = "document.getElementById('split')"
    page.run(f"{split}.value = {percent}; {split}.dispatchEvent(new Event('input'))")


def record(page: Any) -> None:
    """Record a few frames and look at the file that the page offers."""
    page.click("#record")
    page.wait_for("document.getElementById('record').textContent === 'Stop recording'")
    wait_for_frames(page, int(number(page, "frames")) + FRAMES)
    page.click("#record")
    page.wait_for("!document.getElementById('download').hidden", limit_s=LIMIT_S)
    assert number_of_bytes(page) > 1000
    assert page.run("document.getElementById('download').download") in ("lens.mp4", "lens.webm")


def number_of_bytes(page: Any) -> int:
    return int(page.run("document.getElementById('download').dataset.bytes"))


@pytest.fixture(scope="module")
def plain_page(real_browser: Path, open_browser: Callable[..., Any]) -> Iterator[Any]:
    """A browser without a camera."""
    page = open_browser(real_browser)
    try:
        yield page
    finally:
        page.close()


def test_a_picture_comes_out_as_python_makes_it(plain_page: Any, pages: dict[str, Path]) -> None:
    with shown(plain_page, pages["face"]):
        plain_page.click("#pictures button")
        wait_for_frames(plain_page, 1)
        detailed = read_canvas(plain_page)
        plain_page.click("#detail")
        wait_for_frames(plain_page, 2)
        smooth = read_canvas(plain_page)
    assert face_is_negative(detailed)
    with Image.open(pages["face"] / "pictures/0.jpg") as image:
        photo = np.array(image.convert("RGB"))
    expected: dict[Detail, np.ndarray] = {"local-affine": photo.copy(), "none": photo.copy()}
    for detail, wanted in expected.items():
        assert open_lens(pages["student"], LensConfig(detail=detail)).apply(Photo(wanted)) == 1
    # A canvas cuts a square out differently, which makes 0.3; with the square enlarged by a canvas, too, 0.49.
    # A square that is a pixel of 64 off makes 1.5, one without its mask 5.
    cases = ((detailed, expected["local-affine"], 0.45), (smooth, expected["none"], 0.9))
    for canvas, wanted, tolerance in cases:
        difference = np.abs(canvas.astype(int) - wanted)
        assert difference.mean() < tolerance
        assert (difference.max(axis=-1) > 40).mean() < 0.002
    # Without the detail, 0.77.
    assert np.abs(smooth.astype(int) - expected["local-affine"]).mean() > 0.6


def test_a_transparent_picture_shows_white_and_nothing_of_the_one_before(
    plain_page: Any, pages: dict[str, Path]
) -> None:
    empty = io.BytesIO()
    Image.new("RGBA", (320, 240)).save(empty, "PNG")
    address = f"data:image/png;base64,{base64.b64encode(empty.getvalue()).decode()}"
    with shown(plain_page, pages["face"]):
        plain_page.click("#pictures button")
        wait_for_frames(plain_page, 1)
        plain_page.run(f"window.empty = new Blob([Uint8Array.from(atob('{address[22:]}'), (c) => c.charCodeAt(0))])")
        plain_page.run(_CHOOSE % ("window.empty", "empty.png", "image/png"))
        plain_page.wait_for("document.getElementById('picture').width === 320")
        assert (read_canvas(plain_page) == 255).all()


def test_a_whole_picture_is_translated_up_to_its_edges(plain_page: Any, pages: dict[str, Path]) -> None:
    with shown(plain_page, pages["whole"]):
        assert number(plain_page, "difference") == 0
        plain_page.click("#pictures button")
        wait_for_frames(plain_page, 1)
        canvas = read_canvas(plain_page)
    with Image.open(pages["whole"] / "pictures/0.jpg") as image:
        expected = np.array(image.convert("RGB"))
    open_lens(pages["whole"] / "student.tflite", LensConfig(region="whole")).apply(Photo(expected))
    assert np.abs(canvas.astype(int) - expected).mean() < 3


def test_a_student_of_float_ends_differs_by_a_step_at_most(plain_page: Any, pages: dict[str, Path]) -> None:
    with shown(plain_page, pages["float"]):
        assert number(plain_page, "difference") <= 1


@pytest.mark.parametrize("build", ["relaxed SIMD", "without relaxed SIMD"])
def test_the_single_file_runs_from_disk_with_the_network_off(
    plain_page: Any, pages: dict[str, Path], build: str
) -> None:
    offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    plain_page.order("Network.emulateNetworkConditions", **offline)
    refusal = "WebAssembly.validate = () => false" if build.startswith("without") else ""
    script = plain_page.order("Page.addScriptToEvaluateOnNewDocument", source=refusal)["identifier"]
    try:
        load(plain_page, (pages["whole"] / "lens.html").as_uri())
        assert plain_page.run("document.getElementById('load-ms').textContent").endswith(f"ms, {build}")
        assert number(plain_page, "difference") == 0
        plain_page.click("#pictures button")
        wait_for_frames(plain_page, 1)
        assert {one.partition(":")[0] for one in plain_page.requests} <= {"file", "blob", "data", "about"}
    finally:
        plain_page.order("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
        plain_page.order("Network.emulateNetworkConditions", **(offline | {"offline": False}))


class _Listener(http.server.BaseHTTPRequestHandler):
    """Notes who asks for something."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


_TRY_FROM_WORKER = """new Promise((resolve) => {
  const code = "fetch('%s').then(() => postMessage('out'), () => postMessage('kept'))";
  new Worker(URL.createObjectURL(new Blob([code]))).onmessage = ({ data }) => resolve(data);
})"""


def test_neither_page_nor_worker_reaches_another_origin(plain_page: Any, pages: dict[str, Path]) -> None:
    asked: list[str] = []
    handler = type("Listener", (_Listener,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{other.server_port}/"
        tries = [f"fetch('{address}page').then(() => 'out', () => 'kept')", _TRY_FROM_WORKER % f"{address}worker"]
        plain_page.open(address)
        assert plain_page.run(tries[0]) == "out"
        asked.clear()
        with shown(plain_page, pages["whole"]):
            assert [plain_page.run(one) for one in tries] == ["kept", "kept"]
            plain_page.run(f"document.body.append(Object.assign(new Image(), {{ src: '{address}image' }}))")
        load(plain_page, (pages["whole"] / "lens.html").as_uri())
        assert [plain_page.run(one) for one in tries] == ["kept", "kept"]
        other.shutdown()
    assert asked == []


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("delete window.WebAssembly", "runs no WebAssembly"),
        ("delete window.OffscreenCanvas", "too old for this page"),
    ],
)
def test_a_browser_that_cannot_run_it_is_told_why(
    plain_page: Any, pages: dict[str, Path], missing: str, words: str
) -> None:
    script = plain_page.order("Page.addScriptToEvaluateOnNewDocument", source=missing)["identifier"]
    try:
        plain_page.open("about:blank")
        plain_page.open((pages["whole"] / "lens.html").as_uri())
        plain_page.wait_for("document.documentElement.dataset.state === 'failed'")
        assert words in plain_page.run("document.querySelector('[role=alert]:not([hidden])').textContent")
        assert plain_page.run("document.getElementById('camera').disabled") is True
    finally:
        plain_page.order("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("Promise.reject(new DOMException('', 'NotAllowedError'))", "not allowed to use the camera"),
        ("Promise.reject(new DOMException('', 'NotFoundError'))", "has no camera"),
        ("Promise.reject(new DOMException('', 'NotReadableError'))", "in use by another program"),
    ],
)
def test_a_camera_that_does_not_come_is_told_in_words(
    plain_page: Any, pages: dict[str, Path], trouble: str, words: str
) -> None:
    with shown(plain_page, pages["whole"]):
        plain_page.run(f"navigator.mediaDevices.getUserMedia = () => {trouble}")
        plain_page.click("#camera")
        plain_page.wait_for("!document.getElementById('trouble').hidden")
        assert words in plain_page.run("document.getElementById('trouble').textContent")
        # What goes well takes the words away.
        plain_page.click("#pictures button")
        wait_for_frames(plain_page, 1)
        assert plain_page.run("document.getElementById('trouble').hidden") is True


@pytest.mark.parametrize(("name", "kind"), [("note.png", "image/png"), ("note.mp4", "video/mp4")])
def test_a_file_that_is_no_picture_is_told_by_name(
    plain_page: Any, pages: dict[str, Path], name: str, kind: str
) -> None:
    with shown(plain_page, pages["whole"]):
        plain_page.run(_CHOOSE % ("'no picture'", name, kind))
        plain_page.wait_for("!document.getElementById('trouble').hidden")
        assert name in plain_page.run("document.getElementById('trouble').textContent")


_UNNAMED = """[...document.querySelectorAll("button, input, a, canvas, img, section, [role=group]")]
  .filter((one) => !one.hidden && !(one.getAttribute("aria-label") || one.alt || one.textContent.trim()
    || one.labels?.length || one.querySelector("img[alt]"))).map((one) => one.outerHTML)"""


def test_a_keyboard_and_a_screen_reader_reach_everything(plain_page: Any, pages: dict[str, Path]) -> None:
    with shown(plain_page, pages["face"]):
        assert plain_page.run(_UNNAMED) == []
        plain_page.run("document.querySelector('#pictures button').focus()")
        for kind in ("keyDown", "keyUp"):
            key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
            plain_page.order("Input.dispatchKeyEvent", type=kind, **key)
        wait_for_frames(plain_page, 1)
        assert "largest face translated" in plain_page.run("document.getElementById('picture').ariaLabel")
        plain_page.run("document.getElementById('split').focus()")
        for kind in ("keyDown", "keyUp"):
            key = {"key": "End", "code": "End", "windowsVirtualKeyCode": 35}
            plain_page.order("Input.dispatchKeyEvent", type=kind, **key)
        assert plain_page.run("document.getElementById('split').ariaValueText") == "100 % untouched"
        assert not face_is_negative(read_canvas(plain_page))


def test_a_phone_shows_it_without_scrolling_sideways(plain_page: Any, pages: dict[str, Path]) -> None:
    with shown(plain_page, pages["face"]) as address:
        plain_page.open(address, width=360, height=740)
        plain_page.wait_for("document.documentElement.dataset.state === 'ready'", limit_s=LIMIT_S)
        plain_page.click("#pictures button")
        wait_for_frames(plain_page, 1)
        assert plain_page.run("document.documentElement.scrollWidth") <= 360
        heights = "[...document.querySelectorAll('button:not([hidden]), .button:not([hidden])')]"
        assert plain_page.run(f"Math.min(...{heights}.map((one) => one.getBoundingClientRect().height))") >= 44
