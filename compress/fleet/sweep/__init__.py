"""Sweeps: many runs of one recipe with some of its keys varied, on one machine or many, resumable."""
