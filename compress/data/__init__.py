"""Data sets in CycleGAN's layout: readers of their folders, and makers of avatar and CelebA data sets."""
