"""Reader of `.keras` files: a zip with `config.json` and `model.weights.h5`, where weights lie by class and number."""

import io
import json
import re
import zipfile
from pathlib import Path

import h5py

from compress.errors import UnusableModel
from compress.teachers.description import GeneratorDescription
from compress.teachers.keras import hdf5
from compress.teachers.keras.config import Call, flatten_model
from compress.teachers.keras.layer_writer import Weights
from compress.teachers.keras.layers import write_network

CONFIG_BYTES_LIMIT = 64 << 20
_ROOTS = ("layers", "_layer_checkpoint_dependencies")
"""Groups of a model's layers in Keras 3, and in Keras 2.12 to 2.15."""


def describe(path: Path) -> GeneratorDescription:
    """Describe the generator in a `.keras`.

    Raises:
        UnusableModel: If the file is torn or holds no generator.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(_read(archive, "config.json", CONFIG_BYTES_LIMIT))
            weights = _read(archive, "model.weights.h5", hdf5.DECLARED_BYTES_LIMIT)
    except (zipfile.BadZipFile, EOFError) as error:
        raise UnusableModel(f"the .keras file is truncated or damaged ({error}).") from error
    network = flatten_model(config)
    with hdf5.open_hdf5(io.BytesIO(weights)) as opened:
        graph, output = write_network(network, lambda call: _weights_of(call, opened))
    return graph.finish("Keras 3 model (.keras)", network.input_shape, output)


def _read(archive: zipfile.ZipFile, name: str, limit_bytes: int) -> bytes:
    if name not in archive.namelist():
        raise UnusableModel(f"the .keras file has no {name}; expected what keras.Model.save writes.")
    if archive.getinfo(name).file_size > limit_bytes:
        raise UnusableModel(f"the .keras file declares {archive.getinfo(name).file_size / 1e9:.1f} GB of {name}.")
    return archive.read(name)


def _weights_of(call: Call, opened: h5py.File) -> Weights:
    for root in _ROOTS:
        place = "/".join(f"{root}/{part}" for part in call.places)
        group = opened.get(f"{place}/vars")
        if isinstance(group, h5py.Group):
            numbers = sorted((name for name in group if re.fullmatch(r"\d+", name)), key=int)
            return [(str(group[name].attrs.get("name", "")), hdf5.read_array(group[name])) for name in numbers]
    return []
