"""Other people's scores: read from files and measured as ours are."""
