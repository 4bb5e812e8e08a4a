"""The networks that score as deploy graphs, built from the arrays of a state dict by their names in PyTorch."""
