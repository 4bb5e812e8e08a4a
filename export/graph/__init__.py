"""The deploy graph: its operations, how a Keras model becomes one, and the passes that rewrite it."""
