#!/usr/bin/env bash
# A float kernel between two int8 tensors is no float kernel.
#
# Guess: a convolution whose kernel is stored in float32, between a DequantizeLinear and a QuantizeLinear, computes in
# float, as the ONNX standard says and onnx's own evaluator does: whoever leaves a delicate layer's kernel in float keeps its
# precision.
#
# Seen with onnxruntime 1.32.0: the optimizer rounds the kernel to int8 by itself and runs the layer in integers.
# The error is that of an int8 kernel with one scale for all channels; no warning is given.
#
# Prints what was seen; ends with 1 where any of it is otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --target "$folder" \
    'onnx==1.23.2' 'onnxruntime==1.32.0' 'numpy==2.2.6' \
    2>"$folder/pip.log" || { cat "$folder/pip.log" >&2; exit 2; } # not installed: nothing was seen

FOLDER="$folder" PYTHONPATH="$folder" python3 - <<'PYTHON'
import os

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

random = np.random.default_rng(0)
kernel = random.normal(0, 0.05, (4, 8, 3, 3)).astype(np.float32)
kernel[0] *= 200  # one loud channel: a scale for all of the kernel leaves nothing of the others
constants = {
    "kernel": kernel, "scale": np.float32(1 / 128), "zero": np.int8(0),
    "fine": np.float32(1 / 64), "fine_zero": np.int8(0),
}
nodes = [
    helper.make_node("QuantizeLinear", ["image", "scale", "zero"], ["q"]),
    helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["dq"]),
    helper.make_node("Conv", ["dq", "kernel"], ["sums"], pads=[1, 1, 1, 1]),
    helper.make_node("QuantizeLinear", ["sums", "fine", "fine_zero"], ["out_q"]),
    helper.make_node("DequantizeLinear", ["out_q", "fine", "fine_zero"], ["made"]),
]
ends = [
    helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 8, 16, 16]),
    helper.make_tensor_value_info("made", onnx.TensorProto.FLOAT, [1, 4, 16, 16]),
]
stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
graph = helper.make_graph(nodes, "one", [ends[0]], [ends[1]], stored)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
onnx.checker.check_model(model, full_check=True)
image = random.uniform(-1, 1, (1, 8, 16, 16)).astype(np.float32)
standard = ReferenceEvaluator(model).run(None, {"image": image})[0]


def run(level):
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.graph_optimization_level = 3, level
    options.optimized_model_filepath = os.path.join(os.environ["FOLDER"], "optimized.onnx")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    operators = sorted({node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node})
    return session.run(None, {"image": image})[0], operators


for name, level in (
    ("optimized", onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL),
    ("not optimized", onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL),
):
    made, operators = run(level)
    steps = np.rint((made - standard) * 64)[0, 1:]
    print(f"{name}: {', '.join(operators)}; of the quiet channels {np.mean(np.abs(steps) > 1):.0%} are more than a step",
          f"from the standard's, at most {np.abs(steps).max():.0f} steps")
    if level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL:
        assert "QLinearConv" in operators
        assert np.abs(steps).max() > 1
    else:
        assert "Conv" in operators
        assert np.abs(steps).max() <= 1
PYTHON
