"""Reader of ONNX files, whose graph is translated operator by operator and never run."""
