"""Images in, feature vectors out. Everything in here needs torch; nothing outside of it and `kid` does."""
