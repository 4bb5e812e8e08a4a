"""The gate: whether a candidate got worse than its baseline. Pass, regression or inconclusive."""
