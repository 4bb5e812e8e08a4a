"""Reader of a TensorFlow SavedModel directory: files, signature and variables.

The serving function is found in the graph's library, its captured arguments are the variables, and these are read from
the checkpoint beside it. `graph` translates the operations.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.description import GeneratorDescription
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from compress.teachers.reading.found_layers import refuse_layer_as, tell_layers
from compress.teachers.saved_model.graph import GraphTranslator

FORMAT = "TensorFlow SavedModel"
PROTO_BYTES_LIMIT = 512 << 20
_SIGNATURES = ("serving_default", "serve")


def describe(path: Path, reading: ReadingConfig = AS_FOUND) -> GeneratorDescription:
    """Describe the generator in a SavedModel.

    Raises:
        UnusableModel: If files are missing or torn, or the graph is not of a generator's operations.
    """
    refuse_layer_as(reading)
    meta_graph = _read_meta_graph(path)
    name, signature = _signature(meta_graph)
    functions = {function.signature.name: function for function in meta_graph.graph_def.library.function}
    captured = _captured_variables(meta_graph.object_graph_def, name, _variables(path, meta_graph.object_graph_def))
    (entry,) = signature.inputs.values()
    shape = _image_shape(entry)
    translator = GraphTranslator(functions, shape)
    output = translator.translate(name, captured)
    return tell_layers(translator.writer.finish(FORMAT, shape, output), reading)


def _read_meta_graph(path: Path) -> Any:
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    file = path / "saved_model.pb"
    if not file.is_file():
        raise UnusableModel("this directory is no SavedModel (no saved_model.pb) and no artifact (no manifest.json).")
    if file.stat().st_size > PROTO_BYTES_LIMIT:
        raise UnusableModel(f"saved_model.pb has {file.stat().st_size / 1e9:.1f} GB, more than any generator's graph.")
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise UnusableModel("saved_model.pb is truncated or damaged.") from error
    if len(saved.meta_graphs) != 1:
        raise UnusableModel(f"the SavedModel has {len(saved.meta_graphs)} graphs; expected one.")
    return saved.meta_graphs[0]


def _signature(meta_graph: Any) -> tuple[str, Any]:
    """Return the name of the function behind the serving signature, and the signature."""
    graph = meta_graph.object_graph_def
    root = _children(graph, 0)
    served = _children(graph, root["signatures"]) if "signatures" in root else {}
    for key in _SIGNATURES:
        signature = meta_graph.signature_def.get(key) if key in meta_graph.signature_def else None
        if signature is None or key not in served:
            continue
        if len(signature.inputs) == len(signature.outputs) == 1:
            node = graph.nodes[served[key]]
            return (
                node.bare_concrete_function.concrete_function_name or node.function.concrete_functions[0]
            ), signature
        raise UnusableModel(
            f"{key} has {len(signature.inputs)} inputs and {len(signature.outputs)} outputs; expected one."
        )
    raise UnusableModel("the SavedModel has no serving signature; save it with tf.saved_model.save or model.export.")


def _children(graph: Any, node: int) -> dict[str, int]:
    return {child.local_name: child.node_id for child in graph.nodes[node].children}


def _variables(path: Path, graph: Any) -> dict[int, np.ndarray]:
    """Return the values of variables by the number of their node in the object graph."""
    import tensorflow as tf
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    try:
        reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
        saved = trackable_object_graph_pb2.TrackableObjectGraph()
        saved.ParseFromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
        return {number: np.asarray(reader.get_tensor(key)) for number, key in _keys(graph, saved)}
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise UnusableModel(f"variables/ is missing, truncated or damaged ({error}).") from error


def _keys(graph: Any, saved: Any) -> Iterator[tuple[int, str]]:
    """Yield node numbers and checkpoint keys of variables, walking both object graphs by names of children."""
    pending, visited = [(0, 0)], {0}
    while pending:
        number, saved_number = pending.pop()
        for attribute in saved.nodes[saved_number].attributes:
            if graph.nodes[number].WhichOneof("kind") == "variable":
                yield number, attribute.checkpoint_key
        saved_children = _children(saved, saved_number)
        for name, child in _children(graph, number).items():
            if name in saved_children and child not in visited:
                visited.add(child)
                pending.append((child, saved_children[name]))


def _captured_variables(graph: Any, function: str, variables: dict[int, np.ndarray]) -> list[np.ndarray | None]:
    """Return the function's arguments after the image, in order; None for those that are no variable."""
    return [variables.get(number) for number in graph.concrete_functions[function].bound_inputs]


def _image_shape(entry: Any) -> tuple[int | None, int | None, int]:
    sides = [dimension.size if dimension.size > 0 else None for dimension in entry.tensor_shape.dim]
    if len(sides) != 4 or sides[3] != 3:
        raise UnusableModel(f"the serving signature takes {sides}; expected images (batch, height, width, 3).")
    return sides[1], sides[2], 3
