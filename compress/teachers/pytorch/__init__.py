"""Reader of PyTorch checkpoints, by the families of generators whose weights it knows by name."""
