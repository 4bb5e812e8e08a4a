"""Image folders in, scores out. A generator is never loaded here, TensorFlow never imported."""
