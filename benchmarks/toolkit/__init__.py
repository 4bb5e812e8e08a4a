"""How fast the toolkit itself is: its start, its imports, its commands and its training, measured as models are."""
