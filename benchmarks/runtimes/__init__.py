"""`python -m benchmarks.runtimes`: the same files on every runtime that can be had, against what their numbers mean."""
