"""Detail beyond a student's size as a `.tflite` file of its own."""
