"""Training parts that every trained stage shares: loop, schedules, checkpoints, precision and image pool."""
