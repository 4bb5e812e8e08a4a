"""Images in, feature vectors out. Nothing in here but `pytorch` needs torch."""
