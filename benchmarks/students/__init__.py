"""Comparison of trained students with their teacher and published students: files, speed and images in one table."""
