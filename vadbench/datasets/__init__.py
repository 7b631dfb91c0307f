"""Data sets: what is scored."""
