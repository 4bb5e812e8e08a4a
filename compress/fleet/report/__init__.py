"""Reports of a sweep: a table on the terminal while it goes on, a page when it has ended."""
