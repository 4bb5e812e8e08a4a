"""Reader of a whole-model `.h5` of Keras 2 or 3: the JSON of `model_config` and the weights by layer."""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import h5py

from compress.errors import UnusableModel
from compress.strict_json import MOST_BYTES, parse_json
from compress.teachers.description import GeneratorDescription
from compress.teachers.keras import deep_vision, hdf5
from compress.teachers.keras.config import CONFIG_DEPTH_LIMIT, Call, flatten_model
from compress.teachers.keras.layer_writer import Weights
from compress.teachers.keras.layers import finish_network, write_network
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from compress.teachers.reading.found_layers import refuse_layer_as, tell_layers


def describe(path: Path, reading: ReadingConfig = AS_FOUND) -> GeneratorDescription:
    """Describe the generator in a `.h5`.

    Raises:
        UnusableModel: If the file holds no generator that can be known from its configuration or its weights alone.
    """
    with hdf5.open_hdf5(path) as opened:
        config = hdf5.read_string(opened.attrs, "model_config")
        if config is None:
            refuse_layer_as(reading)
            why = "the file holds weights alone, in the order of deep-vision's CycleGAN"
            return tell_layers(deep_vision.describe_weights_file(opened), reading, basis="assumed", because=why)
        return _describe_whole_model(opened, _parse_config(config), reading)


def _parse_config(text: str) -> Any:
    content = text.encode("utf-8")
    if len(content) > MOST_BYTES:
        raise UnusableModel(f"the file's configuration has {len(content):,} bytes, more than any generator's.")
    try:
        return parse_json(content, max_depth=CONFIG_DEPTH_LIMIT)
    except ValueError as error:
        raise UnusableModel(f"the file's configuration cannot be read: {error}.") from error


def _describe_whole_model(opened: h5py.File, model_config: Any, reading: ReadingConfig) -> GeneratorDescription:
    network = flatten_model(model_config)
    if "model_weights" not in opened:
        raise UnusableModel("the file has a model's configuration but no weights; it is truncated.")
    groups = opened["model_weights"]
    graph, output = write_network(network, lambda call: _weights_of(call, groups), reading)
    version = (hdf5.read_string(opened.attrs, "keras_version") or "").partition(".")[0]
    # tf_keras of TensorFlow 2.16 and later writes TensorFlow's version in the place of its own.
    generation = "3" if version == "3" else "2"
    return finish_network(graph, network, output, f"Keras {generation} whole model (.h5)", reading)


def _weights_of(call: Call, groups: h5py.Group) -> Weights:
    """Return a call's weights; a nested model keeps those of all its layers in one group, under `layer/weight:0`."""
    group = groups.get(call.path[0])
    if not isinstance(group, h5py.Group):
        return []
    names = hdf5.read_strings(group.attrs, "weight_names")
    if len(call.path) > 1:
        names = _names_of(call.path, names)
    return [(_role(name), hdf5.read_array(group[name])) for name in names]


def _names_of(path: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the weights of a layer in nested models, where layers of several models may have one name.

    Their names hold the layer's after as many of its models' as Keras wrote: the layer is where most of them stand.
    """
    places = {name: tuple(name.split("/")[:-1]) for name in names}
    below = tuple(path[1:])
    exact = [name for name, place in places.items() if place[: len(below)] == below]
    if exact:
        return exact
    depths = {name: _matching_models(path, place) for name, place in places.items()}
    deepest = max(depths.values(), default=0)
    return [name for name, depth in depths.items() if depth == deepest > 0]


def _matching_models(path: Sequence[str], place: Sequence[str]) -> int:
    """Return how many names at the end of a layer's path stand in a weight's, the layer's own among them."""
    found = 0
    for end in (number + 1 for number, name in enumerate(place) if name == path[-1]):
        matches = takewhile(lambda pair: pair[0] == pair[1], zip(reversed(path), reversed(place[:end]), strict=False))
        found = max(found, sum(1 for _ in matches))
    return found


def _role(name: str) -> str:
    return name.rpartition("/")[2].partition(":")[0]
