#!/usr/bin/env bash
# One int8 addition, two answers.
#
# Guess: adding two int8 tensors has one right answer, the sum rescaled and rounded to the nearest: two runtimes that are
# given the same scales and zero points return the same integers.
#
# Seen with ai-edge-litert 2.3.0 and onnxruntime 1.32.0 on x86-64: XNNPACK computes ADD in fixed point, with multipliers of
# 20 bits; onnxruntime's QLinearAdd in float32. Of the 65,536 pairs of int8 values some come within 4e-5 of a half, and the
# two round them apart. Rare by the pair, they are not rare by the image: the same pairs come again and again, and a
# squeeze-and-excitation block multiplies the step into every pixel. Where the three scales are whole multiples of one
# number, an odd one for the sum, there are no pairs near a half, and both agree on all of them.
#
# Prints what was seen; ends with 1 where any of it is otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --target "$folder" \
    'ai-edge-litert==2.3.0' 'flatbuffers==25.12.19' 'onnx==1.23.2' 'onnxruntime==1.32.0' 'numpy==2.2.6' \
    2>"$folder/pip.log" || { cat "$folder/pip.log" >&2; exit 2; } # not installed: nothing was seen

PYTHONPATH="$folder" python3 - <<'PYTHON'
import flatbuffers
import numpy as np
import onnx
import onnxruntime
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from onnx import helper, numpy_helper

SHAPE = (1, 256, 256, 1)
EVERY = np.arange(-128, 128).astype(np.int8)
PAIRS = [np.broadcast_to(EVERY[:, None], (256, 256)).copy(), np.broadcast_to(EVERY[None, :], (256, 256)).copy()]


def add_in_litert(scales, zero_points):
    """Run one ADD of a .tflite file over all pairs, by XNNPACK."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    code.version = 2
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, np.array([0, 1], np.int32), np.array([2], np.int32)
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    graph, graphs = schema.SubGraphT(), []
    for name, scale, zero_point in zip(("first", "second", "sum"), scales, zero_points):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, np.array(SHAPE, np.int32), schema.TensorType.INT8, 0
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.array([scale], np.float32)
        tensor.quantization.zeroPoint = np.array([zero_point], np.int64)
        graphs.append(tensor)
    graph.tensors, graph.operators = graphs, [operator]
    graph.inputs, graph.outputs = np.array([0, 1], np.int32), np.array([2], np.int32)
    model = schema.ModelT()
    model.version, model.operatorCodes, model.buffers, model.subgraphs = 3, [code], [schema.BufferT()], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    interpreter = Interpreter(model_content=bytes(builder.Output()), num_threads=1)
    interpreter.allocate_tensors()
    for detail, values in zip(interpreter.get_input_details(), PAIRS):
        interpreter.set_tensor(detail["index"], values.reshape(SHAPE))
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).reshape(256, 256)


def add_in_onnxruntime(scales, zero_points):
    """Run one QLinearAdd over all pairs."""
    constants = []
    for name, scale, zero_point in zip(("first", "second", "sum"), scales, zero_points):
        constants.append(numpy_helper.from_array(np.float32(scale), f"{name}_scale"))
        constants.append(numpy_helper.from_array(np.int8(zero_point), f"{name}_zero"))
    inputs = ["first", "first_scale", "first_zero", "second", "second_scale", "second_zero", "sum_scale", "sum_zero"]
    node = helper.make_node("QLinearAdd", inputs, ["sum"], domain="com.microsoft")
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.INT8, [256, 256]) for name in ("first", "second", "sum")]
    graph = helper.make_graph([node], "one", ends[:2], ends[2:], constants)
    versions = [helper.make_opsetid("", 13), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=versions, ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"first": PAIRS[0], "second": PAIRS[1]})[0]


def pairs_apart(scales, zero_points):
    ours, theirs = add_in_litert(scales, zero_points), add_in_onnxruntime(scales, zero_points)
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    return np.argwhere(ours != theirs)


# Scales of a trained network: their ratios are 1.68389 and 0.44706.
trained = np.array([1.6838872, 0.44706196, 1.0]) * 0.02
apart = pairs_apart(trained, (-3, -1, 10))
print(f"trained scales: {len(apart)} of 65,536 pairs differ by a step, such as", *(PAIRS[0][:, 0][apart[0]]))
assert 0 < len(apart) < 50

random, usual, whole = np.random.default_rng(0), 0, 0
for _ in range(40):
    zero_points = random.integers(-90, 91, 3).tolist()
    usual += len(pairs_apart(np.exp(random.uniform(-5, -3, 3)), zero_points))
    multiples = random.integers(100, 1024, 3) | np.array([0, 0, 1])
    whole += len(pairs_apart(multiples * 3e-5, zero_points))
print(f"over 40 additions: {usual} pairs of random scales differ, {whole} where they are multiples of one number")
assert usual > 20
assert whole == 0
PYTHON
