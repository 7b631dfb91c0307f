"""Extractors: what a clip, or an object in it, looks like as a vector."""
