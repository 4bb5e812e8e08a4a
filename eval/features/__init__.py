"""Images in, feature vectors out. Everything in here but `cache` needs torch."""
