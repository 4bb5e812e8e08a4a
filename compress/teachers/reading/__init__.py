"""Flags that say what a teacher's file does not, and what can be seen in the layers of any file."""
