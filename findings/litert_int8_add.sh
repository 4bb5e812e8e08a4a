#!/usr/bin/env bash
# An int8 sum that is too large turns negative.
#
# Guess: an int8 ADD whose sum lies beyond its output's range saturates: 127 at the top, -128 at the bottom, in every
# kernel.
#
# Seen with ai-edge-litert 2.3.0 on x86-64: LiteRT's own kernel wraps around where the sum, in steps of the output, is
# beyond 32,768: 255 steps off, from white to black. That takes inputs whose scale is more than 128 times the output's, or
# 64 times with zero points at an end, as of a branch whose sum a ReLU cuts to next to nothing. XNNPACK, which computes in
# its place by default, saturates up to a ratio of 256, above which it leaves the operator to that kernel. How far apart
# the two inputs' scales are does not matter.
#
#   inputs' scale  64 times the output's: XNNPACK at most   0 steps off, own kernel at most   0
#   inputs' scale 128 times the output's: XNNPACK at most   0 steps off, own kernel at most   0
#   inputs' scale 250 times the output's: XNNPACK at most   0 steps off, own kernel at most 255
#   inputs' scale 500 times the output's: XNNPACK at most 255 steps off, own kernel at most 255
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
from ai_edge_litert.interpreter import Interpreter, OpResolverType

COUNT = 256 * 256


def sum_file(ratio):
    """A model of one ADD of two tensors whose scale is `ratio` times the sum's."""

    def tensor(name, scale):
        made = schema.TensorT()
        made.name, made.shape, made.type = name, np.array([1, COUNT], np.int32), schema.TensorType.INT8
        made.buffer, made.quantization = 0, schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = np.array([scale], np.float32), np.array([0], np.int64)
        return made

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    code.version = 2
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, np.array([0, 1], np.int32), np.array([2], np.int32)
    operator.builtinOptionsType = schema.BuiltinOptions.AddOptions
    operator.builtinOptions = schema.AddOptionsT()
    operator.builtinOptions.potScaleInt16 = False
    graph = schema.SubGraphT()
    graph.tensors = [tensor("one", 0.01 * ratio), tensor("other", 0.01 * ratio), tensor("sum", 0.01)]
    graph.operators, graph.inputs, graph.outputs = [operator], np.array([0, 1], np.int32), np.array([2], np.int32)
    model = schema.ModelT()
    model.version, model.operatorCodes, model.buffers, model.subgraphs = 3, [code], [schema.BufferT()], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def run(content, inputs, kind):
    interpreter = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    for detail, values in zip(interpreter.get_input_details(), inputs):
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).astype(int)


every = np.arange(-128, 128, dtype=np.int8)
one, other = np.repeat(every, 256)[None], np.tile(every, 256)[None]
seen = {}
for ratio in (64, 128, 250, 500):
    content = sum_file(ratio)
    exact = np.clip((one.astype(int) + other) * ratio, -128, 127)
    off = [
        int(np.abs(run(content, (one, other), kind) - exact).max())
        for kind in (OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    ]
    seen[ratio] = off
    print(f"inputs' scale {ratio:3d} times the output's: XNNPACK at most {off[0]:3d} steps off, own kernel at most {off[1]:3d}")
assert seen == {64: [0, 0], 128: [0, 0], 250: [0, 255], 500: [255, 255]}
PYTHON
