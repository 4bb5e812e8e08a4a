"""What every trained stage shares: the loop with its checkpoints, the arithmetic, CycleGAN's image pool."""
