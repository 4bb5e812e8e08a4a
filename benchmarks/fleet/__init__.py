"""A load test of many workers for a laptop, and a model of the time that many machines would take."""
