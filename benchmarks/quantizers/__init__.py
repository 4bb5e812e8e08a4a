"""Our int8 beside other quantisers': for whoever works on the export, `python -m benchmarks.quantizers`."""
