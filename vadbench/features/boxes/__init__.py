"""Providers of boxes: where the objects of a frame are."""
