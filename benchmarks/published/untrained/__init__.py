"""Comparison of shapes with random weights: teacher, our students and published students, over sizes and widths."""
