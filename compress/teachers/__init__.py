"""Any CycleGAN generator people really have becomes a Keras 3 generator; nothing inside a file is ever executed."""
