#!/usr/bin/env bash
# One QDQ model, written with int8 or with uint8 activations: the first runs half in float.
#
# Guess: onnxruntime's documentation calls int8 activations and weights the default of the form QDQ; uint8 activations with
# 128 more in every integer and zero point are the same numbers, so both models become the same integer kernels.
#
# Seen with onnxruntime 1.32.0 on x86-64 (AVX-512 VNNI): of int8 activations, the optimizer turns some into uint8 before it
# joins a convolution with its DequantizeLinear and QuantizeLinear, and leaves others: those that a ReLU writes, or two
# nodes read. A convolution from one to the other has two types, is not joined, and computes in float with dequantised
# weights, as do additions. The model in uint8 becomes integer operators throughout, and is faster.
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
import statistics
import time
from collections import Counter

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

SIDE, CHANNELS, BLOCKS = 64, 32, 4
random = np.random.default_rng(0)
KERNELS = [random.integers(-127, 128, (CHANNELS, CHANNELS, 3, 3)).astype(np.int8) for _ in range(2 * BLOCKS)]


def residual_model(kind):
    """Blocks of x + conv(relu(conv(x))), every tensor rounded to `kind`."""
    nodes, constants, moved = [], [], 128 if kind == np.uint8 else 0

    def constant(name, value):
        constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def rounded(real, scale, zero_point):
        ends = [constant(f"{real}/scale", np.float32(scale)), constant(f"{real}/zero", kind(zero_point + moved))]
        nodes.append(helper.make_node("QuantizeLinear", [real, *ends], [f"{real}/q"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{real}/q", *ends], [f"{real}/dq"]))
        return f"{real}/dq"

    def convolved(source, number, relu):
        name = f"conv{number}"
        kernel = [constant(f"{name}/kernel_q", KERNELS[number]), constant(f"{name}/scales", np.float32(1e-3))]
        nodes.append(helper.make_node("DequantizeLinear", kernel, [f"{name}/kernel"]))
        nodes.append(helper.make_node("Conv", [source, f"{name}/kernel"], [f"{name}/sums"], pads=[1, 1, 1, 1]))
        if not relu:
            return rounded(f"{name}/sums", 0.1, 3)
        nodes.append(helper.make_node("Relu", [f"{name}/sums"], [f"{name}/relu"]))
        return rounded(f"{name}/relu", 0.05, -128)

    value = rounded("image", 0.01, 0)
    for block in range(BLOCKS):
        branch = convolved(convolved(value, 2 * block, True), 2 * block + 1, False)
        nodes.append(helper.make_node("Add", [value, branch], [f"sum{block}"]))
        value = rounded(f"sum{block}", 0.1, 5)
    nodes.append(helper.make_node("Identity", [value], ["made"]))
    shape = [1, CHANNELS, SIDE, SIDE]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("image", "made")]
    graph = helper.make_graph(nodes, "residual", [ends[0]], [ends[1]], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def open_model(kind):
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    options.optimized_model_filepath = os.path.join(os.environ["FOLDER"], "optimized.onnx")
    session = onnxruntime.InferenceSession(residual_model(kind), options, providers=["CPUExecutionProvider"])
    return session, Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)


image = random.uniform(-1, 1, (1, CHANNELS, SIDE, SIDE)).astype(np.float32)
sessions = {kind.__name__: open_model(kind) for kind in (np.int8, np.uint8)}
times = {name: [] for name in sessions}
for _ in range(15):
    for name, (session, _) in sessions.items():
        started = time.thread_time()
        session.run(None, {"image": image})
        times[name].append(time.thread_time() - started)
for name, (_, operators) in sessions.items():
    print(f"{name}: {operators['Conv']} convolutions in float, {operators['QLinearConv']} in integers; additions:",
          f"{operators['Add']} and {operators['QLinearAdd']}; {1000 * statistics.median(times[name]):.2f} ms")
slower = statistics.median(times["int8"]) / statistics.median(times["uint8"])
print(f"int8 takes {slower:.1f} times as long")
assert sessions["int8"][1]["Conv"] > 0
assert sessions["uint8"][1]["Conv"] == sessions["uint8"][1]["Add"] == 0
assert slower > 1.1
PYTHON
