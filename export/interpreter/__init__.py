"""Interpreters: a deploy graph in NumPy, in float and integer-exact, and a .tflite file in LiteRT."""
