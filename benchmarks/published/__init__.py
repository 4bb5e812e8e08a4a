"""Published students: their shapes, how they are trained beside ours, and what they cost."""
