"""Reader of what `torch.save` writes, without PyTorch: plain data and NumPy arrays; no code of a file ever runs."""
