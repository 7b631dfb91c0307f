"""Tables of records, and their renderers."""
