#!/usr/bin/env bash
# A signature's outputs, in the alphabet's order or in the file's.
#
# Guess: a model that returns a picture and a mask returns them in that order, whoever is asked: names of its signature
# and the tensors of its interpreter can be zipped.
#
# Seen with ai-edge-litert 2.3.0: Interpreter.get_signature_list and the dictionary that a SignatureRunner returns are in the
# alphabet's order (mask, picture), Interpreter.get_output_details and CompiledModel's signature in the file's (picture, mask).
# Keras names the outputs of a network output_0, output_1 ... output_10, so the eleventh comes second. Names must be looked
# up, never counted.
#
# Prints what was seen; ends with 1 where any of it is otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --target "$folder" \
    'ai-edge-litert==2.3.0' 'flatbuffers==25.12.19' 'numpy==2.2.6' \
    2>"$folder/pip.log" || { cat "$folder/pip.log" >&2; exit 2; } # not installed: nothing was seen

PYTHONPATH="$folder" python3 - <<'PYTHON'
import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.interpreter import Interpreter


def entry(name, index):
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name, index
    return made


def file_of(outputs):
    """A model that returns a LOGISTIC of its input for each name, plus TANH for the first."""
    graph, model, signature = schema.SubGraphT(), schema.ModelT(), schema.SignatureDefT()
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [0], list(range(1, len(outputs) + 1))
    for name in ["photo", *outputs]:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, np.array([1, 2], np.int32), schema.TensorType.FLOAT32, 0
        graph.tensors.append(made)
    for index in graph.outputs:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = min(index - 1, 1), [0], [index]
        graph.operators.append(made)
    model.operatorCodes = []
    for name in ("TANH", "LOGISTIC"):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        model.operatorCodes.append(code)
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs = [entry("photo", 0)]
    signature.outputs = [entry(name, index) for name, index in zip(outputs, graph.outputs)]
    model.version, model.buffers, model.subgraphs, model.signatureDefs = 3, [schema.BufferT()], [graph], [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def orders(outputs):
    content = file_of(outputs)
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    returned = interpreter.get_signature_runner()(photo=np.zeros((1, 2), np.float32))
    compiled = CompiledModel.from_buffer(content)
    return {
        "tensors of the interpreter": [detail["name"] for detail in interpreter.get_output_details()],
        "signature of the interpreter": interpreter.get_signature_list()["serving_default"]["outputs"],
        "what its runner returns": list(returned),
        "signature of CompiledModel": compiled.get_signature_list()["serving_default"]["outputs"],
    }


for outputs in (["picture", "mask"], [f"output_{number}" for number in range(11)]):
    seen = orders(outputs)
    for what, order in seen.items():
        print(f"{what}: {', '.join(order)}")
    assert seen["tensors of the interpreter"] == seen["signature of CompiledModel"] == outputs
    assert seen["signature of the interpreter"] == seen["what its runner returns"] == sorted(outputs) != outputs
PYTHON
