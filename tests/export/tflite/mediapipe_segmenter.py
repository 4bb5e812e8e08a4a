"""Child process of `test_mediapipe`, in MediaPipe's own environment: run a file by an image task, save its masks."""

import sys

import mediapipe  # pyright: ignore[reportMissingImports]
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision  # pyright: ignore[reportMissingImports]


def main(model: str, photo: str, out: str) -> None:
    image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.load(photo))
    options = vision.ImageSegmenterOptions(
        base_options=BaseOptions(model_asset_path=model),
        running_mode=vision.RunningMode.IMAGE,
        output_confidence_masks=True,
        output_category_mask=False,
    )
    with vision.ImageSegmenter.create_from_options(options) as segmenter:
        masks = segmenter.segment(image).confidence_masks
    np.save(out, np.stack([mask.numpy_view().squeeze() for mask in masks], axis=-1))


if __name__ == "__main__":
    main(*sys.argv[1:])
