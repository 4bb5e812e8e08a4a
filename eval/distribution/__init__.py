"""Distances between two sets of images: Fréchet distance, kernel distance, precision and recall."""
