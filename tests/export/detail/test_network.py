"""The graph of detail is the lens's own formula, in NumPy and in LiteRT, to the bit where nothing changes."""

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from PIL import Image

from compress.faces.template import Placement
from compress.images import to_float, to_uint8
from export.detail.check import DetailNetwork, add_detail, draw_photo
from export.detail.network import build_detail_graph
from export.graph.passes import TFLITE, apply_passes
from export.interpreter.numpy_float import run_graph
from export.lens.paste import Photo, paste
from export.tflite.delegation import delegate_coverage
from export.tflite.emitter import float_file

SIZES = [(96, 32), (70, 33)]
"""Sides of a photo and of what a model sees: by a whole factor and by none."""


def pictures(photo_px: int, image_px: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A drawn face with noise, the same shrunk, and a translation that tones, inverts, amplifies and redraws it."""
    photo = draw_photo(photo_px)
    image = np.asarray(Image.fromarray(photo).resize((image_px, image_px), Image.Resampling.BOX))
    generated, half = image.astype(int) // 2 + 60, image_px // 2
    generated[:half, half:] = 255 - image[:half, half:]
    generated[half:, :half] = np.clip(3 * (image[half:, :half].astype(int) - 120) + 120, 0, 255)
    generated[half:, half:] = image[half:, half:][::-1]
    return photo, image, generated.astype(np.uint8)


def paste_whole(photo: np.ndarray, image: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """The photo with the lens's pasting over all of it."""
    side, pasted = len(photo), photo.copy()
    mask = np.full(image.shape[:2], 255, np.uint8)
    paste(Photo(pasted), image, generated, Placement(x=side / 2, y=side / 2, side_px=side), mask, detail="local-affine")
    return pasted


def content_of(photo_px: int, image_px: int, *, byte_ends: bool) -> bytes:
    graph = apply_passes(build_detail_graph(photo_px, image_px, bounded=not byte_ends), TFLITE)
    return float_file(graph, byte_ends=byte_ends)


def in_litert(content: bytes, *values: np.ndarray, delegate: bool = True) -> np.ndarray:
    resolver = OpResolverType.AUTO if delegate else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    run = Interpreter(model_content=content, experimental_op_resolver_type=resolver).get_signature_runner()
    named = dict(zip(("photo", "image", "generated"), (each[np.newaxis] for each in values), strict=True))
    return run(**named)["detailed"][0]


@pytest.mark.parametrize(("photo_px", "image_px"), SIZES)
def test_graph_is_the_lens_on_a_square_that_fills_its_part_of_the_photo(photo_px: int, image_px: int) -> None:
    photo, image, generated = pictures(photo_px, image_px)
    pasted = paste_whole(photo, image, generated)
    graph = build_detail_graph(photo_px, image_px, bounded=True)
    large, *small = (to_float(picture)[np.newaxis] for picture in (photo, image, generated))
    made = to_uint8(run_graph(graph, large, others=dict(zip(("image", "generated"), small, strict=True)))[0])
    # Pasting enlarges with weights of 1/128, and rounds gains to 1/64.
    assert np.abs(made.astype(int) - pasted).max() <= 3
    assert np.abs(made.astype(int) - pasted).mean() < 0.5
    # Detail and the whole of the translation are in it.
    assert np.abs(made.astype(int) - photo).mean() > 10
    assert np.abs(made.astype(int) - np.asarray(Image.fromarray(generated).resize((photo_px, photo_px)))).mean() > 2


@pytest.mark.parametrize(("photo_px", "image_px"), SIZES)
def test_reference_of_the_check_is_pasting(photo_px: int, image_px: int) -> None:
    photo, image, generated = pictures(photo_px, image_px)
    pasted = paste_whole(photo, image, generated)
    steps = np.abs(add_detail(photo, image, generated).astype(int) - pasted)
    assert steps.max() <= 3
    assert steps.mean() < 0.5


@pytest.mark.parametrize("delegate", [True, False])
@pytest.mark.parametrize(("photo_px", "image_px"), SIZES)
def test_file_does_what_the_graph_does(photo_px: int, image_px: int, delegate: bool) -> None:
    values = [to_float(picture) for picture in pictures(photo_px, image_px)]
    made = in_litert(content_of(photo_px, image_px, byte_ends=False), *values, delegate=delegate)
    large, *small = (each[np.newaxis] for each in values)
    graph = build_detail_graph(photo_px, image_px, bounded=True)
    expected = run_graph(graph, large, others=dict(zip(("image", "generated"), small, strict=True)))[0]
    np.testing.assert_allclose(made, expected, atol=2e-4)
    assert made.min() >= -1
    assert made.max() <= 1


@pytest.mark.parametrize("delegate", [True, False])
@pytest.mark.parametrize(("photo_px", "image_px"), SIZES)
def test_model_that_changes_nothing_gives_the_photo_back(photo_px: int, image_px: int, delegate: bool) -> None:
    noise = np.random.default_rng(0)
    photo, image = (noise.integers(0, 256, (side, side, 3), dtype=np.uint8) for side in (photo_px, image_px))
    in_bytes = in_litert(content_of(photo_px, image_px, byte_ends=True), photo, image, image, delegate=delegate)
    np.testing.assert_array_equal(in_bytes, photo)
    large, small = to_float(photo), to_float(image)
    in_floats = in_litert(content_of(photo_px, image_px, byte_ends=False), large, small, small, delegate=delegate)
    np.testing.assert_array_equal(in_floats, large)


def test_bytes_and_floats_make_the_same_picture(tmp_path: Path) -> None:
    made = []
    for byte_ends in (True, False):
        path = tmp_path / f"{byte_ends}.tflite"
        path.write_bytes(content_of(96, 32, byte_ends=byte_ends))
        made.append(DetailNetwork(path).run(*pictures(96, 32)).astype(int))
    assert np.abs(made[0] - made[1]).max() <= 1
    assert np.abs(made[0] - made[1]).mean() < 0.01


@pytest.mark.parametrize("byte_ends", [True, False])
@pytest.mark.parametrize(("photo_px", "image_px"), SIZES)
def test_file_is_one_partition(photo_px: int, image_px: int, byte_ends: bool) -> None:
    assert delegate_coverage(content_of(photo_px, image_px, byte_ends=byte_ends)).complete
