"""A deploy graph becomes a Core ML package that takes a camera's picture and returns a picture.

`stage` lowers and judges; `child` is the process in which coremltools is loaded: there `program` spells the graph in
MIL, `package` gives it its ends and writes it, and `export.coreml.mil_interpreter` runs what lies on disk.
"""
