"""PocketGAN from Python: the functions behind the command `compress`, and their configurations.

    student = pocketgan.distill("g_m2f.h5", "photos", "student", pocketgan.DistillConfig(image_size_px=128))
    config = pocketgan.TfliteConfig(precision="int8", io_type="uint8", data=Path("photos"))
    phone = pocketgan.export_tflite(student.path, "phone", config)

Names are loaded when they are first used, so that `import pocketgan` takes milliseconds and loads no framework.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compress.artifact import Artifact
    from compress.data.config import AvatarsConfig
    from compress.distill.config import DistillConfig
    from compress.errors import PocketGANError
    from compress.prune.config import PruneConfig
    from compress.teachers.reading.config import ReadingConfig
    from eval.config import GateConfig, ScoreConfig
    from export.config import CoremlConfig, OnnxConfig, TfliteConfig, TranslateConfig
    from export.quantize.config import QuantizeConfig
    from pocketgan.demo import draw_avatars, write_demo_teacher
    from pocketgan.exporting import export_coreml, export_onnx, export_tflite, translate
    from pocketgan.scoring import gate, score
    from pocketgan.training import distill, load_teacher, prune, quantize

    __version__: str

_MODULES = {
    "Artifact": "compress.artifact",
    "AvatarsConfig": "compress.data.config",
    "CoremlConfig": "export.config",
    "DistillConfig": "compress.distill.config",
    "GateConfig": "eval.config",
    "OnnxConfig": "export.config",
    "PocketGANError": "compress.errors",
    "PruneConfig": "compress.prune.config",
    "QuantizeConfig": "export.quantize.config",
    "ReadingConfig": "compress.teachers.reading.config",
    "ScoreConfig": "eval.config",
    "TfliteConfig": "export.config",
    "TranslateConfig": "export.config",
    "distill": "pocketgan.training",
    "draw_avatars": "pocketgan.demo",
    "export_coreml": "pocketgan.exporting",
    "export_onnx": "pocketgan.exporting",
    "export_tflite": "pocketgan.exporting",
    "gate": "pocketgan.scoring",
    "load_teacher": "pocketgan.training",
    "prune": "pocketgan.training",
    "quantize": "pocketgan.training",
    "score": "pocketgan.scoring",
    "translate": "pocketgan.exporting",
    "write_demo_teacher": "pocketgan.demo",
}
"""Module that defines each public name."""

__all__ = [  # noqa: RUF022 - in the order of a student's life
    "load_teacher",
    "ReadingConfig",
    "distill",
    "DistillConfig",
    "prune",
    "PruneConfig",
    "quantize",
    "QuantizeConfig",
    "export_tflite",
    "TfliteConfig",
    "export_coreml",
    "CoremlConfig",
    "export_onnx",
    "OnnxConfig",
    "translate",
    "TranslateConfig",
    "score",
    "ScoreConfig",
    "gate",
    "GateConfig",
    "draw_avatars",
    "AvatarsConfig",
    "write_demo_teacher",
    "Artifact",
    "PocketGANError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("pocketgan")
    if name not in _MODULES:
        raise AttributeError(f"module 'pocketgan' has no attribute {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
