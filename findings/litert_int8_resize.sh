#!/usr/bin/env bash
# An int8 picture, enlarged three times, slides.
#
# Guess: RESIZE_BILINEAR at half-pixel centres puts every pixel where geometry puts it, and int8 costs a rounding: half a
# step of 255, in LiteRT's own kernel as in XNNPACK, which computes in its place by default.
#
# Seen with ai-edge-litert 2.3.0 on x86-64: LiteRT's own kernel steps through the source by a factor of 10 bits, the size
# before over the size after times 1024, rounded. Where that is no whole number, as for a factor of 3, the picture drifts
# away from its corner by up to a third of a source pixel in 1024 pixels of output, and its values with it: the larger the
# picture, the farther. Factors of 2 and 4 are exact in it. XNNPACK drifts nowhere. Old apps and processors without
# XNNPACK's kernels run the own kernel.
#
#   64 px x2: XNNPACK at most 0 steps off, own kernel at most 0, beyond the rounding
#   64 px x3: XNNPACK at most 0 steps off, own kernel at most 4, beyond the rounding
#  256 px x3: XNNPACK at most 0 steps off, own kernel at most 19, beyond the rounding
#  512 px x3: XNNPACK at most 0 steps off, own kernel at most 39, beyond the rounding
#  256 px x4: XNNPACK at most 0 steps off, own kernel at most 0, beyond the rounding
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


def resize_file(side, factor):
    """A model of one RESIZE_BILINEAR from `side` to `factor * side` pixels."""

    def tensor(name, shape, kind, buffer=0, quantized=True):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, np.array(shape, np.int32), kind, buffer
        if quantized:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale = np.array([1 / 128], np.float32)
            made.quantization.zeroPoint = np.array([0], np.int64)
        return made

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RESIZE_BILINEAR
    code.version = 3
    size = schema.BufferT()
    size.data = np.frombuffer(np.array([factor * side] * 2, np.int32).tobytes(), np.uint8)
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, np.array([0, 1], np.int32), np.array([2], np.int32)
    operator.builtinOptionsType = schema.BuiltinOptions.ResizeBilinearOptions
    operator.builtinOptions = schema.ResizeBilinearOptionsT()
    operator.builtinOptions.halfPixelCenters = True
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor("photo", (1, side, side, 1), schema.TensorType.INT8),
        tensor("size", (2,), schema.TensorType.INT32, 1, quantized=False),
        tensor("enlarged", (1, factor * side, factor * side, 1), schema.TensorType.INT8),
    ]
    graph.operators, graph.inputs, graph.outputs = [operator], np.array([0], np.int32), np.array([2], np.int32)
    model = schema.ModelT()
    model.version, model.operatorCodes, model.buffers, model.subgraphs = 3, [code], [schema.BufferT(), size], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def run(content, values, kind):
    interpreter = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0, :, :, 0].astype(int)


def geometry(photo, factor):
    """The picture by arithmetic in float64, rows first."""
    side = photo.shape[0]
    place = np.clip((np.arange(factor * side) + 0.5) / factor - 0.5, 0, side - 1)
    low = np.floor(place).astype(int)
    high, share = np.minimum(low + 1, side - 1), place - low
    rows = photo[low] * (1 - share)[:, None] + photo[high] * share[:, None]
    return rows[:, low] * (1 - share) + rows[:, high] * share


seen = {}
for side, factor in ((64, 2), (64, 3), (256, 3), (512, 3), (256, 4)):
    random = np.random.default_rng(0)
    waves = np.sin(np.arange(side) / 3)
    photo = np.rint(90 * waves[:, None] * waves + random.normal(0, 8, (side, side))).clip(-128, 127)
    content, exact = resize_file(side, factor), geometry(photo, factor)
    values = photo.astype(np.int8)[None, :, :, None]
    off = [
        int(np.ceil(np.abs(run(content, values, kind) - exact).max() - 0.51))
        for kind in (OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    ]
    seen[side, factor] = off
    print(f"{side:4d} px x{factor}: XNNPACK at most {off[0]} steps off, own kernel at most {off[1]}, beyond the rounding")
assert all(off[0] <= 1 for off in seen.values())
assert all(seen[exact][1] <= 1 for exact in ((64, 2), (256, 4)))
assert 3 <= seen[64, 3][1] < seen[256, 3][1] < seen[512, 3][1]
PYTHON
