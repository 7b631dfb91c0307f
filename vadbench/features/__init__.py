"""Videos to vectors: boxes, the extractors on them, and the store that keeps both."""
