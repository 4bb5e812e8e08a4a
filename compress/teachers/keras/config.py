"""Flattening of a Keras `model_config` into ordered calls of layers: Keras 2 and 3, Sequential, functional, nested.

No Keras class is instantiated: the JSON stays data.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compress.errors import UnusableModel
from compress.teachers.check import too_many_layers_error
from compress.teachers.description import INPUT, LAYERS_LIMIT

CONFIG_DEPTH_LIMIT = 100
"""Most lists and objects within each other in a configuration; each nested model adds some five."""
_NESTED = frozenset({"Functional", "Model", "Sequential"})
_Reference = tuple[str, int]
"""Name of a layer, and the index of one of its calls."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of one layer."""

    name: str
    """Name of the call, unique in the flattened model."""
    path: tuple[str, ...]
    """Names of the models that the layer is nested in, then its own: the place of its weights in an `.h5`."""
    places: tuple[str, ...]
    """The same path by class and number, as a `.keras` file names it: `("functional", "conv2d_3")`."""
    class_name: str
    """Class without its package: `InstanceNormalization` for `Addons>InstanceNormalization`."""
    package: str
    """Package of the class (`Addons`, `pocketgan`, ...) or module of a Keras 3 operation; empty where there is none."""
    config: Mapping[str, Any]
    inputs: tuple[str, ...]
    arguments: Mapping[str, Any]
    """Arguments of the call beside tensors, by keyword."""
    constants: tuple[Any, ...]
    """Arguments of the call beside tensors, by position."""
    constant_first: bool = False
    """True where the first argument is no tensor."""


@dataclass
class Network:
    """Flattened model: its calls in order."""

    input_shape: tuple[int | None, int | None, int]
    calls: list[Call]
    output: str


def flatten_model(model_config: Mapping[str, Any]) -> Network:
    """Flatten a model's configuration.

    Raises:
        UnusableModel: If it is no Sequential or functional model of one image in and one out.
    """
    if model_config["class_name"] not in _NESTED:
        raise UnusableModel(
            f"its model is a subclass {model_config['class_name']}, whose code is not in the file; "
            "save the generator as a functional or Sequential model."
        )
    flattener = _Flattener()
    outputs = flattener.flatten(model_config, (), (), None)
    if len(outputs) != 1 or flattener.input_shape is None:
        raise UnusableModel(f"the model has {len(outputs)} outputs; expected a generator of one image in, one out.")
    return Network(flattener.input_shape, flattener.calls, outputs[0])


@dataclass
class _Node:
    """One call in the configuration, before its inputs are known."""

    layer: Mapping[str, Any]
    place: str
    index: int
    references: list[_Reference] = field(default_factory=list)
    arguments: dict[str, Any] = field(default_factory=dict)
    constants: list[Any] = field(default_factory=list)
    constant_first: bool = False

    def add_constant(self, value: Any) -> None:
        self.constant_first |= not self.references and not self.constants
        self.constants.append(value)


@dataclass
class _Flattener:
    calls: list[Call] = field(default_factory=list)
    input_shape: tuple[int | None, int | None, int] | None = None
    visited: int = 0
    """Calls so far, those of nested models counted too, which may hold no layer."""

    def flatten(
        self, model: Mapping[str, Any], path: tuple[str, ...], places: tuple[str, ...], inputs: Sequence[str] | None
    ) -> list[str]:
        """Flatten a model that is fed by `inputs`, or by the image when None; return its outputs' names."""
        if model["class_name"] == "Sequential":
            return self._sequential(model["config"], path, places, inputs)
        return self._functional(model["config"], path, places, inputs)

    def _sequential(
        self, config: Any, path: tuple[str, ...], places: tuple[str, ...], inputs: Sequence[str] | None
    ) -> list[str]:
        # Keras 1 and early 2 wrote the bare list of layers.
        layers = config if isinstance(config, list) else config["layers"]
        if inputs is None:
            shape = _declared_shape(layers[0]) or (not isinstance(config, list) and config.get("build_input_shape"))
            self._set_input_shape(shape)
        current = list(inputs or [INPUT])
        for layer, place in _with_places(layers):
            if layer["class_name"] != "InputLayer":
                current = self._call(_Node(layer, place, 0), path, places, current)
        return current

    def _functional(
        self, config: Any, path: tuple[str, ...], places: tuple[str, ...], inputs: Sequence[str] | None
    ) -> list[str]:
        entries = [reference[0] for reference in _as_list(config["input_layers"])]
        if inputs is None and len(entries) != 1:
            raise UnusableModel(f"the model has {len(entries)} inputs; expected a generator of one image in, one out.")
        known: dict[_Reference, list[str]] = {}
        pending: list[_Node] = []
        for layer, place in _with_places(config["layers"]):
            name = _layer_name(layer)
            if layer["class_name"] == "InputLayer":
                if inputs is None:
                    self._set_input_shape(_declared_shape(layer))
                known[(name, 0)] = [INPUT] if inputs is None else [inputs[entries.index(name)]]
            else:
                nodes = layer["inbound_nodes"]
                pending += [_read_node(layer, place, index, node) for index, node in enumerate(nodes)]
        outputs = [(name, index) for name, index, *_ in _as_list(config["output_layers"])]
        _renumber_nested(pending, outputs)
        while pending:
            waiting = [node for node in pending if not self._call_if_ready(node, path, places, known)]
            if len(waiting) == len(pending):
                raise UnusableModel(f"layer {_layer_name(waiting[0].layer)} is fed by a layer that does not exist.")
            pending = waiting
        return [name for reference in outputs for name in known[reference]]

    def _call_if_ready(
        self, node: _Node, path: tuple[str, ...], places: tuple[str, ...], known: dict[_Reference, list[str]]
    ) -> bool:
        if any(reference not in known for reference in node.references):
            return False
        inputs = [name for reference in node.references for name in known[reference]]
        known[(_layer_name(node.layer), node.index)] = self._call(node, path, places, inputs)
        return True

    def _call(self, node: _Node, path: tuple[str, ...], places: tuple[str, ...], inputs: Sequence[str]) -> list[str]:
        self.visited += 1
        if self.visited > LAYERS_LIMIT:
            raise too_many_layers_error()
        layer, name = node.layer, _layer_name(node.layer)
        path, places = (*path, name), (*places, node.place)
        if layer["class_name"] in _NESTED:
            return self.flatten(layer, path, places, inputs)
        package, _, class_name = _registered_name(layer).rpartition(">")
        call = Call(
            name="/".join(path) + (f"_call{node.index}" if node.index else "") + f"#{len(self.calls)}",
            path=path,
            places=places,
            class_name=class_name,
            package=package or str(layer.get("module") or ""),
            config=layer["config"],
            inputs=tuple(inputs),
            arguments=node.arguments,
            constants=tuple(node.constants),
            constant_first=node.constant_first,
        )
        self.calls.append(call)
        return [call.name]

    def _set_input_shape(self, shape: Any) -> None:
        if not isinstance(shape, list | tuple) or len(shape) != 4:
            raise UnusableModel(f"the model's input is {shape}; expected images (batch, height, width, 3).")
        _, height, width, channels = shape
        if channels != 3:
            raise UnusableModel(f"the model's input is {shape}; expected 3 channels last, (batch, height, width, 3).")
        self.input_shape = (height, width, channels)


def _declared_shape(layer: Mapping[str, Any]) -> Any:
    config = layer["config"]
    if layer["class_name"] in _NESTED:
        inner = config if isinstance(config, list) else config["layers"]
        return _declared_shape(inner[0])
    return config.get("batch_input_shape") or config.get("batch_shape")


def _layer_name(layer: Mapping[str, Any]) -> str:
    # Keras 3 operations and layers of a Sequential carry their name in the config alone.
    return layer.get("name") or layer["config"]["name"]


def _registered_name(layer: Mapping[str, Any]) -> str:
    registered = layer.get("registered_name")
    return registered if registered and registered.endswith(layer["class_name"]) else layer["class_name"]


def _with_places(layers: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield layers with their names in a Keras 3 weights file: class in snake case and a number."""
    used: dict[str, int] = {}
    for layer in layers:
        class_name = layer["class_name"].rpartition(">")[2]
        snake = _snake_case(class_name)
        number = used[snake] = used.get(snake, -1) + 1
        yield layer, snake if number == 0 else f"{snake}_{number}"


def _snake_case(name: str) -> str:
    spaced = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", spaced).lower()


def _as_list(references: Sequence[Any]) -> list[Sequence[Any]]:
    """Return a list of references; Keras 3 writes a single one without the list around it."""
    return [references] if references and isinstance(references[0], str) else list(references)


def _read_node(layer: Mapping[str, Any], place: str, index: int, raw: Any) -> _Node:
    node = _Node(layer, place, index)
    if isinstance(raw, Mapping):
        for argument in raw["args"]:
            _read_argument(node, argument)
        for key, value in raw["kwargs"].items():
            if not _collect_tensors(node, value):
                node.arguments[key] = value
        return node
    for reference in [raw] if isinstance(raw[0], str) else raw:
        name, call, _, *keywords = reference
        if name == "_CONSTANT_VALUE":
            node.add_constant(call if len(reference) < 3 else reference[2])
        else:
            node.references.append((name, call))
        for key, value in (keywords[0] if keywords else {}).items():
            if _is_keras2_tensor(value):
                node.references.append((value[0], value[1]))
            else:
                node.arguments[key] = value
    return node


def _read_argument(node: _Node, argument: Any) -> None:
    if not _collect_tensors(node, argument):
        node.add_constant(argument)


def _collect_tensors(node: _Node, value: Any) -> bool:
    """Collect the tensors in a Keras 3 argument; return whether there were any."""
    if isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
        name, call, _ = value["config"]["keras_history"]
        node.references.append((name, call))
        return True
    if isinstance(value, list) and value:
        # Every item is collected, also behind one that is no tensor.
        found = [_collect_tensors(node, item) for item in value]
        return all(found)
    return False


def _is_keras2_tensor(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and isinstance(value[0], str)
        and all(isinstance(item, int) for item in value[1:])
    )


def _renumber_nested(nodes: list[_Node], outputs: list[_Reference]) -> None:
    """Renumber calls of nested models from 0; Keras counts a model's construction as its call 0."""
    calls = {_layer_name(node.layer): 0 for node in nodes if node.layer["class_name"] in _NESTED}
    for node in nodes:
        if _layer_name(node.layer) in calls:
            calls[_layer_name(node.layer)] += 1
    references = [outputs, *(node.references for node in nodes)]
    shifted = {name for found in references for name, index in found if calls.get(name) == index}
    for found in references:
        found[:] = [(name, index - 1) if name in shifted else (name, index) for name, index in found]
