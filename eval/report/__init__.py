"""A run as one self-contained page: sources (what the flags name) -> table and pictures -> page."""
