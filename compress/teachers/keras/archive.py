"""Reader of `.keras` files: a zip with `config.json` and `model.weights.h5`, where weights lie by class and number.

Some systems unpack it into a folder when they download it; that is read as well.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from compress.errors import UnusableModel
from compress.files.unpacked import require_whole
from compress.strict_json import MOST_BYTES, parse_json
from compress.teachers.description import GeneratorDescription
from compress.teachers.keras import hdf5
from compress.teachers.keras.config import CONFIG_DEPTH_LIMIT, Call, flatten_model
from compress.teachers.keras.layer_writer import Weights
from compress.teachers.keras.layers import finish_network, write_network
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from compress.teachers.reading.content import KERAS_MEMBERS

CONFIG_NAME, WEIGHTS_NAME = KERAS_MEMBERS
_ROOTS = ("layers", "_layer_checkpoint_dependencies")
"""Groups of a model's layers in Keras 3, and in Keras 2.12 to 2.15."""


def describe(path: Path, reading: ReadingConfig = AS_FOUND) -> GeneratorDescription:
    """Describe the generator in a `.keras`.

    Raises:
        UnusableModel: If the file is torn or holds no generator.
    """
    with open_archive(path) as (config, opened):
        network = flatten_model(config)
        graph, output = write_network(network, lambda call: _weights_of(call, opened), reading)
    return finish_network(graph, network, output, "Keras 3 model (.keras)", reading)


@contextmanager
def open_archive(path: Path) -> Iterator[tuple[Any, h5py.File]]:
    """Yield the configuration of a `.keras` as plain data, and its weights, opened and checked.

    Raises:
        UnusableModel: If a member is missing, damaged, there twice, or unpacks to more than a generator can have.
    """
    if path.is_dir():
        yield from _open_unpacked(path)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            require_whole(archive, {CONFIG_NAME: MOST_BYTES})
            config = parse_json(_read(archive, CONFIG_NAME), max_depth=CONFIG_DEPTH_LIMIT)
            weights = _read(archive, WEIGHTS_NAME)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UnusableModel(f"the .keras file is truncated or damaged ({error}).") from error
    except ValueError as error:
        raise UnusableModel(f"the .keras file has no usable {CONFIG_NAME}: {error}.") from error
    with hdf5.open_hdf5(io.BytesIO(weights)) as opened:
        yield config, opened


def _open_unpacked(folder: Path) -> Iterator[tuple[Any, h5py.File]]:
    written = folder / CONFIG_NAME
    if written.stat().st_size > MOST_BYTES:
        raise UnusableModel(f"{CONFIG_NAME} has {written.stat().st_size / 1e6:.0f} MB, more than any generator's.")
    try:
        config = parse_json(written.read_bytes(), max_depth=CONFIG_DEPTH_LIMIT)
    except ValueError as error:
        raise UnusableModel(f"the .keras folder has no usable {CONFIG_NAME}: {error}.") from error
    with hdf5.open_hdf5(folder / WEIGHTS_NAME) as opened:
        yield config, opened


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    if name not in archive.namelist():
        raise UnusableModel(f"the .keras file has no {name}; expected what keras.Model.save writes.")
    return archive.read(name)


def _weights_of(call: Call, opened: h5py.File) -> Weights:
    for root in _ROOTS:
        place = "/".join(f"{root}/{part}" for part in call.places)
        # A wrapper keeps the weights of its layer below itself; its own hold the kernel once more.
        group = opened.get(f"{place}/layer/vars", opened.get(f"{place}/vars"))
        if isinstance(group, h5py.Group):
            numbers = sorted((name for name in group if re.fullmatch(r"\d+", name)), key=int)
            return [(str(group[name].attrs.get("name", "")), hdf5.read_array(group[name])) for name in numbers]
    return []
