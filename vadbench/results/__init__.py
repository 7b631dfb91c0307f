"""What lies on disk under a results folder, and one tidy frame of it."""
