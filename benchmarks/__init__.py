"""Benchmarks: latency, memory, size and delegate coverage of model files, measured side by side."""
