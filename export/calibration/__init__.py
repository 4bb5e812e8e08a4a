"""Photos, observed activation ranges and bias correction: what int8 is chosen by."""
