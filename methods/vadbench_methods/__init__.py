"""The methods that vadbench compares, one file each."""
