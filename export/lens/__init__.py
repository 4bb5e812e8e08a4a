"""The lens: a face in a photo, translated in its place. `compress lens`."""
