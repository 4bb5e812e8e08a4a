"""Did a candidate get worse than its baseline? Pass, regression, or inconclusive: never a guess in between."""
