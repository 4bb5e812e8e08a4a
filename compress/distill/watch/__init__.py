"""Watching a distillation: held-back photos measured and drawn on the way, and the weights that are kept in the end."""
