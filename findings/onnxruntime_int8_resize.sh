#!/usr/bin/env bash
# An integer Resize in onnxruntime rounds towards zero.
#
# Guess: Resize of a uint8 picture by mode linear is the float result rounded to the nearest: on average it is neither
# darker nor brighter than the picture.
#
# Seen with onnxruntime 1.32.0 on x86-64: the result is cut off, not rounded, in uint8 and in int8. Nearly half of all
# values are a step lower: a uint8 picture is half a step of 255 darker each time that it is enlarged, and an int8 one
# loses contrast. Between a DequantizeLinear and a QuantizeLinear the same Resize rounds.
#
#   uint8: cut off in 47% of values, -0.47 steps on average; as float between the casts: 0%
#   int8: cut off in 47% of values, -0.04 steps on average; as float between the casts: 0%
#
# Prints what was seen; ends with 1 where any of it is otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --target "$folder" \
    'onnxruntime==1.32.0' 'onnx==1.23.2' 'numpy==2.2.6' \
    2>"$folder/pip.log" || { cat "$folder/pip.log" >&2; exit 2; } # not installed: nothing was seen

PYTHONPATH="$folder" python3 - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SIDE, FACTOR = 32, 2


def run(kind, nodes, values, constants=()):
    factors = numpy_helper.from_array(np.array([1, 1, FACTOR, FACTOR], np.float32), "factors")
    graph = helper.make_graph(
        nodes,
        "resize",
        [helper.make_tensor_value_info("photo", kind, values.shape)],
        [helper.make_tensor_value_info("enlarged", kind, (1, 1, FACTOR * SIDE, FACTOR * SIDE))],
        [factors, *constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"photo": values})[0]


def resize(source, target):
    settings = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    return helper.make_node("Resize", [source, "", "factors"], [target], **settings)


photo = np.random.default_rng(0).integers(0, 256, (1, 1, SIDE, SIDE))
for name, kind, dtype, zero in (("uint8", TensorProto.UINT8, np.uint8, 0), ("int8", TensorProto.INT8, np.int8, 128)):
    values = (photo - zero).astype(dtype)
    exact = run(TensorProto.FLOAT, [resize("photo", "enlarged")], values.astype(np.float32))
    integer = run(kind, [resize("photo", "enlarged")], values).astype(int)
    scale = [
        numpy_helper.from_array(np.array(1, np.float32), "scale"),
        numpy_helper.from_array(np.array(0, dtype), "zero"),
    ]
    casts = [
        helper.make_node("DequantizeLinear", ["photo", "scale", "zero"], ["real"]),
        resize("real", "real_enlarged"),
        helper.make_node("QuantizeLinear", ["real_enlarged", "scale", "zero"], ["enlarged"]),
    ]
    between = run(kind, casts, values, scale).astype(int)
    rounded = np.rint(exact).astype(int)
    print(
        f"{name}: cut off in {(integer != rounded).mean():.0%} of values, {(integer - exact).mean():+.2f} steps on "
        f"average; as float between the casts: {(between != rounded).mean():.0%}"
    )
    assert np.array_equal(integer, np.trunc(exact).astype(int))
    assert (integer != rounded).mean() > 0.3
    assert np.array_equal(between, rounded)
PYTHON
