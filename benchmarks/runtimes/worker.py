"""Runs files in one runtime, in whichever Python has it: `python worker.py KIND JOB`, with NumPy and the runtime alone.

JOB is a JSON file: `files` (a list of `file`, `input` and `output`, an `.npy` each, and `signature` or None),
`answers`, a file to which a line of JSON is appended for each, and `first`, the number to begin with. An answer has
`number`, `error` (None where it ran), and what the runtime tells of its operators: `operators` and `outputs` as TFLite
lists them, or `left`, the number of each kind that it computes in float. A runtime that ends the process loses one
file: whoever started it begins anew behind that.
"""

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np

SIDES_OF_IMAGE = 4
LONGEST_ERROR = 400


def run_tflite(kind, file, signature, values):
    """LiteRT's Interpreter, and those of its earlier names."""
    module, kernels = kind.split(":")
    tflite = find_interpreter(module)
    names = {"xnnpack": "AUTO", "own": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "reference": "BUILTIN_REF"}
    resolver = getattr(tflite.OpResolverType, names[kernels])
    interpreter = tflite.Interpreter(model_path=str(file), num_threads=1, experimental_op_resolver_type=resolver)
    if signature is not None:
        runner = interpreter.get_signature_runner(signature)
        (name,) = runner.get_input_details()
        (made,) = runner(**{name: values}).values()
        return made, {}
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    output = int(interpreter.get_output_details()[0]["index"])
    # Without a delegate, nothing is left behind by one.
    told = {"operators": list_operators(interpreter), "outputs": [output]} if kernels == "xnnpack" else {}
    return interpreter.get_tensor(output), told


def find_interpreter(module):
    """Return the module with the Interpreter, as each release calls it."""
    if module == "tflite_runtime":
        from tflite_runtime import interpreter  # pyright: ignore[reportMissingImports]
    elif module == "tensorflow":
        from tensorflow.lite.python import interpreter  # pyright: ignore[reportMissingImports]
    else:
        from ai_edge_litert import interpreter
    return interpreter


def list_operators(interpreter):
    """Return the operators and the delegate's nodes, as TFLite lists them."""
    return [
        # Earlier releases call a delegate's node by the delegate.
        {"op_name": "DELEGATE" if "elegate" in each["op_name"] else each["op_name"], "index": int(each["index"])}
        | {key: [int(index) for index in each[key]] for key in ("inputs", "outputs")}
        for each in interpreter._get_ops_details()
    ]


def run_compiled_model(kind, file, signature, values):
    """LiteRT's CompiledModel on the CPU."""
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator
    from ai_edge_litert.options import CpuOptions, Options

    options = Options(hardware_accelerators=HardwareAccelerator.CPU, cpu_options=CpuOptions(num_threads=1))
    model = CompiledModel.from_file(str(file), options=options)
    keys = list(model.get_signature_list())
    place = 0 if signature is None else keys.index(signature)
    inputs, outputs = model.create_input_buffers(place), model.create_output_buffers(place)
    inputs[0].write(values)
    model.run_by_index(place, inputs, outputs)
    (detail,) = model.get_output_tensor_details(keys[place]).values()
    made = outputs[0].read(int(np.prod(detail["shape"])), np.dtype(detail["dtype"]))
    return made.reshape(detail["shape"]), {}


def run_onnxruntime(kind, file, signature, values):
    """ONNX Runtime, as it rewrites graphs by default, or with every node as the file has it."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    rewritten = file.with_suffix(".rewritten.onnx")
    options.optimized_model_filepath = str(rewritten)
    if kind.endswith(":unoptimized"):
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {session.get_inputs()[0].name: values})
    kinds = Counter(node.op_type for node in onnx.load(str(rewritten)).graph.node)
    integer = ("QLinear", "Quantize", "Dequantize", "ConvInteger", "Constant", "Identity")
    return made, {"left": {name: count for name, count in kinds.items() if not name.startswith(integer)}}


def run_openvino(kind, file, signature, values):
    """OpenVINO's CPU plugin, which reads both formats."""
    import openvino  # pyright: ignore[reportMissingImports]

    core = openvino.Core()
    # By default it may compute in bfloat16 where the processor has it.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core.compile_model(core.read_model(str(file)), "CPU", settings)
    made = compiled([values])[0]
    moving = {"Input", "Output", "Reorder", "Const", "Reshape", "Transpose"}
    left = Counter()
    for node in compiled.get_runtime_model().get_ops():
        facts = node.get_rt_info()
        name, precision = (facts[key].astype(str) for key in ("layerType", "runtimePrecision"))
        left[name] += precision.startswith(("f", "bf")) and name not in moving
    return np.array(made), {"left": {name: count for name, count in left.items() if count}}


def run_opencv(kind, file, signature, values):
    """OpenCV's module dnn, which reads both formats and takes images as NCHW."""
    import cv2  # pyright: ignore[reportMissingImports]

    is_tflite = file.suffix == ".tflite"
    net = (cv2.dnn.readNetFromTFLite if is_tflite else cv2.dnn.readNetFromONNX)(str(file))
    net.setInput(np.ascontiguousarray(values.transpose(0, 3, 1, 2)) if is_tflite else values)
    made = net.forward()
    return made.transpose(0, 2, 3, 1) if is_tflite and made.ndim == SIDES_OF_IMAGE else made, {}


def run_tract(kind, file, signature, values):
    """tract, which reads ONNX."""
    import tract  # pyright: ignore[reportMissingImports]

    runnable = tract.onnx().load(str(file)).into_model().into_runnable()
    return runnable.run([values])[0].to_numpy(), {}


RUNS = {
    "ai_edge_litert": run_tflite,
    "tflite_runtime": run_tflite,
    "tensorflow": run_tflite,
    "compiled_model": run_compiled_model,
    "onnxruntime": run_onnxruntime,
    "openvino": run_openvino,
    "opencv": run_opencv,
    "tract": run_tract,
}


def answer(kind, number, asked):
    """Run one file; return its answer."""
    try:
        made, told = RUNS[kind.split(":")[0]](kind, Path(asked["file"]), asked["signature"], np.load(asked["input"]))
        np.save(asked["output"], np.ascontiguousarray(made))
    # Whatever a runtime raises is what there is to know of it.
    except Exception as error:
        said = " ".join(str(error).split())
        return {"number": number, "error": f"{type(error).__name__}: {said[:LONGEST_ERROR]}"}
    return {"number": number, "error": None, **told}


def main():
    """Answer for each file of the job."""
    kind, job = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    with Path(job["answers"]).open("a") as answers:
        for number, asked in list(enumerate(job["files"]))[job["first"] :]:
            answers.write(json.dumps(answer(kind, number, asked)) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
