"""A process that writes the inputs of the timed commands, always the same: untrained generators, pictures of noise."""

import sys
from pathlib import Path

import numpy as np

from benchmarks.host.roofline import peak_layer_file
from compress import images

TEACHER, SMALL_TEACHER, STUDENT = "teacher.h5", "small_teacher.h5", "student.keras"
"""File names of generators: the published one of 44 MB, one of a few filters, and a student."""
LAYER, DATA = "layer.tflite", "data"
"""Names of a file of a single operator, and of a CycleGAN data set."""
SIZE_PX = 64
PHOTOS = {"trainA": 16, "trainB": 16, "testA": 100, "testB": 100}


def write_inputs(folder: Path) -> None:
    """Write all inputs into a folder."""
    from compress.models import pocket_generator, resnet_generator
    from compress.models.pocket.config import PocketConfig
    from compress.models.resnet_generator import ResnetConfig

    resnet_generator.save_h5(resnet_generator.build_resnet(ResnetConfig()), folder / TEACHER)
    resnet_generator.save_h5(resnet_generator.build_resnet(ResnetConfig(filters=8, blocks=1)), folder / SMALL_TEACHER)
    pocket_generator.build_student(PocketConfig(image_size_px=SIZE_PX)).save(folder / STUDENT)
    (folder / LAYER).write_bytes(peak_layer_file("fp32", 16, 32))
    generator = np.random.default_rng(0)
    for split, count in PHOTOS.items():
        (folder / DATA / split).mkdir(parents=True)
        for number in range(count):
            noise = generator.integers(0, 256, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
            images.write_png(folder / DATA / split / f"{number:03}.png", noise)


if __name__ == "__main__":
    write_inputs(Path(sys.argv[1]))
