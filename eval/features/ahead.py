"""Work on other threads, a little ahead of whoever asks for its results: order is kept, memory does not grow."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from compress.images import read_image

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
AHEAD = 2
"""Results that wait for each thread."""


def count_cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_ahead(
    function: Callable[[_Item], _Result], items: Iterable[_Item], *, threads: int | None = None
) -> Generator[_Result, None, None]:
    """Yield what a function makes of each item, in their order; it runs on other threads.

    Args:
        function: Called on several threads at once.
        items: Asked for on the thread that asks for results.
        threads: How many; one for each core when not given. Instead of one other thread the caller's own is taken:
            each thread has memory of its own for what it allocates, 13 MB of a feature network's.

    Raises:
        Exception: What the function raises, in place of its result.
    """
    count = threads or count_cores()
    if count == 1:
        yield from map(function, items)
        return
    waiting: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(count) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > AHEAD * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def read_ahead(
    paths: Iterable[Path], image_size_px: tuple[int, int] | None = None, *, threads: int | None = None
) -> Iterator[np.ndarray]:
    """Yield image files as `compress.images.read_image` reads them, on so many threads; one for each core if not given.

    Raises:
        UnusableData: If an image is broken.
    """
    return map_ahead(lambda path: read_image(path, image_size_px), paths, threads=threads)
