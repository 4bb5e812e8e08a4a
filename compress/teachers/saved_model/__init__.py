"""Reader of TensorFlow SavedModels: the graph is translated operation by operation and never run."""
