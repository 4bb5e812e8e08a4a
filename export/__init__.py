"""A generator in, a phone's file out: lowered to the deploy graph, emitted, and checked against its source.

`lower` (Keras -> Graph) -> `calibrate` and `quantization` (int8 only) -> `tflite` or `coreml` (Graph -> file) ->
`parity`.
"""
