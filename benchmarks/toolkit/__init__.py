"""Timing of the toolkit itself, a developer's script: its start, imports, commands and training."""
