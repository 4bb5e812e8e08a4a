"""Calibration of int8: photos, observed activation ranges and bias correction."""
