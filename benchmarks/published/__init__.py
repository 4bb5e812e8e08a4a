"""Published students beside ours: their shapes, their training, and their cost with random weights."""
