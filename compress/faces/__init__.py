"""Faces: found in photos, placed by a template, cut out; what training data and the lens share."""
