"""Image folders to work on: CycleGAN layout, and avatars where nobody has photos."""
