"""`compress demo` and the teacher that comes with it."""
