"""ITAE: an autoencoder of clips, and what it says of each frame."""
