"""Did a candidate get worse than its baseline? Pass, regression, or cannot tell: never a guess in between."""
