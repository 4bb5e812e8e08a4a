"""Readers of Keras files: whole-model and weights-only `.h5`, and `.keras`."""
