"""Reader of PyTorch checkpoints, with the families of generators whose weights it knows by name."""
