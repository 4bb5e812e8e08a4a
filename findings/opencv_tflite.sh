#!/usr/bin/env bash
# OpenCV reads a .tflite and computes another network.
#
# Guess: cv2.dnn.readNetFromTFLite refuses what it does not know, and what it reads it computes as LiteRT does.
#
# Seen with opencv-python-headless 4.13.0.92 beside ai-edge-litert 2.3.0 on x86-64, in float32 and without a warning:
# a CONV_2D with dilation 2 is computed without its dilation, and an AVERAGE_POOL_2D with padding SAME counts the zeros
# outside of the picture, which TFLite does not: its border comes out too dark, in a window of 3x3 by up to five ninths.
# The same convolution without dilation, and the pool with padding VALID, are equal to the last few bits.
#
#   convolution, dilation 1: equal within 1e-05
#   convolution, dilation 2: off by up to 123% of the largest value
#   average pool, VALID:     equal within 1e-05
#   average pool, SAME:      off by up to 54% of the largest value
#
# Prints what was seen; ends with 1 where any of it is otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --target "$folder" \
    'opencv-python-headless==4.13.0.92' 'ai-edge-litert==2.3.0' 'flatbuffers==25.12.19' 'numpy==2.2.6' \
    2>"$folder/pip.log" || { cat "$folder/pip.log" >&2; exit 2; } # not installed: nothing was seen

PYTHONPATH="$folder" FOLDER="$folder" python3 - <<'PYTHON'
import os
from pathlib import Path

import cv2
import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

SIDE, CHANNELS = 12, 4
random = np.random.default_rng(0)


def write(name, code, options, constants, side):
    """A model of one float operator from 12x12 pixels of 4 channels to `side` x `side`."""
    model, graph, operator, used = schema.ModelT(), schema.SubGraphT(), schema.OperatorT(), schema.OperatorCodeT()
    used.builtinCode = used.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, code)
    used.version = 2
    model.version, model.operatorCodes, model.buffers, model.subgraphs = 3, [used], [schema.BufferT()], [graph]
    graph.tensors = []

    def tensor(label, shape, values=None):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = label, np.array(shape, np.int32), schema.TensorType.FLOAT32, 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.astype(np.float32).tobytes(), np.uint8)
            model.buffers.append(buffer)
            made.buffer = len(model.buffers) - 1
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    image = tensor("photo", (1, SIDE, SIDE, CHANNELS))
    read = [image, *(tensor(f"constant{place}", each.shape, each) for place, each in enumerate(constants))]
    made = tensor("made", (1, side, side, CHANNELS))
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, np.array(read, np.int32), np.array([made], np.int32)
    operator.builtinOptions = options
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
    graph.operators, graph.inputs, graph.outputs = [operator], np.array([image], np.int32), np.array([made], np.int32)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path = Path(os.environ["FOLDER"]) / f"{name}.tflite"
    path.write_bytes(bytes(builder.Output()))
    return path


def convolution(dilation):
    options = schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = schema.Padding.SAME, 1, 1
    options.dilationHFactor = options.dilationWFactor = dilation
    kernel = random.normal(0, 0.3, (CHANNELS, 3, 3, CHANNELS))
    return write(f"convolution{dilation}", "CONV_2D", options, [kernel, np.zeros(CHANNELS)], SIDE)


def pool(padding, side):
    options = schema.Pool2DOptionsT()
    options.padding, options.strideH, options.strideW = getattr(schema.Padding, padding), 1, 1
    options.filterHeight = options.filterWidth = 3
    return write(f"pool{padding}", "AVERAGE_POOL_2D", options, [], side)


def compare(path):
    photo = random.uniform(0.5, 1.5, (1, SIDE, SIDE, CHANNELS)).astype(np.float32)
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], photo)
    interpreter.invoke()
    expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    net = cv2.dnn.readNetFromTFLite(str(path))
    net.setInput(np.ascontiguousarray(photo.transpose(0, 3, 1, 2)))
    made = net.forward().transpose(0, 2, 3, 1)
    return float(np.abs(made - expected).max() / np.abs(expected).max())


cases = {
    "convolution, dilation 1": (convolution(1), True),
    "convolution, dilation 2": (convolution(2), False),
    "average pool, VALID": (pool("VALID", SIDE - 2), True),
    "average pool, SAME": (pool("SAME", SIDE), False),
}
for name, (path, is_equal) in cases.items():
    off = compare(path)
    print(f"{name + ':':24} {'equal within 1e-05' if off < 1e-5 else f'off by up to {off:.0%} of the largest value'}")
    assert off < 1e-5 if is_equal else off > 0.2
PYTHON
