"""A deploy graph becomes a checked .tflite file."""
