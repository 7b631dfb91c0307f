"""Files, read and written the same way everywhere."""
