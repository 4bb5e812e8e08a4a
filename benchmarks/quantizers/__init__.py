"""Comparison of our int8 export with other quantisers: `python -m benchmarks.quantizers`, a developer's script."""
