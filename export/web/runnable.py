"""Which generators LiteRT.js can run: it takes no int8, though its kernels compute in it."""

from pathlib import Path

from compress.errors import UnusableModel
from export.interpreter.litert import TfliteGenerator
from export.web.library import VERSION

_RUNNABLE = ("float32", "uint8")
"""Types of a generator's input and output that LiteRT.js can put into a tensor."""


def require_runnable(generator: TfliteGenerator, said: Path) -> None:
    """Check the types of a generator's input and output.

    Args:
        generator: The file, opened.
        said: What the user calls it.

    Raises:
        UnusableModel: If LiteRT.js cannot pass one of them.
    """
    for tensor, verb in ((generator.input, "takes"), (generator.output, "returns")):
        if tensor.dtype not in _RUNNABLE:
            raise UnusableModel(
                f"{said} {verb} {tensor.dtype}, which LiteRT.js {VERSION} cannot pass. Export it with "
                "`compress export tflite --io-type uint8` or `--io-type float`."
            )
