#!/usr/bin/env bash
# A model of any size makes a picture of one pixel.
#
# Guess: a .tflite whose height and width are free says so, and cannot be run before a size is chosen.
#
# Seen with ai-edge-litert 2.3.0: the shape that the interpreter reports is (1, 1, 1, 3); tensors are allocated and the model
# is run without a word, for a photo of one pixel. Only shape_signature holds -1, and goes on holding it once a size was
# chosen, so that it alone does not tell whether one was. A photo of 8 x 8 pixels is refused by set_tensor, but taken by a
# SignatureRunner of the same interpreter, which resizes the interpreter's own input on the way.
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
from ai_edge_litert.interpreter import Interpreter


def entry(name, index):
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name, index
    return made


graph, model, signature = schema.SubGraphT(), schema.ModelT(), schema.SignatureDefT()
graph.tensors, graph.inputs, graph.outputs = [], [0], [1]
for name in ("photo", "picture"):
    made = schema.TensorT()
    made.name, made.type, made.buffer = name, schema.TensorType.FLOAT32, 0
    # As converters write a free side: 1 in the shape, -1 in its signature.
    made.shape, made.shapeSignature = np.array([1, 1, 1, 3], np.int32), np.array([1, -1, -1, 3], np.int32)
    graph.tensors.append(made)
operator, code = schema.OperatorT(), schema.OperatorCodeT()
operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.TANH
signature.signatureKey, signature.subgraphIndex = "serving_default", 0
signature.inputs, signature.outputs = [entry("photo", 0)], [entry("picture", 1)]
graph.operators, model.operatorCodes, model.signatureDefs = [operator], [code], [signature]
model.version, model.buffers, model.subgraphs = 3, [schema.BufferT()], [graph]
builder = flatbuffers.Builder(1024)
builder.Finish(model.Pack(builder), b"TFL3")

interpreter = Interpreter(model_content=bytes(builder.Output()))
interpreter.allocate_tensors()
taken, returned = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
interpreter.set_tensor(taken["index"], np.ones(taken["shape"], np.float32))
interpreter.invoke()
picture = interpreter.get_tensor(returned["index"])
print(f"before a size is chosen: shape {taken['shape']}, signature {taken['shape_signature']}, picture {picture.shape}")
assert taken["shape"].tolist() == [1, 1, 1, 3] and taken["shape_signature"].tolist() == [1, -1, -1, 3]
assert picture.shape == (1, 1, 1, 3)

photo = np.ones((1, 8, 8, 3), np.float32)
try:
    interpreter.set_tensor(taken["index"], photo)
except ValueError as error:
    print(f"a photo of 8 x 8 in the interpreter: {error}")
else:
    raise AssertionError("set_tensor took a photo of another size")
picture = interpreter.get_signature_runner()(photo=photo)["picture"]
taken = interpreter.get_input_details()[0]
print(f"the same by its signature: picture {picture.shape}; shape {taken['shape']}, signature {taken['shape_signature']}")
assert picture.shape == (1, 8, 8, 3) and taken["shape"].tolist() == [1, 8, 8, 3]
assert taken["shape_signature"].tolist() == [1, -1, -1, 3]
PYTHON
