"""`compress bench host`: .tflite files timed against each other on this machine."""
