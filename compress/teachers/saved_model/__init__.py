"""Reader of TensorFlow SavedModels, whose graph is translated operation by operation and never run."""
