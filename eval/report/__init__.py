"""A run as one self-contained page: sources (what the flags name) -> tables, charts and pictures -> page."""
