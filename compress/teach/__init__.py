"""Train a CycleGAN teacher: two folders of images in, both directions' generators out."""
