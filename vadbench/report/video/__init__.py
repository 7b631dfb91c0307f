"""The annotated video of a clip."""
