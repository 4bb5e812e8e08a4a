#!/usr/bin/env bash
# One int8 MEAN, three answers.
#
# Guess: a global average pooling in int8 is the sum of the integers, scaled and rounded to the nearest: LiteRT's own kernel
# and XNNPACK, which computes in its place by default, give the same integers, and those that arithmetic gives.
#
# Seen with ai-edge-litert 2.3.0 on x86-64 (AVX-512): LiteRT's own kernel is a step off in every eighth value or so. XNNPACK
# is exact but for sums whose mean lies within some 1e-5 of a half: it scales the sum of the integers as they are and adds
# what both zero points come to last, in float32, so that 62.500014 steps become 62.5, and 62.5 is rounded to even. A
# squeeze-and-excitation block multiplies such a step into the whole image.
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


def mean_file(height, width, channels, source, target):
    """A model of one MEAN over height and width."""

    def tensor(name, shape, kind, buffer, scale=None):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, np.array(shape, np.int32), kind, buffer
        if scale is not None:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale = np.array([scale[0]], np.float32)
            made.quantization.zeroPoint = np.array([scale[1]], np.int64)
        return made

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.MEAN
    code.version = 2
    axes = schema.BufferT()
    axes.data = np.frombuffer(np.array([1, 2], np.int32).tobytes(), np.uint8)
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, np.array([0, 1], np.int32), np.array([2], np.int32)
    operator.builtinOptionsType = schema.BuiltinOptions.ReducerOptions
    operator.builtinOptions = schema.ReducerOptionsT()
    operator.builtinOptions.keepDims = True
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor("photo", (1, height, width, channels), schema.TensorType.INT8, 0, source),
        tensor("axes", (2,), schema.TensorType.INT32, 1),
        tensor("mean", (1, 1, 1, channels), schema.TensorType.INT8, 0, target),
    ]
    graph.operators, graph.inputs, graph.outputs = [operator], np.array([0], np.int32), np.array([2], np.int32)
    model = schema.ModelT()
    model.version, model.operatorCodes, model.buffers, model.subgraphs = 3, [code], [schema.BufferT(), axes], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def run(content, values, kind):
    interpreter = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).reshape(-1).astype(int)


def arithmetic(values, source, target):
    sums = (values.astype(np.int64) - source[1]).sum(axis=(1, 2)).reshape(-1)
    pixels = values.shape[1] * values.shape[2]
    ratio = float(np.float32(source[0])) / float(np.float32(target[0]))
    return np.clip(np.rint(sums * ratio / pixels + target[1]), -128, 127).astype(int)


# Scales of a trained network, and one channel whose centred integers sum to 1287 over 12 x 12 pixels.
source, target = (0.028216149657964706, -62), (0.00403490848839283, -100)
values = np.full((1, 144), -62, np.int8)
values[:, :11] += 117
values = values.reshape(1, 12, 12, 1)
content = mean_file(12, 12, 1, source, target)
exact = arithmetic(values, source, target)[0]
delegated = run(content, values, OpResolverType.AUTO)[0]
print(f"next to a half: arithmetic {exact}, XNNPACK {delegated}")
assert (exact, delegated) == (-37, -38)

random, off_own, off_xnnpack, count = np.random.default_rng(0), 0, 0, 0
for _ in range(60):
    height, width = random.integers(2, 40, 2)
    scale = random.uniform(0.005, 0.1)
    source = (np.float32(scale), int(random.integers(-128, 128)))
    target = (np.float32(scale * random.uniform(0.05, 1)), int(random.integers(-128, 128)))
    centre = random.integers(-128, 128, (1, 1, 1, 512))
    values = np.clip(centre + random.integers(-20, 21, (1, height, width, 512)), -128, 127).astype(np.int8)
    content, expected = mean_file(height, width, 512, source, target), arithmetic(values, source, target)
    off_own += int((run(content, values, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES) != expected).sum())
    off_xnnpack += int((run(content, values, OpResolverType.AUTO) != expected).sum())
    count += 512
print(f"of {count} random means, LiteRT's own kernel is off in {off_own / count:.1%}, XNNPACK in {off_xnnpack}")
assert 0.02 < off_own / count < 0.5
assert off_xnnpack <= 3
PYTHON
