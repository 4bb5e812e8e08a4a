"""`compress inspect`: what a model is, what it costs, and what of it a phone will not run fast."""
