"""Reports: sources (the files that flags name) -> tables, charts and pictures -> one self-contained page."""
