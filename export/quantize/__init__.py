"""Quantisation before the export: BatchNorm folded, ranges chosen by what they cost, weights trained with the rounding.

It lies here and not in `compress`, since it trains the deploy graph: the very operations, scales and roundings that the
emitters write.
"""
