"""A deploy graph becomes a Core ML package that takes a camera's picture and returns a picture.

`stage` lowers and checks; `child` is the process in which coremltools is loaded: there `program` writes the graph in
MIL, `package` saves it with images for input and output, and `mil_interpreter` runs the package from disk.
"""
