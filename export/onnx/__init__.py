"""Export to ONNX: a writer of files, an emitter of the deploy graph, a runner for its check, and Lens Studio's rules.

The package `onnx` is an extra, so only what the stage imports loads it.
"""
