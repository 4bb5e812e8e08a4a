"""`compress inspect`: what a model is, what it costs, and what of it a phone will not run fast.

`stage` holds the flow; `generator`, `tflite` and `coreml` know one kind of model each.
"""
