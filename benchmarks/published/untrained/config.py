"""The flags of `compress bench published` that belong to the comparison of shapes."""

from dataclasses import dataclass

from benchmarks.published.config import PublishedConfig
from compress.config import require_at_least
from compress.errors import UsageError

_MULTIPLE_PX = 8
_MULTIPLE_WIDTH = 4
_LEAST_RUNS = 3
_IMAGE_SIZE_PX, _RUNS = 256, 12


@dataclass(frozen=True, kw_only=True)
class ShapesConfig:
    """Image sizes and widths to draw latency and memory over."""

    sweep_size_px: tuple[int, ...] = (64, 128, 256, 512, 1024)
    """Side of a square at which latency and memory are drawn; may be repeated."""
    sweep_width: tuple[int, ...] = (16, 32, 64, 128, 256)
    """Channels at a quarter of the resolution for which they are drawn, the teacher has 256; may be repeated."""
    warmup: int = 1
    """Runs of each model before the first round, which are not timed."""

    def __post_init__(self) -> None:
        require_at_least(self, warmup=0)
        for side_px in self.sweep_size_px:
            _require_multiple(side_px)
        for width in self.sweep_width:
            if width < _MULTIPLE_WIDTH or width % _MULTIPLE_WIDTH:
                raise UsageError(f"width {width}: expected a multiple of {_MULTIPLE_WIDTH}, as the teacher has it.")


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """The resolved settings of the timing of shapes."""

    image_size_px: int
    threads: int
    runs: int
    warmup: int

    def runs_at(self, side_px: int) -> int:
        """Return the rounds for images of a side: images beyond `image_size_px` get fewer, and take no longer."""
        affordable = round(self.runs * (self.image_size_px / side_px) ** 2)
        return min(self.runs, max(_LEAST_RUNS, affordable))


def plan_rounds(config: PublishedConfig, shapes: ShapesConfig) -> Rounds:
    """Fill in the defaults of a comparison of shapes.

    Raises:
        UsageError: If the shapes do not take images of that size.
    """
    image_size_px = config.image_size_px or _IMAGE_SIZE_PX
    _require_multiple(image_size_px)
    return Rounds(image_size_px=image_size_px, threads=config.threads, runs=config.runs or _RUNS, warmup=shapes.warmup)


def _require_multiple(side_px: int) -> None:
    if side_px < _MULTIPLE_PX or side_px % _MULTIPLE_PX:
        raise UsageError(f"{side_px} pixels: expected a multiple of {_MULTIPLE_PX}, as the unet student takes it.")
