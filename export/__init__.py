"""A generator in, a phone's file out: lowered to the deploy graph, emitted, and checked against its source.

`graph` (Keras to deploy graph, passes) -> `calibration` (int8 only) -> `tflite` or `coreml` (graph to file) ->
`parity`.
"""
